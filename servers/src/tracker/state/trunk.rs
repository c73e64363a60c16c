//! Finding the trunk server of a group (spec 03 §B6): who is asked, and who it becomes. Asking is
//! up to the service; nothing here waits.

use super::model::{Group, Storage};
use super::{ClusterState, Outcome, decode};
use crate::tracker::config::secs;
use bytes::BytesMut;
use fdfs_core::protocol::cluster::GroupStorage;
use fdfs_core::protocol::tracker::{GroupMember, TrunkServer};
use fdfs_core::protocol::{Group as GroupName, Status, StorageId, StorageStatus};
use fdfs_core::wire::Wire;
use std::net::SocketAddr;

/// A storage that may become trunk server, and where to ask it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// The storage.
    pub id: StorageId,
    /// Its service address.
    pub addr: SocketAddr,
}

/// The candidates of a group; the preselected one stands first and must answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrunkPoll {
    /// The group.
    pub group: GroupName,
    /// Whom to ask for the size of its trunk binlog.
    pub candidates: Vec<Candidate>,
}

/// A chosen trunk server that has not been told yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrunkSwitch {
    /// The group.
    pub group: GroupName,
    /// The chosen one.
    pub to: Candidate,
    /// Whether it must first forget how far it has sent its trunk binlog, because another storage
    /// wrote it since.
    pub must_forget_marks: bool,
}

/// What must be asked before a request to set a trunk server can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrunkStep {
    /// Any will do: ask who has the longest binlog.
    Ask(TrunkPoll),
    /// This one is wanted.
    Switch(TrunkSwitch),
}

fn candidate(storage: &Storage) -> Option<Candidate> {
    let ip = storage.ips.first()?.parse().ok()?;
    Some(Candidate { id: storage.id, addr: SocketAddr::new(ip, u16::try_from(storage.port).ok()?) })
}

fn poll(group: &Group) -> Option<TrunkPoll> {
    let first = group.store_server?;
    let others = group.writable.iter().copied().filter(|at| *at != first);
    let storages = std::iter::once(first).chain(others).filter_map(|at| group.at(at));
    let candidates: Vec<Candidate> = storages.filter_map(candidate).collect();
    Some(TrunkPoll { group: group.name, candidates })
}

fn switch(group: &Group, to: Candidate) -> TrunkSwitch {
    let last = group.last_trunk_server;
    let must_forget_marks = !last.is_empty() && last != to.id;
    TrunkSwitch { group: group.name, to, must_forget_marks }
}

/// The trunk server in office: one that does not serve may be replaced.
fn current(group: &Group) -> Option<&Storage> {
    let storage = group.trunk_server.and_then(|id| group.storage(id.as_bytes()))?;
    (storage.status == StorageStatus::ACTIVE).then_some(storage)
}

impl ClusterState {
    fn chooses_trunk_servers(&self) -> bool {
        self.leadership.is_me && self.params().use_trunk_file
    }

    /// The groups that lack a trunk server and whose turn it is to look for one.
    pub fn trunk_polls(&mut self, now: i64) -> Vec<TrunkPoll> {
        if !self.chooses_trunk_servers() {
            return Vec::new();
        }
        let pause = secs(self.config.check_active_interval).max(1);
        let due = self.groups.iter_mut().filter(|group| {
            group.trunk_server.is_none()
                && group.store_server.is_some()
                && group.trunk_retry_at <= now
        });
        due.filter_map(|group| {
            group.trunk_retry_at = now + pause;
            poll(group)
        })
        .collect()
    }

    /// Chooses by the sizes of the trunk binlogs; `None` stands for a candidate that did not
    /// answer. The longest binlog wins, the first among equals (the original takes the last one
    /// that is longer than the first one's).
    pub fn trunk_polled(
        &self,
        poll: &TrunkPoll,
        sizes: &[Option<i64>],
    ) -> Result<TrunkSwitch, Status> {
        let group = self.group(&poll.group).ok_or(Status::ENOENT)?;
        let mut answers = poll.candidates.iter().zip(sizes);
        let (first, size) = answers.next().ok_or(Status::ENOENT)?;
        let mut best = (first, size.ok_or(Status::ENOTCONN)?);
        for (candidate, size) in answers {
            if let Some(size) = size.filter(|size| *size > best.1) {
                best = (candidate, size);
            }
        }
        Ok(switch(group, *best.0))
    }

    /// Whether the chosen one may become the trunk server, or things have changed meanwhile.
    pub fn trunk_chosen(&self, chosen: &TrunkSwitch) -> Outcome {
        if !self.chooses_trunk_servers() {
            return Err(Status::EOPNOTSUPP);
        }
        let group = self.group(&chosen.group).ok_or(Status::ENOENT)?;
        let id = chosen.to.id;
        let storage = group.storage(id.as_bytes()).ok_or(Status::ENOENT)?;
        if storage.status != StorageStatus::ACTIVE {
            return Err(Status::ENONET);
        }
        if current(group).is_some_and(|current| current.id != id) {
            return Err(Status::EEXIST);
        }
        Ok(())
    }

    /// The trunk server of a group was decided; an empty id stands for none.
    pub fn trunk_decided(&mut self, decision: &GroupStorage) {
        let id = Some(decision.id).filter(|id| !id.is_empty());
        let Some(group) = self.group_mut(&decision.group) else { return };
        if group.trunk_server == id {
            return;
        }
        match id {
            Some(id) => {
                tracing::info!(group = %group.name, to = %id, "new trunk server");
                group.last_trunk_server = id;
            }
            None => group.trunk_retry_at = 0,
        }
        group.set_trunk_server(id);
        self.leadership.trunk_changes += 1;
        self.effects.groups = true;
    }

    /// Groups whose trunk server has been silent too long, as decisions to have none. Loading the
    /// free slots takes a storage a while after its start, so it is given more time then.
    pub fn silent_trunk_servers(&self, now: i64) -> Vec<GroupStorage> {
        if !self.chooses_trunk_servers() {
            return Vec::new();
        }
        let interval = secs(self.config.check_active_interval);
        let params = self.params();
        let grace = if params.trunk_init_check_occupying { 5 } else { 3 };
        let grace = if params.trunk_init_reload_from_binlog { 2 * grace } else { grace };
        let is_silent = |group: &&Group| {
            let Some(id) = group.trunk_server else { return false };
            group.storage(id.as_bytes()).is_none_or(|storage| {
                let is_starting = now - storage.up_time < 10 * interval;
                let patience = interval * if is_starting { grace } else { 2 };
                // What was heard before this tracker started says nothing about silence.
                now - storage.stats.last_heart_beat_time.max(self.up_time) > patience
            })
        };
        let silent = self.groups.iter().filter(is_silent).map(|group| {
            tracing::warn!(group = %group.name, was = ?group.trunk_server,
                "the trunk server is silent");
            GroupStorage { group: group.name, id: StorageId::EMPTY }
        });
        silent.collect()
    }

    /// The trunk servers that are known here, as decisions.
    pub fn trunk_servers(&self) -> Vec<GroupStorage> {
        let known = self.groups.iter();
        let known = known.filter_map(|group| Some((group.name, group.trunk_server?)));
        known.map(|(group, id)| GroupStorage { group, id }).collect()
    }

    /// What must be asked before [`ClusterState::apply`] can answer this `SET_TRUNK_SERVER`.
    pub fn before_set_trunk_server(&self, body: &[u8]) -> Option<TrunkStep> {
        let request = decode::<GroupMember>(body).ok()?;
        let group = self.group(&request.group)?;
        if !self.chooses_trunk_servers() || current(group).is_some() {
            return None;
        }
        if request.id.is_empty() {
            return poll(group).map(TrunkStep::Ask);
        }
        let storage = group.storage(request.id.as_bytes())?;
        let eligible = storage.status == StorageStatus::ACTIVE && storage.rw.writes();
        candidate(storage).filter(|_| eligible).map(|to| TrunkStep::Switch(switch(group, to)))
    }

    pub(super) fn set_trunk_server(&mut self, body: &[u8], out: &mut BytesMut) -> Outcome {
        let request = decode::<GroupMember>(body)?;
        if request.id.len() > 15 {
            return Err(Status::EINVAL);
        }
        let may_choose = self.chooses_trunk_servers();
        let group = self.group(&request.group).ok_or(Status::ENOENT)?;
        if !may_choose {
            return Err(Status::EOPNOTSUPP);
        }
        let id = match (request.id.is_empty(), current(group)) {
            (true, Some(current)) => current.id,
            // The service has asked before (`before_set_trunk_server`), to no avail.
            (true, None) => return Err(Status::ENOENT),
            (false, Some(current)) if current.id.as_bytes() == request.id.as_bytes() => {
                return Err(Status::EALREADY);
            }
            (false, Some(_)) => return Err(Status::EEXIST),
            (false, None) => {
                let storage = group.storage(request.id.as_bytes()).ok_or(Status::ENOENT)?;
                if storage.status != StorageStatus::ACTIVE {
                    return Err(Status::ENONET);
                }
                if !storage.rw.writes() {
                    return Err(Status::EACCES);
                }
                // A storage with an address would have been chosen by now.
                return Err(Status::EINVAL);
            }
        };
        TrunkServer(id).write(out);
        Ok(())
    }
}
