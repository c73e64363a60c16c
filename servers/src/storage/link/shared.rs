//! What the reporters of one storage share: its memory of itself, the group, and how it stands at
//! each tracker. Pure; one small mutex around it is never held while waiting.

use super::changelog::Departure;
use super::peers::Peers;
use crate::storage::identity::InitFlag;
use fdfs_core::config::TrackerAddr;
use fdfs_core::protocol::cluster::{Join, SyncSource};
use fdfs_core::protocol::tracker::Brief;
use fdfs_core::protocol::{COMPATIBLE_VERSION, Group, Status, StorageId, StorageStatus, Version};
use fdfs_core::wire::{FixedStr, Text};
use std::net::IpAddr;
use std::time::Duration;

/// Departures kept for those who look at them later; older ones are forgotten.
const DEPARTURES_MAX: usize = 64;

/// What a storage tells every tracker of itself; fixed while it runs.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Its group.
    pub group: Group,
    /// Its storage id.
    pub id: StorageId,
    /// Its first address.
    pub ip: String,
    /// Whether ids come from the cluster's table instead of addresses.
    pub use_ids: bool,
    /// Service port.
    pub port: u16,
    /// Store paths.
    pub store_path_count: i64,
    /// Sub-directories per level.
    pub subdir_count_per_path: i64,
    /// Lower is preferred.
    pub upload_priority: i64,
    /// Unix seconds of this start.
    pub up_time: i64,
    /// Whether the change log is read after each beat.
    pub follows_changelog: bool,
    /// Between beats, and before trying again what failed.
    pub heart_beat_interval: Duration,
    /// Between reports of free space.
    pub stat_report_interval: Duration,
}

/// How this storage stands at one tracker.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    /// Whether the outcome of a join is known.
    pub(super) join_tried: bool,
    /// Status as this tracker last told it.
    pub(super) told: Option<StorageStatus>,
    /// Status that follows from the tracker's rules, while connected.
    pub(super) expected: Option<StorageStatus>,
    /// Outcome of the last `SYNC_NOTIFY`.
    pub(super) notified: Option<Status>,
    /// Whether it knows the free space.
    pub(super) knows_space: bool,
}

/// The state of the link.
#[derive(Debug)]
pub struct Shared {
    /// What the storage remembers of itself; change it with [`Shared::change_flag`].
    flag: InitFlag,
    flag_changed: bool,
    /// The group's storages.
    pub peers: Peers,
    /// The trackers by address, as far as their names have been resolved.
    pub trackers: Vec<TrackerAddr>,
    pub(super) standings: Vec<Standing>,
    /// The reporter that asks who sends the old files; only one does.
    pub(super) asking: Option<usize>,
    departures: Vec<Departure>,
    /// How many there have been, the forgotten ones included.
    departed: u64,
}

impl Shared {
    /// Before any tracker was met.
    pub fn new(flag: InitFlag, trackers: Vec<TrackerAddr>) -> Self {
        Self {
            flag,
            flag_changed: false,
            peers: Peers::default(),
            standings: vec![Standing::default(); trackers.len()],
            trackers,
            asking: None,
            departures: Vec::new(),
            departed: 0,
        }
    }

    /// What the storage remembers of itself.
    pub fn flag(&self) -> &InitFlag {
        &self.flag
    }

    /// Changes what the storage remembers; it is saved before the next request leaves.
    pub fn change_flag(&mut self, change: impl FnOnce(&mut InitFlag)) {
        let before = self.flag.clone();
        change(&mut self.flag);
        self.flag_changed |= self.flag != before;
    }

    /// Whether the memory must be saved.
    pub fn is_flag_changed(&self) -> bool {
        self.flag_changed
    }

    /// The memory to be saved, once for each change.
    pub fn take_changed_flag(&mut self) -> Option<InitFlag> {
        std::mem::take(&mut self.flag_changed).then(|| self.flag.clone())
    }

    /// Says that saving failed, so that it is tried again.
    pub fn flag_not_saved(&mut self) {
        self.flag_changed = true;
    }

    /// Whether a tracker sends clients here.
    pub fn is_active(&self) -> bool {
        let sends = |s: &Standing| s.knows_space && s.expected == Some(StorageStatus::ACTIVE);
        self.standings.iter().any(sends)
    }

    /// Whether a tracker knows this storage and its free space, whatever status it gives it.
    pub fn is_reported(&self) -> bool {
        self.standings.iter().any(|standing| standing.knows_space)
    }

    /// What happened to peers lately, the newest last.
    pub fn departures(&self) -> &[Departure] {
        &self.departures
    }

    /// How many departures there have been, those forgotten included.
    pub fn departed(&self) -> u64 {
        self.departed
    }

    pub(super) fn standing(&mut self, index: usize) -> Option<&mut Standing> {
        self.standings.get_mut(index)
    }

    /// The body of a join; `settled` tells whether this reporter has told who sends old files.
    pub(super) fn join(&self, profile: &Profile, tracker_ip: IpAddr, settled: bool) -> Join {
        let status = match self.peers.status(&profile.id) {
            Some(status) => i8::try_from(status.0).unwrap_or(0),
            None if self.standings.iter().all(|standing| standing.join_tried) => 0,
            None if self.standings.len() == 1 => 0,
            // Another tracker may know this storage; it is asked first.
            None => -1,
        };
        let tracker_ip = tracker_ip.to_canonical().to_string();
        let line = |tracker: &TrackerAddr| Text::new(tracker.to_string().as_bytes());
        Join {
            group: FixedStr::truncated(profile.group.as_bytes()),
            port: profile.port.into(),
            store_path_count: profile.store_path_count,
            subdir_count_per_path: profile.subdir_count_per_path,
            upload_priority: profile.upload_priority,
            join_time: self.flag.join_time,
            up_time: profile.up_time,
            version: Version::truncated(COMPATIBLE_VERSION.as_bytes()),
            init_flag: u8::from(!settled),
            status,
            id: if profile.use_ids { profile.id } else { StorageId::EMPTY },
            tracker_ip: FixedStr::truncated(tracker_ip.as_bytes()),
            trackers: self.trackers.iter().filter_map(line).collect(),
        }
    }

    /// Who sends the old files, as the trackers are told it.
    pub(super) fn sync_source(&self) -> SyncSource {
        let id = StorageId::truncated(self.flag.sync_source.as_bytes());
        SyncSource { id, until: if id.is_empty() { 0 } else { self.flag.sync_until } }
    }

    /// Takes over who sends the old files.
    pub(super) fn set_sync_source(&mut self, source: Option<&SyncSource>) {
        self.change_flag(|flag| {
            flag.sync_source = source.map(|source| source.id.to_string()).unwrap_or_default();
            flag.sync_until = source.map_or(0, |source| source.until);
        });
    }

    /// The tracker with this address.
    pub(super) fn tracker_at(&self, at: &Brief) -> Option<usize> {
        let ip: IpAddr = at.ip.as_str()?.parse().ok()?;
        self.trackers
            .iter()
            .position(|tracker| i32::from(tracker.port) == at.port && tracker.has_ip(ip))
    }

    /// The status that the tracker `index` must be told: that of the leading one, when they differ
    /// in more than how much of "available" they have seen (spec 03 §A14).
    ///
    /// Only the leader ever tells a status after the join. What the other trackers have made of it
    /// since follows from their rules; the original compares with the join's, and so takes a fresh
    /// storage away from every follower for a second.
    pub(super) fn correction(&self, index: usize) -> Option<StorageStatus> {
        let leader = self.peers.leader().filter(|leader| *leader != index)?;
        let right = self.standings.get(leader)?.told?;
        let here = self.standings.get(index)?;
        let here = here.expected.or(here.told)?;
        (right != here && !(right.is_available() && here.is_available())).then_some(right)
    }

    /// Follows what the change log says of peers. A source that is gone fills nobody.
    pub fn depart(&mut self, departure: Departure, use_ids: bool) {
        let is_source = self.flag.sync_source == departure.id;
        match &departure.new_ip {
            None if is_source => self.set_sync_source(None),
            Some(ip) if is_source && !use_ids => {
                self.change_flag(|flag| flag.sync_source.clone_from(ip));
            }
            _ => {}
        }
        if self.departures.len() == DEPARTURES_MAX {
            self.departures.remove(0);
        }
        self.departures.push(departure);
        self.departed += 1;
    }
}
