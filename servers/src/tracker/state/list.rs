//! Showing the cluster to clients and storages (spec 01 §7.4 to §7.18).

use super::model::{Group, Storage};
use super::{ClusterState, Outcome, Session, decode};
use bytes::BytesMut;
use fdfs_core::config::{IpClass, TrackerAddr};
use fdfs_core::protocol::tracker::{
    Counted, FetchStorageIds, GetGroupName, GetMyIp, GroupMember, GroupStat, StorageAt,
    StorageClusterStat, StorageFilter, StorageIdLines, StorageList, StorageShort, StorageStat,
    TrackerClusterStat, TrackerFilter, TrackerStat, TrackerStatus, Volume, VolumeFilter,
    VolumeStat,
};
use fdfs_core::protocol::{Command, Group as GroupName, HostPort, IpField, Status, StorageStatus};
use fdfs_core::wire::{FixedStr, Rest, Text, Wire};

/// Bytes of id lines sent at once; the receiver asks for the rest.
const ID_LINES_LEN_MAX: usize = 8 * 1024;
/// Times in the tracker's status are multiples of this (spec 03 §B1).
const STATUS_STEP_SECS: i64 = 300;

impl ClusterState {
    pub(super) fn show(
        &mut self,
        now: i64,
        session: &mut Session,
        command: Command,
        body: &[u8],
        out: &mut BytesMut,
    ) -> Outcome {
        match command {
            Command::LIST_ONE_GROUP => {
                let name = decode::<GroupName>(body)?;
                self.group_stat(self.group(&name).ok_or(Status::ENOENT)?).write(out);
            }
            Command::LIST_ALL_GROUPS => {
                decode::<()>(body)?;
                self.groups.iter().for_each(|group| self.group_stat(group).write(out));
            }
            Command::LIST_STORAGES => self.list_storages(session, body)?.write(out),
            Command::GET_LEADER => {
                decode::<()>(body)?;
                self.leader_text(session)?.write(out);
            }
            Command::GET_STORAGE_STATUS => {
                let (group, ip, port) = self.storage_at(body)?;
                let storage = self.find_at(&group, &ip, port).ok_or(Status::ENOENT)?;
                let mut brief = storage.brief(&session.peer_text);
                let first = storage.ips.first().map_or("", String::as_str);
                brief.ip = IpField::truncated(first.as_bytes());
                brief.write(out);
            }
            Command::GET_STORAGE_ID => self.storage_id(body)?.write(out),
            Command::FETCH_STORAGE_IDS => self.storage_ids(body)?.write(out),
            Command::GET_MY_IP => self.my_ip(session, body)?.write(out),
            Command::GET_GROUP_NAME => self.group_name(session, body)?.write(out),
            Command::TRACKER_STATUS => self.status(now, body)?.write(out),
            Command::PARAMETERS => {
                decode::<()>(body)?;
                out.extend_from_slice(self.params().to_text().as_bytes());
            }
            Command::TRACKER_CLUSTER_STAT => self.tracker_stats(now, body)?.write(out),
            Command::STORAGE_CLUSTER_STAT => self.storage_stats(session, body)?.write(out),
            Command::VOLUME_STAT => self.volumes(body)?.write(out),
            _ => return self.administrate(now, session, command, body, out),
        }
        Ok(())
    }

    fn group_stat(&self, group: &Group) -> GroupStat {
        let params = self.params();
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        GroupStat {
            group: FixedStr::truncated(group.name.as_bytes()),
            total_mb: group.total_mb,
            free_mb: group.free_mb,
            reserved_mb: params.reserved_storage_space.mb_of(group.total_mb),
            trunk_free_mb: group.trunk_free_mb,
            storage_count: count(group.storages.len()),
            storage_port: group.storage_port,
            readable_count: count(group.readable.len()),
            writable_count: count(group.writable.len()),
            current_write_server: count(group.current_write_server),
            store_path_count: group.store_path_count,
            subdir_count_per_path: group.subdir_count,
            current_trunk_file_id: match params.use_trunk_file {
                true => group.current_trunk_file_id.into(),
                false => -1,
            },
        }
    }

    fn list_storages(&self, session: &Session, body: &[u8]) -> Result<StorageList, Status> {
        let request = decode::<GroupMember>(body)?;
        // The original takes 15 characters; the 16th would be its terminator.
        if request.id.len() > 15 {
            return Err(Status::EINVAL);
        }
        let group = self.group(&request.group).ok_or(Status::ENOENT)?;
        let stat = |storage: &Storage| self.storage_stat(session, group, storage);
        let storages = match request.id.is_empty() {
            true => group.in_order().map(stat).collect(),
            false => vec![stat(group.storage(request.id.as_bytes()).ok_or(Status::ENOENT)?)],
        };
        Ok(StorageList { width: self.params().response_ip_addr_size, storages })
    }

    fn storage_stat(&self, session: &Session, group: &Group, storage: &Storage) -> StorageStat {
        StorageStat {
            status: storage.status.0,
            rw_mode: storage.rw as u8,
            id: storage.id,
            ip: storage.ip_for(&session.peer_text),
            sync_source: storage.sync_source.unwrap_or_default(),
            version: storage.version,
            join_time: storage.join_time,
            up_time: storage.up_time,
            total_mb: storage.total_mb,
            free_mb: storage.free_mb,
            reserved_mb: self.params().reserved_storage_space.mb_of(storage.total_mb),
            upload_priority: storage.upload_priority,
            store_path_count: storage.store_path_count,
            subdir_count_per_path: storage.subdir_count,
            current_write_path: i64::try_from(storage.current_write_path).unwrap_or(0),
            port: storage.port,
            stats: storage.stats.clone(),
            is_trunk_server: u8::from(group.trunk_server == Some(storage.id)),
        }
    }

    fn leader_text(&self, session: &Session) -> Result<Text<52>, Status> {
        let leader = self.leadership.leader.as_ref().ok_or(Status::ENOENT)?;
        let class = IpClass::of(&session.peer_text);
        let same = leader.hosts.iter().find(|host| IpClass::of(host) == class);
        let host = same.or(leader.hosts.first()).ok_or(Status::ENOENT)?;
        let addr = TrackerAddr { hosts: vec![host.clone()], port: leader.port };
        Text::new(addr.to_string().as_bytes()).ok_or(Status::ENAMETOOLONG)
    }

    fn storage_at(&self, body: &[u8]) -> Result<(GroupName, String, u16), Status> {
        let request = decode::<StorageAt>(body)?;
        let text = request.address.as_str().ok_or(Status::EINVAL)?;
        let (ip, port) = text.rsplit_once(':').ok_or(Status::EINVAL)?;
        let port = port.parse().ok().filter(|port| *port > 0).ok_or(Status::EINVAL)?;
        let ip = ip.trim_start_matches('[').trim_end_matches(']');
        Ok((request.group, ip.to_owned(), port))
    }

    fn find_at(&self, group: &GroupName, ip: &str, port: u16) -> Option<&Storage> {
        let group = self.group(group)?;
        if self.params().use_storage_id {
            let name = group.name.as_str()?;
            let entry = self.config.storage_ids.by_addr(name, ip, port)?;
            return group.storage(entry.id.to_string().as_bytes());
        }
        group.storage(self.id_of_ip(ip).as_bytes())
    }

    fn storage_id(&self, body: &[u8]) -> Result<Text<16>, Status> {
        let (group, ip, port) = self.storage_at(body)?;
        let id = match self.params().use_storage_id {
            true => {
                let group = group.as_str().ok_or(Status::EINVAL)?;
                let entry = self.config.storage_ids.by_addr(group, &ip, port);
                entry.ok_or(Status::ENOENT)?.id.to_string()
            }
            false => self.id_of_ip(&ip).to_string(),
        };
        Text::new(id.as_bytes()).ok_or(Status::EINVAL)
    }

    fn storage_ids(&self, body: &[u8]) -> Result<StorageIdLines, Status> {
        let request = decode::<FetchStorageIds>(body)?;
        if !self.params().use_storage_id {
            return match request.allow_empty {
                0 => Err(Status::EOPNOTSUPP),
                _ => Ok(StorageIdLines { total: 0, count: 0, lines: Rest::default() }),
            };
        }
        let ids = &self.config.storage_ids;
        let start = usize::try_from(request.start).ok().filter(|start| *start < ids.len());
        let mut lines = Vec::new();
        let mut count = 0;
        for entry in ids.iter().skip(start.ok_or(Status::EINVAL)?) {
            if lines.len() + 128 > ID_LINES_LEN_MAX {
                break;
            }
            lines.extend_from_slice(entry.line().as_bytes());
            count += 1;
        }
        let total = i32::try_from(ids.len()).unwrap_or(i32::MAX);
        Ok(StorageIdLines { total, count, lines: Rest(lines) })
    }

    fn my_ip(&self, session: &Session, body: &[u8]) -> Result<Text<100>, Status> {
        let request = decode::<GetMyIp>(body)?;
        let group = request.group.as_str().unwrap_or_default();
        let port = u16::try_from(request.port).unwrap_or(0);
        let ids = &self.config.storage_ids;
        let ips = match ids.by_addr(group, &session.peer_text, port) {
            Some(entry) => entry.ips.join(","),
            None => session.peer_text.clone(),
        };
        Text::new(ips.as_bytes()).ok_or(Status::ENAMETOOLONG)
    }

    fn group_name(&self, session: &Session, body: &[u8]) -> Result<GroupName, Status> {
        let request = decode::<GetGroupName>(body)?;
        if !self.params().use_storage_id {
            return Err(Status::EOPNOTSUPP);
        }
        if request.ip.0.len() >= IpField::EMPTY.encode().len() {
            return Err(Status::ENAMETOOLONG);
        }
        let ip = match request.ip.0.is_empty() {
            true => session.peer_text.clone(),
            false => String::from_utf8_lossy(&request.ip.0).into_owned(),
        };
        let port = u16::try_from(request.port).map_err(|_| Status::EINVAL)?;
        let group = self.config.storage_ids.group_of(&ip, port).ok_or(Status::ENOENT)?;
        GroupName::new(group.as_bytes()).ok_or(Status::EINVAL)
    }

    fn status(&self, now: i64, body: &[u8]) -> Result<TrackerStatus, Status> {
        decode::<()>(body)?;
        if self.groups.is_empty() {
            return Err(Status::ENOENT);
        }
        Ok(self.own_status(now))
    }

    /// How long this tracker has been up, and away before.
    pub fn own_status(&self, now: i64) -> TrackerStatus {
        let step = |secs: i64| secs - secs.rem_euclid(STATUS_STEP_SECS);
        let down = if self.last_check_time > 0 { self.up_time - self.last_check_time } else { 0 };
        TrackerStatus {
            is_leader: u8::from(self.leadership.is_me),
            running_secs: step(now - self.up_time),
            restart_interval_secs: step(down),
        }
    }

    fn tracker_stats(&self, now: i64, body: &[u8]) -> Result<TrackerClusterStat, Status> {
        let filter = decode::<TrackerFilter>(body)?;
        if !self.leadership.is_me {
            return Err(Status::EOPNOTSUPP);
        }
        let wanted = |stat: &TrackerStat| {
            (filter.mask & 1 == 0 || (stat.is_active != 0) == (filter.is_active != 0))
                && (filter.mask & 2 == 0 || (stat.is_leader != 0) == (filter.is_leader != 0))
        };
        let trackers = self.trackers.iter().enumerate();
        let stats = trackers.map(|(at, tracker)| self.tracker_stat(now, at, tracker));
        Ok(TrackerClusterStat(stats.filter(wanted).collect()))
    }

    fn storage_stats(&self, session: &Session, body: &[u8]) -> Result<StorageClusterStat, Status> {
        let filter = decode::<StorageFilter>(body)?;
        let params = self.params();
        let by_trunk = filter.mask & 1 != 0 && params.use_trunk_file;
        let mut storages = Vec::new();
        for group in &self.groups {
            for storage in group.in_order() {
                let is_trunk = group.trunk_server == Some(storage.id);
                let same_status = storage.status == StorageStatus(filter.status);
                let status_fits = match (filter.mask & 2, filter.operator) {
                    (0, _) => true,
                    (_, b'=') => same_status,
                    (_, b'!') => !same_status,
                    _ => false,
                };
                if (!by_trunk || is_trunk == (filter.is_trunk != 0)) && status_fits {
                    storages.push(short(session, storage, is_trunk));
                }
            }
        }
        Ok(StorageClusterStat {
            use_storage_id: u8::from(params.use_storage_id),
            use_trunk_file: u8::from(params.use_trunk_file),
            storages: Counted(storages),
        })
    }

    fn volumes(&self, body: &[u8]) -> Result<VolumeStat, Status> {
        let filter = decode::<VolumeFilter>(body)?;
        let params = self.params();
        let reserved = params.reserved_storage_space;
        let volume = |group: &Group| {
            let disk = reserved.allows(group.total_mb, group.free_mb, 1);
            let trunk_mb = group.trunk_free_mb;
            let trunk = params.use_trunk_file
                && reserved.allows(group.total_mb, group.free_mb.saturating_add(trunk_mb), 1);
            let reserved_mb = reserved.mb_of(group.total_mb);
            let available = (group.free_mb - reserved_mb).max(0);
            Volume {
                group: FixedStr::truncated(group.name.as_bytes()),
                total_mb: group.total_mb,
                free_mb: group.free_mb,
                reserved_mb,
                available_mb: if disk { available } else { 0 },
                trunk_free_mb: if trunk { trunk_mb } else { 0 },
                disk_available: u8::from(disk),
                trunk_available: u8::from(trunk),
            }
        };
        let wanted = |volume: &Volume| {
            let (disk, trunk) = (volume.disk_available != 0, volume.trunk_available != 0);
            (filter.mask & 1 == 0 || disk == (filter.disk_available != 0))
                && (filter.mask & 2 == 0 || trunk == (filter.trunk_available != 0))
                && (filter.mask & 4 == 0 || (disk || trunk) == (filter.any_available != 0))
        };
        Ok(VolumeStat {
            use_trunk_file: u8::from(params.use_trunk_file),
            volumes: Counted(self.groups.iter().map(volume).filter(wanted).collect()),
        })
    }
}

fn short(session: &Session, storage: &Storage, is_trunk: bool) -> StorageShort {
    let ip = storage.ip_for(&session.peer_text).to_string();
    let port = u16::try_from(storage.port).unwrap_or(0);
    let address = TrackerAddr { hosts: vec![ip], port };
    StorageShort {
        id: storage.id,
        address: HostPort::truncated(address.to_string().as_bytes()),
        is_trunk: u8::from(is_trunk),
        status: storage.status.0,
        connection_alloc_count: storage.stats.connection_alloc_count,
        connection_current_count: storage.stats.connection_current_count,
        connection_max_count: storage.stats.connection_max_count,
        version: storage.version,
        up_time: storage.up_time,
        last_heart_beat_time: storage.stats.last_heart_beat_time,
    }
}
