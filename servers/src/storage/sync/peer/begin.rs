//! From where on a peer is sent the binlog: its mark, or what the trackers say (spec 03 §C3).

use super::{CONNECT_PAUSE, Pause, Sender, local};
use crate::daemon::blocking;
use crate::storage::binlog::Position;
use crate::storage::link::Departure;
use crate::storage::sync::kept::Kept;
use crate::storage::sync::mark::Mark;
use crate::storage::sync::reader::{BinlogReader, Next};
use crate::storage::sync::senders::Followed;
use fdfs_core::protocol::cluster::{GroupStorage, SyncSource};
use fdfs_core::protocol::replication::BootId;
use fdfs_core::protocol::{Command, StorageId, StorageStatus};
use std::io;
use std::path::PathBuf;
use tokio::time::timeout;

impl Sender {
    /// Finds out from where on the peer must be sent the binlog.
    pub(super) async fn prepare(&mut self) -> Result<(), Pause> {
        self.path = self.find_mark().await;
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
        self.read_from(self.mark.position).await?;
        // Only once: a mark may stand at the beginning long after it was made, and what was recorded
        // since would be skipped when this storage's clock is behind the tracker's.
        if stored.is_none() && !self.mark.need_sync_old && self.mark.until > 0 {
            let begin = self.skip_to(self.mark.until).await?;
            self.read_from(begin).await?;
        }
        if let Some(source) = &self.source {
            self.mark.position = source.reader.position();
        }
        self.kept = match stored {
            Some(_) => Kept::load(&self.path, self.mark).map_err(local)?,
            None => Kept::new(self.mark),
        };
        self.save_mark().await;
        Ok(())
    }

    /// Goes back to what the peer has for sure, when its machine was started anew since it was met
    /// last.
    pub(super) async fn meet(&mut self) -> Result<(), Pause> {
        let boot = self.told.as_ref().map_or(BootId::EMPTY, |told| told.boot);
        if self.kept.knows(boot) {
            return Ok(());
        }
        let end = *self.written.borrow();
        if let Some(mark) = self.kept.meet(boot, self.mark, end) {
            tracing::warn!(peer = %self.id, from = ?self.mark.position, to = ?mark.position,
                "the machine of a peer was restarted: what it may have lost is sent again");
            self.mark = mark;
            self.read_from(mark.position).await?;
            self.save_mark().await;
        }
        // Only now: a crash before this lets it be sent once more.
        self.save_kept().await;
        Ok(())
    }

    /// Saves what the peer has for sure.
    pub(super) async fn save_kept(&mut self) {
        let saving = self.kept.saving(&self.path);
        if let Err(error) = blocking(saving).await.map_err(io::Error::other).and_then(|saved| saved)
        {
            // What was saved before is behind it: more than needed would be sent.
            tracing::error!(%error, peer = %self.id, "cannot save what a peer has for sure");
        }
    }

    /// Without ids, any of this storage's addresses may stand for it.
    fn is_me(&self, id: &StorageId) -> bool {
        let id_text = id.to_string();
        let by_address = || self.link.shared().flag().last_ips.split(',').any(|ip| ip == id_text);
        *id == self.engine.identity.id || (!self.engine.params.use_storage_id && by_address())
    }

    /// Where records of `time` and later begin.
    async fn skip_to(&self, time: i64) -> Result<Position, Pause> {
        let (engine, end) = (self.engine.clone(), *self.written.borrow());
        let skipping = move || {
            let binlog = &engine.binlog;
            let mut reader = BinlogReader::new(binlog.dir(), Position::default())?;
            loop {
                let before = reader.position();
                match reader.next(end)? {
                    Next::Entry(entry) if entry.time >= time => return Ok(before),
                    Next::End => return Ok(reader.position()),
                    Next::Packed => binlog.unpack(reader.position().index)?,
                    _ => {}
                }
            }
        };
        self.engine.records_lane.run_long(skipping).await.map_err(local)
    }

    /// The file of the peer's mark. A peer without one may be known by another address: then the
    /// mark comes once the change log was followed.
    async fn find_mark(&mut self) -> PathBuf {
        let ip = self.peer().map(|peer| peer.ip.to_string()).unwrap_or_default();
        let path = self.settings.marks.path(&self.id, &ip);
        if !path.exists() && self.link.follows_moves() {
            self.link.read_changelog().await;
            let departed = self.view.borrow().departed;
            let mut followed = self.followed.clone();
            let is_mine = |departure: &Departure| departure.new_ip.as_ref() == Some(&ip);
            let is_followed = |followed: &Followed| {
                followed.seen >= departed && !followed.waiting.iter().any(is_mine)
            };
            let time = self.changelog_time_max();
            self.until_stopped(timeout(time, followed.wait_for(is_followed))).await;
        }
        path
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
                        return Ok((self.is_me(&source.id), source.until));
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
