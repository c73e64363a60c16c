//! What is read of a stream beyond what was asked for: a short reply comes whole, header and body,
//! in one call of the system.

use std::io;
use std::task::{Poll, ready};
use tokio::io::ReadBuf;

/// Bytes read at most: header and content of a small file. More of a long reply would only be
/// copied once more.
pub(super) const EARLY_LEN: usize = 8 * 1024;

/// Bytes that were read and not yet asked for.
#[derive(Debug, Default)]
pub(super) struct Early {
    /// Kept from reply to reply; empty until the first.
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Early {
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// What there is.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// Forgets so much of it.
    pub(super) fn skip(&mut self, len: usize) {
        self.start = self.end.min(self.start + len);
    }

    /// Room to read into, and the result is how much was read; what was left is forgotten.
    pub(super) fn fill<T>(&mut self, read: impl FnOnce(&mut [u8]) -> (usize, T)) -> T {
        if self.bytes.is_empty() {
            self.bytes = vec![0; EARLY_LEN].into();
        }
        let (len, result) = read(&mut self.bytes);
        (self.start, self.end) = (0, len.min(EARLY_LEN));
        result
    }

    /// Moves what fits into the buffer.
    pub(super) fn take(&mut self, buffer: &mut ReadBuf<'_>) {
        let len = buffer.remaining().min(self.bytes().len());
        buffer.put_slice(self.bytes().get(..len).unwrap_or_default());
        self.skip(len);
    }

    /// Reads from here what there is, and else by `read`: who has little room gets what fits, and
    /// what came with it stays here.
    pub(super) fn poll_read(
        &mut self,
        buffer: &mut ReadBuf<'_>,
        read: impl FnOnce(&mut ReadBuf<'_>) -> Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        if self.is_empty() {
            if buffer.remaining() >= EARLY_LEN {
                return read(buffer);
            }
            ready!(self.fill(|room| {
                let mut room = ReadBuf::new(room);
                let done = read(&mut room);
                (room.filled().len(), done)
            }))?;
        }
        self.take(buffer);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_taken_once_and_in_order() {
        let mut early = Early::default();
        for _ in 0..2 {
            let read = |buffer: &mut ReadBuf<'_>| {
                buffer.put_slice(b"abcde");
                Poll::Ready(Ok(()))
            };
            let mut taken = [0; 3];
            assert!(early.poll_read(&mut ReadBuf::new(&mut taken), read).is_ready());
            assert_eq!((&taken, early.is_empty()), (b"abc", false));
            let mut rest = ReadBuf::new(&mut taken);
            let never = |_: &mut ReadBuf<'_>| unreachable!("something is left");
            assert!(early.poll_read(&mut rest, never).is_ready());
            assert_eq!((rest.filled(), early.is_empty()), (&b"de"[..], true));
        }
    }

    #[test]
    fn long_reads_are_not_copied_and_failed_ones_leave_nothing() {
        let mut early = Early::default();
        let mut long = vec![0; EARLY_LEN];
        let read = |buffer: &mut ReadBuf<'_>| {
            assert_eq!(buffer.remaining(), EARLY_LEN);
            buffer.put_slice(b"long");
            Poll::Ready(Ok(()))
        };
        let mut buffer = ReadBuf::new(&mut long);
        assert!(early.poll_read(&mut buffer, read).is_ready());
        assert_eq!((buffer.filled(), early.is_empty()), (&b"long"[..], true));
        let mut short = [0; 3];
        assert!(early.poll_read(&mut ReadBuf::new(&mut short), |_| Poll::Pending).is_pending());
        let fails = |_: &mut ReadBuf<'_>| Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        let failed = early.poll_read(&mut ReadBuf::new(&mut short), fails);
        assert!(matches!(failed, Poll::Ready(Err(_))) && early.is_empty());
    }
}
