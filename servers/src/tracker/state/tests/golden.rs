//! The original tracker's answers, request by request.
#![allow(clippy::cast_possible_truncation)]

use super::*;
use std::collections::HashMap;

/// Counters and times that only the original's own process could know, and answers about other
/// trackers' votes.
fn is_exempt(command: Command) -> bool {
    matches!(command, Command::TRACKER_CLUSTER_STAT)
}

fn replay(recording: &str, change: impl FnOnce(&mut TrackerConfig)) -> (usize, Vec<String>) {
    let mut cluster = Cluster::new(change);
    let mut sessions: HashMap<String, usize> = HashMap::new();
    let mut pending: HashMap<String, (Command, Result<BytesMut, Status>)> = HashMap::new();
    let (mut compared, mut differing) = (0, Vec::new());
    let mut elected = false;
    let ips = [("storage1", "10.77.0.2"), ("storage2", "10.77.0.3"), ("client", "10.77.0.4")];
    for line in recording.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [t_ms, conn, from, _, kind, command, status, _, hex] = fields[..] else { panic!() };
        let body: Vec<u8> = (0..hex.len() / 2)
            .map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap())
            .collect();
        let command = Command(command.parse().unwrap());
        if kind == "req" {
            let Some((_, ip)) = ips.iter().find(|(name, _)| *name == from) else { continue };
            let session = match sessions.get(conn) {
                Some(session) => *session,
                None => cluster.connect(ip),
            };
            sessions.insert(conn.to_owned(), session);
            if command == Command::QUIT {
                let session = cluster.sessions[session].clone();
                cluster.state.disconnected(&session);
                continue;
            }
            // The cluster was started at this second, and elected its tracker a second later.
            cluster.now = 1_795_212_802 + t_ms.parse::<f64>().unwrap() as i64 / 1000 - 2;
            if !elected && t_ms.parse::<f64>().unwrap() > 3800.0 {
                elected = true;
                cluster.state.tick(cluster.now);
            }
            pending.insert(conn.to_owned(), (command, cluster.raw(session, command, &body)));
        } else if let Some((command, ours)) = pending.remove(conn) {
            if is_exempt(command) {
                continue;
            }
            compared += 1;
            let theirs = match status {
                "0" => Ok(body),
                status => Err(Status(status.parse().unwrap())),
            };
            let same = match (&ours, &theirs) {
                (Ok(ours), Ok(theirs)) => same_reply(command, ours, theirs),
                (Err(ours), Err(theirs)) => ours == theirs,
                _ => false,
            };
            if !same {
                differing.push(format!("{t_ms} {command}: {ours:02x?} not {theirs:02x?}"));
            }
        }
    }
    (compared, differing)
}

/// Compares what is decoded, without times of heart beats (they depend on the millisecond).
fn same_reply(command: Command, ours: &[u8], theirs: &[u8]) -> bool {
    if command == Command::LIST_STORAGES {
        let stats = |bytes| {
            let mut list = t::StorageList::decode(bytes).unwrap();
            for storage in &mut list.storages {
                storage.stats.last_heart_beat_time = 0;
            }
            list
        };
        return stats(ours) == stats(theirs);
    }
    if command == Command::SYNC_DEST_REQ || command == Command::SYNC_SRC_REQ {
        let source = |bytes| Option::<SyncSource>::decode(bytes).unwrap().map(|source| source.id);
        return source(ours) == source(theirs);
    }
    let recode = command.info().unwrap().recode_reply;
    recode(ours) == recode(theirs)
}

#[test]
fn the_plain_recording_is_answered_like_the_original() {
    let recording = include_str!("../../../../../tests/vectors/golden/frames-tracker.tsv");
    let (compared, differing) = replay(recording, |c| {
        c.params.reserved_storage_space = Reserved::Ratio(0.01);
    });
    assert!(compared > 60, "{compared}");
    assert!(differing.is_empty(), "of {compared}:\n{}", differing.join("\n"));
}
