//! Offering a peer what it may have lost with its power, and asking it before it is sent what may
//! have been lost here.

use super::{Content, Part, PeerConn, local, seconds};
use crate::storage::binlog::Operation;
use crate::storage::ops::{Done, change::checksum, status};
use crate::storage::pending::record;
use crate::storage::sync::of_metadata;
use crate::storage::sync::offers::Offer;
use crate::storage::sync::reader::{Entry, Extra};
use crate::storage::sync::receive::{Claim, Incoming};
use fdfs_core::Result;
use fdfs_core::net::CHUNK_LEN;
use fdfs_core::protocol::cluster::SyncFile;
use fdfs_core::protocol::replication::{GIVES_BACK, GIVES_BACK_UNSURE};
use fdfs_core::protocol::storage::{Download, INFO_WITHOUT_CRC};
use fdfs_core::protocol::{Command, Name, Status};
use fdfs_core::wire::Wire as _;

/// Longest content that is sent without asking whether the peer has the same. With more, it is
/// cheaper to read it on both sides first.
const SENT_UNASKED_MAX: u64 = 64 << 10;

impl PeerConn {
    /// Offers what a record is about. An error means that the peer may not know of it.
    pub(super) async fn offer(&mut self, entry: &Entry, offer: Offer) -> Result<()> {
        match (offer, entry.operation, entry.extra) {
            (Offer::OwnState, ..) => self.offer_state(entry).await,
            (Offer::State { is_peer_unsure }, ..) => self.settle_state(entry, is_peer_unsure).await,
            (Offer::Own, Operation::Delete, _) => self.delete(entry, GIVES_BACK).await,
            (Offer::Own, Operation::Rename, Extra::Name(old_name)) => {
                self.offer_file(entry, GIVES_BACK).await?;
                let old = Entry { name: old_name, operation: Operation::Delete, ..*entry };
                self.delete(&old, GIVES_BACK).await
            }
            (Offer::Own, ..) => self.offer_file(entry, GIVES_BACK).await,
            (Offer::Old, ..) => self.offer_file(entry, 0).await,
        }
    }

    /// Sends a file that never changes, if the peer has none.
    async fn offer_file(&mut self, entry: &Entry, flags: u8) -> Result<()> {
        if self.size_there(&entry.name).await?.is_some() {
            return Ok(());
        }
        let Some(content) = self.open(&entry.name, Part::Whole).await? else { return Ok(()) };
        self.send_file(entry, Command::SYNC_CREATE_FILE, flags, entry.time, content).await
    }

    /// Sends the state of a file to its source, which decides whether its own is a later one.
    async fn offer_state(&mut self, entry: &Entry) -> Result<()> {
        let Some(content) = self.open(&entry.name, Part::Whole).await? else { return Ok(()) };
        if content.len > SENT_UNASKED_MAX && self.is_same_there(entry, &content).await? {
            return Ok(());
        }
        let flags = if self.engine.is_unsure() { GIVES_BACK_UNSURE } else { GIVES_BACK };
        let modified = content.modified;
        self.send_file(entry, Command::SYNC_UPDATE_FILE, flags, modified, content).await
    }

    /// Sends the state of a file that was uploaded here, unless the peer has a later one: then that
    /// is taken over, and recorded for all.
    async fn settle_state(&mut self, entry: &Entry, is_peer_unsure: bool) -> Result<()> {
        if let Some(there) = self.info_there(&entry.name, INFO_WITHOUT_CRC).await? {
            if let Some(content) = self.open(&entry.name, Part::Whole).await?
                && self.is_same_there(entry, &content).await?
            {
                return Ok(());
            }
            let claim = Claim::Back { is_unsure: is_peer_unsure };
            if self.fetch_state(entry, there.modified, claim).await? {
                return Ok(());
            }
        }
        let Some(content) = self.open(&entry.name, Part::Whole).await? else { return Ok(()) };
        let modified = content.modified;
        self.send_file(entry, Command::SYNC_UPDATE_FILE, 0, modified, content).await
    }

    /// Takes over the peer's state of a file if it is the later one; tells whether it is.
    async fn fetch_state(&mut self, entry: &Entry, modified: i64, claim: Claim) -> Result<bool> {
        let (name, group) = (entry.name, self.engine.identity.group);
        let failed = |status| local(&name, status);
        let request = Download { offset: 0, len: 0, group, name }.encode();
        self.conn.start(Command::DOWNLOAD_FILE, 0, &request, 0).await?;
        let len = match self.conn.read_header().await {
            Err(error) if error.status() == Some(Status::ENOENT) => return Ok(false),
            len => len?,
        };
        let size = i64::try_from(len).unwrap_or(i64::MAX);
        let head = SyncFile { name, size, timestamp: seconds(modified), group };
        let engine = self.engine.clone();
        let begin = move || Incoming::begin(engine, &head, Operation::Update, claim);
        let mut incoming = self.on_lane(&name, begin).await?.map_err(failed)?;
        while self.conn.body_missing() > 0 {
            let mut piece = std::mem::take(&mut self.buffer);
            piece.resize(CHUNK_LEN, 0);
            let read = self.conn.read_body(&mut piece).await?;
            let write = move || {
                let written = incoming.write(piece.get(..read).unwrap_or_default());
                (written.map(|()| incoming), piece)
            };
            let (written, piece) = self.on_lane(&name, write).await?;
            (incoming, self.buffer) = (written.map_err(failed)?, piece);
        }
        let guard = self.engine.locks.lock(of_metadata(&name).unwrap_or(name)).await;
        let made = self.on_lane(&name, move || incoming.finish()).await?;
        let (pending, outcome) = made.map_err(failed)?;
        let (_, lane) = self.locate(&name)?;
        record(&self.engine, lane, pending).await.map_err(failed)?;
        drop(guard);
        Ok(outcome.is_ok())
    }

    async fn on_lane<T: Send + 'static>(
        &self,
        name: &Name,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let (_, lane) = self.locate(name)?;
        Ok(lane.run(work).await)
    }

    /// Whether the peer's file has the same content as the one here.
    async fn is_same_there(&mut self, entry: &Entry, content: &Content) -> Result<bool> {
        if self.size_there(&entry.name).await? != Some(content.len) {
            return Ok(false);
        }
        let Some(there) = self.info_there(&entry.name, 0).await? else { return Ok(false) };
        let (logic, lane) = self.locate(&entry.name)?;
        let path = self.engine.store.file(&logic).map_err(|status| local(&entry.name, status))?;
        let engine = self.engine.clone();
        let summing =
            move || -> Done<_> { checksum(&*engine.disk.open_read(&path).map_err(status)?) };
        let sum = lane.run_long(summing).await.map_err(|status| local(&entry.name, status))?;
        Ok(sum == (there.crc32, content.len))
    }

    async fn send_file(
        &mut self,
        entry: &Entry,
        command: Command,
        flags: u8,
        time: i64,
        content: Content,
    ) -> Result<()> {
        let size = i64::try_from(content.len).unwrap_or(i64::MAX);
        let (timestamp, group) = (seconds(time), self.engine.identity.group);
        let head = SyncFile { name: entry.name, size, timestamp, group }.encode();
        let outcome = self.exchange(command, flags, &head, Some(content)).await?;
        self.settle(entry, outcome, &[Status::EEXIST])
    }
}
