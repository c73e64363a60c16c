//! What a forked child must leave alone.

use std::mem::ManuallyDrop;
use std::ops::Deref;

/// Something with connections. A child shares their registration for readiness with its parent: to
/// close them there would make the parent deaf. So only the process that made it drops it.
pub(crate) struct Owned<T> {
    value: ManuallyDrop<T>,
    process: u32,
}

impl<T> Owned<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value: ManuallyDrop::new(value), process: std::process::id() }
    }

    /// Whether this process made it.
    pub(crate) fn is_ours(&self) -> bool {
        self.process == std::process::id()
    }
}

impl<T> Deref for Owned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        if self.is_ours() {
            // SAFETY: it is dropped here only, and nobody uses it afterwards.
            unsafe { ManuallyDrop::drop(&mut self.value) }
        }
    }
}
