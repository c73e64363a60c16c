//! How far a peer has been sent the binlog (spec 04 §A.6).

use super::kept::beside;
use crate::state_file::{read_optional, safe_write};
use crate::storage::binlog::Position;
use crate::storage::link::Departure;
use fdfs_core::config::Ini;
use fdfs_core::protocol::StorageId;
use std::io;
use std::path::{Path, PathBuf};

/// The content of a mark file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::storage) struct Mark {
    /// The next record.
    pub position: Position,
    /// Whether this storage is the one that sends the peer the old files, too.
    pub need_sync_old: bool,
    /// Whether that is done.
    pub sync_old_done: bool,
    /// Which files are old: those recorded up to this moment, in Unix seconds.
    pub until: i64,
    /// Records looked at.
    pub scanned: u64,
    /// Records sent.
    pub sent: u64,
}

impl Mark {
    /// Whether the peer is to get what other storages sent here before it came.
    pub(in crate::storage) fn sends_old(&self) -> bool {
        self.need_sync_old && !self.sync_old_done
    }

    /// Reads a mark; `None` when there is none. One that lacks an item is an error: guessing
    /// could skip records.
    pub(in crate::storage) fn load(path: &Path) -> io::Result<Option<Self>> {
        let Some(text) = read_optional(path)? else { return Ok(None) };
        let ini = Ini::parse(&String::from_utf8_lossy(&text));
        let scope = ini.global();
        let number = |key: &str| {
            let value = scope.get(key).and_then(|text| text.trim().parse::<i64>().ok());
            value.ok_or_else(|| damaged(path, key))
        };
        let natural = |key: &str| u64::try_from(number(key)?).map_err(|_| damaged(path, key));
        let index = natural("binlog_index")?;
        let index = u32::try_from(index).map_err(|_| damaged(path, "binlog_index"))?;
        Ok(Some(Self {
            position: Position { index, offset: natural("binlog_offset")? },
            need_sync_old: number("need_sync_old")? != 0,
            sync_old_done: number("sync_old_done")? != 0,
            until: number("until_timestamp")?,
            scanned: natural("scan_row_count")?,
            sent: natural("sync_row_count")?,
        }))
    }

    /// Writes the mark so that a crash leaves the old one or this.
    pub(in crate::storage) fn save(&self, path: &Path) -> io::Result<()> {
        safe_write(path, self.to_text().as_bytes())
    }

    /// The content of the file.
    pub(super) fn to_text(self) -> String {
        format!(
            "binlog_index={}\nbinlog_offset={}\nneed_sync_old={}\nsync_old_done={}\n\
             until_timestamp={}\nscan_row_count={}\nsync_row_count={}\n",
            self.position.index,
            self.position.offset,
            u8::from(self.need_sync_old),
            u8::from(self.sync_old_done),
            self.until,
            self.scanned,
            self.sent,
        )
    }
}

/// The marks of a folder that are in use. A damaged one stands at the beginning: then its peer is
/// sent everything again.
fn all(dir: &Path) -> io::Result<Vec<(PathBuf, Mark)>> {
    let mut marks = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "mark") {
            let mark = Mark::load(&path).unwrap_or_default().unwrap_or_default();
            marks.push((path, mark));
        }
    }
    Ok(marks)
}

/// Moves marks back that stand behind the end of the binlog: a power failure has taken records from
/// it that their peers have been sent. What is written there from now on is new to them. To be
/// called before anything is written.
pub(in crate::storage) fn stay_within(dir: &Path, end: Position) -> io::Result<()> {
    for (path, mut mark) in all(dir)? {
        if mark.position > end {
            tracing::warn!(mark = %path.display(), at = ?mark.position, ?end,
                "a mark was behind the end of the binlog");
            mark.position = end;
            mark.save(&path)?;
        }
    }
    Ok(())
}

/// The first binlog file that a peer with a mark has yet to read; `None` without any mark.
pub(in crate::storage) fn first_needed(dir: &Path) -> io::Result<Option<u32>> {
    Ok(all(dir)?.iter().map(|(_, mark)| mark.position.index).min())
}

/// The names of marks: after the peer's id or, without ids, after its address and this storage's
/// port (spec 04 §A.6).
#[derive(Debug, Clone)]
pub(in crate::storage) struct MarkNames {
    /// The binlog's folder first, then that of the trunk binlog, whose marks have the same names.
    dirs: [PathBuf; 2],
    port: u16,
    by_id: bool,
}

impl MarkNames {
    /// The names of marks below a storage's `data` folder.
    pub(in crate::storage) fn new(data: &Path, port: u16, by_id: bool) -> Self {
        Self { dirs: [data.join("sync"), data.join("trunk")], port, by_id }
    }

    /// The mark of the binlog for a peer. One that got its name before there were ids is renamed.
    pub(in crate::storage) fn path(&self, id: &StorageId, ip: &str) -> PathBuf {
        let [dir, _] = &self.dirs;
        let path = dir.join(self.name(&id.to_string(), ip));
        let by_address = dir.join(self.by_address(ip));
        if self.by_id
            && !path.exists()
            && by_address.exists()
            && let Err(error) = std::fs::rename(&by_address, &path)
        {
            tracing::error!(%error, mark = %by_address.display(), "cannot rename a mark");
        }
        path
    }

    /// Takes leave of a peer: when it was deleted its marks are kept under the time `now`, when it
    /// has moved they get its new name, unless there are some already (spec 03 §A15).
    pub(in crate::storage) fn depart(
        &self,
        departure: &Departure,
        ip: &str,
        now: &str,
    ) -> io::Result<()> {
        let name = self.name(&departure.id, ip);
        let new_name = match &departure.new_ip {
            None => format!("{name}.{now}"),
            // An id stays whatever the address is.
            Some(_) if self.by_id => return Ok(()),
            Some(new_ip) => self.by_address(new_ip),
        };
        for dir in &self.dirs {
            let (old, new) = (dir.join(&name), dir.join(&new_name));
            if departure.new_ip.is_some() && new.exists() {
                tracing::warn!(mark = %new.display(), "the mark of a moved storage exists already");
                continue;
            }
            match std::fs::rename(&old, &new) {
                Ok(()) => {
                    tracing::info!(mark = %new.display(), "renamed the mark of a storage");
                    // What is beside it belongs to a machine that is not met any more.
                    let _ = std::fs::remove_file(beside(&old));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn name(&self, id: &str, ip: &str) -> String {
        match self.by_id {
            true => format!("{id}.mark"),
            false => self.by_address(ip),
        }
    }

    fn by_address(&self, ip: &str) -> String {
        format!("{ip}_{}.mark", self.port)
    }
}

/// Marks named after addresses carry this storage's port: when that has changed, they are renamed.
pub(in crate::storage) fn follow_port(dir: &Path, old: u16, new: u16) -> io::Result<()> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let name = entry?.file_name();
        let peer = name.to_str().and_then(|name| name.strip_suffix(&format!("_{old}.mark")));
        if let Some(peer) = peer {
            let (from, to) = (dir.join(&name), dir.join(format!("{peer}_{new}.mark")));
            std::fs::rename(&from, &to)?;
            if beside(&from).exists() {
                std::fs::rename(beside(&from), beside(&to))?;
            }
        }
    }
    Ok(())
}

fn damaged(path: &Path, key: &str) -> io::Error {
    let text = format!("{}: {key} is missing or no number", path.display());
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_follow_the_port_of_the_storage() {
        let dir = tempfile::tempdir().unwrap();
        follow_port(&dir.path().join("missing"), 1, 2).unwrap();
        let names =
            ["10.0.0.1_23000.mark", "10.0.0.1_23000.kept", "100001.mark", "10.0.0.1_230.mark"];
        for name in names {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        follow_port(dir.path(), 23000, 24000).unwrap();
        let names =
            ["10.0.0.1_24000.mark", "10.0.0.1_24000.kept", "100001.mark", "10.0.0.1_230.mark"];
        for name in names {
            assert!(dir.path().join(name).exists(), "{name}");
        }
    }

    fn files(dir: &Path) -> Vec<String> {
        let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn marks_of_deleted_and_moved_storages_get_other_names() {
        let data = tempfile::tempdir().unwrap();
        let (sync, trunk) = (data.path().join("sync"), data.path().join("trunk"));
        let depart = |names: &MarkNames, id: &str, ip: &str, new_ip: Option<&str>| {
            let departure = Departure { id: id.into(), new_ip: new_ip.map(str::to_owned) };
            names.depart(&departure, ip, "20261121120000").unwrap();
        };
        let names = MarkNames::new(data.path(), 23000, false);
        depart(&names, "10.0.0.1", "10.0.0.1", None);
        std::fs::create_dir(&sync).unwrap();
        std::fs::create_dir(&trunk).unwrap();
        for (dir, name) in [
            (&sync, "10.0.0.1_23000.mark"),
            (&sync, "10.0.0.2_23000.mark"),
            (&sync, "10.0.0.3_23000.mark"),
            (&trunk, "10.0.0.1_23000.mark"),
            (&sync, "10.0.0.1_23000.kept"),
            (&sync, "100004.mark"),
            (&sync, "100005.mark"),
        ] {
            std::fs::write(dir.join(name), name).unwrap();
        }
        depart(&names, "10.0.0.1", "10.0.0.1", None);
        depart(&names, "10.0.0.2", "10.0.0.2", Some("10.0.0.9"));
        depart(&names, "10.0.0.3", "10.0.0.3", Some("10.0.0.9"));
        let by_id = MarkNames::new(data.path(), 23000, true);
        depart(&by_id, "100004", "10.0.0.4", None);
        depart(&by_id, "100005", "10.0.0.5", Some("10.0.0.8"));
        let left = [
            "10.0.0.1_23000.mark.20261121120000",
            "10.0.0.3_23000.mark",
            "10.0.0.9_23000.mark",
            "100004.mark.20261121120000",
            "100005.mark",
        ];
        assert_eq!(files(&sync), left);
        assert_eq!(files(&trunk), ["10.0.0.1_23000.mark.20261121120000"]);
        let moved = std::fs::read_to_string(sync.join("10.0.0.9_23000.mark")).unwrap();
        assert_eq!(moved, "10.0.0.2_23000.mark", "what was there first stays");
    }

    #[test]
    fn the_first_file_that_is_needed_is_that_of_the_last_peer() {
        let dir = tempfile::tempdir().unwrap();
        let save = |name: &str, index| {
            let mark = Mark { position: Position { index, offset: 5 }, ..Mark::default() };
            mark.save(&dir.path().join(name)).unwrap();
        };
        assert_eq!(first_needed(dir.path()).unwrap(), None);
        save("a.mark.20261121120000", 1);
        assert_eq!(first_needed(dir.path()).unwrap(), None, "it is gone");
        save("a.mark", 7);
        assert_eq!(first_needed(dir.path()).unwrap(), Some(7));
        save("b.mark", 3);
        save("c.mark", 4);
        assert_eq!(first_needed(dir.path()).unwrap(), Some(3));
        stay_within(dir.path(), Position { index: 4, offset: 2 }).unwrap();
        let at = |name: &str| {
            let mark = Mark::load(&dir.path().join(name)).unwrap().unwrap();
            (mark.position.index, mark.position.offset)
        };
        assert_eq!([at("a.mark"), at("b.mark"), at("c.mark")], [(4, 2), (3, 5), (4, 2)]);
        std::fs::write(dir.path().join("c.mark"), "junk").unwrap();
        assert_eq!(first_needed(dir.path()).unwrap(), Some(0));
    }

    #[test]
    fn a_mark_is_written_as_the_original_writes_it_and_a_damaged_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("10.77.0.12_33000.mark");
        assert_eq!(Mark::load(&path).unwrap(), None);
        let text = "binlog_index=0\nbinlog_offset=774\nneed_sync_old=1\nsync_old_done=1\n\
                    until_timestamp=1795210853\nscan_row_count=12\nsync_row_count=5\n";
        std::fs::write(&path, text).unwrap();
        let mark = Mark::load(&path).unwrap().unwrap();
        let position = Position { index: 0, offset: 774 };
        assert_eq!((mark.position, mark.until, mark.sent), (position, 1_795_210_853, 5));
        assert!(mark.need_sync_old && !mark.sends_old());
        mark.save(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        for line in text.lines() {
            std::fs::write(&path, text.replace(line, "")).unwrap();
            let error = Mark::load(&path).unwrap_err().to_string();
            assert!(error.contains(line.split('=').next().unwrap()), "{error}");
        }
    }
}
