//! How far a peer has been sent the binlog (spec 04 §A.6).

use crate::state_file::{read_optional, safe_write};
use crate::storage::binlog::Position;
use fdfs_core::config::Ini;
use std::io;
use std::path::Path;

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
        let text = format!(
            "binlog_index={}\nbinlog_offset={}\nneed_sync_old={}\nsync_old_done={}\n\
             until_timestamp={}\nscan_row_count={}\nsync_row_count={}\n",
            self.position.index,
            self.position.offset,
            u8::from(self.need_sync_old),
            u8::from(self.sync_old_done),
            self.until,
            self.scanned,
            self.sent,
        );
        safe_write(path, text.as_bytes())
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
            std::fs::rename(dir.join(&name), dir.join(format!("{peer}_{new}.mark")))?;
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
        for name in ["10.0.0.1_23000.mark", "100001.mark", "10.0.0.1_230.mark"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        follow_port(dir.path(), 23000, 24000).unwrap();
        for name in ["10.0.0.1_24000.mark", "100001.mark", "10.0.0.1_230.mark"] {
            assert!(dir.path().join(name).exists(), "{name}");
        }
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
