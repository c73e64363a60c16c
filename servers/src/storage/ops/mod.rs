//! The operations of clients, one file a family (spec 01 §8). The functions here work on files and
//! may block; `service` decides where they run.

pub(super) mod change;
pub(super) mod delete;
pub(super) mod download;
pub(super) mod info;
pub(super) mod link;
pub(super) mod metadata;
pub(super) mod upload;

use super::disk::Stat;
use super::engine::Engine;
use fdfs_core::protocol::Status;
use std::io;
use std::path::Path;

/// Shorthand: the status is the reply.
pub(in crate::storage) type Done<T> = Result<T, Status>;

/// The status for an error of a file call.
fn status(error: io::Error) -> Status {
    Status::of_io(&error)
}

/// Looks at a file that must exist; links are not followed.
fn existing(engine: &Engine, path: &Path) -> Done<Stat> {
    match engine.disk.lstat(path) {
        Ok(stat) => Ok(stat),
        // A component that is no directory is as good as a missing file.
        Err(error) if error.raw_os_error() == Some(20) => Err(Status::ENOENT),
        Err(error) => Err(status(error)),
    }
}
