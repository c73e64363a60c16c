//! What a storage asks the trackers before it can serve (spec 03 §A1).

use super::connect_options;
use crate::storage::config::StorageConfig;
use fdfs_core::config::{ClusterParams, IpClass, StorageIds, TrackerAddr};
use fdfs_core::net::Conn;
use fdfs_core::protocol::cluster::{GroupStorage, IpChanged};
use fdfs_core::protocol::tracker::{
    FetchStorageIds, GetGroupName, GetMyIp, StorageAt, StorageIdLines,
};
use fdfs_core::protocol::{Command, Group, IpField, Status, StorageId};
use fdfs_core::wire::{FixedStr, Rest, Text, Wire};
use std::io;
use std::time::Duration;

/// Pause between two rounds over all trackers.
const ROUND_PAUSE: Duration = Duration::from_secs(1);
/// Rounds after which an unanswered question is logged again.
const ROUNDS_PER_LOG: u32 = 30;
/// Rounds after which the table of ids must have come (spec 03 §A1).
const ID_ROUNDS: u32 = 5;
/// Requests that fetching the whole id table takes at most (spec 03 §A5).
const ID_REQUESTS_MAX: usize = 32;
/// Requests that reading what is new in a change log takes at most; each brings 8 KiB.
const CHANGELOG_REQUESTS_MAX: usize = 32;

/// Why a storage cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartupError {
    /// Files or sockets.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The configuration, or what the trackers say of it.
    #[error(transparent)]
    Config(#[from] fdfs_core::config::ConfigError),
    /// A tracker's answer.
    #[error("{0}")]
    Refused(String),
}

/// What one round over all trackers brought.
enum Round<R> {
    Answer(R),
    /// Every tracker that could be reached said no.
    Refused(Status),
    Unreached,
}

async fn round<R: Wire>(
    config: &StorageConfig,
    (command, request): (Command, &impl Wire),
    log: bool,
) -> Round<R> {
    let mut refused = None;
    for tracker in &config.trackers {
        match ask_once(config, tracker, command, request).await {
            Ok(answer) => return Round::Answer(answer),
            Err(error) => {
                if log {
                    tracing::warn!(%tracker, %error, "no answer from a tracker, trying on");
                }
                refused = error.status().or(refused);
            }
        }
    }
    refused.map_or(Round::Unreached, Round::Refused)
}

/// Asks one tracker after the other until one answers. What all that can be reached refuse is
/// final, unless `patient`.
async fn ask<R: Wire>(
    config: &StorageConfig,
    command: Command,
    request: &impl Wire,
    patient: bool,
) -> Result<R, Status> {
    for number in 0u32.. {
        let log = number.is_multiple_of(ROUNDS_PER_LOG);
        match round(config, (command, request), log).await {
            Round::Answer(answer) => return Ok(answer),
            Round::Refused(status) if !patient => return Err(status),
            _ => tokio::time::sleep(ROUND_PAUSE).await,
        }
    }
    Err(Status::ETIMEDOUT)
}

/// Asks one tracker on a connection of its own.
pub(super) async fn ask_once<R: Wire>(
    config: &StorageConfig,
    tracker: &TrackerAddr,
    command: Command,
    request: &impl Wire,
) -> fdfs_core::Result<R> {
    let mut conn = Conn::connect_tracker(tracker, &connect_options(config)).await?;
    let answer = conn.call(command, request).await?;
    leave(&mut conn).await;
    Ok(answer)
}

/// The tracker closes without an answer; nobody need wait for that.
async fn leave(conn: &mut Conn) {
    let _ = conn.start(Command::QUIT, 0, &[], 0).await;
}

/// The addresses by which the trackers see this storage, at most two of different classes, an
/// inner one first. One tracker that answers is enough.
pub async fn ask_ips(
    config: &StorageConfig,
    group: &str,
    port: u16,
) -> Result<Vec<String>, StartupError> {
    let request = GetMyIp { group: FixedStr::truncated(group.as_bytes()), port: i32::from(port) };
    let mut ips: Vec<String> = Vec::new();
    for round in 0u32.. {
        for tracker in &config.trackers {
            let told = ask_once::<Text<100>>(config, tracker, Command::GET_MY_IP, &request);
            match told.await {
                Ok(told) => {
                    for ip in told.to_string().split(',').filter(|ip| !ip.is_empty()) {
                        if !ips.iter().any(|known| known == ip) {
                            ips.push(ip.to_owned());
                        }
                    }
                }
                Err(error) if round.is_multiple_of(ROUNDS_PER_LOG) => {
                    tracing::warn!(%tracker, %error,
                        "cannot reach a tracker; the storage waits until one answers");
                }
                Err(_) => {}
            }
        }
        if !ips.is_empty() {
            break;
        }
        tokio::time::sleep(ROUND_PAUSE).await;
    }
    own_ips(ips)
}

fn own_ips(mut ips: Vec<String>) -> Result<Vec<String>, StartupError> {
    match ips.as_mut_slice() {
        [_] => Ok(ips),
        [a, b] if IpClass::of(a) != IpClass::of(b) => {
            if IpClass::of(a) == IpClass::Outer {
                std::mem::swap(a, b);
            }
            Ok(ips)
        }
        _ => Err(StartupError::Refused(format!(
            "the trackers see this storage as {}: one address, or two of different classes; set \
             bind_addr and client_bind=true to come from one",
            ips.join(", ")
        ))),
    }
}

/// The group, when the configuration names none.
pub async fn ask_group(config: &StorageConfig, port: u16) -> Result<String, StartupError> {
    let request = GetGroupName { ip: Rest::default(), port: i32::from(port) };
    let told: Result<Group, _> = ask(config, Command::GET_GROUP_NAME, &request, false).await;
    told.map(|group| group.to_string()).map_err(|status| {
        StartupError::Refused(format!(
            "group_name is missing, and the trackers know no group for this address and port \
             {port} (status {status:#})"
        ))
    })
}

/// What all servers of the cluster agree on.
pub async fn ask_params(config: &StorageConfig) -> Result<ClusterParams, StartupError> {
    let told: Result<Rest, _> = ask(config, Command::PARAMETERS, &(), true).await;
    let text = told.map_err(|status| StartupError::Refused(format!("no parameters: {status}")))?;
    Ok(ClusterParams::parse(&String::from_utf8_lossy(&text.0))?)
}

/// The table of storage ids.
pub async fn ask_ids(config: &StorageConfig) -> Result<StorageIds, StartupError> {
    let mut failed = None;
    for _ in 0..ID_ROUNDS {
        for tracker in &config.trackers {
            match fetch_ids(config, tracker).await {
                Ok(text) => return Ok(StorageIds::parse(&text, &mut |_| Vec::new())?),
                Err(error) => failed = Some(error),
            }
        }
        tokio::time::sleep(ROUND_PAUSE).await;
    }
    let why = failed.map(|error| error.to_string()).unwrap_or_default();
    Err(StartupError::Refused(format!("no tracker sends the storage ids: {why}")))
}

/// The whole table from one tracker: pieces of two might not fit together.
async fn fetch_ids(config: &StorageConfig, tracker: &TrackerAddr) -> fdfs_core::Result<String> {
    let mut conn = Conn::connect_tracker(tracker, &connect_options(config)).await?;
    let (mut text, mut start) = (Vec::new(), 0i32);
    for _ in 0..ID_REQUESTS_MAX {
        let request = FetchStorageIds { start, allow_empty: 0 };
        let piece: StorageIdLines = conn.call(Command::FETCH_STORAGE_IDS, &request).await?;
        text.extend_from_slice(&piece.lines.0);
        start = start.saturating_add(piece.count.max(0));
        if piece.count <= 0 || start >= piece.total {
            break;
        }
    }
    leave(&mut conn).await;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The id of the storage at this address; `None` when the trackers know none.
pub async fn ask_id(
    config: &StorageConfig,
    group: &str,
    ip: &str,
    port: u16,
) -> Result<Option<String>, StartupError> {
    let addr = TrackerAddr { hosts: vec![ip.to_owned()], port };
    let request = StorageAt {
        group: FixedStr::truncated(group.as_bytes()),
        address: Text::new(addr.to_string().as_bytes()).unwrap_or_default(),
    };
    let told: Result<Text<16>, _> = ask(config, Command::GET_STORAGE_ID, &request, false).await;
    match told {
        Ok(id) => Ok(Some(id.to_string())),
        Err(Status::ENOENT) => Ok(None),
        Err(status) => Err(StartupError::Refused(format!(
            "the trackers refuse to tell the id of {addr} in group {group}: status {status:#}"
        ))),
    }
}

/// Tells every tracker that this storage has a new address, until one has heard it, and reads what
/// the change log holds for it (spec 03 §A15).
pub async fn report_ip(
    config: &StorageConfig,
    group: Group,
    old_ip: &str,
    new_ip: &str,
) -> Vec<Vec<u8>> {
    let request = IpChanged {
        group,
        old_ip: IpField::truncated(old_ip.as_bytes()),
        new_ip: IpField::truncated(new_ip.as_bytes()),
    };
    let settled = [Status::EALREADY, Status::ENOENT, Status::EEXIST, Status::EBUSY];
    for round in 0u32.. {
        let mut heard = false;
        for tracker in &config.trackers {
            match ask_once::<()>(config, tracker, Command::REPORT_IP_CHANGED, &request).await {
                Ok(()) => heard = true,
                Err(error) if error.status().is_some_and(|s| settled.contains(&s)) => heard = true,
                Err(error) if round.is_multiple_of(ROUNDS_PER_LOG) => {
                    tracing::warn!(%tracker, %error, "cannot report the new address");
                }
                Err(_) => {}
            }
        }
        if heard {
            break;
        }
        tokio::time::sleep(ROUND_PAUSE).await;
    }
    read_changelogs(config, group, StorageId::truncated(new_ip.as_bytes())).await
}

/// What is new in the change log of each tracker for this storage. A tracker sends a line once.
pub(super) async fn read_changelogs(
    config: &StorageConfig,
    group: Group,
    id: StorageId,
) -> Vec<Vec<u8>> {
    let me = Some(GroupStorage { group, id });
    let mut logs = Vec::new();
    for tracker in &config.trackers {
        let mut log = Vec::new();
        for _ in 0..CHANGELOG_REQUESTS_MAX {
            let told = ask_once::<Rest>(config, tracker, Command::CHANGELOG, &me).await;
            match told {
                Ok(piece) if !piece.0.is_empty() => log.extend_from_slice(&piece.0),
                _ => break,
            }
        }
        logs.push(log);
    }
    logs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_own_addresses_must_differ_in_class_and_the_inner_one_stands_first() {
        let own = |ips: &[&str]| own_ips(ips.iter().map(|ip| (*ip).to_owned()).collect());
        assert_eq!(own(&["10.0.0.21"]).unwrap(), ["10.0.0.21"]);
        assert_eq!(own(&["8.8.8.81", "10.0.0.21"]).unwrap(), ["10.0.0.21", "8.8.8.81"]);
        assert_eq!(own(&["10.0.0.21", "8.8.8.81"]).unwrap(), ["10.0.0.21", "8.8.8.81"]);
        for bad in [&["10.0.0.21", "10.0.0.22"][..], &["10.0.0.21", "8.8.8.81", "192.168.0.1"]] {
            assert!(own(bad).unwrap_err().to_string().contains("bind_addr"), "{bad:?}");
        }
    }
}
