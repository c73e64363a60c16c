//! Copying the state files of a tracker that knows more (spec 03 §B7).

use super::link::connect;
use crate::tracker::config::secs;
use crate::tracker::shared::{Shared, unix_now};
use crate::tracker::state::Session;
use fdfs_core::config::TrackerAddr;
use fdfs_core::net::Conn;
use fdfs_core::protocol::cluster::{GetSysFile, Join, SysFilePiece};
use fdfs_core::protocol::tracker::TrackerStatus;
use fdfs_core::protocol::{Command, Status};
use fdfs_core::wire::Wire as _;
use fdfs_core::{Error, ErrorKind, Result};
use std::time::Duration;

/// Bytes of one state file at most: a million lines of the change log.
const FILE_LEN_MAX: usize = 64 << 20;
/// Time away after which another tracker may know more.
const AWAY_MAX: Duration = Duration::from_secs(600);
/// How long all of it may take before the storage is told to come again.
const COPY_TIME_MAX: Duration = Duration::from_secs(30);

/// Copies what another tracker knows, when this one knows nothing or was away for long: before a
/// storage joins, because its join tells who the others are. A storage that must wait for it is told
/// to come again.
pub(in crate::tracker) async fn copy_before_join(
    shared: &Shared,
    session: &Session,
    body: &[u8],
) -> std::result::Result<(), Status> {
    if !shared.lock().may_know_too_little(secs(AWAY_MAX)) {
        return Ok(());
    }
    // What is wrong with the join is told by who handles it.
    let Ok(join) = Join::decode(body) else { return Ok(()) };
    let lines = join.trackers.iter().filter_map(|line| line.as_str());
    let listed = lines.filter_map(|line| line.parse::<TrackerAddr>().ok());
    let others: Vec<TrackerAddr> = {
        let state = shared.lock();
        listed.filter(|tracker| !state.would_be_me(tracker, session, &join)).collect()
    };
    let _one_at_a_time = shared.others.copying.lock().await;
    if !shared.lock().may_know_too_little(secs(AWAY_MAX)) {
        return Ok(());
    }
    let copying = copy_from_best(shared, &others);
    match tokio::time::timeout(COPY_TIME_MAX, copying).await {
        Ok(Ok(copied)) => {
            shared.lock().asked_others(copied);
            Ok(())
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "cannot copy what another tracker knows, trying again");
            Err(Status::EAGAIN)
        }
        Err(_) => Err(Status::EAGAIN),
    }
}

/// Whether anything was copied: nothing is when nobody knows more.
async fn copy_from_best(shared: &Shared, others: &[TrackerAddr]) -> Result<bool> {
    let (own, knows_nothing) = {
        let state = shared.lock();
        (TrackerStatus { is_leader: 0, ..state.own_status(unix_now()) }, state.groups().is_empty())
    };
    let rank = |status: &TrackerStatus| {
        (status.is_leader, status.running_secs, -status.restart_interval_secs)
    };
    let mut best: Option<(TrackerStatus, Conn)> = None;
    for addr in others {
        // A tracker that is away cannot keep this one from working.
        let Ok(mut conn) = connect(shared, addr).await else { continue };
        match conn.call::<TrackerStatus>(Command::TRACKER_STATUS, &()).await {
            Ok(status) if best.as_ref().is_none_or(|(best, _)| rank(&status) > rank(best)) => {
                best = Some((status, conn));
            }
            Ok(_) => {}
            Err(error) if error.status() == Some(Status::ENOENT) => {}
            Err(error) => return Err(error),
        }
    }
    let Some((status, mut conn)) = best else { return Ok(false) };
    if !knows_nothing && rank(&status) <= rank(&own) {
        return Ok(false);
    }
    match conn.call::<()>(Command::GET_SYS_FILES_START, &()).await {
        // It has lost its last group since.
        Err(error) if error.status() == Some(Status::ENOENT) => return Ok(false),
        begun => begun?,
    }
    let mut files: [Vec<u8>; 4] = Default::default();
    for (index, file) in (0u8..).zip(&mut files) {
        *file = fetch(&mut conn, index).await?;
    }
    conn.call::<()>(Command::GET_SYS_FILES_END, &()).await?;
    let adopted = shared.adopt(&files);
    adopted.map_err(|error| Error::new(ErrorKind::LocalIo, "saving").with_source(error))?;
    tracing::info!(from = conn.peer(), "copied what another tracker knows");
    Ok(true)
}

async fn fetch(conn: &mut Conn, index: u8) -> Result<Vec<u8>> {
    let mut file = Vec::new();
    loop {
        let offset = i64::try_from(file.len()).unwrap_or(i64::MAX);
        let request = GetSysFile { index, offset };
        let piece: SysFilePiece = conn.call(Command::GET_ONE_SYS_FILE, &request).await?;
        let size = usize::try_from(piece.size).unwrap_or(usize::MAX);
        let wrong = size > FILE_LEN_MAX || (piece.data.0.is_empty() && file.len() < size);
        if wrong {
            let text = format!("state file {index} of {}: {size} bytes announced", conn.peer());
            return Err(Error::new(ErrorKind::Protocol, text));
        }
        file.extend_from_slice(&piece.data.0);
        if file.len() >= size {
            file.truncate(size);
            return Ok(file);
        }
    }
}
