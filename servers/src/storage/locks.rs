//! One change of a file at a time, so that the order on disk is the order in the binlog.

use fdfs_core::protocol::Name;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OwnedMutexGuard;

type FileLock = Arc<tokio::sync::Mutex<()>>;

/// The files being changed now. Its size is bounded by the number of connections.
#[derive(Debug, Default)]
pub struct FileLocks {
    held: Mutex<HashMap<Name, FileLock>>,
}

/// Holds one file until it is dropped. It owns what it needs, so that work on another thread can
/// take it along: a connection that dies must not free a file that is still being written.
#[derive(Debug)]
pub struct FileGuard {
    locks: Arc<FileLocks>,
    name: Name,
    guard: Option<OwnedMutexGuard<()>>,
}

impl FileLocks {
    /// Waits until nobody else changes `name`.
    pub async fn lock(self: &Arc<Self>, name: Name) -> FileGuard {
        let lock = {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            held.entry(name).or_default().clone()
        };
        // The entry is made before waiting; dropping this future midway leaves it to the next
        // holder of the same name, or to `drop` of the present one.
        let mut waiting = FileGuard { locks: self.clone(), name, guard: None };
        waiting.guard = Some(lock.lock_owned().await);
        waiting
    }

    /// Takes `name`, unless somebody else changes it.
    pub fn try_lock(self: &Arc<Self>, name: Name) -> Option<FileGuard> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        // While the table is held, so that no holder counts this copy of the lock as it leaves.
        let guard = held.entry(name).or_default().clone().try_lock_owned().ok()?;
        Some(FileGuard { locks: self.clone(), name, guard: Some(guard) })
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.held.lock().unwrap().len()
    }
}

impl Drop for FileGuard {
    fn drop(&mut self) {
        self.guard = None;
        let mut held = self.locks.held.lock().unwrap_or_else(PoisonError::into_inner);
        // Only the table knows the lock: nobody holds it or waits for it.
        if held.get(&self.name).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            held.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn holders_of_one_name_exclude_each_other_and_leave_nothing_behind() {
        let locks = Arc::new(FileLocks::default());
        let (a, b): (Name, Name) = ("a".try_into().unwrap(), "b".try_into().unwrap());
        let first = locks.lock(a).await;
        let other = locks.lock(b).await;
        let wait = Duration::from_millis(10);
        assert!(tokio::time::timeout(wait, locks.lock(a)).await.is_err());
        drop(first);
        drop(other);
        let again = tokio::time::timeout(wait, locks.lock(a)).await.unwrap();
        assert!(locks.try_lock(a).is_none());
        drop(again);
        drop(locks.try_lock(a).unwrap());
        assert_eq!(locks.len(), 0);
    }
}
