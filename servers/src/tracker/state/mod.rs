//! The cluster as one tracker knows it: a state machine without sockets, clock or files.
//!
//! [`ClusterState::apply`] takes a request and appends the reply's body; what must reach the disk
//! is collected in [`Effects`]. The work is in the modules by subject: [`select`] chooses servers
//! for clients, [`join`] admits storages, [`reports`] takes their reports, [`list`] shows the
//! cluster, [`admin`] changes it, [`leader`] agrees with other trackers, [`trunk`] finds trunk
//! servers.

mod admin;
mod join;
mod leader;
mod list;
pub mod model;
mod reports;
mod select;
pub mod trunk;

use super::config::{StoreServer, TrackerConfig};
use bytes::BytesMut;
use fdfs_core::config::{ClusterParams, TrackerAddr};
use fdfs_core::protocol::frame::Header;
use fdfs_core::protocol::{Command, Group as GroupName, Status, StorageId, StorageStatus};
use fdfs_core::wire::{DecodeError, Wire};
use leader::Leadership;
use model::{Group, Storage};
use std::net::IpAddr;
use std::sync::Arc;

/// What must reach the disk.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// `storage_groups_new.dat` changed.
    pub groups: bool,
    /// `storage_servers_new.dat` changed.
    pub servers: bool,
    /// `storage_sync_timestamp.dat` changed.
    pub sync_times: bool,
    /// Bytes to add to `storage_changelog.dat`.
    pub changelog: Vec<u8>,
}

impl Effects {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What a connection carries from request to request.
#[derive(Debug, Clone)]
pub struct Session {
    /// Unique within this tracker.
    pub id: u64,
    /// The peer's address.
    pub peer: IpAddr,
    /// The peer's address as text.
    pub peer_text: String,
    /// The address the peer dialled.
    pub local: IpAddr,
    /// The storage that joined on this connection.
    pub member: Option<(GroupName, StorageId)>,
    /// The tracker that follows us on this connection, by its place in the list of trackers.
    follower: Option<usize>,
    /// The leader change this connection was last told.
    seen_leader_changes: u64,
    /// The change of its group that this member was last told. What was told on a connection that
    /// is lost may not have arrived, and a late request on it must not take the news from the next
    /// one; the original counts for each storage.
    seen_changes: u64,
    /// Unix seconds of when it was told of its group.
    told_at: i64,
    /// The trunk server change that this member or follower was last told.
    seen_trunk_changes: u64,
}

impl Session {
    /// A fresh connection.
    pub fn new(id: u64, peer: IpAddr, local: IpAddr) -> Self {
        let peer_text = peer.to_string();
        Self {
            id,
            peer,
            peer_text,
            local,
            member: None,
            follower: None,
            seen_leader_changes: 0,
            seen_changes: 0,
            told_at: 0,
            seen_trunk_changes: 0,
        }
    }
}

/// The whole cluster.
#[derive(Debug)]
pub struct ClusterState {
    config: Arc<TrackerConfig>,
    /// By name.
    groups: Vec<Group>,
    current_write_group: usize,
    /// All trackers, as storages reported them.
    trackers: Vec<TrackerAddr>,
    local_ips: Vec<IpAddr>,
    port: u16,
    leadership: Leadership,
    up_time: i64,
    /// As of the last tick.
    now: i64,
    last_check_time: i64,
    changelog: Vec<u8>,
    /// The state files as they were when a peer began to copy them, and who.
    copying: Option<(u64, [Vec<u8>; 4])>,
    /// Whether other trackers were asked for what they know, and whether they gave it.
    has_asked: bool,
    has_copied: bool,
    /// Statistics reported since they were last saved.
    unsaved_stats: u32,
    /// Sync times reported since they were last saved.
    unsaved_sync_times: u32,
    effects: Effects,
}

type Outcome = Result<(), Status>;

/// A malformed body is status 22, whatever is wrong with it.
fn decode<T: Wire>(body: &[u8]) -> Result<T, Status> {
    T::decode(body).map_err(|_: DecodeError| Status::EINVAL)
}

impl ClusterState {
    /// A tracker that listens on `port` and knows nothing yet.
    pub fn new(config: Arc<TrackerConfig>, port: u16, now: i64) -> Self {
        Self {
            config,
            port,
            groups: Vec::new(),
            current_write_group: 0,
            trackers: Vec::new(),
            local_ips: Vec::new(),
            leadership: Leadership::default(),
            up_time: now,
            now,
            last_check_time: 0,
            changelog: Vec::new(),
            copying: None,
            has_asked: false,
            has_copied: false,
            unsaved_stats: 0,
            unsaved_sync_times: 0,
            effects: Effects::default(),
        }
    }

    /// Takes over what an earlier run knew.
    pub fn restore(&mut self, groups: Vec<Group>, changelog: Vec<u8>, last_check_time: i64) {
        self.groups = groups;
        self.groups.sort_by_key(|group| group.name);
        for group in &mut self.groups {
            // Storages must hear of a trunk server that was chosen before this start.
            group.trunk_changes = u64::from(group.trunk_server.is_some());
        }
        self.changelog = changelog;
        self.last_check_time = last_check_time;
    }

    /// Takes over what another tracker knows.
    pub fn replace(&mut self, groups: Vec<Group>, changelog: Vec<u8>) {
        let last_check_time = self.last_check_time;
        self.restore(groups, changelog, last_check_time);
    }

    /// Whether others may know more (spec 03 §B7): no group is known here, or this tracker was away
    /// for longer than `away_secs_max` before it started, and has not asked yet.
    pub fn may_know_too_little(&self, away_secs_max: i64) -> bool {
        let was_away =
            self.last_check_time > 0 && self.up_time - self.last_check_time > away_secs_max;
        (self.groups.is_empty() && !self.has_copied) || (was_away && !self.has_asked)
    }

    /// Others were asked; whether they knew more.
    pub fn asked_others(&mut self, copied: bool) {
        self.has_asked = true;
        self.has_copied |= copied;
    }

    fn params(&self) -> &ClusterParams {
        &self.config.params
    }

    fn rule(&self) -> StoreServer {
        self.config.store_server
    }

    /// The groups, by name.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    fn group_at(&self, name: &GroupName) -> Option<usize> {
        self.groups.binary_search_by(|group| group.name.cmp(name)).ok()
    }

    fn group(&self, name: &GroupName) -> Option<&Group> {
        self.group_at(name).and_then(|at| self.groups.get(at))
    }

    fn group_mut(&mut self, name: &GroupName) -> Option<&mut Group> {
        self.group_at(name).and_then(|at| self.groups.get_mut(at))
    }

    /// What must reach the disk since this was last asked.
    pub fn take_effects(&mut self) -> Effects {
        std::mem::take(&mut self.effects)
    }

    /// Whether something must reach the disk.
    pub fn has_effects(&self) -> bool {
        !self.effects.is_empty()
    }

    /// Takes back what could not be written.
    pub fn keep_effects(&mut self, mut effects: Effects) {
        effects.changelog.extend_from_slice(&self.effects.changelog);
        self.effects.changelog = effects.changelog;
        self.effects.groups |= effects.groups;
        self.effects.servers |= effects.servers;
        self.effects.sync_times |= effects.sync_times;
    }

    /// Has everything written, as at the end.
    pub fn save_everything(&mut self) {
        self.save_all();
    }

    /// Handles one request; the reply's body is appended to `out`, which stays untouched unless
    /// the status is success.
    pub fn apply(
        &mut self,
        now: i64,
        session: &mut Session,
        header: Header,
        body: &[u8],
        out: &mut BytesMut,
    ) -> Status {
        let start = out.len();
        match self.dispatch(now, session, header.command, body, out) {
            Ok(()) => Status::OK,
            Err(status) => {
                out.truncate(start);
                status
            }
        }
    }

    fn dispatch(
        &mut self,
        now: i64,
        session: &mut Session,
        command: Command,
        body: &[u8],
        out: &mut BytesMut,
    ) -> Outcome {
        match command {
            Command::QUERY_STORE | Command::QUERY_STORE_GROUP => {
                self.query_store(session, command, body, out)
            }
            Command::QUERY_STORE_ALL | Command::QUERY_STORE_GROUP_ALL => {
                self.query_store_all(session, command, body, out)
            }
            Command::QUERY_FETCH | Command::QUERY_UPDATE | Command::QUERY_FETCH_ALL => {
                self.query_fetch(now, session, command, body, out)
            }
            Command::ACTIVE_TEST => decode::<()>(body),
            Command::STORAGE_JOIN => self.join(session, body, out),
            Command::STORAGE_BEAT
            | Command::REPORT_DISK_USAGE
            | Command::SYNC_REPORT
            | Command::REPLICA_CHANGE
            | Command::SYNC_DEST_REQ
            | Command::SYNC_NOTIFY
            | Command::SYNC_DEST_QUERY
            | Command::CHANGE_STATUS
            | Command::FETCH_TRUNK_FID
            | Command::REPORT_TRUNK_FID
            | Command::REPORT_TRUNK_FREE => self.member_report(now, session, command, body, out),
            Command::SYNC_SRC_REQ => self.sync_source(body, out),
            Command::REPORT_STATUS => self.report_status(body),
            Command::REPORT_IP_CHANGED => self.ip_changed(now, session, body),
            Command::CHANGELOG => self.changelog(session, body, out),
            _ => self.show(now, session, command, body, out),
        }
    }

    /// A connection ended: its storage cannot be reached (spec 03 §D).
    pub fn disconnected(&mut self, session: &Session) {
        if self.copying.as_ref().is_some_and(|(copier, _)| *copier == session.id) {
            self.copying = None;
        }
        let Some((group, id)) = session.member else { return };
        let rule = self.rule();
        let Some(group) = self.group_mut(&group) else { return };
        let Some(storage) = group.storage_mut(id.as_bytes()) else { return };
        // A storage whose network broke has often joined again before its old connection is
        // found dead; the original would take it offline until its next beat.
        if storage.session != Some(session.id) {
            return;
        }
        storage.session = None;
        storage.up_time = 0;
        if storage.status.is_available() {
            group.set_status(id.as_bytes(), StorageStatus::OFFLINE, rule);
        }
    }

    /// What time alone brings about: silent storages go offline, a lone tracker leads itself.
    pub fn tick(&mut self, now: i64) {
        let (rule, limit) = (self.rule(), super::config::secs(self.config.check_active_interval));
        for group in &mut self.groups {
            let silent = |storage: &Storage| {
                storage.status == StorageStatus::ACTIVE
                    && now - storage.stats.last_heart_beat_time > limit
            };
            while let Some(storage) = group.storages.iter_mut().find(|storage| silent(storage)) {
                let id = storage.id;
                group.set_status(id.as_bytes(), StorageStatus::OFFLINE, rule);
            }
        }
        self.lead_alone();
        self.watch_leader(now);
    }

    /// The text of `.tracker_status`.
    pub fn status_text(&self, now: i64) -> String {
        format!("up_time={}\nlast_check_time={now}\n", self.up_time)
    }

    fn log_change(
        &mut self,
        now: i64,
        group: &GroupName,
        id: &str,
        status: StorageStatus,
        to: &str,
    ) {
        let line = format!("{now} {group} {id} {} {to}\n", status.0);
        self.changelog.extend_from_slice(line.as_bytes());
        self.effects.changelog.extend_from_slice(line.as_bytes());
    }

    fn save_all(&mut self) {
        self.effects.groups = true;
        self.effects.servers = true;
        self.effects.sync_times = true;
    }
}

#[cfg(test)]
mod tests;
