//! What a storage asks the trackers before it can serve (spec 03 §A1).

use super::{connect, connect_options};
use crate::storage::config::StorageConfig;
use fdfs_core::config::{ClusterParams, IpClass, StorageIds, TrackerAddr};
use fdfs_core::net::Conn;
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
async fn ask<T>(
    config: &StorageConfig,
    what: &str,
    question: impl AsyncFn(&mut Conn) -> fdfs_core::Result<T>,
) -> T {
    let options = connect_options(config);
    for round in 0u32.. {
        for tracker in &config.trackers {
            let answer = async {
                let mut conn = connect(tracker, &options).await?;
                let answer = question(&mut conn).await?;
                // The tracker closes without an answer; it need not wait for our side to.
                let _ = conn.start(Command::QUIT, 0, &[], 0).await;
                Ok::<T, fdfs_core::Error>(answer)
            };
            match answer.await {
                Ok(answer) => return answer,
                Err(error) if round % ROUNDS_PER_LOG == 0 => {
                    tracing::warn!(%tracker, %error, "no {what} from a tracker, trying on");
                }
                Err(_) => {}
            }
        }
        tokio::time::sleep(ROUND_PAUSE).await;
    }
    unreachable!("the rounds do not end")
}

/// The addresses by which the trackers see this storage, at most two of different classes.
pub async fn ask_ips(
    config: &StorageConfig,
    group: &str,
    port: u16,
) -> Result<Vec<String>, StartupError> {
    let options = connect_options(config);
    let request = GetMyIp { group: FixedStr::truncated(group.as_bytes()), port: i32::from(port) };
    let mut ips: Vec<String> = Vec::new();
    for round in 0u32.. {
        let mut reached = false;
        for tracker in &config.trackers {
            let told = async {
                let mut conn = connect(tracker, &options).await?;
                let told: Text<100> = conn.call(Command::GET_MY_IP, &request).await?;
                let _ = conn.start(Command::QUIT, 0, &[], 0).await;
                Ok::<_, fdfs_core::Error>(told)
            };
            match told.await {
                Ok(told) => {
                    reached = true;
                    for ip in told.to_string().split(',').filter(|ip| !ip.is_empty()) {
                        if !ips.iter().any(|known| known == ip) {
                            ips.push(ip.to_owned());
                        }
                    }
                }
                Err(error) if round % ROUNDS_PER_LOG == 0 => {
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
    let question = async |conn: &mut Conn| {
        let group: Group = conn.call(Command::GET_GROUP_NAME, &request).await?;
        Ok(group.to_string())
    };
    ask(config, "group name", question).await
}

/// What all servers of the cluster agree on.
pub async fn ask_params(config: &StorageConfig) -> Result<ClusterParams, StartupError> {
    let question = async |conn: &mut Conn| conn.call::<Rest>(Command::PARAMETERS, &()).await;
    let text = ask(config, "parameters", question).await;
    Ok(ClusterParams::parse(&String::from_utf8_lossy(&text.0))?)
}

/// The table of storage ids.
pub async fn ask_ids(config: &StorageConfig) -> Result<StorageIds, StartupError> {
    let question = async |conn: &mut Conn| {
        let mut text = Vec::new();
        let mut start = 0;
        for _ in 0..ID_REQUESTS_MAX {
            let request = FetchStorageIds { start, allow_empty: 0 };
            let piece: StorageIdLines = conn.call(Command::FETCH_STORAGE_IDS, &request).await?;
            text.extend_from_slice(&piece.lines.0);
            start += piece.count.max(0);
            if piece.count <= 0 || start >= piece.total {
                break;
            }
        }
        Ok(text)
    };
    let text = ask(config, "storage ids", question).await;
    Ok(StorageIds::parse(&String::from_utf8_lossy(&text), &mut |_| Vec::new())?)
}

/// This storage's id by its address.
pub async fn ask_own_id(config: &StorageConfig, group: &str, ip: &str, port: u16) -> String {
    let addr = TrackerAddr { hosts: vec![ip.to_owned()], port };
    let request = StorageAt {
        group: FixedStr::truncated(group.as_bytes()),
        address: Text::new(addr.to_string().as_bytes()).unwrap_or_default(),
    };
    let question = async |conn: &mut Conn| {
        let id: Text<16> = conn.call(Command::GET_STORAGE_ID, &request).await?;
        Ok(id.to_string())
    };
    ask(config, "storage id", question).await
}

/// Tells every tracker that this storage has a new address; one that knows is enough
/// (spec 03 §A15).
pub async fn report_ip(config: &StorageConfig, group: &str, old_ip: &str, new_ip: &str) {
    let request = IpChanged {
        group: FixedStr::truncated(group.as_bytes()),
        old_ip: IpField::truncated(old_ip.as_bytes()),
        new_ip: IpField::truncated(new_ip.as_bytes()),
    };
    let body = request.encode();
    let question = async |conn: &mut Conn| {
        let settled = [Status::EALREADY, Status::ENOENT, Status::EEXIST, Status::EBUSY];
        match conn.call::<()>(Command::REPORT_IP_CHANGED, &Rest(body.to_vec())).await {
            Err(error) if error.status().is_some_and(|s| settled.contains(&s)) => Ok(()),
            done => done,
        }
    };
    let options = connect_options(config);
    for tracker in &config.trackers {
        if let Ok(mut conn) = connect(tracker, &options).await
            && let Err(error) = question(&mut conn).await
        {
            tracing::warn!(%tracker, %error, "cannot report the new address");
        }
    }
}
