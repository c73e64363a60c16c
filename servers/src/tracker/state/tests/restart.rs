//! What a tracker knows outlives it.

use super::*;
use crate::tracker::persist::Store;
use fdfs_core::protocol::tracker::{GroupMember, StorageList};

fn lists(cluster: &mut Cluster) -> (BytesMut, StorageList) {
    let session = cluster.connect("10.77.0.9");
    let groups = cluster.call(session, Command::LIST_ALL_GROUPS, ()).unwrap();
    let all = GroupMember { group: "group1".try_into().unwrap(), id: "".try_into().unwrap() };
    let storages = cluster.call(session, Command::LIST_STORAGES, all).unwrap();
    (groups, StorageList::decode(&storages).unwrap())
}

#[test]
fn a_restarted_tracker_lists_the_same_storages() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = (*config(|_| {})).clone();
    config.framework.base_path = dir.path().to_owned();
    let mut before = Cluster::new(|c| *c = config.clone()).with_storages("group1", 2, 3);
    let source = "10.77.0.2".try_into().unwrap();
    let report = vec![SyncedUntil { source, timestamp: i32::try_from(NOW).unwrap() }];
    before.call(1, Command::SYNC_REPORT, report).unwrap();
    before.hang_up(2);
    let gone =
        GroupMember { group: "group1".try_into().unwrap(), id: "10.77.0.4".try_into().unwrap() };
    before.call(0, Command::DELETE_STORAGE, gone).unwrap();
    before.state.save_everything();
    let store = Store::open(&config).unwrap();
    let effects = before.state.take_effects();
    store.save(&effects, before.state.groups()).unwrap();

    let saved = Store::open(&config).unwrap().load(&config).unwrap();
    let mut after = Cluster::new(|c| *c = config.clone());
    after.state.restore(saved.groups, saved.changelog, saved.last_check_time);
    let (_, mut was) = lists(&mut before);
    let (_, is) = lists(&mut after);
    was.storages.retain(|storage| storage.status != StorageStatus::DELETED.0);
    for storage in &mut was.storages {
        // Who served is offline until it comes back, and starts its turns anew.
        storage.status = StorageStatus::OFFLINE.0;
        (storage.up_time, storage.current_write_path) = (0, 0);
    }
    assert_eq!(is, was);
    assert_eq!(is.storages[1].stats.last_synced_timestamp, NOW);

    // The storages come back and everything goes on; the deleted one must join anew.
    for ip in ["10.77.0.2", "10.77.0.3"] {
        let session = after.connect(ip);
        let joined = after.join(session, "group1", |join| join.init_flag = 0).unwrap();
        assert_eq!(StorageStatus(joined.status), StorageStatus::ONLINE);
        after.beat(session);
        after.space(session, &[(1000, 100), (1000, 100)]);
    }
    assert_eq!(after.store(None).unwrap().1, "10.77.0.2");
    let session = after.connect("10.77.0.4");
    let forgotten = after.join(session, "group1", |j| (j.init_flag, j.status) = (0, -1));
    assert_eq!(forgotten, Err(Status::EFAULT));
}

#[test]
fn statistics_and_sync_times_are_saved_every_thousand_reports() {
    let mut cluster = Cluster::new(|_| {}).with_storages("group1", 2, 2);
    cluster.state.take_effects();
    for at in 1..=2000 {
        cluster.beat(0);
        // The two storages have sent one each when they joined.
        assert_eq!(cluster.state.take_effects().servers, (at + 2) % 1000 == 0, "{at}");
    }
    for at in 1..=1000 {
        let source = "10.77.0.2".try_into().unwrap();
        cluster.call(1, Command::SYNC_REPORT, vec![SyncedUntil { source, timestamp: 5 }]).unwrap();
        assert_eq!(cluster.state.take_effects().sync_times, at == 1000);
    }
}

#[test]
fn status_text_is_read_back() {
    let cluster = Cluster::new(|_| {});
    let text = cluster.state.status_text(NOW + 300);
    assert_eq!(text, format!("up_time={NOW}\nlast_check_time={}\n", NOW + 300));
}
