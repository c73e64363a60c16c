//! The original tracker's answers, request by request, byte for byte once decoded. No reply is
//! exempt: the recordings hold none that only the original's own process could know.

use super::*;
use fdfs_core::protocol::cluster::GroupStorage;
use std::collections::HashMap;

/// A recording and what it does not say itself.
struct Recording {
    frames: &'static str,
    /// Unix milliseconds of its first frame, found by trying: within half a second all times in
    /// the replies come out right.
    start_ms: i64,
    /// Milliseconds after which the tracker had made itself the leader.
    leads_from_ms: i64,
}

const HOSTS: [(&str, &str); 3] =
    [("storage1", "10.77.0.2"), ("storage2", "10.77.0.3"), ("client", "10.77.0.4")];

fn bytes_of(hex: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap();
    (0..hex.len() / 2).map(byte).collect()
}

/// The number of replies compared, and those that differ.
fn replay(recording: &Recording, change: impl FnOnce(&mut TrackerConfig)) -> (usize, Vec<String>) {
    let mut cluster = Cluster::new(|c| {
        c.params.reserved_storage_space = Reserved::Ratio(0.01);
        change(c);
    });
    let mut sessions: HashMap<String, usize> = HashMap::new();
    let mut pending: HashMap<String, (Command, Result<BytesMut, Status>)> = HashMap::new();
    let (mut compared, mut differing, mut leads) = (0, Vec::new(), false);
    for line in recording.frames.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [t_ms, conn, from, _, kind, command, status, _, hex] = fields[..] else { panic!() };
        let (body, command) = (bytes_of(hex), Command(command.parse().unwrap()));
        let elapsed_ms: i64 = t_ms.split('.').next().unwrap().parse().unwrap();
        cluster.now = (recording.start_ms + elapsed_ms) / 1000;
        if !leads && elapsed_ms >= recording.leads_from_ms {
            leads = true;
            cluster.state.tick(cluster.now);
            // All trunk binlogs were empty.
            for poll in cluster.state.trunk_polls(cluster.now) {
                let sizes = vec![Some(0); poll.candidates.len()];
                let switch = cluster.state.trunk_polled(&poll, &sizes).unwrap();
                cluster.state.trunk_chosen(&switch).unwrap();
                let decision = GroupStorage { group: switch.group, id: switch.to.id };
                cluster.state.trunk_decided(&decision);
            }
        }
        if kind == "req" {
            let Some((_, ip)) = HOSTS.iter().find(|(name, _)| *name == from) else { continue };
            let session = *sessions.entry(conn.to_owned()).or_insert_with(|| cluster.connect(ip));
            if command == Command::QUIT {
                cluster.hang_up(session);
                continue;
            }
            pending.insert(conn.to_owned(), (command, cluster.raw(session, command, &body)));
        } else if let Some((command, ours)) = pending.remove(conn) {
            compared += 1;
            let theirs = match status {
                "0" => Ok(body),
                status => Err(Status(status.parse().unwrap())),
            };
            // Recoding drops the noise behind the original's texts.
            let recode = command.info().unwrap().recode_reply;
            let same = match (&ours, &theirs) {
                (Ok(ours), Ok(theirs)) => recode(ours).unwrap() == recode(theirs).unwrap(),
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

const PLAIN: Recording = Recording {
    frames: include_str!("../../../../../tests/vectors/golden/frames-tracker.tsv"),
    start_ms: 1_795_212_801_700,
    leads_from_ms: 3_800,
};

const TRUNK: Recording = Recording {
    frames: include_str!("../../../../../tests/vectors/golden/frames-tracker-trunk.tsv"),
    start_ms: 1_795_212_859_800,
    leads_from_ms: 2_999,
};

fn trunk_conf(config: &mut TrackerConfig) {
    config.store_server = StoreServer::First;
    config.params.use_trunk_file = true;
    config.params.slot_max_size = 1 << 20;
    config.params.trunk_alloc_alignment_size = 256;
    config.params.trunk_free_space_merge = true;
}

#[test]
fn the_plain_recording_is_answered_like_the_original() {
    let (compared, differing) = replay(&PLAIN, |_| {});
    assert!(compared > 70, "{compared}");
    assert!(differing.is_empty(), "of {compared}:\n{}", differing.join("\n"));
}

#[test]
fn the_trunk_recording_is_answered_like_the_original() {
    let (compared, differing) = replay(&TRUNK, trunk_conf);
    assert!(compared > 75, "{compared}");
    assert!(differing.is_empty(), "of {compared}:\n{}", differing.join("\n"));
}
