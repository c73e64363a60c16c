//! The storage on its sockets: which request goes to which operation, and what becomes of the
//! connection afterwards.

use super::engine::Engine;
use super::lane::Lane;
use super::names::NewKind;
use super::ops::{Done, change, delete, download, info, link, metadata, upload};
use super::pending::{Pending, commit};
use super::stats::Op;
use super::sync;
use crate::daemon::{BUFFER_LARGE_LEN, Conn, ConnError, Request, blocking};
use bytes::BytesMut;
use fdfs_core::protocol::cluster::FetchPathBinlog;
use fdfs_core::protocol::frame::{FrameError, Header};
use fdfs_core::protocol::storage::{
    Append, CreateLink, Download, FileRef, Modify, SetMetadata, StoredAs, Truncate, Upload,
    UploadSlave,
};
use fdfs_core::protocol::{Command, Name, Status};
use fdfs_core::wire::Wire;
use std::sync::Arc;

/// Content of a refused request that is read and dropped to keep the connection; with more, it is
/// closed. Content is never taken for the next request (spec 01 Q2).
const REFUSED_CONTENT_MAX: u64 = 1 << 20;

/// Shortest name of an appender file.
const APPENDER_NAME_LEN_MIN: usize = 44;

/// What a handler leaves to be sent.
enum Answer {
    /// A reply with this body.
    Body(BytesMut),
    /// Nothing: the handler has sent it.
    Sent,
    /// Nothing, and the end of the connection is the end of what the handler has sent.
    SentLast,
}

type Handled = Result<Done<Answer>, ConnError>;

/// Serves one connection until it ends.
pub async fn serve(engine: Arc<Engine>, mut conn: Conn) {
    if let Err(error) = requests(&engine, &mut conn).await {
        tracing::debug!(peer = %conn.peer(), %error, "connection closed");
    }
}

async fn requests(engine: &Arc<Engine>, conn: &mut Conn) -> Result<(), ConnError> {
    let mut session = sync::service::Session::default();
    loop {
        let request = match conn.next_request().await {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(()),
            Err(error) => {
                if let ConnError::Frame(FrameError::TooLong { .. }) = error {
                    conn.reply(Status::EINVAL, &[]).await?;
                }
                return Err(error);
            }
        };
        if request.header.command == Command::QUIT {
            return Ok(());
        }
        let handled = match request.header.command.is_replication() {
            true => {
                let done = session.handle(engine, conn, request).await?;
                done.map(|body| body.map_or(Answer::Sent, Answer::Body))
            }
            false => handle(engine, conn, request).await?,
        };
        match handled {
            Ok(Answer::Sent) => {}
            Ok(Answer::SentLast) => return Ok(()),
            Ok(Answer::Body(body)) => conn.reply(Status::OK, &body).await?,
            Err(status) => {
                let command = request.header.command;
                tracing::debug!(peer = %conn.peer(), %command, %status, "request refused");
                conn.reply(status, &[]).await?;
                // Clients know that a storage closes after status 22 (spec 01 §5).
                let kept = conn.skip_content(REFUSED_CONTENT_MAX).await?;
                if status == Status::EINVAL || !kept {
                    return Ok(());
                }
            }
        }
    }
}

fn decode<T: Wire>(conn: &Conn) -> Done<T> {
    T::decode(conn.head()).map_err(|_| Status::EINVAL)
}

/// Leaves the handler with an error status, which is not an error of the connection.
macro_rules! attempt {
    ($done:expr) => {
        match $done {
            Ok(value) => value,
            Err(status) => return Ok(Err(status)),
        }
    };
}

async fn handle(engine: &Arc<Engine>, conn: &mut Conn, request: Request) -> Handled {
    match request.header.command {
        Command::UPLOAD_FILE => upload_file(engine, conn, request, NewKind::Normal).await,
        Command::UPLOAD_APPENDER_FILE => {
            upload_file(engine, conn, request, NewKind::Appender).await
        }
        Command::UPLOAD_SLAVE_FILE => {
            let head = attempt!(decode::<UploadSlave>(conn));
            look_at_space(engine);
            let (len, (_, lane)) = (request.content_len, attempt!(resolve(engine, &head.master)));
            let for_work = engine.clone();
            let accepted = lane.run(move || upload::accept_slave(&for_work, &head, len)).await;
            upload_content(engine, conn, accepted, request.content_len).await
        }
        Command::APPEND_FILE => {
            let head = attempt!(decode::<Append>(conn));
            let declared = head.content_len;
            write_content(engine, conn, request, head.name, None, declared).await
        }
        Command::MODIFY_FILE => {
            let head = attempt!(decode::<Modify>(conn));
            let offset = attempt!(u64::try_from(head.offset).map_err(|_| Status::EINVAL));
            let declared = head.content_len;
            write_content(engine, conn, request, head.name, Some(offset), declared).await
        }
        Command::DOWNLOAD_FILE => {
            let head = attempt!(decode::<Download>(conn));
            download_file(engine, conn, head).await
        }
        Command::FETCH_ONE_PATH_BINLOG => {
            let head = attempt!(decode::<FetchPathBinlog>(conn));
            let sent = sync::path_binlog::send(engine, conn, &head).await?;
            Ok(sent.map(|()| Answer::SentLast))
        }
        Command::REPLICATION_STATUS => {
            attempt!(decode::<()>(conn));
            let status = sync::progress::status(engine).await;
            Ok(Ok(Answer::Body(status.encode())))
        }
        Command::ACTIVE_TEST => Ok(decode::<()>(conn).map(|()| Answer::Body(BytesMut::new()))),
        _ => handle_small(engine, conn, request.header).await,
    }
}

/// Requests without content on either side.
async fn handle_small(engine: &Arc<Engine>, conn: &Conn, header: Header) -> Handled {
    let done = match header.command {
        Command::TRUNCATE_FILE => {
            let head = attempt!(decode::<Truncate>(conn));
            let size = attempt!(u64::try_from(head.size).map_err(|_| Status::EINVAL));
            let name = attempt!(appender_name(head.name));
            let work = move |e: &Engine, name: &Name| change::truncate(e, name, size);
            let done = change_file(engine, name, Pace::Short, work).await;
            counted(engine, Op::TruncateCount, done).map(|()| empty())
        }
        Command::REGENERATE_APPENDER_FILENAME => {
            let name = attempt!(decode::<Name>(conn).and_then(appender_name));
            let done = change_file(engine, name, Pace::Long, change::regenerate).await;
            done.map(|name| stored_as(engine, name))
        }
        Command::DELETE_FILE => {
            let name = attempt!(file_name(engine, conn));
            let done = change_file(engine, name, Pace::Short, delete::delete).await;
            counted(engine, Op::DeleteCount, done).map(|()| empty())
        }
        Command::SET_METADATA => {
            let head = attempt!(decode::<SetMetadata>(conn));
            attempt!(metadata::check(engine, &head));
            let name = head.name;
            let done = if metadata::clears(&head) {
                change_file(engine, name, Pace::Short, metadata::clear).await
            } else {
                let work = move |e: &Engine, name: &Name| metadata::set(e, name, &head);
                change_file(engine, name, Pace::Sync, work).await
            };
            counted(engine, Op::SetMetaCount, done).map(|()| empty())
        }
        Command::GET_METADATA => {
            let name = attempt!(file_name(engine, conn));
            let items = on_lane(engine, name, Pace::Short, metadata::get).await;
            counted(engine, Op::GetMetaCount, items).map(|items| BytesMut::from(&items[..]))
        }
        Command::QUERY_FILE_INFO => {
            let name = attempt!(file_name(engine, conn));
            let (flags, peer) = (header.status.0, conn.peer());
            let reads = info::reads_content(engine, &name, flags);
            let pace = if reads { Pace::Long } else { Pace::Short };
            let work = move |e: &Engine, name: &Name| info::info(e, name, flags, peer);
            on_lane(engine, name, pace, work).await.map(|info| info.encode())
        }
        Command::CREATE_LINK => {
            let head = attempt!(decode::<CreateLink>(conn));
            let source = head.source;
            let work = move |e: &Engine, _: &Name| link::create(e, &head);
            let made = change_file(engine, source, Pace::Short, work).await;
            counted(engine, Op::CreateLinkCount, made).map(|name| stored_as(engine, name))
        }
        command => Err(refusal(command)),
    };
    Ok(done.map(Answer::Body))
}

/// Commands between storages are known; this server does not take part in trunk files yet and says
/// so, instead of calling them malformed.
fn refusal(command: Command) -> Status {
    match command.0 {
        27..=33 => Status::EOPNOTSUPP,
        _ => Status::EINVAL,
    }
}

fn empty() -> BytesMut {
    BytesMut::new()
}

/// The name in a request that consists of group and name.
fn file_name(engine: &Engine, conn: &Conn) -> Done<Name> {
    let file = decode::<FileRef>(conn)?;
    engine.check_group(&file.group).map(|()| file.name)
}

/// Names of appender files have a least length on the wire (spec 01 §8.4).
fn appender_name(name: Name) -> Done<Name> {
    if name.len() >= APPENDER_NAME_LEN_MIN { Ok(name) } else { Err(Status::EINVAL) }
}

fn stored_as(engine: &Engine, name: Name) -> BytesMut {
    StoredAs { group: engine.identity.group, name }.encode()
}

fn counted<T>(engine: &Engine, op: Op, done: Done<T>) -> Done<T> {
    engine.stats.count(op, 1, done.is_ok());
    done
}

/// The one form of a name, whatever form it came in, and the lane of its store path.
fn resolve<'e>(engine: &'e Engine, name: &Name) -> Done<(Name, &'e Lane)> {
    let (logic, path) = engine.store.locate(name.as_bytes())?;
    Ok((logic.canonical(), &path.lane))
}

/// How long work takes on a healthy disk.
enum Pace {
    /// It stays within the page cache.
    Short,
    /// It makes something durable.
    Sync,
    /// It reads a file of any size.
    Long,
}

/// Runs file work in the lane of the name's store path.
async fn on_lane<T: Send + 'static>(
    engine: &Arc<Engine>,
    name: Name,
    pace: Pace,
    work: impl FnOnce(&Engine, &Name) -> Done<T> + Send + 'static,
) -> Done<T> {
    let (logic, path) = engine.store.locate(name.as_bytes())?;
    let (name, engine) = (logic.canonical(), engine.clone());
    match pace {
        Pace::Short => path.lane.run(move || work(&engine, &name)).await,
        Pace::Sync => path.sync_lane.run(move || work(&engine, &name)).await,
        Pace::Long => path.lane.run_long(move || work(&engine, &name)).await,
    }
}

/// Changes a file while nobody else does, and records it.
async fn change_file<T: Send + 'static>(
    engine: &Arc<Engine>,
    name: Name,
    pace: Pace,
    work: impl FnOnce(&Engine, &Name) -> Done<Pending<T>> + Send + 'static,
) -> Done<T> {
    let (name, lane) = resolve(engine, &name)?;
    let guard = engine.locks.lock(name).await;
    // The work takes the guard along, wherever it runs and whatever becomes of the connection.
    let work = move |engine: &Engine, name: &Name| work(engine, name).map(|made| (made, guard));
    let (made, _held_to_the_end) = on_lane(engine, name, pace, work).await?;
    commit(engine, lane, Ok(made)).await
}

/// Keeps the figures of free space fresh, which uploads are accepted by. Nobody waits for it: a
/// sick store path must not hold up uploads to the others.
fn look_at_space(engine: &Arc<Engine>) {
    let now = engine.now();
    for (index, path) in engine.store.paths().iter().enumerate() {
        if path.is_look_due(now) {
            let engine = engine.clone();
            let _unwaited = blocking(move || {
                if let Some(path) = engine.store.paths().get(index) {
                    path.look(&*engine.disk);
                }
            });
        }
    }
}

async fn upload_file(
    engine: &Arc<Engine>,
    conn: &mut Conn,
    request: Request,
    kind: NewKind,
) -> Handled {
    let head = attempt!(decode::<Upload>(conn));
    look_at_space(engine);
    let accepted = upload::accept(engine, &head, request.content_len, kind);
    upload_content(engine, conn, accepted, request.content_len).await
}

async fn upload_content(
    engine: &Arc<Engine>,
    conn: &mut Conn,
    accepted: Done<upload::Accepted>,
    content_len: u64,
) -> Handled {
    let stored = match accepted {
        Ok(accepted) if content_len <= BUFFER_LARGE_LEN as u64 => {
            let lane = &attempt!(engine.store.path(accepted.store_path)).lane;
            let for_work = engine.clone();
            let content = conn.whole_content().await?;
            let made = lane.run_with(content, move |content| {
                upload::store_whole(&for_work, &accepted, content)
            });
            let made = made.await;
            conn.release_buffer();
            commit(engine, lane, made).await
        }
        Ok(accepted) => upload_streamed(engine, conn, accepted).await?,
        Err(status) => Err(status),
    };
    let stats = &engine.stats;
    stats.count(Op::UploadBytes, content_len, stored.is_ok());
    stats.count(Op::FileOpenCount, 1, stored.is_ok());
    stats.count(Op::FileWriteCount, 1, stored.is_ok());
    let stored = counted(engine, Op::UploadCount, stored);
    Ok(stored.map(|name| Answer::Body(stored_as(engine, name))))
}

async fn upload_streamed(
    engine: &Arc<Engine>,
    conn: &mut Conn,
    accepted: upload::Accepted,
) -> Result<Done<Name>, ConnError> {
    let lane = &attempt!(engine.store.path(accepted.store_path)).lane;
    let for_work = engine.clone();
    let begun = lane.run(move || upload::Streamed::begin(for_work, accepted)).await;
    let mut streamed = attempt!(begun);
    while conn.content_left() > 0 {
        let piece = match conn.fill_content(BUFFER_LARGE_LEN).await {
            Ok(piece) => piece,
            Err(error) => {
                // Cleaning up is file work, too.
                lane.run(move || drop(streamed)).await;
                return Err(error);
            }
        };
        let written = lane.run_with(piece, move |piece| streamed.write(piece).map(|()| streamed));
        streamed = attempt!(written.await);
    }
    conn.release_buffer();
    let made = lane.run(move || streamed.finish()).await;
    Ok(commit(engine, lane, made).await)
}

async fn write_content(
    engine: &Arc<Engine>,
    conn: &mut Conn,
    request: Request,
    name: Name,
    offset: Option<u64>,
    declared: i64,
) -> Handled {
    let len = request.content_len;
    if u64::try_from(declared) != Ok(len) {
        return Ok(Err(Status::EINVAL));
    }
    let (count, bytes) = match offset {
        None => (Op::AppendCount, Op::AppendBytes),
        Some(_) => (Op::ModifyCount, Op::ModifyBytes),
    };
    let name = attempt!(appender_name(name));
    let written = write_locked(engine, conn, name, offset, len).await?;
    let stats = &engine.stats;
    stats.count(bytes, len, written.is_ok());
    stats.count(Op::FileOpenCount, 1, written.is_ok());
    stats.count(Op::FileWriteCount, 1, written.is_ok());
    Ok(counted(engine, count, written).map(|()| Answer::Body(empty())))
}

async fn write_locked(
    engine: &Arc<Engine>,
    conn: &mut Conn,
    name: Name,
    offset: Option<u64>,
    len: u64,
) -> Result<Done<()>, ConnError> {
    let (name, lane) = attempt!(resolve(engine, &name));
    let for_work = engine.clone();
    if len <= BUFFER_LARGE_LEN as u64 {
        // Content that arrives slowly must not keep others from the file.
        let content = conn.whole_content().await?;
        let guard = engine.locks.lock(name).await;
        let done = lane.run_with(content, move |content| {
            let mut writing = change::Writing::begin(for_work, &name, offset, len, guard)?;
            if content.is_empty() {
                return Ok(Pending::unchanged(()));
            }
            writing.write(content)?;
            writing.finish()
        });
        let made = done.await;
        conn.release_buffer();
        return Ok(commit(engine, lane, made).await);
    }
    let guard = engine.locks.lock(name).await;
    let begun = lane.run(move || change::Writing::begin(for_work, &name, offset, len, guard)).await;
    let mut writing = attempt!(begun);
    while conn.content_left() > 0 {
        let piece = match conn.fill_content(BUFFER_LARGE_LEN).await {
            Ok(piece) => piece,
            Err(error) => {
                lane.run(move || drop(writing)).await;
                return Err(error);
            }
        };
        let written = lane.run_with(piece, move |piece| writing.write(piece).map(|()| writing));
        writing = attempt!(written.await);
    }
    conn.release_buffer();
    let made = lane.run(move || writing.finish()).await;
    Ok(commit(engine, lane, made).await)
}

async fn download_file(engine: &Arc<Engine>, conn: &mut Conn, head: Download) -> Handled {
    let done = send_file(engine, conn, head).await?;
    let sent = *done.as_ref().unwrap_or(&0);
    engine.stats.count(Op::DownloadBytes, sent, done.is_ok());
    engine.stats.count(Op::FileOpenCount, 1, done.is_ok());
    engine.stats.count(Op::FileReadCount, 1, done.is_ok());
    Ok(counted(engine, Op::DownloadCount, done).map(|_| Answer::Sent))
}

/// Sends the range; an error is only a status while nothing has been sent.
async fn send_file(
    engine: &Arc<Engine>,
    conn: &mut Conn,
    head: Download,
) -> Result<Done<u64>, ConnError> {
    let (name, lane) = attempt!(resolve(engine, &head.name));
    let for_work = engine.clone();
    let buffers = conn.buffers().clone();
    let pool = buffers.clone();
    // Opening and reading the first piece are one visit to the lane.
    let opened = lane.run(move || download::begin(&for_work, &head, &pool));
    let (mut opened, mut buffer, mut len) = attempt!(opened.await);
    let total = opened.len;
    let mut sent = len as u64;
    conn.reply_start(total, buffer.get(..len).unwrap_or_default()).await?;
    while sent < total {
        len = usize::try_from(total - sent).unwrap_or(usize::MAX).min(BUFFER_LARGE_LEN);
        let read = lane.run(move || {
            let piece = buffer.get_mut(..len).unwrap_or_default();
            let done = download::read(&opened, sent, piece);
            (opened, buffer, done)
        });
        let done;
        (opened, buffer, done) = read.await;
        if let Err(status) = done {
            // Too late for a status: closing tells the client that the rest does not come.
            return Err(std::io::Error::other(format!("reading {name}: status {status}")).into());
        }
        conn.send(buffer.get(..len).unwrap_or_default()).await?;
        sent += len as u64;
    }
    buffers.give(buffer);
    Ok(Ok(total))
}
