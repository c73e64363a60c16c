//! What storages report, and what they are told in return (spec 03 §A3 to §A15).

use super::model::{Group, Storage};
use super::{ClusterState, Outcome, Session, decode};
use crate::tracker::config::{StoreLookup, StoreServer};
use bytes::BytesMut;
use fdfs_core::config::RwMode;
use fdfs_core::protocol::cluster::{
    ChangeList, DiskSpace, GroupStorage, IpChanged, StatusReport, SyncSource, SyncedUntil,
};
use fdfs_core::protocol::stats::StorageStats;
use fdfs_core::protocol::tracker::Brief;
use fdfs_core::protocol::{
    Command, GROUP_STORAGES_MAX, Group as GroupName, IpField, Status, StorageId, StorageStatus,
};
use fdfs_core::wire::{FixedStr, Wire};

/// Reports between two saves of the statistics (spec 04 §B.2, §B.3).
const REPORTS_PER_SAVE: u32 = 1000;
/// Most bytes of the change log sent at once, and how many when there is more (spec 03 §A15).
const CHANGELOG_PIECE_MAX: usize = 8202;
const CHANGELOG_PIECE: usize = 8182;

/// Between two times that a leader tells a storage of a group in which nothing changed.
const TELL_AGAIN_SECS: i64 = 30;

/// The record that says: there is none.
const NOBODY: Brief = Brief { status: 0, port: 0, id: StorageId::EMPTY, ip: IpField::EMPTY };

impl ClusterState {
    /// The requests that only a storage may send that joined on this connection. The original
    /// crashes on 79 and 88 from anybody else; here they are refused like the others.
    pub(super) fn member_report(
        &mut self,
        now: i64,
        session: &mut Session,
        command: Command,
        body: &[u8],
        out: &mut BytesMut,
    ) -> Outcome {
        let (group, id) = session.member.ok_or(Status::EACCES)?;
        match command {
            Command::STORAGE_BEAT => self.beat(now, &group, id, body)?,
            Command::REPORT_DISK_USAGE => self.disk_usage(&group, id, body)?,
            Command::SYNC_REPORT => self.sync_report(&group, id, body)?,
            Command::REPLICA_CHANGE => return self.replica_change(&group, body),
            Command::SYNC_DEST_REQ => return self.sync_dest_req(now, &group, id, body, out),
            Command::SYNC_NOTIFY => return self.sync_notify(&group, id, body),
            Command::SYNC_DEST_QUERY => return self.sync_dest_query(&group, id, body, out),
            Command::CHANGE_STATUS => return self.change_status(&group, id, body),
            _ => return self.trunk_report(&group, id, command, body, out),
        }
        self.change_list(now, session, &group).write(out);
        Ok(())
    }

    fn member(&mut self, group: &GroupName, id: StorageId) -> Result<&mut Storage, Status> {
        let group = self.group_mut(group).ok_or(Status::ENOENT)?;
        group.storage_mut(id.as_bytes()).ok_or(Status::ENOENT)
    }

    fn beat(&mut self, now: i64, group: &GroupName, id: StorageId, body: &[u8]) -> Outcome {
        let stats = decode::<Option<StorageStats>>(body)?;
        let storage = self.member(group, id)?;
        if let Some(mut stats) = stats {
            stats.last_synced_timestamp = storage.stats.last_synced_timestamp;
            storage.stats = stats;
        }
        storage.stats.last_heart_beat_time = now;
        if !body.is_empty() {
            self.unsaved_stats += 1;
            if self.unsaved_stats >= REPORTS_PER_SAVE {
                self.unsaved_stats = 0;
                self.effects.servers = true;
            }
        }
        self.activate(group, id)
    }

    /// A storage that beats serves, once it has its old files (spec 03 §D). A deleted one stays
    /// deleted, unlike in the original: an operator's word counts more than a late packet.
    fn activate(&mut self, group: &GroupName, id: StorageId) -> Outcome {
        let rule = self.rule();
        let group = self.group_mut(group).ok_or(Status::ENOENT)?;
        let storage = group.storage_mut(id.as_bytes()).ok_or(Status::ENOENT)?;
        let serves = matches!(
            storage.status,
            StorageStatus::OFFLINE | StorageStatus::ONLINE | StorageStatus::RECOVERY
        );
        if serves {
            group.set_status(id.as_bytes(), StorageStatus::ACTIVE, rule);
            // It may be the trunk server that the group lacks.
            group.trunk_retry_at = 0;
        }
        Ok(())
    }

    fn disk_usage(&mut self, name: &GroupName, id: StorageId, body: &[u8]) -> Outcome {
        let paths = decode::<Vec<DiskSpace>>(body)?;
        let by_space = self.params().store_path == 2;
        let group = self.group_mut(name).ok_or(Status::ENOENT)?;
        if i64::try_from(paths.len()) != Ok(group.store_path_count) {
            return Err(Status::EINVAL);
        }
        let storage = group.storage_mut(id.as_bytes()).ok_or(Status::ENOENT)?;
        let free_before = storage.free_mb;
        storage.total_mb = paths.iter().map(|path| path.total_mb).fold(0, i64::saturating_add);
        storage.free_mb = paths.iter().map(|path| path.free_mb).fold(0, i64::saturating_add);
        storage.paths = paths;
        if by_space {
            let free = |at: usize| storage.paths.get(at).map_or(0, |path| path.free_mb);
            for at in 0..storage.paths.len() {
                if free(at) > free(storage.current_write_path) {
                    storage.current_write_path = at;
                }
            }
        }
        let (total_mb, free_mb) = (storage.total_mb, storage.free_mb);
        if group.free_mb == 0 || free_mb < group.free_mb {
            (group.total_mb, group.free_mb) = (total_mb, free_mb);
        } else if free_mb > free_before {
            let writable = group.with_space().filter_map(|at| group.at(at));
            // `min_by_key` takes the first of equals: the first in id order.
            if let Some(fullest) = writable.min_by_key(|storage| storage.free_mb) {
                (group.total_mb, group.free_mb) = (fullest.total_mb, fullest.free_mb);
            }
        }
        self.balance_groups();
        self.activate(name, id)
    }

    /// With load balance, uploads go to the group with most free space.
    pub(super) fn balance_groups(&mut self) {
        if self.config.store_lookup != StoreLookup::LoadBalance {
            return;
        }
        let most = |space: fn(&Group) -> i64| {
            let usable = self.groups.iter().enumerate().filter(|(_, g)| !g.writable.is_empty());
            // The first by name among equals.
            usable.rev().max_by_key(|(_, group)| space(group)).map(|(at, _)| at)
        };
        let params = self.params();
        let fits = |at: &usize| {
            self.groups.get(*at).is_some_and(|group| {
                params.reserved_storage_space.allows(group.total_mb, group.free_mb, 1)
            })
        };
        let chosen = match most(|group| group.free_mb) {
            Some(at) if params.use_trunk_file && !fits(&at) => most(|group| group.trunk_free_mb),
            chosen => chosen,
        };
        if let Some(at) = chosen {
            self.current_write_group = at;
        }
    }

    fn sync_report(&mut self, name: &GroupName, id: StorageId, body: &[u8]) -> Outcome {
        let entries = decode::<Vec<SyncedUntil>>(body)?;
        if entries.is_empty() {
            return Err(Status::EINVAL);
        }
        let rule = self.rule();
        let group = self.group_mut(name).ok_or(Status::ENOENT)?;
        let reporter = group.index_of(id.as_bytes()).ok_or(Status::ENOENT)?;
        let mut accepted: Vec<i64> = Vec::new();
        for entry in entries.iter().filter(|entry| entry.timestamp > 0) {
            let Some(source) = group.index_of(entry.source.as_bytes()) else { continue };
            let active = group.at(source).is_some_and(|s| s.status == StorageStatus::ACTIVE);
            if source == reporter || !active {
                continue;
            }
            if let Some(time) = group.synced.get_mut(source).and_then(|row| row.get_mut(reporter)) {
                *time = entry.timestamp;
                accepted.push(entry.timestamp.into());
            }
        }
        if let Some(storage) = group.storages.get_mut(reporter) {
            let known = storage.stats.last_synced_timestamp;
            storage.stats.last_synced_timestamp = match rule {
                StoreServer::RoundRobin => accepted.iter().min().copied().unwrap_or(known),
                _ => accepted.iter().max().map_or(known, |newest| known.max(*newest)),
            };
        }
        self.unsaved_sync_times += 1;
        if self.unsaved_sync_times >= REPORTS_PER_SAVE {
            self.unsaved_sync_times = 0;
            self.effects.sync_times = true;
        }
        Ok(())
    }

    /// What the storage has not heard yet; only the leader tells (spec 03 §A3), or everyone while
    /// there is none.
    fn change_list(&self, now: i64, session: &mut Session, name: &GroupName) -> ChangeList {
        let mut list = ChangeList::default();
        if !self.tells_changes() {
            return list;
        }
        if self.leadership.is_me && session.seen_leader_changes != self.leadership.changes {
            session.seen_leader_changes = self.leadership.changes;
            list.leader = Some(self.leader_brief());
        }
        let Some(group) = self.group(name) else { return list };
        let brief = |storage: &Storage| storage.brief(&session.peer_text);
        if self.leadership.is_me && session.seen_trunk_changes != group.trunk_changes {
            session.seen_trunk_changes = group.trunk_changes;
            let trunk = group.trunk_server.and_then(|id| group.storage(id.as_bytes()));
            list.trunk = Some(trunk.map_or(NOBODY, brief));
        }
        // Unlike the original's, a leader says it again now and then: a tracker that was cut off may
        // have told something else meanwhile.
        let is_due = self.leadership.is_me && now - session.told_at >= TELL_AGAIN_SECS;
        if session.seen_changes != group.changes || is_due {
            (session.seen_changes, session.told_at) = (group.changes, now);
            list.servers = Some(group.in_order().map(brief).collect());
        }
        list
    }

    fn leader_brief(&self) -> Brief {
        let leader = self.leadership.leader.as_ref();
        let ip = leader.and_then(|leader| leader.hosts.first()).map_or("", String::as_str);
        Brief {
            status: 0,
            port: leader.map_or(0, |leader| leader.port.into()),
            // One byte of the field stays free for a terminator.
            id: StorageId::truncated(ip.as_bytes().get(..15).unwrap_or(ip.as_bytes())),
            ip: FixedStr::truncated(ip.as_bytes()),
        }
    }

    fn replica_change(&mut self, name: &GroupName, body: &[u8]) -> Outcome {
        let briefs = decode::<Vec<Brief>>(body)?;
        if !(1..=GROUP_STORAGES_MAX).contains(&briefs.len()) {
            return Err(Status::EINVAL);
        }
        // The leader's own view counts.
        if !self.leadership.is_me {
            for brief in briefs {
                self.merge_status(name, &brief);
            }
        }
        Ok(())
    }

    pub(super) fn report_status(&mut self, body: &[u8]) -> Outcome {
        let report = decode::<StatusReport>(body)?;
        self.group(&report.group).ok_or(Status::ENOENT)?;
        self.merge_status(&report.group, &report.storage);
        Ok(())
    }

    /// Raises a storage's status to a reported one (spec 03 §A12).
    fn merge_status(&mut self, name: &GroupName, brief: &Brief) {
        let reported = StorageStatus(brief.status);
        if reported == StorageStatus::NONE || reported.caption() == "UNKNOWN" {
            return;
        }
        let (rule, use_ids) = (self.rule(), self.params().use_storage_id);
        let entry = brief.id.as_str().and_then(|id| self.config.storage_ids.by_id(id));
        let known_id = !use_ids || entry.is_some();
        let rw = entry.map_or(RwMode::Both, |entry| entry.rw);
        let Some(group) = self.group_mut(name) else { return };
        match group.storage(brief.id.as_bytes()).map(|storage| storage.status) {
            Some(
                StorageStatus::INIT
                | StorageStatus::ONLINE
                | StorageStatus::ACTIVE
                | StorageStatus::RECOVERY,
            ) => return,
            // What an operator removed stays removed, whatever a source says that was still
            // filling it; the original would bring it back as OFFLINE.
            Some(known) if known.is_gone() && !reported.is_gone() => return,
            Some(known) if reported.is_gone() || reported > known => {
                group.set_status(brief.id.as_bytes(), reported, rule);
            }
            Some(_) => return,
            None => {
                let serves = matches!(reported, StorageStatus::ACTIVE | StorageStatus::ONLINE);
                let full = group.storages.len() >= GROUP_STORAGES_MAX;
                let ip = brief.ip.as_str().unwrap_or_default();
                let nameless = brief.id.is_empty() || ip.is_empty();
                if reported.is_gone() || serves || nameless || full || !known_id {
                    return;
                }
                let mut storage = Storage::new(brief.id, vec![ip.to_owned()], rw);
                storage.status = reported;
                storage.port = brief.port.into();
                group.add(storage);
            }
        }
        self.effects.servers = true;
    }

    fn sync_dest_req(
        &mut self,
        now: i64,
        name: &GroupName,
        id: StorageId,
        body: &[u8],
        out: &mut BytesMut,
    ) -> Outcome {
        decode::<()>(body)?;
        let rule = self.rule();
        let group = self.group_mut(name).ok_or(Status::ENOENT)?;
        let others = || group.storages.iter().filter(|storage| storage.id != id);
        if !others().any(|storage| storage.status.is_available()) {
            group.set_status(id.as_bytes(), StorageStatus::ONLINE, rule);
            self.effects.servers = true;
            return Ok(());
        }
        let mut writable = group.writable.iter().filter_map(|at| group.at(*at));
        let source = writable.find(|storage| storage.id != id).map(|storage| storage.id);
        let source = source.ok_or(Status::ENOENT)?;
        let storage = group.storage_mut(id.as_bytes()).ok_or(Status::ENOENT)?;
        storage.sync_source = Some(source);
        storage.sync_until = now;
        group.set_status(id.as_bytes(), StorageStatus::WAIT_SYNC, rule);
        self.effects.servers = true;
        Some(SyncSource { id: source, until: now }).write(out);
        Ok(())
    }

    fn sync_notify(&mut self, name: &GroupName, id: StorageId, body: &[u8]) -> Outcome {
        let notify = decode::<SyncSource>(body)?;
        let rule = self.rule();
        let group = self.group_mut(name).ok_or(Status::ENOENT)?;
        let storage = group.storage(id.as_bytes()).ok_or(Status::ENOENT)?;
        let (status, has_source) = (storage.status, storage.sync_source.is_some());
        if notify.id.is_empty() {
            let waiting = matches!(
                status,
                StorageStatus::INIT | StorageStatus::WAIT_SYNC | StorageStatus::SYNCING
            );
            if waiting {
                group.set_status(id.as_bytes(), StorageStatus::ONLINE, rule);
                self.effects.servers = true;
            }
            return Ok(());
        }
        let source = group.storage(notify.id.as_bytes()).filter(|s| !s.status.is_gone());
        if !has_source && source.is_none() {
            return Err(Status::ENOENT);
        }
        if status == StorageStatus::INIT {
            group.set_status(id.as_bytes(), StorageStatus::WAIT_SYNC, rule);
        }
        let storage = group.storage_mut(id.as_bytes()).ok_or(Status::ENOENT)?;
        if !has_source {
            storage.sync_source = Some(notify.id);
            storage.sync_until = notify.until;
        }
        self.effects.servers = true;
        Ok(())
    }

    fn sync_dest_query(
        &mut self,
        name: &GroupName,
        id: StorageId,
        body: &[u8],
        out: &mut BytesMut,
    ) -> Outcome {
        decode::<()>(body)?;
        let storage = self.member(name, id)?;
        let until = storage.sync_until;
        storage.sync_source.map(|id| SyncSource { id, until }).write(out);
        Ok(())
    }

    pub(super) fn sync_source(&mut self, body: &[u8], out: &mut BytesMut) -> Outcome {
        let request = decode::<GroupStorage>(body)?;
        let group = self.group_mut(&request.group).ok_or(Status::ENOENT)?;
        let storage = group.storage(request.id.as_bytes()).ok_or(Status::ENOENT)?;
        if storage.status == StorageStatus::INIT || storage.status.is_gone() {
            return Err(Status::ENOENT);
        }
        let (source, until) = (storage.sync_source, storage.sync_until);
        let Some(source) = source else { return Ok(()) };
        let serves = group.storage(source.as_bytes()).is_some_and(|source| {
            source.status.is_available() || source.status == StorageStatus::RECOVERY
        });
        if serves {
            Some(SyncSource { id: source, until }).write(out);
        } else if let Some(storage) = group.storage_mut(request.id.as_bytes()) {
            storage.sync_source = None;
            self.effects.servers = true;
        }
        Ok(())
    }

    fn change_status(&mut self, name: &GroupName, id: StorageId, body: &[u8]) -> Outcome {
        let wanted = StorageStatus(decode::<u8>(body)?);
        if wanted == StorageStatus::NONE || wanted.caption() == "UNKNOWN" {
            return Err(Status::EINVAL);
        }
        let rule = self.rule();
        let group = self.group_mut(name).ok_or(Status::ENOENT)?;
        let known = group.storage(id.as_bytes()).ok_or(Status::ENOENT)?.status;
        if known == wanted || known.is_available() && wanted.is_available() {
            return Ok(());
        }
        let serves = matches!(wanted, StorageStatus::ONLINE | StorageStatus::ACTIVE);
        let status = if serves { StorageStatus::OFFLINE } else { wanted };
        group.set_status(id.as_bytes(), status, rule);
        self.effects.servers = true;
        Ok(())
    }

    fn trunk_report(
        &mut self,
        name: &GroupName,
        id: StorageId,
        command: Command,
        body: &[u8],
        out: &mut BytesMut,
    ) -> Outcome {
        let group = self.group_mut(name).ok_or(Status::ENOENT)?;
        if command == Command::FETCH_TRUNK_FID {
            decode::<()>(body)?;
            group.current_trunk_file_id.write(out);
            return Ok(());
        }
        let is_trunk_server = group.trunk_server == Some(id);
        if command == Command::REPORT_TRUNK_FID {
            let file_id = decode::<i32>(body)?;
            if file_id < 0 || !is_trunk_server {
                return Err(Status::EINVAL);
            }
            if file_id > group.current_trunk_file_id {
                group.current_trunk_file_id = file_id;
                self.effects.groups = true;
            }
            return Ok(());
        }
        let free_mb = decode::<i64>(body)?;
        if free_mb < 0 || !is_trunk_server {
            return Err(Status::EINVAL);
        }
        group.trunk_free_mb = free_mb;
        self.balance_groups();
        Ok(())
    }

    /// A storage came back under a new address: the records change places (spec 03 §A15).
    pub(super) fn ip_changed(&mut self, now: i64, session: &Session, body: &[u8]) -> Outcome {
        let change = decode::<IpChanged>(body)?;
        if self.params().use_storage_id {
            return Err(Status::EOPNOTSUPP);
        }
        self.group(&change.group).ok_or(Status::ENOENT)?;
        let text = |ip: IpField| ip.as_str().map(str::to_owned).ok_or(Status::EINVAL);
        let (old_ip, new_ip) = (text(change.old_ip)?, text(change.new_ip)?);
        if new_ip != session.peer_text {
            return Err(Status::EINVAL);
        }
        let (old_id, new_id) = (self.id_of_ip(&old_ip), self.id_of_ip(&new_ip));
        let rule = self.rule();
        let group = self.group_mut(&change.group).ok_or(Status::ENOENT)?;
        let old = group.storage(old_id.as_bytes()).ok_or(Status::ENOENT)?;
        match old.status {
            StorageStatus::DELETED => return Err(Status::ENOENT),
            StorageStatus::IP_CHANGED => return Err(Status::EALREADY),
            StorageStatus::ONLINE | StorageStatus::ACTIVE | StorageStatus::RECOVERY => {
                return Err(Status::EBUSY);
            }
            _ => {}
        }
        let taken = group.storage(new_id.as_bytes());
        if taken.is_some_and(|storage| storage.status != StorageStatus::DELETED) {
            return Err(Status::EEXIST);
        }
        let left = match group.index_of(new_id.as_bytes()) {
            Some(at) => at,
            None if group.storages.len() >= GROUP_STORAGES_MAX => return Err(Status::ENOSPC),
            None => group.add(Storage::new(new_id, vec![new_ip.clone()], RwMode::Both)),
        };
        let moved = group.index_of(old_id.as_bytes()).ok_or(Status::ENOENT)?;
        if let Some(storage) = group.storages.get_mut(moved) {
            storage.set_identity(new_id, vec![new_ip.clone()]);
        }
        if let Some(storage) = group.storages.get_mut(left) {
            storage.set_identity(old_id, vec![old_ip.clone()]);
            storage.status = StorageStatus::IP_CHANGED;
        }
        for storage in &mut group.storages {
            if storage.sync_source == Some(old_id) {
                storage.sync_source = Some(new_id);
            }
        }
        if group.trunk_server == Some(old_id) {
            group.set_trunk_server(Some(new_id));
        }
        if group.last_trunk_server == old_id {
            group.last_trunk_server = new_id;
        }
        group.sort();
        group.refresh(rule);
        group.changes += 1;
        self.log_change(now, &change.group, &old_ip, StorageStatus::IP_CHANGED, &new_ip);
        self.save_all();
        Ok(())
    }

    /// The piece of the change log that a storage has not read yet.
    pub(super) fn changelog(
        &mut self,
        session: &Session,
        body: &[u8],
        out: &mut BytesMut,
    ) -> Outcome {
        let (name, id) = match decode::<Option<GroupStorage>>(body)? {
            Some(request) => (request.group, request.id),
            None => session.member.ok_or(Status::EINVAL)?,
        };
        let len = self.changelog.len();
        let storage = self.member(&name, id)?;
        let start = usize::try_from(storage.changelog_offset).unwrap_or(len).min(len);
        let piece = if len - start > CHANGELOG_PIECE_MAX { CHANGELOG_PIECE } else { len - start };
        storage.changelog_offset = (start + piece) as u64;
        out.extend_from_slice(self.changelog.get(start..start + piece).unwrap_or_default());
        self.effects.servers |= piece > 0;
        Ok(())
    }
}
