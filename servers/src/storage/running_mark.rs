//! How the last run ended, and what that leaves to be checked.

use super::binlog::Position;
use super::disk::WRITE_BACK_TIME;
use super::orphans::{Suspects, modified};
use crate::state_file::read_optional;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Second line of the mark of a run that ended in order.
const STOPPED: &str = "stopped";

/// Tells the next run how this one ended. Its lines: the start of the machine; whether the run ended
/// in order, or until the leavings of the last one are checked, from when on they are to be, and
/// then the first line is that one's; and after a loss of power, up to where in the binlog what was
/// recorded may be lost, in file and offset.
#[derive(Debug, Clone)]
pub(super) struct RunningMark {
    path: PathBuf,
    boot: String,
}

/// What an earlier run has left.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Left {
    /// What to check when it did not end in order, or the machine was restarted since: what was
    /// written last may be gone from the disk all the same.
    pub(super) suspects: Option<Suspects>,
    /// Of what was recorded before this, some may be lost.
    pub(super) unsure_until: Position,
}

impl RunningMark {
    /// Sets the mark, before anything is served; tells what an earlier run has left.
    pub(super) fn set(base_path: &Path, boot: &str) -> io::Result<(Self, Left)> {
        let path = base_path.join("data/.fdfs_running");
        let text = read_optional(&path)?.map(|text| String::from_utf8_lossy(&text).into_owned());
        let mut lines = text.as_deref().unwrap_or_default().lines();
        let mut line = || lines.next().unwrap_or_default();
        let (last_boot, end, unsure) = (line(), line(), line());
        let same_boot = !boot.is_empty() && last_boot == boot;
        let is_unclean = text.is_some() && !(same_boot && end == STOPPED);
        let from = if is_unclean {
            // Statistics are saved within a minute of every upload, so files older than the last
            // save were finished long before the end, and had the time to get to the disk.
            let saved = fs::metadata(base_path.join("data/storage_stat.dat"));
            let saved = saved.or_else(|_| fs::metadata(&path))?.mtime();
            Some(saved - WRITE_BACK_TIME.as_secs().cast_signed())
        } else {
            None
        };
        let unchecked: Option<i64> = end.parse().ok();
        let (from, again) = (from.map(|f| unchecked.map_or(f, |u| u.min(f))), unchecked.is_some());
        let unsure_until = match is_unclean && !same_boot {
            true => Position::MAX,
            false => position(unsure),
        };
        let mark = Self { path, boot: boot.to_owned() };
        match from {
            Some(from) => mark.write(last_boot, &from.to_string(), position(unsure))?,
            None => mark.write(boot, "", unsure_until)?,
        }
        let until = modified(&fs::metadata(&mark.path)?);
        let suspects = from.map(|from| Suspects { from, until, same_boot, again });
        Ok((mark, Left { suspects, unsure_until }))
    }

    fn write(&self, boot: &str, end: &str, unsure_until: Position) -> io::Result<()> {
        let Position { index, offset } = unsure_until;
        fs::write(&self.path, format!("{boot}\n{end}\n{index} {offset}\n"))
    }

    /// All that the last run left is checked.
    pub(super) fn checked(&self, unsure_until: Position) -> io::Result<()> {
        self.write(&self.boot, "", unsure_until)
    }

    /// The run ends in order. What it could not check of the last one is left to the next.
    pub(super) fn stopped(&self) -> io::Result<()> {
        let text = fs::read_to_string(&self.path)?;
        match text.lines().collect::<Vec<_>>().as_slice() {
            [boot, "", unsure] if *boot == self.boot => {
                self.write(&self.boot, STOPPED, position(unsure))
            }
            _ => Ok(()),
        }
    }
}

/// What a line says; nothing is the beginning.
fn position(line: &str) -> Position {
    let numbers = line.split_once(' ');
    let read =
        numbers.and_then(|(index, offset)| Some((index.parse().ok()?, offset.parse().ok()?)));
    read.map_or_else(Position::default, |(index, offset)| Position { index, offset })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
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
        let set = |boot: &str| {
            let (mark, left) = RunningMark::set(dir.path(), boot).unwrap();
            (mark, left.suspects)
        };
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
        let unsure_until = Cell::new(Position::default());
        let set = |boot: &str| {
            let (mark, left) = RunningMark::set(dir.path(), boot).unwrap();
            let suspects = left.suspects.map(|suspects| (suspects.from, suspects.same_boot));
            unsure_until.set(left.unsure_until);
            (mark, suspects)
        };
        let end = Position { index: 1, offset: 50 };
        save(1000);
        assert_eq!((set("one").1, unsure_until.get()), (None, Position::default()));
        save(2000);
        assert_eq!(set("two").1, Some((1910, false)), "the power failed");
        assert_eq!(unsure_until.get(), Position::MAX, "until it is known");
        save(3000);
        let (mark, suspects) = set("two");
        assert_eq!(suspects, Some((1910, false)), "it was killed before that was checked");
        assert_eq!(unsure_until.get(), Position::MAX);
        mark.stopped().unwrap();
        let (mark, suspects) = set("two");
        assert_eq!(suspects, Some((1910, false)), "nor did this one check it");
        mark.checked(end).unwrap();
        let (mark, suspects) = set("two");
        assert_eq!((suspects, unsure_until.get()), (Some((2910, true)), end));
        mark.checked(end).unwrap();
        mark.stopped().unwrap();
        let (mark, suspects) = set("two");
        assert_eq!((suspects, unsure_until.get()), (None, end), "as long as the machine runs");
        mark.stopped().unwrap();
        assert_eq!(set("three").1, Some((2910, false)), "the power failed after a clean stop");
    }
}
