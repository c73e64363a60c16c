//! Clusters as operators configure them: storage ids, several trackers, several store paths,
//! restarts of every part.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use fdfs_core::client::{Range, UploadOptions};
use fdfs_core::config::Ini;
use fdfs_core::file_id::Source;
use fdfs_core::protocol::StorageStatus;
use fdfs_servers::storage::RunningStorage;
use fdfs_servers::storage::config::StorageConfig;
use fdfs_tests::configured::{client, free_port, storage, tracker, wait_until_storing};
use fdfs_tests::scenarios;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn storages_with_ids_are_known_by_them() {
    let dir = tempfile::tempdir().unwrap();
    let (port, a, b) = (free_port(), free_port(), free_port());
    let ids = dir.path().join("storage_ids.conf");
    let text = format!("100001 group1 127.0.0.1:{a}\n100002 group1 127.0.0.1:{b} rw=read\n");
    std::fs::write(&ids, text).unwrap();
    let with_ids = format!(
        "use_storage_id=true\nid_type_in_filename=id\nstorage_ids_filename={}\n",
        ids.display()
    );
    let tracker_one = tracker(dir.path(), port, &with_ids);
    let first = storage(dir.path(), "127.0.0.1", a, &[port], "server_id=100001\n").await;
    // Two instances on one host, told apart by their ports; the second finds its id by address.
    let second = storage(dir.path(), "127.0.0.1", b, &[port], "").await;
    let client = client(&[port]);
    for _ in 0..4 {
        let id = client.upload(b"by id", UploadOptions::ext("txt")).await.unwrap();
        assert_eq!(id.source(), Some(Source::Id(100_001)), "the other one is read-only");
        let info = client.stat(&id).await.unwrap();
        assert_eq!((info.size, info.source_ip.as_str()), (5, "127.0.0.1"));
    }
    let storages = client.list_storages("group1", None).await.unwrap();
    let ids: Vec<&str> = storages.iter().map(|storage| storage.id.as_str()).collect();
    assert_eq!(ids, ["100001", "100002"]);
    scenarios::all(&client).await;
    drop(second);
    first.shutdown().await.unwrap();
    tracker_one.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn store_paths_take_turns_and_directories_are_chosen_by_hash() {
    let dir = tempfile::tempdir().unwrap();
    let (port, storage_port) = (free_port(), free_port());
    let one = tracker(dir.path(), port, "");
    let paths = "store_path_count=2\nstore_path1=BASE/second\nfile_distribute_path_mode=1\n";
    let running = storage(dir.path(), "127.0.0.1", storage_port, &[port], paths).await;
    let client = client(&[port]);
    let mut ids = Vec::new();
    for number in 0..40u8 {
        let id = client.upload([number], UploadOptions::ext("bin")).await.unwrap();
        assert_eq!(id.store_path_index(), number % 2, "round robin");
        ids.push(id);
    }
    let directories: std::collections::HashSet<&str> =
        ids.iter().map(|id| id.path().get(4..9).unwrap()).collect();
    assert!(directories.len() > 10, "spread by hash: {directories:?}");
    running.shutdown().await.unwrap();

    // The second path takes no new files, and still serves the old ones.
    let read_only = format!("{paths}store_path1_readonly=true\n");
    let running = storage(dir.path(), "127.0.0.1", storage_port, &[port], &read_only).await;
    wait_until_storing(&client).await;
    for _ in 0..4 {
        let id = client.upload(b"x", UploadOptions::default()).await.unwrap();
        assert_eq!(id.store_path_index(), 0);
    }
    for (number, id) in ids.iter().enumerate() {
        let content = client.download(id, Range::default()).await.unwrap();
        assert_eq!(usize::from(content[0]), number);
    }
    running.shutdown().await.unwrap();

    // A store path that belongs to another storage is refused.
    let stranger = dir.path().join("stranger");
    std::fs::create_dir_all(&stranger).unwrap();
    let text = format!(
        "group_name=group1\nbase_path={}\nbind_addr=127.0.0.1\nport={}\nsubdir_count_per_path=8\n\
         tracker_server=127.0.0.1:{port}\nstore_path0={}\n",
        stranger.display(),
        free_port(),
        dir.path().join(format!("s127.0.0.1-{storage_port}")).display(),
    );
    let config = StorageConfig::from_ini(&Ini::parse(&text)).unwrap();
    let error = RunningStorage::start(config).await.unwrap_err().to_string();
    assert!(error.contains("belongs to another storage"), "{error}");
    one.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_trackers_is_enough_and_a_fresh_one_learns() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two, storage_port) = (free_port(), free_port(), free_port());
    let first = tracker(dir.path(), one, "");
    let second = tracker(dir.path(), two, "");
    let running = storage(dir.path(), "127.0.0.1", storage_port, &[one, two], "").await;
    let (both, only_two) = (client(&[one, two]), client(&[two]));
    wait_until_storing(&only_two).await;
    let id = both.upload(b"kept", UploadOptions::ext("txt")).await.unwrap();
    first.shutdown().await.unwrap();
    for _ in 0..4 {
        assert_eq!(both.download(&id, Range::default()).await.unwrap(), b"kept");
        both.upload(b"more", UploadOptions::default()).await.unwrap();
    }
    // It comes back without its files and is told everything anew.
    std::fs::remove_dir_all(dir.path().join(format!("t{one}"))).unwrap();
    let first = tracker(dir.path(), one, "");
    let only_one = client(&[one]);
    wait_until_storing(&only_one).await;
    assert_eq!(only_one.download(&id, Range::default()).await.unwrap(), b"kept");
    // One that knows no storage yet is not believed before the other was asked.
    let unaware = free_port();
    let third = tracker(dir.path(), unaware, "");
    let client = client(&[unaware, two]);
    for _ in 0..4 {
        client.upload(b"more", UploadOptions::default()).await.unwrap();
        assert_eq!(client.download(&id, Range::default()).await.unwrap(), b"kept");
    }
    running.shutdown().await.unwrap();
    for tracker in [first, second, third] {
        tracker.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tracker_that_restarts_remembers_and_sees_its_storages_return() {
    let dir = tempfile::tempdir().unwrap();
    let (port, storage_port) = (free_port(), free_port());
    let one = tracker(dir.path(), port, "");
    let running = storage(dir.path(), "127.0.0.1", storage_port, &[port], "").await;
    let client = client(&[port]);
    let id = client.upload(b"kept", UploadOptions::ext("txt")).await.unwrap();
    one.shutdown().await.unwrap();
    let one = tracker(dir.path(), port, "");
    let storages = client.list_storages("group1", None).await.unwrap();
    assert_eq!(storages.len(), 1, "remembered");
    wait_until_storing(&client).await;
    let storages = client.list_storages("group1", None).await.unwrap();
    assert_eq!(storages[0].status, StorageStatus::ACTIVE);
    assert_eq!(client.download(&id, Range::default()).await.unwrap(), b"kept");
    running.shutdown().await.unwrap();
    for _ in 0..200 {
        let storages = client.list_storages("group1", None).await.unwrap();
        if storages[0].status == StorageStatus::OFFLINE {
            one.shutdown().await.unwrap();
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("a storage that left counts as offline at once");
}
