//! Reading files.

use super::exchange::Query;
use super::options::{CallOptions, Range};
use super::source::local;
use super::{Client, Reader, group_of};
use crate::error::{Error, ErrorKind, Result};
use crate::file_id::FileId;
use crate::net::{CHUNK_LEN, Pooled};
use crate::protocol::storage::Download;
use crate::protocol::{Command, Status};
use crate::wire::Wire;
use std::path::Path;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

const COMMAND: Command = Command::DOWNLOAD_FILE;

/// Content on its way from a storage.
#[derive(Debug)]
pub(super) struct Incoming {
    /// `None` when there is nothing to read.
    conn: Option<Pooled>,
    pub(super) left: u64,
}

impl Incoming {
    const EMPTY: Self = Self { conn: None, left: 0 };

    /// Reads some bytes; 0 at the end. The connection goes back to the pool with the last byte.
    pub(super) async fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let Some(conn) = self.conn.as_mut().filter(|_| self.left > 0) else { return Ok(0) };
        let want = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = conn.read_some(COMMAND, buffer.get_mut(..want).unwrap_or_default()).await?;
        self.left -= read as u64;
        if self.left == 0 {
            conn.finish();
            self.conn = None;
        }
        Ok(read)
    }
}

impl Client {
    /// Downloads a file, or a part of it, into memory.
    pub async fn download(&self, id: &FileId, range: Range) -> Result<Vec<u8>> {
        let work = async {
            let mut incoming = self.begin_download(id, range).await?;
            let mut content = Vec::new();
            // Grows with what arrives, so that a lying length costs nothing.
            while incoming.left > 0 {
                let start = content.len();
                let more = usize::try_from(incoming.left).unwrap_or(CHUNK_LEN).min(CHUNK_LEN);
                content.resize(start + more, 0);
                let piece = content.get_mut(start..).unwrap_or_default();
                let read = incoming.read(piece).await?;
                content.truncate(start + read);
            }
            Ok(content)
        };
        self.bounded(&CallOptions::default(), false, work).await
    }

    /// Downloads into `buffer` from `offset` on and returns how many bytes there were.
    pub async fn download_into(
        &self,
        id: &FileId,
        buffer: &mut [u8],
        offset: i64,
    ) -> Result<usize> {
        let work = async {
            let range = Range::new(offset, buffer.len() as u64);
            let mut incoming = self.begin_download(id, range).await?;
            let mut filled = 0;
            while incoming.left > 0 {
                filled += incoming.read(buffer.get_mut(filled..).unwrap_or_default()).await?;
            }
            Ok(filled)
        };
        self.bounded(&CallOptions::default(), false, work).await
    }

    /// Downloads to a writer in bounded memory and returns the number of bytes.
    pub async fn download_to(
        &self,
        id: &FileId,
        sink: &mut (impl AsyncWrite + Unpin),
        range: Range,
        call: CallOptions,
    ) -> Result<u64> {
        let work = async {
            let mut incoming = self.begin_download(id, range).await?;
            let total = incoming.left;
            let mut buffer = vec![0; CHUNK_LEN.min(usize::try_from(total).unwrap_or(CHUNK_LEN))];
            while incoming.left > 0 {
                let read = incoming.read(&mut buffer).await?;
                let piece = buffer.get(..read).unwrap_or_default();
                sink.write_all(piece).await.map_err(|error| local("writing the sink", error))?;
                if let Some(progress) = &call.progress {
                    progress(total - incoming.left);
                }
            }
            sink.flush().await.map_err(|error| local("writing the sink", error))?;
            Ok(total)
        };
        self.bounded(&call, false, work).await
    }

    /// Downloads to a local file, which appears under its name only when it is whole.
    pub async fn download_file(
        &self,
        id: &FileId,
        path: impl AsRef<Path>,
        call: CallOptions,
    ) -> Result<u64> {
        let path = path.as_ref();
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".fdfs-{}-{}", std::process::id(), self.chance()));
        let beside = Beside(beside.into());
        let what = || format!("writing {}", path.display());
        let file = tokio::fs::File::create_new(&beside.0).await;
        let mut file = file.map_err(|error| local(&what(), error))?;
        let len = self.download_to(id, &mut file, Range::default(), call).await?;
        file.sync_data().await.map_err(|error| local(&what(), error))?;
        tokio::fs::rename(&beside.0, path).await.map_err(|error| local(&what(), error))?;
        Ok(len)
    }

    /// Opens a file for reading piece by piece.
    pub async fn open(&self, id: &FileId, range: Range) -> Result<Reader> {
        let work = self.begin_download(id, range);
        let incoming = self.bounded(&CallOptions::default(), false, work).await?;
        Ok(Reader::new(self.clone(), id.clone(), range, incoming))
    }

    /// Begins a download. The server's view of ranges differs by version; ours is that of slices:
    /// what lies beyond the end is not there, which is no error unless the beginning does.
    pub(super) async fn begin_download(&self, id: &FileId, range: Range) -> Result<Incoming> {
        if range.length == Some(0) {
            return Ok(Incoming::EMPTY);
        }
        let offset = match u64::try_from(range.offset) {
            Ok(offset) => offset,
            Err(_) => self.stat(id).await?.size.saturating_sub(range.offset.unsigned_abs()),
        };
        let refused = match self.request(id, offset, range.length).await {
            Err(error) if error.status() == Some(Status::EINVAL) => error,
            done => return done,
        };
        // Status 22 may mean an empty file, an offset at the end, or, from older servers, a length
        // beyond it.
        let size = self.stat(id).await?.size;
        match size.checked_sub(offset) {
            Some(0) => Ok(Incoming::EMPTY),
            Some(left) if range.length.is_some_and(|length| length > left) => {
                self.request(id, offset, Some(left)).await
            }
            Some(_) => Err(refused),
            None => {
                let text = format!("offset {offset} is beyond the {size} bytes of the file");
                Err(Error::new(ErrorKind::InvalidArgument, text).with_file_id(id.as_str()))
            }
        }
    }

    async fn request(&self, id: &FileId, offset: u64, length: Option<u64>) -> Result<Incoming> {
        let number = |value: u64| {
            let text = "offset or length beyond all files";
            i64::try_from(value).map_err(|_| Error::new(ErrorKind::InvalidArgument, text))
        };
        let request = Download {
            offset: number(offset)?,
            len: number(length.unwrap_or(0))?,
            group: group_of(id)?,
            name: id.name(),
        };
        let head = request.encode();
        for fresh in [false, true] {
            let mut conn = self.reach(Query::Fetch, id).await?;
            let asked = async {
                conn.start(COMMAND, 0, &head, 0).await?;
                conn.read_header(COMMAND).await
            };
            match asked.await {
                Ok(0) => return Ok(Incoming::EMPTY),
                Ok(left) if length.is_some_and(|length| left > length) => {
                    let text = format!("{left} bytes come where {length:?} were asked for");
                    return Err(Error::new(ErrorKind::Protocol, text).with_file_id(id.as_str()));
                }
                Ok(left) => return Ok(Incoming { conn: Some(conn), left }),
                // A kept connection that died says nothing; one more try.
                Err(error) if error.status().is_none() && conn.died_unheard() && !fresh => {}
                Err(error) => return Err(error.with_file_id(id.as_str())),
            }
        }
        Err(Error::new(ErrorKind::NoServer, "no storage has the file").with_file_id(id.as_str()))
    }
}

/// A file beside its final name; removed unless it was renamed.
struct Beside(std::path::PathBuf);

impl Drop for Beside {
    fn drop(&mut self) {
        // After renaming there is no such file any more.
        let _ = std::fs::remove_file(&self.0);
    }
}
