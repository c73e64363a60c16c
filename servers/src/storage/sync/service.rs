//! What peers send, from their sockets to [`super::receive`] (spec 03 §C2, §C4).

use super::of_metadata;
use super::receive::{self, Claim, Incoming, Made, Range};
use crate::daemon::{BUFFER_LARGE_LEN, Conn, ConnError, Request, after_others};
use crate::storage::binlog::Operation;
use crate::storage::engine::Engine;
use crate::storage::locks::FileGuard;
use crate::storage::ops::Done;
use crate::storage::pending::{Pending, record};
use crate::storage::stats::Op;
use bytes::BytesMut;
use fdfs_core::net::AHEAD_MAX;
use fdfs_core::protocol::cluster::{SyncDelete, SyncFile, SyncNames, SyncRange, SyncTruncate};
use fdfs_core::protocol::frame::Header;
use fdfs_core::protocol::replication::{ASKS_AHEAD, Introduced};
use fdfs_core::protocol::{Command, Group, Name, Status, StorageId};
use fdfs_core::wire::Wire;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long a peer that introduces itself waits until the files of the last run are checked; then it
/// comes again.
const CHECK_TIME_MAX: Duration = Duration::from_secs(5);

/// Why a request ends early.
enum Stop {
    Refused(Status),
    Lost(ConnError),
}

impl From<Status> for Stop {
    fn from(status: Status) -> Self {
        Self::Refused(status)
    }
}

impl From<ConnError> for Stop {
    fn from(error: ConnError) -> Self {
        Self::Lost(error)
    }
}

/// What a request came to in the files; it is not recorded yet.
struct Arrived {
    store_path: u8,
    pending: Pending<()>,
    /// The status of the reply, when it can be recorded.
    outcome: Status,
    /// The time of the change.
    timestamp: i32,
    /// Keeps others from the file until it is recorded.
    guard: Option<FileGuard>,
}

type Handled = Result<Arrived, Stop>;

/// One connection as a peer uses it.
#[derive(Default)]
pub(in crate::storage) struct Session {
    /// Who the connection said it is.
    source: Option<StorageId>,
    /// Changes that came together, with command and length of content: one write records them. No
    /// bytes of the peer are waited for as long as there are any.
    unrecorded: Vec<(Command, u64, Arrived)>,
    /// The replies of those before them: one write sends them.
    replies: Vec<Status>,
}

impl Session {
    /// Handles a request of replication. The status of the reply is the error, as for all requests;
    /// without a body, the reply is sent here.
    pub(in crate::storage) async fn handle(
        &mut self,
        engine: &Arc<Engine>,
        conn: &mut Conn,
        request: Request,
    ) -> Result<Done<Option<BytesMut>>, ConnError> {
        let (command, content_len) = (request.header.command, request.content_len);
        if command == Command::REPORT_SERVER_ID {
            return Ok(self.introduce(engine, conn, request.header.status).await);
        }
        match received(self, engine, conn, request).await {
            Ok(arrived) => self.unrecorded.push((command, content_len, arrived)),
            Err(Stop::Refused(status)) => {
                self.settle(engine, conn).await?;
                self.note(engine, command, content_len, status, 0);
                return Ok(Err(status));
            }
            Err(Stop::Lost(error)) => return Err(error),
        }
        let goes_on = |header: Header| {
            header.command.is_replication() && header.command != Command::REPORT_SERVER_ID
        };
        if self.unrecorded.len() == AHEAD_MAX || !conn.next_whole().is_some_and(goes_on) {
            self.settle(engine, conn).await?;
        }
        Ok(Ok(None))
    }

    async fn introduce(
        &mut self,
        engine: &Engine,
        conn: &Conn,
        flags: Status,
    ) -> Done<Option<BytesMut>> {
        let id = StorageId::decode(conn.head()).ok().filter(|id| !id.is_empty());
        self.source = id.or(self.source);
        id.ok_or(Status::EINVAL)?;
        if flags.0 != ASKS_AHEAD {
            return Ok(Some(None::<Introduced>.encode()));
        }
        let mut checked = engine.checked.subscribe();
        let is_checked = timeout(CHECK_TIME_MAX, checked.wait_for(|checked| *checked)).await;
        is_checked.map_err(|_| Status::EBUSY)?.map_err(|_| Status::EBUSY)?;
        let ahead_max = u8::try_from(AHEAD_MAX).unwrap_or(u8::MAX);
        let (boot, source) = (engine.boot, engine.identity.source);
        let is_unsure = engine.is_unsure().into();
        let told = Introduced { ahead_max, boot, is_unsure, source };
        Ok(Some(Some(told).encode()))
    }

    /// Locks a file, for metadata that of which they are. Changes of this connection may hold it, and
    /// others may wait for theirs: so no lock is waited for while any is held.
    async fn lock(&mut self, engine: &Arc<Engine>, name: Name) -> FileGuard {
        let name = of_metadata(&name).unwrap_or(name);
        if !self.unrecorded.is_empty() {
            if let Some(guard) = engine.locks.try_lock(name) {
                return guard;
            }
            self.record(engine).await;
        }
        engine.locks.lock(name).await
    }

    /// Records what was made.
    async fn record(&mut self, engine: &Arc<Engine>) {
        if !self.unrecorded.is_empty() {
            after_others().await;
        }
        for (command, content_len, arrived) in std::mem::take(&mut self.unrecorded) {
            let Arrived { store_path, pending, outcome, timestamp, guard } = arrived;
            let recorded = match engine.store.path(store_path) {
                Ok(path) => record(engine, &path.lane, pending).await,
                Err(status) => Err(status),
            };
            drop(guard);
            let (outcome, timestamp) = match recorded {
                Ok(()) => (outcome, timestamp),
                Err(status) => (status, 0),
            };
            self.note(engine, command, content_len, outcome, timestamp);
            self.replies.push(outcome);
        }
    }

    /// Records what was made, and tells the peer.
    async fn settle(&mut self, engine: &Arc<Engine>, conn: &mut Conn) -> Result<(), ConnError> {
        self.record(engine).await;
        conn.reply_together(&std::mem::take(&mut self.replies)).await
    }

    /// Counts what has arrived.
    fn note(
        &self,
        engine: &Engine,
        command: Command,
        content_len: u64,
        outcome: Status,
        timestamp: i32,
    ) {
        let arrived = match command {
            Command::SYNC_CREATE_LINK => true,
            // The original never counts it (spec 03 §C2).
            Command::SYNC_RENAME_FILE => false,
            Command::SYNC_DELETE_FILE | Command::SYNC_TRUNCATE_FILE => outcome.is_ok(),
            Command::SYNC_CREATE_FILE | Command::SYNC_UPDATE_FILE => {
                outcome.is_ok() || outcome == Status::EEXIST
            }
            _ => timestamp > 0,
        };
        if arrived && timestamp > 0 {
            engine.stats.sync_update(engine.now());
            if let Some(source) = self.source {
                engine.arrivals.note(source, timestamp);
            }
        }
        if content_len > 0 {
            engine.stats.count(Op::SyncInBytes, content_len, outcome.is_ok());
        }
    }
}

async fn received(
    session: &mut Session,
    engine: &Arc<Engine>,
    conn: &mut Conn,
    request: Request,
) -> Handled {
    match request.header.command {
        Command::SYNC_CREATE_FILE => file(session, engine, conn, request, Operation::Create).await,
        Command::SYNC_UPDATE_FILE => file(session, engine, conn, request, Operation::Update).await,
        Command::SYNC_APPEND_FILE => range(session, engine, conn, request, Operation::Append).await,
        Command::SYNC_MODIFY_FILE => range(session, engine, conn, request, Operation::Modify).await,
        Command::SYNC_DELETE_FILE => {
            let head = decode::<SyncDelete>(engine, conn, |head| head.group)?;
            let claim = Claim::of(request.header.status);
            let work = move |engine: &Engine, name: &Name| {
                receive::delete(engine, name, head.timestamp, claim != Claim::New)
            };
            small(session, engine, head.name, claim.progress(head.timestamp), work).await
        }
        Command::SYNC_TRUNCATE_FILE => {
            let head = decode::<SyncTruncate>(engine, conn, |head| head.group)?;
            let (name, timestamp) = (head.name, head.timestamp);
            let work = move |engine: &Engine, _: &Name| receive::truncate(engine, &head);
            small(session, engine, name, timestamp, work).await
        }
        Command::SYNC_CREATE_LINK => {
            let head = decode::<SyncNames>(engine, conn, |head| head.group)?;
            let (name, timestamp) = (head.name, head.timestamp);
            let work = move |engine: &Engine, _: &Name| receive::link(engine, &head);
            small(session, engine, name, timestamp, work).await
        }
        _ => {
            let head = decode::<SyncNames>(engine, conn, |head| head.group)?;
            // The file is known by its old name until this is done.
            let (old_name, timestamp) = (head.source, head.timestamp);
            let work = move |engine: &Engine, _: &Name| receive::rename(engine, &head);
            small(session, engine, old_name, timestamp, work).await
        }
    }
}

/// The request's head, when it is for this group.
fn decode<T: Wire>(engine: &Engine, conn: &Conn, group: impl Fn(&T) -> Group) -> Done<T> {
    let head = T::decode(conn.head()).map_err(|_| Status::EINVAL)?;
    engine.check_group(&group(&head)).map(|()| head)
}

fn arrived(store_path: u8, made: Made, timestamp: i32, guard: Option<FileGuard>) -> Handled {
    let (pending, outcome) = made?;
    Ok(Arrived { store_path, pending, outcome, timestamp, guard })
}

/// A change without content.
async fn small(
    session: &mut Session,
    engine: &Arc<Engine>,
    name: Name,
    timestamp: i32,
    work: impl FnOnce(&Engine, &Name) -> Made + Send + 'static,
) -> Handled {
    let (logic, path) = engine.store.locate(name.as_bytes())?;
    let (name, store_path) = (logic.canonical(), logic.store_path());
    let guard = session.lock(engine, name).await;
    let for_work = engine.clone();
    // The work takes the guard along, whatever becomes of the connection.
    let done = path.lane.run(move || (work(&for_work, &name), guard));
    let (made, guard) = done.await;
    arrived(store_path, made, timestamp, Some(guard))
}

/// A whole file.
async fn file(
    session: &mut Session,
    engine: &Arc<Engine>,
    conn: &mut Conn,
    request: Request,
    operation: Operation,
) -> Handled {
    let head = decode::<SyncFile>(engine, conn, |head| head.group)?;
    let timestamp = head.timestamp;
    let (logic, path) = engine.store.locate(head.name.as_bytes())?;
    let (name, store_path, lane) = (logic.canonical(), logic.store_path(), &path.lane);
    if request.header.status == Status::EEXIST {
        if request.content_len > 0 {
            return Err(Status::EINVAL.into());
        }
        let work = move |engine: &Engine, name: &Name| {
            receive::present(engine, name, operation, timestamp)
        };
        return small(session, engine, name, timestamp, work).await;
    }
    if u64::try_from(head.size) != Ok(request.content_len) {
        return Err(Status::EINVAL.into());
    }
    let claim = Claim::of(request.header.status);
    let timestamp = claim.progress(timestamp);
    let for_work = engine.clone();
    if request.content_len <= BUFFER_LARGE_LEN as u64 {
        let content = conn.whole_content().await?;
        let guard = session.lock(engine, name).await;
        let done = lane.run_with(content, move |content| {
            let begun = Incoming::begin(for_work, &head, operation, claim);
            let made = begun.and_then(|mut incoming| {
                incoming.write(content)?;
                incoming.finish()
            });
            (made, guard)
        });
        let (made, guard) = done.await;
        conn.release_buffer();
        return arrived(store_path, made, timestamp, Some(guard));
    }
    let begin = move || Incoming::begin(for_work, &head, operation, claim);
    let mut incoming = lane.run(begin).await?;
    while conn.content_left() > 0 {
        let piece = match conn.fill_content(BUFFER_LARGE_LEN).await {
            Ok(piece) => piece,
            Err(error) => {
                // Cleaning up is file work, too.
                lane.run(move || drop(incoming)).await;
                return Err(error.into());
            }
        };
        let written = lane.run_with(piece, move |piece| incoming.write(piece).map(|()| incoming));
        incoming = written.await?;
    }
    conn.release_buffer();
    let guard = session.lock(engine, name).await;
    let made = lane.run(move || incoming.finish()).await;
    arrived(store_path, made, timestamp, Some(guard))
}

/// A part of a file.
async fn range(
    session: &mut Session,
    engine: &Arc<Engine>,
    conn: &mut Conn,
    request: Request,
    operation: Operation,
) -> Handled {
    let head = decode::<SyncRange>(engine, conn, |head| head.group)?;
    let timestamp = head.timestamp;
    let (logic, path) = engine.store.locate(head.name.as_bytes())?;
    let (name, store_path, lane) = (logic.canonical(), logic.store_path(), &path.lane);
    if u64::try_from(head.content_len) != Ok(request.content_len) {
        return Err(Status::EINVAL.into());
    }
    let for_work = engine.clone();
    if request.content_len <= BUFFER_LARGE_LEN as u64 {
        // Content that arrives slowly must not keep others from the file.
        let content = conn.whole_content().await?;
        let guard = session.lock(engine, name).await;
        let done = lane.run_with(content, move |content| {
            let mut range = Range::begin(for_work, &head, operation, guard)?;
            range.write(content)?;
            range.finish()
        });
        let made = done.await;
        conn.release_buffer();
        return arrived(store_path, made, timestamp, None);
    }
    let guard = session.lock(engine, name).await;
    let mut range = lane.run(move || Range::begin(for_work, &head, operation, guard)).await?;
    while conn.content_left() > 0 {
        let piece = match conn.fill_content(BUFFER_LARGE_LEN).await {
            Ok(piece) => piece,
            Err(error) => {
                lane.run(move || drop(range)).await;
                return Err(error.into());
            }
        };
        let written = lane.run_with(piece, move |piece| range.write(piece).map(|()| range));
        range = written.await?;
    }
    conn.release_buffer();
    let made = lane.run(move || range.finish()).await;
    arrived(store_path, made, timestamp, None)
}
