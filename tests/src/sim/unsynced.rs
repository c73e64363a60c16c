//! What a simulated host has written and its disk does not have yet: lost when its power fails.
//!
//! As with a file system that keeps a journal: any sync writes all names that were given and taken
//! before, and the content of its own file only. Content that nobody syncs gets to the disk after a
//! while; until then a file may be there with the content it had before, or with none.

use super::disk::SKEW_MAX;
use fdfs_core::net::sim::{Chance, EPOCH};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

/// After this time the kernel has written everything.
pub const WRITE_BACK_TIME: Duration = Duration::from_secs(30);
/// After this time the file system has written all names.
const JOURNAL_TIME: Duration = Duration::from_secs(5);

/// What the disk has under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Before {
    Nothing,
    File(Vec<u8>),
    Link(PathBuf),
}

/// What is about to be lost, and what the disk has instead.
#[derive(Debug)]
struct Change {
    at: Instant,
    before: Before,
    /// When a file was written before that.
    time: Option<i64>,
}

impl Before {
    fn look(path: &Path) -> Self {
        if let Ok(target) = fs::read_link(path) {
            return Self::Link(target);
        }
        fs::read(path).map_or(Self::Nothing, Self::File)
    }

    fn restore(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        match self {
            Self::Nothing => Ok(()),
            Self::File(content) => fs::write(path, content),
            Self::Link(target) => symlink(target, path),
        }
    }
}

/// What was changed lately, by path, and when the content of files was written, in Unix seconds: the
/// files themselves tell the time of the host that plays, unless they were given another.
#[derive(Debug, Default)]
pub struct Unsynced {
    changes: BTreeMap<PathBuf, Change>,
    written: BTreeMap<PathBuf, i64>,
}

impl Unsynced {
    /// Something under this name is about to be changed.
    pub fn touch(&mut self, path: &Path) {
        let now = Instant::now();
        let is_known = |change: &Change| now.duration_since(change.at) < WRITE_BACK_TIME;
        if !self.changes.get(path).is_some_and(is_known) {
            let (before, time) = (Before::look(path), self.time(path));
            self.changes.insert(path.to_owned(), Change { at: now, before, time });
        }
    }

    fn time(&self, path: &Path) -> Option<i64> {
        let set = fs::symlink_metadata(path).ok()?.mtime();
        if set >= EPOCH - SKEW_MAX { Some(set) } else { self.written_at(path) }
    }

    /// When the content of a file was written.
    pub fn written_at(&self, path: &Path) -> Option<i64> {
        self.written.get(path).copied()
    }

    /// The content of a file changes.
    pub fn write(&mut self, path: &Path, unix_secs: i64) {
        self.written.insert(path.to_owned(), unix_secs);
    }

    /// A file has another name now.
    pub fn rename(&mut self, from: &Path, to: &Path) {
        if let Some(time) = self.written.remove(from) {
            self.written.insert(to.to_owned(), time);
        }
    }

    /// A file was synced, and all names with it.
    pub fn sync(&mut self, path: &Path) {
        self.changes.remove(path);
        self.write_names(Duration::ZERO);
    }

    /// Writes the names of what was changed so long ago.
    fn write_names(&mut self, age: Duration) {
        self.changes.retain(|path, change| match (&change.before, Before::look(path)) {
            _ if change.at.elapsed() < age => true,
            (_, Before::Nothing | Before::Link(_)) => false,
            (Before::Nothing | Before::Link(_), Before::File(_)) => {
                change.before = Before::File(Vec::new());
                true
            }
            (Before::File(_), Before::File(_)) => true,
        });
    }

    /// The power has failed. Tells what was lost.
    ///
    /// # Errors
    ///
    /// When the files cannot be changed.
    pub fn lose(&mut self, chance: &mut Chance) -> io::Result<Vec<PathBuf>> {
        self.write_names(if chance.one_in(2) { Duration::ZERO } else { JOURNAL_TIME });
        let now = Instant::now();
        let mut lost = Vec::new();
        for (path, Change { at, before, time }) in std::mem::take(&mut self.changes) {
            if now.duration_since(at) >= WRITE_BACK_TIME {
                continue;
            }
            let there = Before::look(&path);
            let is_content = matches!((&before, &there), (Before::File(_), Before::File(_)));
            if before != there && !(is_content && chance.one_in(2)) {
                before.restore(&path)?;
                if let Some(time) = time {
                    self.written.insert(path.clone(), time);
                }
                lost.push(path);
            }
        }
        Ok(lost)
    }
}
