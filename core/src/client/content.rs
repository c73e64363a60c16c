//! Where uploaded content comes from.

use super::call::{Call, local};
use crate::error::{Error, ErrorKind, Result};
use crate::net::{CHUNK_LEN, Conn};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

/// Bytes of a stream of unknown length that are kept in memory until a temporary file is used.
const SPOOL_LEN_MAX: usize = 8 << 20;
const READING: &str = "reading the source";
const SPOOLING: &str = "writing a temporary file";

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

    /// The size as requests carry it.
    pub(super) fn wire_size(&self) -> Result<i64> {
        super::wire_number(self.size(), "size")
    }

    /// A stream; one of unknown size is read to its end first, because the protocol wants the size
    /// up front.
    pub(super) async fn stream(
        call: &Call<'_>,
        mut reader: impl AsyncRead + Send + Unpin + 'c,
        size: Option<u64>,
    ) -> Result<Self> {
        if let Some(size) = size {
            // A request without content is complete as it begins; see `send_stream`.
            if size == 0 && call.local(READING, reader.read(&mut [0])).await? > 0 {
                return Err(too_long(size));
            }
            return Ok(Self::Stream { reader: Box::new(reader), size });
        }
        let mut memory = Vec::new();
        let mut limited = (&mut reader).take(SPOOL_LEN_MAX as u64 + 1);
        call.local(READING, limited.read_to_end(&mut memory)).await?;
        if memory.len() <= SPOOL_LEN_MAX {
            let size = memory.len() as u64;
            return Ok(Self::Stream { reader: Box::new(io::Cursor::new(memory)), size });
        }
        let file = spool_file().map_err(|error| local("making a temporary file", error))?;
        let mut file = tokio::fs::File::from_std(file);
        let mut size = 0;
        loop {
            call.local(SPOOLING, file.write_all(&memory)).await?;
            size += memory.len() as u64;
            memory.resize(CHUNK_LEN, 0);
            memory.shrink_to_fit();
            let read = call.local(READING, reader.read(&mut memory)).await?;
            memory.truncate(read);
            if read == 0 {
                break;
            }
        }
        call.local(SPOOLING, file.rewind()).await?;
        Ok(Self::Stream { reader: Box::new(file), size })
    }

    /// What can be sent together with the request.
    pub(super) fn first(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes.get(..CHUNK_LEN).unwrap_or(bytes),
            Self::Stream { .. } => &[],
        }
    }

    /// Sends the content from `sent` on, to its end or until the server answers.
    pub(super) async fn send(self, sent: usize, call: &Call<'_>, conn: &mut Conn) -> Result<()> {
        match self {
            Self::Bytes(bytes) => {
                let rest = bytes.get(sent..).unwrap_or_default();
                let mut sent = sent as u64;
                if sent > 0 {
                    call.moved(sent);
                }
                for chunk in rest.chunks(CHUNK_LEN) {
                    if !conn.send_content(chunk).await? {
                        return Ok(());
                    }
                    sent += chunk.len() as u64;
                    call.moved(sent);
                }
                Ok(())
            }
            Self::Stream { reader, size } => send_stream(reader, size, call, conn).await,
        }
    }
}

async fn send_stream(
    mut reader: impl AsyncRead + Unpin,
    size: u64,
    call: &Call<'_>,
    conn: &mut Conn,
) -> Result<()> {
    // One byte more than the content has: that the source is longer must be known before the
    // server has all it needs to store a file nobody wants.
    let limit =
        usize::try_from(size).map_or(CHUNK_LEN, |size| size.saturating_add(1).min(CHUNK_LEN));
    let mut buffer = vec![0; limit];
    let (mut filled, mut sent) = (0, 0);
    let mut ended = false;
    loop {
        while !ended && filled < buffer.len() {
            let room = buffer.get_mut(filled..).unwrap_or_default();
            let read = call.local(READING, reader.read(room)).await?;
            ended = read == 0;
            filled += read;
            // Servers give up on those who keep silent: what has come goes on its way.
            if (sent + filled as u64) < size {
                break;
            }
        }
        let left = size - sent;
        if filled as u64 > left {
            return Err(too_long(size));
        }
        if ended && (filled as u64) < left {
            let text = format!("the source ended {} bytes short of {size}", left - filled as u64);
            return Err(Error::new(ErrorKind::LocalIo, text));
        }
        // The last bytes wait until the source has said that they are the last.
        let hold = usize::from(filled as u64 == left && !ended);
        let ready = filled - hold;
        if !conn.send_content(buffer.get(..ready).unwrap_or_default()).await? {
            return Ok(());
        }
        buffer.copy_within(ready..filled, 0);
        (filled, sent) = (hold, sent + ready as u64);
        if ready > 0 {
            call.moved(sent);
        }
        if sent == size {
            return Ok(());
        }
    }
}

fn too_long(size: u64) -> Error {
    Error::new(ErrorKind::LocalIo, format!("the source is longer than {size} bytes"))
}

/// A file without a name: it is gone when it is closed.
fn spool_file() -> io::Result<std::fs::File> {
    for attempt in 0u32.. {
        let name = format!("fdfs-spool-{}-{attempt}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(&path) {
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
