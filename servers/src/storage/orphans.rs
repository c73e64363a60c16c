//! After an unclean stop: files that were being written when the process died.
//!
//! A small upload is written under its final name in one go. A process killed inside that write
//! leaves a shorter file under a name nobody was told. Such files are found by their age, compared
//! with what their names promise, and set aside.

use super::engine::Engine;
use super::ops::download::is_intact;
use fdfs_core::file_id::{Kind, LogicName};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Files up to this size are read and compared with their checksums; of larger ones, which are
/// published by renaming, only the size can be wrong, after a power failure.
const READ_LEN_MAX: u64 = 256 * 1024;
/// Directory below `data` for damaged files.
const QUARANTINE: &str = ".quarantine";

/// Seconds and nanoseconds.
pub(super) type Moment = (i64, i64);

/// When a file's content changed last.
pub(super) fn modified(meta: &Metadata) -> Moment {
    (meta.mtime(), meta.mtime_nsec())
}

/// When the files that an unclean stop may have damaged were written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Suspects {
    /// What was written before has reached the disk, and was recorded long ago.
    pub(super) from: i64,
    /// The start of this process: later files are its own, and may be half written right now.
    pub(super) until: Moment,
    /// Whether the machine is still up since then: the process died, but the kernel has kept all
    /// that was written.
    pub(super) same_boot: bool,
    /// Whether the run before this one began to check them and did not end that.
    pub(super) again: bool,
}

impl Suspects {
    pub(super) fn include(&self, meta: &Metadata) -> bool {
        meta.mtime() >= self.from && modified(meta) < self.until
    }
}

/// Checks the suspects; returns how many were set aside.
pub(super) fn check(engine: &Engine, suspects: Suspects) -> io::Result<usize> {
    let mut damaged = 0;
    for (index, path) in engine.store.paths().iter().enumerate() {
        for high in directories(path.data(), i64::MIN)? {
            for low in directories(&high, suspects.from)? {
                damaged += check_directory(engine, index, path.data(), &low, suspects)?;
            }
        }
    }
    if damaged > 0 {
        tracing::warn!(damaged, "set aside files that were unfinished when the process died");
    }
    Ok(damaged)
}

/// Directories of two hex digits that changed since then: adding a file changes its directory.
pub(super) fn directories(parent: &Path, since: i64) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_hex = name.len() == 2 && name.as_encoded_bytes().iter().all(u8::is_ascii_hexdigit);
        if is_hex && entry.metadata()?.mtime() >= since {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn check_directory(
    engine: &Engine,
    index: usize,
    data: &Path,
    dir: &Path,
    suspects: Suspects,
) -> io::Result<usize> {
    let mut damaged = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        let Ok(true_path) = path.strip_prefix(data) else { continue };
        let text = format!("M{index:02X}/{}", true_path.display());
        let Ok(name) = LogicName::parse(text.as_bytes()) else { continue };
        // A file deleted meanwhile is none of ours.
        let Ok(meta) = entry.metadata() else { continue };
        if meta.is_file() && suspects.include(&meta) && !is_whole(engine, &name, &path, &meta) {
            let aside = data.join(QUARANTINE);
            fs::create_dir_all(&aside)?;
            fs::rename(&path, aside.join(entry.file_name()))?;
            tracing::warn!(%text, "set aside an unfinished file");
            damaged += 1;
        }
    }
    Ok(damaged)
}

/// Whether a file is what its name says; names that say nothing are believed.
fn is_whole(engine: &Engine, name: &LogicName<'_>, path: &Path, meta: &Metadata) -> bool {
    let Some(stamp) = name.stamp().filter(|_| name.kind() == Kind::Normal) else { return true };
    if meta.len() != stamp.size.bytes() {
        return false;
    }
    meta.len() > READ_LEN_MAX
        || fs::read(path).map_or(true, |content| is_intact(engine, name, stamp.crc32, &content))
}
