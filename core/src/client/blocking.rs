//! The client without `async`: each call waits for its answer.
//!
//! ```no_run
//! use fdfs_core::client::{Range, UploadOptions, blocking};
//!
//! let client = blocking::Client::from_conf("/etc/fdfs/client.conf")?;
//! let id = client.upload(b"hello", UploadOptions::ext("txt"))?;
//! assert_eq!(client.download(&id, Range::default())?, b"hello");
//! # Ok::<(), fdfs_core::Error>(())
//! ```
//!
//! Must not be called from within an asynchronous runtime's own threads.

use super::runtime::wait;
use super::{
    CallOptions, ClientOptions, FileInfo, GroupInfo, Metadata, PoolStats, Range, ServerAddress,
    StorageInfo, TrackerInfo, UploadOptions, UploadTarget,
};
use crate::error::Result;
use crate::file_id::FileId;
use std::io;
use std::path::Path;
use std::time::SystemTime;

/// A client whose calls wait. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Client {
    client: super::Client,
}

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $ty:ty),*) -> $out:ty;)*) => {
        impl Client {$(
            $(#[$doc])*
            pub fn $name(&self $(, $arg: $ty)*) -> Result<$out> {
                wait(self.client.$name($($arg),*))
            }
        )*}
    };
}

calls! {
    /// Uploads bytes; see [`super::Client::upload`].
    upload(data: &[u8], options: UploadOptions) -> FileId;
    /// Uploads a local file; see [`super::Client::upload_file`].
    upload_file(path: &Path, options: UploadOptions) -> FileId;
    /// Uploads a slave; see [`super::Client::upload_slave`].
    upload_slave(master: &FileId, prefix: &str, data: &[u8], options: UploadOptions) -> FileId;
    /// Uploads a local file as a slave; see [`super::Client::upload_slave_file`].
    upload_slave_file(master: &FileId, prefix: &str, path: &Path, options: UploadOptions)
        -> FileId;
    /// Adds to an appender file; see [`super::Client::append`].
    append(id: &FileId, data: &[u8]) -> ();
    /// Adds a local file to an appender file; see [`super::Client::append_file`].
    append_file(id: &FileId, path: &Path) -> ();
    /// Overwrites part of an appender file; see [`super::Client::modify`].
    modify(id: &FileId, offset: u64, data: &[u8]) -> ();
    /// Sets the size of an appender file; see [`super::Client::truncate`].
    truncate(id: &FileId, size: u64) -> ();
    /// Makes an appender file a normal one; see [`super::Client::finalize`].
    finalize(id: &FileId) -> FileId;
    /// Downloads into memory; see [`super::Client::download`].
    download(id: &FileId, range: Range) -> Vec<u8>;
    /// Downloads into a buffer; see [`super::Client::download_into`].
    download_into(id: &FileId, buffer: &mut [u8], offset: i64) -> usize;
    /// Downloads to a local file; see [`super::Client::download_file`].
    download_file(id: &FileId, path: &Path, range: Range) -> u64;
    /// Deletes a file; see [`super::Client::delete`].
    delete(id: &FileId, missing_ok: bool) -> bool;
    /// Whether a file is there; see [`super::Client::exists`].
    exists(id: &FileId) -> bool;
    /// What is known of a file; see [`super::Client::stat`].
    stat(id: &FileId) -> FileInfo;
    /// The metadata of a file; see [`super::Client::get_metadata`].
    get_metadata(id: &FileId) -> Metadata;
    /// Sets the metadata of a file; see [`super::Client::set_metadata`].
    set_metadata(id: &FileId, items: &Metadata, merge: bool) -> ();
    /// All groups; see [`super::Client::list_groups`].
    list_groups() -> Vec<GroupInfo>;
    /// The storages of a group; see [`super::Client::list_storages`].
    list_storages(group: &str, storage: Option<&str>) -> Vec<StorageInfo>;
    /// The trackers; see [`super::Client::list_trackers`].
    list_trackers() -> Vec<TrackerInfo>;
    /// Storages that hold a file; see [`super::Client::locate`].
    locate(id: &FileId, all: bool) -> Vec<ServerAddress>;
    /// Where an upload would go; see [`super::Client::pick_upload`].
    pick_upload(group: Option<&str>) -> UploadTarget;
    /// A tracker's sign of life; see [`super::Client::ping`].
    ping() -> ();
}

impl Client {
    /// A client with these options; connects when it is used.
    pub fn new(options: ClientOptions) -> Self {
        Self { client: super::Client::new(options) }
    }

    /// A client for the cluster of a `client.conf`.
    pub fn from_conf(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self::new(ClientOptions::from_conf(path)?))
    }

    /// The asynchronous client behind it.
    pub fn asynchronous(&self) -> &super::Client {
        &self.client
    }

    /// The same client, whose calls have these options; see [`super::Client::with`].
    #[must_use]
    pub fn with(&self, call: CallOptions) -> Self {
        Self { client: self.client.with(call) }
    }

    /// Uploads what `reader` gives: `size` bytes, or all there is.
    pub fn upload_reader(
        &self,
        reader: impl io::Read + Send + Unpin,
        size: Option<u64>,
        options: UploadOptions,
    ) -> Result<FileId> {
        wait(self.client.upload_reader(Blocking(reader), size, options))
    }

    /// Uploads a slave from a stream; see [`super::Client::upload_slave_reader`].
    pub fn upload_slave_reader(
        &self,
        master: &FileId,
        prefix: &str,
        reader: impl io::Read + Send + Unpin,
        size: Option<u64>,
        options: UploadOptions,
    ) -> Result<FileId> {
        wait(self.client.upload_slave_reader(master, prefix, Blocking(reader), size, options))
    }

    /// Adds what `reader` gives to an appender file; see [`super::Client::append_reader`].
    pub fn append_reader(
        &self,
        id: &FileId,
        reader: impl io::Read + Send + Unpin,
        size: Option<u64>,
    ) -> Result<()> {
        wait(self.client.append_reader(id, Blocking(reader), size))
    }

    /// Overwrites part of an appender file; see [`super::Client::modify_reader`].
    pub fn modify_reader(
        &self,
        id: &FileId,
        offset: u64,
        reader: impl io::Read + Send + Unpin,
        size: Option<u64>,
    ) -> Result<()> {
        wait(self.client.modify_reader(id, offset, Blocking(reader), size))
    }

    /// Downloads to a writer in bounded memory.
    pub fn download_to(&self, id: &FileId, sink: &mut impl io::Write, range: Range) -> Result<u64> {
        wait(self.client.download_to(id, &mut Blocking(sink), range))
    }

    /// Opens a file for reading piece by piece.
    pub fn open(&self, id: &FileId, range: Range) -> Result<Reader> {
        wait(self.client.open(id, range)).map(Reader)
    }

    /// Begins a file that is written piece by piece; see [`super::Client::create`].
    pub fn create(&self, options: UploadOptions, finalize: bool) -> Result<Writer> {
        wait(self.client.create(options, finalize)).map(Writer)
    }

    /// Removes a storage that is offline; see [`super::Admin::delete_storage`].
    pub fn delete_storage(&self, group: &str, id: &str) -> Result<()> {
        wait(self.client.admin().delete_storage(group, id))
    }

    /// Removes an empty group; see [`super::Admin::delete_group`].
    pub fn delete_group(&self, group: &str) -> Result<()> {
        wait(self.client.admin().delete_group(group))
    }

    /// Chooses a trunk server; see [`super::Admin::set_trunk_server`].
    pub fn set_trunk_server(&self, group: &str, id: Option<&str>) -> Result<String> {
        wait(self.client.admin().set_trunk_server(group, id))
    }

    /// The URL of a file; see [`super::Client::http_url`].
    pub fn http_url(
        &self,
        id: &FileId,
        base: &str,
        filename: Option<&str>,
        expires: Option<SystemTime>,
    ) -> String {
        self.client.http_url(id, base, filename, expires)
    }

    /// What the pool did, by server.
    pub fn pool_stats(&self) -> Vec<PoolStats> {
        self.client.pool_stats()
    }

    /// Closes all connections.
    pub fn close(&self) {
        self.client.close();
    }
}

/// An open file; see [`super::Reader`].
#[derive(Debug)]
pub struct Reader(super::Reader);

impl Reader {
    /// Bytes of the part that was opened.
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether there is no byte.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte to be read.
    pub fn position(&self) -> u64 {
        self.0.position()
    }

    /// Reads some bytes; 0 at the end. As [`io::Read`], but with this library's error.
    pub fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize> {
        wait(self.0.read(buffer))
    }
}

impl io::Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_some(buffer).map_err(io::Error::other)
    }
}

impl io::Seek for Reader {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.0.seek(to).map_err(io::Error::other)
    }
}

/// A file that grows; see [`super::Writer`].
#[derive(Debug)]
pub struct Writer(super::Writer);

impl Writer {
    /// The file under way; see [`super::Writer::id`].
    pub fn id(&self) -> &FileId {
        self.0.id()
    }

    /// Adds bytes. As [`io::Write`], but all of them, and with this library's error.
    pub fn add(&mut self, bytes: &[u8]) -> Result<()> {
        wait(self.0.write(bytes))
    }

    /// Sends the rest and returns the id of the whole file.
    pub fn finish(self) -> Result<FileId> {
        wait(self.0.finish())
    }

    /// Gives the file up and deletes what has been sent.
    pub fn abort(self) -> Result<()> {
        wait(self.0.abort())
    }
}

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.add(bytes).map(|()| bytes.len()).map_err(io::Error::other)
    }

    fn flush(&mut self) -> io::Result<()> {
        wait(self.0.flush()).map_err(io::Error::other)
    }
}

/// A blocking stream in place of an asynchronous one: it may block the thread it is polled on,
/// which is the caller's own.
struct Blocking<S>(S);

impl<S: io::Read + Unpin> tokio::io::AsyncRead for Blocking<S> {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        let room = buffer.initialize_unfilled();
        std::task::Poll::Ready(self.0.read(room).map(|read| buffer.advance(read)))
    }
}

impl<S: io::Write + Unpin> tokio::io::AsyncWrite for Blocking<S> {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<io::Result<usize>> {
        std::task::Poll::Ready(self.0.write(bytes))
    }
    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::task::Poll::Ready(self.0.flush())
    }
    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}
