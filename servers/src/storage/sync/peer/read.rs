//! Reading records that a peer may be sent side by side.

use super::{Pause, Sender, local};
use crate::storage::binlog::Position;
use crate::storage::sync::batch::{Batch, is_for};
use crate::storage::sync::mark::Mark;
use crate::storage::sync::offers::{self, Offer};
use crate::storage::sync::reader::{BinlogReader, Entry, Next};
use fdfs_core::protocol::Name;
use std::collections::HashMap;
use std::io;

/// Records that are not for the peer and are read at a time: so long others wait for the lane.
const SKIPPED_MAX: usize = 1000;

/// Files that are remembered so that their state is offered once.
const OFFERED_MAX: usize = 4096;

/// What was read at a time.
struct Read {
    batch: Batch,
    /// Behind the last record that is in the batch or is passed over.
    to: Position,
    /// Records that are not for the peer, damaged ones included.
    skipped: usize,
    damaged: u64,
    /// A file that must be unpacked before more can be read.
    packed: Option<u32>,
}

/// The binlog as it is read for one peer.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) reader: BinlogReader,
    /// A record that waits for the batch before it, and where it begins.
    held: Option<(Entry, Position)>,
    /// Files whose state was offered: it is that after all their records up to there.
    offered: HashMap<Name, Position>,
}

impl Source {
    pub(super) fn new(reader: BinlogReader) -> Self {
        Self { reader, held: None, offered: HashMap::new() }
    }

    /// Whether the state of a file that was offered is that after the record that begins there. If
    /// not, it is offered now, as it is after those up to `end`.
    fn was_offered(&mut self, name: Name, begin: Position, end: Position) -> bool {
        if self.offered.get(&name).is_some_and(|until| begin < *until) {
            return true;
        }
        if self.offered.len() == OFFERED_MAX {
            // Then some are offered twice.
            self.offered.clear();
        }
        self.offered.insert(name, end);
        false
    }

    /// Reads up to `most` records for the peer of this mark that do not touch the same files.
    fn read(
        &mut self,
        mark: &Mark,
        offer: impl Fn(&Entry, Position, bool) -> Option<Offer>,
        most: usize,
        end: Position,
    ) -> io::Result<Read> {
        let to = self.held.as_ref().map_or(self.reader.position(), |(_, begin)| *begin);
        let mut read = Read { batch: Batch::default(), to, skipped: 0, damaged: 0, packed: None };
        while read.batch.len() < most && read.skipped < SKIPPED_MAX {
            let begin = self.reader.position();
            let (entry, begin, is_held) = match self.held.take() {
                Some((entry, begin)) => (entry, begin, true),
                None => match self.reader.next(end)? {
                    Next::Entry(entry) => (entry, begin, false),
                    Next::Damaged(line) => {
                        let line = String::from_utf8_lossy(&line).into_owned();
                        tracing::error!(?begin, line, "skipped a damaged binlog record");
                        read.damaged += 1;
                        read.skipped += 1;
                        read.to = self.reader.position();
                        continue;
                    }
                    next => {
                        let at = self.reader.position();
                        read.packed = (next == Next::Packed).then_some(at.index);
                        read.to = at;
                        break;
                    }
                },
            };
            let is_due = is_for(mark, &entry);
            let offer = offer(&entry, begin, is_due);
            let is_again = matches!(offer, Some(Offer::State { .. } | Offer::OwnState))
                && !is_held
                && self.was_offered(entry.name, begin, end);
            let entry = Entry { offer, ..entry };
            if is_again || !is_due && offer.is_none() {
                read.skipped += 1;
            } else if let Some(entry) = read.batch.add(entry, self.reader.position()) {
                self.held = Some((entry, begin));
                break;
            }
            read.to = self.reader.position();
        }
        Ok(read)
    }
}

impl Sender {
    /// What is offered instead of being sent: told by a record, where it begins, and whether it is due.
    fn offering(&self) -> impl Fn(&Entry, Position, bool) -> Option<Offer> + Send + use<> {
        let (kept, own) = (self.kept.offers(), self.engine.identity.source);
        let unsure_until = self.engine.unsure_until();
        let peer = self.told.as_ref().map(|told| told.source);
        let is_peer_unsure = self.told.as_ref().is_some_and(|told| told.is_unsure != 0);
        move |entry, begin, is_due| match is_due {
            true if begin < unsure_until => offers::unsure(entry, own, is_peer_unsure),
            true => None,
            false => kept.why(entry, begin, peer?),
        }
    }

    /// Reads records that may be sent side by side; tells how far.
    pub(super) async fn read_batch(&mut self, end: Position) -> Result<(Batch, Position), Pause> {
        loop {
            let Some(mut source) = self.source.take() else { return Err(Pause::Told) };
            let (mark, most) = (self.mark, self.batch_len_max());
            let offer = self.offering();
            let reading = move || {
                let read = source.read(&mark, offer, most, end);
                (source, read)
            };
            let (source, read) = self.engine.records_lane.run(reading).await;
            // After a failure the reader may be beyond records that were not sent.
            let read = match read {
                Ok(read) => read,
                Err(error) => return Err(local(error)),
            };
            self.source = Some(source);
            self.only_skipped = read.batch.len() == 0 && read.skipped > 0;
            self.mark.scanned += (read.skipped + read.batch.len()) as u64;
            if read.damaged > 0 {
                self.damaged += read.damaged;
                tracing::warn!(peer = %self.id, total = self.damaged, "skipped damaged records");
            }
            match read.packed {
                Some(index) if read.batch.len() == 0 => {
                    self.mark.position = read.to;
                    self.unpack(index).await?;
                }
                _ => return Ok((read.batch, read.to)),
            }
        }
    }

    /// Reads on from here, whatever was read before.
    pub(super) async fn read_from(&mut self, position: Position) -> Result<(), Pause> {
        self.mark.position = position;
        self.source = None;
        let dir = self.engine.binlog.dir().to_owned();
        let opening = move || BinlogReader::new(&dir, position);
        let reader = self.engine.records_lane.run(opening).await.map_err(local)?;
        self.source = Some(Source::new(reader));
        Ok(())
    }

    async fn unpack(&self, index: u32) -> Result<(), Pause> {
        let engine = self.engine.clone();
        let unpacking = move || engine.binlog.unpack(index);
        self.engine.records_lane.run_long(unpacking).await.map_err(local)
    }
}

#[cfg(test)]
#[path = "read/tests.rs"]
mod tests;
