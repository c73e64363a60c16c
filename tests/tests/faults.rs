//! Every call to the disk fails once, in every operation: the client hears of it, nothing partial
//! stays under a name, and the binlog knows exactly what was acknowledged (reliability plan T5).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

use fdfs_core::config::{ClusterParams, StorageIds};
use fdfs_core::file_id::{LogicName, Source};
use fdfs_core::protocol::storage::{
    Append, FileRef, Items, SetMetadata, StoredAs, Truncate, Upload, UploadSlave,
};
use fdfs_core::protocol::{Command, Status};
use fdfs_core::wire::{Rest, Wire};
use fdfs_servers::daemon::{ConnLimits, Server, ServerOptions};
use fdfs_servers::storage::clock::SystemClock;
use fdfs_servers::storage::config::StorageConfig;
use fdfs_servers::storage::disk::fault::FaultDisk;
use fdfs_servers::storage::engine::{Engine, Identity};
use fdfs_servers::storage::serve;
use fdfs_tests::raw::{Answer, Raw};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const ENOSPC: i32 = 28;
/// More calls than any operation makes.
const CALLS_MAX: i64 = 60;

struct Lab {
    _runtime: tokio::runtime::Runtime,
    _server: Server,
    disk: FaultDisk,
    dir: tempfile::TempDir,
    addr: std::net::SocketAddr,
}

impl Lab {
    fn new(params: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let any = "127.0.0.1:0".parse().unwrap();
        let nobody = "127.0.0.1:1".parse().unwrap();
        let config = StorageConfig::embedded(dir.path(), any, "group1", nobody).unwrap();
        let identity = Identity {
            group: "group1".try_into().unwrap(),
            id: "127.0.0.1".try_into().unwrap(),
            source: Source::Ip([127, 0, 0, 1].into()),
        };
        let params = format!("reserved_storage_space=1MB\nresponse_ip_addr_size=16\n{params}");
        let params = ClusterParams::parse(&params).unwrap();
        let disk = FaultDisk::new(ENOSPC);
        let (shared, clock) = (Arc::new(disk.clone()), Arc::new(SystemClock));
        let engine =
            Engine::open(&config, identity, params, StorageIds::default(), shared, clock).unwrap();
        let engine = Arc::new(engine);
        let options = ServerOptions {
            addrs: vec![any],
            connections_max: 16,
            limits: ConnLimits::new(1 << 18, Duration::from_secs(10)),
            allow: Arc::new(|_| true),
        };
        let server = {
            let _inside = runtime.enter();
            Server::start(&options, move |conn| serve(engine.clone(), conn)).unwrap()
        };
        let addr = server.addrs()[0];
        Self { _runtime: runtime, _server: server, disk, dir, addr }
    }

    fn connect(&self) -> Raw {
        Raw::connect(self.addr)
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn binlog(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.data().join("sync/binlog.000")).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// Every file under a final name is what its name says.
    fn assert_whole(&self, what: &str) {
        for high in 0..16 {
            for low in 0..16 {
                let dir = self.data().join(format!("{high:02X}/{low:02X}"));
                for entry in std::fs::read_dir(&dir).unwrap() {
                    self.assert_file_whole(&entry.unwrap().path(), what);
                }
            }
        }
        let entries = std::fs::read_dir(self.data()).unwrap();
        let temporary = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with(".fdfs-");
        let left = entries.filter(|entry| temporary(&entry.as_ref().unwrap().file_name())).count();
        assert_eq!(left, 0, "{what}: temporary files left");
    }

    fn assert_file_whole(&self, path: &Path, what: &str) {
        let name = path.strip_prefix(self.data()).unwrap().to_str().unwrap();
        let name = format!("M00/{name}");
        let parsed = LogicName::parse(name.as_bytes()).unwrap();
        let stamp = parsed.stamp().unwrap();
        let content = std::fs::read(path).unwrap();
        if name.len() == 44 && !stamp.size.is_appender() && !path.is_symlink() {
            assert_eq!(content.len() as u64, stamp.size.bytes(), "{what}: {name}");
            assert_eq!(crc32fast::hash(&content), stamp.crc32, "{what}: {name}");
        }
    }

    /// Runs `operation` with each call failing in turn, until it passes untouched.
    fn with_every_fault(&self, what: &str, operation: impl Fn(&mut Raw) -> Answer) {
        self.with_every_fault_on(what, || (), |raw, ()| operation(raw));
    }

    /// The same on something that is made before each round, while the disk is well.
    fn with_every_fault_on<T>(
        &self,
        what: &str,
        prepare: impl Fn() -> T,
        operation: impl Fn(&mut Raw, T) -> Answer,
    ) {
        for nth in 1..CALLS_MAX {
            let mut raw = self.connect();
            let prepared = prepare();
            let before = self.binlog().len();
            self.disk.fail_call(nth);
            let answer = operation(&mut raw, prepared);
            let failed = self.disk.has_failed();
            self.disk.fail_call(0);
            let status = answer.status().unwrap();
            if !failed {
                assert!(status.is_ok(), "{what}: {status} without a fault");
                assert!(nth > 1, "{what}: no call was reached");
                return;
            }
            assert!(status.is_ok() || status == Status::ENOSPC, "{what}, call {nth}: {status}");
            if !status.is_ok() {
                assert!(raw.is_alive(), "{what}, call {nth}: the connection stays in step");
            }
            self.assert_whole(&format!("{what}, call {nth}"));
            let added = self.binlog().len() - before;
            // Making the file and its metadata, or the file and its link, are two records.
            assert!(added <= 2 && (status.is_ok() || added <= 1), "{what}, call {nth}: {added}");
        }
        panic!("{what}: more than {CALLS_MAX} calls");
    }
}

fn upload(raw: &mut Raw, command: Command, len: usize) -> Answer {
    let content: Vec<u8> = (0..len).map(|at| (at % 253) as u8).collect();
    let ext = "bin".try_into().unwrap();
    let head = Upload { store_path: 0xff, content_len: len as i64, ext };
    raw.call_with(command, &head, &content)
}

fn name_of(answer: Answer) -> String {
    StoredAs::decode(&answer.body()).unwrap().name.to_string()
}

/// A file to work on, made while the disk is well.
fn made(lab: &Lab, command: Command) -> String {
    name_of(upload(&mut lab.connect(), command, 1000))
}

#[test]
fn uploads_survive_every_fault() {
    let lab = Lab::new("");
    lab.with_every_fault("small upload", |raw| upload(raw, Command::UPLOAD_FILE, 5000));
    lab.with_every_fault("large upload", |raw| upload(raw, Command::UPLOAD_FILE, 900_000));
    lab.with_every_fault("appender", |raw| upload(raw, Command::UPLOAD_APPENDER_FILE, 5000));
    for use_link in ["0", "1"] {
        let lab = Lab::new(&format!("store_slave_file_use_link={use_link}\n"));
        let master = made(&lab, Command::UPLOAD_FILE);
        let number = std::cell::Cell::new(0);
        lab.with_every_fault("slave", |raw| {
            number.set(number.get() + 1);
            let head = UploadSlave {
                master: master.as_str().try_into().unwrap(),
                content_len: 5,
                prefix: format!("_{}", number.get()).as_str().try_into().unwrap(),
                ext: "bin".try_into().unwrap(),
            };
            raw.call_with(Command::UPLOAD_SLAVE_FILE, &head, b"slave")
        });
    }
}

#[test]
fn changes_survive_every_fault() {
    let lab = Lab::new("");
    for len in [10, 600_000] {
        let name = made(&lab, Command::UPLOAD_APPENDER_FILE);
        let path = lab.data().join(&name[4..]);
        lab.with_every_fault("append", |raw| {
            let before = std::fs::metadata(&path).unwrap().len();
            let head = Append { name: name.as_str().try_into().unwrap(), content_len: len };
            let answer = raw.call_with(Command::APPEND_FILE, &head, &vec![1; len as usize]);
            let after = std::fs::metadata(&path).unwrap().len();
            match answer.status().unwrap().is_ok() {
                true => assert_eq!(after, before + len as u64),
                // The very call that cuts a failed append off may be the one that fails; nothing
                // else may leave bytes of it.
                false => assert!(after == before || after <= before + len as u64),
            }
            answer
        });
    }
    let name = made(&lab, Command::UPLOAD_APPENDER_FILE);
    let size = std::cell::Cell::new(1000);
    lab.with_every_fault("truncate", |raw| {
        size.set(size.get() - 1);
        let head = Truncate { name: name.as_str().try_into().unwrap(), size: size.get() };
        raw.call_with(Command::TRUNCATE_FILE, &head, &[])
    });
    let appender = || made(&lab, Command::UPLOAD_APPENDER_FILE);
    lab.with_every_fault_on("regenerate", appender, |raw, name| {
        raw.call(Command::REGENERATE_APPENDER_FILENAME, name.as_bytes())
    });
}

#[test]
fn deletions_and_metadata_survive_every_fault() {
    let lab = Lab::new("");
    let name = made(&lab, Command::UPLOAD_FILE);
    for (flag, items) in [(b'O', &b"a\x021"[..]), (b'M', b"b\x022"), (b'O', b"c\x023")] {
        lab.with_every_fault("set metadata", |raw| {
            let request = SetMetadata {
                name: name.as_str().try_into().unwrap(),
                items: Items(Rest(items.to_vec())),
                flag,
                group: "group1".try_into().unwrap(),
            };
            raw.call_with(Command::SET_METADATA, &request, &[])
        });
    }
    let file =
        FileRef { group: "group1".try_into().unwrap(), name: name.as_str().try_into().unwrap() };
    let got = lab.connect().call_with(Command::GET_METADATA, &file, &[]).body();
    assert_eq!(got, b"c\x023");
    let doomed = || made(&lab, Command::UPLOAD_FILE);
    lab.with_every_fault_on("delete", doomed, |raw, name| {
        let name = name.as_str().try_into().unwrap();
        let file = FileRef { group: "group1".try_into().unwrap(), name };
        raw.call_with(Command::DELETE_FILE, &file, &[])
    });
}
