//! What a storage asks the trackers before it can serve (spec 03 §A1).

use super::{connect, connect_options};
use crate::storage::config::StorageConfig;
use fdfs_core::config::{ClusterParams, IpClass, StorageIds, TrackerAddr};
use fdfs_core::protocol::cluster::IpChanged;
use fdfs_core::protocol::tracker::{
    FetchStorageIds, GetGroupName, GetMyIp, StorageAt, StorageIdLines,
};
use fdfs_core::protocol::{Command, Group, IpField, Status};
use fdfs_core::wire::{FixedStr, Rest, Text, Wire};
use std::io;
use std::time::Duration;

/// Pause between two rounds over all trackers.
const ROUND_PAUSE: Duration = Duration::from_secs(1);
/// Rounds after which an unanswered question is logged again.
const ROUNDS_PER_LOG: u32 = 30;
/// Requests that fetching the whole id table takes at most (spec 03 §A5).
const ID_REQUESTS_MAX: usize = 32;

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

/// Asks one tracker after the other, for ever, until one answers.
async fn ask<R: Wire>(config: &StorageConfig, command: Command, request: &impl Wire) -> R {
    let mut round: u32 = 0;
    loop {
        for tracker in &config.trackers {
            match ask_once(config, tracker, command, request).await {
                Ok(answer) => return answer,
                Err(error) if round.is_multiple_of(ROUNDS_PER_LOG) => {
                    tracing::warn!(%tracker, %error, "no answer from a tracker, trying on");
                }
                Err(_) => {}
            }
        }
        round = round.wrapping_add(1);
        tokio::time::sleep(ROUND_PAUSE).await;
    }
}

/// Asks one tracker on a connection of its own.
async fn ask_once<R: Wire>(
    config: &StorageConfig,
    tracker: &TrackerAddr,
    command: Command,
    request: &impl Wire,
) -> fdfs_core::Result<R> {
    let mut conn = connect(tracker, &connect_options(config)).await?;
    let answer = conn.call(command, request).await?;
    // The tracker closes without an answer; it need not wait for our side to.
    let _ = conn.start(Command::QUIT, 0, &[], 0).await;
    Ok(answer)
}

/// The addresses by which the trackers see this storage, at most two of different classes.
pub async fn ask_ips(
    config: &StorageConfig,
    group: &str,
    port: u16,
) -> Result<Vec<String>, StartupError> {
    let request = GetMyIp { group: FixedStr::truncated(group.as_bytes()), port: i32::from(port) };
    let mut ips: Vec<String> = Vec::new();
    for round in 0u32.. {
        let mut reached = false;
        for tracker in &config.trackers {
            let told = ask_once::<Text<100>>(config, tracker, Command::GET_MY_IP, &request);
            match told.await {
                Ok(told) => {
                    reached = true;
                    for ip in told.to_string().split(',').filter(|ip| !ip.is_empty()) {
                        if !ips.iter().any(|known| known == ip) {
                            ips.push(ip.to_owned());
                        }
                    }
                }
                Err(error) if round.is_multiple_of(ROUNDS_PER_LOG) => {
                    tracing::warn!(%tracker, %error, "cannot reach a tracker");
                }
                Err(_) => {}
            }
        }
        if reached {
            break;
        }
        tokio::time::sleep(ROUND_PAUSE).await;
    }
    match ips.as_slice() {
        [_] => Ok(ips),
        [a, b] if IpClass::of(a) != IpClass::of(b) => Ok(ips),
        _ => Err(StartupError::Refused(format!(
            "the trackers see this storage as {}: one address, or two of different classes",
            ips.join(", ")
        ))),
    }
}

/// The group, when the configuration names none.
pub async fn ask_group(config: &StorageConfig, port: u16) -> String {
    let request = GetGroupName { ip: Rest::default(), port: i32::from(port) };
    let group: Group = ask(config, Command::GET_GROUP_NAME, &request).await;
    group.to_string()
}

/// What all servers of the cluster agree on.
pub async fn ask_params(config: &StorageConfig) -> Result<ClusterParams, StartupError> {
    let text: Rest = ask(config, Command::PARAMETERS, &()).await;
    Ok(ClusterParams::parse(&String::from_utf8_lossy(&text.0))?)
}

/// The table of storage ids.
pub async fn ask_ids(config: &StorageConfig) -> Result<StorageIds, StartupError> {
    let (mut text, mut start) = (Vec::new(), 0);
    for _ in 0..ID_REQUESTS_MAX {
        let request = FetchStorageIds { start, allow_empty: 0 };
        let piece: StorageIdLines = ask(config, Command::FETCH_STORAGE_IDS, &request).await;
        text.extend_from_slice(&piece.lines.0);
        start += piece.count.max(0);
        if piece.count <= 0 || start >= piece.total {
            break;
        }
    }
    Ok(StorageIds::parse(&String::from_utf8_lossy(&text), &mut |_| Vec::new())?)
}

/// This storage's id by its address.
pub async fn ask_own_id(config: &StorageConfig, group: &str, ip: &str, port: u16) -> String {
    let addr = TrackerAddr { hosts: vec![ip.to_owned()], port };
    let request = StorageAt {
        group: FixedStr::truncated(group.as_bytes()),
        address: Text::new(addr.to_string().as_bytes()).unwrap_or_default(),
    };
    let id: Text<16> = ask(config, Command::GET_STORAGE_ID, &request).await;
    id.to_string()
}

/// Tells every tracker that this storage has a new address; one that knows is enough
/// (spec 03 §A15).
pub async fn report_ip(config: &StorageConfig, group: &str, old_ip: &str, new_ip: &str) {
    let request = IpChanged {
        group: FixedStr::truncated(group.as_bytes()),
        old_ip: IpField::truncated(old_ip.as_bytes()),
        new_ip: IpField::truncated(new_ip.as_bytes()),
    };
    let settled = [Status::EALREADY, Status::ENOENT, Status::EEXIST, Status::EBUSY];
    for tracker in &config.trackers {
        let told = ask_once::<()>(config, tracker, Command::REPORT_IP_CHANGED, &request).await;
        if let Err(error) = told
            && error.status().is_none_or(|status| !settled.contains(&status))
        {
            tracing::warn!(%tracker, %error, "cannot report the new address");
        }
    }
}
