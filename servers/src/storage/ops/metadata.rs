//! Metadata of files (spec 01 §8.10, §8.11; 04 §A.9). The caller holds the file's lock.

use super::{Done, existing, status};
use crate::storage::binlog::{Operation, Record};
use crate::storage::engine::Engine;
use crate::storage::pending::Pending;
use fdfs_core::file_id::LogicName;
use fdfs_core::protocol::meta::{merge, normalize};
use fdfs_core::protocol::storage::{META_MERGE, META_OVERWRITE, SetMetadata};
use fdfs_core::protocol::{Name, Status};
use std::io;
use std::path::{Path, PathBuf};

/// Largest metadata file read: more than any request can have made.
const FILE_LEN_MAX: u64 = 16 << 20;

fn file_of(engine: &Engine, name: &LogicName<'_>) -> Done<PathBuf> {
    Ok(engine.store.path(name.store_path())?.data().join(name.metadata_name().to_string()))
}

/// The name of the metadata in the binlog; `None` when it is too long for one, so that such a file
/// has no metadata.
fn record_name(name: &LogicName<'_>) -> Option<Name> {
    Name::concat(&[name.canonical().as_bytes(), b"-m"])
}

fn read(engine: &Engine, path: &Path) -> Done<Option<Vec<u8>>> {
    let file = match engine.disk.open_read(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(status(error)),
    };
    let stat = file.stat().map_err(status)?;
    if !stat.is_file {
        return Err(Status::EISDIR);
    }
    let len = usize::try_from(stat.size.min(FILE_LEN_MAX)).unwrap_or(0);
    let mut items = vec![0; len];
    let read = file.read_at(&mut items, 0).map_err(status)?;
    items.truncate(read);
    Ok(Some(items))
}

/// The stored items of a file.
pub(in crate::storage) fn get(engine: &Engine, name: &Name) -> Done<Vec<u8>> {
    let (logic, _) = engine.store.locate(name.as_bytes())?;
    existing(engine, &engine.store.file(&logic)?)?;
    read(engine, &file_of(engine, &logic)?)?.ok_or(Status::ENOENT)
}

/// Replaces or merges the items of a file; there are some, unless they are merged.
pub(in crate::storage) fn set(
    engine: &Engine,
    name: &Name,
    request: &SetMetadata,
) -> Done<Pending<()>> {
    let (logic, _) = engine.store.locate(name.as_bytes())?;
    let record_name = record_name(&logic).ok_or(Status::EINVAL)?;
    existing(engine, &engine.store.file(&logic)?)?;
    let now = engine.now();
    let items = request.items.as_bytes();
    let merges = request.flag == META_MERGE;
    if items.is_empty() && merges {
        return Ok(Pending::unchanged(()));
    }
    engine.check_room()?;
    let path = file_of(engine, &logic)?;
    let old = if merges {
        read(engine, &path)?
    } else {
        match existing(engine, &path) {
            Ok(_) => Some(Vec::new()),
            Err(Status::ENOENT) => None,
            Err(error) => return Err(error),
        }
    };
    let new = match &old {
        Some(old) if merges => merge(old, items),
        _ => normalize(items),
    };
    write(engine, &logic, &path, &new)?;
    let operation = if old.is_some() { Operation::Update } else { Operation::Create };
    Pending::done(engine, (), now, &[Record::new(operation, &record_name)])
}

/// Whether a request leaves a file without items: that is done by [`clear`], not by [`set`].
pub(in crate::storage) fn clears(request: &SetMetadata) -> bool {
    request.flag == META_OVERWRITE && request.items.as_bytes().is_empty()
}

/// Removes the items of a file once that is recorded.
pub(in crate::storage) fn clear(engine: &Engine, name: &Name) -> Done<Pending<()>> {
    engine.binlog.check().map_err(status)?;
    let (logic, _) = engine.store.locate(name.as_bytes())?;
    record_name(&logic).ok_or(Status::EINVAL)?;
    existing(engine, &engine.store.file(&logic)?)?;
    let Some(record) = removal(engine, &logic)? else { return Ok(Pending::unchanged(())) };
    let name = *name;
    let then = move |engine: &Engine| {
        let (logic, _) = engine.store.locate(name.as_bytes())?;
        remove(engine, &logic)
    };
    Pending::intended(engine, (), engine.now(), &[record], then)
}

/// Checks what the name has no part in.
pub(in crate::storage) fn check(engine: &Engine, request: &SetMetadata) -> Done<()> {
    match request.flag {
        META_OVERWRITE | META_MERGE => engine.check_group(&request.group),
        _ => Err(Status::EINVAL),
    }
}

/// Writes beside, makes durable, and puts in place: a crash leaves the old items or the new.
fn write(engine: &Engine, name: &LogicName<'_>, path: &Path, items: &[u8]) -> Done<()> {
    let temporary = engine.store.temporary(name.store_path())?;
    let file = engine.disk.create_new(&temporary).map_err(status)?;
    let written = file
        .write_at(items, 0)
        .and_then(|()| file.sync())
        .and_then(|()| engine.disk.replace(&temporary, path));
    written.map_err(|error| {
        engine.undo(&temporary);
        status(error)
    })
}

/// What is to be recorded before the items of a file are removed, when there are any.
pub(in crate::storage) fn removal(engine: &Engine, name: &LogicName<'_>) -> Done<Option<Record>> {
    let Some(record_name) = record_name(name) else { return Ok(None) };
    match existing(engine, &file_of(engine, name)?) {
        Ok(_) => Ok(Some(Record::new(Operation::Delete, &record_name))),
        Err(Status::ENOENT) => Ok(None),
        Err(status) => Err(status),
    }
}

/// Removes the items of a file, if there are any.
pub(in crate::storage) fn remove(engine: &Engine, name: &LogicName<'_>) -> Done<()> {
    match engine.disk.remove(&file_of(engine, name)?) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(status(error)),
        _ => Ok(()),
    }
}
