//! The state files, against those of the original.

use super::*;
use fdfs_core::config::StorageIds;

fn config() -> TrackerConfig {
    TrackerConfig::embedded("/t".as_ref(), "127.0.0.1:0".parse().unwrap()).unwrap()
}

macro_rules! golden {
    ($cluster:literal, $file:literal) => {
        include_str!(concat!(
            "../../../../tests/vectors/golden/disk/",
            $cluster,
            "/tracker/data/",
            $file
        ))
    };
}

/// Status changes to OFFLINE on loading; everything else comes back as it was.
fn round_trip(groups_file: &str, servers_file: &str, times_file: &str) {
    let mut groups = parse_groups(groups_file).unwrap();
    parse_servers(servers_file, &mut groups, &config()).unwrap();
    parse_sync_times(times_file, &mut groups, StoreServer::RoundRobin);
    assert_eq!(groups_text(&groups), groups_file);
    assert_eq!(servers_text(&groups, false), servers_file);
    assert_eq!(sync_times_text(&groups), times_file);
}

#[test]
fn the_originals_files_are_read_and_written_alike() {
    round_trip(
        golden!("plain", "storage_groups_new.dat"),
        golden!("plain", "storage_servers_new.dat"),
        golden!("plain", "storage_sync_timestamp.dat"),
    );
    round_trip(
        golden!("trunk", "storage_groups_new.dat"),
        golden!("trunk", "storage_servers_new.dat"),
        golden!("trunk", "storage_sync_timestamp.dat"),
    );
}

#[test]
fn leftover_rows_of_deleted_storages_do_no_harm() {
    let mut groups = parse_groups(golden!("plain", "storage_groups_new.dat")).unwrap();
    let servers = golden!("plain", "storage_servers_new.dat");
    parse_servers(servers, &mut groups, &config()).unwrap();
    // The first row and column are a storage that is gone.
    let text = "group1,10.77.0.9,0,5,6\ngroup1,10.77.0.2,7,0,77\ngroup1,10.77.0.3,8,66\nx,y,1\n\n";
    parse_sync_times(text, &mut groups, StoreServer::RoundRobin);
    assert_eq!(groups[0].synced, [[0, 77], [66, 0]]);
    assert_eq!(groups[0].storages[1].stats.last_synced_timestamp, 77);
    // With a row missing the columns tell nothing.
    let mut groups = parse_groups(golden!("plain", "storage_groups_new.dat")).unwrap();
    parse_servers(servers, &mut groups, &config()).unwrap();
    parse_sync_times("group1,10.77.0.2,1,2\n", &mut groups, StoreServer::RoundRobin);
    assert_eq!(groups[0].synced, [[0, 0], [0, 0]]);
}

#[test]
fn references_to_nobody_are_dropped_and_addresses_become_ids() {
    let mut config = config();
    config.params.use_storage_id = true;
    let ids = "1 group1 10.77.0.2\n2 group1 10.77.0.3\n";
    config.storage_ids = StorageIds::parse(ids, &mut |_| Vec::new()).unwrap();
    let groups_file = golden!("trunk", "storage_groups_new.dat");
    let servers_file = golden!("trunk", "storage_servers_new.dat");
    let mut groups = parse_groups(groups_file).unwrap();
    let text = servers_file.replace("sync_src_server=\n", "sync_src_server=10.9.9.9\n");
    parse_servers(&text, &mut groups, &config).unwrap();
    let group = &groups[0];
    assert_eq!(group.trunk_server.unwrap().to_string(), "2");
    assert_eq!(group.last_trunk_server.to_string(), "2");
    let sources: Vec<_> = group.in_order().map(|s| s.sync_source).collect();
    assert_eq!(sources, [Some("2".try_into().unwrap()), None]);
    assert!(servers_text(&groups, true).contains("\tid=1\n\tgroup_name=group1\n"));
}

#[test]
fn a_groups_file_never_stands_alone_and_failed_log_lines_leave_no_half() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config();
    config.framework.base_path = dir.path().to_owned();
    let store = Store::open(&config).unwrap();
    let only_groups = Effects { groups: true, ..Effects::default() };
    let group = Group::new("g1".try_into().unwrap());
    store.save(&only_groups, std::slice::from_ref(&group)).unwrap();
    assert_eq!(store.load(&config).unwrap().groups.len(), 1);
    let lines = Effects { changelog: b"1 g1 a 4 \n".to_vec(), ..Effects::default() };
    store.save(&lines, &[]).unwrap();
    store.save(&lines, &[]).unwrap();
    assert_eq!(store.load(&config).unwrap().changelog, b"1 g1 a 4 \n1 g1 a 4 \n");
    store.save_status("up_time=5\nlast_check_time=77\n").unwrap();
    assert_eq!(store.load(&config).unwrap().last_check_time, 77);
}

#[test]
fn files_of_another_tracker_replace_ours_unless_they_are_nonsense() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config();
    config.framework.base_path = dir.path().to_owned();
    let store = Store::open(&config).unwrap();
    let files = [
        golden!("plain", "storage_groups_new.dat"),
        golden!("plain", "storage_servers_new.dat"),
        golden!("plain", "storage_sync_timestamp.dat"),
        "1 g1 a 4 \n",
    ];
    let good = files.map(|file| file.as_bytes().to_vec());
    store.adopt(&good, &config).unwrap();
    let text = |store: &Store| servers_text(&store.load(&config).unwrap().groups, false);
    assert_eq!(text(&store), files[1]);
    assert_eq!(store.load(&config).unwrap().changelog, b"1 g1 a 4 \n");
    for broken in 0..2 {
        let mut bad = good.clone();
        bad[broken] = b"[Global]\n\tgroup_count=7\n\tstorage_count=7\n".to_vec();
        assert!(store.adopt(&bad, &config).is_err());
    }
    assert_eq!(text(&store), files[1]);
}

#[test]
fn damaged_files_are_named_and_old_ones_converted() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config();
    config.framework.base_path = dir.path().to_owned();
    let store = Store::open(&config).unwrap();
    let file = |name: &str| dir.path().join("data").join(name);
    std::fs::write(file("storage_groups.dat"), "g1,23000,1,256\n").unwrap();
    let old = "g1,10.0.0.5,7,,0,10,9,0,0,2,1,30,29,0,0,1000,1001,0,23000,0,900,5.11\n";
    std::fs::write(file("storage_servers.dat"), old).unwrap();
    let saved = store.load(&config).unwrap();
    assert_eq!(saved.groups[0].storages[0].stats.success_upload_count, 9);
    assert!(file("storage_servers_new.dat").exists() && !file("storage_groups.dat").exists());
    assert_eq!(store.load(&config).unwrap().groups[0].storages[0].join_time, 900);
    std::fs::write(file("storage_servers_new.dat"), "[Global]\nstorage_count=5\n").unwrap();
    let error = store.load(&config).unwrap_err().to_string();
    assert!(error.contains("storage_servers_new.dat: storage_count is 5"), "{error}");
}
