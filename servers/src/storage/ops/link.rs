//! Making links to stored files (spec 01 §8.14).

use super::{Done, NAME_TRIES, existing, record_with, status};
use crate::storage::binlog::Operation;
use crate::storage::engine::Engine;
use crate::storage::names::NewKind;
use crate::storage::pending::Pending;
use fdfs_core::file_id::generate::is_ext;
use fdfs_core::file_id::slave::slave_name;
use fdfs_core::protocol::storage::CreateLink;
use fdfs_core::protocol::{Name, Status};

/// Longest names and signature together.
const TEXTS_LEN_MAX: usize = 256;

/// Makes a link under a fresh name, or under the slave name of a master.
pub(in crate::storage) fn create(engine: &Engine, request: &CreateLink) -> Done<Pending<Name>> {
    engine.check_group(&request.group)?;
    let (master, source) = (request.master.as_bytes(), request.source.as_bytes());
    let texts_len = master.len() + source.len() + request.signature.len();
    if source.is_empty() || request.signature.is_empty() || texts_len > TEXTS_LEN_MAX {
        return Err(Status::EINVAL);
    }
    if !is_ext(request.ext.as_bytes()) {
        return Err(Status::EINVAL);
    }
    let (source_name, _) = engine.store.locate(source)?;
    let source_path = engine.store.file(&source_name)?;
    let stat = existing(engine, &source_path)?;
    if !stat.is_file {
        return Err(Status::EINVAL);
    }
    engine.check_room()?;
    let now = engine.now();
    let link = |name: Name| {
        let target = source_name.canonical();
        let record = record_with(Operation::Link, &name, format_args!("{target}"))?;
        let path = engine.file(&name)?;
        engine.disk.symlink(&source_path, &path).map_err(status)?;
        Pending::undone_by(engine, name, now, &[record], move |engine| engine.undo(&path))
    };
    if !master.is_empty() {
        let (master_name, _) = engine.store.locate(master)?;
        if master_name.store_path() != source_name.store_path() {
            return Err(Status::EINVAL);
        }
        let (prefix, ext) = (request.prefix.as_bytes(), request.ext.as_bytes());
        let name = slave_name(master_name.canonical().as_bytes(), prefix, ext);
        return link(name.map_err(|_| Status::EINVAL)?);
    }
    let place = engine.names.place(source_name.store_path(), request.ext, now);
    for _ in 0..NAME_TRIES {
        // The checksum of a link's name is random: it says nothing about the content.
        let crc32 = engine.names.random_bits();
        match link(engine.names.name(&place, NewKind::Normal, stat.size, crc32, now)) {
            Err(Status::EEXIST) => {}
            done => return done,
        }
    }
    Err(Status::EEXIST)
}
