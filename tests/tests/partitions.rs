//! Replication between real processes on a network of their own, while everything goes wrong that
//! can: parts are killed, links cut and slow, a disk full. Afterwards all members hold the same,
//! and everything that was acknowledged.
//!
//! Changes to a file go to the storage it was uploaded to, as long as that lives. When clients
//! change one file at two members that do not hear of each other, no order of these changes is
//! right, here as in the original; so the load leaves files alone whose storage does not answer.
#![allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::indexing_slicing)]
#![allow(clippy::unwrap_used, missing_docs)]

use fdfs_core::client::{Client, StorageStatus, UploadOptions};
use fdfs_core::file_id::FileId;
use fdfs_core::net::{Conn, ConnectOptions};
use fdfs_core::protocol::storage::{
    Append, FileRef, Items, META_OVERWRITE, Modify, SetMetadata, Truncate,
};
use fdfs_core::protocol::{Command, Group, Name};
use fdfs_core::wire::{Rest, Wire};
use fdfs_tests::lan::has_no_network;
use fdfs_tests::members::{Members, PATIENCE, STORAGE_PORT, TRACKER, wait};
use fdfs_tests::trees::{differences, tree};
use fdfs_tests::{daemons, trees};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Runtime;

const STORAGES: u8 = 3;
const WRITERS: u64 = 6;
/// Changes acknowledged in each part of the test.
const ENOUGH: u64 = 150;
/// Times that a storage is killed, one after the other.
const KILLS: u8 = 9;
/// Bytes of the file system that gets full.
const SMALL_DISK: &str = "size=96m";
/// A writer's files.
const FILES_MAX: usize = 60;

/// Any sequence will do, but the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn bytes(&mut self, len: u64) -> Vec<u8> {
        let byte = self.below(251);
        (0..len).map(|at| ((at * 7 + byte) % 251) as u8).collect()
    }
}

/// A file as the writer knows it.
#[derive(Clone)]
struct Known {
    id: FileId,
    content: Vec<u8>,
    appender: bool,
    metadata: Option<Vec<u8>>,
}

/// What writers share.
struct Load {
    stop: AtomicBool,
    acked: AtomicU64,
    refused: AtomicU64,
}

/// One who uploads and changes files. What fails has an unknown outcome and is forgotten.
struct Writer {
    client: Client,
    random: Random,
    load: Arc<Load>,
    files: Vec<Known>,
    deleted: Vec<FileId>,
}

fn group() -> Group {
    "group1".try_into().unwrap()
}

/// A request to the storage that a file was uploaded to.
async fn at_source(
    id: &FileId,
    command: Command,
    head: &impl Wire,
    content: &[u8],
) -> fdfs_core::Result<()> {
    let options = ConnectOptions {
        connect_timeout: Duration::from_secs(2),
        io_timeout: Duration::from_secs(5),
        bind: None,
    };
    let source = id.source().map(|source| source.to_string()).unwrap();
    let mut conn = Conn::connect(&source, STORAGE_PORT, &options).await?;
    conn.start(command, 0, &head.encode(), content.len() as u64).await?;
    conn.send_content(content).await?;
    conn.read_reply::<()>().await
}

impl Writer {
    async fn run(mut self) -> Self {
        while !self.load.stop.load(Ordering::Relaxed) {
            let done = match self.random.below(10) {
                0..4 => self.upload(false).await,
                4 => self.upload(true).await,
                _ if self.files.is_empty() => continue,
                5 => self.delete().await,
                6 => self.set_metadata().await,
                _ => self.change().await,
            };
            let count = if done.is_ok() { &self.load.acked } else { &self.load.refused };
            count.fetch_add(1, Ordering::Relaxed);
            if done.is_err() {
                // As a client does: not at full speed into the same wall.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        self
    }

    async fn upload(&mut self, appender: bool) -> fdfs_core::Result<()> {
        if self.files.len() >= FILES_MAX {
            return self.delete().await;
        }
        let len = match self.random.below(8) {
            0 => 262_145 + self.random.below(400_000),
            _ => self.random.below(20_000),
        };
        let content = self.random.bytes(len);
        let options = UploadOptions { appender, ..UploadOptions::ext("bin") };
        let id = self.client.upload(&content, options).await?;
        self.files.push(Known { id, content, appender, metadata: None });
        Ok(())
    }

    /// Takes one of the files away; it comes back when the change succeeds.
    fn take(&mut self) -> Known {
        let at = self.random.below(self.files.len() as u64) as usize;
        self.files.swap_remove(at)
    }

    async fn delete(&mut self) -> fdfs_core::Result<()> {
        let file = self.take();
        let head = FileRef { group: group(), name: file.id.name() };
        at_source(&file.id, Command::DELETE_FILE, &head, &[]).await?;
        self.deleted.push(file.id);
        Ok(())
    }

    async fn set_metadata(&mut self) -> fdfs_core::Result<()> {
        let mut file = self.take();
        let items = format!("key\x02{}", self.random.below(1000)).into_bytes();
        let head = SetMetadata {
            name: file.id.name(),
            items: Items(Rest(items.clone())),
            flag: META_OVERWRITE,
            group: group(),
        };
        at_source(&file.id, Command::SET_METADATA, &head, &[]).await?;
        file.metadata = Some(items);
        self.files.push(file);
        Ok(())
    }

    async fn change(&mut self) -> fdfs_core::Result<()> {
        let mut file = self.take();
        if !file.appender {
            self.files.push(file);
            return Ok(());
        }
        let name: Name = file.id.name();
        let len = self.random.below(30_000);
        match self.random.below(4) {
            0 if file.content.len() > 10 => {
                let (offset, content) = (5, self.random.bytes(5));
                let head = Modify { name, offset, content_len: content.len() as i64 };
                at_source(&file.id, Command::MODIFY_FILE, &head, &content).await?;
                file.content[5..10].copy_from_slice(&content);
            }
            1 => {
                let size = self.random.below(file.content.len() as u64 + 1);
                let head = Truncate { name, size: size as i64 };
                at_source(&file.id, Command::TRUNCATE_FILE, &head, &[]).await?;
                file.content.truncate(size as usize);
            }
            _ => {
                let content = self.random.bytes(len);
                let head = Append { name, content_len: content.len() as i64 };
                at_source(&file.id, Command::APPEND_FILE, &head, &content).await?;
                file.content.extend(content);
            }
        }
        self.files.push(file);
        Ok(())
    }
}

/// A file system of its own as store path; unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(path)?;
        let mut mount = Process::new("mount");
        mount.args(["-t", "tmpfs", "-o", SMALL_DISK, "tmpfs"]).arg(path);
        match mount.status()?.success() {
            true => Ok(Self(path.to_owned())),
            false => Err(std::io::Error::other("no tmpfs can be mounted")),
        }
    }

    /// Takes all the space there is.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = File::create(&path).unwrap();
        let piece = vec![0; 1 << 16];
        while file.write_all(&piece).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the servers may be ending still.
        let _ = Process::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// The test's state.
struct Lab {
    members: Members,
    runtime: Runtime,
    load: Arc<Load>,
    began: std::time::Instant,
}

impl Lab {
    /// Waits until more changes were acknowledged.
    fn wait_for_load(&mut self, what: &str) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (before, refused) = (count(&self.load.acked), count(&self.load.refused));
        let load = self.load.clone();
        wait(&format!("changes: {what}"), PATIENCE, || {
            self.members.check_alive();
            count(&load.acked) >= before + ENOUGH
        });
        let secs = self.began.elapsed().as_secs_f64();
        let refused = count(&load.refused) - refused;
        println!("{secs:5.1} s: {what}: {ENOUGH} acknowledged, {refused} failed");
    }

    fn wait_active(&mut self) {
        self.members.wait_active(&self.runtime);
    }

    fn wait_status(&mut self, host: u8, status: StorageStatus) {
        self.members.wait_status(&self.runtime, host, status);
    }

    fn kill_each(&mut self) {
        for kill in 0..KILLS {
            let host = 1 + kill % STORAGES;
            self.members.kill(host);
            self.wait_for_load(&format!("storage {host} was killed"));
            self.members.start(host);
            self.wait_active();
            self.wait_for_load(&format!("storage {host} is back"));
        }
        self.members.kill(TRACKER);
        self.members.start(TRACKER);
        self.wait_active();
        self.wait_for_load("the tracker was killed and is back");
    }

    fn cut_links(&mut self) {
        self.members.lan.cut(2).unwrap();
        self.wait_status(2, StorageStatus::OFFLINE);
        self.wait_for_load("storage 2 is cut off");
        self.members.lan.heal(2).unwrap();
        self.wait_active();
        self.wait_for_load("storage 2 is back");
        self.members.lan.cut(TRACKER).unwrap();
        self.members.lan.heal(TRACKER).unwrap();
        self.wait_active();
        self.wait_for_load("the tracker was cut off");
    }

    fn slow_link(&mut self) {
        self.members.lan.worsen(3).unwrap();
        self.wait_for_load("storage 3 is behind a slow line");
        self.members.lan.mend(3).unwrap();
        self.wait_for_load("the line is as before");
    }

    fn fill_disk(&mut self, disk: &SmallDisk) {
        let filler = disk.fill();
        self.wait_for_load("the disk of storage 3 is full");
        std::fs::remove_file(filler).unwrap();
        self.wait_for_load("the disk of storage 3 has room again");
    }

    fn restart_each(&mut self) {
        for host in (TRACKER..=STORAGES).rev() {
            self.members.stop(host);
            self.members.start(host);
            self.wait_active();
        }
        self.wait_for_load("all were restarted");
    }
}

/// All acknowledged changes are there, and those alone of files whose last change was answered.
fn check(known: &[Writer], dir: &Path) -> usize {
    let files = tree(dir);
    let path = |id: &FileId| PathBuf::from("data").join(id.path().split_once('/').unwrap().1);
    let mut checked = 0;
    for file in known.iter().flat_map(|writer| &writer.files) {
        let there = files.get(&path(&file.id));
        assert!(there == Some(&file.content), "{}: lost or wrong", file.id);
        let metadata = PathBuf::from(format!("{}-m", path(&file.id).display()));
        if let Some(items) = &file.metadata {
            assert_eq!(files.get(&metadata), Some(items), "{}", file.id);
        }
        checked += 1;
    }
    for id in known.iter().flat_map(|writer| &writer.deleted) {
        assert_eq!(files.get(&path(id)), None, "{id}: deleted, and there again");
        checked += 1;
    }
    checked
}

#[test]
fn members_are_equal_after_everything_that_can_go_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let folder = daemons::folder().unwrap();
    let folders = vec![folder.clone(); usize::from(STORAGES) + 1];
    let small = SmallDisk::mount(&dir.path().join("host3"));
    let (members, disk) = match (Members::new(dir.path(), &folders, ""), small) {
        (Ok(members), Ok(disk)) => (members, disk),
        (Err(error), _) | (_, Err(error)) => {
            return has_no_network("partitions", &error);
        }
    };
    members.lan.enter().unwrap();
    let runtime = Runtime::new().unwrap();
    let (acked, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    let load = Arc::new(Load { stop: AtomicBool::new(false), acked, refused });
    let mut lab = Lab { members, runtime, load, began: std::time::Instant::now() };
    lab.members.start_all();
    lab.wait_active();
    let seed = std::env::var("FDFS_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or(0x5eed_0000_0002);
    println!("FDFS_SEED={seed}");
    let writers: Vec<_> = (0..WRITERS)
        .map(|at| {
            let random = Random(seed + at * 7919);
            let (client, load) = (Members::client(), lab.load.clone());
            let writer = Writer { client, random, load, files: Vec::new(), deleted: Vec::new() };
            lab.runtime.spawn(writer.run())
        })
        .collect();
    lab.wait_for_load("all is well");
    lab.kill_each();
    lab.cut_links();
    lab.slow_link();
    lab.fill_disk(&disk);
    lab.restart_each();
    lab.load.stop.store(true, Ordering::Relaxed);
    let known: Vec<Writer> =
        writers.into_iter().map(|writer| lab.runtime.block_on(writer).unwrap()).collect();
    let mut verify = Process::new(folder.join("fdfs"));
    verify.args(["verify", "group1", "--content", "--settle", "60", "--tracker"]);
    let verdict = verify.arg(Members::tracker()).status().unwrap();
    let trees: Vec<trees::Tree> = lab.members.store_paths().iter().map(|dir| tree(dir)).collect();
    let different = differences(&trees);
    for difference in &different {
        let name = difference.rsplit('/').next().and_then(|name| name.get(..27));
        lab.members.print_records(name.unwrap());
    }
    assert!(different.is_empty(), "the directories differ: {different:#?}");
    assert_eq!(verdict.code(), Some(0));
    let checked = check(&known, &lab.members.base(1));
    let secs = lab.began.elapsed().as_secs_f64();
    let acked = lab.load.acked.load(Ordering::Relaxed);
    println!("{secs:5.1} s: {checked} files checked, {acked} changes acknowledged");
    assert!(checked > 200, "{checked}");
}
