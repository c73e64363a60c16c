//! Deleting files with their metadata (spec 01 §8.8). The caller holds the file's lock.

use super::{Done, existing, metadata, status};
use crate::storage::binlog::Operation;
use crate::storage::engine::Engine;
use fdfs_core::file_id::Kind;
use fdfs_core::protocol::Status;
use std::io;

/// Removes a file, what it links to when it is a linked slave, and its metadata.
pub(in crate::storage) fn delete(engine: &Engine, name: &[u8]) -> Done<()> {
    let (logic, _) = engine.store.locate(name)?;
    let path = engine.store.file(&logic)?;
    let now = engine.now();
    // Only slaves have content of their own behind a link; other links leave theirs alone.
    if logic.kind() == Kind::Slave && existing(engine, &path)?.is_link {
        if let Some(target) = engine.link_target(&logic) {
            let target_path = engine.file(target.as_bytes())?;
            match engine.disk.remove(&target_path) {
                Ok(()) => {
                    engine.record(now, Operation::Delete, target.as_bytes(), format_args!(""))?;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(status(error)),
            }
        }
        engine.stats.count(crate::storage::stats::Op::DeleteLinkCount, 1, true);
    }
    match engine.disk.remove(&path) {
        Ok(()) => {}
        Err(error) if matches!(error.raw_os_error(), Some(1 | 21)) => return Err(Status::EINVAL),
        Err(error) if error.raw_os_error() == Some(20) => return Err(Status::ENOENT),
        Err(error) => return Err(status(error)),
    }
    engine.record(now, Operation::Delete, name, format_args!(""))?;
    metadata::remove(engine, &logic, now).map(|_| ())
}
