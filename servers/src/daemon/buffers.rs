//! A pool of receive buffers. A connection holds one only while bytes are on their way, so that
//! idle connections cost no buffer and a burst gives its memory back.

use memmap2::MmapMut;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a buffer that holds requests and small files.
pub const BUFFER_SMALL_LEN: usize = 16 * 1024;
/// Bytes of a buffer that holds content on its way to disk or out.
pub const BUFFER_LARGE_LEN: usize = 256 * 1024;
/// Unused buffers kept of each size, the smaller first; more are freed.
const KEPT_MAX: [usize; 2] = [256, 32];

/// A receive buffer, or nothing.
#[derive(Debug, Default)]
pub struct Buffer(Memory);

/// Pages of their own go back to the system when they are freed. The heap would keep them, with
/// something small in use between any two of them.
#[derive(Debug, Default)]
enum Memory {
    #[default]
    None,
    Pages(MmapMut),
    /// When the system gives no more maps.
    Heap(Box<[u8]>),
}

impl Buffer {
    /// A buffer that belongs to no pool.
    pub(super) fn new(len: usize) -> Self {
        Self(match MmapMut::map_anon(len) {
            Ok(pages) => Memory::Pages(pages),
            Err(_) => Memory::Heap(vec![0; len].into_boxed_slice()),
        })
    }
}

impl Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Memory::None => &[],
            Memory::Pages(pages) => pages,
            Memory::Heap(bytes) => bytes,
        }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.0 {
            Memory::None => &mut [],
            Memory::Pages(pages) => pages,
            Memory::Heap(bytes) => bytes,
        }
    }
}

/// Unused buffers of one size.
#[derive(Debug, Default)]
struct Kept {
    buffers: Vec<Buffer>,
    /// The fewest there were since [`Buffers::trim`].
    spare: usize,
}

/// The pool; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Buffers {
    kept: Arc<[Mutex<Kept>; 2]>,
}

impl Buffers {
    /// A buffer of the smaller size that holds `len` bytes, or of the larger one.
    pub fn take(&self, len: usize) -> Buffer {
        let (class, size) =
            if len <= BUFFER_SMALL_LEN { (0, BUFFER_SMALL_LEN) } else { (1, BUFFER_LARGE_LEN) };
        let kept = self.kept.get(class).and_then(|kept| {
            let mut kept = lock(kept);
            let buffer = kept.buffers.pop();
            kept.spare = kept.spare.min(kept.buffers.len());
            buffer
        });
        kept.unwrap_or_else(|| Buffer::new(size))
    }

    /// Takes a buffer back.
    pub fn give(&self, buffer: Buffer) {
        let class = match buffer.len() {
            BUFFER_SMALL_LEN => 0,
            BUFFER_LARGE_LEN => 1,
            _ => return,
        };
        if let (Some(kept), Some(max)) = (self.kept.get(class), KEPT_MAX.get(class)) {
            let mut kept = lock(kept);
            if kept.buffers.len() < *max {
                kept.buffers.push(buffer);
            }
        }
    }

    /// Frees the buffers that nobody has needed since the last time.
    pub(super) fn trim(&self) {
        for kept in &*self.kept {
            let mut kept = lock(kept);
            let needed = kept.buffers.len() - kept.spare;
            kept.buffers.truncate(needed);
            kept.spare = needed;
        }
    }
}

/// A poisoned pool is still a pool: buffers carry no state from one user to the next.
fn lock(kept: &Mutex<Kept>) -> std::sync::MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_that_nobody_needs_are_freed() {
        let buffers = Buffers::default();
        let len = |class: usize| lock(&buffers.kept[class]).buffers.len();
        let taken: Vec<_> = (0..40).map(|at| buffers.take(at % 2 * BUFFER_LARGE_LEN)).collect();
        taken.into_iter().for_each(|buffer| buffers.give(buffer));
        assert_eq!((len(0), len(1)), (20, 20));
        buffers.trim();
        assert_eq!((len(0), len(1)), (20, 20), "they were all needed");
        buffers.give(buffers.take(1));
        buffers.trim();
        assert_eq!((len(0), len(1)), (1, 0));
        buffers.trim();
        assert_eq!((len(0), len(1)), (0, 0));
    }
}
