//! How far each peer has been brought, for those who look after the group.

use super::batch::is_for;
use super::mark::Mark;
use super::reader::{BinlogReader, Next};
use crate::storage::binlog::{Position, file_len};
use crate::storage::engine::Engine;
use fdfs_core::protocol::replication::{PeerProgress, ReplicationStatus, SenderState};
use fdfs_core::protocol::tracker::Brief;
use fdfs_core::protocol::{StorageId, StorageStatus};
use fdfs_core::wire::FixedStr;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of the binlog that are looked through to count what a peer lacks; of the rest the number of
/// records is estimated.
const COUNTED_LEN_MAX: u64 = 4 << 20;

/// What the sender to a peer last said of itself.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    pub(super) peer: Brief,
    pub(super) state: SenderState,
    /// Unix seconds.
    pub(super) state_since: i64,
    pub(super) mark: Mark,
    pub(super) damaged: u64,
    failures: u64,
    failed_at: i64,
    error: String,
}

impl Progress {
    /// Notes why sending was interrupted.
    pub(super) fn fail(&mut self, now: i64, error: &fdfs_core::Error) {
        self.failures += 1;
        self.failed_at = now;
        self.error = error.to_string();
    }
}

/// What all senders last said of themselves.
#[derive(Debug, Default)]
pub(in crate::storage) struct Board {
    peers: Mutex<BTreeMap<StorageId, Progress>>,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<StorageId, Progress>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is known of a peer; what is not known yet begins at the binlog's beginning.
    pub(super) fn note(&self, id: StorageId, change: impl FnOnce(&mut Progress)) {
        let mut peers = self.lock();
        let progress = peers.entry(id).or_insert_with(|| Progress {
            peer: Brief { status: StorageStatus::NONE.0, port: 0, id, ip: FixedStr::EMPTY },
            state: SenderState::WAITING,
            state_since: 0,
            mark: Mark::default(),
            damaged: 0,
            failures: 0,
            failed_at: 0,
            error: String::new(),
        });
        change(progress);
    }

    /// The first binlog file that a peer has yet to read; `None` without peers.
    pub(in crate::storage) fn first_needed(&self) -> Option<u32> {
        self.lock().values().map(|progress| progress.mark.position.index).min()
    }

    /// Nothing is sent to the peer any more.
    pub(super) fn forget(&self, id: &StorageId) {
        self.lock().remove(id);
    }
}

/// What a peer lacks of the binlog.
#[derive(Debug, Default, PartialEq, Eq)]
struct Lag {
    /// Unknown when none could be looked at.
    records: Option<u64>,
    bytes: u64,
    /// Age of the oldest record; unknown when no record was found yet and not all was looked at.
    secs: Option<u64>,
    is_estimate: bool,
}

/// How far all peers have been brought. Looks into the binlog, away from the caller's thread.
pub(in crate::storage) async fn status(engine: &Arc<Engine>) -> ReplicationStatus {
    let known = engine.board.lock().clone();
    let for_work = engine.clone();
    let measuring = move || {
        let now = for_work.now();
        let end = *for_work.binlog.written().borrow();
        let dir = for_work.binlog.dir();
        let measure = |progress: Progress| {
            let lag = lag(dir, &progress.mark, end, now);
            report(progress, lag)
        };
        (now, known.into_values().map(measure).collect())
    };
    let (now, peers) = engine.records_lane.run_long(measuring).await;
    let damaged_arrivals = number(engine.arrivals.damaged());
    ReplicationStatus { now, damaged_arrivals, peers }
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn report(progress: Progress, lag: io::Result<Lag>) -> PeerProgress {
    let Progress { peer, mark, .. } = progress;
    let (lag_records, lag_bytes, lag_secs, is_estimate) = match lag {
        Ok(lag) => {
            let (records, secs) = (lag.records.map_or(-1, number), lag.secs.map_or(-1, number));
            (records, number(lag.bytes), secs, lag.is_estimate)
        }
        Err(error) => {
            tracing::warn!(peer = %peer.id, %error, "cannot measure what a peer lacks");
            (-1, -1, -1, true)
        }
    };
    PeerProgress {
        id: peer.id,
        ip: peer.ip,
        port: peer.port,
        status: peer.status,
        state: progress.state.0,
        state_since: progress.state_since,
        lag_records,
        lag_bytes,
        lag_secs,
        is_estimate: u8::from(is_estimate),
        binlog_index: i32::try_from(mark.position.index).unwrap_or(i32::MAX),
        binlog_offset: number(mark.position.offset),
        scanned: number(mark.scanned),
        sent: number(mark.sent),
        damaged: number(progress.damaged),
        failures: number(progress.failures),
        failed_at: progress.failed_at,
        error: FixedStr::truncated(progress.error.as_bytes()),
    }
}

/// Counts what the peer of this mark lacks.
fn lag(dir: &Path, mark: &Mark, end: Position, now: i64) -> io::Result<Lag> {
    let mut lag = Lag { bytes: distance(dir, mark.position, end)?, ..Lag::default() };
    let mut reader = BinlogReader::new(dir, mark.position)?;
    let (mut oldest, mut records, mut counted) = (None, 0, 0u64);
    let is_whole = loop {
        let before = reader.position();
        match reader.next(end)? {
            Next::End => break true,
            // To look at it is no reason to unpack it.
            Next::Packed => break false,
            Next::Damaged(_) => {}
            Next::Entry(entry) if is_for(mark, &entry) => {
                oldest.get_or_insert(entry.time);
                records += 1;
            }
            Next::Entry(_) => {}
        }
        if before.index == reader.position().index {
            counted += reader.position().offset - before.offset;
        }
        if counted >= COUNTED_LEN_MAX {
            break reader.position() >= end;
        }
    };
    lag.is_estimate = !is_whole;
    lag.records = match is_whole {
        true => Some(records),
        false => {
            let all = u128::from(records) * u128::from(lag.bytes);
            all.checked_div(counted.into()).map(|all| u64::try_from(all).unwrap_or(u64::MAX))
        }
    };
    lag.secs = match oldest {
        Some(time) => Some(u64::try_from(now - time).unwrap_or(0)),
        None => is_whole.then_some(0),
    };
    Ok(lag)
}

/// Bytes of the binlog between two places.
fn distance(dir: &Path, from: Position, to: Position) -> io::Result<u64> {
    if from.index >= to.index {
        return Ok(if from.index == to.index { to.offset.saturating_sub(from.offset) } else { 0 });
    }
    let mut bytes = to.offset;
    for index in from.index..to.index {
        bytes += file_len(dir, index)?.unwrap_or(0);
    }
    Ok(bytes.saturating_sub(from.offset))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::binlog::file_path;

    fn at(index: u32, offset: u64) -> Position {
        Position { index, offset }
    }

    #[test]
    fn what_a_peer_lacks_is_counted_in_records_bytes_and_seconds() {
        let dir = tempfile::tempdir().unwrap();
        let lines = ["100 C a\n", "110 c b\n", "junk\n", "120 D a\n"];
        std::fs::write(file_path(dir.path(), 0), lines.concat()).unwrap();
        std::fs::write(file_path(dir.path(), 1), "130 C d\n").unwrap();
        let end = at(1, 8);
        let measure = |position, need_sync_old| {
            let mark = Mark { position, need_sync_old, until: 200, ..Mark::default() };
            lag(dir.path(), &mark, end, 150).unwrap()
        };
        let known = |records, bytes, secs| Lag {
            records: Some(records),
            bytes,
            secs: Some(secs),
            is_estimate: false,
        };
        assert_eq!(measure(at(0, 0), false), known(3, 37, 50));
        assert_eq!(measure(at(0, 0), true), known(4, 37, 50), "who fills it sends replicas, too");
        assert_eq!(measure(at(0, 8), false), known(2, 29, 30));
        assert_eq!(measure(at(1, 0), false), known(1, 8, 20));
        assert_eq!(measure(end, false), known(0, 0, 0));
    }

    #[test]
    fn of_a_long_binlog_a_part_is_counted_and_the_rest_estimated() {
        let dir = tempfile::tempdir().unwrap();
        let line = "100 C M00/00/00/abcdefghijklmnopqrstuvwxyz\n";
        let count = 2 * usize::try_from(COUNTED_LEN_MAX).unwrap() / line.len();
        std::fs::write(file_path(dir.path(), 0), line.repeat(count)).unwrap();
        let len = (line.len() * count) as u64;
        let lag = lag(dir.path(), &Mark::default(), at(0, len), 150).unwrap();
        assert_eq!((lag.bytes, lag.secs, lag.is_estimate), (len, Some(50), true));
        assert_eq!(lag.records, Some(count as u64), "all lines are alike");
    }

    #[test]
    fn what_is_compressed_is_measured_but_not_counted() {
        use std::io::Write as _;
        let dir = tempfile::tempdir().unwrap();
        let file = std::fs::File::create(dir.path().join("binlog.000.gz")).unwrap();
        let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        encoder.write_all(b"100 C a\n110 C b\n").unwrap();
        encoder.finish().unwrap();
        std::fs::write(file_path(dir.path(), 1), "130 C d\n").unwrap();
        let lag = lag(dir.path(), &Mark::default(), at(1, 8), 150).unwrap();
        assert_eq!(lag, Lag { records: None, bytes: 24, secs: None, is_estimate: true });
    }
}
