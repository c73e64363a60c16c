//! Sending one change to a peer (spec 03 §C4). What is sent is what is on the disk now, not what
//! was there when the record was written: records that follow make up the difference.

mod ahead;
mod offers;

pub(super) use ahead::is_short;

use super::of_metadata;
use super::reader::{Entry, Extra};
use crate::storage::binlog::Operation;
use crate::storage::disk::{DiskFile, Stat};
use crate::storage::engine::Engine;
use crate::storage::ops::{Done, status};
use crate::storage::stats::Op;
use bytes::BytesMut;
use fdfs_core::net::{CHUNK_LEN, Conn};
use fdfs_core::protocol::cluster::{SyncDelete, SyncFile, SyncNames, SyncRange, SyncTruncate};
use fdfs_core::protocol::replication::{ASKS_AHEAD, Introduced};
use fdfs_core::protocol::storage::{FileInfo, FileRef, INFO_WITHOUT_CRC};
use fdfs_core::protocol::{Command, Name, Status};
use fdfs_core::wire::{Rest, Wire};
use fdfs_core::{Error, ErrorKind, Result};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// After this an unused connection is replaced (spec 03 §C5).
const IDLE_MAX: Duration = Duration::from_secs(3600);

/// A connection to a peer.
#[derive(Debug)]
pub(super) struct PeerConn {
    conn: Conn,
    engine: Arc<Engine>,
    /// The last file was there already: the peer is asked before the next one is sent.
    exists_there: bool,
    buffer: Vec<u8>,
    used: Instant,
}

/// Content to be sent: the first piece of it is in the buffer.
struct Content {
    store_path: u8,
    file: Box<dyn DiskFile>,
    /// When the file was changed last, in Unix seconds.
    modified: i64,
    start: u64,
    len: u64,
    first: usize,
}

/// What is sent of a file that may have been cut since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Whole,
    /// A range, or nothing when some of it is gone: the peer's file must not get another size than
    /// the one that the record of the cut names.
    Exactly(u64, u64),
    /// What is left of a range: the record of the cut does not bring these bytes.
    Left(u64, u64),
}

/// Something is wrong with a file here.
fn local(name: &Name, status: Status) -> Error {
    let text = format!("reading {name} to replicate it");
    Error::new(ErrorKind::LocalIo, text).with_status(status)
}

impl PeerConn {
    pub(super) fn new(conn: Conn, engine: Arc<Engine>) -> Self {
        if let Err(error) = conn.drop_unsent_on_close() {
            tracing::warn!(%error, "a peer may get changes late after its line was cut");
        }
        let (buffer, used) = (Vec::new(), Instant::now());
        Self { conn, engine, exists_there: false, buffer, used }
    }

    /// Whether it was used lately: one that was not may have been dropped on the way by now.
    pub(super) fn is_fresh(&self) -> bool {
        self.used.elapsed() < IDLE_MAX
    }

    /// Says which storage this is; from then on the peer notes how far it has come. Peers of the
    /// original tell nothing.
    pub(super) async fn introduce(&mut self) -> Result<Option<Introduced>> {
        let (command, id) = (Command::REPORT_SERVER_ID, self.engine.identity.id);
        self.conn.call_with_flags(command, ASKS_AHEAD, &id).await
    }

    /// Asks for a sign of life.
    pub(super) async fn test(&mut self) -> Result<()> {
        self.conn.call(Command::ACTIVE_TEST, &()).await
    }

    /// Sends a change. An error means that the peer may not have it.
    pub(super) async fn send(&mut self, entry: &Entry) -> Result<()> {
        self.used = Instant::now();
        if self.is_in_trunk(entry) {
            tracing::error!(name = %entry.name,
                "a file inside a trunk file is not replicated: this server cannot read those yet");
            return Ok(());
        }
        if let Some(offer) = entry.offer {
            return self.offer(entry, offer).await;
        }
        match (entry.operation, entry.extra) {
            (Operation::Create, _) => self.whole(entry, Command::SYNC_CREATE_FILE).await,
            (Operation::Update, _) => self.whole(entry, Command::SYNC_UPDATE_FILE).await,
            (Operation::Append, Extra::Numbers(offset, len)) => {
                self.range(entry, Command::SYNC_APPEND_FILE, offset, len).await
            }
            (Operation::Modify, Extra::Numbers(offset, len)) => {
                self.range(entry, Command::SYNC_MODIFY_FILE, offset, len).await
            }
            (Operation::Truncate, Extra::Numbers(old_size, new_size)) => {
                self.truncate(entry, old_size, new_size).await
            }
            (Operation::Delete, _) => self.delete(entry, 0).await,
            (Operation::Link, extra) => self.link(entry, extra).await,
            (Operation::Rename, Extra::Name(_)) if entry.replica => {
                self.whole(entry, Command::SYNC_CREATE_FILE).await
            }
            (Operation::Rename, Extra::Name(old_name)) => self.rename(entry, old_name).await,
            // No such entry is ever made.
            _ => Ok(()),
        }
    }

    fn is_in_trunk(&self, entry: &Entry) -> bool {
        let found = self.engine.store.locate(entry.name.as_bytes());
        found.is_ok_and(|(name, _)| name.trunk_place().is_some())
    }

    async fn whole(&mut self, entry: &Entry, mut command: Command) -> Result<()> {
        let Some(content) = self.open(&entry.name, Part::Whole).await? else { return Ok(()) };
        let (group, name) = (self.engine.identity.group, entry.name);
        let mut is_there = false;
        if self.exists_there && command == Command::SYNC_CREATE_FILE {
            match self.size_there(&name).await? {
                Some(size) if size == content.len => is_there = true,
                Some(_) => command = Command::SYNC_UPDATE_FILE,
                None => {}
            }
        }
        let size = i64::try_from(content.len).unwrap_or(i64::MAX);
        let head = SyncFile { name, size, timestamp: seconds(entry.time), group }.encode();
        let outcome = match is_there {
            true => self.exchange(command, Status::EEXIST.0, &head, None).await?,
            false => self.exchange(command, 0, &head, Some(content)).await?,
        };
        self.exists_there = outcome == Status::EEXIST;
        self.settle(entry, outcome, &[Status::EEXIST])
    }

    async fn range(
        &mut self,
        entry: &Entry,
        command: Command,
        offset: u64,
        len: u64,
    ) -> Result<()> {
        let part = match command {
            Command::SYNC_MODIFY_FILE => Part::Left(offset, len),
            _ => Part::Exactly(offset, len),
        };
        let Some(content) = self.open(&entry.name, part).await? else { return Ok(()) };
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let head = SyncRange {
            name: entry.name,
            offset: number(offset),
            content_len: number(content.len),
            timestamp: seconds(entry.time),
            group: self.engine.identity.group,
        };
        match self.exchange(command, 0, &head.encode(), Some(content)).await? {
            Status::ENOENT => self.whole(entry, Command::SYNC_UPDATE_FILE).await,
            outcome => self.settle(entry, outcome, &[Status::EEXIST]),
        }
    }

    async fn truncate(&mut self, entry: &Entry, old_size: u64, new_size: u64) -> Result<()> {
        if self.look(&entry.name).await?.is_none() {
            return Ok(());
        }
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let head = SyncTruncate {
            name: entry.name,
            old_size: number(old_size),
            new_size: number(new_size),
            timestamp: seconds(entry.time),
            group: self.engine.identity.group,
        };
        match self.exchange(Command::SYNC_TRUNCATE_FILE, 0, &head.encode(), None).await? {
            // The original asks for ever; the file as it is now is what the peer needs.
            Status::ENOENT => self.whole(entry, Command::SYNC_UPDATE_FILE).await,
            // It was not what it should have been before, because of changes beyond what is left here
            // not all is sent. The original leaves it at that. That the sizes are the same by now
            // says nothing: the file here may have grown again.
            Status::EEXIST if self.size_there(&entry.name).await? != Some(new_size) => {
                self.whole(entry, Command::SYNC_UPDATE_FILE).await
            }
            outcome => self.settle(entry, outcome, &[Status::EEXIST]),
        }
    }

    /// Whether the peer's file has another size than the one here.
    async fn differs(&mut self, entry: &Entry) -> Result<bool> {
        let here = self.look(&entry.name).await?.map(|stat| stat.size);
        Ok(self.size_there(&entry.name).await? != here)
    }

    /// Bytes of the peer's file, if it has one.
    async fn size_there(&mut self, name: &Name) -> Result<Option<u64>> {
        let info = self.info_there(name, INFO_WITHOUT_CRC).await?;
        Ok(info.map(|info| info.size.max(0).unsigned_abs()))
    }

    /// What the peer knows of its file, if it has one.
    async fn info_there(&mut self, name: &Name, flags: u8) -> Result<Option<FileInfo>> {
        let request = FileRef { group: self.engine.identity.group, name: *name };
        let command = Command::QUERY_FILE_INFO;
        match self.conn.call_with_flags::<FileInfo>(command, flags, &request).await {
            Ok(info) => Ok(Some(info)),
            Err(error) if error.status() == Some(Status::ENOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn delete(&mut self, entry: &Entry, flags: u8) -> Result<()> {
        if self.look(&entry.name).await?.is_some() {
            self.wait_for_change(&entry.name).await;
            if self.look(&entry.name).await?.is_some() {
                // It is back, and a later record says so; or the deletion was not made after all.
                return Ok(());
            }
        }
        let (timestamp, group) = (seconds(entry.time), self.engine.identity.group);
        let head = SyncDelete { timestamp, group, name: entry.name }.encode();
        let outcome = self.exchange(Command::SYNC_DELETE_FILE, flags, &head, None).await?;
        self.settle(entry, outcome, &[Status::ENOENT])
    }

    /// Waits for a change of the file that is under way: a deletion is recorded first and made
    /// then. Metadata change under the lock of their file.
    async fn wait_for_change(&self, name: &Name) {
        for name in [Some(*name), of_metadata(name)].into_iter().flatten() {
            drop(self.engine.locks.lock(name).await);
        }
    }

    async fn link(&mut self, entry: &Entry, extra: Extra) -> Result<()> {
        let is_link = self.look(&entry.name).await?.is_some_and(|stat| stat.is_link);
        let target = match extra {
            Extra::Name(target) => Some(target),
            _ => {
                let (logic, _) = self.locate(&entry.name)?;
                self.engine.link_target(&logic)
            }
        };
        let Some(source) = target.filter(|_| is_link) else { return Ok(()) };
        let outcome = self.names(Command::SYNC_CREATE_LINK, entry, source).await?;
        self.settle(entry, outcome, &[Status::ENOENT])
    }

    async fn rename(&mut self, entry: &Entry, old_name: Name) -> Result<()> {
        if self.look(&entry.name).await?.is_none() {
            return Ok(());
        }
        match self.names(Command::SYNC_RENAME_FILE, entry, old_name).await? {
            Status::ENOENT => self.whole(entry, Command::SYNC_CREATE_FILE).await,
            // Changes under the old name that were not sent yet when it went are not sent any more.
            // The original leaves it at that (spec 03, quirk C4).
            Status::OK | Status::EEXIST if self.differs(entry).await? => {
                self.whole(entry, Command::SYNC_UPDATE_FILE).await
            }
            outcome => self.settle(entry, outcome, &[Status::EEXIST]),
        }
    }

    async fn names(&mut self, command: Command, entry: &Entry, source: Name) -> Result<Status> {
        let (timestamp, group) = (seconds(entry.time), self.engine.identity.group);
        let head = SyncNames { name: entry.name, source, timestamp, group }.encode();
        self.exchange(command, 0, &head, None).await
    }

    /// A status is a success, says that there was nothing to do, or is an error.
    fn settle(&self, entry: &Entry, outcome: Status, fine: &[Status]) -> Result<()> {
        if outcome.is_ok() || fine.contains(&outcome) {
            return Ok(());
        }
        let text = format!("the peer refused {:?} of {}", entry.operation, entry.name);
        let error = Error::new(ErrorKind::of_status(outcome), text).with_status(outcome);
        Err(error.with_peer(self.conn.peer()))
    }

    /// One exchange; a refusal is a status here, not an error.
    async fn exchange(
        &mut self,
        command: Command,
        flags: u8,
        head: &BytesMut,
        content: Option<Content>,
    ) -> Result<Status> {
        let len = content.as_ref().map_or(0, |content| content.len);
        let sent = self.send_request(command, flags, head, content).await;
        self.engine.stats.count(Op::SyncOutBytes, len, sent.is_ok());
        sent?;
        // The original's answer to a rename has a body that means nothing (spec 03 §C4.6).
        match self.conn.read_reply::<Rest>().await {
            Ok(_) => Ok(Status::OK),
            Err(error) => error.status().ok_or(error),
        }
    }

    async fn send_request(
        &mut self,
        command: Command,
        flags: u8,
        head: &BytesMut,
        content: Option<Content>,
    ) -> Result<()> {
        let len = content.as_ref().map_or(0, |content| content.len);
        self.conn.start(command, flags, head, len).await?;
        let Some(mut content) = content else { return Ok(()) };
        let mut piece = content.first;
        let mut sent = 0;
        while sent < len {
            let bytes = self.buffer.get(..piece).unwrap_or_default();
            if !self.conn.send_content(bytes).await? {
                return Ok(());
            }
            sent += piece as u64;
            if sent < len {
                (content, piece) = self.read_piece(content, sent).await?;
            }
        }
        Ok(())
    }

    fn locate<'n>(
        &self,
        name: &'n Name,
    ) -> Result<(fdfs_core::file_id::LogicName<'n>, &crate::storage::lane::Lane)> {
        let found = self.engine.store.locate(name.as_bytes());
        let (logic, path) = found.map_err(|status| local(name, status))?;
        Ok((logic, &path.lane))
    }

    /// Looks at a file or link.
    async fn look(&self, name: &Name) -> Result<Option<Stat>> {
        let (logic, lane) = self.locate(name)?;
        let path = self.engine.store.file(&logic).map_err(|status| local(name, status))?;
        let engine = self.engine.clone();
        match lane.run(move || engine.disk.lstat(&path)).await {
            Ok(stat) => Ok(Some(stat)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(local(name, status(error))),
        }
    }

    /// Opens a file, or a range of it, and reads its first piece; `None` when there is nothing to
    /// be sent any more.
    async fn open(&mut self, name: &Name, part: Part) -> Result<Option<Content>> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let (logic, lane) = self.locate(name)?;
        let store_path = logic.store_path();
        let path = self.engine.store.file(&logic).map_err(|status| local(name, status))?;
        let engine = self.engine.clone();
        let opened = lane.run(move || {
            let opened = open(&engine, &path, store_path, part, &mut buffer);
            (opened, buffer)
        });
        let (opened, buffer) = opened.await;
        self.buffer = buffer;
        opened.map_err(|status| local(name, status))
    }

    /// Reads the next piece into the buffer.
    async fn read_piece(&mut self, content: Content, from: u64) -> Result<(Content, usize)> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let want = usize::try_from(content.len - from).unwrap_or(usize::MAX).min(buffer.len());
        let path = self.engine.store.path(content.store_path);
        let failed = |text| Error::new(ErrorKind::LocalIo, text);
        let path = path.map_err(|_| failed("a store path is gone"))?;
        let reading = path.lane.run(move || {
            let piece = buffer.get_mut(..want).unwrap_or_default();
            let read = content.file.read_at(piece, content.start + from);
            (content, buffer, read)
        });
        let (content, buffer, read) = reading.await;
        self.buffer = buffer;
        match read {
            Ok(read) if read == want => Ok((content, want)),
            Ok(_) => Err(failed("a file became shorter while it was being replicated")),
            Err(error) => Err(failed("reading to replicate").with_source(error)),
        }
    }
}

fn open(
    engine: &Engine,
    path: &Path,
    store_path: u8,
    part: Part,
    buffer: &mut Vec<u8>,
) -> Done<Option<Content>> {
    let file = match engine.disk.open_read(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(status(error)),
    };
    let stat = file.stat().map_err(status)?;
    if !stat.is_file {
        return Ok(None);
    }
    let (start, len) = match part {
        Part::Whole => (0, stat.size),
        Part::Exactly(start, len) => (start, len),
        Part::Left(start, len) => (start, len.min(stat.size.saturating_sub(start))),
    };
    let is_cut = start.checked_add(len).is_none_or(|end| end > stat.size);
    if is_cut || (len == 0 && part != Part::Whole) {
        // The record of that follows.
        return Ok(None);
    }
    let first = usize::try_from(len).unwrap_or(usize::MAX).min(CHUNK_LEN);
    if buffer.len() < first {
        buffer.resize(first, 0);
    }
    let piece = buffer.get_mut(..first).unwrap_or_default();
    match file.read_at(piece, start).map_err(status)? {
        read if read == first => {
            let modified = stat.modified;
            Ok(Some(Content { store_path, file, modified, start, len, first }))
        }
        _ => Ok(None),
    }
}

/// A time as it is on the wire.
fn seconds(time: i64) -> i32 {
    i32::try_from(time).unwrap_or(i32::MAX)
}
