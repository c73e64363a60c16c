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
                let text = format!("{key} is missing");
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
        let parse = |text: Vec<u8>| Self::parse(&String::from_utf8_lossy(&text));
        text.map(parse).transpose().map_err(|error| {
            let text = format!(
                "{}: {error}; restore it from a copy, or remove it and the storage's entry at the \
                 trackers to start as a new storage",
                Self::file(base_path).display()
            );
            io::Error::new(error.kind(), text)
        })
    }

    /// Saves the file.
    pub fn save(&self, base_path: &Path) -> io::Result<()> {
        safe_write(&Self::file(base_path), self.to_text().as_bytes())
    }

    /// Checks that the store paths, given by their `data` directories, are this storage's own, and
    /// marks those that have no mark yet.
    ///
    /// Nothing is written unless all of them pass. What is remembered here is saved before the
    /// marks are written: after a crash in between, a mark is merely missing, not foreign.
    pub fn check_marks(
        &mut self,
        base_path: &Path,
        data_dirs: &[PathBuf],
        maker: &MarkMaker,
    ) -> io::Result<()> {
        let mut unmarked = Vec::new();
        for (index, data) in (0u8..).zip(data_dirs) {
            if !self.owns(index, data)? {
                unmarked.push((index, data));
            }
        }
        if unmarked.is_empty() {
            return Ok(());
        }
        let mut made = Vec::new();
        for (index, data) in unmarked {
            let (at, mark) = (usize::from(index), make_mark(maker, index));
            if self.marks.len() <= at {
                self.marks.resize(at + 1, None);
            }
            made.push((data, format!("store_path_mark={mark}\n")));
            if let Some(slot) = self.marks.get_mut(at) {
                *slot = Some(mark);
            }
        }
        self.save(base_path)?;
        for (data, text) in made {
            std::fs::create_dir_all(data)?;
            safe_write(&mark_file(data), text.as_bytes())?;
        }
        Ok(())
    }

    /// Whether the store path carries this storage's mark; an error when it carries another's.
    fn owns(&self, index: u8, data: &Path) -> io::Result<bool> {
        let file = mark_file(data);
        let text = read_optional(&file)?.unwrap_or_default();
        let ini = Ini::parse(&String::from_utf8_lossy(&text));
        let found = ini.global().get("store_path_mark").filter(|mark| !mark.is_empty());
        let known = self.marks.get(usize::from(index)).and_then(Option::as_deref);
        match judge(known, found) {
            MarkRule::Own => Ok(true),
            MarkRule::New => Ok(false),
            MarkRule::Lost => {
                if data.exists() {
                    tracing::warn!(file = %file.display(), "the mark of a store path was missing");
                }
                Ok(false)
            }
            MarkRule::Foreign(known) => {
                let owner = found.and_then(owner).unwrap_or_else(|| "another storage".to_owned());
                let text = format!(
                    "store_path{index}: {} is marked as that of {owner}, and .data_init_flag of \
                     this storage {known}; correct store_path{index} if it belongs to another \
                     storage or has another index there, restore .data_init_flag if that was lost, \
                     or remove {} to take the path over with all its files",
                    data.display(),
                    file.display()
                );
                Err(io::Error::new(io::ErrorKind::InvalidInput, text))
            }
        }
    }
}

fn mark_file(data: &Path) -> PathBuf {
    data.join(".fastdfs_vars")
}

/// What new marks are made of.
#[derive(Debug, Clone)]
pub struct MarkMaker {
    /// This storage's first address.
    pub ip: String,
    /// Its port.
    pub port: u16,
    /// Unix seconds.
    pub now: i64,
}

/// What a store path's mark and its copy in `.data_init_flag` mean together.
#[derive(Debug, PartialEq, Eq)]
enum MarkRule {
    Own,
    New,
    Lost,
    Foreign(&'static str),
}

/// The five rows of spec 04 §A.2.2.
fn judge(known: Option<&str>, found: Option<&str>) -> MarkRule {
    match (known, found) {
        (None, None) => MarkRule::New,
        (None, Some(_)) => MarkRule::Foreign("knows no mark for it"),
        (Some(known), Some(found)) if known == found => MarkRule::Own,
        (Some(_), Some(_)) => MarkRule::Foreign("knows another mark for it"),
        (Some(_), None) => MarkRule::Lost,
    }
}

/// Whom a mark names; `None` when it is none of ours or of the original.
fn owner(mark: &str) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(mark).ok()?;
    let ip = bytes.get(..46)?.split(|byte| *byte == 0).next()?;
    let port = u16::from_ne_bytes(bytes.get(46..48)?.try_into().ok()?);
    let index = bytes.get(48)?;
    Some(format!("storage {}:{port} with index {index}", String::from_utf8_lossy(ip)))
}

/// The mark's 56 bytes, encoded; its integers are those of the host.
fn make_mark(maker: &MarkMaker, index: u8) -> String {
    let mut bytes = [0; 56];
    let now = i32::try_from(maker.now).unwrap_or(i32::MAX);
    let text = maker.ip.as_bytes();
    let fields: [(usize, &[u8]); 4] = [
        (0, text.get(..45).unwrap_or(text)),
        (46, &maker.port.to_ne_bytes()),
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
        let maker = MarkMaker { ip: "10.77.0.11".into(), port: 33000, now: 0x6b00_be65 };
        assert_eq!(make_mark(&maker, 0), expected);
    }

    #[test]
    fn every_row_of_the_mark_rules() {
        assert_eq!(judge(None, None), MarkRule::New);
        assert!(matches!(judge(None, Some("a")), MarkRule::Foreign(_)));
        assert_eq!(judge(Some("a"), Some("a")), MarkRule::Own);
        assert!(matches!(judge(Some("a"), Some("b")), MarkRule::Foreign(_)));
        assert_eq!(judge(Some("a"), None), MarkRule::Lost);
    }

    #[test]
    fn store_paths_are_marked_kept_and_refused() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path();
        std::fs::create_dir(base.join("data")).unwrap();
        let paths = [base.join("p0/data"), base.join("p1/data")];
        let check = |flag: &mut InitFlag, port| {
            let maker = MarkMaker { ip: "10.0.0.1".into(), port, now: 5 };
            flag.check_marks(base, &paths, &maker)
        };
        let read = |at: usize| std::fs::read_to_string(paths[at].join(".fastdfs_vars")).unwrap();
        let mut mine = InitFlag::default();
        check(&mut mine, 1).unwrap();
        let first = [read(0), read(1)];
        assert_eq!(first[1], format!("store_path_mark={}\n", mine.marks[1].as_ref().unwrap()));
        assert_eq!(InitFlag::load(base).unwrap().unwrap(), mine, "saved at once");
        check(&mut mine, 2).unwrap();
        assert_eq!([read(0), read(1)], first, "kept, whatever changed");

        let error = check(&mut InitFlag::default(), 3).unwrap_err().to_string();
        let path = paths[0].display().to_string();
        for part in ["10.0.0.1:1 with index 0", "store_path0", "knows no mark", &path] {
            assert!(error.contains(part), "{error}");
        }
        let mut other = mine.clone();
        (other.marks[0], other.marks[1]) = (None, Some("x".into()));
        std::fs::remove_file(paths[0].join(".fastdfs_vars")).unwrap();
        let error = check(&mut other, 3).unwrap_err().to_string();
        assert!(error.contains("store_path1") && error.contains("another mark"), "{error}");
        assert!(!paths[0].join(".fastdfs_vars").exists(), "all pass, or none is written");

        check(&mut mine, 9).unwrap();
        assert_ne!(read(0), first[0], "a lost mark is made anew");
        assert_eq!(read(1), first[1]);
    }

    #[test]
    fn the_originals_marks_are_recognised() {
        let golden =
            include_str!("../../../tests/vectors/golden/disk/plain/storage1/data/.fastdfs_vars");
        let flag =
            include_str!("../../../tests/vectors/golden/disk/plain/storage1/data/.data_init_flag");
        let flag = InitFlag::parse(flag).unwrap();
        assert_eq!(golden, format!("store_path_mark={}\n", flag.marks[0].as_ref().unwrap()));
        let owner = owner(flag.marks[0].as_ref().unwrap());
        assert_eq!(owner.unwrap(), "storage 10.77.0.2:23000 with index 0");
    }

    #[test]
    fn the_memory_survives_a_round_trip_through_its_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("data")).unwrap();
        assert_eq!(InitFlag::load(dir.path()).unwrap(), None, "the very first start");
        let marks = vec![None, Some("b".to_owned())];
        let flag = InitFlag { join_time: 7, sync_old_done: true, marks, ..InitFlag::default() };
        flag.save(dir.path()).unwrap();
        assert_eq!(InitFlag::load(dir.path()).unwrap(), Some(flag));
        std::fs::write(dir.path().join("data/.data_init_flag"), "storage_join_time=1\n").unwrap();
        let error = InitFlag::load(dir.path()).unwrap_err().to_string();
        assert!(error.contains("data/.data_init_flag: sync_old_done is missing"), "{error}");
    }
}
