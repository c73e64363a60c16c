//! The storage on its sockets: which request goes to which operation, and what becomes of the
//! connection afterwards.

use super::engine::Engine;
use super::names::NewKind;
use super::ops::{Done, change, delete, download, info, link, metadata, upload};
use super::stats::Op;
use crate::daemon::{BUFFER_LARGE_LEN, Conn, ConnError, Request};
use bytes::BytesMut;
use fdfs_core::protocol::frame::Header;
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

/// What a handler leaves to be sent.
enum Answer {
    /// A reply with this body.
    Body(BytesMut),
    /// Nothing: the handler has sent it.
    Sent,
}

type Handled = Result<Done<Answer>, ConnError>;

/// Serves one connection until it ends.
pub async fn serve(engine: Arc<Engine>, mut conn: Conn) {
    if let Err(error) = requests(&engine, &mut conn).await {
        tracing::debug!(peer = %conn.peer(), %error, "connection closed");
    }
}

async fn requests(engine: &Arc<Engine>, conn: &mut Conn) -> Result<(), ConnError> {
    while let Some(request) = conn.next_request().await? {
        if request.header.command == Command::QUIT {
            return Ok(());
        }
        match handle(engine, conn, request).await? {
            Ok(Answer::Sent) => {}
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
    Ok(())
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
            let accepted = upload::accept_slave(engine, &head, request.content_len);
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
        Command::ACTIVE_TEST => Ok(decode::<()>(conn).map(|()| Answer::Body(BytesMut::new()))),
        _ => handle_small(engine, conn, request.header).await,
    }
}

/// Requests without content on either side.
async fn handle_small(engine: &Arc<Engine>, conn: &Conn, header: Header) -> Handled {
    let done = match header.command {
        Command::TRUNCATE_FILE => {
            let head = attempt!(decode::<Truncate>(conn));
            let work = move |e: &Engine| change::truncate(e, head.name.as_bytes(), head.size);
            counted(engine, head.name, Op::TruncateCount, work).await.map(|()| empty())
        }
        Command::REGENERATE_APPENDER_FILENAME => {
            let name = attempt!(decode::<Name>(conn));
            let work = move |e: &Engine| change::regenerate(e, name.as_bytes());
            locked(engine, name, work).await.map(|name| stored_as(engine, name))
        }
        Command::DELETE_FILE => {
            let file = attempt!(decode::<FileRef>(conn));
            attempt!(engine.check_group(&file.group));
            let work = move |e: &Engine| delete::delete(e, file.name.as_bytes());
            counted(engine, file.name, Op::DeleteCount, work).await.map(|()| empty())
        }
        Command::SET_METADATA => {
            let head = attempt!(decode::<SetMetadata>(conn));
            let work = move |e: &Engine| metadata::set(e, &head);
            counted(engine, head_name(conn), Op::SetMetaCount, work).await.map(|()| empty())
        }
        Command::GET_METADATA => {
            let file = attempt!(decode::<FileRef>(conn));
            attempt!(engine.check_group(&file.group));
            let work = move |e: &Engine| metadata::get(e, file.name.as_bytes());
            let items = counted(engine, file.name, Op::GetMetaCount, work).await;
            items.map(|items| BytesMut::from(&items[..]))
        }
        Command::QUERY_FILE_INFO => {
            let file = attempt!(decode::<FileRef>(conn));
            attempt!(engine.check_group(&file.group));
            let (flags, peer) = (header.status.0, conn.peer());
            let work =
                move |e: &Engine| info::info(e, file.name.as_bytes(), flags, &peer.to_string());
            on_lane(engine, file.name, work).await.map(|info| info.encode())
        }
        Command::CREATE_LINK => {
            let head = attempt!(decode::<CreateLink>(conn));
            let (source, work) = (head.source, move |e: &Engine| link::create(e, &head));
            let made = counted(engine, source, Op::CreateLinkCount, work).await;
            made.map(|name| stored_as(engine, name))
        }
        command => Err(refusal(command)),
    };
    Ok(done.map(Answer::Body))
}

/// Commands between storages are known; this server does not take part in replication and trunk
/// files yet and says so, instead of calling them malformed.
fn refusal(command: Command) -> Status {
    match command.0 {
        9 | 16..=19 | 25..=33 | 35 | 37 | 40 => Status::EOPNOTSUPP,
        _ => Status::EINVAL,
    }
}

fn empty() -> BytesMut {
    BytesMut::new()
}

fn head_name(conn: &Conn) -> Name {
    decode::<SetMetadata>(conn).map(|head| head.name).unwrap_or_default()
}

fn stored_as(engine: &Engine, name: Name) -> BytesMut {
    StoredAs { group: engine.identity.group, name }.encode()
}

/// Runs file work in the lane of the name's store path.
async fn on_lane<T: Send + 'static>(
    engine: &Arc<Engine>,
    name: Name,
    work: impl FnOnce(&Engine) -> Done<T> + Send + 'static,
) -> Done<T> {
    let (_, path) = engine.store.locate(name.as_bytes())?;
    let for_work = engine.clone();
    path.lane.run(move || work(&for_work)).await
}

/// The same while nobody else changes the file.
async fn locked<T: Send + 'static>(
    engine: &Arc<Engine>,
    name: Name,
    work: impl FnOnce(&Engine) -> Done<T> + Send + 'static,
) -> Done<T> {
    let _guard = engine.locks.lock(name).await;
    on_lane(engine, name, work).await
}

/// The same, counted.
async fn counted<T: Send + 'static>(
    engine: &Arc<Engine>,
    name: Name,
    op: Op,
    work: impl FnOnce(&Engine) -> Done<T> + Send + 'static,
) -> Done<T> {
    let done = locked(engine, name, work).await;
    engine.stats.count(op, 1, done.is_ok());
    done
}

async fn upload_file(
    engine: &Arc<Engine>,
    conn: &mut Conn,
    request: Request,
    kind: NewKind,
) -> Handled {
    let head = attempt!(decode::<Upload>(conn));
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
            lane.run_with(content, move |content| {
                upload::store_whole(&for_work, &accepted, content)
            })
            .await
        }
        Ok(accepted) => upload_streamed(engine, conn, accepted).await?,
        Err(status) => Err(status),
    };
    engine.stats.count(Op::UploadCount, 1, stored.is_ok());
    engine.stats.count(Op::UploadBytes, content_len, stored.is_ok());
    engine.stats.count(Op::FileWriteCount, 1, stored.is_ok());
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
        let piece = conn.fill_content(BUFFER_LARGE_LEN).await?;
        let written = lane.run_with(piece, move |piece| streamed.write(piece).map(|()| streamed));
        streamed = attempt!(written.await);
    }
    Ok(lane.run(move || streamed.finish()).await)
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
    let written = write_locked(engine, conn, name, offset, len).await?;
    engine.stats.count(count, 1, written.is_ok());
    engine.stats.count(bytes, len, written.is_ok());
    engine.stats.count(Op::FileWriteCount, 1, written.is_ok());
    Ok(written.map(|()| Answer::Body(empty())))
}

async fn write_locked(
    engine: &Arc<Engine>,
    conn: &mut Conn,
    name: Name,
    offset: Option<u64>,
    len: u64,
) -> Result<Done<()>, ConnError> {
    let (_, path) = attempt!(engine.store.locate(name.as_bytes()));
    let for_work = engine.clone();
    if len <= BUFFER_LARGE_LEN as u64 {
        // Content that arrives slowly must not keep others from the file.
        let content = conn.whole_content().await?;
        let _guard = engine.locks.lock(name).await;
        let done = path.lane.run_with(content, move |content| {
            let mut writing = change::Writing::begin(for_work, name, offset, len)?;
            if content.is_empty() {
                return Ok(());
            }
            writing.write(content)?;
            writing.finish()
        });
        return Ok(done.await);
    }
    let _guard = engine.locks.lock(name).await;
    let begun = path.lane.run(move || change::Writing::begin(for_work, name, offset, len)).await;
    let mut writing = attempt!(begun);
    while conn.content_left() > 0 {
        let piece = conn.fill_content(BUFFER_LARGE_LEN).await?;
        let written =
            path.lane.run_with(piece, move |piece| writing.write(piece).map(|()| writing));
        writing = attempt!(written.await);
    }
    Ok(path.lane.run(move || writing.finish()).await)
}

async fn download_file(engine: &Arc<Engine>, conn: &mut Conn, head: Download) -> Handled {
    let done = send_file(engine, conn, head).await?;
    let sent = *done.as_ref().unwrap_or(&0);
    engine.stats.count(Op::DownloadCount, 1, done.is_ok());
    engine.stats.count(Op::DownloadBytes, sent, done.is_ok());
    engine.stats.count(Op::FileReadCount, 1, done.is_ok());
    Ok(done.map(|_| Answer::Sent))
}

/// Sends the range; an error is only a status while nothing has been sent.
async fn send_file(
    engine: &Arc<Engine>,
    conn: &mut Conn,
    head: Download,
) -> Result<Done<u64>, ConnError> {
    let (_, path) = attempt!(engine.store.locate(head.name.as_bytes()));
    let for_work = engine.clone();
    let buffers = conn.buffers().clone();
    let pool = buffers.clone();
    let name = head.name;
    // Opening and reading the first piece are one visit to the lane.
    let opened = path.lane.run(move || {
        let opened = download::open(&for_work, &head)?;
        let len = usize::try_from(opened.len).unwrap_or(usize::MAX).min(BUFFER_LARGE_LEN);
        let mut buffer = pool.take(len);
        let piece = buffer.get_mut(..len).unwrap_or_default();
        download::read(&opened, 0, piece)?;
        if let Some(crc32) = opened.crc32.filter(|_| opened.len == len as u64)
            && !download::is_intact(&for_work, name.as_bytes(), crc32, piece)
        {
            return Err(Status::EIO);
        }
        Ok((opened, buffer, len))
    });
    let (mut opened, mut buffer, mut len) = attempt!(opened.await);
    let total = opened.len;
    let mut sent = len as u64;
    conn.reply_start(total, buffer.get(..len).unwrap_or_default()).await?;
    while sent < total {
        len = usize::try_from(total - sent).unwrap_or(usize::MAX).min(BUFFER_LARGE_LEN);
        let read = path.lane.run(move || {
            let piece = buffer.get_mut(..len).unwrap_or_default();
            let done = download::read(&opened, sent, piece);
            (opened, buffer, done)
        });
        let done;
        (opened, buffer, done) = read.await;
        if let Err(status) = done {
            // Too late for a status: closing tells the client that the rest does not come.
            let name = String::from_utf8_lossy(name.as_bytes()).into_owned();
            return Err(std::io::Error::other(format!("reading {name}: status {status}")).into());
        }
        conn.send(buffer.get(..len).unwrap_or_default()).await?;
        sent += len as u64;
    }
    buffers.give(buffer);
    Ok(Ok(total))
}
