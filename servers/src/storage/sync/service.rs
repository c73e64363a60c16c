//! What peers send, from their sockets to [`super::receive`] (spec 03 §C2, §C4).

use super::receive::{self, Incoming, Made, Range};
use crate::daemon::{BUFFER_LARGE_LEN, Conn, ConnError, Request};
use crate::storage::binlog::Operation;
use crate::storage::engine::Engine;
use crate::storage::lane::Lane;
use crate::storage::locks::FileGuard;
use crate::storage::ops::Done;
use crate::storage::pending::commit;
use crate::storage::stats::Op;
use fdfs_core::protocol::cluster::{SyncDelete, SyncFile, SyncNames, SyncRange, SyncTruncate};
use fdfs_core::protocol::{Command, Group, Name, Status, StorageId};
use fdfs_core::wire::Wire;
use std::sync::Arc;

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

/// The status of the reply, and the time of the change.
type Handled = Result<(Status, i32), Stop>;

/// Handles a request of replication; `source` is who the connection said it is. The status of the
/// reply is the error, as for all requests.
pub(in crate::storage) async fn handle(
    engine: &Arc<Engine>,
    conn: &mut Conn,
    request: Request,
    source: &mut Option<StorageId>,
) -> Result<Done<()>, ConnError> {
    let command = request.header.command;
    if command == Command::REPORT_SERVER_ID {
        let id = StorageId::decode(conn.head()).ok().filter(|id| !id.is_empty());
        *source = id.or(*source);
        return Ok(id.map(|_| ()).ok_or(Status::EINVAL));
    }
    let content_len = request.content_len;
    let (outcome, timestamp) = match received(engine, conn, request).await {
        Ok(done) => done,
        Err(Stop::Refused(status)) => (status, 0),
        Err(Stop::Lost(error)) => return Err(error),
    };
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
        if let Some(source) = *source {
            engine.arrivals.note(source, timestamp);
        }
    }
    if content_len > 0 {
        engine.stats.count(Op::SyncInBytes, content_len, outcome.is_ok());
    }
    Ok(if outcome.is_ok() { Ok(()) } else { Err(outcome) })
}

async fn received(engine: &Arc<Engine>, conn: &mut Conn, request: Request) -> Handled {
    match request.header.command {
        Command::SYNC_CREATE_FILE => file(engine, conn, request, Operation::Create).await,
        Command::SYNC_UPDATE_FILE => file(engine, conn, request, Operation::Update).await,
        Command::SYNC_APPEND_FILE => range(engine, conn, request, Operation::Append).await,
        Command::SYNC_MODIFY_FILE => range(engine, conn, request, Operation::Modify).await,
        Command::SYNC_DELETE_FILE => {
            let head = decode::<SyncDelete>(engine, conn, |head| head.group)?;
            let work =
                move |engine: &Engine, name: &Name| receive::delete(engine, name, head.timestamp);
            small(engine, head.name, head.timestamp, work).await
        }
        Command::SYNC_TRUNCATE_FILE => {
            let head = decode::<SyncTruncate>(engine, conn, |head| head.group)?;
            let (name, timestamp) = (head.name, head.timestamp);
            let work = move |engine: &Engine, _: &Name| receive::truncate(engine, &head);
            small(engine, name, timestamp, work).await
        }
        Command::SYNC_CREATE_LINK => {
            let head = decode::<SyncNames>(engine, conn, |head| head.group)?;
            let (name, timestamp) = (head.name, head.timestamp);
            let work = move |engine: &Engine, _: &Name| receive::link(engine, &head);
            small(engine, name, timestamp, work).await
        }
        _ => {
            let head = decode::<SyncNames>(engine, conn, |head| head.group)?;
            // The file is known by its old name until this is done.
            let (old_name, timestamp) = (head.source, head.timestamp);
            let work = move |engine: &Engine, _: &Name| receive::rename(engine, &head);
            small(engine, old_name, timestamp, work).await
        }
    }
}

/// The request's head, when it is for this group.
fn decode<T: Wire>(engine: &Engine, conn: &Conn, group: impl Fn(&T) -> Group) -> Done<T> {
    let head = T::decode(conn.head()).map_err(|_| Status::EINVAL)?;
    engine.check_group(&group(&head)).map(|()| head)
}

/// Records what was made; the file stays locked until then.
async fn settle(
    engine: &Arc<Engine>,
    lane: &Lane,
    made: Made,
    timestamp: i32,
    guard: Option<FileGuard>,
) -> Handled {
    let (pending, outcome) = made?;
    commit(engine, lane, Ok(pending)).await?;
    drop(guard);
    Ok((outcome, timestamp))
}

/// A change without content.
async fn small(
    engine: &Arc<Engine>,
    name: Name,
    timestamp: i32,
    work: impl FnOnce(&Engine, &Name) -> Made + Send + 'static,
) -> Handled {
    let (logic, path) = engine.store.locate(name.as_bytes())?;
    let name = logic.canonical();
    let guard = engine.locks.lock(name).await;
    let for_work = engine.clone();
    // The work takes the guard along, whatever becomes of the connection.
    let done = path.lane.run(move || (work(&for_work, &name), guard));
    let (made, guard) = done.await;
    settle(engine, &path.lane, made, timestamp, Some(guard)).await
}

/// A whole file.
async fn file(
    engine: &Arc<Engine>,
    conn: &mut Conn,
    request: Request,
    operation: Operation,
) -> Handled {
    let head = decode::<SyncFile>(engine, conn, |head| head.group)?;
    let timestamp = head.timestamp;
    let (logic, path) = engine.store.locate(head.name.as_bytes())?;
    let (name, lane) = (logic.canonical(), &path.lane);
    if request.header.status == Status::EEXIST {
        let work = move |engine: &Engine, name: &Name| {
            receive::present(engine, name, operation, timestamp)
        };
        return small(engine, name, timestamp, work).await;
    }
    if u64::try_from(head.size) != Ok(request.content_len) {
        return Err(Status::EINVAL.into());
    }
    let for_work = engine.clone();
    if request.content_len <= BUFFER_LARGE_LEN as u64 {
        let content = conn.whole_content().await?;
        let guard = engine.locks.lock(name).await;
        let done = lane.run_with(content, move |content| {
            let begun = Incoming::begin(for_work, &head, operation);
            let made = begun.and_then(|mut incoming| {
                incoming.write(content)?;
                incoming.finish()
            });
            (made, guard)
        });
        let (made, guard) = done.await;
        conn.release_buffer();
        return settle(engine, lane, made, timestamp, Some(guard)).await;
    }
    let mut incoming = lane.run(move || Incoming::begin(for_work, &head, operation)).await?;
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
    let guard = engine.locks.lock(name).await;
    let made = lane.run(move || incoming.finish()).await;
    settle(engine, lane, made, timestamp, Some(guard)).await
}

/// A part of a file.
async fn range(
    engine: &Arc<Engine>,
    conn: &mut Conn,
    request: Request,
    operation: Operation,
) -> Handled {
    let head = decode::<SyncRange>(engine, conn, |head| head.group)?;
    let timestamp = head.timestamp;
    let (logic, path) = engine.store.locate(head.name.as_bytes())?;
    let (name, lane) = (logic.canonical(), &path.lane);
    if u64::try_from(head.content_len) != Ok(request.content_len) {
        return Err(Status::EINVAL.into());
    }
    let for_work = engine.clone();
    if request.content_len <= BUFFER_LARGE_LEN as u64 {
        // Content that arrives slowly must not keep others from the file.
        let content = conn.whole_content().await?;
        let guard = engine.locks.lock(name).await;
        let done = lane.run_with(content, move |content| {
            let mut range = Range::begin(for_work, &head, operation, guard)?;
            range.write(content)?;
            range.finish()
        });
        let made = done.await;
        conn.release_buffer();
        return settle(engine, lane, made, timestamp, None).await;
    }
    let guard = engine.locks.lock(name).await;
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
    settle(engine, lane, made, timestamp, None).await
}
