//! Many calls under way without a thread for each: begun here, run by the threads of the library,
//! and collected when they have ended.

use crate::boundary::{Kept, fdfs_error, free, handle, invalid, put, room, run};
use crate::client::fdfs_client;
use crate::file_id::{c_id, fdfs_file_id, id};
use crate::options::{fdfs_upload_options, millis, upload_options};
use crate::reads::{buffer, c_info, fdfs_file_info};
use crate::texts::{elements, text};
use fdfs_core::Result;
use fdfs_core::client::{Client, Ended, FileInfo, Queue};
use std::cell::RefCell;
use std::ffi::{c_char, c_int, c_void};
use std::future::Future;
use std::os::fd::AsRawFd as _;
use std::ptr::null;
use std::time::Duration;

/// Calls under way, and those that have ended and wait for being collected. All threads may use it
/// at the same time; only freeing it must be left to the last.
///
/// A call is begun by a function named after the one that waits, with queue and tag before its
/// arguments. It copies what it is told but the content: buffers must stay, and those that are
/// written to belong to the call, until it has been collected or the queue was freed. The client
/// may be freed before. What the begin function returns is no outcome: it fails only for arguments
/// that are wrong, with `FDFS_E_BUSY` when the queue is full, and with `FDFS_E_CLOSED` after a
/// fork; then there is nothing to collect. Calls run at the same time, in no order; those beyond the
/// client's `pool_size` wait for a connection, and fail with `FDFS_E_TIMEOUT` after 5 s of that.
///
/// There are no such functions for local files and callbacks, which would keep the threads of this
/// library from everything else, and none for what is rarely asked: metadata, and lists of the
/// cluster. For the same reason clients with a progress callback (`fdfs_client_with`) are refused
/// with `FDFS_E_INVAL`; a timeout and a cancel handle count as elsewhere.
pub struct fdfs_queue(Queue<Tag, Done>);

/// A call that has ended.
#[repr(C)]
pub struct fdfs_completion {
    /// What it was begun with.
    pub tag: *mut c_void,
    /// `FDFS_OK` or one of `FDFS_E_…`.
    pub code: c_int,
    /// Detail when it failed, or NULL; valid until this thread collects again.
    pub error: *const fdfs_error,
    /// The file it stored (upload, slave, finalize); empty otherwise.
    pub file_id: fdfs_file_id,
    /// Bytes it wrote to the caller's buffer.
    pub size: usize,
}

/// What the caller knows a call by.
struct Tag(*mut c_void);

// SAFETY: nobody but the caller looks at what it points to.
unsafe impl Send for Tag {}

/// What a call brings.
enum Done {
    Nothing,
    Stored(fdfs_core::file_id::FileId),
    Read(usize),
    Info(FileInfo, Room),
}

/// Where the caller wants a structure.
struct Room(*mut fdfs_file_info);

// SAFETY: it is written to by the thread that collects.
unsafe impl Send for Room {}

#[allow(clippy::vec_box, reason = "C points to them, so they must not move")]
type Errors = Vec<Box<Kept>>;

thread_local! {
    /// What went wrong with the calls that this thread collected last.
    static COLLECTED: RefCell<Errors> = const { RefCell::new(Vec::new()) };
}

/// Makes a queue for up to `capacity` calls (1 to 65536), counted until they are collected. End it
/// with `fdfs_queue_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_queue_new(capacity: usize, out: *mut *mut fdfs_queue) -> c_int {
    run(|| {
        room(out)?;
        let queue = Box::new(fdfs_queue(Queue::new(capacity)?));
        // SAFETY: the rules of the header.
        unsafe { put(out, Box::into_raw(queue)) }
    })
}

/// Ends a queue: cancels the calls under way and returns when none of them touches the caller's
/// memory any more. What was not collected is lost. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_queue_free(queue: *mut fdfs_queue) {
    // SAFETY: the rules of the header.
    unsafe { free(queue) }
}

/// A file descriptor that is readable as long as there is something to collect: for `poll`, `epoll`
/// and event loops. It is the queue's: not to be read from or closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_queue_fd(queue: *const fdfs_queue, out: *mut c_int) -> c_int {
    run(|| {
        room(out)?;
        // SAFETY: the rules of the header.
        unsafe { put(out, handle(queue, "queue")?.0.fd()?.as_raw_fd()) }
    })
}

/// Collects up to `capacity` calls that have ended, in the order in which they did. Waits for the
/// first of them up to `timeout_ms`; 0 only looks, -1 waits as long as it takes. `count` is how
/// many there were: 0 when the time has passed, or when nothing is under way.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_queue_wait(
    queue: *const fdfs_queue,
    timeout_ms: i64,
    completions: *mut fdfs_completion,
    capacity: usize,
    count: *mut usize,
) -> c_int {
    run(|| {
        room(count)?;
        room(completions)?;
        let timeout = match timeout_ms {
            -1 => None,
            // No bound elsewhere, and here none to wait.
            limit => Some(millis(limit, "timeout_ms")?.unwrap_or(Duration::ZERO)),
        };
        // SAFETY: the rules of the header.
        let ended = unsafe { handle(queue, "queue") }?.0.collect(capacity, timeout)?;
        let len = ended.len();
        let mut errors = Errors::new();
        for (at, ended) in ended.into_iter().enumerate() {
            // SAFETY: there are at most as many as there is room for.
            unsafe { put(completions.add(at), shown(ended, &mut errors))? };
        }
        let mut errors = Some(errors);
        let keep = |collected: &RefCell<_>| collected.replace(errors.take().unwrap_or_default());
        if COLLECTED.try_with(keep).is_err() {
            // A thread that is ending has no place for them; they are pointed to all the same.
            std::mem::forget(errors);
        }
        // SAFETY: the rules of the header.
        unsafe { put(count, len) }
    })
}

/// An end as C sees it. Its error is kept with the others.
///
/// # Safety
/// The caller's memory is as the begin function was promised.
unsafe fn shown((tag, done): Ended<Tag, Done>, errors: &mut Errors) -> fdfs_completion {
    let nothing = fdfs_file_id { value: [0; _] };
    let mut shown =
        fdfs_completion { tag: tag.0, code: 0, error: null(), file_id: nothing, size: 0 };
    match done {
        Ok(Done::Nothing) => {}
        Ok(Done::Stored(id)) => shown.file_id = c_id(&id),
        Ok(Done::Read(len)) => shown.size = len,
        // SAFETY: as the caller promises.
        Ok(Done::Info(info, room)) => unsafe { room.0.write(c_info(&info)) },
        Err(error) => {
            let kept = Box::new(Kept::new(&error));
            (shown.code, shown.error) = (kept.shown.code, &raw const kept.shown);
            errors.push(kept);
        }
    }
    shown
}

/// Begins a call. `prepare` reads the arguments; what it returns may use the caller's buffers as if
/// they stayed for ever: the queue lets go of it before its end is collected, and before it is
/// freed itself.
///
/// # Safety
/// The handles are NULL or valid.
unsafe fn begin<F, M>(
    queue: *const fdfs_queue,
    tag: *mut c_void,
    client: *const fdfs_client,
    prepare: impl FnOnce(Client) -> Result<M>,
) -> c_int
where
    F: Future<Output = Result<Done>> + Send + 'static,
    M: FnOnce() -> F + Send + 'static,
{
    run(|| {
        // SAFETY: as the caller promises.
        let (queue, client) = unsafe { (handle(queue, "queue")?, fdfs_client::calls(client)?) };
        let client = client.asynchronous();
        if client.call_options().progress.is_some() {
            return Err(invalid("calls on a queue have no progress callback"));
        }
        queue.0.begin(Tag(tag), prepare(client.clone())?)
    })
}

/// Begins `fdfs_upload_buffer`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_queue_upload_buffer(
    queue: *const fdfs_queue,
    tag: *mut c_void,
    client: *const fdfs_client,
    data: *const c_void,
    len: usize,
    options: *const fdfs_upload_options,
) -> c_int {
    // SAFETY: the rules of the header.
    unsafe {
        begin(queue, tag, client, |client| {
            let options = upload_options(options)?;
            let data = elements(data.cast::<u8>(), len, "data")?;
            Ok(move || async move { client.upload(data, options).await.map(Done::Stored) })
        })
    }
}

/// Begins `fdfs_upload_slave_buffer`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_queue_upload_slave_buffer(
    queue: *const fdfs_queue,
    tag: *mut c_void,
    client: *const fdfs_client,
    master: *const c_char,
    prefix: *const c_char,
    data: *const c_void,
    len: usize,
    options: *const fdfs_upload_options,
) -> c_int {
    // SAFETY: the rules of the header.
    unsafe {
        begin(queue, tag, client, |client| {
            let options = upload_options(options)?;
            let (master, prefix) = (id(master)?, text(prefix, "prefix")?.to_owned());
            let data = elements(data.cast::<u8>(), len, "data")?;
            Ok(move || async move {
                let stored = client.upload_slave(&master, &prefix, data, options).await;
                stored.map(Done::Stored)
            })
        })
    }
}

/// Begins `fdfs_append_buffer`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_queue_append_buffer(
    queue: *const fdfs_queue,
    tag: *mut c_void,
    client: *const fdfs_client,
    file_id: *const c_char,
    data: *const c_void,
    len: usize,
) -> c_int {
    // SAFETY: the rules of the header.
    unsafe {
        begin(queue, tag, client, |client| {
            let id = id(file_id)?;
            let data = elements(data.cast::<u8>(), len, "data")?;
            Ok(move || async move { client.append(&id, data).await.map(|()| Done::Nothing) })
        })
    }
}

/// Begins `fdfs_modify_buffer`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_queue_modify_buffer(
    queue: *const fdfs_queue,
    tag: *mut c_void,
    client: *const fdfs_client,
    file_id: *const c_char,
    offset: u64,
    data: *const c_void,
    len: usize,
) -> c_int {
    // SAFETY: the rules of the header.
    unsafe {
        begin(queue, tag, client, |client| {
            let id = id(file_id)?;
            let data = elements(data.cast::<u8>(), len, "data")?;
            Ok(
                move || async move { client.modify(&id, offset, data).await.map(|()| Done::Nothing) },
            )
        })
    }
}

/// Begins `fdfs_truncate`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_queue_truncate(
    queue: *const fdfs_queue,
    tag: *mut c_void,
    client: *const fdfs_client,
    file_id: *const c_char,
    len: u64,
) -> c_int {
    // SAFETY: the rules of the header.
    unsafe {
        begin(queue, tag, client, |client| {
            let id = id(file_id)?;
            Ok(move || async move { client.truncate(&id, len).await.map(|()| Done::Nothing) })
        })
    }
}

/// Begins `fdfs_finalize`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_queue_finalize(
    queue: *const fdfs_queue,
    tag: *mut c_void,
    client: *const fdfs_client,
    file_id: *const c_char,
) -> c_int {
    // SAFETY: the rules of the header.
    unsafe {
        begin(queue, tag, client, |client| {
            let id = id(file_id)?;
            Ok(move || async move { client.finalize(&id).await.map(Done::Stored) })
        })
    }
}

/// Begins `fdfs_delete`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_queue_delete(
    queue: *const fdfs_queue,
    tag: *mut c_void,
    client: *const fdfs_client,
    file_id: *const c_char,
) -> c_int {
    // SAFETY: the rules of the header.
    unsafe {
        begin(queue, tag, client, |client| {
            let id = id(file_id)?;
            Ok(move || async move { client.delete(&id, false).await.map(|_| Done::Nothing) })
        })
    }
}

/// Begins `fdfs_download_into`; the completion's `size` is how many bytes there were.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_queue_download_into(
    queue: *const fdfs_queue,
    tag: *mut c_void,
    client: *const fdfs_client,
    file_id: *const c_char,
    offset: i64,
    data: *mut c_void,
    capacity: usize,
) -> c_int {
    // SAFETY: the rules of the header.
    unsafe {
        begin(queue, tag, client, |client| {
            let id = id(file_id)?;
            let data = buffer(data, capacity)?;
            Ok(move || async move { client.download_into(&id, data, offset).await.map(Done::Read) })
        })
    }
}

/// Begins `fdfs_stat`; `out` is written when the completion is collected.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_queue_stat(
    queue: *const fdfs_queue,
    tag: *mut c_void,
    client: *const fdfs_client,
    file_id: *const c_char,
    out: *mut fdfs_file_info,
) -> c_int {
    // SAFETY: the rules of the header.
    unsafe {
        begin(queue, tag, client, |client| {
            room(out)?;
            let (id, out) = (id(file_id)?, Room(out));
            Ok(move || async move { client.stat(&id).await.map(|info| Done::Info(info, out)) })
        })
    }
}
