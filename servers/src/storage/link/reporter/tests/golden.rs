//! The original storages' requests, connection by connection.

use super::*;
use fdfs_core::protocol::cluster::SyncedUntil;
use std::collections::BTreeMap;

/// Requests of a trunk server, which this storage cannot be yet.
fn is_exempt(command: Command) -> bool {
    [Command::FETCH_TRUNK_FID, Command::REPORT_TRUNK_FID, Command::REPORT_TRUNK_FREE]
        .contains(&command)
}

/// A request and the reply to it.
struct Exchange {
    at: Duration,
    command: Command,
    body: Vec<u8>,
    reply: Result<Vec<u8>, Status>,
}

fn connections(recording: &str) -> BTreeMap<(String, u32), Vec<Exchange>> {
    let mut found: BTreeMap<(String, u32), Vec<Exchange>> = BTreeMap::new();
    let mut asker: BTreeMap<u32, String> = BTreeMap::new();
    for line in recording.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [t_ms, conn, from, _, kind, command, status, _, hex] = fields[..] else { panic!() };
        let byte = |at: usize| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap();
        let (body, conn): (Vec<u8>, u32) =
            ((0..hex.len() / 2).map(byte).collect(), conn.parse().unwrap());
        let (at, command) = (t_ms.parse::<f64>().unwrap(), Command(command.parse().unwrap()));
        let at = Duration::from_secs_f64(at / 1000.0);
        if kind == "req" {
            asker.insert(conn, from.to_owned());
            let exchange = Exchange { at, command, body, reply: Ok(Vec::new()) };
            found.entry((from.to_owned(), conn)).or_default().push(exchange);
        } else {
            let requests = found.get_mut(&(asker[&conn].clone(), conn)).unwrap();
            let status = Status(status.parse().unwrap());
            requests.last_mut().unwrap().reply =
                if status.is_ok() { Ok(body) } else { Err(status) };
        }
    }
    found
}

/// Gives the reporter the figures that the original had when it sent this request.
fn prepare(lab: &mut Lab, exchange: &Exchange) -> Vec<DiskSpace> {
    match exchange.command {
        Command::STORAGE_BEAT if !exchange.body.is_empty() => {
            lab.counters.changes += 1;
            lab.counters.stats = StorageStats::decode(&exchange.body).unwrap();
        }
        Command::SYNC_REPORT => {
            for entry in Vec::<SyncedUntil>::decode(&exchange.body).unwrap() {
                lab.shared.peers.note_synced(&entry.source, entry.timestamp);
            }
        }
        Command::REPORT_DISK_USAGE => return Vec::decode(&exchange.body).unwrap(),
        _ => {}
    }
    Vec::new()
}

/// Replays one storage's connection; returns how many requests were the same.
fn replay(exchanges: &[Exchange]) -> usize {
    let join = Join::decode(&exchanges[0].body).unwrap();
    let mut lab = Lab::new(1, |profile| {
        (profile.up_time, profile.follows_changelog) = (join.up_time, true);
        (profile.heart_beat_interval, profile.stat_report_interval) = (secs(5), secs(10));
    });
    lab.shared.trackers = vec!["10.77.0.1:22122".parse().unwrap()];
    lab.shared.change_flag(|flag| flag.join_time = join.join_time);
    lab.now = exchanges[0].at;
    assert_eq!(lab.step(0, Input::Woken), Action::Connect);
    let mut action = lab.step(0, Input::Connected { tracker_ip: [10, 77, 0, 1].into() });
    let mut spaces = Vec::new();
    for (at, exchange) in exchanges.iter().enumerate() {
        if let Action::Sleep { until } = action {
            // The original counts whole seconds, and its ticks drift.
            let late = exchange.at.saturating_sub(until);
            assert!(late < secs(8), "asleep until {until:?}, but {:?}", exchange.at);
            lab.now = exchange.at;
            spaces = prepare(&mut lab, exchange);
            action = lab.step(0, Input::Woken);
        }
        if action == Action::Measure {
            action = lab.step(0, Input::Measured(std::mem::take(&mut spaces)));
        }
        let Action::Send(request) = &action else {
            panic!("{at}: {:?} {} expected, not {action:?}", exchange.at, exchange.command)
        };
        assert_eq!(request.command, exchange.command, "{at}: {:?}", exchange.at);
        assert_eq!(request.body.0, exchange.body, "{at}: {}", exchange.command);
        // What is sent at once has its figures from before.
        if let Some(next) = exchanges.get(at + 1).filter(|next| next.at < exchange.at + TICK / 2) {
            spaces = prepare(&mut lab, next);
        }
        action = lab.step(0, Input::Reply(exchange.reply.as_deref().map_err(|status| *status)));
    }
    assert!(matches!(action, Action::Sleep { .. } | Action::Measure), "{action:?}");
    exchanges.len()
}

#[test]
fn the_originals_requests_are_sent_byte_by_byte() {
    for recording in [
        include_str!("../../../../../../tests/vectors/golden/frames-tracker.tsv"),
        include_str!("../../../../../../tests/vectors/golden/frames-tracker-trunk.tsv"),
    ] {
        let mut storages = 0;
        for ((from, _), mut exchanges) in connections(recording) {
            if !from.starts_with("storage") || exchanges[0].command != Command::STORAGE_JOIN {
                continue;
            }
            exchanges.retain(|exchange| !is_exempt(exchange.command));
            storages += 1;
            let same = replay(&exchanges);
            assert!(same > 15, "{from}: {same}");
        }
        assert_eq!(storages, 2);
    }
}
