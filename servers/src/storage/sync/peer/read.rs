//! Reading records that a peer may be sent side by side.

use super::{Pause, Sender, local};
use crate::storage::binlog::Position;
use crate::storage::sync::batch::{Batch, is_for};
use crate::storage::sync::mark::Mark;
use crate::storage::sync::reader::{BinlogReader, Entry, Next, Offer};
use std::io;

/// Records that are not for the peer and are read at a time: so long others wait for the lane.
const SKIPPED_MAX: usize = 1000;

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
}

impl Source {
    pub(super) fn new(reader: BinlogReader) -> Self {
        Self { reader, held: None }
    }

    /// Reads up to `most` records for the peer of this mark that do not touch the same files.
    fn read(
        &mut self,
        mark: &Mark,
        offer: impl Fn(&Entry, Position) -> Option<Offer>,
        most: usize,
        end: Position,
    ) -> io::Result<Read> {
        let to = self.held.as_ref().map_or(self.reader.position(), |(_, begin)| *begin);
        let mut read = Read { batch: Batch::default(), to, skipped: 0, damaged: 0, packed: None };
        while read.batch.len() < most && read.skipped < SKIPPED_MAX {
            let begin = self.reader.position();
            let (mut entry, begin) = match self.held.take() {
                Some(held) => held,
                None => match self.reader.next(end)? {
                    Next::Entry(entry) => (entry, begin),
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
            entry.offer = if is_due { None } else { offer(&entry, begin) };
            if !is_due && entry.offer.is_none() {
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
    /// Reads records that may be sent side by side; tells how far.
    pub(super) async fn read_batch(&mut self, end: Position) -> Result<(Batch, Position), Pause> {
        loop {
            let Some(mut source) = self.source.take() else { return Err(Pause::Told) };
            let (mark, most) = (self.mark, self.batch_len_max());
            let (offers, peer) = (self.kept.offers(), self.told.as_ref().map(|told| told.source));
            let offer = move |entry: &Entry, begin| offers.why(entry, begin, peer?);
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
