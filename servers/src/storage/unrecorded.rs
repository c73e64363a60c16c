//! After an unclean stop: changes that were made but not recorded any more.
//!
//! A change is made, recorded, acknowledged. A process killed between the first two leaves a change
//! that nobody was told of and that no peer would ever get: members would differ for good. So files
//! that changed around the time of the last record are compared with the last records, and those that
//! are missing are added. Deletions are recorded before they are made: one that a peer told of and
//! that was not made is made now, and one that was made for a file and not for its metadata is ended.
//! After a loss of power any deleted file may be back, which the peers do not have any more: it is
//! deleted once more. And a file that was being changed may have any of its last states then.

use super::binlog::{Operation, Record};
use super::engine::Engine;
use super::locks::FileGuard;
use super::ops::delete;
use super::orphans::{Suspects, directories, modified};
use super::sync::reader::{BinlogReader, Next};
use super::sync::{has_states, is_metadata, of_metadata};
use fdfs_core::file_id::{Kind, LogicName};
use fdfs_core::protocol::Name;
use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Seconds that a change may take from its beginning to its record.
const CHANGE_SECS: i64 = 30;

/// Adds the records that are missing. Gives files whose content changes and that a client here may
/// have changed without that being recorded: they are to be given to [`add_whole`] once it is known
/// what peers have of them.
pub(super) fn add(engine: &Engine, suspects: Suspects) -> io::Result<Vec<Name>> {
    let tail = Tail::read(engine)?;
    // Records later than this start were written by a clock that has been set back since.
    let from = match tail.last_time <= suspects.until.0 && !suspects.again {
        true => suspects.from.max(tail.last_time - CHANGE_SECS),
        false => suspects.from,
    };
    let mut search = Search { engine, suspects, from, added: 0 };
    let mut doubtful = Vec::new();
    search.find_unknown(&tail)?;
    for (name, known) in &tail.names {
        match (suspects.same_boot, known.deleted) {
            (true, Some(deleted)) if !deleted.by_client || search.is_left_over(name) => {
                search.delete_now(name)?;
            }
            (true, _) if known.by_client && search.is_doubtful(name) => doubtful.push(*name),
            (true, _) => {}
            (false, Some(Deleted { by_client: true, time })) if time >= suspects.from => {
                search.delete_again(name)?;
            }
            (false, _) if search.is_doubtful(name) => {
                search.record(Record::new(Operation::Update, name))?;
            }
            (false, _) => {}
        }
    }
    if !suspects.same_boot {
        // Peers may have what was lost here: they are asked before they are sent anything of it.
        engine.be_unsure_until(*engine.binlog.written().borrow());
    }
    if search.added > 0 {
        tracing::warn!(added = search.added, "recorded changes that the last run had not");
    }
    Ok(doubtful)
}

/// Records these files if they are there: peers get them whole.
pub(super) fn add_whole(engine: &Engine, names: &[Name]) -> io::Result<()> {
    for name in names {
        if engine.file(name).is_ok_and(|path| path.symlink_metadata().is_ok()) {
            record(engine, Record::new(Operation::Update, name))?;
        }
    }
    Ok(())
}

fn record(engine: &Engine, record: Record) -> io::Result<()> {
    let ticket = engine.binlog.push(engine.now(), &[record])?;
    engine.binlog.commit(&ticket)
}

/// The last records.
struct Tail {
    names: BTreeMap<Name, Known>,
    last_time: i64,
}

/// What the last records say of a name.
#[derive(Default)]
struct Known {
    /// One of them is of a client here.
    by_client: bool,
    /// That the file was deleted, if that is the last of them.
    deleted: Option<Deleted>,
}

#[derive(Clone, Copy)]
struct Deleted {
    /// A client here asked for it, not a peer.
    by_client: bool,
    time: i64,
}

impl Tail {
    fn read(engine: &Engine) -> io::Result<Self> {
        let end = *engine.binlog.written().borrow();
        let mut reader = BinlogReader::tail(engine.binlog.dir(), end)?;
        let mut tail = Self { names: BTreeMap::new(), last_time: 0 };
        loop {
            match reader.next(end)? {
                Next::End => return Ok(tail),
                Next::Damaged(_) => {}
                Next::Packed => engine.binlog.unpack(reader.position().index)?,
                Next::Entry(entry) => {
                    let known = tail.names.entry(entry.name).or_default();
                    known.by_client |= !entry.replica;
                    let deleted = Deleted { by_client: !entry.replica, time: entry.time };
                    known.deleted = (entry.operation == Operation::Delete).then_some(deleted);
                    tail.last_time = tail.last_time.max(entry.time);
                }
            }
        }
    }
}

struct Search<'e> {
    engine: &'e Engine,
    suspects: Suspects,
    /// Earlier changes have had the time to be recorded.
    from: i64,
    added: usize,
}

impl Search<'_> {
    /// Records files that appeared and that no record knows.
    fn find_unknown(&mut self, tail: &Tail) -> io::Result<()> {
        for (index, path) in self.engine.store.paths().iter().enumerate() {
            for high in directories(path.data(), i64::MIN)? {
                for low in directories(&high, self.from)? {
                    self.find_unknown_in(index, path.data(), &low, tail)?;
                }
            }
        }
        Ok(())
    }

    fn find_unknown_in(
        &mut self,
        index: usize,
        data: &Path,
        dir: &Path,
        tail: &Tail,
    ) -> io::Result<()> {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            let Ok(true_path) = path.strip_prefix(data) else { continue };
            let Some(name) = Name::new(format!("M{index:02X}/{}", true_path.display()).as_bytes())
            else {
                continue;
            };
            let Ok(logic) = LogicName::parse(name.as_bytes()) else { continue };
            let is_own = self.engine.is_source_of(&logic);
            let is_normal = logic.kind() == Kind::Normal;
            // Since the power was lost a peer may have given it back: others may lack it, and of
            // that nothing may be recorded any more.
            let may_be_back = is_own && is_normal && self.engine.is_unsure();
            let is_deleted = |known: &Known| known.deleted.is_some_and(|deleted| deleted.by_client);
            if tail.names.get(&name).is_some_and(|known| !may_be_back || is_deleted(known)) {
                continue;
            }
            let certain = has_states(&logic) || is_normal;
            let Ok(meta) = path.symlink_metadata() else { continue };
            if !meta.is_file() || !self.is_recent(&meta) {
                continue;
            }
            let record = Record::new(Operation::Create, &name);
            match is_own {
                true if certain || self.suspects.same_boot => self.record(record)?,
                // It is its source's to replicate; but that may have lost it, and is given back what
                // is recorded here.
                false if certain => self.record(record.of_peer())?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether it is a file of this storage's own whose content changes, and has changed lately.
    fn is_doubtful(&self, name: &Name) -> bool {
        let Ok(logic) = LogicName::parse(name.as_bytes()) else { return false };
        if !self.engine.is_source_of(&logic) || !has_states(&logic) {
            return false;
        }
        let meta =
            self.engine.store.file(&logic).ok().and_then(|path| path.symlink_metadata().ok());
        meta.is_some_and(|meta| meta.is_file() && self.is_recent(&meta))
    }

    /// Deletes a file that is there although its deletion was recorded, and tells the peers.
    fn delete_again(&mut self, name: &Name) -> io::Result<()> {
        // Who changes it now deals with it.
        let Some(_guard) = self.lock(name) else { return Ok(()) };
        if self.was_there(name) {
            self.record(Record::new(Operation::Delete, name))?;
            self.remove(name);
        }
        Ok(())
    }

    /// The same for a deletion that peers know of.
    fn delete_now(&self, name: &Name) -> io::Result<()> {
        let Some(_guard) = self.lock(name) else { return Ok(()) };
        let Ok(logic) = LogicName::parse(name.as_bytes()) else { return Ok(()) };
        // Names of slaves are used again: that may be another one, which was not recorded.
        let may_be_new = logic.kind() == Kind::Slave && !is_metadata(&logic);
        if !may_be_new && self.was_there(name) {
            self.remove(name);
        }
        Ok(())
    }

    /// Whether these are metadata whose file is gone: their deletion was begun.
    fn is_left_over(&self, name: &Name) -> bool {
        let path = of_metadata(name).and_then(|file| self.engine.file(&file).ok());
        path.is_some_and(|path| path.symlink_metadata().is_err())
    }

    fn lock(&self, name: &Name) -> Option<FileGuard> {
        self.engine.locks.try_lock(of_metadata(name).unwrap_or(*name))
    }

    /// Whether there is a file of the last run.
    fn was_there(&self, name: &Name) -> bool {
        let meta = self.engine.file(name).ok().and_then(|path| path.symlink_metadata().ok());
        meta.is_some_and(|meta| (meta.ctime(), meta.ctime_nsec()) < self.suspects.until)
    }

    fn remove(&self, name: &Name) {
        if let Err(status) = delete::remove(self.engine, name, false) {
            tracing::error!(%status, %name, "cannot delete what was to be deleted in the last run");
        }
    }

    /// Whether the last run may have changed it without recording it.
    fn is_recent(&self, meta: &Metadata) -> bool {
        modified(meta).0.max(meta.ctime()) >= self.from
            && (meta.ctime(), meta.ctime_nsec()) < self.suspects.until
    }

    fn record(&mut self, added: Record) -> io::Result<()> {
        record(self.engine, added)?;
        self.added += 1;
        Ok(())
    }
}
