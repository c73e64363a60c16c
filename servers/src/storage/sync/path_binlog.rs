//! What the binlog tells of one store path as it is now (spec 03 §C9): read by members whose disk
//! was replaced, and by tools that compare members.

use super::reader::{BinlogReader, Entry, Extra, Next};
use crate::daemon::{Conn, ConnError};
use crate::storage::binlog::{Operation, Position};
use crate::storage::engine::Engine;
use crate::storage::ops::{Done, status};
use fdfs_core::file_id::LogicName;
use fdfs_core::protocol::cluster::{FetchPathBinlog, PATH_BINLOG_LEN};
use fdfs_core::wire::Wire;
use std::io::{self, Write as _};
use std::sync::Arc;

/// Text collected before it is sent.
const PIECE_LEN: usize = 64 << 10;
/// Records looked at in one go: each may cost a look at the disk, which others wait for.
const RECORDS_PER_PIECE: usize = 4096;

/// Answers a request with the records of one store path, after which the connection must be closed:
/// the answer's length is not known when it begins.
pub(in crate::storage) async fn send(
    engine: &Arc<Engine>,
    conn: &mut Conn,
    request: &FetchPathBinlog,
) -> Result<Done<()>, ConnError> {
    let path = engine.check_group(&request.group);
    let path = match path.and_then(|()| engine.store.path(request.store_path)) {
        Ok(path) => path,
        Err(status) => return Ok(Err(status)),
    };
    let mut records = match PathBinlog::open(engine.clone(), request.store_path) {
        Ok(records) => records,
        Err(error) => return Ok(Err(status(error))),
    };
    conn.reply_start(PATH_BINLOG_LEN, &[]).await?;
    let mut sent = 0;
    loop {
        let read = path.lane.run_long(move || {
            let piece = records.next_piece();
            (records, piece)
        });
        let piece;
        (records, piece) = read.await;
        let Some(piece) = piece? else { break };
        conn.send(&piece).await?;
        sent += piece.len() as i64;
    }
    conn.send(&sent.encode()).await?;
    Ok(Ok(()))
}

/// A walk through the binlog as far as it is written now.
#[derive(Debug)]
struct PathBinlog {
    engine: Arc<Engine>,
    store_path: u8,
    reader: BinlogReader,
    end: Position,
}

impl PathBinlog {
    fn open(engine: Arc<Engine>, store_path: u8) -> io::Result<Self> {
        let end = *engine.binlog.written().borrow();
        let reader = BinlogReader::new(engine.binlog.dir(), Position::default())?;
        Ok(Self { engine, store_path, reader, end })
    }

    /// The next lines, possibly none yet; `None` at the end.
    fn next_piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut lines = Vec::new();
        for _ in 0..RECORDS_PER_PIECE {
            match self.reader.next(self.end)? {
                Next::Entry(entry) => self.add(&entry, &mut lines)?,
                // Whoever replicates it has said so in the log.
                Next::Damaged(_) => {}
                Next::Packed => self.engine.binlog.unpack(self.reader.position().index)?,
                Next::End if lines.is_empty() => return Ok(None),
                Next::End => break,
            }
            if lines.len() >= PIECE_LEN {
                break;
            }
        }
        Ok(Some(lines))
    }

    /// Adds the line for a record whose file is there. The line tells what the file is now, which
    /// may not be what it was when the record was written.
    fn add(&self, entry: &Entry, lines: &mut Vec<u8>) -> io::Result<()> {
        use Operation as O;
        if !matches!(entry.operation, O::Create | O::Link | O::Rename) {
            return Ok(());
        }
        let Ok(name) = LogicName::parse(entry.name.as_bytes()) else { return Ok(()) };
        if name.store_path() != self.store_path {
            return Ok(());
        }
        let mut line = |operation: O, target: Extra| {
            let letter = char::from(operation as u8);
            let letter = if entry.replica { letter.to_ascii_lowercase() } else { letter };
            write!(lines, "{} {letter} {}", entry.time, entry.name)?;
            if let Extra::Name(target) = target {
                write!(lines, " {target}")?;
            }
            lines.write_all(b"\n")
        };
        if name.trunk_place().is_some() {
            return line(O::Create, Extra::Nothing);
        }
        let Ok(path) = self.engine.store.file(&name) else { return Ok(()) };
        match self.engine.disk.lstat(&path) {
            Ok(stat) if stat.is_file => line(O::Create, Extra::Nothing),
            Ok(stat) if stat.is_link => match self.engine.link_target(&name) {
                Some(target) => line(O::Link, Extra::Name(target)),
                None => Ok(()),
            },
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}
