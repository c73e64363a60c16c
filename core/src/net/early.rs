//! What is read of a reply's body together with its header: short replies come whole in one call
//! of the system.

use tokio::io::ReadBuf;

/// Bytes read at most: header and content of a small file. More of a long reply would only be
/// copied once more.
const EARLY_LEN: usize = 8 * 1024;

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

    /// Room to read into, to be given back with what was read. What is left is forgotten.
    pub(super) fn room(&mut self) -> Box<[u8]> {
        (self.start, self.end) = (0, 0);
        let bytes = std::mem::take(&mut self.bytes);
        if bytes.is_empty() { vec![0; EARLY_LEN].into() } else { bytes }
    }

    /// Takes the room back, in which so many bytes were read.
    pub(super) fn put(&mut self, bytes: Box<[u8]>, len: usize) {
        (self.start, self.end) = (0, len.min(bytes.len()));
        self.bytes = bytes;
    }

    /// Moves what fits into the buffer.
    pub(super) fn take(&mut self, buffer: &mut ReadBuf<'_>) {
        let len = buffer.remaining().min(self.end - self.start);
        let end = self.start + len;
        buffer.put_slice(self.bytes.get(self.start..end).unwrap_or_default());
        self.start = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_taken_once_and_in_order() {
        let mut early = Early::default();
        for _ in 0..2 {
            let mut room = early.room();
            room[..5].copy_from_slice(b"abcde");
            early.put(room, 5);
            let mut taken = [0; 3];
            early.take(&mut ReadBuf::new(&mut taken));
            assert_eq!((&taken, early.is_empty()), (b"abc", false));
            let mut rest = ReadBuf::new(&mut taken);
            early.take(&mut rest);
            assert_eq!((rest.filled(), early.is_empty()), (&b"de"[..], true));
        }
    }
}
