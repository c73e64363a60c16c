//! Reading records that a peer may be sent side by side.

use super::{Pause, Sender, local};
use crate::storage::binlog::Position;
use crate::storage::sync::batch::{Batch, is_for};
use crate::storage::sync::reader::{BinlogReader, Next};

/// Records that are not for the peer and are read at a time: so long others wait for the lane.
const SKIPPED_MAX: usize = 1000;

impl Sender {
    /// Reads records that may be sent side by side; tells how far.
    pub(super) async fn read_batch(&mut self, end: Position) -> Result<(Batch, Position), Pause> {
        let Some(mut reader) = self.reader.take() else { return Err(Pause::Told) };
        let (mark, most) = (self.mark, self.settings.threads_max);
        let mut held = self.held.take();
        let reading = move || {
            let (mut batch, mut skipped, mut damaged) = (Batch::default(), 0, 0);
            let mut read_to = held.as_ref().map_or(reader.position(), |(_, begin)| *begin);
            let done = loop {
                if batch.len() >= most || skipped >= SKIPPED_MAX {
                    break Ok(());
                }
                let begin = reader.position();
                let (entry, begin) = match held.take() {
                    Some(held) => held,
                    None => match reader.next(end) {
                        Ok(Next::Entry(entry)) => (entry, begin),
                        Ok(Next::End) => {
                            read_to = reader.position();
                            break Ok(());
                        }
                        Ok(Next::Damaged(line)) => {
                            let line = String::from_utf8_lossy(&line).into_owned();
                            tracing::error!(?begin, line, "skipped a damaged binlog record");
                            (damaged, skipped) = (damaged + 1, skipped + 1);
                            read_to = reader.position();
                            continue;
                        }
                        Err(error) => break Err(error),
                    },
                };
                if !is_for(&mark, &entry) {
                    skipped += 1;
                } else if let Some(entry) = batch.add(entry, reader.position()) {
                    held = Some((entry, begin));
                    break Ok(());
                }
                read_to = reader.position();
            };
            (reader, held, batch, read_to, skipped, damaged, done)
        };
        let lane = &self.engine.records_lane;
        let (reader, held, batch, read_to, skipped, damaged, done) = lane.run(reading).await;
        (self.reader, self.held) = (Some(reader), held);
        self.mark.scanned += (skipped + batch.len()) as u64;
        if damaged > 0 {
            self.damaged += damaged;
            tracing::warn!(peer = %self.id, total = self.damaged, "skipped damaged records");
        }
        done.map_err(local)?;
        Ok((batch, read_to))
    }

    /// Reads on from here again.
    pub(super) fn rewind(&mut self, position: Position) -> Result<(), Pause> {
        self.mark.position = position;
        self.held = None;
        self.reader = Some(BinlogReader::new(self.engine.binlog.dir(), position).map_err(local)?);
        Ok(())
    }
}
