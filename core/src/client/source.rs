//! Where uploaded content comes from.

use crate::error::{Error, ErrorKind, Result};
use std::io::{self, Seek as _, Write as _};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::net::{CHUNK_LEN, Conn};
use crate::protocol::Command;

use super::options::CallOptions;

/// Bytes of a stream of unknown length that are kept in memory until a temporary file is used.
const SPOOL_LEN_MAX: usize = 8 << 20;

/// Content with a known size.
pub(super) enum Content<'c> {
    Bytes(&'c [u8]),
    Stream { reader: Box<dyn AsyncRead + Send + Unpin + 'c>, size: u64 },
}

impl<'c> Content<'c> {
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Stream { size, .. } => *size,
        }
    }

    /// A stream; one of unknown size is read to its end first, because the protocol wants the size
    /// up front.
    pub(super) async fn stream(
        mut reader: impl AsyncRead + Send + Unpin + 'c,
        size: Option<u64>,
    ) -> Result<Self> {
        if let Some(size) = size {
            return Ok(Self::Stream { reader: Box::new(reader), size });
        }
        let mut memory = Vec::new();
        let mut limited = (&mut reader).take(SPOOL_LEN_MAX as u64 + 1);
        limited.read_to_end(&mut memory).await.map_err(|e| local("reading the source", e))?;
        if memory.len() <= SPOOL_LEN_MAX {
            let size = memory.len() as u64;
            return Ok(Self::Stream { reader: Box::new(io::Cursor::new(memory)), size });
        }
        let mut file = spool_file().map_err(|error| local("making a temporary file", error))?;
        let mut size = 0;
        loop {
            file.write_all(&memory).map_err(|error| local("writing a temporary file", error))?;
            size += memory.len() as u64;
            memory.resize(CHUNK_LEN, 0);
            let read = reader.read(&mut memory).await;
            let read = read.map_err(|error| local("reading the source", error))?;
            memory.truncate(read);
            if read == 0 {
                break;
            }
        }
        file.rewind().map_err(|error| local("reading a temporary file", error))?;
        Ok(Self::Stream { reader: Box::new(tokio::fs::File::from_std(file)), size })
    }

    /// Sends the content. `false` when the server answered before all of it was sent.
    pub(super) async fn send(
        self,
        conn: &mut Conn,
        command: Command,
        call: &CallOptions,
    ) -> Result<bool> {
        let mut sent = 0;
        let mut progress = |len: usize| {
            sent += len as u64;
            if let Some(progress) = &call.progress {
                progress(sent);
            }
        };
        match self {
            Self::Bytes(bytes) => {
                for chunk in bytes.chunks(CHUNK_LEN) {
                    if !conn.send_unless_answered(command, chunk).await? {
                        return Ok(false);
                    }
                    progress(chunk.len());
                }
            }
            Self::Stream { mut reader, size } => {
                let mut buffer = vec![0; CHUNK_LEN.min(usize::try_from(size).unwrap_or(CHUNK_LEN))];
                let mut left = size;
                while left > 0 {
                    let want = usize::try_from(left).unwrap_or(CHUNK_LEN).min(buffer.len());
                    let chunk = buffer.get_mut(..want).unwrap_or_default();
                    let read = reader.read(chunk).await;
                    let read = read.map_err(|error| local("reading the source", error))?;
                    if read == 0 {
                        let text = format!("the source ended {left} bytes short of {size}");
                        return Err(Error::new(ErrorKind::LocalIo, text));
                    }
                    let chunk = buffer.get(..read).unwrap_or_default();
                    if !conn.send_unless_answered(command, chunk).await? {
                        return Ok(false);
                    }
                    left -= read as u64;
                    progress(read);
                }
                let more = reader.read(&mut [0]).await;
                if more.map_err(|error| local("reading the source", error))? > 0 {
                    let text = format!("the source is longer than {size} bytes");
                    return Err(Error::new(ErrorKind::LocalIo, text));
                }
            }
        }
        Ok(true)
    }
}

/// An error on this side.
pub(super) fn local(what: &str, error: io::Error) -> Error {
    Error::new(ErrorKind::LocalIo, format!("{what} failed")).with_source(error)
}

/// A file without a name: it is gone when it is closed.
fn spool_file() -> io::Result<std::fs::File> {
    for attempt in 0u32.. {
        let name = format!("fdfs-spool-{}-{attempt}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let mut options = std::fs::OpenOptions::new();
        match options.read(true).write(true).create_new(true).open(&path) {
            Ok(file) => {
                std::fs::remove_file(&path)?;
                return Ok(file);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < 1000 => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}
