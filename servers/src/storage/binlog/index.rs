//! `binlog_index.dat`: which file is being written, and which are compressed (spec 04 §A.5.1).

use crate::state_file::{read_optional, safe_write};
use fdfs_core::config::Ini;
use std::io;
use std::path::{Path, PathBuf};

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Index {
    /// The file being written.
    pub(super) write: u32,
    /// The first one that is not compressed yet.
    pub(super) compress: u32,
}

impl Index {
    pub(super) fn save(&self, dir: &Path) -> io::Result<()> {
        let text = format!("current_write={}\ncurrent_compress={}\n", self.write, self.compress);
        safe_write(&dir.join("binlog_index.dat"), text.as_bytes())
    }

    /// Reads the file, or finds out what it should say.
    pub(super) fn load(dir: &Path) -> io::Result<Self> {
        if let Some(text) = read_optional(&dir.join("binlog_index.dat"))? {
            let ini = Ini::parse(&String::from_utf8_lossy(&text));
            let number = |key| ini.global().get(key).and_then(|text| text.parse().ok());
            let compress = number("current_compress").unwrap_or(0);
            if let Some(write) = number("current_write") {
                return Ok(Self { write, compress });
            }
            // The original writes this file without syncing it: a power failure may have emptied
            // it.
            let write = newest_file(dir)?;
            tracing::warn!(write, "binlog_index.dat is damaged, going on with the newest file");
            return Self { write, compress }.saved(dir);
        }
        // The form of older versions: the bare number.
        let write = match read_optional(&dir.join("binlog.index"))? {
            Some(old) => String::from_utf8_lossy(&old).trim().parse().unwrap_or(0),
            None => newest_file(dir)?,
        };
        Self { write, compress: 0 }.saved(dir)
    }

    fn saved(self, dir: &Path) -> io::Result<Self> {
        self.save(dir).map(|()| self)
    }
}

/// The file with this index.
pub(in crate::storage) fn file_path(dir: &Path, index: u32) -> PathBuf {
    dir.join(format!("binlog.{index:03}"))
}

/// Index of the newest binlog file; 0 when there is none.
fn newest_file(dir: &Path) -> io::Result<u32> {
    let mut newest = 0;
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name();
        let index = name.to_str().and_then(|name| name.strip_prefix("binlog.")?.parse().ok());
        newest = newest.max(index.unwrap_or(0));
    }
    Ok(newest)
}
