//! What a simulated host has written and its disk does not have yet: lost when its power fails.
//!
//! As with a file system that keeps a journal: any sync writes all names that were given and taken
//! before, and the content of its own file only. Content that nobody syncs gets to the disk after a
//! while; until then a file may be there with the content it had before, or with none.

use fdfs_core::net::sim::Chance;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
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

/// What was changed lately, by path: when, and what the disk has instead.
#[derive(Debug, Default)]
pub struct Unsynced(BTreeMap<PathBuf, (Instant, Before)>);

impl Unsynced {
    /// Something under this name is about to be changed.
    pub fn touch(&mut self, path: &Path) {
        let now = Instant::now();
        let is_known = |(at, _): &(Instant, Before)| now.duration_since(*at) < WRITE_BACK_TIME;
        if !self.0.get(path).is_some_and(is_known) {
            self.0.insert(path.to_owned(), (now, Before::look(path)));
        }
    }

    /// A file was synced, and all names with it.
    pub fn sync(&mut self, path: &Path) {
        self.0.remove(path);
        self.write_names(Duration::ZERO);
    }

    /// Writes the names of what was changed so long ago.
    fn write_names(&mut self, age: Duration) {
        self.0.retain(|path, (at, before)| match (&before, Before::look(path)) {
            _ if at.elapsed() < age => true,
            (_, Before::Nothing | Before::Link(_)) => false,
            (Before::Nothing | Before::Link(_), Before::File(_)) => {
                *before = Before::File(Vec::new());
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
        for (path, (at, before)) in std::mem::take(&mut self.0) {
            if now.duration_since(at) >= WRITE_BACK_TIME {
                continue;
            }
            let there = Before::look(&path);
            let is_content = matches!((&before, &there), (Before::File(_), Before::File(_)));
            if before != there && !(is_content && chance.one_in(2)) {
                before.restore(&path)?;
                lost.push(path);
            }
        }
        Ok(lost)
    }
}
