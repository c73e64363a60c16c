//! Reading files.

use super::call::{Call, Query, group_of, local};
use super::options::Range;
use super::{Client, Reader, wire_number};
use crate::error::{Error, ErrorKind, Result};
use crate::file_id::FileId;
use crate::net::{CHUNK_LEN, Limits, Pooled};
use crate::protocol::storage::{Download, INFO_SILENT, INFO_WITHOUT_CRC};
use crate::protocol::{Command, Status};
use crate::route::repeats;
use crate::wire::Wire;
use std::path::{Path, PathBuf};
use std::task::{Context, Poll, ready};
use tokio::fs::File;
use tokio::io::{AsyncWrite, AsyncWriteExt as _, ReadBuf};

/// Memory set aside for content that has only been announced.
const RESERVED_LEN_MAX: usize = 4 << 20;

/// Content on its way from a storage.
#[derive(Debug)]
pub(super) struct Incoming {
    /// `None` when there is nothing to read.
    conn: Option<Pooled>,
    /// The first byte's place in the file.
    pub(super) start: u64,
}

impl Incoming {
    /// Nothing, at this place of the file.
    pub(super) fn empty(start: u64) -> Self {
        Self { conn: None, start }
    }

    /// Bytes not read yet.
    pub(super) fn left(&self) -> u64 {
        self.conn.as_ref().map_or(0, |conn| conn.body_missing())
    }

    /// Reads some bytes; 0 at the end. The connection goes back to the pool with the last byte.
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let Some(conn) = self.conn.as_mut() else { return Ok(0) };
        let read = conn.read_body(buffer).await?;
        if conn.body_missing() == 0 {
            self.conn = None;
        }
        Ok(read)
    }

    /// All that is left, if it has been received and lies in one piece.
    fn received(&self) -> Option<&[u8]> {
        self.conn.as_ref()?.received_body()
    }

    /// Takes all that is left.
    async fn hold(mut self, call: &Call<'_>) -> Result<Held> {
        if let Some(received) = self.received() {
            call.moved(received.len() as u64);
            return Ok(Held { incoming: self, content: Vec::new() });
        }
        let announced = usize::try_from(self.left()).unwrap_or(usize::MAX);
        let mut content = Vec::with_capacity(announced.min(RESERVED_LEN_MAX));
        // Grows with what arrives, so that a lying length costs nothing.
        while self.left() > 0 {
            let start = content.len();
            let more = usize::try_from(self.left()).unwrap_or(CHUNK_LEN).min(CHUNK_LEN);
            content.resize(start + more, 0);
            let piece = content.get_mut(start..).unwrap_or_default();
            let read = self.read(piece).await?;
            content.truncate(start + read);
            call.moved(content.len() as u64);
        }
        Ok(Held { incoming: self, content })
    }

    /// The same for those who poll.
    pub(super) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let Some(conn) = self.conn.as_mut() else { return Poll::Ready(Ok(())) };
        ready!(conn.poll_read_body(context, buffer))?;
        if conn.body_missing() == 0 {
            self.conn = None;
        }
        Poll::Ready(Ok(()))
    }

    /// From now on only the connection's own clock counts.
    pub(super) fn unlimited(mut self) -> Self {
        if let Some(conn) = &mut self.conn {
            conn.set_limits(Limits::NONE);
        }
        self
    }
}

/// Content that was downloaded. One of less than 8 KiB, which mostly comes at once with its header, lies
/// where it was received until this is dropped, and its connection is lent until then.
#[derive(Debug)]
pub struct Held {
    incoming: Incoming,
    /// Empty when it lies there.
    content: Vec<u8>,
}

impl From<Vec<u8>> for Held {
    fn from(content: Vec<u8>) -> Self {
        Self { incoming: Incoming::empty(0), content }
    }
}

impl From<Held> for Vec<u8> {
    fn from(mut held: Held) -> Self {
        let received = held.incoming.received().map(<[u8]>::to_vec);
        received.unwrap_or_else(|| std::mem::take(&mut held.content))
    }
}

impl std::ops::Deref for Held {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.incoming.received().unwrap_or(&self.content)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(conn) = &mut self.incoming.conn {
            conn.skip_received_body();
        }
    }
}

impl Client {
    /// Downloads a file, or a part of it, into memory.
    ///
    /// ```no_run
    /// # use fdfs_core::client::{Client, Range};
    /// # async fn example(client: Client) -> fdfs_core::Result<()> {
    /// let id = "group1/M00/00/00/wKhHf1S-oryAZCpgAAAE2uRlJkA126.xml".parse()?;
    /// let all = client.download(&id, Range::default()).await?;
    /// let tail = client.download(&id, Range::from(-100)).await?;
    /// assert!(all.ends_with(&tail));
    /// # Ok(()) }
    /// ```
    pub async fn download(&self, id: &FileId, range: Range) -> Result<Vec<u8>> {
        self.download_held(id, range).await.map(Vec::from)
    }

    /// The same for those who copy the content to a place of their own and need none in between: a
    /// short one stays where it was received.
    pub async fn download_held(&self, id: &FileId, range: Range) -> Result<Held> {
        let call = self.begin("fdfs.download")?;
        let content = async { call.download(id, range).await?.hold(&call).await };
        content.await.map_err(|error: Error| error.with_file_id(id.as_str()))
    }

    /// Downloads into `buffer` from `offset` on and returns how many bytes there were.
    pub async fn download_into(
        &self,
        id: &FileId,
        buffer: &mut [u8],
        offset: i64,
    ) -> Result<usize> {
        let call = self.begin("fdfs.download")?;
        let content = async {
            let range = Range::new(offset, buffer.len() as u64);
            let mut incoming = call.download(id, range).await?;
            let mut filled = 0;
            while incoming.left() > 0 {
                filled += incoming.read(buffer.get_mut(filled..).unwrap_or_default()).await?;
                call.moved(filled as u64);
            }
            Ok(filled)
        };
        content.await.map_err(|error: Error| error.with_file_id(id.as_str()))
    }

    /// Downloads to a writer in bounded memory and returns the number of bytes.
    ///
    /// ```no_run
    /// # use fdfs_core::client::{Client, Range};
    /// # async fn example(client: Client, mut socket: tokio::net::TcpStream)
    /// # -> fdfs_core::Result<()> {
    /// let id = "group1/M00/00/00/wKhHf1S-oryAZCpgAAAE2uRlJkA126.xml".parse()?;
    /// client.download_to(&id, &mut socket, Range::default()).await?;
    /// # Ok(()) }
    /// ```
    pub async fn download_to(
        &self,
        id: &FileId,
        sink: &mut (impl AsyncWrite + Unpin),
        range: Range,
    ) -> Result<u64> {
        let call = self.begin("fdfs.download")?;
        let moved = call.download_to(id, sink, range).await;
        moved.map_err(|error| error.with_file_id(id.as_str()))
    }

    /// Downloads to a local file, which appears under its name only when it is whole. Something
    /// else than a file, such as a pipe, is written to as it is.
    pub async fn download_file(
        &self,
        id: &FileId,
        path: impl AsRef<Path>,
        range: Range,
    ) -> Result<u64> {
        let call = self.begin("fdfs.download")?;
        let moved = call.download_file(id, path.as_ref(), range).await;
        moved.map_err(|error| error.with_file_id(id.as_str()))
    }

    /// Opens a file for reading piece by piece. A bound on the time of the call covers the
    /// opening; reading is bounded by the time without a byte.
    ///
    /// ```no_run
    /// # use fdfs_core::client::{Client, Range};
    /// # async fn example(client: Client) -> fdfs_core::Result<()> {
    /// use std::io::SeekFrom;
    ///
    /// let id = "group1/M00/00/00/wKhHf1S-oryAZCpgAAAE2uRlJkA126.xml".parse()?;
    /// let mut reader = client.open(&id, Range::default()).await?;
    /// reader.seek(SeekFrom::End(-100))?;
    /// let mut buffer = [0; 100];
    /// let read = reader.read(&mut buffer).await?;
    /// # Ok(()) }
    /// ```
    pub async fn open(&self, id: &FileId, range: Range) -> Result<Reader> {
        let incoming = self.begin("fdfs.open")?.download(id, range).await;
        let incoming = incoming.map_err(|error| error.with_file_id(id.as_str()))?;
        Ok(Reader::new(self.clone(), id.clone(), incoming.unlimited()))
    }

    /// Downloads a part of a file that is known to have it.
    pub(super) async fn reopen(self, id: FileId, start: u64, len: u64) -> Result<Incoming> {
        let range = Range { offset: wire_number(start, "offset")?, length: Some(len) };
        let incoming = self.begin("fdfs.open")?.download(&id, range).await;
        incoming.map(Incoming::unlimited).map_err(|error| error.with_file_id(id.as_str()))
    }
}

impl Call<'_> {
    async fn download_to(
        &self,
        id: &FileId,
        sink: &mut (impl AsyncWrite + Unpin),
        range: Range,
    ) -> Result<u64> {
        const WRITING: &str = "writing the sink";
        let mut incoming = self.download(id, range).await?;
        let total = incoming.left();
        let mut buffer = vec![0; CHUNK_LEN.min(usize::try_from(total).unwrap_or(CHUNK_LEN))];
        while incoming.left() > 0 {
            let read = incoming.read(&mut buffer).await?;
            self.local(WRITING, sink.write_all(buffer.get(..read).unwrap_or_default())).await?;
            self.moved(total - incoming.left());
        }
        self.local(WRITING, sink.flush()).await?;
        Ok(total)
    }

    async fn download_file(&self, id: &FileId, path: &Path, range: Range) -> Result<u64> {
        let what = format!("writing {}", path.display());
        let path = match tokio::fs::metadata(path).await {
            Ok(there) if there.is_file() => {
                self.local(&what, tokio::fs::canonicalize(path)).await?
            }
            Ok(there) if !there.is_dir() => {
                let options = File::options().write(true).open(path).await;
                let mut sink = options.map_err(|error| local(&what, error))?;
                return self.download_to(id, &mut sink, range).await;
            }
            _ => path.to_owned(),
        };
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".fdfs-{}-{}", std::process::id(), self.client.chance()));
        let beside = Beside(beside.into());
        let mut file = self.local(&what, File::create_new(&beside.0)).await?;
        let len = self.download_to(id, &mut file, range).await?;
        self.local(&what, tokio::fs::rename(&beside.0, &path)).await?;
        beside.renamed();
        Ok(len)
    }

    /// Begins a download. The server's view of ranges differs by version; ours is that of slices:
    /// what lies beyond the end is not there, which is no error unless the beginning does
    /// (SDK conventions §1.13).
    async fn download(&self, id: &FileId, range: Range) -> Result<Incoming> {
        if range.length == Some(0) {
            return Ok(Incoming::empty(range.offset.max(0).unsigned_abs()));
        }
        let Ok(offset) = u64::try_from(range.offset) else {
            let size = self.info(id, INFO_WITHOUT_CRC | INFO_SILENT).await?.size;
            let offset = size.saturating_sub(range.offset.unsigned_abs());
            return self.download_part(id, offset, range.length, size).await;
        };
        let refused = match self.request(id, offset, range.length).await {
            Err(error) if error.status() == Some(Status::EINVAL) => error,
            done => return done,
        };
        // Status 22 may mean an empty file, an offset at the end, or, from older servers, a length
        // beyond it.
        let size = match self.info(id, INFO_WITHOUT_CRC | INFO_SILENT).await {
            Err(error) if error.kind() == ErrorKind::InvalidArgument => return Err(refused),
            info => info?.size,
        };
        let fits = range.length.unwrap_or(1) <= size.saturating_sub(offset);
        if fits { Err(refused) } else { self.download_part(id, offset, range.length, size).await }
    }

    /// Begins a download from a file whose size is known.
    async fn download_part(
        &self,
        id: &FileId,
        offset: u64,
        length: Option<u64>,
        size: u64,
    ) -> Result<Incoming> {
        match size.checked_sub(offset) {
            Some(0) => Ok(Incoming::empty(offset)),
            Some(left) => {
                let length = length.map(|length| length.min(left));
                self.request(id, offset, length).await
            }
            None => {
                let text = format!("offset {offset} is beyond the {size} bytes of the file");
                Err(Error::new(ErrorKind::InvalidArgument, text))
            }
        }
    }

    async fn request(&self, id: &FileId, offset: u64, length: Option<u64>) -> Result<Incoming> {
        const COMMAND: Command = Command::DOWNLOAD_FILE;
        let request = Download {
            offset: wire_number(offset, "offset")?,
            len: wire_number(length.unwrap_or(0), "length")?,
            group: group_of(id)?,
            name: id.name(),
        };
        let head = request.encode();
        let mut conn = self.reach(Query::Fetch, id).await?;
        let left = loop {
            self.start(&mut conn, COMMAND, &head, 0, &[]).await?;
            match conn.read_header().await {
                Err(error) if repeats(COMMAND, conn.attempt()) => {
                    tracing::debug!(parent: &self.span, %error, "repeating on a fresh connection");
                    conn.renew(&self.limits).await?;
                }
                done => break done?,
            }
        };
        self.span.record("fdfs.bytes", left);
        if length.is_some_and(|length| left > length) {
            let text = format!("{left} bytes come where {length:?} were asked for");
            return Err(conn.failed(Error::new(ErrorKind::Protocol, text)));
        }
        Ok(Incoming { conn: (left > 0).then_some(conn), start: offset })
    }
}

/// A file beside its final name; removed unless it was renamed.
struct Beside(PathBuf);

impl Beside {
    fn renamed(mut self) {
        self.0 = PathBuf::new();
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            // Nothing more can be done about a file that cannot be removed.
            let _ = std::fs::remove_file(&self.0);
        }
    }
}
