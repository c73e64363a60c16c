//! The client without `async`: each call waits for its answer.
//!
//! Must not be called from within an asynchronous runtime's own threads.

use super::runtime::wait;
use super::{
    CallOptions, ClientOptions, FileInfo, GroupInfo, Metadata, Range, ServerAddress,
    ServerPoolStats, StorageInfo, TrackerInfo, UploadOptions, UploadTarget,
};
use crate::error::{Error, ErrorKind, Result};
use crate::file_id::FileId;
use std::io;
use std::path::Path;

/// A client whose calls wait. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Client {
    client: super::Client,
    /// The process that made it: connections do not survive a fork.
    pid: u32,
}

/// An open file; see [`super::Reader`].
#[derive(Debug)]
pub struct Reader(super::Reader);

/// A file that grows; see [`super::Writer`].
#[derive(Debug)]
pub struct Writer(Option<super::Writer>);

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $ty:ty),*) -> $out:ty;)*) => {
        impl Client {$(
            $(#[$doc])*
            pub fn $name(&self $(, $arg: $ty)*) -> Result<$out> {
                wait(self.of_this_process()?.$name($($arg),*))
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
    /// Adds to an appender file; see [`super::Client::append`].
    append(id: &FileId, data: &[u8]) -> ();
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
    download_file(id: &FileId, path: &Path, call: CallOptions) -> u64;
    /// Deletes a file; see [`super::Client::delete`].
    delete(id: &FileId, missing_ok: bool) -> ();
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
        Self { client: super::Client::new(options), pid: std::process::id() }
    }

    /// A client for the cluster of a `client.conf`.
    pub fn from_conf(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self::new(ClientOptions::from_conf(path)?))
    }

    /// The asynchronous client behind it.
    pub fn asynchronous(&self) -> &super::Client {
        &self.client
    }

    fn of_this_process(&self) -> Result<&super::Client> {
        if self.pid == std::process::id() {
            return Ok(&self.client);
        }
        let text = "this client was made before a fork; make a new one in the child process";
        Err(Error::new(ErrorKind::Closed, text))
    }

    /// Uploads what `reader` gives: `size` bytes, or all there is.
    pub fn upload_reader(
        &self,
        reader: impl io::Read + Send + Unpin,
        size: Option<u64>,
        options: UploadOptions,
    ) -> Result<FileId> {
        wait(self.of_this_process()?.upload_reader(Blocking(reader), size, options))
    }

    /// Downloads to a writer in bounded memory.
    pub fn download_to(
        &self,
        id: &FileId,
        sink: &mut impl io::Write,
        range: Range,
        call: CallOptions,
    ) -> Result<u64> {
        wait(self.of_this_process()?.download_to(id, &mut Blocking(sink), range, call))
    }

    /// Opens a file for reading piece by piece.
    pub fn open(&self, id: &FileId, range: Range) -> Result<Reader> {
        wait(self.of_this_process()?.open(id, range)).map(Reader)
    }

    /// Begins a file that is written piece by piece.
    pub fn create(&self, options: UploadOptions, finalize: bool) -> Result<Writer> {
        wait(self.of_this_process()?.create(options, finalize)).map(|writer| Writer(Some(writer)))
    }

    /// Removes a storage that is offline; see [`super::Admin::delete_storage`].
    pub fn delete_storage(&self, group: &str, id: &str) -> Result<()> {
        wait(self.of_this_process()?.admin().delete_storage(group, id))
    }

    /// What the pool did, by server.
    pub fn pool_stats(&self) -> Vec<ServerPoolStats> {
        self.client.pool_stats()
    }

    /// Closes all connections.
    pub fn close(&self) {
        self.client.close();
    }
}

impl io::Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        wait(self.0.read(buffer)).map_err(io::Error::other)
    }
}

impl Writer {
    /// Sends the rest and returns the id of the whole file.
    pub fn finish(mut self) -> Result<FileId> {
        match self.0.take() {
            Some(writer) => wait(writer.finish()),
            None => Err(Error::new(ErrorKind::Closed, "the writer has ended")),
        }
    }
}

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Some(writer) => {
                wait(writer.write(bytes)).map(|()| bytes.len()).map_err(io::Error::other)
            }
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Some(writer) => wait(writer.flush()).map_err(io::Error::other),
            None => Ok(()),
        }
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
