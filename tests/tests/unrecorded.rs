//! A process that was killed between a change and its record has left a change that no peer would
//! get. The next start finds and records it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use fdfs_core::client::{Client, ClientOptions, Metadata, UploadOptions};
use fdfs_servers::embedded::{EmbeddedCluster, EmbeddedOptions};
use fdfs_tests::members::wait;
use fdfs_tests::requests::name_at;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

async fn start(dir: &Path) -> (EmbeddedCluster, Client) {
    let cluster = EmbeddedCluster::start(EmbeddedOptions::new(dir)).await.unwrap();
    let client = ClientOptions::new([cluster.tracker_addr().to_string()]).unwrap().connect();
    (cluster, client)
}

fn sync_file(dir: &Path, name: &str) -> PathBuf {
    dir.join("storage1/data/sync").join(name)
}

fn binlog(dir: &Path) -> PathBuf {
    sync_file(dir, "binlog.000")
}

/// The records without their times.
fn records(dir: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(binlog(dir)).unwrap();
    text.lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
}

/// Ends the cluster as a crash does, before these last records were written.
fn crash(cluster: EmbeddedCluster, dir: &Path, unwritten: usize) {
    drop(cluster);
    let text = std::fs::read_to_string(binlog(dir)).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    std::fs::write(binlog(dir), lines[..lines.len() - unwritten].concat()).unwrap();
}

#[test]
fn what_a_killed_process_had_not_recorded_is_recorded_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (cluster, client) = runtime.block_on(start(dir.path()));
    let (recorded, log, unrecorded) = runtime.block_on(async {
        let recorded = client.upload(b"recorded", UploadOptions::ext("txt")).await.unwrap();
        let appender = UploadOptions { appender: true, ..UploadOptions::ext("log") };
        let log = client.upload(b"one", appender).await.unwrap();
        client.append(&log, b"two").await.unwrap();
        (recorded, log, client.upload(b"unrecorded", UploadOptions::ext("txt")).await.unwrap())
    });
    // Nor had it recorded this one of a peer, which may have lost it, and is given back what is
    // recorded.
    let content = b"a peer's";
    let of_peer = name_at([10, 9, 9, 9], content);
    let path = of_peer.strip_prefix("M00/").unwrap();
    std::fs::write(dir.path().join("storage1/data").join(path), content).unwrap();
    crash(cluster, dir.path(), 2);
    let before = [format!("C {}", recorded.path()), format!("C {}", log.path())];
    assert_eq!(records(dir.path()), before);
    let (cluster, _) = runtime.block_on(start(dir.path()));
    let mut after = before.to_vec();
    after.push(format!("C {}", unrecorded.path()));
    after.push(format!("U {}", log.path()));
    after.insert(2, format!("c {of_peer}"));
    wait("records are added", PATIENCE, || records(dir.path()).len() >= after.len());
    let sorted = || {
        // Folders are read in any order.
        let mut records = records(dir.path());
        records[2..4].sort_unstable_by(|a, b| b.cmp(a));
        records
    };
    assert_eq!(sorted(), after);
    let mark = dir.path().join("storage1/data/.fdfs_running");
    let is_checked = || std::fs::read_to_string(&mark).unwrap().lines().nth(1) == Some("");
    wait("that is noted", PATIENCE, is_checked);
    // After a clean end there is nothing to look for.
    runtime.block_on(cluster.shutdown()).unwrap();
    let (cluster, _) = runtime.block_on(start(dir.path()));
    runtime.block_on(cluster.shutdown()).unwrap();
    assert_eq!(sorted(), after);
}

#[test]
fn what_a_compressed_file_tells_is_not_recorded_again() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (cluster, client) = runtime.block_on(start(dir.path()));
    let upload = || client.upload(b"content", UploadOptions::ext("txt"));
    let (recorded, unrecorded) =
        runtime.block_on(async { (upload().await.unwrap(), upload().await.unwrap()) });
    crash(cluster, dir.path(), 1);
    // The file was full and has been compressed, and the one after it has nothing in it yet.
    std::fs::write(sync_file(dir.path(), "binlog.001"), "").unwrap();
    let index = "current_write=1\ncurrent_compress=1\n";
    std::fs::write(sync_file(dir.path(), "binlog_index.dat"), index).unwrap();
    let packed = File::create(sync_file(dir.path(), "binlog.000.gz")).unwrap();
    let mut encoder = GzEncoder::new(packed, Compression::fast());
    encoder.write_all(&std::fs::read(binlog(dir.path())).unwrap()).unwrap();
    encoder.finish().unwrap();
    std::fs::remove_file(binlog(dir.path())).unwrap();
    let (cluster, _) = runtime.block_on(start(dir.path()));
    let current = || std::fs::read_to_string(sync_file(dir.path(), "binlog.001")).unwrap();
    wait("something is recorded", PATIENCE, || !current().is_empty());
    runtime.block_on(cluster.shutdown()).unwrap();
    let lines = current();
    let lines: Vec<&str> = lines.lines().map(|line| line.split_once(' ').unwrap().1).collect();
    assert_eq!(lines, [format!("C {}", unrecorded.path())]);
    assert_eq!(records(dir.path()), [format!("C {}", recorded.path())], "unpacked to be read");
}

/// A deletion is recorded, then made, and members are told. The disk may get only the record.
#[test]
fn a_deleted_file_that_a_power_failure_has_brought_back_is_deleted_once_more() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (cluster, client) = runtime.block_on(start(dir.path()));
    let upload = || client.upload(b"content", UploadOptions::ext("txt"));
    let (kept, deleted) =
        runtime.block_on(async { (upload().await.unwrap(), upload().await.unwrap()) });
    let data = dir.path().join("storage1/data");
    let file = |path: &str| data.join(path.strip_prefix("M00/").unwrap());
    runtime.block_on(client.delete(&deleted, true)).unwrap();
    crash(cluster, dir.path(), 0);
    std::fs::write(file(deleted.path()), b"content").unwrap();
    let mut expected = vec![format!("C {}", kept.path()), format!("C {}", deleted.path())];
    expected.push(format!("D {}", deleted.path()));
    assert_eq!(records(dir.path()), expected);
    std::fs::write(data.join(".fdfs_running"), "another start of the machine").unwrap();
    let (cluster, _) = runtime.block_on(start(dir.path()));
    wait("the file is gone again", PATIENCE, || !file(deleted.path()).exists());
    runtime.block_on(cluster.shutdown()).unwrap();
    // That may have been given back by a peer, so that others do not have it.
    expected.push(format!("C {}", kept.path()));
    expected.push(format!("D {}", deleted.path()));
    assert_eq!(records(dir.path()), expected);
    assert!(file(kept.path()).exists());
}

/// Who told of it may have lost that with its power, and nobody would delete it.
#[test]
fn a_peers_deletion_that_was_recorded_and_not_made_is_made_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (cluster, client) = runtime.block_on(start(dir.path()));
    let uploading = async {
        let id = client.upload(b"content", UploadOptions::ext("txt")).await.unwrap();
        client.set_metadata(&id, &Metadata::from([("a".into(), "1".into())]), false).await.unwrap();
        let slave = UploadOptions::ext("txt");
        let slave = client.upload_slave(&id, "_small", b"slave", slave).await.unwrap();
        let asked_here = client.upload(b"kept", UploadOptions::ext("txt")).await.unwrap();
        (id, slave, asked_here)
    };
    let (deleted, slave, asked_here) = runtime.block_on(uploading);
    crash(cluster, dir.path(), 0);
    let metadata = format!("{}-m", deleted.path());
    let mut text = std::fs::read_to_string(binlog(dir.path())).unwrap();
    for name in [deleted.path(), &metadata, slave.path()] {
        text += &format!("5 d {name}\n");
    }
    text += &format!("5 D {}\n", asked_here.path());
    std::fs::write(binlog(dir.path()), text).unwrap();
    let before = records(dir.path());
    let (cluster, _) = runtime.block_on(start(dir.path()));
    let data = dir.path().join("storage1/data");
    let is_there = |path: &str| data.join(path.strip_prefix("M00/").unwrap()).exists();
    wait("both are gone", PATIENCE, || !is_there(deleted.path()) && !is_there(&metadata));
    runtime.block_on(cluster.shutdown()).unwrap();
    assert!(is_there(slave.path()), "there may be another of this name");
    assert!(is_there(asked_here.path()), "nobody was told, and it is still everywhere");
    assert_eq!(records(dir.path()), before, "that is known already");
}

/// Peers have deleted both.
#[test]
fn metadata_of_a_file_whose_deletion_was_begun_are_deleted_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (cluster, client) = runtime.block_on(start(dir.path()));
    let items = Metadata::from([("a".into(), "1".into())]);
    let id = runtime.block_on(async {
        let id = client.upload(b"content", UploadOptions::ext("txt")).await.unwrap();
        client.set_metadata(&id, &items, false).await.unwrap();
        id
    });
    let path = dir.path().join("storage1/data").join(id.path().strip_prefix("M00/").unwrap());
    let metadata = path.with_extension("txt-m");
    let kept = std::fs::read(&metadata).unwrap();
    runtime.block_on(client.delete(&id, false)).unwrap();
    crash(cluster, dir.path(), 0);
    std::fs::write(&metadata, kept).unwrap();
    // Longer than the file system's clock takes for a step.
    std::thread::sleep(Duration::from_millis(20));
    let before = records(dir.path());
    assert_eq!(before[2..], [format!("D {}", id.path()), format!("D {}-m", id.path())]);
    let (cluster, _) = runtime.block_on(start(dir.path()));
    wait("they are gone", PATIENCE, || !metadata.exists());
    runtime.block_on(cluster.shutdown()).unwrap();
    assert!(!path.exists());
    assert_eq!(records(dir.path()), before, "peers know of it");
}

/// What is in them is any of their last states then: peers are to be asked for theirs.
#[test]
fn after_a_power_failure_files_that_change_are_recorded_whichever_state_they_have() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (cluster, client) = runtime.block_on(start(dir.path()));
    let (known, unknown) = runtime.block_on(async {
        let appender = || UploadOptions { appender: true, ..UploadOptions::ext("log") };
        let known = client.upload(b"one", appender()).await.unwrap();
        let unknown = client.upload(b"two", appender()).await.unwrap();
        client.append(&known, b"more").await.unwrap();
        (known, unknown)
    });
    crash(cluster, dir.path(), 2);
    std::fs::write(dir.path().join("storage1/data/.fdfs_running"), "another start").unwrap();
    let (cluster, _) = runtime.block_on(start(dir.path()));
    let expected = [
        format!("C {}", known.path()),
        format!("C {}", unknown.path()),
        format!("U {}", known.path()),
    ];
    wait("both are recorded", PATIENCE, || records(dir.path()).len() >= expected.len());
    runtime.block_on(cluster.shutdown()).unwrap();
    assert_eq!(records(dir.path()), expected);
}
