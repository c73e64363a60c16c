//! Reporters driven by hand: time, replies and failures are all arguments.

mod golden;

use super::*;
use crate::storage::identity::InitFlag;
use fdfs_core::config::TrackerAddr;
use fdfs_core::protocol::cluster::{ChangeList, Join};
use fdfs_core::protocol::{Group, StorageId};

const HEART_BEAT: Duration = Duration::from_secs(30);

fn profile() -> Profile {
    Profile {
        group: Group::try_from("group1").unwrap(),
        id: StorageId::try_from("10.77.0.2").unwrap(),
        ip: "10.77.0.2".into(),
        use_ids: false,
        port: 23000,
        store_path_count: 1,
        subdir_count_per_path: 256,
        upload_priority: 10,
        up_time: 1000,
        follows_changelog: false,
        heart_beat_interval: HEART_BEAT,
        stat_report_interval: Duration::from_secs(300),
    }
}

struct Counters {
    changes: u64,
    stats: StorageStats,
}

impl Figures for Counters {
    fn changes(&self) -> u64 {
        self.changes
    }
    fn stats(&self) -> StorageStats {
        self.stats.clone()
    }
}

/// A storage and the reporters of its trackers.
struct Lab {
    shared: Shared,
    reporters: Vec<Reporter>,
    counters: Counters,
    now: Duration,
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

impl Lab {
    fn new(trackers: usize, change: impl FnOnce(&mut Profile)) -> Self {
        let mut profile = profile();
        change(&mut profile);
        let profile = Arc::new(profile);
        let addr = |at| TrackerAddr { hosts: vec![format!("10.77.0.{}", 100 + at)], port: 22122 };
        let flag = InitFlag { join_time: 900, ..InitFlag::default() };
        Self {
            shared: Shared::new(flag, (0..trackers).map(addr).collect()),
            reporters: (0..trackers).map(|at| Reporter::new(profile.clone(), at)).collect(),
            counters: Counters { changes: 1, stats: StorageStats::default() },
            now: Duration::ZERO,
        }
    }

    /// The same storage after its first run: it need not ask who sends the old files.
    fn settled(trackers: usize, change: impl FnOnce(&mut Profile)) -> Self {
        let mut lab = Self::new(trackers, change);
        lab.shared.change_flag(|flag| flag.sync_old_done = true);
        lab.shared.take_changed_flag();
        lab
    }

    fn step(&mut self, at: usize, input: Input<'_>) -> Action {
        self.reporters[at].step(input, self.now, &mut self.shared, &self.counters)
    }

    fn reply(&mut self, at: usize, body: &impl Wire) -> Action {
        let body = body.encode();
        self.step(at, Input::Reply(Ok(&body)))
    }

    fn refuse(&mut self, at: usize, status: Status) -> Action {
        self.step(at, Input::Reply(Err(status)))
    }

    fn connect(&mut self, at: usize) -> Join {
        assert_eq!(self.step(at, Input::Woken), Action::Connect);
        let tracker_ip = self.shared.trackers[at].hosts[0].parse().unwrap();
        let action = self.step(at, Input::Connected { tracker_ip });
        sent(&action, Command::STORAGE_JOIN)
    }

    fn join(&mut self, at: usize, status: StorageStatus) -> Action {
        self.connect(at);
        self.reply(at, &Joined { status: status.0, source: StorageId::EMPTY })
    }

    /// Brings a settled storage to its first sleep.
    fn work(&mut self, at: usize) {
        let action = self.join(at, StorageStatus::ONLINE);
        assert!(sent::<SyncSource>(&action, Command::SYNC_NOTIFY).id.is_empty());
        let action = self.reply(at, &());
        sent::<Option<StorageStats>>(&action, Command::STORAGE_BEAT).expect("the first is full");
        assert_eq!(self.reply(at, &ChangeList::default()), Action::Measure);
        let action = self.step(at, Input::Measured(vec![DiskSpace { total_mb: 9, free_mb: 5 }]));
        sent::<Vec<DiskSpace>>(&action, Command::REPORT_DISK_USAGE);
        let until = self.now + TICK;
        assert_eq!(self.reply(at, &ChangeList::default()), Action::Sleep { until });
    }

    /// Sleeps until the next beat and gives its answer.
    fn beat(&mut self, at: usize, list: &ChangeList) -> Action {
        self.now += HEART_BEAT;
        let action = self.step(at, Input::Woken);
        sent::<Option<StorageStats>>(&action, Command::STORAGE_BEAT);
        self.reply(at, list)
    }
}

fn sent<T: Wire>(action: &Action, command: Command) -> T {
    match action {
        Action::Send(request) if request.command == command => T::decode(&request.body.0).unwrap(),
        other => panic!("{command} expected, not {other:?}"),
    }
}

fn asked<T: Wire>(action: &Action, tracker: usize, command: Command) -> T {
    match action {
        Action::Ask(at, request) if *at == tracker && request.command == command => {
            T::decode(&request.body.0).unwrap()
        }
        other => panic!("{command} to tracker {tracker} expected, not {other:?}"),
    }
}

fn left(action: &Action) -> (Duration, &Reason) {
    match action {
        Action::Leave { until, reason } => (*until, reason),
        other => panic!("leaving expected, not {other:?}"),
    }
}

fn brief(id: &str, status: StorageStatus) -> Brief {
    let (id, ip) = (id.try_into().unwrap(), id.try_into().unwrap());
    Brief { status: status.0, port: 23000, id, ip }
}

fn leader(tracker: usize) -> Option<Brief> {
    Some(Brief { port: 22122, ..brief(&format!("10.77.0.{}", 100 + tracker), StorageStatus::INIT) })
}

fn source(id: &str, until: i64) -> SyncSource {
    SyncSource { id: id.try_into().unwrap(), until }
}

#[test]
fn a_new_storage_asks_who_fills_it_and_remembers_the_answer() {
    let mut lab = Lab::new(1, |_| {});
    let join = lab.connect(0);
    assert_eq!((join.init_flag, join.status, join.join_time), (1, 0, 900));
    assert_eq!(join.trackers[0].as_str(), Some("10.77.0.100:22122\n".trim_end()));
    let action = lab.reply(0, &Joined { status: 0, source: StorageId::EMPTY });
    sent::<()>(&action, Command::SYNC_DEST_REQ);
    let action = lab.reply(0, &Some(source("10.77.0.3", 77)));
    assert_eq!(sent::<SyncSource>(&action, Command::SYNC_NOTIFY), source("10.77.0.3", 77));
    let flag = lab.shared.take_changed_flag().expect("saved before the next request leaves");
    assert_eq!((flag.sync_old_done, flag.sync_until), (true, 77));
    assert_eq!(flag.sync_source, "10.77.0.3");
    assert!(lab.shared.take_changed_flag().is_none());
    lab.reply(0, &());
    lab.reply(0, &ChangeList::default());
    assert!(!lab.shared.is_active(), "its source has sent nothing yet");
}

#[test]
fn who_cannot_be_filled_yet_joins_as_new_again_after_a_heart_beat() {
    let mut lab = Lab::new(1, |_| {});
    lab.join(0, StorageStatus::INIT);
    let action = lab.refuse(0, Status::ENOENT);
    let reason = Reason::Refused(Command::SYNC_DEST_REQ, Status::ENOENT);
    assert_eq!(left(&action), (HEART_BEAT, &reason));
    assert_eq!(lab.connect(0).init_flag, 1);
}

#[test]
fn only_one_reporter_asks_and_the_others_tell() {
    let mut lab = Lab::new(2, |_| {});
    assert_eq!(lab.connect(0).status, -1, "another tracker may know this storage");
    assert_eq!(lab.connect(1).status, -1, "the first has not answered yet");
    let joined = Joined { status: 0, source: StorageId::EMPTY };
    sent::<()>(&lab.reply(0, &joined), Command::SYNC_DEST_REQ);
    let action = lab.reply(1, &joined);
    assert_eq!(action, Action::Sleep { until: TURN_POLL });
    assert_eq!(lab.step(1, Input::Woken), Action::Sleep { until: TURN_POLL }, "not yet");

    // The asking one fails: it is the other's turn.
    left(&lab.step(0, Input::Lost));
    sent::<()>(&lab.step(1, Input::Woken), Command::SYNC_DEST_REQ);
    let action = lab.reply(1, &Some(source("10.77.0.3", 7)));
    sent::<SyncSource>(&action, Command::SYNC_NOTIFY);
    let join = lab.connect(0);
    assert_eq!(join.init_flag, 1, "new to this tracker still");
    assert_eq!(join.status, 0, "no tracker knows it");
    let action = lab.reply(0, &joined);
    assert_eq!(sent::<SyncSource>(&action, Command::SYNC_NOTIFY), source("10.77.0.3", 7));
}

#[test]
fn a_beat_is_full_only_when_figures_changed() {
    let mut lab = Lab::settled(1, |_| {});
    lab.work(0);
    assert!(lab.shared.is_active());
    for (changes, is_full) in [(1, false), (2, true), (2, false)] {
        lab.counters.changes = changes;
        lab.now += HEART_BEAT;
        let action = lab.step(0, Input::Woken);
        let body: Option<StorageStats> = sent(&action, Command::STORAGE_BEAT);
        assert_eq!(body.is_some(), is_full);
        lab.reply(0, &ChangeList::default());
    }
    left(&lab.step(0, Input::Lost));
    assert!(!lab.shared.is_active());
    lab.work(0);
}

#[test]
fn arrived_files_are_reported_at_most_once_a_heart_beat_and_anew_to_a_new_connection() {
    let mut lab = Lab::settled(1, |_| {});
    lab.work(0);
    let servers =
        vec![brief("10.77.0.2", StorageStatus::ACTIVE), brief("b", StorageStatus::ACTIVE)];
    lab.beat(0, &ChangeList { servers: Some(servers), ..ChangeList::default() });
    let (b, list) = ("b".try_into().unwrap(), ChangeList::default());
    let expect = |action: &Action| {
        let report: Vec<fdfs_core::protocol::cluster::SyncedUntil> =
            sent(action, Command::SYNC_REPORT);
        report.iter().map(|entry| entry.timestamp).collect::<Vec<_>>()
    };
    lab.shared.peers.note_synced(&b, 5);
    lab.now += TICK;
    assert_eq!(expect(&lab.step(0, Input::Woken)), [0, 5]);
    assert!(matches!(lab.reply(0, &list), Action::Sleep { .. }));
    lab.shared.peers.note_synced(&b, 6);
    lab.now += TICK;
    assert!(matches!(lab.step(0, Input::Woken), Action::Sleep { .. }), "too soon");
    assert_eq!(expect(&lab.beat(0, &list)), [0, 6]);
    left(&lab.step(0, Input::Lost));
    lab.work(0);
    lab.now += HEART_BEAT;
    lab.step(0, Input::Woken);
    assert_eq!(expect(&lab.reply(0, &list)), [0, 6]);
}

#[test]
fn waits_before_joining_again_depend_on_how_far_the_conversation_was() {
    let mut lab = Lab::settled(1, |_| {});
    assert_eq!(lab.step(0, Input::Woken), Action::Connect);
    let action = lab.step(0, Input::Lost);
    assert_eq!(left(&action), (HEART_BEAT, &Reason::Lost), "connect");
    lab.connect(0);
    let reason = Reason::Refused(Command::STORAGE_JOIN, Status::EINVAL);
    let action = lab.refuse(0, Status::EINVAL);
    assert_eq!(left(&action), (HEART_BEAT, &reason), "join");
    assert!(reason.to_string().contains("store_path_count"), "{reason}");
    lab.join(0, StorageStatus::ONLINE);
    assert_eq!(left(&lab.step(0, Input::Lost)).0, HEART_BEAT, "notify");
    for status in [Status::EACCES, Status::EINVAL, Status::EIO] {
        lab.work(0);
        lab.now += HEART_BEAT;
        lab.step(0, Input::Woken);
        let (now, action) = (lab.now, lab.refuse(0, status));
        let reason = Reason::Refused(Command::STORAGE_BEAT, status);
        assert_eq!(left(&action), (now + TICK, &reason), "at work");
    }
    lab.work(0);
    lab.now += HEART_BEAT;
    lab.step(0, Input::Woken);
    let action = lab.step(0, Input::Reply(Ok(&[4, 0, 0])));
    assert!(matches!(left(&action).1, Reason::Broken(Command::STORAGE_BEAT, _)));
}

#[test]
fn a_dead_tracker_does_not_hold_up_the_other() {
    let mut lab = Lab::new(2, |_| {});
    assert_eq!(lab.step(0, Input::Woken), Action::Connect, "and nothing more is ever heard");
    assert_eq!(lab.connect(1).status, -1);
    let action = lab.reply(1, &Joined { status: 0, source: StorageId::EMPTY });
    sent::<()>(&action, Command::SYNC_DEST_REQ);
    sent::<SyncSource>(&lab.reply(1, &None::<SyncSource>), Command::SYNC_NOTIFY);
    lab.reply(1, &());
    lab.reply(1, &ChangeList::default());
    lab.step(1, Input::Measured(Vec::new()));
    lab.reply(1, &ChangeList::default());
    assert!(lab.shared.is_active());
    for _ in 0..3 {
        let until = lab.now + HEART_BEAT;
        assert_eq!(left(&lab.step(0, Input::Lost)).0, until);
        lab.now = until;
        assert_eq!(lab.step(0, Input::Woken), Action::Connect);
    }
}

#[test]
fn differing_peers_are_reported_and_a_lesser_own_status_means_joining_again() {
    let mut lab = Lab::settled(1, |profile| profile.follows_changelog = true);
    lab.join(0, StorageStatus::ONLINE);
    lab.reply(0, &());
    let list = |mine, b| ChangeList {
        servers: Some(vec![brief("10.77.0.2", mine), brief("b", b)]),
        ..ChangeList::default()
    };
    let action = lab.reply(0, &list(StorageStatus::ACTIVE, StorageStatus::ACTIVE));
    sent::<()>(&action, Command::CHANGELOG);
    assert_eq!(lab.reply(0, &Rest::default()), Action::Measure);
    let spaces = vec![DiskSpace { total_mb: 1, free_mb: 1 }];
    lab.step(0, Input::Measured(spaces));
    let action = lab.reply(0, &list(StorageStatus::SYNCING, StorageStatus::WAIT_SYNC));
    let told: Vec<Brief> = sent(&action, Command::REPLICA_CHANGE);
    let expected = [StorageStatus::ACTIVE; 2];
    assert_eq!(told.iter().map(|b| StorageStatus(b.status)).collect::<Vec<_>>(), expected);
    let until = lab.now + TICK;
    assert_eq!(left(&lab.reply(0, &())), (until, &Reason::KnowsLess));
    let join = lab.connect(0);
    assert_eq!(join.status, 7, "its own view of itself");
}

#[test]
fn trackers_that_follow_are_told_the_leaders_view() {
    let mut lab = Lab::settled(2, |_| {});
    lab.work(0);
    let join = |lab: &mut Lab, status: StorageStatus| {
        lab.connect(1);
        lab.reply(1, &Joined { status: status.0, source: StorageId::EMPTY });
        lab.reply(1, &());
        lab.reply(1, &ChangeList::default());
        lab.step(1, Input::Measured(Vec::new()));
        lab.reply(1, &ChangeList::default())
    };
    let servers = Some(vec![brief("10.77.0.2", StorageStatus::ACTIVE)]);
    lab.beat(0, &ChangeList { leader: leader(0), servers, trunk: None });

    // New to the follower, which made it active as the leader did: nothing to correct.
    assert!(matches!(join(&mut lab, StorageStatus::INIT), Action::Sleep { .. }));
    left(&lab.step(1, Input::Lost));

    // One that waits for its source there does not become active by itself.
    lab.shared.set_sync_source(Some(&source("10.77.0.9", 5)));
    let action = join(&mut lab, StorageStatus::WAIT_SYNC);
    assert_eq!(sent::<u8>(&action, Command::CHANGE_STATUS), StorageStatus::ACTIVE.0);
    let until = lab.now + TICK;
    let reason = Reason::Corrected(StorageStatus::ACTIVE);
    assert_eq!(left(&lab.reply(1, &())), (until, &reason));
    assert!(matches!(join(&mut lab, StorageStatus::ONLINE), Action::Sleep { .. }));
}

#[test]
fn a_new_leader_is_believed_once_the_old_one_has_stepped_down() {
    let mut lab = Lab::settled(2, |_| {});
    lab.work(0);
    lab.work(1);
    let list = |tracker, trunk| ChangeList { leader: leader(tracker), trunk, servers: None };
    lab.beat(0, &list(0, Some(brief("b", StorageStatus::ACTIVE))));
    assert_eq!(lab.shared.peers.leader(), Some(0));
    assert_eq!(lab.shared.peers.trunk_server().unwrap().id.as_str(), Some("b"));

    let status = |is_leader| TrackerStatus { is_leader, running_secs: 0, restart_interval_secs: 0 };
    let action = lab.beat(1, &list(1, Some(brief("c", StorageStatus::ACTIVE))));
    asked::<()>(&action, 0, Command::TRACKER_STATUS);
    assert!(matches!(lab.reply(1, &status(0)), Action::Sleep { .. }));
    assert_eq!(lab.shared.peers.leader(), Some(1));
    assert_eq!(lab.shared.peers.trunk_server().unwrap().id.as_str(), Some("c"));

    // Two that both say they lead must choose again.
    let action = lab.beat(0, &list(0, None));
    asked::<()>(&action, 1, Command::TRACKER_STATUS);
    asked::<()>(&lab.reply(0, &status(1)), 1, Command::NOTIFY_RESELECT_LEADER);
    asked::<()>(&lab.reply(0, &()), 0, Command::NOTIFY_RESELECT_LEADER);
    assert!(matches!(lab.step(0, Input::Lost), Action::Sleep { .. }), "asked in passing only");
    assert_eq!(lab.shared.peers.leader(), None);

    // Nobody left to ask.
    lab.shared.peers.set_leader(Some(1));
    lab.beat(0, &list(0, None));
    lab.step(0, Input::Lost);
    assert_eq!(lab.shared.peers.leader(), Some(0));
    let none = Some(Brief { port: 0, ..brief("", StorageStatus::INIT) });
    lab.beat(0, &ChangeList { leader: none, ..ChangeList::default() });
    assert_eq!(lab.shared.peers.leader(), None);
    let stranger = Some(brief("10.9.9.9", StorageStatus::INIT));
    lab.beat(0, &ChangeList { leader: stranger, ..ChangeList::default() });
    assert_eq!(lab.shared.peers.leader(), None);
}

#[test]
fn a_source_that_no_tracker_knows_is_given_up_and_asked_for_anew() {
    let mut lab = Lab::settled(1, |_| {});
    lab.shared.set_sync_source(Some(&source("10.77.0.9", 5)));
    let action = lab.join(0, StorageStatus::WAIT_SYNC);
    assert_eq!(sent::<SyncSource>(&action, Command::SYNC_NOTIFY), source("10.77.0.9", 5));
    let action = lab.refuse(0, Status::ENOENT);
    sent::<()>(&action, Command::TRACKER_STATUS);
    let lead = TrackerStatus { is_leader: 1, running_secs: 0, restart_interval_secs: 0 };
    let action = lab.reply(0, &lead);
    let request: fdfs_core::protocol::tracker::StorageAt =
        asked(&action, 0, Command::GET_STORAGE_STATUS);
    assert_eq!(request.address.as_str(), Some("10.77.0.2:23000"));
    assert_eq!(lab.shared.flag().sync_source, "", "the leader knows best");
    let action = lab.reply(0, &brief("10.77.0.2", StorageStatus::WAIT_SYNC));
    sent::<()>(&action, Command::SYNC_DEST_QUERY);
    let action = lab.reply(0, &None::<SyncSource>);
    assert_eq!(left(&action).0, HEART_BEAT);
    assert!(!lab.shared.flag().sync_old_done);
    assert_eq!(lab.connect(0).init_flag, 1);
    let action = lab.reply(0, &Joined { status: 0, source: StorageId::EMPTY });
    sent::<()>(&action, Command::SYNC_DEST_REQ);
}

#[test]
fn a_source_unknown_to_one_tracker_of_two_is_kept() {
    let mut lab = Lab::settled(2, |_| {});
    lab.shared.set_sync_source(Some(&source("10.77.0.9", 5)));
    lab.shared.peers.set_leader(Some(1));
    lab.join(0, StorageStatus::WAIT_SYNC);
    assert_eq!(left(&lab.refuse(0, Status::ENOENT)).0, HEART_BEAT);
    assert_eq!(lab.shared.flag().sync_source, "10.77.0.9");
}

#[test]
fn the_change_log_tells_when_the_source_is_gone_or_has_moved() {
    let mut lab = Lab::settled(1, |profile| profile.follows_changelog = true);
    lab.shared.set_sync_source(Some(&source("10.77.0.8", 5)));
    lab.join(0, StorageStatus::ONLINE);
    lab.reply(0, &());
    lab.reply(0, &ChangeList::default());
    let log = Rest(b"1 group1 10.77.0.8 3 10.77.0.9\n".to_vec());
    assert_eq!(lab.reply(0, &log), Action::Measure);
    assert_eq!(lab.shared.flag().sync_source, "10.77.0.9");
    lab.step(0, Input::Measured(Vec::new()));
    lab.reply(0, &ChangeList::default());
    sent::<()>(&lab.beat(0, &ChangeList::default()), Command::CHANGELOG);
    lab.reply(0, &Rest(b"2 group1 10.77.0.9 4 \n".to_vec()));
    assert_eq!(lab.shared.flag().sync_source, "");
    assert_eq!(lab.shared.departures().len(), 2);
    sent::<()>(&lab.beat(0, &ChangeList::default()), Command::CHANGELOG);
    assert!(matches!(lab.refuse(0, Status::ENOENT), Action::Sleep { .. }));
}
