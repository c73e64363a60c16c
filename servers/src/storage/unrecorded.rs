//! After an unclean stop: changes that were made but not recorded any more.
//!
//! A change is made, recorded, acknowledged. A process killed between the first two leaves a change
//! that nobody was told of and that no peer would ever get: members would differ for good. So what
//! changed around the time of the last record is compared with the last records, and those that are
//! missing are added. Deletions need no such care: they are recorded before they are made. But after
//! a loss of power a deleted file may be back, which the peers do not have any more: it is deleted
//! once more. And a file that was being changed may have any of its last states then.

use super::binlog::{Operation, Record};
use super::engine::Engine;
use super::ops::delete;
use super::orphans::{Suspects, directories, modified};
use super::sync::has_states;
use super::sync::reader::{BinlogReader, Next};
use fdfs_core::file_id::{Kind, LogicName};
use fdfs_core::protocol::Name;
use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Seconds that a change may take from its beginning to its record.
const CHANGE_SECS: i64 = 30;

/// Adds the records that are missing; tells how many.
pub(super) fn add(engine: &Engine, suspects: Suspects) -> io::Result<usize> {
    let tail = Tail::read(engine)?;
    // Records later than this start were written by a clock that has been set back since.
    let from = match tail.last_time <= suspects.until.0 {
        true => suspects.from.max(tail.last_time - CHANGE_SECS),
        false => suspects.from,
    };
    let mut search = Search { engine, suspects, from, added: 0 };
    search.find_unknown(&tail)?;
    for (name, known) in &tail.names {
        match suspects.same_boot {
            false if known.deleted >= Some(suspects.from) => search.delete_again(name)?,
            true if !known.by_client => {}
            _ => search.look_again(name)?,
        }
    }
    if !suspects.same_boot {
        // Peers may have what was lost here: they are asked before they are sent anything of it.
        engine.be_unsure_until(*engine.binlog.written().borrow());
    }
    if search.added > 0 {
        tracing::warn!(added = search.added, "recorded changes that the last run had not");
    }
    Ok(search.added)
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
    /// When a client here deleted the file, if that is the last of them.
    deleted: Option<i64>,
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
                    let is_deleted = !entry.replica && entry.operation == Operation::Delete;
                    known.deleted = is_deleted.then_some(entry.time);
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
            // A peer may have given it back since it was recorded: others may lack it, and of that
            // nothing may be recorded any more.
            let may_be_back = is_own && is_normal && !self.suspects.same_boot;
            if tail.names.get(&name).is_some_and(|known| !may_be_back || known.deleted.is_some()) {
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

    /// Records a file whose content changes, when it has changed lately: peers get it whole.
    fn look_again(&mut self, name: &Name) -> io::Result<()> {
        let Ok(logic) = LogicName::parse(name.as_bytes()) else { return Ok(()) };
        if !self.engine.is_source_of(&logic) || !has_states(&logic) {
            return Ok(());
        }
        let Ok(path) = self.engine.store.file(&logic) else { return Ok(()) };
        match path.symlink_metadata() {
            Ok(meta) if meta.is_file() && self.is_recent(&meta) => {
                self.record(Record::new(Operation::Update, name))
            }
            _ => Ok(()),
        }
    }

    /// Deletes a file that is there although its deletion was recorded.
    fn delete_again(&mut self, name: &Name) -> io::Result<()> {
        // Who changes it now deals with it.
        let Some(_guard) = self.engine.locks.try_lock(*name) else { return Ok(()) };
        let is_there = |path: PathBuf| path.symlink_metadata().is_ok();
        if !self.engine.file(name).is_ok_and(is_there) {
            return Ok(());
        }
        self.record(Record::new(Operation::Delete, name))?;
        if let Err(status) = delete::remove(self.engine, name, false) {
            tracing::error!(%status, %name, "cannot delete once more what came back");
        }
        Ok(())
    }

    /// Whether the last run may have changed it without recording it.
    fn is_recent(&self, meta: &Metadata) -> bool {
        modified(meta).0.max(meta.ctime()) >= self.from
            && (meta.ctime(), meta.ctime_nsec()) < self.suspects.until
    }

    fn record(&mut self, record: Record) -> io::Result<()> {
        let ticket = self.engine.binlog.push(self.engine.now(), &[record])?;
        self.engine.binlog.commit(&ticket)?;
        self.added += 1;
        Ok(())
    }
}
