//! From where on a peer is sent the binlog: its mark, or what the trackers say (spec 03 §C3).

use super::{CONNECT_PAUSE, Pause, Sender, local};
use crate::storage::binlog::Position;
use crate::storage::sync::mark::Mark;
use crate::storage::sync::reader::{BinlogReader, Next};
use fdfs_core::protocol::cluster::{GroupStorage, SyncSource};
use fdfs_core::protocol::{Command, StorageStatus};
use std::path::PathBuf;

impl Sender {
    /// Finds out from where on the peer must be sent the binlog.
    pub(super) async fn prepare(&mut self) -> Result<(), Pause> {
        self.path = self.mark_path();
        let stored = match self.status() {
            status if status <= StorageStatus::WAIT_SYNC => None,
            _ => match Mark::load(&self.path) {
                Ok(mark) => mark,
                Err(error) => {
                    tracing::error!(%error, "a damaged mark: the peer is sent everything again");
                    None
                }
            },
        };
        let told = match stored {
            Some(_) if self.status() != StorageStatus::SYNCING => None,
            _ => Some(self.ask_source().await?),
        };
        let fresh = |(need_sync_old, until)| Mark { need_sync_old, until, ..Mark::default() };
        self.mark = match (stored, told) {
            (Some(mark), Some(told)) if told.0 && !mark.need_sync_old => fresh(told),
            (Some(mark), _) => mark,
            (None, told) => fresh(told.unwrap_or((false, 0))),
        };
        let is_fresh = self.mark.position == Position::default();
        let dir = self.engine.binlog.dir();
        let mut reader = BinlogReader::new(dir, self.mark.position).map_err(local)?;
        if is_fresh && !self.mark.need_sync_old && self.mark.until > 0 {
            reader = self.skip_to(reader, self.mark.until).await?;
        }
        self.mark.position = reader.position();
        (self.reader, self.held) = (Some(reader), None);
        self.save_mark().await;
        Ok(())
    }

    /// Steps over records older than `time`.
    async fn skip_to(&self, reader: BinlogReader, time: i64) -> Result<BinlogReader, Pause> {
        let (mut reader, end) = (reader, *self.written.borrow());
        let dir = self.engine.binlog.dir().to_owned();
        let skipping = tokio::task::spawn_blocking(move || {
            loop {
                let before = reader.position();
                match reader.next(end)? {
                    Next::Entry(entry) if entry.time >= time => {
                        return BinlogReader::new(&dir, before);
                    }
                    Next::End => return Ok(reader),
                    _ => {}
                }
            }
        });
        skipping.await.map_err(std::io::Error::other).and_then(|done| done).map_err(local)
    }

    /// Without ids a mark is named after the peer's address and this storage's port (spec 04
    /// §A.6).
    fn mark_path(&self) -> PathBuf {
        let dir = self.engine.binlog.dir();
        let ip = self.peer().map(|peer| peer.ip.to_string()).unwrap_or_default();
        let by_address = dir.join(format!("{ip}_{}.mark", self.settings.port));
        if !self.engine.params.use_storage_id {
            return by_address;
        }
        let by_id = dir.join(format!("{}.mark", self.id));
        if !by_id.exists()
            && by_address.exists()
            && let Err(error) = std::fs::rename(&by_address, &by_id)
        {
            tracing::error!(%error, mark = %by_address.display(), "cannot rename a mark");
        }
        by_id
    }

    /// Asks the trackers whether this storage sends the peer the old files, too, and which are old.
    async fn ask_source(&mut self) -> Result<(bool, i64), Pause> {
        let request = GroupStorage { group: self.engine.identity.group, id: self.id };
        let trackers = self.link.shared().trackers.clone();
        let mut at = self.view.borrow().leader.unwrap_or(0);
        loop {
            if self.is_over() {
                return Err(Pause::Told);
            }
            // Who is still being filled does not know what is old.
            let settled = self.link.shared().flag().sync_old_done;
            if let Some(tracker) = trackers.get(at % trackers.len().max(1)).filter(|_| settled) {
                let told =
                    self.link.ask::<Option<SyncSource>>(tracker, Command::SYNC_SRC_REQ, &request);
                match told.await {
                    Ok(None) => return Ok((false, 0)),
                    Ok(Some(source)) => {
                        return Ok((source.id == self.engine.identity.id, source.until));
                    }
                    Err(error) if error.status().is_none() => at += 1,
                    Err(_) => {}
                }
            }
            let pause = if settled { self.settings.heart_beat_interval } else { CONNECT_PAUSE };
            self.pause(pause).await;
        }
    }
}
