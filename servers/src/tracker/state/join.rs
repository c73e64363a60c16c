//! Admitting storages (spec 03 §A2).

use super::model::{Group, Storage};
use super::{ClusterState, Outcome, Session, decode};
use bytes::BytesMut;
use fdfs_core::config::IdType;
use fdfs_core::config::{RwMode, TrackerAddr};
use fdfs_core::file_id::short_code;
use fdfs_core::protocol::cluster::{Join, Joined};
use fdfs_core::protocol::{
    GROUP_STORAGES_MAX, GROUPS_MAX, Group as GroupName, STORE_PATHS_MAX, SUBDIRS_MAX, Status,
    StorageId, StorageStatus, TRACKERS_MAX, is_group_name,
};
use fdfs_core::wire::Wire;
use std::net::IpAddr;

impl ClusterState {
    pub(super) fn join(
        &mut self,
        session: &mut Session,
        body: &[u8],
        out: &mut BytesMut,
    ) -> Outcome {
        let join = decode::<Join>(body)?;
        check_ranges(&join)?;
        self.learn_trackers(session, &join)?;
        let name = GroupName::truncated(join.group.as_bytes());
        let (id, ips, rw) = self.identify(session, &join)?;
        let is_new = self.group(&name).is_none_or(|g| g.storage(id.as_bytes()).is_none());
        if is_new && join.init_flag == 0 {
            check_reported_status(&join)?;
        }
        if self.group(&name).is_none() {
            if self.groups.len() >= GROUPS_MAX {
                return Err(Status::ENOSPC);
            }
            self.groups.push(Group::new(name));
            self.groups.sort_by_key(|group| group.name);
            self.effects.groups = true;
        }
        self.admit(&name, &join, id, ips, rw)?;
        if is_new {
            self.settle_new(&name, &join, id);
            self.save_all();
        }
        let (changelog_len, rule) = (self.changelog.len() as u64, self.rule());
        let group = self.group_mut(&name).ok_or(Status::ENOENT)?;
        let storage = group.storage_mut(id.as_bytes()).ok_or(Status::ENOENT)?;
        if matches!(storage.status, StorageStatus::OFFLINE | StorageStatus::RECOVERY) {
            storage.status = StorageStatus::ONLINE;
        } else if storage.status == StorageStatus::INIT {
            // A fresh storage ignores what happened before it.
            storage.changelog_offset = changelog_len;
        }
        storage.session = Some(session.id);
        let source = storage.sync_source.unwrap_or_default();
        Joined { status: storage.status.0, source }.write(out);
        // Priority and permissions may be new.
        group.refresh(rule);
        session.member = Some((name, id));
        (session.seen_changes, session.seen_trunk_changes) = (0, 0);
        Ok(())
    }

    /// Adds the trackers that the storage knows to ours, and checks that we are among them.
    fn learn_trackers(&mut self, session: &Session, join: &Join) -> Outcome {
        let dialled = join.tracker_ip.as_str().and_then(|ip| ip.parse::<IpAddr>().ok());
        for ip in [Some(session.local), dialled].into_iter().flatten() {
            if !self.local_ips.contains(&ip) && self.local_ips.len() < TRACKERS_MAX * 2 {
                self.local_ips.push(ip);
            }
        }
        let mut trackers = self.trackers.clone();
        for line in &join.trackers {
            let line = line.as_str().ok_or(Status::EINVAL)?;
            let tracker: TrackerAddr = line.parse().map_err(|_| Status::EINVAL)?;
            let same = trackers.iter_mut().find(|known| known.is_same(&tracker));
            match same {
                Some(known) if known.hosts.len() < tracker.hosts.len() => *known = tracker,
                Some(_) => {}
                None => trackers.push(tracker),
            }
        }
        if trackers.len() > TRACKERS_MAX {
            return Err(Status::ENOSPC);
        }
        if !trackers.iter().any(|tracker| self.is_me(tracker)) {
            return Err(Status::ENOENT);
        }
        if let Some(leader) = &mut self.leadership.leader
            && let Some(known) = trackers.iter().find(|known| known.is_same(leader))
        {
            leader.clone_from(known);
        }
        self.trackers = trackers;
        Ok(())
    }

    /// Who the joining storage is: its id, addresses and permissions.
    fn identify(
        &self,
        session: &Session,
        join: &Join,
    ) -> Result<(StorageId, Vec<String>, RwMode), Status> {
        let params = self.params();
        if !params.use_storage_id {
            let ip = session.peer_text.clone();
            return Ok((self.id_of_ip(&ip), vec![ip], RwMode::Both));
        }
        let ids = &self.config.storage_ids;
        let entry = match join.id.as_str() {
            Some(id) if params.trust_storage_server_id && !id.is_empty() => ids.by_id(id),
            _ => {
                let group = join.group.as_str().unwrap_or_default();
                let port = u16::try_from(join.port).map_err(|_| Status::EINVAL)?;
                ids.by_addr(group, &session.peer_text, port)
            }
        };
        let entry = entry.ok_or(Status::ENOENT)?;
        if entry.group.as_bytes() != join.group.as_bytes() {
            return Err(Status::EINVAL);
        }
        let id = StorageId::truncated(entry.id.to_string().as_bytes());
        Ok((id, entry.ips.clone(), entry.rw))
    }

    /// The id of a storage known by its address alone.
    pub(super) fn id_of_ip(&self, ip: &str) -> StorageId {
        match ip.contains(':') {
            true => StorageId::truncated(short_code(ip).as_bytes()),
            false => StorageId::truncated(ip.as_bytes()),
        }
    }

    /// Enters the storage's figures after checking that they fit the group.
    fn admit(
        &mut self,
        name: &GroupName,
        join: &Join,
        id: StorageId,
        ips: Vec<String>,
        rw: RwMode,
    ) -> Outcome {
        let mixed_ports =
            self.params().use_storage_id && self.params().id_type_in_filename == IdType::Id;
        let group = self.group_mut(name).ok_or(Status::ENOENT)?;
        let others = |group: &Group, differs: fn(&Storage, &Join) -> bool| {
            let relevant = group.storages.iter().filter(|s| s.id != id && !s.status.is_gone());
            relevant.filter(|storage| differs(storage, join)).count() > 0
        };
        // All checks come before the first change, so that a refused storage leaves no trace but
        // one: what it came with. A group changes once all its storages have come with the same.
        let port = match group.storage_port {
            port if port <= 0 && !(port < 0 && mixed_ports) => Some(join.port),
            port if port == join.port || port < 0 => Some(port),
            _ if mixed_ports => Some(-1),
            _ if others(group, |storage, join| storage.port != join.port) => None,
            _ => Some(join.port),
        };
        let paths = match group.store_path_count {
            0 => Some(join.store_path_count),
            count if count == join.store_path_count => Some(count),
            _ if !others(group, |s, join| s.store_path_count != join.store_path_count) => {
                Some(join.store_path_count)
            }
            count if join.store_path_count < count => None,
            // The extra paths stay unused until all storages have them.
            count => Some(count),
        };
        let subdirs = match group.subdir_count {
            0 => Some(join.subdir_count_per_path),
            count if count == join.subdir_count_per_path => Some(count),
            _ if others(group, |s, join| s.subdir_count != join.subdir_count_per_path) => None,
            _ => Some(join.subdir_count_per_path),
        };
        let (Some(port), Some(paths), Some(subdirs)) = (port, paths, subdirs) else {
            let known = group.index_of(id.as_bytes());
            if let Some(storage) = known.and_then(|at| group.storages.get_mut(at)) {
                storage.port = join.port;
                storage.store_path_count = join.store_path_count;
                storage.subdir_count = join.subdir_count_per_path;
            }
            return Err(Status::EINVAL);
        };
        let at = match group.index_of(id.as_bytes()) {
            Some(at) => at,
            None if group.storages.len() >= GROUP_STORAGES_MAX => return Err(Status::ENOSPC),
            None => group.add(Storage::new(id, ips.clone(), rw)),
        };
        let changed = (group.storage_port, group.store_path_count, group.subdir_count)
            != (port, paths, subdirs);
        (group.storage_port, group.store_path_count, group.subdir_count) = (port, paths, subdirs);
        let storage = group.storages.get_mut(at).ok_or(Status::ENOENT)?;
        if storage.status.is_gone() {
            storage.status = StorageStatus::INIT;
        }
        storage.set_identity(id, ips);
        storage.rw = rw;
        storage.port = join.port;
        storage.store_path_count = join.store_path_count;
        storage.subdir_count = join.subdir_count_per_path;
        storage.upload_priority = join.upload_priority;
        storage.join_time = join.join_time;
        storage.up_time = join.up_time;
        storage.version = join.version;
        self.effects.groups |= changed;
        Ok(())
    }

    /// The status of a storage that this tracker meets for the first time.
    fn settle_new(&mut self, name: &GroupName, join: &Join, id: StorageId) {
        let status = StorageStatus(join.status.cast_unsigned());
        if join.init_flag == 0
            && join.status > 0
            && let Some(storage) = self.group_mut(name).and_then(|g| g.storage_mut(id.as_bytes()))
        {
            storage.status =
                if status == StorageStatus::ACTIVE { StorageStatus::ONLINE } else { status };
        }
    }
}

/// A storage that this tracker does not know tells its status, unless it knows none that counts.
fn check_reported_status(join: &Join) -> Outcome {
    let Ok(status) = u8::try_from(join.status) else { return Err(Status::EFAULT) };
    match StorageStatus(status) {
        StorageStatus::NONE => Err(Status::EFAULT),
        status if status.is_gone() => Err(Status::EFAULT),
        status if status.caption() == "UNKNOWN" => Err(Status::EINVAL),
        _ => Ok(()),
    }
}

fn check_ranges(join: &Join) -> Outcome {
    let in_range = |value: i64, max: usize| {
        usize::try_from(value).is_ok_and(|value| (1..=max).contains(&value))
    };
    let valid = is_group_name(join.group.as_bytes())
        && in_range(join.port, usize::from(u16::MAX))
        && in_range(join.store_path_count, STORE_PATHS_MAX)
        && in_range(join.subdir_count_per_path, SUBDIRS_MAX);
    if valid { Ok(()) } else { Err(Status::EINVAL) }
}
