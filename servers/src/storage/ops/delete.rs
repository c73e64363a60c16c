//! Deleting files with their metadata (spec 01 §8.8). The caller holds the file's lock.

use super::{Done, existing, metadata, status};
use crate::storage::binlog::{Operation, Record};
use crate::storage::engine::Engine;
use crate::storage::pending::Pending;
use crate::storage::stats::Op;
use fdfs_core::file_id::{Kind, LogicName};
use fdfs_core::protocol::{Name, Status};
use std::io;

/// A file, what it links to, and its metadata.
const RECORDS_MAX: usize = 3;

/// Removes a file, what it links to when it is a linked slave, and its metadata.
pub(in crate::storage) fn delete(engine: &Engine, name: &Name) -> Done<Pending<()>> {
    // Deleting needs no room, it makes some; but it must be possible to record it.
    engine.binlog.check().map_err(status)?;
    let now = engine.now();
    let mut records = Vec::with_capacity(RECORDS_MAX);
    let done = remove(engine, name, &mut records);
    if records.is_empty() {
        return done.map(Pending::unchanged);
    }
    // What is gone is recorded, also when the rest could not be removed.
    let pending = Pending::done(engine, (), now, &records)?;
    done.map(|()| pending)
}

fn remove(engine: &Engine, name: &Name, records: &mut Vec<Record>) -> Done<()> {
    let (logic, _) = engine.store.locate(name.as_bytes())?;
    let path = engine.store.file(&logic)?;
    let mut created = None;
    if logic.kind() == Kind::Slave {
        let stat = existing(engine, &path)?;
        created = Some(stat.modified);
        // Only slaves have content of their own behind a link; other links leave theirs alone.
        if stat.is_link {
            let removed = remove_target(engine, &logic);
            engine.stats.count(Op::DeleteLinkCount, 1, removed.is_ok());
            records.extend(removed?);
        }
    }
    match engine.disk.remove(&path) {
        Ok(()) => {
            engine.graves.dig(&logic.canonical(), engine.now(), created);
            records.push(Record::new(Operation::Delete, name));
        }
        // A directory; no request names one that a server made.
        Err(error) if matches!(error.raw_os_error(), Some(1 | 21)) => return Err(Status::EINVAL),
        Err(error) => return Err(status(error)),
    }
    records.extend(metadata::remove(engine, &logic)?);
    Ok(())
}

fn remove_target(engine: &Engine, link: &LogicName<'_>) -> Done<Option<Record>> {
    let Some(target) = engine.link_target(link) else { return Ok(None) };
    match engine.disk.remove(&engine.file(&target)?) {
        Ok(()) => Ok(Some(Record::new(Operation::Delete, &target))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(status(error)),
    }
}
