//! The operations of clients, one file a family (spec 01 §8). The functions here work on files and
//! may block; `service` decides where they run. Names of existing files come in their one form
//! ([`LogicName::canonical`](fdfs_core::file_id::LogicName::canonical)).

pub(super) mod change;
pub(super) mod delete;
pub(super) mod download;
pub(super) mod info;
pub(super) mod link;
pub(super) mod metadata;
pub(super) mod upload;

use super::binlog::{Operation, Record};
use super::disk::Stat;
use super::engine::Engine;
use fdfs_core::protocol::{Name, Status};
use std::fmt::Arguments;
use std::io;
use std::path::Path;

/// Names drawn until one is free (spec 02 §6).
const NAME_TRIES: usize = 10;
/// What `open` and its like say when a part of the path is no directory.
const ENOTDIR: i32 = 20;

/// Shorthand: the status is the reply.
pub(in crate::storage) type Done<T> = Result<T, Status>;

/// The status for an error of a file call.
pub(in crate::storage) fn status(error: io::Error) -> Status {
    match error.raw_os_error() {
        // A component that is no directory is as good as a missing file.
        Some(ENOTDIR) => Status::ENOENT,
        _ => Status::of_io(&error),
    }
}

/// Looks at a file that must exist; links are not followed.
fn existing(engine: &Engine, path: &Path) -> Done<Stat> {
    engine.disk.lstat(path).map_err(status)
}

/// A record with something behind its name. Names may be too long for that, which must be known
/// before the change is made.
pub(in crate::storage) fn record_with(
    operation: Operation,
    name: &Name,
    extra: Arguments<'_>,
) -> Done<Record> {
    Record::with(operation, name, extra).ok_or(Status::EINVAL)
}
