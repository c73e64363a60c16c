//! What peers give back after this machine has lost power: states of files that were uploaded here
//! and that change. What is here may be any of the last states, and so may be what a peer was sent.
//! The later one is to be the state of all. That cannot always be told; but one of them it is.

use super::METADATA_SUFFIX;
use super::reader::{BinlogReader, Entry, Next};
use crate::storage::binlog::{Operation, Position};
use crate::storage::disk::DiskFile;
use crate::storage::engine::Engine;
use crate::storage::ops::{Done, status};
use fdfs_core::protocol::Name;
use std::io;
use std::path::Path;

/// Bytes of both that are compared at a time.
const PIECE_LEN: usize = 64 << 10;

/// Whose state it is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Both are the same.
    Either,
    /// The peer's.
    Theirs,
    /// The one here, which changed last at this time.
    Ours(i64),
}

/// How the content here compares with the peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Likeness {
    Same,
    /// The peer's goes on where this one ends.
    Beginning,
    /// It is the other way round.
    Continuation,
    Different,
}

/// Decides between the file at `path` and the state of it that a peer has. That changed last at
/// `modified`; `None` when the peer has lost power, too, and may have less than its time says. The
/// caller holds the file's lock. May block.
pub(super) fn judge(
    engine: &Engine,
    name: &Name,
    path: &Path,
    theirs: &dyn DiskFile,
    modified: Option<i64>,
) -> Done<Verdict> {
    let here = match engine.disk.open_read(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let removed = |entry: &Entry, _| {
                entry.operation == Operation::Delete && Some(entry.time) >= modified
            };
            let was_removed = was_recorded(engine, name, removed)?;
            return Ok(if was_removed { Verdict::Either } else { Verdict::Theirs });
        }
        Err(error) => return Err(status(error)),
    };
    let stat = here.stat().map_err(status)?;
    let likeness = compare(&*here, theirs).map_err(status)?;
    let cut = |entry: &Entry, _| entry.operation == Operation::Truncate;
    let unsure_until = engine.unsure_until();
    let is_metadata = name.as_bytes().ends_with(METADATA_SUFFIX);
    // What was taken over from another peer is recorded as an update, as clients' metadata are.
    let by_client = |entry: &Entry, begin| {
        let is_own = !entry.replica && (is_metadata || entry.operation != Operation::Update);
        is_own && begin >= unsure_until
    };
    let is_theirs = match likeness {
        Likeness::Same => return Ok(Verdict::Either),
        // It was changed since the loss.
        _ if engine.is_unsure() && was_recorded(engine, name, by_client)? => false,
        _ if modified > Some(stat.modified) => true,
        // The disk may have got the time of a change and not its bytes. Metadata are written whole,
        // and never empty.
        Likeness::Beginning if is_metadata => stat.size == 0,
        Likeness::Beginning => !was_recorded(engine, name, cut)?,
        Likeness::Different => modified == Some(stat.modified),
        Likeness::Continuation => false,
    };
    tracing::info!(%name, ?likeness, theirs = ?modified, ours = stat.modified, is_theirs,
        "after a loss of power, a peer has another state of a file: the later one is kept");
    Ok(if is_theirs { Verdict::Theirs } else { Verdict::Ours(stat.modified) })
}

fn compare(here: &dyn DiskFile, there: &dyn DiskFile) -> io::Result<Likeness> {
    let (mut ours, mut theirs) = (vec![0; PIECE_LEN], vec![0; PIECE_LEN]);
    for offset in (0..).step_by(PIECE_LEN) {
        let (len, their_len) =
            (here.read_at(&mut ours, offset)?, there.read_at(&mut theirs, offset)?);
        let both = len.min(their_len);
        if ours.get(..both) != theirs.get(..both) {
            break;
        }
        match len.cmp(&their_len) {
            std::cmp::Ordering::Less => return Ok(Likeness::Beginning),
            std::cmp::Ordering::Greater => return Ok(Likeness::Continuation),
            std::cmp::Ordering::Equal if len < PIECE_LEN => return Ok(Likeness::Same),
            std::cmp::Ordering::Equal => {}
        }
    }
    Ok(Likeness::Different)
}

/// Whether one of the last records here is such a one of this file.
fn was_recorded(
    engine: &Engine,
    name: &Name,
    wanted: impl Fn(&Entry, Position) -> bool,
) -> Done<bool> {
    let look = || -> io::Result<bool> {
        let end = *engine.binlog.written().borrow();
        let mut reader = BinlogReader::tail(engine.binlog.dir(), end)?;
        loop {
            let begin = reader.position();
            match reader.next(end)? {
                Next::Entry(entry) if entry.name == *name && wanted(&entry, begin) => {
                    return Ok(true);
                }
                Next::Entry(_) | Next::Damaged(_) => {}
                // What is compressed is old.
                Next::Packed => reader.skip_packed()?,
                Next::End => return Ok(false),
            }
        }
    };
    look().map_err(status)
}
