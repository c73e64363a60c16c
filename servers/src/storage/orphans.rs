//! After an unclean stop: files that were being written when the process died.
//!
//! A small upload is written under its final name in one go. A process killed inside that write
//! leaves a shorter file under a name nobody was told. Such files are found by their age, compared
//! with what their names promise, and set aside.

use super::disk::WRITE_BACK_TIME;
use super::engine::Engine;
use super::ops::download::is_intact;
use crate::state_file::read_optional;
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
}

impl Suspects {
    fn include(&self, meta: &Metadata) -> bool {
        meta.mtime() >= self.from && modified(meta) < self.until
    }
}

/// Second line of the mark of a run that ended in order.
const STOPPED: &str = "stopped";

/// Tells the next run how this one ended, and on which start of the machine (the first line). Until
/// the leavings of the last run are checked it tells of that one, and from when on (the second).
#[derive(Debug, Clone)]
pub(super) struct RunningMark {
    path: PathBuf,
    boot: String,
}

impl RunningMark {
    /// Sets the mark, before anything is served; tells what to check when an earlier run did not end
    /// in order, or the machine was restarted since: what was written last may be gone from the
    /// disk all the same.
    pub(super) fn set(base_path: &Path, boot: &str) -> io::Result<(Self, Option<Suspects>)> {
        let path = base_path.join("data/.fdfs_running");
        let left = read_optional(&path)?.map(|text| String::from_utf8_lossy(&text).into_owned());
        let mut lines = left.as_deref().unwrap_or_default().lines();
        let (last_boot, end) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        let same_boot = !boot.is_empty() && last_boot == boot;
        let is_unclean = left.is_some() && !(same_boot && end == STOPPED);
        let from = if is_unclean {
            // Statistics are saved within a minute of every upload, so files older than the last
            // save were finished long before the end, and had the time to get to the disk.
            let saved = fs::metadata(base_path.join("data/storage_stat.dat"));
            let saved = saved.or_else(|_| fs::metadata(&path))?.mtime();
            let from = saved - WRITE_BACK_TIME.as_secs().cast_signed();
            Some(end.parse().map_or(from, |unchecked: i64| unchecked.min(from)))
        } else {
            None
        };
        let mark = Self { path, boot: boot.to_owned() };
        mark.write(
            &from.map_or_else(|| format!("{boot}\n"), |from| format!("{last_boot}\n{from}\n")),
        )?;
        let until = modified(&fs::metadata(&mark.path)?);
        Ok((mark, from.map(|from| Suspects { from, until, same_boot })))
    }

    fn write(&self, text: &str) -> io::Result<()> {
        fs::write(&self.path, text)
    }

    /// All that the last run left is checked.
    pub(super) fn checked(&self) -> io::Result<()> {
        self.write(&format!("{}\n", self.boot))
    }

    /// The run ends in order. What it could not check of the last one is left to the next.
    pub(super) fn stopped(&self) -> io::Result<()> {
        if fs::read_to_string(&self.path)? != format!("{}\n", self.boot) {
            return Ok(());
        }
        self.write(&format!("{}\n{STOPPED}\n", self.boot))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn suspects_are_what_the_last_run_may_have_left_half_written() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        fs::create_dir(&data).unwrap();
        let write = |name: &str| {
            fs::write(data.join(name), name).unwrap();
            fs::metadata(data.join(name)).unwrap()
        };
        let set = |boot: &str| RunningMark::set(dir.path(), boot).unwrap();
        let (mark, suspects) = set("this");
        assert!(suspects.is_none(), "nothing ran before");
        mark.stopped().unwrap();
        assert!(set("this").1.is_none(), "it ended cleanly");
        let left = write("left by the run before");
        // Longer than the file system's clock takes for a step.
        std::thread::sleep(Duration::from_millis(20));
        let (_, suspects) = set("this");
        let suspects = suspects.unwrap();
        assert!(suspects.same_boot);
        assert!(suspects.include(&left));
        assert!(!suspects.include(&write("being written by this run")));
    }

    #[test]
    fn what_was_not_checked_is_checked_by_the_next_run() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("data")).unwrap();
        let save = |secs: u64| {
            let path = dir.path().join("data/storage_stat.dat");
            let file = fs::File::create(path).unwrap();
            file.set_modified(UNIX_EPOCH + Duration::from_secs(secs)).unwrap();
        };
        let set = |boot: &str| {
            let (mark, suspects) = RunningMark::set(dir.path(), boot).unwrap();
            (mark, suspects.map(|suspects| (suspects.from, suspects.same_boot)))
        };
        save(1000);
        assert_eq!(set("one").1, None);
        save(2000);
        assert_eq!(set("two").1, Some((1910, false)), "the power failed");
        save(3000);
        let (mark, suspects) = set("two");
        assert_eq!(suspects, Some((1910, false)), "it was killed before that was checked");
        mark.stopped().unwrap();
        let (mark, suspects) = set("two");
        assert_eq!(suspects, Some((1910, false)), "nor did this one check it");
        mark.checked().unwrap();
        let (mark, suspects) = set("two");
        assert_eq!(suspects, Some((2910, true)));
        mark.stopped().unwrap();
        assert_eq!(set("three").1, Some((2910, false)), "the power failed after a clean stop");
    }
}
