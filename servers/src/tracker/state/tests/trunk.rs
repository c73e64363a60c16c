//! Choosing trunk servers (spec 03 §B6, 01 §7.8), and room in trunk files.

use super::*;
use crate::tracker::state::trunk::{TrunkStep, TrunkSwitch};
use fdfs_core::protocol::cluster::GroupStorage;
use fdfs_core::protocol::tracker::{GroupMember, TrunkServer};

fn leading() -> Cluster {
    let mut cluster = Cluster::new(|c| {
        c.params.use_trunk_file = true;
        c.store_server = StoreServer::First;
    });
    cluster = cluster.with_storages("group1", 2, 3);
    cluster.tick(NOW);
    cluster
}

impl Cluster {
    fn elect(&mut self, sizes: &[Option<i64>]) -> Result<String, Status> {
        let poll = self.state.trunk_polls(self.now).pop().ok_or(Status::ENOENT)?;
        let switch = self.state.trunk_polled(&poll, sizes)?;
        self.install(&switch)?;
        Ok(switch.to.id.to_string())
    }

    /// What the service does with a choice.
    fn install(&mut self, switch: &TrunkSwitch) -> Result<(), Status> {
        self.state.trunk_chosen(switch)?;
        self.state.trunk_decided(&GroupStorage { group: switch.group, id: switch.to.id });
        Ok(())
    }

    /// A tick, and what the service does in it.
    fn tick(&mut self, now: i64) {
        self.state.tick(now);
        for decision in self.state.silent_trunk_servers(now) {
            self.state.trunk_decided(&decision);
        }
    }

    fn want(&mut self, id: &str) -> Result<BytesMut, Status> {
        let group = "group1".try_into().unwrap();
        let wish = GroupMember { group, id: id.try_into().unwrap() };
        if let Some(TrunkStep::Switch(switch)) = self.state.before_set_trunk_server(&wish.encode())
        {
            self.install(&switch)?;
            return Ok(TrunkServer(switch.to.id).encode());
        }
        self.call(0, Command::SET_TRUNK_SERVER, wish)
    }
}

#[test]
fn the_longest_binlog_wins_and_the_first_must_answer() {
    assert_eq!(leading().elect(&[Some(0), Some(0), Some(0)]).unwrap(), "10.77.0.2");
    assert_eq!(leading().elect(&[Some(1), Some(9), Some(5)]).unwrap(), "10.77.0.3");
    assert_eq!(leading().elect(&[Some(1), None, Some(5)]).unwrap(), "10.77.0.4");
    assert!(leading().elect(&[None, Some(9), Some(5)]).is_err());
    let mut cluster = leading();
    assert!(cluster.elect(&[None, None, None]).is_err());
    assert!(cluster.state.trunk_polls(NOW + 99).is_empty(), "not again at once");
    assert_eq!(cluster.state.trunk_polls(NOW + 100).len(), 1);
    let mut follower = Cluster::new(|c| c.params.use_trunk_file = true);
    follower = follower.with_storages("group1", 2, 1);
    assert!(follower.state.trunk_polls(NOW).is_empty(), "only the leader chooses");
}

#[test]
fn storages_hear_of_their_trunk_server_once_each() {
    let mut cluster = leading();
    cluster.beat(0);
    cluster.beat(1);
    cluster.elect(&[Some(0); 3]).unwrap();
    assert!(cluster.state.take_effects().groups, "saved");
    assert!(cluster.state.trunk_polls(NOW + 1000).is_empty(), "there is one");
    for session in [0, 1] {
        let trunk = cluster.beat(session).trunk.unwrap();
        assert_eq!(trunk.id.to_string(), "10.77.0.2");
        assert_eq!(cluster.beat(session).trunk, None);
    }
    cluster.hang_up(1);
    let again = cluster.connect("10.77.0.3");
    cluster.join(again, "group1", |join| join.init_flag = 0).unwrap();
    assert!(cluster.beat(again).trunk.is_some(), "it may have forgotten");
}

#[test]
fn a_silent_trunk_server_is_replaced_after_its_grace() {
    let mut cluster = leading();
    cluster.elect(&[Some(0); 3]).unwrap();
    // 300 s while it is starting: it has joined at NOW.
    cluster.tick(NOW + 300);
    assert!(cluster.state.groups()[0].trunk_server.is_some());
    cluster.now = NOW + 301;
    cluster.tick(cluster.now);
    assert!(cluster.state.groups()[0].trunk_server.is_none());
    cluster.beat(1);
    cluster.beat(2);
    let poll = cluster.state.trunk_polls(cluster.now).pop().unwrap();
    let switch = cluster.state.trunk_polled(&poll, &[Some(3), Some(3)]).unwrap();
    assert_eq!(switch.to.id.to_string(), "10.77.0.3");
    assert!(switch.must_forget_marks, "10.77.0.2 wrote the binlog since");
    cluster.install(&switch).unwrap();
    // In office for long, 200 s are enough.
    for later in [2000, 2200] {
        cluster.now = NOW + later;
        if later == 2000 {
            cluster.beat(1);
        }
        cluster.tick(cluster.now);
        assert!(cluster.state.groups()[0].trunk_server.is_some());
    }
    cluster.tick(NOW + 2201);
    assert!(cluster.state.groups()[0].trunk_server.is_none());
}

#[test]
fn operators_choose_only_where_none_is_active() {
    let mut cluster = leading();
    let wish = GroupMember { group: "group1".try_into().unwrap(), id: "".try_into().unwrap() };
    let step = cluster.state.before_set_trunk_server(&wish.encode());
    let Some(TrunkStep::Ask(poll)) = step else { panic!("{step:?}") };
    assert_eq!(poll.candidates.len(), 3);
    assert_eq!(poll.candidates[0].addr, "10.77.0.2:23000".parse().unwrap());
    assert_eq!(cluster.want("10.77.0.9"), Err(Status::ENOENT));
    assert_eq!(cluster.want("1234567890123456"), Err(Status::EINVAL));
    assert_eq!(&cluster.want("10.77.0.3").unwrap()[..], b"10.77.0.3\0");
    assert_eq!(&cluster.want("").unwrap()[..], b"10.77.0.3\0");
    assert_eq!(cluster.state.before_set_trunk_server(&wish.encode()), None);
    assert_eq!(cluster.want("10.77.0.3"), Err(Status::EALREADY));
    assert_eq!(cluster.want("10.77.0.2"), Err(Status::EEXIST));
    cluster.hang_up(1);
    assert_eq!(cluster.want("10.77.0.3"), Err(Status::ENONET));
    let group = &mut cluster.state.groups[0];
    group.storage_mut(b"10.77.0.4").unwrap().rw = fdfs_core::config::RwMode::Read;
    assert_eq!(cluster.want("10.77.0.4"), Err(Status::EACCES));
    assert!(cluster.want("10.77.0.2").is_ok(), "an inactive one is replaced");
    let mut plain = Cluster::new(|_| {}).with_storages("group1", 2, 1);
    plain.state.tick(NOW);
    assert_eq!(plain.want(""), Err(Status::EOPNOTSUPP));
}

#[test]
fn only_the_trunk_server_reports_trunk_files() {
    let mut cluster = leading();
    let (fid, free) = (Command::REPORT_TRUNK_FID, Command::REPORT_TRUNK_FREE);
    assert_eq!(cluster.call(0, fid, 5i32), Err(Status::EINVAL));
    cluster.elect(&[Some(0); 3]).unwrap();
    assert_eq!(cluster.call(1, fid, 5i32), Err(Status::EINVAL));
    assert_eq!(cluster.call(1, free, 5i64), Err(Status::EINVAL));
    assert_eq!(cluster.call(0, fid, -1i32), Err(Status::EINVAL));
    assert_eq!(cluster.call(0, free, -1i64), Err(Status::EINVAL));
    cluster.call(0, fid, 5i32).unwrap();
    cluster.call(0, fid, 4i32).unwrap();
    let known = cluster.call(1, Command::FETCH_TRUNK_FID, ()).unwrap();
    assert_eq!(i32::decode(&known), Ok(5), "it never goes back");
    cluster.call(0, free, 500i64).unwrap();
    assert_eq!(cluster.state.groups()[0].trunk_free_mb, 500);
}

#[test]
fn room_in_trunk_files_counts_where_disks_are_full() {
    let full = |c: &mut TrackerConfig| {
        c.params.use_trunk_file = true;
        c.params.reserved_storage_space = Reserved::Mb(1000);
    };
    for by_space in [false, true] {
        let mut cluster = Cluster::new(|c| {
            full(c);
            if by_space {
                c.store_lookup = StoreLookup::LoadBalance;
            }
        });
        cluster = cluster.with_storages("group1", 2, 1).with_storages("group2", 3, 1);
        assert_eq!(cluster.store(None), Err(Status::ENOSPC));
        assert_eq!(cluster.store(Some("group2")), Err(Status::ENOSPC));
        cluster.state.groups[1].trunk_server = Some("10.77.0.3".try_into().unwrap());
        cluster.call(1, Command::REPORT_TRUNK_FREE, 900i64).unwrap();
        for _ in 0..3 {
            assert_eq!(cluster.store(None).unwrap().0, "group2", "load balance: {by_space}");
        }
        assert_eq!(cluster.store(Some("group2")).unwrap().0, "group2");
        assert_eq!(cluster.store(Some("group1")), Err(Status::ENOSPC));
    }
}

#[test]
fn load_balance_goes_by_trunk_space_where_disks_are_full() {
    let mut cluster = Cluster::new(|c| {
        c.params.use_trunk_file = true;
        c.params.reserved_storage_space = Reserved::Mb(1000);
        c.store_lookup = StoreLookup::LoadBalance;
    });
    cluster = cluster.with_storages("group1", 2, 1).with_storages("group2", 3, 1);
    for (session, ip, free_mb) in [(0, "10.77.0.2", 850i64), (1, "10.77.0.3", 900)] {
        cluster.state.groups[session].trunk_server = Some(ip.try_into().unwrap());
        cluster.call(session, Command::REPORT_TRUNK_FREE, free_mb).unwrap();
    }
    assert_eq!(cluster.store(None).unwrap().0, "group2", "the most trunk space");
    // A group with room on disk that comes back does not take the turn until space is reported.
    let third = cluster.sessions.len();
    let cluster = &mut cluster.with_storages("group0", 4, 1);
    cluster.space(third, &[(3000, 2000), (3000, 2000)]);
    assert_eq!(cluster.store(None).unwrap().0, "group0");
    cluster.hang_up(third);
    cluster.call(1, Command::REPORT_TRUNK_FREE, 900i64).unwrap();
    let again = cluster.connect("10.77.0.4");
    cluster.join(again, "group0", |join| join.init_flag = 0).unwrap();
    cluster.beat(again);
    assert_eq!(cluster.store(None).unwrap().0, "group2");
    cluster.space(again, &[(3000, 2000), (3000, 2000)]);
    assert_eq!(cluster.store(None).unwrap().0, "group0");
}

#[test]
fn after_a_restart_the_trunk_server_has_time_to_come_back() {
    let mut before = leading();
    before.elect(&[Some(0); 3]).unwrap();
    let mut groups = before.state.groups().to_vec();
    for storage in &mut groups[0].storages {
        storage.status = StorageStatus::OFFLINE;
        (storage.up_time, storage.stats.last_heart_beat_time) = (0, NOW - 100_000);
    }
    let mut after = Cluster::new(|c| c.params.use_trunk_file = true);
    after.state.restore(groups, Vec::new(), NOW - 100_000);
    let other = after.connect("10.77.0.3");
    after.join(other, "group1", |join| join.init_flag = 0).unwrap();
    after.now = NOW + 200;
    after.tick(after.now);
    assert!(after.state.groups()[0].trunk_server.is_some());
    assert!(after.beat(other).trunk.is_some(), "the others hear of it again");
    after.tick(NOW + 201);
    assert!(after.state.groups()[0].trunk_server.is_none());
}
