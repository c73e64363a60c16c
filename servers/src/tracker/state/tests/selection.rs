//! Rules of choosing servers (spec 01 §7.1, §7.2) beyond the common ones.

use super::*;
use fdfs_core::config::{RwMode, StorageIds};

fn set_rw(cluster: &mut Cluster, id: &str, rw: RwMode) {
    let rule = cluster.state.rule();
    let group = &mut cluster.state.groups[0];
    group.storage_mut(id.as_bytes()).unwrap().rw = rw;
    group.refresh(rule);
}

#[test]
fn permissions_decide_what_a_storage_is_used_for() {
    let mut cluster = Cluster::new(|_| {}).with_storages("group1", 2, 3);
    set_rw(&mut cluster, "10.77.0.2", RwMode::Read);
    set_rw(&mut cluster, "10.77.0.3", RwMode::None);
    for _ in 0..3 {
        assert_eq!(cluster.store(None).unwrap().1, "10.77.0.4");
    }
    cluster.now = NOW + 200_000;
    let file = normal("10.77.0.9", NOW);
    let all = cluster.fetch(Command::QUERY_FETCH_ALL, file).unwrap();
    assert_eq!(all, ["10.77.0.2", "10.77.0.4"]);
    let own = normal("10.77.0.2", NOW);
    assert_eq!(cluster.fetch(Command::QUERY_UPDATE, own).unwrap(), ["10.77.0.4"]);
    set_rw(&mut cluster, "10.77.0.4", RwMode::Write);
    // The preselected store server may not be read from.
    let appender = name("10.77.0.4", NOW, SizeField::appender(1));
    assert_eq!(cluster.fetch(Command::QUERY_FETCH, appender), Err(Status::ENOENT));
    assert_eq!(cluster.fetch(Command::QUERY_FETCH_ALL, appender), Err(Status::ENOENT));
    set_rw(&mut cluster, "10.77.0.4", RwMode::Read);
    assert_eq!(cluster.store(None), Err(Status::ENOENT));
    assert_eq!(cluster.store(Some("group1")), Err(Status::ENOENT));
    assert_eq!(cluster.fetch(Command::QUERY_UPDATE, own), Err(Status::ENOENT));
    set_rw(&mut cluster, "10.77.0.4", RwMode::None);
    set_rw(&mut cluster, "10.77.0.2", RwMode::None);
    assert_eq!(cluster.fetch(Command::QUERY_FETCH, own), Err(Status::ENOENT));
}

#[test]
fn without_groups_or_paths_there_is_no_target() {
    let mut empty = Cluster::new(|_| {});
    assert_eq!(empty.store(None), Err(Status::ENOENT));
    assert_eq!(empty.store(Some("group1")), Err(Status::ENOENT));
    let mut cluster = Cluster::new(|_| {}).with_storages("group1", 2, 1);
    cluster.state.groups[0].store_path_count = 0;
    assert_eq!(cluster.store(None), Err(Status::ENOENT));
    assert_eq!(cluster.store(Some("group1")), Err(Status::ENOENT));
}

#[test]
fn the_turn_goes_on_over_groups_that_cannot_take_files() {
    let mut cluster = Cluster::new(|_| {});
    for (group, first) in [("a", 2), ("b", 3), ("c", 4)] {
        cluster = cluster.with_storages(group, first, 1);
    }
    cluster.hang_up(1);
    let groups: Vec<_> = (0..4).map(|_| cluster.store(None).unwrap().0).collect();
    assert_eq!(groups, ["a", "c", "a", "c"]);
    // A named group does not take the turn.
    cluster.store(Some("c")).unwrap();
    assert_eq!(cluster.store(None).unwrap().0, "a");
    cluster.hang_up(0);
    cluster.hang_up(2);
    assert_eq!(cluster.store(None), Err(Status::ENOENT), "nobody is there, not: no space");
}

#[test]
fn a_lone_writable_server_does_not_take_the_turn() {
    let mut cluster = Cluster::new(|_| {}).with_storages("group1", 2, 2);
    assert_eq!(cluster.store(None).unwrap().1, "10.77.0.2");
    cluster.hang_up(0);
    assert_eq!(cluster.store(None).unwrap().1, "10.77.0.3");
    assert_eq!(cluster.state.groups()[0].current_write_server, 1);
}

#[test]
fn downloads_take_turns_and_sync_times_decide() {
    let mut cluster = Cluster::new(|_| {}).with_storages("group1", 2, 2);
    let file = normal("10.77.0.2", NOW);
    let report = |cluster: &mut Cluster, entries: &[(&str, i64)]| {
        let entries: Vec<_> = entries
            .iter()
            .map(|(ip, time)| SyncedUntil {
                source: (*ip).try_into().unwrap(),
                timestamp: i32::try_from(*time).unwrap(),
            })
            .collect();
        cluster.call(1, Command::SYNC_REPORT, entries).unwrap();
    };
    let readers =
        |cluster: &mut Cluster, file| cluster.fetch(Command::QUERY_FETCH_ALL, file).unwrap().len();
    // Reports about itself, unknown and silent storages do not count, nor does time 0.
    report(&mut cluster, &[("10.77.0.3", NOW + 9), ("10.1.1.1", NOW + 9), ("10.77.0.2", 0)]);
    assert_eq!(readers(&mut cluster, file), 1);
    cluster.hang_up(0);
    report(&mut cluster, &[("10.77.0.2", NOW + 9)]);
    let back = cluster.connect("10.77.0.2");
    cluster.join(back, "group1", |join| join.init_flag = 0).unwrap();
    cluster.beat(back);
    assert_eq!(readers(&mut cluster, file), 1, "nothing new comes from a silent storage");
    report(&mut cluster, &[("10.77.0.2", NOW)]);
    assert_eq!(readers(&mut cluster, file), 1, "files of the same second may be missing");
    report(&mut cluster, &[("10.77.0.2", NOW + 1)]);
    assert_eq!(readers(&mut cluster, file), 2);
    let turns: Vec<_> =
        (0..4).map(|_| cluster.fetch(Command::QUERY_FETCH, file).unwrap().remove(0)).collect();
    assert_eq!(turns, ["10.77.0.2", "10.77.0.3", "10.77.0.2", "10.77.0.3"]);
    report(&mut cluster, &[("10.77.0.2", NOW - 1000)]);
    assert_eq!(readers(&mut cluster, file), 1, "round robin believes the last report");
    cluster.now = NOW + 86_400;
    assert_eq!(readers(&mut cluster, file), 1);
    cluster.now = NOW + 86_401;
    assert_eq!(readers(&mut cluster, file), 2, "by now it must be everywhere");
}

#[test]
fn other_rules_keep_the_newest_sync_time() {
    let mut cluster = Cluster::new(|c| c.store_server = StoreServer::First);
    cluster = cluster.with_storages("group1", 2, 2);
    for time in [NOW + 5, NOW - 1000] {
        let source = "10.77.0.2".try_into().unwrap();
        let entry = SyncedUntil { source, timestamp: i32::try_from(time).unwrap() };
        cluster.call(1, Command::SYNC_REPORT, vec![entry]).unwrap();
        let synced = cluster.state.groups()[0].storages[1].stats.last_synced_timestamp;
        assert_eq!(synced, NOW + 5);
    }
}

#[test]
fn ids_in_names_find_their_storage_and_two_addresses_suit_the_peer() {
    let ids = "100001 group1 10.77.0.2,1.2.3.44\n100002 group1 10.77.0.3 rw=read\n";
    let mut cluster = Cluster::new(|c| {
        c.params.use_storage_id = true;
        c.storage_ids = StorageIds::parse(ids, &mut |_| Vec::new()).unwrap();
    })
    .with_storages("group1", 2, 2);
    cluster.now = NOW + 10;
    let stamp = |source| Stamp {
        source,
        created: i32::try_from(NOW).unwrap(),
        size: SizeField::normal(5, 1),
        crc32: 1,
    };
    let tail = tail("txt".try_into().unwrap(), 1);
    for source in [Source::Id(100_001), Source::Ip("1.2.3.44".parse().unwrap())] {
        let file = logic_name(0, (0, 0), &stamp(source), tail);
        assert_eq!(cluster.fetch(Command::QUERY_FETCH, file).unwrap(), ["10.77.0.2"]);
    }
    let outer = cluster.connect("8.8.8.88");
    let reply = cluster.call(outer, Command::QUERY_STORE, ()).unwrap();
    assert_eq!(StoreTarget::decode(&reply).unwrap().server.ip.to_string(), "1.2.3.44");
    assert_eq!(cluster.state.groups()[0].storages[1].id.to_string(), "100002");
    assert_eq!(cluster.state.groups()[0].writable.len(), 1, "the other one is read-only");
}

#[test]
fn wide_addresses_are_for_clusters_that_say_so() {
    let wide = fdfs_core::protocol::address::AddrWidth::V6;
    let mut cluster = Cluster::new(|c| c.params.response_ip_addr_size = wide);
    cluster = cluster.with_storages("group1", 2, 2);
    assert_eq!(cluster.raw(0, Command::QUERY_STORE, &[]).unwrap().len(), 70);
    assert_eq!(cluster.raw(0, Command::QUERY_STORE_ALL, &[]).unwrap().len(), 17 + 2 * 53);
    let query =
        t::FileQuery { group: "group1".try_into().unwrap(), name: normal("10.77.0.2", NOW) };
    assert_eq!(cluster.call(0, Command::QUERY_FETCH, query).unwrap().len(), 69);
}
