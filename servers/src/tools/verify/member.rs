//! One member of a group: which files it has, and what it says of each.

use fdfs_core::client::{Client, StorageInfo, StorageStatus};
use fdfs_core::file_id::LogicName;
use fdfs_core::net::{CHUNK_LEN, Conn, ConnectOptions};
use fdfs_core::protocol::cluster::{FetchPathBinlog, PATH_BINLOG_LEN};
use fdfs_core::protocol::storage::{Download, FileInfo, FileRef, INFO_SILENT, INFO_WITHOUT_CRC};
use fdfs_core::protocol::{Command, Group, Name, Status};
use fdfs_core::wire::Wire;
use fdfs_core::{Error, ErrorKind, Result};
use std::fmt;
use std::time::Duration;
use tokio::sync::mpsc;

/// Longest line of a binlog (spec 04 §A.5.2).
const LINE_LEN_MAX: usize = 256;
/// The length behind the text.
const TRAILER_LEN: usize = 8;
/// A member may read through a long binlog, or a large file, before it says a word.
const SILENCE_MIN: Duration = Duration::from_secs(600);

/// What a member says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// It has no such file.
    Missing,
    /// It has one.
    File { size: u64, crc32: u32 },
    /// It cannot tell, or not read it.
    Refused(Status),
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing"),
            Self::File { size, crc32 } => write!(f, "{size} bytes, crc {crc32:08x}"),
            Self::Refused(status) => write!(f, "unreadable, status {}", status.0),
        }
    }
}

/// A member of the group.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) id: String,
    host: String,
    port: u16,
    store_paths: usize,
    group: Group,
    connect: ConnectOptions,
}

impl Member {
    /// The members of a group. All must be there: what one of them has is unknown while it is not.
    pub(super) async fn list(client: &Client, group: &str) -> Result<Vec<Self>> {
        let name = Group::try_from(group)
            .map_err(|_| Error::new(ErrorKind::InvalidArgument, format!("group {group}")))?;
        let mut members = Vec::new();
        for storage in client.list_storages(group, None).await? {
            let StorageInfo { id, address, status, .. } = &storage;
            match *status {
                StorageStatus::DELETED | StorageStatus::IP_CHANGED => continue,
                StorageStatus::ACTIVE | StorageStatus::ONLINE => {}
                status => {
                    let text = format!("member {id} is {status}: wait, start or delete it first");
                    return Err(Error::new(ErrorKind::NoServer, text));
                }
            }
            let options = client.options();
            members.push(Self {
                id: id.clone(),
                host: address.host.clone(),
                port: address.port,
                store_paths: usize::try_from(storage.store_path_count).unwrap_or(0),
                group: name,
                connect: ConnectOptions {
                    connect_timeout: options.connect_timeout,
                    io_timeout: options.io_timeout.max(SILENCE_MIN),
                    bind: None,
                },
            });
        }
        match members.len() {
            0 | 1 => {
                let text = format!(
                    "group {group} has {} to compare",
                    match members.len() {
                        0 => "no member",
                        _ => "only one member: nothing",
                    }
                );
                Err(Error::new(ErrorKind::InvalidArgument, text))
            }
            _ => Ok(members),
        }
    }

    async fn open(&self) -> Result<Conn> {
        Conn::connect(&self.host, self.port, &self.connect).await
    }

    /// Sends the names of all files that its binlog knows and its disks hold, in pieces.
    pub(super) async fn send_names(&self, to: mpsc::Sender<Vec<Name>>) -> Result<()> {
        for store_path in (0..=u8::MAX).take(self.store_paths) {
            let mut conn = self.open().await?;
            let request = FetchPathBinlog { group: self.group, store_path };
            conn.start(Command::FETCH_ONE_PATH_BINLOG, 0, &request.encode(), 0).await?;
            let mut lines = PathLines::default();
            let mut buffer = vec![0; CHUNK_LEN];
            let peer = conn.peer().to_owned();
            let wrong = |text: String| Error::new(ErrorKind::Protocol, text).with_peer(&peer);
            if conn.read_header().await? != PATH_BINLOG_LEN {
                return Err(wrong("the binlog comes with another length than known".into()));
            }
            loop {
                let read = match conn.read_body(&mut buffer).await {
                    Ok(read) => read,
                    // The end of the connection is the end of the answer.
                    Err(_) if conn.attempt().lost => break,
                    Err(error) => return Err(error),
                };
                let names = lines.feed(buffer.get(..read).unwrap_or_default()).map_err(wrong)?;
                if to.send(names).await.is_err() {
                    // Whoever sorts them has failed, and says why.
                    return Ok(());
                }
            }
            lines.finish().map_err(wrong)?;
        }
        Ok(())
    }

    /// A connection to ask it about files.
    pub(super) fn asker(&self, reads_content: bool) -> Asker {
        Asker { member: self.clone(), conn: None, reads_content, buffer: Vec::new() }
    }
}

/// The names in a path's binlog as it arrives.
#[derive(Debug, Default)]
struct PathLines {
    /// What is not known to be a whole line, with what may be the length behind them.
    held: Vec<u8>,
    received: u64,
}

impl PathLines {
    /// Takes the next bytes; gives the names of the lines that are whole.
    fn feed(&mut self, piece: &[u8]) -> Result<Vec<Name>, String> {
        self.held.extend_from_slice(piece);
        self.received += piece.len() as u64;
        let text = self.held.get(..self.held.len().saturating_sub(TRAILER_LEN)).unwrap_or_default();
        let end = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let lines = text.get(..end).unwrap_or_default().split_inclusive(|byte| *byte == b'\n');
        let names = lines.map(name_of).collect::<Result<Vec<_>, _>>()?;
        self.held.drain(..end);
        match self.held.len() <= LINE_LEN_MAX + TRAILER_LEN {
            true => Ok(names),
            false => Err("a line of the binlog has no end".into()),
        }
    }

    /// What is left must be the length of all text: otherwise the answer was cut off.
    fn finish(self) -> Result<(), String> {
        let text_len = self.received.saturating_sub(TRAILER_LEN as u64);
        match <[u8; TRAILER_LEN]>::try_from(&self.held[..]) {
            Ok(trailer) if u64::from_be_bytes(trailer) == text_len => Ok(()),
            _ => Err("the binlog was cut off on its way".into()),
        }
    }
}

/// The name in `<time> <operation> <name> …`.
fn name_of(line: &[u8]) -> Result<Name, String> {
    let text = line.trim_ascii_end();
    let name = text.split(|byte| *byte == b' ').nth(2).and_then(|word| {
        LogicName::parse(word).ok()?;
        Name::new(word)
    });
    name.ok_or_else(|| format!("no binlog record: {}", String::from_utf8_lossy(text)))
}

/// Asks a member about one file at a time.
#[derive(Debug)]
pub(super) struct Asker {
    member: Member,
    conn: Option<Conn>,
    reads_content: bool,
    buffer: Vec<u8>,
}

impl Asker {
    /// What the member has under this name.
    pub(super) async fn ask(&mut self, name: &Name) -> Result<Held> {
        let reused = self.conn.as_ref().is_some_and(Conn::is_clean);
        match self.ask_once(name).await {
            // The member may have closed a connection that was idle, or after a refusal.
            Err(_) if reused => self.ask_once(name).await,
            done => done,
        }
    }

    async fn ask_once(&mut self, name: &Name) -> Result<Held> {
        let mut conn = match self.conn.take().filter(Conn::is_clean) {
            Some(conn) => conn,
            None => self.member.open().await?,
        };
        let held = match self.ask_on(&mut conn, name).await {
            Ok(held) => held,
            Err(error) => match error.status() {
                Some(Status::ENOENT) => Held::Missing,
                Some(status) => Held::Refused(status),
                None => return Err(error),
            },
        };
        self.conn = Some(conn);
        Ok(held)
    }

    async fn ask_on(&mut self, conn: &mut Conn, name: &Name) -> Result<Held> {
        let request = FileRef { group: self.member.group, name: *name };
        let flags = INFO_SILENT | if self.reads_content { INFO_WITHOUT_CRC } else { 0 };
        let info: FileInfo =
            conn.call_with_flags(Command::QUERY_FILE_INFO, flags, &request).await?;
        let size = info.size.max(0).unsigned_abs();
        match self.reads_content {
            // The original refuses to send nothing.
            true if size > 0 => self.read(conn, name).await,
            true => Ok(Held::File { size, crc32: 0 }),
            false => Ok(Held::File { size, crc32: info.crc32 }),
        }
    }

    /// Reads the file and computes its checksum.
    async fn read(&mut self, conn: &mut Conn, name: &Name) -> Result<Held> {
        let request = Download { offset: 0, len: 0, group: self.member.group, name: *name };
        conn.start(Command::DOWNLOAD_FILE, 0, &request.encode(), 0).await?;
        let size = conn.read_header().await?;
        self.buffer.resize(CHUNK_LEN, 0);
        let mut hasher = crc32fast::Hasher::new();
        loop {
            match conn.read_body(&mut self.buffer).await? {
                0 => break,
                read => hasher.update(self.buffer.get(..read).unwrap_or_default()),
            }
        }
        Ok(Held::File { size, crc32: hasher.finalize() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "M00/00/00/Ck0AC2sAvq6AfyjFAAATiMRbAU0662.bin";

    fn answer(lines: &str) -> Vec<u8> {
        [lines.as_bytes(), &(lines.len() as u64).to_be_bytes()].concat()
    }

    #[test]
    fn names_are_read_however_the_answer_is_cut_into_pieces() {
        let text = format!("1 C {NAME}\n2 l {NAME}-m {NAME}\n3 c {NAME}\n");
        let answer = answer(&text);
        for piece_len in [1, 7, 8, 100, 1000] {
            let (mut lines, mut names) = (PathLines::default(), Vec::new());
            for piece in answer.chunks(piece_len) {
                names.extend(lines.feed(piece).unwrap().iter().map(Name::to_string));
            }
            lines.finish().unwrap();
            assert_eq!(names, [NAME.to_owned(), format!("{NAME}-m"), NAME.to_owned()]);
        }
        let mut empty = PathLines::default();
        empty.feed(&[0; 8]).unwrap();
        empty.finish().unwrap();
    }

    #[test]
    fn an_answer_that_was_cut_off_or_makes_no_sense_is_an_error() {
        let whole = answer(&format!("1 C {NAME}\n"));
        for len in 0..whole.len() {
            let mut lines = PathLines::default();
            let fed = lines.feed(whole.get(..len).unwrap());
            assert!(fed.is_err() || lines.finish().is_err(), "{len}");
        }
        for text in ["1 C\n", "1 C ../../etc/passwd\n", "garbage\n", "\n"] {
            assert!(PathLines::default().feed(&answer(text)).is_err(), "{text}");
        }
        assert!(PathLines::default().feed(&[b'x'; 1000]).is_err(), "a line without end");
    }
}
