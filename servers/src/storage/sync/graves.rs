//! Deletions that are remembered, so that what was deleted stays deleted.
//!
//! Members hear of a file from its source, and of its deletion from whoever was asked to delete it.
//! While some cannot reach others the deletion may come first, or the file once more after it: the
//! source sends again what it is not sure of. Without this memory the file would be back, here
//! alone or everywhere.
//!
//! Names are made once, so a deleted one never comes back; except those of slaves, which clients
//! choose: a slave that was deleted may be uploaded anew.

use super::METADATA_SUFFIX;
use super::reader::{BinlogReader, Next};
use crate::storage::binlog::{Operation, Position};
use fdfs_core::file_id::{Kind, LogicName};
use fdfs_core::protocol::Name;
use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Deletions that are remembered: the newest.
const GRAVES_MAX: usize = 65_536;

#[derive(Debug, Clone, Copy)]
struct Grave {
    /// The time of the file's record, when there was a file.
    created: Option<i64>,
    deleted: i64,
}

#[derive(Debug, Default)]
struct Known {
    /// By the hash of the name: 64 bits of it are less than a name.
    graves: HashMap<u64, Grave>,
    order: VecDeque<u64>,
}

/// The deletions of one storage, by clients and by peers.
#[derive(Debug, Default)]
pub(in crate::storage) struct Graves(Mutex<Known>);

fn hash(name: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

impl Graves {
    /// The deletions recorded in the binlog of `dir`, which ends at `end`.
    pub(in crate::storage) fn load(dir: &Path, end: Position) -> io::Result<Self> {
        let (graves, mut reader) = (Self::default(), BinlogReader::tail(dir, end)?);
        loop {
            match reader.next(end)? {
                Next::Entry(entry) if entry.operation == Operation::Delete => {
                    graves.dig(&entry.name, entry.time, None);
                }
                Next::Entry(_) | Next::Damaged(_) => {}
                // What is compressed is old.
                Next::Packed => reader.skip_packed()?,
                Next::End => return Ok(graves),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a deletion; `created` is the time of the file that was there. Tells whether it is
    /// news.
    pub(in crate::storage) fn dig(&self, name: &Name, deleted: i64, created: Option<i64>) -> bool {
        // Metadata come and go and have no graves of their own.
        if name.as_bytes().ends_with(METADATA_SUFFIX) {
            return false;
        }
        let known = &mut *self.lock();
        let key = hash(name.as_bytes());
        let is_news = known.graves.insert(key, Grave { created, deleted }).is_none();
        if is_news {
            known.order.push_back(key);
            if known.order.len() > GRAVES_MAX
                && let Some(oldest) = known.order.pop_front()
            {
                known.graves.remove(&oldest);
            }
        }
        is_news
    }

    /// Whether a file of this name was deleted lately.
    pub(in crate::storage) fn know(&self, name: &Name) -> bool {
        self.lock().graves.contains_key(&hash(name.as_bytes()))
    }

    /// Whether a file that a peer recorded at `time` is one that was deleted.
    pub(in crate::storage) fn hold(&self, name: &Name, time: i64) -> bool {
        let key = hash(name.as_bytes());
        let Some(grave) = self.lock().graves.get(&key).copied() else { return false };
        let slave = LogicName::parse(name.as_bytes()).ok();
        match slave.filter(|name| name.kind() == Kind::Slave) {
            None => true,
            // Clocks differ; the time of the file itself does not.
            Some(_) => grave.created.map_or(time <= grave.deleted, |created| time == created),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::binlog::file_path;

    const FILE: &str = "M00/00/00/Ck0AC2sAvq6AfyjFAAATiMRbAU0662.bin";
    const SLAVE: &str = "M00/00/00/Ck0AC2sAvq6AfyjFAAATiMRbAU0662_big.bin";

    fn name(text: &str) -> Name {
        Name::new(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_deleted_file_never_comes_back() {
        let graves = Graves::default();
        assert!(!graves.hold(&name(FILE), 5));
        assert!(graves.dig(&name(FILE), 10, None));
        assert!(!graves.dig(&name(FILE), 11, None), "no news");
        for time in [5, 10, 5_000_000] {
            assert!(graves.hold(&name(FILE), time));
        }
        assert!(graves.know(&name(FILE)) && !graves.know(&name(SLAVE)));
        assert!(!graves.hold(&name(SLAVE), 5), "another file");
    }

    #[test]
    fn metadata_may_go_and_come_as_it_likes() {
        let graves = Graves::default();
        let metadata = name(&format!("{FILE}-m"));
        graves.dig(&metadata, 10, None);
        assert!(!graves.hold(&metadata, 5) && !graves.hold(&name(FILE), 5));
    }

    #[test]
    fn a_slave_may_be_uploaded_anew() {
        let graves = Graves::default();
        graves.dig(&name(SLAVE), 10, None);
        assert!(graves.hold(&name(SLAVE), 10) && !graves.hold(&name(SLAVE), 11));
        // What was there is told by its time, whatever the clocks of others say.
        graves.dig(&name(SLAVE), 10, Some(20));
        assert!(graves.hold(&name(SLAVE), 20));
        assert!(!graves.hold(&name(SLAVE), 5) && !graves.hold(&name(SLAVE), 21));
    }

    #[test]
    fn only_so_many_are_remembered() {
        let graves = Graves::default();
        let numbered = |at: usize| name(&FILE.replace("662", &format!("{at:06}")));
        for at in 0..=GRAVES_MAX {
            graves.dig(&numbered(at), 1, None);
        }
        assert!(!graves.hold(&numbered(0), 1));
        assert!(graves.hold(&numbered(1), 1) && graves.hold(&numbered(GRAVES_MAX), 1));
    }

    #[test]
    fn a_start_learns_them_from_the_binlog() {
        let dir = tempfile::tempdir().unwrap();
        let write = |index: u32, text: &str| {
            std::fs::write(file_path(dir.path(), index), text).unwrap();
            Position { index, offset: text.len() as u64 }
        };
        write(0, &format!("1 C {FILE}\n2 d {FILE}\n"));
        let end = write(1, &format!("3 C {SLAVE}\n"));
        let graves = Graves::load(dir.path(), end).unwrap();
        assert!(graves.hold(&name(FILE), 1) && !graves.hold(&name(SLAVE), 1));
        assert!(Graves::load(dir.path(), Position::default()).is_ok());
    }
}
