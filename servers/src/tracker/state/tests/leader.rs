//! The commands between trackers, as leader and as follower (spec 03 §B1).

use super::*;
use fdfs_core::protocol::cluster::{
    GetSysFile, GroupStorage, JoinLeader, PingLeader, SysFilePiece,
};
use fdfs_core::protocol::tracker::{TrackerClusterStat, TrackerFilter, TrackerStatus};
use fdfs_core::wire::Text;

const OTHER: &str = "10.77.0.5:22122";

/// Knows itself and a second tracker; leads only when told to. Session 0 is a storage's.
fn two_trackers() -> Cluster {
    let mut cluster = Cluster::new(|_| {});
    let session = cluster.connect("10.77.0.2");
    let both = ["10.77.0.1:22122", OTHER].map(|tracker| tracker.try_into().unwrap());
    cluster.join(session, "group1", |join| join.trackers = both.to_vec()).unwrap();
    cluster
}

fn addr(text: &str) -> Text<52> {
    text.try_into().unwrap()
}

impl Cluster {
    fn announce(&mut self, tracker: &str) {
        self.call(0, Command::NOTIFY_NEXT_LEADER, addr(tracker)).unwrap();
        self.call(0, Command::COMMIT_NEXT_LEADER, addr(tracker)).unwrap();
    }

    fn leader(&mut self) -> Result<String, Status> {
        let reply = self.call(0, Command::GET_LEADER, ())?;
        Ok(String::from_utf8(reply.to_vec()).unwrap())
    }
}

fn ping() -> PingLeader {
    PingLeader { connection_alloc_count: 3, connection_current_count: 1, connection_max_count: 2 }
}

fn join_leader() -> JoinLeader {
    JoinLeader { up_time: NOW - 9, version: "6.16.1".try_into().unwrap(), port: 22122 }
}

#[test]
fn several_trackers_wait_for_an_announcement() {
    let mut cluster = two_trackers();
    cluster.state.tick(NOW);
    assert_eq!(cluster.leader(), Err(Status::ENOENT));
    let (notify, commit) = (Command::NOTIFY_NEXT_LEADER, Command::COMMIT_NEXT_LEADER);
    assert_eq!(cluster.call(0, notify, addr("10.9.9.9:1")), Err(Status::ENOENT));
    assert_eq!(cluster.call(0, notify, addr("")), Err(Status::EINVAL));
    assert_eq!(cluster.call(0, notify, addr("10.0.0.1:x")), Err(Status::EINVAL));
    assert_eq!(cluster.call(0, commit, addr(OTHER)), Err(Status::EINVAL), "not announced");
    cluster.announce(OTHER);
    assert_eq!(cluster.leader().unwrap(), OTHER);
    assert!(!cluster.state.is_leader());
    assert_eq!(cluster.beat(0), ChangeList::default(), "a follower tells nothing");
    assert_eq!(cluster.call(0, commit, addr(OTHER)), Err(Status::EINVAL), "once is enough");
    cluster.announce("10.77.0.1:22122");
    assert!(cluster.state.is_leader());
    assert!(cluster.beat(0).leader.is_some());
}

#[test]
fn a_leader_steps_down_for_another() {
    let mut cluster = two_trackers();
    cluster.announce("10.77.0.1:22122");
    let notify = Command::NOTIFY_NEXT_LEADER;
    assert_eq!(cluster.call(0, notify, addr(OTHER)), Err(Status::EINVAL));
    assert!(!cluster.state.is_leader());
    assert_eq!(cluster.leader(), Err(Status::ENOENT));
    cluster.announce("10.77.0.1:22122");
    cluster.call(0, Command::NOTIFY_RESELECT_LEADER, ()).unwrap();
    assert_eq!(cluster.leader(), Err(Status::ENOENT));
    let again = cluster.call(0, Command::NOTIFY_RESELECT_LEADER, ());
    assert_eq!(again, Err(Status::EOPNOTSUPP));
}

#[test]
fn followers_join_ping_and_are_told_the_trunk_servers_once() {
    let mut cluster = two_trackers();
    let follower = cluster.connect("10.77.0.5");
    for command in [Command::TRACKER_JOIN_LEADER, Command::PING_LEADER] {
        let body =
            if command == Command::PING_LEADER { ping().encode() } else { join_leader().encode() };
        assert_eq!(cluster.raw(follower, command, &body), Err(Status::EOPNOTSUPP));
    }
    cluster.announce("10.77.0.1:22122");
    assert_eq!(cluster.call(follower, Command::PING_LEADER, ping()), Err(Status::EINVAL));
    let stranger = cluster.connect("10.77.0.6");
    let unknown = cluster.call(stranger, Command::TRACKER_JOIN_LEADER, join_leader());
    assert_eq!(unknown, Err(Status::ENOENT));
    cluster.call(follower, Command::TRACKER_JOIN_LEADER, join_leader()).unwrap();
    let again = cluster.call(follower, Command::TRACKER_JOIN_LEADER, join_leader());
    assert_eq!(again, Err(Status::EEXIST));
    let told = cluster.call(follower, Command::PING_LEADER, ping()).unwrap();
    let told = Vec::<GroupStorage>::decode(&told).unwrap();
    assert_eq!((told.len(), told[0].id.is_empty()), (1, true));
    assert!(cluster.call(follower, Command::PING_LEADER, ping()).unwrap().is_empty());

    cluster.call(0, Command::NOTIFY_RESELECT_LEADER, ()).unwrap();
    cluster.announce("10.77.0.1:22122");
    let told = cluster.call(follower, Command::PING_LEADER, ping()).unwrap();
    assert!(!told.is_empty(), "a new term, told anew");

    let all = TrackerFilter { mask: 0, is_active: 0, is_leader: 0 };
    let list = |cluster: &mut Cluster, filter: &TrackerFilter| {
        let reply = cluster.call(0, Command::TRACKER_CLUSTER_STAT, filter.clone()).unwrap();
        TrackerClusterStat::decode(&reply).unwrap().0
    };
    cluster.state.set_connections(5, 6);
    let trackers = list(&mut cluster, &all);
    assert_eq!((trackers[0].is_leader, trackers[0].connection_current_count), (1, 5));
    assert_eq!((trackers[1].is_leader, trackers[1].is_active), (0, 1));
    assert_eq!((trackers[1].connection_alloc_count, trackers[1].up_time), (3, NOW - 9));
    cluster.now = NOW + 4;
    let inactive = TrackerFilter { mask: 1, is_active: 0, is_leader: 0 };
    let silent = list(&mut cluster, &inactive);
    assert_eq!((silent.len(), silent[0].address.to_string().as_str()), (1, OTHER));
}

#[test]
fn the_status_counts_in_steps_and_needs_a_group() {
    let mut empty = Cluster::new(|_| {});
    let session = empty.connect("10.77.0.5");
    assert_eq!(empty.call(session, Command::TRACKER_STATUS, ()), Err(Status::ENOENT));
    let mut cluster = two_trackers();
    cluster.state.restore(cluster.state.groups().to_vec(), Vec::new(), NOW - 1000);
    cluster.now = NOW + 899;
    let status = cluster.call(0, Command::TRACKER_STATUS, ()).unwrap();
    let expected = TrackerStatus { is_leader: 0, running_secs: 600, restart_interval_secs: 900 };
    assert_eq!(TrackerStatus::decode(&status).unwrap(), expected);
}

#[test]
fn state_files_are_copied_by_one_tracker_at_a_time() {
    let mut cluster = two_trackers();
    let (a, b) = (cluster.connect("10.77.0.5"), cluster.connect("10.77.0.6"));
    cluster.call(a, Command::GET_SYS_FILES_START, ()).unwrap();
    assert_eq!(cluster.call(b, Command::GET_SYS_FILES_START, ()), Err(Status::EBUSY));
    let piece = |cluster: &mut Cluster, index, offset| {
        cluster.call(a, Command::GET_ONE_SYS_FILE, GetSysFile { index, offset })
    };
    let groups = piece(&mut cluster, 0, 0).unwrap();
    let groups = SysFilePiece::decode(&groups).unwrap();
    assert_eq!(usize::try_from(groups.size).unwrap(), groups.data.0.len());
    assert!(groups.data.0.starts_with(b"[Global]\n\tgroup_count=1\n"));
    let end = piece(&mut cluster, 0, groups.size).unwrap();
    assert!(SysFilePiece::decode(&end).unwrap().data.0.is_empty());
    for (index, offset) in [(4, 0), (0, -1), (0, groups.size + 1)] {
        assert_eq!(piece(&mut cluster, index, offset), Err(Status::EINVAL));
    }
    cluster.call(b, Command::GET_SYS_FILES_END, ()).unwrap();
    assert_eq!(cluster.call(b, Command::GET_SYS_FILES_START, ()), Err(Status::EBUSY));
    cluster.hang_up(a);
    cluster.call(b, Command::GET_SYS_FILES_START, ()).unwrap();
    cluster.call(b, Command::GET_SYS_FILES_END, ()).unwrap();
    cluster.call(a, Command::GET_SYS_FILES_START, ()).unwrap();
    let mut empty = Cluster::new(|_| {});
    let session = empty.connect("10.77.0.5");
    assert_eq!(empty.call(session, Command::GET_SYS_FILES_START, ()), Err(Status::ENOENT));
}

#[test]
fn by_consensus_nobody_is_announced() {
    let mut cluster = two_trackers();
    cluster.state.agree_by_consensus(true);
    let (notify, reselect) = (Command::NOTIFY_NEXT_LEADER, Command::NOTIFY_RESELECT_LEADER);
    assert_eq!(cluster.call(0, notify, addr(OTHER)), Err(Status::EINVAL));
    assert_eq!(cluster.call(0, reselect, ()), Err(Status::EOPNOTSUPP));
    let (me, list) = cluster.state.several_trackers().unwrap();
    assert_eq!((me.to_string().as_str(), list.len()), ("10.77.0.1:22122", 2));
    cluster.state.follow(Some(me.clone()));
    assert!(cluster.state.is_leader());
    cluster.call(0, reselect, ()).unwrap();
    assert!(cluster.state.is_leader(), "a majority has chosen it");
    cluster.state.agree_by_consensus(false);
    assert!(!cluster.state.is_leader(), "with the rule goes the leader");
    cluster.announce(OTHER);
    cluster.state.lose_leader(&me);
    assert!(cluster.leader().is_ok(), "another one was lost");
    cluster.state.lose_leader(&OTHER.parse().unwrap());
    assert!(cluster.leader().is_err());
}

#[test]
fn without_a_leader_everyone_tells_of_the_group_after_a_while() {
    let mut cluster = two_trackers();
    cluster.state.tick(NOW);
    assert_eq!(cluster.beat(0), ChangeList::default());
    cluster.state.tick(NOW + 9);
    assert_eq!(cluster.beat(0), ChangeList::default());
    cluster.state.tick(NOW + 10);
    let told = cluster.beat(0);
    assert_eq!(told.servers.unwrap().len(), 1);
    assert_eq!((told.leader, told.trunk), (None, None), "that is for a leader to tell");
    cluster.announce(OTHER);
    cluster.state.tick(NOW + 11);
    cluster.state.groups[0].changes += 1;
    assert_eq!(cluster.beat(0), ChangeList::default());
}

#[test]
fn a_follower_copies_the_leaders_trunk_servers() {
    let mut cluster = two_trackers();
    cluster.announce(OTHER);
    let told = |id: &str| {
        let group = "group1".try_into().unwrap();
        vec![GroupStorage { group, id: id.try_into().unwrap() }]
    };
    let known = |cluster: &Cluster| {
        let group = &cluster.state.groups()[0];
        (group.trunk_server.map(|id| id.to_string()), group.last_trunk_server.to_string())
    };
    cluster.state.copy_trunk_servers(&told("10.77.0.2"));
    assert!(cluster.state.take_effects().groups, "saved");
    assert_eq!(known(&cluster), (Some("10.77.0.2".into()), "10.77.0.2".into()));
    cluster.state.copy_trunk_servers(&told("10.9.9.9"));
    assert_eq!(known(&cluster), (None, "10.9.9.9".into()), "it is not known here yet");
    cluster.state.copy_trunk_servers(&told(""));
    assert_eq!(known(&cluster), (None, String::new()));
}

#[test]
fn others_are_asked_by_who_knows_nothing_or_was_away_for_long() {
    let mut fresh = Cluster::new(|_| {});
    assert!(fresh.state.may_know_too_little(600));
    fresh.state.asked_others(false);
    assert!(fresh.state.may_know_too_little(600), "they may know something later");
    fresh.state.asked_others(true);
    assert!(!fresh.state.may_know_too_little(600));
    let mut cluster = two_trackers();
    assert!(!cluster.state.may_know_too_little(600));
    for (away, asks) in [(600, false), (601, true)] {
        let groups = cluster.state.groups().to_vec();
        cluster.state.restore(groups, Vec::new(), NOW - away);
        assert_eq!(cluster.state.may_know_too_little(600), asks, "{away}");
    }
    cluster.state.asked_others(false);
    assert!(!cluster.state.may_know_too_little(600), "once is enough");
}
