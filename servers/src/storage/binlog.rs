//! The writer of the binlog: the record of every change, which replication reads (spec 04 §A.5).
//!
//! A record is handed to the kernel before its request is acknowledged, so that the death of the
//! process loses none. When that fails nothing is acknowledged; the torn bytes are cut off so that
//! the next record starts a line.

use crate::state_file::{read_optional, safe_write};
use fdfs_core::config::Ini;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// Bytes after which the next file is begun.
const FILE_LEN_MAX: u64 = 1 << 30;
/// Longest record, with its end (spec 04 §A.5.2).
const RECORD_LEN_MAX: usize = 256;

/// Operations done here for a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the table of spec 04 §A.5.2")]
pub enum Operation {
    Create = b'C' as isize,
    Append = b'A' as isize,
    Delete = b'D' as isize,
    Update = b'U' as isize,
    Modify = b'M' as isize,
    Truncate = b'T' as isize,
    Link = b'L' as isize,
    Rename = b'R' as isize,
}

impl Operation {
    fn letter(self) -> char {
        match self {
            Self::Create => 'C',
            Self::Append => 'A',
            Self::Delete => 'D',
            Self::Update => 'U',
            Self::Modify => 'M',
            Self::Truncate => 'T',
            Self::Link => 'L',
            Self::Rename => 'R',
        }
    }
}

struct Writer {
    file: File,
    index: u32,
    len: u64,
    /// Set while the end of the file is not the end of a record.
    torn: bool,
    line: Vec<u8>,
}

/// The binlog of one storage.
pub struct Binlog {
    dir: PathBuf,
    writer: Mutex<Writer>,
}

impl fmt::Debug for Binlog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binlog").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Binlog {
    /// Opens the binlog in `data/sync`, cutting off what a crash left of a last record.
    pub fn open(dir: PathBuf) -> io::Result<Self> {
        std::fs::create_dir_all(&dir)?;
        let index = read_index(&dir)?;
        let mut file = open_file(&dir, index)?;
        let found = file.seek(SeekFrom::End(0))?;
        let len = whole_records_len(&mut file, found)?;
        if len < found {
            tracing::warn!(bytes = found - len, index, "cut an unfinished record off the binlog");
            file.set_len(len)?;
        }
        let line = Vec::with_capacity(RECORD_LEN_MAX);
        let writer = Mutex::new(Writer { file, index, len, torn: false, line });
        Ok(Self { dir, writer })
    }

    /// Adds a record and hands it to the kernel.
    pub fn add(
        &self,
        time: i64,
        operation: Operation,
        name: &[u8],
        extra: fmt::Arguments<'_>,
    ) -> io::Result<()> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let writer = &mut *writer;
        if writer.torn {
            writer.file.set_len(writer.len)?;
            writer.torn = false;
        }
        let line = &mut writer.line;
        line.clear();
        write!(line, "{time} {} ", operation.letter())?;
        line.extend_from_slice(name);
        let name_end = line.len();
        write!(line, " {extra}")?;
        if line.len() == name_end + 1 {
            line.truncate(name_end);
        }
        line.push(b'\n');
        if line.len() > RECORD_LEN_MAX {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        if let Err(error) = writer.file.write_all(line) {
            writer.torn = writer.file.set_len(writer.len).is_err();
            return Err(error);
        }
        writer.len += line.len() as u64;
        if writer.len >= FILE_LEN_MAX {
            self.rotate(writer);
        }
        Ok(())
    }

    /// Begins the next file. When that fails the present one just grows on.
    fn rotate(&self, writer: &mut Writer) {
        let next = writer.index + 1;
        let rotated = writer
            .file
            .sync_all()
            .and_then(|()| write_index(&self.dir, next))
            .and_then(|()| open_file(&self.dir, next));
        match rotated {
            Ok(file) => (writer.file, writer.index, writer.len) = (file, next, 0),
            Err(error) => tracing::error!(%error, "cannot begin the next binlog file"),
        }
    }

    /// Makes all records durable.
    pub fn sync(&self) -> io::Result<()> {
        let file = {
            let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            writer.file.try_clone()?
        };
        file.sync_data()
    }
}

fn open_file(dir: &std::path::Path, index: u32) -> io::Result<File> {
    let path = dir.join(format!("binlog.{index:03}"));
    OpenOptions::new().read(true).append(true).create(true).open(path)
}

fn read_index(dir: &std::path::Path) -> io::Result<u32> {
    if let Some(text) = read_optional(&dir.join("binlog_index.dat"))? {
        let ini = Ini::parse(&String::from_utf8_lossy(&text));
        let index = ini.global().int("current_write", 0).unwrap_or(0);
        return Ok(u32::try_from(index).unwrap_or(0));
    }
    // The form of older versions: the bare number.
    let old = read_optional(&dir.join("binlog.index"))?.unwrap_or_default();
    let index = String::from_utf8_lossy(&old).trim().parse().unwrap_or(0);
    write_index(dir, index)?;
    Ok(index)
}

fn write_index(dir: &std::path::Path, index: u32) -> io::Result<()> {
    let path = dir.join("binlog_index.dat");
    let old = read_optional(&path)?.unwrap_or_default();
    let ini = Ini::parse(&String::from_utf8_lossy(&old));
    let compress = ini.global().int("current_compress", 0).unwrap_or(0);
    let text = format!("current_write={index}\ncurrent_compress={compress}\n");
    safe_write(&path, text.as_bytes())
}

/// Length of the file up to the end of its last whole record.
fn whole_records_len(file: &mut File, len: u64) -> io::Result<u64> {
    // One record at most is unfinished; looking back a few is more than enough.
    let back = len.min(64 * 1024);
    file.seek(SeekFrom::Start(len - back))?;
    let mut tail = Vec::new();
    (&mut *file).take(back).read_to_end(&mut tail)?;
    let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    Ok(len - back + whole as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_lines_of_the_originals_form() {
        let dir = tempfile::tempdir().unwrap();
        let sync = dir.path().join("sync");
        let binlog = Binlog::open(sync.clone()).unwrap();
        binlog.add(10, Operation::Create, b"M00/00/00/a", format_args!("")).unwrap();
        binlog.add(11, Operation::Append, b"M00/00/00/b", format_args!("{} {}", 5, 6)).unwrap();
        let long = [b'x'; RECORD_LEN_MAX];
        assert!(binlog.add(12, Operation::Create, &long, format_args!("")).is_err());
        let text = std::fs::read_to_string(sync.join("binlog.000")).unwrap();
        assert_eq!(text, "10 C M00/00/00/a\n11 A M00/00/00/b 5 6\n");
        let index = std::fs::read_to_string(sync.join("binlog_index.dat")).unwrap();
        assert_eq!(index, "current_write=0\ncurrent_compress=0\n");
    }

    #[test]
    fn an_unfinished_record_is_cut_off_at_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("binlog.001");
        std::fs::write(dir.path().join("binlog_index.dat"), "current_write=1\n").unwrap();
        for (found, kept) in [("1 C a\n2 D", "1 C a\n"), ("1 C", ""), ("1 C a\n", "1 C a\n")] {
            std::fs::write(&file, found).unwrap();
            let binlog = Binlog::open(dir.path().to_owned()).unwrap();
            binlog.add(3, Operation::Delete, b"b", format_args!("")).unwrap();
            let text = std::fs::read_to_string(&file).unwrap();
            assert_eq!(text, format!("{kept}3 D b\n"));
        }
        std::fs::remove_file(dir.path().join("binlog_index.dat")).unwrap();
        std::fs::write(dir.path().join("binlog.index"), "1").unwrap();
        assert!(Binlog::open(dir.path().to_owned()).is_ok());
        assert!(dir.path().join("binlog_index.dat").exists(), "the old form is converted");
    }
}
