//! After an unclean stop: files that were being written when the process died.
//!
//! A small upload is written under its final name in one go. A process killed inside that write
//! leaves a shorter file under a name nobody was told. Such files are found by their age, compared
//! with what their names promise, and set aside.

use super::engine::Engine;
use super::ops::download::is_intact;
use fdfs_core::file_id::{Kind, LogicName};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Files larger than this were published by renaming and are whole.
const CHECKED_LEN_MAX: u64 = 256 * 1024;
/// Directory below `data` for damaged files.
const QUARANTINE: &str = ".quarantine";

/// Tells whether the last stop was clean.
#[derive(Debug)]
pub(in crate::storage) struct RunningMark(PathBuf);

impl RunningMark {
    /// Sets the mark; `Some` with the time since which files may be damaged, when an earlier run
    /// left it.
    pub(in crate::storage) fn set(base_path: &Path) -> io::Result<(Self, Option<i64>)> {
        let mark = base_path.join("data/.fdfs_running");
        let stat_file = base_path.join("data/storage_stat.dat");
        let unclean = mark.exists().then(|| {
            // Every upload is followed by a save of the statistics within a minute, so files
            // older than the last save were finished long before the process died.
            fs::metadata(&stat_file).or_else(|_| fs::metadata(&mark)).map_or(0, |m| m.mtime()) - 1
        });
        fs::write(&mark, b"")?;
        Ok((Self(mark), unclean))
    }

    /// Removes the mark at a clean stop.
    pub(in crate::storage) fn clear(self) -> io::Result<()> {
        fs::remove_file(self.0)
    }
}

/// Checks the files changed since then; returns how many were set aside.
pub(in crate::storage) fn check(engine: &Engine, since: i64) -> io::Result<usize> {
    let mut damaged = 0;
    for (index, path) in engine.store.paths().iter().enumerate() {
        for high in directories(path.data(), i64::MIN)? {
            for low in directories(&high, since)? {
                damaged += check_directory(engine, index, path.data(), &low, since)?;
            }
        }
    }
    if damaged > 0 {
        tracing::warn!(damaged, "set aside files that were unfinished when the process died");
    }
    Ok(damaged)
}

/// Directories of two hex digits that changed since then: adding a file changes its directory.
fn directories(parent: &Path, since: i64) -> io::Result<Vec<PathBuf>> {
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
    since: i64,
) -> io::Result<usize> {
    let mut damaged = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let Ok(true_path) = entry.path().strip_prefix(data).map(Path::to_owned) else { continue };
        let text = format!("M{index:02X}/{}", true_path.display());
        let Ok(name) = LogicName::parse(text.as_bytes()) else { continue };
        let Ok(meta) = entry.metadata() else { continue };
        let recent = meta.is_file() && meta.mtime() >= since && meta.len() <= CHECKED_LEN_MAX;
        let Some(stamp) = name.stamp().filter(|_| recent && name.kind() == Kind::Normal) else {
            continue;
        };
        let whole = meta.len() == stamp.size.bytes()
            && is_intact(engine, text.as_bytes(), stamp.crc32, &fs::read(entry.path())?);
        if !whole {
            let aside = data.join(QUARANTINE);
            fs::create_dir_all(&aside)?;
            fs::rename(entry.path(), aside.join(entry.file_name()))?;
            damaged += 1;
        }
    }
    Ok(damaged)
}
