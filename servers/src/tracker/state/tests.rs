//! The rules of the specification, one by one, and the recordings of the original.
#![allow(clippy::cast_possible_truncation)]

use super::*;
use crate::tracker::config::StoreLookup;
use fdfs_core::config::Reserved;
use fdfs_core::file_id::generate::{logic_name, tail};
use fdfs_core::file_id::{SizeField, Source, Stamp};
use fdfs_core::protocol::cluster::{ChangeList, DiskSpace, Join, Joined, SyncSource, SyncedUntil};
use fdfs_core::protocol::stats::StorageStats;
use fdfs_core::protocol::tracker::{FetchTargets, GroupStat, StoreTarget, StoreTargets};
use fdfs_core::protocol::{Name, tracker as t};

const NOW: i64 = 1_800_000_000;
const PORT: u16 = 22122;

fn config(change: impl FnOnce(&mut TrackerConfig)) -> Arc<TrackerConfig> {
    let listen = "10.77.0.1:22122".parse().unwrap();
    let mut config = TrackerConfig::embedded("/t".as_ref(), listen).unwrap();
    change(&mut config);
    Arc::new(config)
}

struct Cluster {
    state: ClusterState,
    sessions: Vec<Session>,
    now: i64,
}

impl Cluster {
    fn new(change: impl FnOnce(&mut TrackerConfig)) -> Self {
        let state = ClusterState::new(config(change), PORT, NOW);
        Self { state, sessions: Vec::new(), now: NOW }
    }

    /// `count` active storages 10.77.0.2, .3, … of `group`, with two paths of 100 of 1000 MiB.
    fn with_storages(mut self, group: &str, first: u8, count: u8) -> Self {
        for at in 0..count {
            let session = self.start(&format!("10.77.0.{}", first + at), group, |_| {});
            self.space(session, &[(1000, 100), (1000, 100)]);
        }
        self
    }

    /// A storage that serves and has not told its space.
    fn start(&mut self, ip: &str, group: &str, change: impl FnOnce(&mut Join)) -> usize {
        let session = self.connect(ip);
        let joined = self.join(session, group, change).unwrap();
        if StorageStatus(joined.status) != StorageStatus::ONLINE {
            // Stand in for the source that fills a new member.
            let notify = SyncSource { id: StorageId::EMPTY, until: 0 };
            self.call(session, Command::SYNC_NOTIFY, notify).unwrap();
        }
        self.beat(session);
        session
    }

    fn connect(&mut self, ip: &str) -> usize {
        let id = self.sessions.len() as u64;
        let session = Session::new(id, ip.parse().unwrap(), "10.77.0.1".parse().unwrap());
        self.sessions.push(session);
        self.sessions.len() - 1
    }

    fn hang_up(&mut self, session: usize) {
        let session = self.sessions[session].clone();
        self.state.disconnected(&session);
    }

    fn raw(&mut self, session: usize, command: Command, body: &[u8]) -> Result<BytesMut, Status> {
        let mut out = BytesMut::new();
        let header = Header::request(command, body.len() as u64);
        let session = &mut self.sessions[session];
        match self.state.apply(self.now, session, header, body, &mut out) {
            Status::OK => Ok(out),
            status => Err(status),
        }
    }

    fn call(&mut self, at: usize, command: Command, body: impl Wire) -> Result<BytesMut, Status> {
        self.raw(at, command, &body.encode())
    }

    fn join(
        &mut self,
        session: usize,
        group: &str,
        change: impl FnOnce(&mut Join),
    ) -> Result<Joined, Status> {
        let mut join = Join {
            group: group.try_into().unwrap(),
            port: 23000,
            store_path_count: 2,
            subdir_count_per_path: 256,
            upload_priority: 10,
            join_time: NOW - 100,
            up_time: NOW,
            version: "6.16.1".try_into().unwrap(),
            init_flag: 1,
            status: 0,
            id: StorageId::EMPTY,
            tracker_ip: "10.77.0.1".try_into().unwrap(),
            trackers: vec!["10.77.0.1:22122".try_into().unwrap()],
        };
        change(&mut join);
        let reply = self.call(session, Command::STORAGE_JOIN, join)?;
        Ok(Joined::decode(&reply).unwrap())
    }

    fn beat(&mut self, session: usize) -> ChangeList {
        let stats = Some(StorageStats::default());
        ChangeList::decode(&self.call(session, Command::STORAGE_BEAT, stats).unwrap()).unwrap()
    }

    fn space(&mut self, session: usize, paths: &[(i64, i64)]) {
        let paths = paths
            .iter()
            .map(|(total_mb, free_mb)| DiskSpace { total_mb: *total_mb, free_mb: *free_mb });
        let paths: Vec<DiskSpace> = paths.collect();
        self.call(session, Command::REPORT_DISK_USAGE, paths).unwrap();
    }

    fn status_of(&self, group: &str, ip: &str) -> StorageStatus {
        let group = self.state.group(&group.try_into().unwrap()).unwrap();
        group.storage(ip.as_bytes()).unwrap().status
    }

    fn store(&mut self, group: Option<&str>) -> Result<(String, String, u8), Status> {
        let client = self.connect("10.77.0.9");
        let reply = match group {
            None => self.call(client, Command::QUERY_STORE, ())?,
            Some(group) => {
                let group: GroupName = group.try_into().unwrap();
                self.call(client, Command::QUERY_STORE_GROUP, group)?
            }
        };
        assert_eq!(reply.len(), 40);
        let target = StoreTarget::decode(&reply).unwrap();
        Ok((target.group.to_string(), target.server.ip.to_string(), target.store_path))
    }

    fn fetch(&mut self, command: Command, name: Name) -> Result<Vec<String>, Status> {
        let client = self.connect("10.77.0.9");
        let query = t::FileQuery { group: "group1".try_into().unwrap(), name };
        let reply = self.call(client, command, query)?;
        let servers = FetchTargets::decode(&reply).unwrap().servers;
        Ok(servers.iter().map(|server| server.ip.to_string()).collect())
    }
}

fn name(source: &str, created: i64, size: SizeField) -> Name {
    let source = Source::Ip(source.parse().unwrap());
    let stamp = Stamp { source, created: i32::try_from(created).unwrap(), size, crc32: 1 };
    logic_name(0, (0, 0), &stamp, tail("txt".try_into().unwrap(), 1))
}

fn normal(source: &str, created: i64) -> Name {
    name(source, created, SizeField::normal(5, 1))
}

#[test]
fn uploads_go_round_robin_over_servers_and_paths() {
    let mut cluster = Cluster::new(|_| {}).with_storages("group1", 2, 2);
    let targets: Vec<_> = (0..4).map(|_| cluster.store(None).unwrap()).collect();
    let of = |ip: &str, path| ("group1".to_owned(), ip.to_owned(), path);
    let expected = [of("10.77.0.2", 0), of("10.77.0.3", 0), of("10.77.0.2", 1), of("10.77.0.3", 1)];
    assert_eq!(targets, expected);
    assert_eq!(cluster.store(Some("none")), Err(Status::ENOENT));
}

#[test]
fn uploads_go_to_the_first_server_or_by_priority_when_told_to() {
    let mut first = Cluster::new(|c| c.store_server = StoreServer::First);
    first = first.with_storages("group1", 2, 3);
    assert_eq!(first.store(None).unwrap().1, "10.77.0.2");
    assert_eq!(first.store(None).unwrap().1, "10.77.0.2");

    let mut cluster = Cluster::new(|c| c.store_server = StoreServer::Priority);
    for (ip, priority) in [("10.77.0.2", 10), ("10.77.0.3", 5), ("10.77.0.4", 5)] {
        let session = cluster.start(ip, "group1", |join| join.upload_priority = priority);
        cluster.space(session, &[(1000, 100), (1000, 100)]);
    }
    assert_eq!(cluster.store(None).unwrap().1, "10.77.0.3", "the first of equals");
}

#[test]
fn groups_are_chosen_round_robin_fixed_or_by_free_space() {
    let both = |c: Cluster| c.with_storages("group1", 2, 1).with_storages("group2", 3, 1);
    let mut turns = both(Cluster::new(|_| {}));
    let groups: Vec<_> = (0..3).map(|_| turns.store(None).unwrap().0).collect();
    assert_eq!(groups, ["group1", "group2", "group1"]);

    let fixed = StoreLookup::Group("group2".into());
    let mut fixed = both(Cluster::new(|c| c.store_lookup = fixed));
    assert_eq!(fixed.store(None).unwrap().0, "group2");
    let absent = StoreLookup::Group("group9".into());
    let mut absent = both(Cluster::new(|c| c.store_lookup = absent));
    assert_eq!(absent.store(None), Err(Status::ENOENT));

    let mut balanced = both(Cluster::new(|c| c.store_lookup = StoreLookup::LoadBalance));
    assert_eq!(balanced.store(None).unwrap().0, "group1", "the first by name among equals");
    balanced.space(1, &[(1000, 500), (1000, 100)]);
    assert_eq!(balanced.store(None).unwrap().0, "group2");
    assert_eq!(balanced.store(None).unwrap().0, "group2", "it stays");
}

#[test]
fn full_groups_and_paths_are_passed_over() {
    let ratio = |c: &mut TrackerConfig| c.params.reserved_storage_space = Reserved::Ratio(0.2);
    let mut full = Cluster::new(ratio).with_storages("group1", 2, 1);
    assert_eq!(full.store(None), Err(Status::ENOSPC));
    assert_eq!(full.store(Some("group1")), Err(Status::ENOSPC));
    full.space(0, &[(1000, 100), (1000, 900)]);
    // The group's figure follows a storage whose free space grew.
    assert_eq!(full.store(None).unwrap().2, 1, "the path that has room");
    assert_eq!(full.store(None).unwrap().2, 1);
    let mut full = full.with_storages("group2", 3, 1);
    assert_eq!(full.store(Some("group2")), Err(Status::ENOSPC));
    assert_eq!(full.store(None).unwrap().0, "group1");
    assert_eq!(full.store(None).unwrap().0, "group1", "group2 is full");

    let absolute = |c: &mut TrackerConfig| c.params.reserved_storage_space = Reserved::Mb(199);
    let mut cluster = Cluster::new(absolute).with_storages("group1", 2, 1);
    assert!(cluster.store(None).is_ok(), "200 > 199, and each path 100 > 99");
    cluster.space(0, &[(1000, 99), (1000, 101)]);
    assert_eq!(cluster.store(None).unwrap().2, 1);
    cluster.space(0, &[(1000, 99), (1000, 100)]);
    assert_eq!(cluster.store(None), Err(Status::ENOSPC));
}

#[test]
fn uploads_pass_over_a_storage_that_has_not_told_its_space() {
    for rule in [StoreServer::RoundRobin, StoreServer::First, StoreServer::Priority] {
        let mut cluster = Cluster::new(|c| c.store_server = rule);
        let started = ["10.77.0.2", "10.77.0.3"].map(|ip| cluster.start(ip, "group1", |_| {}));
        assert_eq!(cluster.status_of("group1", "10.77.0.2"), StorageStatus::ACTIVE);
        assert_eq!(cluster.store(None), Err(Status::ENOSPC), "nobody has told");
        cluster.space(started[1], &[(1000, 100), (1000, 100)]);
        for _ in 0..3 {
            assert_eq!(cluster.store(None).unwrap().1, "10.77.0.3", "{rule:?}");
            let client = cluster.connect("10.77.0.9");
            let all = cluster.call(client, Command::QUERY_STORE_ALL, ()).unwrap();
            assert_eq!(StoreTargets::decode(&all).unwrap().servers.len(), 2);
        }
        cluster.space(started[0], &[(1000, 100), (1000, 100)]);
        let targets: Vec<_> = (0..2).map(|_| cluster.store(None).unwrap().1).collect();
        assert!(targets.contains(&"10.77.0.2".to_owned()), "{rule:?}: {targets:?}");
    }
}

#[test]
fn a_group_is_not_full_for_a_storage_that_has_not_told_its_space() {
    let mut cluster = Cluster::new(|_| {}).with_storages("group1", 2, 1);
    let newcomer = cluster.start("10.77.0.3", "group1", |_| {});
    assert_eq!(cluster.status_of("group1", "10.77.0.3"), StorageStatus::ACTIVE);
    cluster.space(0, &[(1000, 150), (1000, 150)]);
    assert_eq!(cluster.store(None).unwrap().1, "10.77.0.2");
    cluster.space(newcomer, &[(1000, 0), (1000, 0)]);
    assert_eq!(cluster.store(None), Err(Status::ENOSPC), "now it is");
}

#[test]
fn the_path_with_most_space_is_taken_when_told_to() {
    let mut cluster = Cluster::new(|c| c.params.store_path = 2).with_storages("group1", 2, 1);
    cluster.space(0, &[(1000, 100), (1000, 101)]);
    assert_eq!(cluster.store(None).unwrap().2, 1);
    assert_eq!(cluster.store(None).unwrap().2, 1);
}

#[test]
fn all_targets_are_listed_with_one_path() {
    let mut cluster = Cluster::new(|_| {}).with_storages("group1", 2, 2);
    let reply = cluster.call(0, Command::QUERY_STORE_ALL, ()).unwrap();
    assert_eq!(reply.len(), 17 + 2 * 23);
    assert_eq!(StoreTargets::decode(&reply).unwrap().store_path, 0);
    let group: GroupName = "group1".try_into().unwrap();
    let reply = cluster.call(0, Command::QUERY_STORE_GROUP_ALL, group).unwrap();
    assert_eq!(StoreTargets::decode(&reply).unwrap().store_path, 1, "the counter went on");
    assert_eq!(cluster.raw(0, Command::QUERY_STORE_ALL, b"x"), Err(Status::EINVAL));
}

#[test]
fn fresh_files_are_read_where_they_are() {
    let mut cluster = Cluster::new(|_| {}).with_storages("group1", 2, 3);
    let fresh = normal("10.77.0.3", NOW);
    for _ in 0..4 {
        assert_eq!(cluster.fetch(Command::QUERY_FETCH, fresh).unwrap(), ["10.77.0.3"]);
    }
    assert_eq!(cluster.fetch(Command::QUERY_FETCH_ALL, fresh).unwrap(), ["10.77.0.3"]);
    // The third reports that everything of the second up to a second later has arrived.
    let source = "10.77.0.3".try_into().unwrap();
    let report = vec![SyncedUntil { source, timestamp: i32::try_from(NOW + 1).unwrap() }];
    cluster.call(2, Command::SYNC_REPORT, report).unwrap();
    let all = cluster.fetch(Command::QUERY_FETCH_ALL, fresh).unwrap();
    assert_eq!(all, ["10.77.0.3", "10.77.0.4"]);
    cluster.now = NOW + 86401;
    let old: Vec<_> =
        (0..3).map(|_| cluster.fetch(Command::QUERY_FETCH, fresh).unwrap().remove(0)).collect();
    let mut sorted = old.clone();
    sorted.sort();
    assert_eq!(sorted, ["10.77.0.2", "10.77.0.3", "10.77.0.4"], "round robin, got {old:?}");
}

#[test]
fn a_file_counts_as_there_when_the_time_to_copy_it_is_over() {
    let mut cluster = Cluster::new(|_| {}).with_storages("group1", 2, 2);
    let source = "10.77.0.2".try_into().unwrap();
    let report = vec![SyncedUntil { source, timestamp: i32::try_from(NOW - 1).unwrap() }];
    cluster.call(1, Command::SYNC_REPORT, report).unwrap();
    let file = normal("10.77.0.2", NOW);
    let all = |cluster: &mut Cluster| cluster.fetch(Command::QUERY_FETCH_ALL, file).unwrap().len();
    cluster.now = NOW + 300;
    assert_eq!(all(&mut cluster), 1);
    cluster.now = NOW + 301;
    assert_eq!(all(&mut cluster), 2, "last synced + 1 reaches it and 300 s have passed");
}

#[test]
fn appender_and_slave_files_are_read_at_their_source() {
    let mut cluster = Cluster::new(|_| {}).with_storages("group1", 2, 3);
    cluster.now = NOW + 200_000;
    let appender = name("10.77.0.3", NOW, SizeField::appender(3));
    let slave: Name = format!("{}_big.jpg", normal("10.77.0.4", NOW)).as_str().try_into().unwrap();
    assert_eq!(cluster.fetch(Command::QUERY_FETCH, appender).unwrap(), ["10.77.0.3"]);
    assert_eq!(cluster.fetch(Command::QUERY_FETCH_ALL, slave).unwrap(), ["10.77.0.4"]);
    let stranger = name("10.99.0.3", NOW, SizeField::appender(3));
    let fallback = cluster.fetch(Command::QUERY_FETCH, stranger).unwrap();
    assert_eq!(fallback, ["10.77.0.2"], "the preselected store server");
}

#[test]
fn downloads_go_to_the_source_first_when_told_to() {
    let mut cluster = Cluster::new(|c| c.download_source_first = true);
    cluster = cluster.with_storages("group1", 2, 3);
    cluster.now = NOW + 200_000;
    for _ in 0..3 {
        let file = normal("10.77.0.3", NOW);
        assert_eq!(cluster.fetch(Command::QUERY_FETCH, file).unwrap(), ["10.77.0.3"]);
    }
}

#[test]
fn changes_go_to_the_source_or_where_uploads_go() {
    let mut cluster = Cluster::new(|_| {}).with_storages("group1", 2, 2);
    let file = normal("10.77.0.3", NOW);
    assert_eq!(cluster.fetch(Command::QUERY_UPDATE, file).unwrap(), ["10.77.0.3"]);
    cluster.hang_up(1);
    assert_eq!(cluster.fetch(Command::QUERY_UPDATE, file).unwrap(), ["10.77.0.2"]);
    let short: Name = "M00/00/00/abcdefghijk".try_into().unwrap();
    assert_eq!(cluster.fetch(Command::QUERY_FETCH, short), Err(Status::EINVAL));
    let junk: Name = "M00/00/00/!!!!!!!!!!!!!!!!".try_into().unwrap();
    assert!(cluster.fetch(Command::QUERY_FETCH, junk).is_ok(), "a junk name gets a server");
}

#[test]
fn a_storage_lives_through_its_states() {
    let mut cluster = Cluster::new(|_| {}).with_storages("group1", 2, 1);
    assert_eq!(cluster.status_of("group1", "10.77.0.2"), StorageStatus::ACTIVE);
    let new = cluster.connect("10.77.0.3");
    assert_eq!(cluster.join(new, "group1", |_| {}).unwrap().status, 0);
    cluster.beat(new);
    assert_eq!(cluster.status_of("group1", "10.77.0.3"), StorageStatus::INIT, "not by a beat");
    let source = cluster.call(new, Command::SYNC_DEST_REQ, ()).unwrap();
    let source = Option::<SyncSource>::decode(&source).unwrap().unwrap();
    assert_eq!((source.id.to_string().as_str(), source.until), ("10.77.0.2", NOW));
    assert_eq!(cluster.status_of("group1", "10.77.0.3"), StorageStatus::WAIT_SYNC);
    let report = |status: StorageStatus, ip: &str| fdfs_core::protocol::cluster::StatusReport {
        group: "group1".try_into().unwrap(),
        storage: t::Brief {
            status: status.0,
            port: 0,
            id: ip.try_into().unwrap(),
            ip: ip.try_into().unwrap(),
        },
    };
    for (reported, then) in [
        (StorageStatus::SYNCING, StorageStatus::SYNCING),
        (StorageStatus::WAIT_SYNC, StorageStatus::SYNCING),
        (StorageStatus::OFFLINE, StorageStatus::OFFLINE),
    ] {
        cluster.call(0, Command::REPORT_STATUS, report(reported, "10.77.0.3")).unwrap();
        assert_eq!(cluster.status_of("group1", "10.77.0.3"), then);
    }
    cluster.beat(new);
    assert_eq!(cluster.status_of("group1", "10.77.0.3"), StorageStatus::ACTIVE);
    cluster.hang_up(new);
    assert_eq!(cluster.status_of("group1", "10.77.0.3"), StorageStatus::OFFLINE);
    let again = cluster.connect("10.77.0.3");
    let joined = cluster.join(again, "group1", |join| join.init_flag = 0).unwrap();
    assert_eq!(StorageStatus(joined.status), StorageStatus::ONLINE);
    assert_eq!(joined.source.to_string(), "10.77.0.2");
    cluster.beat(again);
    cluster.state.tick(NOW + 101);
    assert_eq!(cluster.status_of("group1", "10.77.0.3"), StorageStatus::OFFLINE, "no beat");
}

#[test]
fn joins_that_do_not_fit_are_refused_and_leave_no_trace() {
    let mut cluster = Cluster::new(|_| {}).with_storages("group1", 2, 2);
    let before = cluster.state.groups()[0].storages.len();
    let session = cluster.connect("10.77.0.8");
    for (change, status) in [
        (Box::new(|j: &mut Join| j.port = 23001) as Box<dyn FnOnce(&mut Join)>, Status::EINVAL),
        (Box::new(|j: &mut Join| j.port = 0), Status::EINVAL),
        (Box::new(|j: &mut Join| j.store_path_count = 1), Status::EINVAL),
        (Box::new(|j: &mut Join| j.store_path_count = 257), Status::EINVAL),
        (Box::new(|j: &mut Join| j.subdir_count_per_path = 128), Status::EINVAL),
        (Box::new(|j: &mut Join| j.group = "a-b".try_into().unwrap()), Status::EINVAL),
        (Box::new(|j: &mut Join| (j.init_flag, j.status) = (0, -1)), Status::EFAULT),
        (Box::new(|j: &mut Join| j.trackers = vec!["10.77.0.5:1".try_into().unwrap()]), Status::OK),
    ] {
        let joined = cluster.join(session, "group1", change);
        match status {
            Status::OK => assert!(joined.is_ok(), "a further tracker is learnt"),
            status => assert_eq!(joined.unwrap_err(), status),
        }
        let expected = before + usize::from(status.is_ok());
        assert_eq!(cluster.state.groups()[0].storages.len(), expected);
    }
    let lonely = &mut Cluster::new(|_| {});
    let session = lonely.connect("10.77.0.8");
    let elsewhere = |j: &mut Join| j.trackers = vec!["10.77.0.5:22122".try_into().unwrap()];
    assert_eq!(lonely.join(session, "g", elsewhere).unwrap_err(), Status::ENOENT, "not our list");
}

#[test]
fn reports_need_a_join_and_the_right_length() {
    let mut cluster = Cluster::new(|_| {}).with_storages("group1", 2, 1);
    let stranger = cluster.connect("10.77.0.9");
    for command in [59, 72, 73, 74, 79, 83, 84, 85, 87, 88, 89] {
        assert_eq!(cluster.raw(stranger, Command(command), &[]), Err(Status::EACCES), "{command}");
    }
    for (command, len) in [(83, 1), (84, 15), (85, 0), (87, 1), (88, 23), (89, 0), (59, 2)] {
        let body = vec![0; len];
        assert_eq!(cluster.raw(0, Command(command), &body), Err(Status::EINVAL), "{command}");
    }
    for command in [0, 57, 99, 100, 110, 112, 255] {
        assert_eq!(cluster.raw(0, Command(command), &[]), Err(Status::EINVAL), "{command}");
    }
}

#[test]
fn the_leader_tells_each_storage_what_changed_once() {
    let mut cluster = Cluster::new(|_| {}).with_storages("group1", 2, 1);
    assert_eq!(cluster.beat(0), ChangeList::default(), "no leader, no news");
    cluster.state.tick(NOW);
    let list = cluster.beat(0);
    assert_eq!(list.leader.unwrap().ip.to_string(), "10.77.0.1");
    assert_eq!(list.servers.unwrap().len(), 1);
    assert_eq!(cluster.beat(0), ChangeList::default());
    let mut cluster = cluster.with_storages("group1", 3, 1);
    let list = cluster.beat(0);
    assert_eq!((list.leader.is_some(), list.servers.unwrap().len()), (false, 2));
    cluster.now += 29;
    assert_eq!(cluster.beat(0), ChangeList::default());
    cluster.now += 1;
    let list = cluster.beat(0);
    assert_eq!((list.leader.is_some(), list.servers.unwrap().len()), (false, 2), "once more");
    assert_eq!(cluster.beat(0), ChangeList::default());
}

/// A storage gave the connection up, and a request that was under way on it arrives late.
#[test]
fn a_late_request_on_a_lost_connection_does_not_take_the_news() {
    let mut cluster = Cluster::new(|_| {}).with_storages("group1", 2, 1);
    cluster.state.tick(NOW);
    cluster.beat(0);
    let again = cluster.connect("10.77.0.2");
    cluster.join(again, "group1", |_| {}).unwrap();
    assert_eq!(cluster.beat(again).servers.unwrap().len(), 1);
    let mut cluster = cluster.with_storages("group1", 3, 1);
    assert_eq!(cluster.beat(0).servers.unwrap().len(), 2);
    assert_eq!(cluster.beat(again).servers.unwrap().len(), 2);
    assert_eq!(cluster.beat(again), ChangeList::default());
}

#[test]
fn deleting_storages_and_groups_follows_their_state() {
    let mut cluster = Cluster::new(|_| {}).with_storages("group1", 2, 2);
    let member = |id: &str| t::GroupMember {
        group: "group1".try_into().unwrap(),
        id: id.try_into().unwrap(),
    };
    let group: GroupName = "group1".try_into().unwrap();
    let delete = Command::DELETE_STORAGE;
    assert_eq!(cluster.call(0, delete, member("10.77.0.3")), Err(Status::EBUSY));
    assert_eq!(cluster.call(0, delete, member("10.77.0.7")), Err(Status::ENOENT));
    assert_eq!(cluster.call(0, delete, member("")), Err(Status::EINVAL));
    assert_eq!(cluster.call(0, Command::DELETE_GROUP, group), Err(Status::EBUSY));
    cluster.hang_up(1);
    cluster.state.take_effects();
    assert!(cluster.call(0, delete, member("10.77.0.3")).is_ok());
    assert_eq!(cluster.call(0, delete, member("10.77.0.3")), Err(Status::EALREADY));
    let effects = cluster.state.take_effects();
    assert_eq!(effects.changelog, format!("{NOW} group1 10.77.0.3 4 \n").as_bytes());
    assert!(effects.groups && effects.servers && effects.sync_times, "all files together");
    cluster.beat(1);
    assert_eq!(cluster.status_of("group1", "10.77.0.3"), StorageStatus::DELETED, "stays deleted");
    let log = cluster.call(0, Command::CHANGELOG, None::<()>).unwrap();
    assert_eq!(log, format!("{NOW} group1 10.77.0.3 4 \n").as_bytes());
    assert!(cluster.call(0, Command::CHANGELOG, None::<()>).unwrap().is_empty(), "told once");
    let fresh = cluster.connect("10.77.0.9");
    cluster.join(fresh, "group1", |_| {}).unwrap();
    let log = cluster.call(fresh, Command::CHANGELOG, None::<()>).unwrap();
    assert!(log.is_empty(), "what happened before it does not concern a new storage");
    let empty: GroupName = "empty".try_into().unwrap();
    cluster.state.groups.insert(0, Group::new(empty));
    assert!(cluster.call(0, Command::DELETE_GROUP, empty).is_ok());
}

#[test]
fn lists_show_groups_storages_and_space() {
    let mut cluster = Cluster::new(|_| {}).with_storages("group1", 2, 2);
    let groups = cluster.call(0, Command::LIST_ALL_GROUPS, ()).unwrap();
    let stat = GroupStat::decode(&groups).unwrap();
    assert_eq!((stat.storage_count, stat.readable_count, stat.total_mb), (2, 2, 2000));
    assert_eq!((stat.reserved_mb, stat.current_trunk_file_id), (20, -1));
    let member = |id: &str| t::GroupMember {
        group: "group1".try_into().unwrap(),
        id: id.try_into().unwrap(),
    };
    let list = cluster.call(0, Command::LIST_STORAGES, member("")).unwrap();
    assert_eq!(list.len(), 2 * 487);
    let one = cluster.call(0, Command::LIST_STORAGES, member("10.77.0.3")).unwrap();
    let one = t::StorageList::decode(&one).unwrap();
    assert_eq!((one.storages[0].status, one.storages[0].free_mb), (7, 200));
    assert_eq!(cluster.call(0, Command::LIST_STORAGES, member("x")), Err(Status::ENOENT));
    let at = |address: &str| t::StorageAt {
        group: "group1".try_into().unwrap(),
        address: address.try_into().unwrap(),
    };
    let brief = cluster.call(0, Command::GET_STORAGE_STATUS, at("10.77.0.2:23000")).unwrap();
    assert_eq!(brief.len(), 67);
    let id = cluster.call(0, Command::GET_STORAGE_ID, at("10.77.0.2:23000")).unwrap();
    assert_eq!(&id[..], b"10.77.0.2");
    assert_eq!(cluster.call(0, Command::GET_STORAGE_ID, at("10.77.0.2")), Err(Status::EINVAL));
    assert_eq!(cluster.call(0, Command::GET_LEADER, ()), Err(Status::ENOENT));
    cluster.state.tick(NOW);
    let leader = cluster.call(0, Command::GET_LEADER, ()).unwrap();
    assert_eq!(&leader[..], b"10.77.0.1:22122");
    let all = cluster.raw(0, Command::TRACKER_CLUSTER_STAT, &[0; 3]).unwrap();
    assert_eq!(all.len(), 91);
    assert_eq!(cluster.raw(0, Command::TRACKER_CLUSTER_STAT, &[1, 0, 0]).unwrap().len(), 1);
    assert_eq!(cluster.raw(0, Command::STORAGE_CLUSTER_STAT, &[0; 4]).unwrap().len(), 6 + 212);
    let inactive = [2, b'!', 7, 0];
    assert_eq!(cluster.raw(0, Command::STORAGE_CLUSTER_STAT, &inactive).unwrap().len(), 6);
    assert_eq!(cluster.raw(0, Command::VOLUME_STAT, &[1, 1, 0, 0]).unwrap().len(), 5 + 59);
    let ids = t::FetchStorageIds { start: 0, allow_empty: 0 };
    assert_eq!(cluster.call(0, Command::FETCH_STORAGE_IDS, ids), Err(Status::EOPNOTSUPP));
}

mod golden;
mod leader;
mod restart;
mod selection;
mod transitions;
mod trunk;
