//! Groups whose hosts have addresses of IPv6, or two addresses: real processes on a network of
//! their own (spec 01 §2, 03 §0.5).
#![allow(clippy::unwrap_used, missing_docs)]

use fdfs_core::client::{Client, ClientOptions, Range, StorageStatus, UploadOptions};
use fdfs_core::file_id::FileId;
use fdfs_core::net::{Conn, ConnectOptions};
use fdfs_core::protocol::Command;
use fdfs_core::protocol::tracker::{FetchTargets, FileQuery};
use fdfs_tests::daemons;
use fdfs_tests::lan::{Lan, has_no_network};
use fdfs_tests::members::{Members, PATIENCE, TRACKER, TRACKER_PORT, wait};
use fdfs_tests::trees::settle;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const STORAGES: u8 = 2;

/// A tracker and storages with ids, which runs in a network that this thread has entered.
struct Group {
    // Ends before its folder goes.
    members: Members,
    runtime: Runtime,
    client: Client,
    _dir: TempDir,
}

impl Group {
    /// `addrs` names a host's addresses as storage_ids.conf does, `conf` what its configuration
    /// says of addresses; `None` without a network.
    fn start(
        test: &str,
        prepare: impl FnOnce(&Lan),
        addrs: impl Fn(u8) -> String,
        conf: impl Fn(u8, &str) -> String,
        tracker: &str,
    ) -> Option<Self> {
        let dir = TempDir::new().unwrap();
        let folders = vec![daemons::folder().unwrap(); 1 + usize::from(STORAGES)];
        let members = match Members::new(dir.path(), &folders, "") {
            Ok(members) => members,
            Err(error) => {
                has_no_network(test, &error);
                return None;
            }
        };
        prepare(&members.lan);
        members.lan.enter().unwrap();
        let ids = dir.path().join("storage_ids.conf");
        let lines = members.storages().map(|host| format!("10000{host} group1 {}\n", addrs(host)));
        std::fs::write(&ids, lines.collect::<String>()).unwrap();
        for host in 0..=STORAGES {
            members.change_conf(host, |text| conf(host, text));
        }
        members.change_conf(TRACKER, |text| with_ids(text, &ids));
        let runtime = Runtime::new().unwrap();
        let client = ClientOptions::new([tracker]).unwrap().connect();
        let mut group = Self { members, runtime, client, _dir: dir };
        group.members.start_all();
        group.wait_active();
        Some(group)
    }

    fn wait_active(&mut self) {
        wait("both storages serve", PATIENCE, || {
            self.members.check_alive();
            let listed = self.runtime.block_on(self.client.list_storages("group1", None));
            let listed = listed.unwrap_or_default();
            let active = listed.iter().filter(|storage| storage.status == StorageStatus::ACTIVE);
            active.map(|storage| storage.id.as_str()).eq(["100001", "100002"])
        });
    }

    /// Uploads to whoever the tracker names, both in turn.
    fn upload(&self) -> Vec<(FileId, Vec<u8>)> {
        let upload = async |number: u8| {
            let content = vec![number; 5000];
            let id = self.client.upload(&content, UploadOptions::ext("bin")).await.unwrap();
            (id, content)
        };
        (0..10).map(|number| self.runtime.block_on(upload(number))).collect()
    }

    /// Uploads something that is a second younger at least than what was uploaded before: with it,
    /// the tracker learns that both have all that is older (spec 01 §7.2).
    fn upload_later(&self) {
        std::thread::sleep(Duration::from_millis(1100));
        self.upload();
    }

    /// Waits until both members have the same, and reads all of it.
    fn check(&mut self, files: &[(FileId, Vec<u8>)]) {
        let tree = settle(&self.members.store_paths(), PATIENCE);
        assert!(tree.len() >= files.len(), "{} files", tree.len());
        for (id, content) in files {
            let got = self.runtime.block_on(self.client.download(id, Range::default()));
            assert!(got.unwrap() == *content, "{id}");
        }
        self.members.check_alive();
    }
}

fn with_ids(conf: &str, ids: &Path) -> String {
    let ids = ids.display();
    format!("{conf}use_storage_id=true\nid_type_in_filename=id\nstorage_ids_filename={ids}\n")
}

fn v6(host: u8) -> String {
    format!("fd77::{}", host + 1)
}

#[test]
fn a_group_with_addresses_of_ipv6() {
    let prepare = |lan: &Lan| {
        (0..=STORAGES).for_each(|host| lan.add_addr(host, &format!("{}/64", v6(host))).unwrap());
        lan.add_hub_addr("fd77::fe/64").unwrap();
    };
    let conf = |host: u8, text: &str| {
        let tracker = format!("tracker_server=[{}]", v6(TRACKER));
        text.replace(&format!("bind_addr={}", Lan::addr(host)), &format!("bind_addr={}", v6(host)))
            .replace(&format!("tracker_server={}", Lan::addr(TRACKER)), &tracker)
    };
    let addrs = |host| format!("[{}]", v6(host));
    let tracker = format!("[{}]:{TRACKER_PORT}", v6(TRACKER));
    let test = "a_group_with_addresses_of_ipv6";
    let Some(mut group) = Group::start(test, prepare, addrs, conf, &tracker) else { return };
    let files = group.upload();
    group.check(&files);
    group.upload_later();
    wait("the tracker knows that both have the file", PATIENCE, || {
        let located = group.runtime.block_on(group.client.locate(&files[0].0, true)).unwrap();
        let mut hosts: Vec<String> = located.into_iter().map(|server| server.host).collect();
        hosts.sort();
        hosts == [v6(1), v6(2)]
    });
}

fn outer(host: u8) -> String {
    format!("203.0.113.{}", host + 1)
}

/// Where the tracker sends a client that comes from this address for a file.
async fn seen_from(bind: IpAddr, tracker: &str, id: &FileId) -> Vec<String> {
    let options = ConnectOptions {
        connect_timeout: Duration::from_secs(2),
        io_timeout: Duration::from_secs(5),
        bind: Some(bind),
    };
    let mut conn = Conn::connect(tracker, TRACKER_PORT, &options).await.unwrap();
    let query = FileQuery { group: id.group().try_into().unwrap(), name: id.name() };
    let found: FetchTargets = conn.call(Command::QUERY_FETCH_ALL, &query).await.unwrap();
    let mut hosts: Vec<String> = found.servers.iter().map(|server| server.ip.to_string()).collect();
    hosts.sort();
    hosts
}

#[test]
fn a_group_whose_hosts_have_two_addresses() {
    let prepare = |lan: &Lan| {
        let give = |host: u8| lan.add_addr(host, &format!("{}/24", outer(host))).unwrap();
        (0..=STORAGES).for_each(give);
        lan.add_hub_addr("203.0.113.254/24").unwrap();
    };
    let conf = |host: u8, text: &str| {
        let (inner, tracker) = (Lan::addr(host), Lan::addr(TRACKER));
        let both = format!("tracker_server={tracker},{}:", outer(TRACKER));
        text.replace(&format!("bind_addr={inner}\n"), "bind_addr=\n")
            .replace(&format!("tracker_server={tracker}:"), &both)
    };
    let addrs = |host| format!("{},{}", Lan::addr(host), outer(host));
    let tracker = format!("{}:{TRACKER_PORT}", outer(TRACKER));
    let test = "a_group_whose_hosts_have_two_addresses";
    let Some(mut group) = Group::start(test, prepare, addrs, conf, &tracker) else { return };
    let files = group.upload();
    group.check(&files);
    group.upload_later();
    let sees = |bind: IpAddr, tracker: &str, expected: [String; 2]| {
        wait(&format!("{bind} sees {expected:?}"), PATIENCE, || {
            group.runtime.block_on(seen_from(bind, tracker, &files[0].0)) == expected
        });
    };
    // Each the addresses of its own network.
    sees("203.0.113.254".parse().unwrap(), &outer(TRACKER), [outer(1), outer(2)]);
    let inner = [Lan::addr(1), Lan::addr(2)].map(|addr| addr.to_string());
    sees(Lan::hub_addr().into(), &Lan::addr(TRACKER).to_string(), inner);
}
