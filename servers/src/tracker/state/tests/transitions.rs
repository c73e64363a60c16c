//! Each row of the storage status machine (spec 03 §D), and who may not change what.

use super::*;
use fdfs_core::protocol::cluster::{GroupStorage, IpChanged, StatusReport};
use fdfs_core::protocol::tracker::{Brief, GroupMember};

const IP: &str = "10.77.0.3";

/// A group of an active storage 10.77.0.2 (session 0) and one with this status (session 1).
fn with_status(status: StorageStatus) -> Cluster {
    let mut cluster = Cluster::new(|_| {}).with_storages("group1", 2, 2);
    cluster.set(status);
    cluster
}

impl Cluster {
    fn set(&mut self, status: StorageStatus) {
        let rule = self.state.rule();
        let group = self.state.group_mut(&"group1".try_into().unwrap()).unwrap();
        group.set_status(IP.as_bytes(), status, rule);
    }

    fn now_is(&self) -> StorageStatus {
        self.status_of("group1", IP)
    }

    fn report(&mut self, status: StorageStatus, ip: &str) {
        let storage = Brief {
            status: status.0,
            port: 0,
            id: ip.try_into().unwrap(),
            ip: ip.try_into().unwrap(),
        };
        let group = "group1".try_into().unwrap();
        self.call(0, Command::REPORT_STATUS, StatusReport { group, storage }).unwrap();
    }

    fn serving(&self) -> (usize, usize) {
        let group = &self.state.groups()[0];
        (group.readable.len(), group.writable.len())
    }
}

use StorageStatus as S;

const ALL: [StorageStatus; 9] = [
    S::INIT,
    S::WAIT_SYNC,
    S::SYNCING,
    S::IP_CHANGED,
    S::DELETED,
    S::OFFLINE,
    S::ONLINE,
    S::ACTIVE,
    S::RECOVERY,
];

#[test]
fn a_join_makes_unknown_storages_known() {
    for (init_flag, reported, then) in [
        (1, -1, S::INIT),
        (1, 7, S::INIT),
        (0, 0, S::INIT),
        (0, 7, S::ONLINE),
        (0, 5, S::ONLINE),
        (0, 9, S::ONLINE),
        (0, 1, S::WAIT_SYNC),
    ] {
        let mut cluster = Cluster::new(|_| {});
        let session = cluster.connect(IP);
        let joined = cluster.join(session, "group1", |join| {
            (join.init_flag, join.status) = (init_flag, reported);
        });
        assert_eq!(S(joined.unwrap().status), then, "{init_flag} {reported}");
    }
    for reported in [-1, 3, 4, 99] {
        let mut cluster = Cluster::new(|_| {});
        let session = cluster.connect(IP);
        let joined = cluster.join(session, "group1", |join| {
            (join.init_flag, join.status) = (0, reported);
        });
        assert_eq!(joined, Err(Status::EFAULT), "{reported}");
        assert!(cluster.state.groups().is_empty(), "no group is left behind");
    }
}

#[test]
fn a_join_brings_known_storages_back() {
    for (from, then) in [
        (S::DELETED, S::INIT),
        (S::IP_CHANGED, S::INIT),
        (S::OFFLINE, S::ONLINE),
        (S::RECOVERY, S::ONLINE),
        (S::WAIT_SYNC, S::WAIT_SYNC),
        (S::SYNCING, S::SYNCING),
    ] {
        let mut cluster = with_status(from);
        let session = cluster.connect(IP);
        let joined = cluster.join(session, "group1", |join| join.init_flag = 0).unwrap();
        assert_eq!(S(joined.status), then, "{from}");
    }
}

#[test]
fn beats_and_disk_reports_activate_but_sync_reports_do_not() {
    for from in ALL {
        let wakes = matches!(from, S::OFFLINE | S::ONLINE | S::RECOVERY | S::ACTIVE);
        let then = if wakes { S::ACTIVE } else { from };
        let mut cluster = with_status(from);
        cluster.beat(1);
        assert_eq!(cluster.now_is(), then, "beat of {from}");
        assert_eq!(cluster.serving().1, if wakes { 2 } else { 1 });
        let mut cluster = with_status(from);
        cluster.space(1, &[(1000, 100), (1000, 100)]);
        assert_eq!(cluster.now_is(), then, "disk report of {from}");
        let mut cluster = with_status(from);
        let source = "10.77.0.2".try_into().unwrap();
        cluster.call(1, Command::SYNC_REPORT, vec![SyncedUntil { source, timestamp: 5 }]).unwrap();
        assert_eq!(cluster.now_is(), from);
    }
}

#[test]
fn a_new_storage_is_given_a_source_or_trusted() {
    let empty = SyncSource { id: StorageId::EMPTY, until: 0 };
    for from in ALL {
        let waiting = matches!(from, S::INIT | S::WAIT_SYNC | S::SYNCING);
        let mut cluster = with_status(from);
        cluster.call(1, Command::SYNC_NOTIFY, empty.clone()).unwrap();
        assert_eq!(cluster.now_is(), if waiting { S::ONLINE } else { from }, "{from}");

        let mut cluster = with_status(from);
        let reply = cluster.call(1, Command::SYNC_DEST_REQ, ()).unwrap();
        assert_eq!(reply.len(), 24);
        assert_eq!(cluster.now_is(), S::WAIT_SYNC, "{from}");
        assert_eq!(cluster.serving(), (1, 1), "it must not serve without the old files");

        let mut cluster = with_status(from);
        cluster.state.groups[0].storage_mut(b"10.77.0.2").unwrap().status = S::DELETED;
        let reply = cluster.call(1, Command::SYNC_DEST_REQ, ()).unwrap();
        assert_eq!((reply.len(), cluster.now_is()), (0, S::ONLINE), "alone, from {from}");
    }
    // Somebody has the files, but cannot send them.
    let mut cluster = with_status(S::INIT);
    cluster.hang_up(0);
    assert_eq!(cluster.call(1, Command::SYNC_DEST_REQ, ()), Err(Status::ENOENT));
    assert_eq!(cluster.now_is(), S::INIT);
}

#[test]
fn a_notified_source_must_exist() {
    let notify = |ip: &str| SyncSource { id: ip.try_into().unwrap(), until: 77 };
    let mut cluster = with_status(S::INIT);
    assert_eq!(cluster.call(1, Command::SYNC_NOTIFY, notify("10.9.9.9")), Err(Status::ENOENT));
    assert_eq!(cluster.now_is(), S::INIT);
    cluster.call(1, Command::SYNC_NOTIFY, notify("10.77.0.2")).unwrap();
    assert_eq!(cluster.now_is(), S::WAIT_SYNC);
    let query = cluster.call(1, Command::SYNC_DEST_QUERY, ()).unwrap();
    assert_eq!(SyncSource::decode(&query).unwrap(), notify("10.77.0.2"));
    let to =
        |ip: &str| GroupStorage { group: "group1".try_into().unwrap(), id: ip.try_into().unwrap() };
    let source = cluster.call(0, Command::SYNC_SRC_REQ, to(IP)).unwrap();
    assert_eq!(SyncSource::decode(&source).unwrap().until, 77);
    assert!(cluster.call(0, Command::SYNC_SRC_REQ, to("10.77.0.2")).unwrap().is_empty());
    assert_eq!(cluster.call(0, Command::SYNC_SRC_REQ, to("10.9.9.9")), Err(Status::ENOENT));
    // A source that lost its own files is no source.
    cluster.state.groups[0].storage_mut(b"10.77.0.2").unwrap().status = S::INIT;
    assert!(cluster.call(0, Command::SYNC_SRC_REQ, to(IP)).unwrap().is_empty());
    assert!(cluster.call(1, Command::SYNC_DEST_QUERY, ()).unwrap().is_empty(), "forgotten");
    cluster.set(S::DELETED);
    assert_eq!(cluster.call(0, Command::SYNC_SRC_REQ, to(IP)), Err(Status::ENOENT));
}

#[test]
fn reported_statuses_only_rise_and_removed_storages_stay_removed() {
    for from in ALL {
        for reported in ALL.into_iter().chain([S::NONE, S(42)]) {
            let settled = matches!(from, S::INIT | S::ONLINE | S::ACTIVE | S::RECOVERY);
            let removes = reported.is_gone();
            let rises = reported > from && !from.is_gone() && reported <= S::RECOVERY;
            let then = if !settled && (removes || rises) { reported } else { from };
            let mut cluster = with_status(from);
            cluster.report(reported, IP);
            assert_eq!(cluster.now_is(), then, "{from} reported as {reported}");
        }
    }
    for (reported, is_added) in [
        (S::INIT, true),
        (S::SYNCING, true),
        (S::OFFLINE, true),
        (S::RECOVERY, true),
        (S::ONLINE, false),
        (S::ACTIVE, false),
        (S::DELETED, false),
        (S::IP_CHANGED, false),
        (S::NONE, false),
    ] {
        let mut cluster = with_status(S::ACTIVE);
        cluster.report(reported, "10.77.0.9");
        let count = cluster.state.groups()[0].storages.len();
        assert_eq!(count, if is_added { 3 } else { 2 }, "{reported}");
    }
}

#[test]
fn a_closed_connection_takes_only_its_own_storage_offline() {
    for from in ALL {
        let mut cluster = with_status(from);
        cluster.hang_up(1);
        assert_eq!(cluster.now_is(), if from.is_available() { S::OFFLINE } else { from }, "{from}");
        assert_eq!(cluster.state.groups()[0].storage(IP.as_bytes()).unwrap().up_time, 0);
        assert_eq!(cluster.serving(), (1, 1));
    }
    // It joined again before its dead connection was found out.
    let mut cluster = with_status(S::ACTIVE);
    let again = cluster.connect(IP);
    cluster.join(again, "group1", |join| join.init_flag = 0).unwrap();
    cluster.hang_up(1);
    assert_eq!(cluster.now_is(), S::ACTIVE);
    cluster.hang_up(again);
    assert_eq!(cluster.now_is(), S::OFFLINE);
}

#[test]
fn silence_takes_an_active_storage_offline_after_the_interval() {
    for from in ALL {
        let mut cluster = with_status(from);
        cluster.now = NOW + 100;
        cluster.state.tick(cluster.now);
        assert_eq!(cluster.now_is(), from);
        cluster.state.tick(NOW + 101);
        assert_eq!(cluster.now_is(), if from == S::ACTIVE { S::OFFLINE } else { from });
    }
}

#[test]
fn deletion_is_for_storages_that_do_not_serve() {
    let member = GroupMember { group: "group1".try_into().unwrap(), id: IP.try_into().unwrap() };
    for from in ALL {
        let mut cluster = with_status(from);
        let then = match from {
            S::INIT | S::WAIT_SYNC | S::SYNCING | S::OFFLINE => Ok(BytesMut::new()),
            S::DELETED => Err(Status::EALREADY),
            S::IP_CHANGED => Err(Status::ENOENT),
            _ => Err(Status::EBUSY),
        };
        cluster.state.groups[0].storages[0].sync_source = Some(IP.try_into().unwrap());
        assert_eq!(cluster.call(0, Command::DELETE_STORAGE, member.clone()), then, "{from}");
        assert_eq!(cluster.now_is(), if then.is_ok() { S::DELETED } else { from });
        assert_eq!(cluster.state.groups()[0].storages[0].sync_source.is_none(), then.is_ok());
    }
}

#[test]
fn a_new_address_takes_the_record_over() {
    let change = |new: &str| IpChanged {
        group: "group1".try_into().unwrap(),
        old_ip: IP.try_into().unwrap(),
        new_ip: new.try_into().unwrap(),
    };
    for from in ALL {
        let mut cluster = with_status(from);
        let session = cluster.connect("10.77.0.8");
        let command = Command::REPORT_IP_CHANGED;
        assert_eq!(cluster.call(session, command, change("10.77.0.7")), Err(Status::EINVAL));
        let taken = cluster.connect("10.77.0.2");
        let then = match from {
            S::DELETED => Err(Status::ENOENT),
            S::IP_CHANGED => Err(Status::EALREADY),
            S::ONLINE | S::ACTIVE | S::RECOVERY => Err(Status::EBUSY),
            _ => Ok(BytesMut::new()),
        };
        if then.is_ok() {
            assert_eq!(cluster.call(taken, command, change("10.77.0.2")), Err(Status::EEXIST));
        }
        let group = &mut cluster.state.groups[0];
        group.storage_mut(IP.as_bytes()).unwrap().join_time = 4711;
        group.trunk_server = Some(IP.try_into().unwrap());
        group.storages[0].sync_source = Some(IP.try_into().unwrap());
        assert_eq!(cluster.call(session, command, change("10.77.0.8")), then, "{from}");
        if then.is_err() {
            assert_eq!(cluster.now_is(), from);
            continue;
        }
        assert_eq!(cluster.now_is(), S::IP_CHANGED);
        assert_eq!(cluster.status_of("group1", "10.77.0.8"), from);
        let group = &cluster.state.groups()[0];
        assert_eq!(group.storage(b"10.77.0.8").unwrap().join_time, 4711);
        assert_eq!(group.trunk_server.unwrap().to_string(), "10.77.0.8");
        assert_eq!(group.storages[0].sync_source.unwrap().to_string(), "10.77.0.8");
        let line = format!("{NOW} group1 {IP} 3 10.77.0.8\n");
        assert_eq!(cluster.state.take_effects().changelog, line.as_bytes());
        assert_eq!(cluster.call(session, command, change("10.77.0.8")), Err(Status::EALREADY));
    }
}

#[test]
fn a_corrected_status_is_taken_unless_both_are_available() {
    for from in ALL {
        for wanted in ALL {
            let then = match wanted {
                _ if from == wanted || from.is_available() && wanted.is_available() => from,
                S::ONLINE | S::ACTIVE => S::OFFLINE,
                wanted => wanted,
            };
            let mut cluster = with_status(from);
            cluster.call(1, Command::CHANGE_STATUS, wanted.0).unwrap();
            assert_eq!(cluster.now_is(), then, "{from} corrected to {wanted}");
        }
    }
    let mut cluster = with_status(S::OFFLINE);
    for nonsense in [8, 42, 99] {
        let refused = cluster.call(1, Command::CHANGE_STATUS, nonsense);
        assert_eq!(refused, Err(Status::EINVAL), "{nonsense}");
    }
}

#[test]
fn only_a_follower_believes_lists_of_differences() {
    let brief = || {
        let (id, ip) = (IP.try_into().unwrap(), IP.try_into().unwrap());
        vec![Brief { status: S::OFFLINE.0, port: 23000, id, ip }]
    };
    let mut cluster = with_status(S::SYNCING);
    cluster.call(0, Command::REPLICA_CHANGE, brief()).unwrap();
    assert_eq!(cluster.now_is(), S::OFFLINE);
    cluster.set(S::SYNCING);
    cluster.state.tick(NOW);
    cluster.call(0, Command::REPLICA_CHANGE, brief()).unwrap();
    assert_eq!(cluster.now_is(), S::SYNCING, "the leader knows better");
}
