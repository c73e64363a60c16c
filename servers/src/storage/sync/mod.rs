//! Replication within a group (spec 03 §C).
//!
//! Every storage sends what clients changed on it to every other one. One task for each peer
//! ([`senders`], [`peer`]) reads the binlog ([`reader`]) from the peer's [`mark`] on, collects records
//! that do not touch the same files ([`batch`]), hands them out to connections as these become free
//! ([`handout`]), and has them sent side by side ([`send`]). What peers send here arrives in
//! [`service`] and is put into files by [`receive`]. What members may have lost with their power is
//! offered as [`offers`] says, and compared by [`back`]. Who must know which files there are, and has
//! none of the records before, asks [`path_binlog`]. [`progress`] tells how far all that has come.

mod back;
pub(super) mod batch;
pub(super) mod graves;
mod handout;
pub(super) mod hear;
mod kept;
pub(super) mod mark;
mod offers;
pub(super) mod path_binlog;
mod peer;
pub(super) mod progress;
pub(in crate::storage) mod reader;
mod receive;
mod send;
pub(super) mod senders;
pub(super) mod service;
mod window;

use fdfs_core::file_id::LogicName;
use fdfs_core::protocol::{GROUP_STORAGES_MAX, Name, StorageId};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Ending of the names of metadata files.
pub(in crate::storage) const METADATA_SUFFIX: &[u8] = b"-m";

/// Whether a file holds the metadata of another.
pub(in crate::storage) fn is_metadata(name: &LogicName<'_>) -> bool {
    name.as_bytes().ends_with(METADATA_SUFFIX)
}

/// The file whose metadata this name stands for.
pub(in crate::storage) fn of_metadata(name: &Name) -> Option<Name> {
    name.as_bytes().strip_suffix(METADATA_SUFFIX).and_then(Name::new)
}

/// Whether a file has states, one after the other: an appender, or metadata. All others never change.
pub(in crate::storage) fn has_states(name: &LogicName<'_>) -> bool {
    name.has_appender_mark() || is_metadata(name)
}

/// Up to which time the changes of each source have arrived, until the trackers are told.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    until: Mutex<HashMap<StorageId, i32>>,
    damaged: AtomicU64,
}

impl Arrivals {
    /// Notes that all changes of `source` up to this time are here.
    pub(super) fn note(&self, source: StorageId, timestamp: i32) {
        let mut known = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever connects can call itself anything; a group has no more members than this.
        if known.len() < GROUP_STORAGES_MAX || known.contains_key(&source) {
            let latest = known.entry(source).or_insert(timestamp);
            *latest = timestamp.max(*latest);
        }
    }

    /// Counts a file whose content did not match the checksum in its name.
    pub(super) fn note_damaged(&self) {
        self.damaged.fetch_add(1, Ordering::Relaxed);
    }

    /// Files that were refused because their content did not match the checksum in their name.
    pub(super) fn damaged(&self) -> u64 {
        self.damaged.load(Ordering::Relaxed)
    }

    /// What was noted since the last time.
    pub(super) fn take(&self) -> HashMap<StorageId, i32> {
        std::mem::take(&mut *self.until.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
