//! `fdfs monitor` as operators and their scripts call it.
#![allow(clippy::unwrap_used, missing_docs)]

use fdfs_core::client::{ClientOptions, UploadOptions};
use fdfs_servers::embedded::{Background, EmbeddedOptions};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

struct Lab {
    dir: tempfile::TempDir,
    cluster: Background,
}

impl Lab {
    fn new(storages: u8) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut options = EmbeddedOptions::new(dir.path().join("cluster"));
        options.groups = vec![("group1".into(), storages)];
        let cluster = Background::start(options).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_fdfs"), dir.path().join("fdfs_monitor"))
            .unwrap();
        let lab = Self { dir, cluster };
        let text = format!("tracker_server={}\n", lab.cluster.tracker_addr());
        std::fs::write(lab.conf(), text).unwrap();
        lab
    }

    fn conf(&self) -> PathBuf {
        self.dir.path().join("client.conf")
    }

    fn monitor(&self, args: &[&str]) -> Output {
        let program = self.dir.path().join("fdfs_monitor");
        Command::new(program).arg(self.conf()).args(args).output().unwrap()
    }

    fn printed(&self, args: &[&str]) -> String {
        let output = self.monitor(args);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn the_list_names_groups_and_storages_as_the_originals_does() {
    let lab = Lab::new(1);
    let tracker = lab.cluster.tracker_addr();
    let text = lab.printed(&[]);
    let begin = format!(
        "tracker server count=1, current server index=0\n\ntracker server is {tracker}\n\n\
         group count: 1\n\nGroup 1:\ngroup name = group1\ndisk total space     = "
    );
    assert!(text.starts_with(&begin), "{text}");
    let address = lab.cluster.storage_addrs().first().unwrap();
    assert!(text.contains(&format!("\t\thost = {address}  ACTIVE\n")), "{text}");
    assert!(lab.printed(&["list", "group1"]).contains("\n\ngroup name = group1\n"));
    assert!(!lab.printed(&["list", "nobody"]).contains("group name"));
    let named = lab.printed(&["-h", &tracker.to_string(), "list"]);
    assert_eq!(named.lines().count(), text.lines().count());
    let other = lab.monitor(&["-h", "10.0.0.9"]);
    assert_eq!(other.status.code(), Some(2));
    assert_eq!(other.stdout, b"tracker server: 10.0.0.9 not exists!\n");
    let busy = lab.printed(&["delete", "group1", &address.ip().to_string()]);
    let refusal = "fail, error no: 16, error info: Device or resource busy\n";
    assert!(busy.ends_with(&format!("delete storage server group1::{} {refusal}", address.ip())));
    assert!(
        lab.printed(&["delete", "group1"]).ends_with(&format!("delete group: group1 {refusal}"))
    );
    assert!(lab.printed(&["foo"]).contains("Invalid command foo\n"));
}

#[test]
fn json_tells_how_far_each_peer_is() {
    let lab = Lab::new(2);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let tracker = lab.cluster.tracker_addr().to_string();
    let client = ClientOptions::new([tracker]).unwrap().connect();
    runtime.block_on(client.upload(b"content", UploadOptions::ext("txt"))).unwrap();
    let began = Instant::now();
    loop {
        let text = lab.printed(&["--json"]);
        let cluster: serde_json::Value = serde_json::from_str(&text).unwrap();
        let storages = cluster["groups"][0]["storages"].as_array().unwrap();
        let peers: Vec<&serde_json::Value> =
            storages.iter().map(|storage| &storage["replication"]["peers"][0]).collect();
        if peers.iter().all(|peer| peer["lag_records"] == 0 && peer["state"] == "idle") {
            assert_eq!(peers.len(), 2);
            for peer in peers {
                for key in ["lag_bytes", "lag_secs", "damaged_records"] {
                    assert_eq!(peer[key], 0, "{key}: {peer}");
                }
                assert_eq!(peer["status"], "ACTIVE");
                assert!(peer["reason"].is_null() && peer["sent"].is_u64(), "{peer}");
            }
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{text}");
    }
}

#[test]
fn a_tracker_that_is_not_there_ends_it_with_its_own_code() {
    let dir = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let conf = dir.path().join("client.conf");
    std::fs::write(&conf, format!("tracker_server={free}\n")).unwrap();
    let run = |conf: &Path| {
        let command = Command::new(env!("CARGO_BIN_EXE_fdfs")).arg("monitor").arg(conf).output();
        command.unwrap().status.code()
    };
    assert_eq!(run(&conf), Some(115));
    assert_eq!(run(&dir.path().join("missing.conf")), Some(2));
}
