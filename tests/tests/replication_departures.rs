//! Members of a group that are deleted, come back, or come back under another address.
#![allow(clippy::unwrap_used, missing_docs)]

use fdfs_core::protocol::StorageStatus;
use fdfs_tests::moving::{Group, PATIENCE, wait_until};

/// The value of a key of a mark file.
fn value(mark: &str, key: &str) -> u64 {
    let line = mark.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    line.unwrap().parse().unwrap()
}

/// Names in a storage's `data/sync` that begin like this.
fn names(group: &Group, folder: &str, begin: &str) -> Vec<String> {
    let entries = std::fs::read_dir(group.sync_file(folder, "")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> =
        names.filter(|name| name.starts_with(begin) && !name.ends_with(".tmp")).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_member_leaves_its_mark_behind_and_starts_anew_when_it_comes_back() {
    let group = Group::new();
    let first = group.active_storage(1, "s1").await;
    let second = group.active_storage(2, "s2").await;
    let ids = group.upload(10).await;
    group.wait_files("s2", &ids).await;
    let mark = format!("127.0.0.2_{}.mark", group.port);
    wait_until("the mark is there", || names(&group, "s1", &mark) == [mark.as_str()]).await;
    second.shutdown().await.unwrap();
    group.wait_status(2, StorageStatus::OFFLINE).await;
    group.client().admin().delete_storage("group1", "127.0.0.2").await.unwrap();
    let is_dated = |name: &String| {
        let date = name.strip_prefix(&mark).and_then(|rest| rest.strip_prefix('.'));
        date.is_some_and(|date| date.len() == 14 && date.bytes().all(|b| b.is_ascii_digit()))
    };
    wait_until("only a dated mark is left", || {
        let names = names(&group, "s1", "127.0.0.2");
        names.len() == 1 && names.iter().all(is_dated)
    })
    .await;
    let mut view = first.link().view();
    let told =
        view.wait_for(|view| view.peers.iter().any(|peer| peer.status() == StorageStatus::NONE));
    tokio::time::timeout(PATIENCE, told).await.unwrap().unwrap();

    // Another machine under the same address, without files: it is filled like any new one.
    let second = group.storage(2, "s2b", |_| {}).await;
    tokio::time::timeout(PATIENCE, second.wait_active()).await.unwrap();
    group.wait_files("s2b", &ids).await;
    wait_until("the new mark is there", || names(&group, "s1", &mark).contains(&mark)).await;
    let text = std::fs::read_to_string(group.sync_file("s1", &mark)).unwrap();
    assert_eq!(value(&text, "need_sync_old"), 1, "{text}");
    assert_eq!(names(&group, "s1", &mark).len(), 2, "the old one is kept");
    let ids = group.upload(4).await;
    group.wait_files("s2b", &ids).await;
    group.wait_files("s1", &ids).await;
    second.shutdown().await.unwrap();
    first.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_moves_keeps_its_mark_and_is_sent_nothing_twice() {
    let group = Group::new();
    let first = group.active_storage(1, "s1").await;
    let second = group.active_storage(2, "s2").await;
    let ids = group.upload(20).await;
    group.wait_files("s1", &ids).await;
    group.wait_files("s2", &ids).await;
    let (old, new) =
        (format!("127.0.0.2_{}.mark", group.port), format!("127.0.0.3_{}.mark", group.port));
    let read = |name: &str| std::fs::read_to_string(group.sync_file("s1", name));
    let end = std::fs::metadata(group.sync_file("s1", "binlog.000")).unwrap().len();
    wait_until("all is marked as sent", || {
        read(&old).is_ok_and(|mark| value(&mark, "binlog_offset") == end)
    })
    .await;
    let before = read(&old).unwrap();
    second.shutdown().await.unwrap();
    group.wait_status(2, StorageStatus::OFFLINE).await;

    let second = group.active_storage(3, "s2").await;
    wait_until("the mark has the new name", || read(&new).is_ok() && read(&old).is_err()).await;
    let more = group.upload(20).await;
    group.wait_files("s1", &more).await;
    group.wait_files("s2", &more).await;
    let end = std::fs::metadata(group.sync_file("s1", "binlog.000")).unwrap().len();
    wait_until("the new ones are marked as sent", || {
        read(&new).is_ok_and(|mark| value(&mark, "binlog_offset") == end)
    })
    .await;
    let after = read(&new).unwrap();
    for key in ["need_sync_old", "sync_old_done", "until_timestamp"] {
        assert_eq!(value(&after, key), value(&before, key), "{key}");
    }
    let sent = group.binlog("s1").iter().filter(|line| line.contains(" C ")).count() as u64;
    assert_eq!(value(&after, "sync_row_count"), sent, "each record once: {before} {after}");
    let mut received: Vec<String> = group.binlog("s2");
    received.retain(|line| line.contains(" c "));
    assert_eq!(received.len() as u64, sent, "{received:#?}");
    second.shutdown().await.unwrap();
    first.shutdown().await.unwrap();
}
