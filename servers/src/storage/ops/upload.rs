//! Uploading: normal, appender and slave files (spec 01 §8.1 to §8.3).
//!
//! A small file that has arrived whole is written once under its final name. A larger one grows
//! under a temporary name, because its checksum, which is part of its name, is known only at the
//! end. Either way the name appears only on a whole file, and the binlog knows it before the
//! client does.

use super::{Done, NAME_TRIES, existing, record_with, status};
use crate::storage::binlog::{Operation, Record};
use crate::storage::disk::DiskFile;
use crate::storage::engine::Engine;
use crate::storage::names::{NewKind, Place};
use crate::storage::pending::Pending;
use fdfs_core::file_id::generate::is_ext;
use fdfs_core::file_id::slave::slave_name;
use fdfs_core::protocol::storage::{ANY_STORE_PATH, Upload, UploadSlave};
use fdfs_core::protocol::{Name, Status};
use std::cell::Cell;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// What a new file will be called.
#[derive(Debug, Clone, Copy)]
pub(in crate::storage) enum Target {
    /// A name drawn for it.
    New(Place, NewKind),
    /// A slave's name, which is given.
    Slave(Name),
    /// A slave's name that becomes a link to a file with a drawn name.
    SlaveLink(Name, Place),
}

/// An upload that was accepted: where it goes, and how much it is.
#[derive(Debug, Clone, Copy)]
pub(in crate::storage) struct Accepted {
    /// Its store path.
    pub store_path: u8,
    /// Bytes of content.
    pub size: u64,
    target: Target,
}

/// Checks an upload before its content is read.
pub(in crate::storage) fn accept(
    engine: &Engine,
    request: &Upload,
    content_len: u64,
    kind: NewKind,
) -> Done<Accepted> {
    let size = check_size(request.content_len, content_len)?;
    if !is_ext(request.ext.as_bytes()) {
        return Err(Status::EINVAL);
    }
    let store_path = choose_path(engine, request.store_path, size)?;
    let place = engine.names.place(store_path, request.ext, engine.now());
    Ok(Accepted { store_path, size, target: Target::New(place, kind) })
}

/// Checks the upload of a slave before its content is read.
pub(in crate::storage) fn accept_slave(
    engine: &Engine,
    request: &UploadSlave,
    content_len: u64,
) -> Done<Accepted> {
    let size = check_size(request.content_len, content_len)?;
    if request.prefix.is_empty() {
        return Err(Status::EINVAL);
    }
    let (master, path) = engine.store.locate(request.master.as_bytes())?;
    let (prefix, ext) = (request.prefix.as_bytes(), request.ext.as_bytes());
    let slave = slave_name(master.canonical().as_bytes(), prefix, ext);
    let slave = slave.map_err(|_| Status::EINVAL)?;
    existing(engine, &engine.store.file(&master)?)?;
    match existing(engine, &engine.file(&slave)?) {
        Err(Status::ENOENT) => {}
        Ok(_) => return Err(Status::EEXIST),
        Err(error) => return Err(error),
    }
    // A slave's name says which store path it is in, so there is no choice, only room or none.
    if !engine.store.has_room(path, size, engine.params.reserved_storage_space) {
        return Err(Status::ENOSPC);
    }
    engine.check_room()?;
    let store_path = master.store_path();
    let target = if engine.params.store_slave_file_use_link {
        let ext = fdfs_core::protocol::Ext::truncated(ext.strip_prefix(b".").unwrap_or(ext));
        let place = engine.names.place(store_path, ext, engine.now());
        // Both names must fit a record, which is known of any name for that place.
        let sample = engine.names.name(&place, NewKind::Normal, size, 0, 0);
        record_with(Operation::Link, &slave, format_args!("{sample}"))?;
        Target::SlaveLink(slave, place)
    } else {
        Target::Slave(slave)
    };
    Ok(Accepted { store_path, size, target })
}

fn check_size(declared: i64, content_len: u64) -> Done<u64> {
    u64::try_from(declared).ok().filter(|size| *size == content_len).ok_or(Status::EINVAL)
}

fn choose_path(engine: &Engine, wanted: u8, size: u64) -> Done<u8> {
    // The byte is signed in the original: 128 to 254 are no indexes (spec 01 Q8).
    if wanted != ANY_STORE_PATH && wanted > 127 {
        return Err(Status::EINVAL);
    }
    let reserved = engine.params.reserved_storage_space;
    let by_space = engine.params.store_path == 2;
    let chosen = engine.store.choose(wanted, size, reserved, by_space)?;
    engine.check_room().map(|()| chosen)
}

/// Stores content that has arrived whole.
pub(in crate::storage) fn store_whole(
    engine: &Arc<Engine>,
    accepted: &Accepted,
    content: &[u8],
) -> Done<Pending<Name>> {
    if matches!(accepted.target, Target::Slave(_)) {
        // Anybody can guess its name, so it must not be there before its content is.
        let mut streamed = Streamed::begin(engine.clone(), *accepted)?;
        streamed.write(content)?;
        return streamed.finish();
    }
    let crc32 = crc32fast::hash(content);
    let now = engine.now();
    with_name(engine, accepted, crc32, now, |path| {
        let file = engine.disk.create_new(path)?;
        let written = match content {
            [] => Ok(()),
            content => file.write_at(content, 0),
        };
        // The time in the name is that of the file, also when a second ends between the two.
        let written = written.and_then(|()| match engine.now() == now {
            true => Ok(()),
            false => file.set_modified(now),
        });
        if written.is_err() {
            engine.undo(path);
        }
        written
    })
}

/// Finds a name, has the file made under it, and records it.
fn with_name(
    engine: &Engine,
    accepted: &Accepted,
    crc32: u32,
    time: i64,
    make: impl Fn(&std::path::Path) -> io::Result<()>,
) -> Done<Pending<Name>> {
    let draw = |place: &Place, kind| engine.names.name(place, kind, accepted.size, crc32, time);
    for _ in 0..NAME_TRIES {
        let name = match &accepted.target {
            Target::New(place, kind) => draw(place, *kind),
            Target::SlaveLink(_, place) => draw(place, NewKind::Normal),
            Target::Slave(name) => *name,
        };
        let path = engine.file(&name)?;
        match make(&path) {
            Ok(()) => return publish(engine, accepted, name, path, time),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if matches!(accepted.target, Target::Slave(_)) {
                    return Err(Status::EEXIST);
                }
            }
            Err(error) => return Err(status(error)),
        }
    }
    Err(Status::EEXIST)
}

fn publish(
    engine: &Engine,
    accepted: &Accepted,
    name: Name,
    path: PathBuf,
    time: i64,
) -> Done<Pending<Name>> {
    let created = Record::new(Operation::Create, &name);
    if let Target::SlaveLink(link, _) = accepted.target {
        let linked = link_slave(engine, link, name, &path);
        let (linked, link_path) = linked.inspect_err(|_| engine.undo(&path))?;
        return Pending::undone_by(engine, link, time, &[created, linked], move |engine| {
            engine.undo(&link_path);
            engine.undo(&path);
        });
    }
    Pending::undone_by(engine, name, time, &[created], move |engine| engine.undo(&path))
}

/// Makes a slave's name a link to its content; both are recorded or neither.
fn link_slave(
    engine: &Engine,
    link: Name,
    name: Name,
    path: &std::path::Path,
) -> Done<(Record, PathBuf)> {
    let linked = record_with(Operation::Link, &link, format_args!("{name}"))?;
    let link_path = engine.file(&link)?;
    engine.disk.symlink(path, &link_path).map_err(status)?;
    Ok((linked, link_path))
}

/// An upload whose content arrives in pieces. Dropped before it is finished, it leaves nothing.
#[derive(Debug)]
pub(in crate::storage) struct Streamed {
    engine: Arc<Engine>,
    accepted: Accepted,
    temporary: PathBuf,
    file: Option<Box<dyn DiskFile>>,
    hasher: crc32fast::Hasher,
    written: u64,
    published: Cell<bool>,
}

impl Streamed {
    /// Begins a file under a temporary name.
    pub(in crate::storage) fn begin(engine: Arc<Engine>, accepted: Accepted) -> Done<Self> {
        let temporary = engine.store.temporary(accepted.store_path)?;
        let file = engine.disk.create_new(&temporary).map_err(status)?;
        let hasher = crc32fast::Hasher::new();
        let (written, published) = (0, Cell::new(false));
        Ok(Self { engine, accepted, temporary, file: Some(file), hasher, written, published })
    }

    /// Adds a piece.
    pub(in crate::storage) fn write(&mut self, piece: &[u8]) -> Done<()> {
        let file = self.file.as_ref().ok_or(Status::EIO)?;
        file.write_at(piece, self.written).map_err(status)?;
        self.hasher.update(piece);
        self.written += piece.len() as u64;
        Ok(())
    }

    /// Gives the whole file its name.
    pub(in crate::storage) fn finish(mut self) -> Done<Pending<Name>> {
        let file = self.file.take().filter(|_| self.written == self.accepted.size);
        let file = file.ok_or(Status::EIO)?;
        // The time in the name is that of the file, as in the original.
        let time = file.stat().map_err(status)?.modified;
        drop(file);
        let crc32 = self.hasher.clone().finalize();
        let (engine, temporary, published) = (&self.engine, &self.temporary, &self.published);
        with_name(engine, &self.accepted, crc32, time, |path| {
            engine.disk.publish(temporary, path).inspect(|()| published.set(true))
        })
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        self.file = None;
        if !self.published.get() {
            self.engine.undo(&self.temporary);
        }
    }
}
