//! Reading a file piece by piece.

use super::Client;
use super::download::Incoming;
use crate::error::{Error, ErrorKind, Result};
use crate::file_id::FileId;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncSeek, ReadBuf};

/// An open file, or the part of it that was asked for: positions count from the part's first byte.
///
/// Memory does not grow with the file. Seeking makes a new request at the next read. Dropping the
/// reader before its end closes its connection.
pub struct Reader {
    client: Client,
    id: FileId,
    /// Where the part begins in the file.
    start: u64,
    len: u64,
    position: u64,
    state: State,
}

#[allow(clippy::large_enum_variant, reason = "there is one per reader, and it is mostly this one")]
enum State {
    /// Content comes, from the position on.
    Open(Incoming),
    /// Nothing has been asked for at the position yet.
    Moved,
    Opening(Pin<Box<dyn Future<Output = Result<Incoming>> + Send>>),
    /// An error ended it.
    Failed,
}

impl Reader {
    pub(super) fn new(client: Client, id: FileId, incoming: Incoming) -> Self {
        let (start, len) = (incoming.start, incoming.left());
        Self { client, id, start, len, position: 0, state: State::Open(incoming) }
    }

    /// The file.
    pub fn id(&self) -> &FileId {
        &self.id
    }

    /// Bytes of the part.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no byte.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The next byte to be read.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> u64 {
        self.len.saturating_sub(self.position)
    }

    /// Reads some bytes; 0 at the end. The time of a call counts anew for each read: how long the
    /// file stays open is the reader's own affair. Ends when the call that opened it is cancelled.
    pub async fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let limits = self.client.limits();
        let mut buffer = ReadBuf::new(buffer);
        let reading = poll_fn(|context| self.poll_content(context, &mut buffer));
        match limits.run("reading", None, reading).await {
            Ok(read) => read?,
            Err(cancelled) => self.fail(cancelled)?,
        }
        Ok(buffer.filled().len())
    }

    /// Continues at another position, and returns it. One behind the end is none that has bytes;
    /// one before the beginning is an error.
    pub fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        let position = position.ok_or_else(|| {
            let text = "seeking before the beginning";
            Error::new(ErrorKind::InvalidArgument, text).with_file_id(self.id.as_str())
        })?;
        if position != self.position {
            (self.position, self.state) = (position, State::Moved);
        }
        Ok(position)
    }

    fn poll_content(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        if self.remaining() == 0 || buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        self.client.inner.process.check()?;
        loop {
            match &mut self.state {
                State::Open(incoming) => {
                    let before = buffer.filled().len();
                    let read = ready!(incoming.poll_read(context, buffer));
                    let read = read.map(|()| buffer.filled().len() - before);
                    return Poll::Ready(match read {
                        Ok(0) => self.fail(Error::new(ErrorKind::Protocol, "the file has shrunk")),
                        Ok(read) => {
                            self.position += read as u64;
                            Ok(())
                        }
                        Err(error) => self.fail(error),
                    });
                }
                State::Moved => {
                    let (start, left) = (self.start + self.position, self.remaining());
                    let opening = self.client.clone().reopen(self.id.clone(), start, left);
                    self.state = State::Opening(Box::pin(opening));
                }
                State::Opening(opening) => match ready!(opening.as_mut().poll(context)) {
                    Ok(incoming) => self.state = State::Open(incoming),
                    Err(error) => return Poll::Ready(self.fail(error)),
                },
                State::Failed => {
                    let text = "an earlier read failed; seek or open the file again";
                    return Poll::Ready(Err(Error::new(ErrorKind::Closed, text)));
                }
            }
        }
    }

    fn fail(&mut self, error: Error) -> Result<()> {
        self.state = State::Failed;
        Err(error.with_file_id(self.id.as_str()))
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("id", &self.id)
            .field("len", &self.len)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

impl AsyncRead for Reader {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.get_mut().poll_content(context, buffer).map_err(io::Error::other)
    }
}

impl AsyncSeek for Reader {
    fn start_seek(self: Pin<&mut Self>, to: SeekFrom) -> io::Result<()> {
        self.get_mut().seek(to).map(|_| ()).map_err(io::Error::other)
    }

    fn poll_complete(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Poll::Ready(Ok(self.position))
    }
}
