//! Reading the binlog, record by record, as far as it has been written.

use super::offers::Offer;
use crate::storage::binlog::{Operation, Position, file_path, is_packed};
use fdfs_core::protocol::Name;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Bytes read at a time; longer than any line.
const READ_LEN: usize = 64 << 10;
/// Longest line (spec 04 §A.5.2). What is longer is no record.
const LINE_LEN_MAX: usize = 256;
/// Bytes of the last records: some 70 000.
const TAIL_LEN: u64 = 4 << 20;

/// A record of the binlog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::storage) struct Entry {
    /// Unix seconds.
    pub time: i64,
    /// What was done.
    pub operation: Operation,
    /// Whether a peer did it, not a client here.
    pub replica: bool,
    /// To which file.
    pub name: Name,
    /// What else the record tells.
    pub extra: Extra,
    /// Why the peer is asked before it is sent. No record tells that.
    pub offer: Option<Offer>,
}

/// What a record tells beside the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) enum Extra {
    Nothing,
    /// Two numbers: offset and length, or old and new size.
    Numbers(u64, u64),
    /// Another file: what a link points to, or the old name.
    Name(Name),
}

impl Entry {
    /// Reads a line without its end.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(line).ok()?.split(' ');
        let time = words.next()?.parse().ok()?;
        let [letter] = *words.next()?.as_bytes() else { return None };
        let operation = Operation::of_letter(letter.to_ascii_uppercase())?;
        let name = Name::new(words.next()?.as_bytes()).filter(|name| !name.is_empty())?;
        let number = |word: Option<&str>| word?.parse::<u64>().ok();
        let extra = match operation {
            Operation::Append | Operation::Modify | Operation::Truncate => {
                Extra::Numbers(number(words.next())?, number(words.next())?)
            }
            Operation::Rename => Extra::Name(Name::new(words.next()?.as_bytes())?),
            Operation::Link => match words.next() {
                Some(word) => Extra::Name(Name::new(word.as_bytes())?),
                None => Extra::Nothing,
            },
            _ => Extra::Nothing,
        };
        let replica = letter.is_ascii_lowercase();
        let offer = None;
        words.next().is_none().then_some(Self { time, operation, replica, name, extra, offer })
    }
}

/// What comes next in the binlog.
#[derive(Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "it is mostly this one, and soon taken apart")]
pub(in crate::storage) enum Next {
    /// A record.
    Entry(Entry),
    /// A line that is no record. It is stepped over: nothing can be made of it.
    Damaged(Vec<u8>),
    /// The next file is there in compressed form only: it must be unpacked first.
    Packed,
    /// All that has been written was read.
    End,
}

/// What reading on has brought.
enum More {
    Bytes,
    Packed,
    Nothing,
}

/// Reads the binlog from a position on.
#[derive(Debug)]
pub(in crate::storage) struct BinlogReader {
    dir: PathBuf,
    position: Position,
    file: Option<File>,
    /// Bytes of the file from `position` on.
    ahead: Vec<u8>,
    taken: usize,
    /// Whether the position may be in the middle of a line.
    within_line: bool,
    /// Whether what comes up to the end of the line belongs to a line that is none.
    in_junk: bool,
}

impl BinlogReader {
    /// Reads on from `position`. One in the middle of a line, as the original leaves some (spec 04
    /// §D.4), is moved back to its beginning: sending a record twice does no harm.
    pub(in crate::storage) fn new(dir: &Path, position: Position) -> io::Result<Self> {
        let mut reader = Self {
            dir: dir.to_owned(),
            position,
            file: None,
            ahead: Vec::new(),
            taken: 0,
            within_line: position.offset > 0,
            in_junk: false,
        };
        reader.go_to_line()?;
        Ok(reader)
    }

    /// Reads the last records of those written up to `end`.
    pub(in crate::storage) fn tail(dir: &Path, end: Position) -> io::Result<Self> {
        let (mut from, missing) = (end, TAIL_LEN.saturating_sub(end.offset));
        from.offset = end.offset.saturating_sub(TAIL_LEN);
        if missing > 0 && end.index > 0 {
            from.index = end.index - 1;
            let before = std::fs::metadata(file_path(dir, from.index));
            from.offset = before.map_or(0, |file| file.len().saturating_sub(missing));
        }
        Self::new(dir, from)
    }

    /// Goes on with the next file instead of the one that would have to be unpacked.
    pub(in crate::storage) fn skip_packed(&mut self) -> io::Result<()> {
        let next = Position { index: self.position.index + 1, offset: 0 };
        *self = Self::new(&self.dir, next)?;
        Ok(())
    }

    /// Goes back to where the line begins, once the file can be read.
    fn go_to_line(&mut self) -> io::Result<()> {
        let offset = self.position.offset;
        if self.within_line
            && let Some(file) = self.open()?
        {
            let start = offset.saturating_sub(LINE_LEN_MAX as u64);
            let mut before = vec![0; usize::try_from(offset - start).unwrap_or(0)];
            let read = read_full(file, &mut before, start)?;
            let before = before.get(..read).unwrap_or_default();
            let line = before.iter().rposition(|byte| *byte == b'\n').map(|at| at as u64 + 1);
            self.position.offset = start + line.unwrap_or(if start == 0 { 0 } else { read as u64 });
            self.within_line = false;
        }
        Ok(())
    }

    /// Where the next record begins.
    pub(in crate::storage) fn position(&self) -> Position {
        self.position
    }

    /// The file of the position; `None` when it is not there.
    fn open(&mut self) -> io::Result<Option<&File>> {
        if self.file.is_none() {
            match File::open(file_path(&self.dir, self.position.index)) {
                Ok(file) => self.file = Some(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.file.as_ref())
    }

    /// The next record among those written up to `end`.
    pub(in crate::storage) fn next(&mut self, end: Position) -> io::Result<Next> {
        self.go_to_line()?;
        loop {
            let rest = self.ahead.get(self.taken..).unwrap_or_default();
            if let Some(len) = rest.iter().position(|byte| *byte == b'\n') {
                let line = rest.get(..len).unwrap_or_default();
                let entry = match line.len() < LINE_LEN_MAX {
                    true => Entry::parse(line),
                    false => None,
                };
                let next = entry.map_or_else(|| Next::Damaged(line.to_vec()), Next::Entry);
                self.taken += len + 1;
                self.position.offset += len as u64 + 1;
                match std::mem::take(&mut self.in_junk) {
                    true => continue,
                    false => return Ok(next),
                }
            }
            if rest.len() >= LINE_LEN_MAX {
                // Kept until the line ends, junk could fill the memory.
                let line = rest.get(..LINE_LEN_MAX).unwrap_or_default().to_vec();
                self.position.offset += rest.len() as u64;
                self.taken = self.ahead.len();
                if !std::mem::replace(&mut self.in_junk, true) {
                    return Ok(Next::Damaged(line));
                }
            }
            match self.read_on(end)? {
                More::Bytes => {}
                More::Packed => return Ok(Next::Packed),
                More::Nothing => return Ok(Next::End),
            }
        }
    }

    /// Reads more of the file, or goes on to the next one.
    fn read_on(&mut self, end: Position) -> io::Result<More> {
        let held = self.ahead.len() - self.taken;
        let from = self.position.offset + held as u64;
        let last = self.position.index >= end.index;
        let limit = if last { end.offset.saturating_sub(from) } else { u64::MAX };
        let len = usize::try_from(limit).unwrap_or(READ_LEN).min(READ_LEN);
        let mut piece = vec![0; len];
        let (dir, index) = (self.dir.clone(), self.position.index);
        let read = match self.open()? {
            Some(file) => read_full(file, &mut piece, from)?,
            None if is_packed(&dir, index) => return Ok(More::Packed),
            None => {
                if !last {
                    tracing::error!(index, "a binlog file is missing: its changes are not sent");
                }
                0
            }
        };
        self.ahead.drain(..self.taken);
        self.taken = 0;
        self.ahead.extend_from_slice(piece.get(..read).unwrap_or_default());
        if read > 0 {
            return Ok(More::Bytes);
        }
        if last {
            return Ok(More::Nothing);
        }
        // What is left of a file that goes on in the next one was never acknowledged.
        self.ahead.clear();
        self.file = None;
        (self.within_line, self.in_junk) = (false, false);
        self.position = Position { index: self.position.index + 1, offset: 0 };
        Ok(More::Bytes)
    }
}

/// Reads until the buffer is full or the file ends.
fn read_full(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "M00/00/00/Ck0AC2sAvq6AfyjFAAATiMRbAU0662.bin";

    fn entry(line: &str) -> Option<Entry> {
        Entry::parse(line.as_bytes())
    }

    #[test]
    fn records_are_read_as_they_are_written_and_nothing_else_is() {
        let name = Name::new(NAME.as_bytes()).unwrap();
        for (letter, extra_text, extra) in [
            ("C", String::new(), Extra::Nothing),
            ("d", String::new(), Extra::Nothing),
            ("U", String::new(), Extra::Nothing),
            ("A", " 138 5000".into(), Extra::Numbers(138, 5000)),
            ("t", " 5000 0".into(), Extra::Numbers(5000, 0)),
            ("M", " 0 1".into(), Extra::Numbers(0, 1)),
            ("L", format!(" {NAME}"), Extra::Name(name)),
            ("l", String::new(), Extra::Nothing),
            ("R", format!(" {NAME}"), Extra::Name(name)),
        ] {
            let entry = entry(&format!("1795210926 {letter} {NAME}{extra_text}")).unwrap();
            assert_eq!((entry.time, entry.name, entry.extra), (1_795_210_926, name, extra));
            assert_eq!(entry.replica, letter.chars().all(char::is_lowercase));
        }
        for line in
            ["", "1", "1 C", "x C a", "1 X a", "1 CC a", "1 A a", "1 A a 1", "1 R a", "1 C  "]
        {
            assert_eq!(entry(line), None, "{line:?}");
        }
    }

    fn write(dir: &Path, index: u32, text: &str) {
        std::fs::write(dir.join(format!("binlog.{index:03}")), text).unwrap();
    }

    #[test]
    fn reading_goes_on_in_the_next_file_and_ends_where_writing_has() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 0, &format!("1 C {NAME}\n2 garbage\n3 D {NAME}\nunfinished"));
        write(dir.path(), 1, &format!("4 C {NAME}\n5 D {NAME}\n"));
        let line_len = format!("4 C {NAME}\n").len() as u64;
        let end = Position { index: 1, offset: line_len };
        let mut reader = BinlogReader::new(dir.path(), Position::default()).unwrap();
        let mut times = Vec::new();
        loop {
            match reader.next(end).unwrap() {
                Next::Entry(entry) => times.push(entry.time),
                Next::Damaged(line) => assert_eq!(line, b"2 garbage"),
                Next::Packed => panic!("nothing is compressed"),
                Next::End => break,
            }
        }
        assert_eq!((times, reader.position()), (vec![1, 3, 4], end));
        let end = Position { index: 1, offset: 2 * line_len };
        assert!(matches!(reader.next(end).unwrap(), Next::Entry(entry) if entry.time == 5));
        assert_eq!(reader.next(end).unwrap(), Next::End);
    }

    #[test]
    fn a_mark_in_the_middle_of_a_line_goes_back_to_its_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let text = format!("1 C {NAME}\n2 C {NAME}\n");
        write(dir.path(), 0, &text);
        let second = text.len() as u64 / 2;
        for (offset, begins) in
            [(0, 0), (1, 0), (second - 1, 0), (second, second), (second + 9, second)]
        {
            let reader = BinlogReader::new(dir.path(), Position { index: 0, offset }).unwrap();
            assert_eq!(reader.position().offset, begins, "{offset}");
        }
        let missing = BinlogReader::new(dir.path(), Position { index: 7, offset: 9 }).unwrap();
        assert_eq!(missing.position(), Position { index: 7, offset: 9 });
    }

    #[test]
    fn junk_of_any_length_is_one_damaged_record() {
        let dir = tempfile::tempdir().unwrap();
        let junk = "x".repeat(3 * READ_LEN);
        let text = format!("1 C {NAME}\n{junk} 9 C {NAME}\n2 C {NAME}\n");
        write(dir.path(), 0, &text);
        let end = Position { index: 0, offset: text.len() as u64 };
        let mut reader = BinlogReader::new(dir.path(), Position::default()).unwrap();
        let mut seen = Vec::new();
        loop {
            match reader.next(end).unwrap() {
                Next::Entry(entry) => seen.push(entry.time),
                Next::Damaged(line) => seen.push(-(line.len() as i64)),
                Next::Packed => panic!("nothing is compressed"),
                Next::End => break,
            }
            assert!(reader.ahead.len() <= 2 * READ_LEN);
        }
        assert_eq!(seen, [1, -(LINE_LEN_MAX as i64), 2]);
        assert_eq!(reader.position(), end);
    }

    #[test]
    fn compressed_files_are_asked_for_and_read_once_they_are_there() {
        let dir = tempfile::tempdir().unwrap();
        let text = format!("1 C {NAME}\n2 C {NAME}\n");
        let second = text.len() as u64 / 2;
        for index in 0..2 {
            std::fs::write(dir.path().join(format!("binlog.{index:03}.gz")), "").unwrap();
        }
        write(dir.path(), 2, "");
        let end = Position { index: 2, offset: 0 };
        let within = Position { index: 0, offset: second + 9 };
        let mut reader = BinlogReader::new(dir.path(), within).unwrap();
        for (index, times) in [(0, &[2][..]), (1, &[1, 2])] {
            for _ in 0..2 {
                assert_eq!(reader.next(end).unwrap(), Next::Packed);
                assert_eq!(reader.position().index, index);
            }
            write(dir.path(), index, &text);
            for time in times {
                let next = reader.next(end).unwrap();
                assert!(matches!(next, Next::Entry(entry) if entry.time == *time));
            }
        }
        assert_eq!(reader.next(end).unwrap(), Next::End);
        assert_eq!(reader.position(), end);
    }
}
