//! What a storage remembers of itself: `.data_init_flag`, and the marks that tell store paths
//! apart (spec 04 §A.2.2, §A.3).

use crate::state_file::{read_optional, safe_write};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fdfs_core::config::Ini;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

/// `.data_init_flag`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InitFlag {
    /// Unix seconds of the very first start.
    pub join_time: i64,
    /// Whether it is settled who sends the old files.
    pub sync_old_done: bool,
    /// Who sends them; empty for nobody.
    pub sync_source: String,
    /// Old files up to this time.
    pub sync_until: i64,
    /// Own addresses, comma separated.
    pub last_ips: String,
    /// Own port.
    pub last_port: u16,
    /// Last trunk file.
    pub trunk_file_id: i64,
    /// When the trunk binlog was last compressed.
    pub trunk_compress_time: i64,
    /// How far its compression got.
    pub trunk_compress_stage: i64,
    /// Marks of the store paths, by index.
    pub marks: Vec<Option<String>>,
}

impl InitFlag {
    /// The file's text.
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "storage_join_time={}\nsync_old_done={}\nsync_src_server={}\n\
             sync_until_timestamp={}\nlast_ip_addr={}\nlast_server_port={}\n\
             current_trunk_file_id={}\ntrunk_last_compress_time={}\n\
             trunk_binlog_compress_stage={}\n",
            self.join_time,
            u8::from(self.sync_old_done),
            self.sync_source,
            self.sync_until,
            self.last_ips,
            self.last_port,
            self.trunk_file_id,
            self.trunk_compress_time,
            self.trunk_compress_stage,
        );
        for (index, mark) in self.marks.iter().enumerate() {
            if let Some(mark) = mark {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "store_path_mark{index}={mark}");
            }
        }
        text
    }

    /// Reads the file's text.
    pub fn parse(text: &str) -> io::Result<Self> {
        let ini = Ini::parse(text);
        let scope = ini.global();
        for key in ["storage_join_time", "sync_old_done", "sync_src_server"] {
            if scope.get(key).is_none() {
                let text =
                    format!(".data_init_flag: {key} is missing; restore the file from a copy");
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
        }
        let int = |key: &str| scope.int(key, 0).unwrap_or(0);
        let text = |key: &str| scope.get(key).unwrap_or_default().to_owned();
        let mark = |index: usize| {
            let mark = scope.get(&format!("store_path_mark{index}"));
            mark.filter(|mark| !mark.is_empty()).map(str::to_owned)
        };
        let mut marks: Vec<_> = (0..fdfs_core::protocol::STORE_PATHS_MAX).map(mark).collect();
        while marks.last().is_some_and(Option::is_none) {
            marks.pop();
        }
        Ok(Self {
            join_time: int("storage_join_time"),
            sync_old_done: int("sync_old_done") != 0,
            sync_source: text("sync_src_server"),
            sync_until: int("sync_until_timestamp"),
            last_ips: text("last_ip_addr"),
            last_port: u16::try_from(int("last_server_port")).unwrap_or(0),
            trunk_file_id: int("current_trunk_file_id"),
            trunk_compress_time: int("trunk_last_compress_time"),
            trunk_compress_stage: int("trunk_binlog_compress_stage"),
            marks,
        })
    }

    fn file(base_path: &Path) -> PathBuf {
        base_path.join("data/.data_init_flag")
    }

    /// Loads the file; `None` at the very first start.
    pub fn load(base_path: &Path) -> io::Result<Option<Self>> {
        let text = read_optional(&Self::file(base_path))?;
        text.map(|text| Self::parse(&String::from_utf8_lossy(&text))).transpose()
    }

    /// Saves the file.
    pub fn save(&self, base_path: &Path) -> io::Result<()> {
        safe_write(&Self::file(base_path), self.to_text().as_bytes())
    }

    /// Checks the mark of the store path with this index, or gives it one. `Ok(true)` when this
    /// changed and must be saved.
    pub fn check_mark(
        &mut self,
        index: u8,
        data: &Path,
        ip: &str,
        port: u16,
        now: i64,
    ) -> io::Result<bool> {
        let file = data.join(".fastdfs_vars");
        let text = read_optional(&file)?.unwrap_or_default();
        let ini = Ini::parse(&String::from_utf8_lossy(&text));
        let found = ini.global().get("store_path_mark").filter(|mark| !mark.is_empty());
        let at = usize::from(index);
        let known = self.marks.get(at).and_then(Option::as_deref);
        match (known, found) {
            (Some(known), Some(found)) if known == found => return Ok(false),
            (None, Some(_)) | (Some(_), Some(_)) => {
                let text = format!(
                    "{} belongs to another storage or store path: if it does not, remove {}",
                    data.display(),
                    file.display()
                );
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
            (Some(_), None) => {
                tracing::warn!(path = %data.display(), "the mark of a store path was missing");
            }
            (None, None) => {}
        }
        let mark = make_mark(ip, port, index, now);
        safe_write(&file, format!("store_path_mark={mark}\n").as_bytes())?;
        if self.marks.len() <= at {
            self.marks.resize(at + 1, None);
        }
        if let Some(slot) = self.marks.get_mut(at) {
            *slot = Some(mark);
        }
        Ok(true)
    }
}

/// The mark's 56 bytes, encoded; its integers are those of the host.
fn make_mark(ip: &str, port: u16, index: u8, now: i64) -> String {
    let mut bytes = [0; 56];
    let now = i32::try_from(now).unwrap_or(i32::MAX);
    let text = ip.as_bytes();
    let fields: [(usize, &[u8]); 4] = [
        (0, text.get(..45).unwrap_or(text)),
        (46, &port.to_ne_bytes()),
        (48, &[index]),
        (52, &now.to_ne_bytes()),
    ];
    for (start, field) in fields {
        if let Some(place) = bytes.get_mut(start..start + field.len()) {
            place.copy_from_slice(field);
        }
    }
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_originals_files_are_read_and_written_alike() {
        for golden in [
            include_str!("../../../tests/vectors/golden/disk/plain/storage1/data/.data_init_flag"),
            include_str!("../../../tests/vectors/golden/disk/plain/storage2/data/.data_init_flag"),
            include_str!("../../../tests/vectors/golden/disk/trunk/storage1/data/.data_init_flag"),
        ] {
            assert_eq!(InitFlag::parse(golden).unwrap().to_text(), golden);
        }
        assert!(InitFlag::parse("storage_join_time=1\n").is_err());
    }

    #[test]
    fn marks_are_made_like_the_originals() {
        // Spec 04 §A.2.2.
        let expected =
            "MTAuNzcuMC4xMQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAOiAAAAAAGW-AGs";
        assert_eq!(make_mark("10.77.0.11", 33000, 0, 0x6b00_be65), expected);
    }

    #[test]
    fn a_store_path_of_another_storage_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (mut mine, file) = (InitFlag::default(), dir.path().join(".fastdfs_vars"));
        let check = |flag: &mut InitFlag| flag.check_mark(0, dir.path(), "10.0.0.1", 1, 5);
        assert!(check(&mut mine).unwrap(), "none yet: made");
        assert!(!check(&mut mine).unwrap(), "same");
        assert!(check(&mut InitFlag::default()).is_err(), "present, but not ours");
        let mut other = mine.clone();
        other.marks[0] = Some("x".into());
        assert!(check(&mut other).unwrap_err().to_string().contains("another storage"));
        std::fs::remove_file(&file).unwrap();
        assert!(check(&mut mine).unwrap(), "lost: made anew");
        assert!(file.exists());
    }
}
