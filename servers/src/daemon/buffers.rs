//! A pool of receive buffers. A connection holds one only while bytes are on their way, so that
//! idle connections cost no buffer and a burst gives its memory back.

use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a buffer that holds requests and small files.
pub const BUFFER_SMALL_LEN: usize = 16 * 1024;
/// Bytes of a buffer that holds content on its way to disk or out.
pub const BUFFER_LARGE_LEN: usize = 256 * 1024;
/// Unused buffers kept of each size; more are freed.
const KEPT_MAX: usize = 32;

/// Unused buffers of one size.
type Kept = Vec<Box<[u8]>>;

/// The pool; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Buffers {
    kept: Arc<[Mutex<Kept>; 2]>,
}

impl Buffers {
    /// A buffer of the smaller size that holds `len` bytes, or of the larger one.
    pub fn take(&self, len: usize) -> Box<[u8]> {
        let (class, size) =
            if len <= BUFFER_SMALL_LEN { (0, BUFFER_SMALL_LEN) } else { (1, BUFFER_LARGE_LEN) };
        let kept = self.kept.get(class).and_then(|kept| lock(kept).pop());
        kept.unwrap_or_else(|| vec![0; size].into_boxed_slice())
    }

    /// Takes a buffer back.
    pub fn give(&self, buffer: Box<[u8]>) {
        let class = match buffer.len() {
            BUFFER_SMALL_LEN => 0,
            BUFFER_LARGE_LEN => 1,
            _ => return,
        };
        if let Some(kept) = self.kept.get(class) {
            let mut kept = lock(kept);
            if kept.len() < KEPT_MAX {
                kept.push(buffer);
            }
        }
    }
}

/// A poisoned pool is still a pool: buffers carry no state from one user to the next.
fn lock(kept: &Mutex<Kept>) -> std::sync::MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
