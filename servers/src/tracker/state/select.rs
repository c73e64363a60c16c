//! Choosing storages for clients (spec 01 §7.1 and §7.2, 03 §T5 to §T7).

use super::model::{Group, Storage};
use super::{ClusterState, Outcome, decode};
use crate::tracker::config::{StoreLookup, StoreServer, secs};
use bytes::BytesMut;
use fdfs_core::config::ClusterParams;
use fdfs_core::file_id::Stamp;
use fdfs_core::protocol::address::ServerAddr;
use fdfs_core::protocol::tracker::{FetchTargets, FileQuery, StoreTarget, StoreTargets};
use fdfs_core::protocol::{Command, Group as GroupName, Status};
use fdfs_core::wire::Wire;

use super::Session;

/// Shortest file name that holds a stamp's beginning.
const QUERY_NAME_LEN_MIN: usize = 22;
/// Longest logic name of a normal file, and of one in a trunk file.
const NORMAL_LEN: usize = 44;
const TRUNK_LEN: usize = 60;

/// Whether a group has room, with its trunk files or without.
fn has_room(params: &ClusterParams, group: &Group, with_trunk: bool) -> bool {
    let trunk_mb = if with_trunk { group.trunk_free_mb } else { 0 };
    params.reserved_storage_space.allows(group.total_mb, group.free_mb + trunk_mb, 1)
}

impl ClusterState {
    pub(super) fn query_store(
        &mut self,
        session: &Session,
        command: Command,
        body: &[u8],
        out: &mut BytesMut,
    ) -> Outcome {
        let named = command == Command::QUERY_STORE_GROUP;
        let at = self.choose_group(named, body)?;
        let (width, rule) = (self.params().response_ip_addr_size, self.rule());
        let group = self.groups.get_mut(at).ok_or(Status::ENOENT)?;
        let server = choose_server(group, rule).ok_or(Status::ENOSPC)?;
        let store_path = choose_path(&self.config.params, group, server)?;
        let storage = group.at(server).ok_or(Status::ENOENT)?;
        let (name, server) = (group.name, addr(storage, session));
        StoreTarget { width, group: name, server, store_path }.write(out);
        Ok(())
    }

    pub(super) fn query_store_all(
        &mut self,
        session: &Session,
        command: Command,
        body: &[u8],
        out: &mut BytesMut,
    ) -> Outcome {
        let at = self.choose_group(command == Command::QUERY_STORE_GROUP_ALL, body)?;
        let width = self.params().response_ip_addr_size;
        let group = self.groups.get_mut(at).ok_or(Status::ENOENT)?;
        let first = group.with_space().next().ok_or(Status::ENOSPC)?;
        let store_path = choose_path(&self.config.params, group, first)?;
        let servers = group.writable.iter().filter_map(|at| group.at(*at));
        let servers = servers.map(|storage| addr(storage, session)).collect();
        StoreTargets { width, group: group.name, servers, store_path }.write(out);
        Ok(())
    }

    /// The group an upload goes to.
    fn choose_group(&mut self, named: bool, body: &[u8]) -> Result<usize, Status> {
        if named {
            let name = decode::<GroupName>(body)?;
            return self.check_group(&name);
        }
        decode::<()>(body)?;
        match &self.config.store_lookup {
            StoreLookup::Group(name) => {
                let name = GroupName::truncated(name.as_bytes());
                self.check_group(&name)
            }
            StoreLookup::RoundRobin => {
                let at = self.scan_groups(false)?;
                self.current_write_group = (self.current_write_group + 1) % self.groups.len();
                Ok(at)
            }
            StoreLookup::LoadBalance => self.scan_groups(true),
        }
    }

    fn check_group(&self, name: &GroupName) -> Result<usize, Status> {
        let at = self.group_at(name).ok_or(Status::ENOENT)?;
        let group = self.groups.get(at).filter(|group| !group.writable.is_empty());
        let group = group.ok_or(Status::ENOENT)?;
        let params = self.params();
        let fits = has_room(params, group, false)
            || params.use_trunk_file && has_room(params, group, true);
        if fits && group.store_path_count > 0 { Ok(at) } else { Err(no_room(fits)) }
    }

    /// The group at the current position, or the first behind or before it that has room.
    fn scan_groups(&mut self, load_balance: bool) -> Result<usize, Status> {
        let params = &self.config.params;
        let count = self.groups.len();
        let start = if self.current_write_group < count { self.current_write_group } else { 0 };
        let usable = |at: &usize, with_trunk: bool| {
            self.groups.get(*at).is_some_and(|group| {
                !group.writable.is_empty() && has_room(params, group, with_trunk)
            })
        };
        let start_fits =
            usable(&start, false) || load_balance && params.use_trunk_file && usable(&start, true);
        let mut order = (start..count).chain(0..start);
        let found = match start_fits {
            true => Some(start),
            false => order.find(|at| usable(at, false)),
        };
        let at = match found {
            Some(at) => at,
            None if self.groups.iter().all(|group| group.writable.is_empty()) => {
                return Err(Status::ENOENT);
            }
            // Room in trunk files alone does not move the turn.
            None if params.use_trunk_file => {
                (0..count).find(|at| usable(at, true)).ok_or(Status::ENOSPC)?
            }
            None => return Err(Status::ENOSPC),
        };
        if self.groups.get(at).is_none_or(|group| group.store_path_count <= 0) {
            return Err(Status::ENOENT);
        }
        self.current_write_group = found.unwrap_or(start);
        Ok(at)
    }

    pub(super) fn query_fetch(
        &mut self,
        now: i64,
        session: &Session,
        command: Command,
        body: &[u8],
        out: &mut BytesMut,
    ) -> Outcome {
        let query = decode::<FileQuery>(body)?;
        if query.name.len() < QUERY_NAME_LEN_MIN {
            return Err(Status::EINVAL);
        }
        let file = File::of(query.name.as_bytes());
        let (width, rule) = (self.params().response_ip_addr_size, self.rule());
        let fresh = Freshness {
            now,
            delay: self.params().storage_sync_file_max_delay_secs,
            time: secs(self.config.sync_file_max_time),
        };
        let source_first = self.config.download_source_first;
        let group = self.group_mut(&query.group).ok_or(Status::ENOENT)?;
        let one = match command {
            Command::QUERY_FETCH => choose_reader(group, &file, &fresh, source_first)?,
            Command::QUERY_UPDATE => choose_updater(group, &file, rule)?,
            _ => {
                let all = all_readers(group, &file, &fresh)?;
                let servers = all.iter().filter_map(|at| group.at(*at));
                let servers = servers.map(|storage| addr(storage, session));
                FetchTargets::write_parts(width, group.name, servers, out);
                return Ok(());
            }
        };
        let server = addr(group.at(one).ok_or(Status::ENOENT)?, session);
        FetchTargets::write_parts(width, group.name, std::iter::once(server), out);
        Ok(())
    }
}

fn no_room(fits: bool) -> Status {
    if fits { Status::ENOENT } else { Status::ENOSPC }
}

fn addr(storage: &Storage, session: &Session) -> ServerAddr {
    ServerAddr { ip: storage.ip_for(&session.peer_text), port: storage.port }
}

/// The storage of the group that takes the next upload; one that has not told its space yet is
/// passed over (deviation T24).
fn choose_server(group: &mut Group, rule: StoreServer) -> Option<usize> {
    let known = |server: usize| group.at(server).is_some_and(Storage::is_space_known);
    match (rule, group.writable.as_slice()) {
        (_, [only]) => Some(*only),
        (StoreServer::RoundRobin, writable) => {
            let (count, start) = (writable.len(), group.current_write_server);
            let mut order = (0..count).map(|step| (start + step) % count);
            let turn = order.find(|at| writable.get(*at).is_some_and(|server| known(*server)))?;
            let server = writable.get(turn).copied();
            group.current_write_server = (turn + 1) % count;
            server
        }
        _ => group.store_server.filter(|at| known(*at)).or_else(|| group.with_space().next()),
    }
}

/// The store path of the next upload, as one byte.
fn choose_path(params: &ClusterParams, group: &mut Group, server: usize) -> Result<u8, Status> {
    let paths = group.store_path_count;
    let trunk_mb = group.trunk_free_mb;
    let storage = group.storages.get_mut(server).ok_or(Status::ENOENT)?;
    let count = usize::try_from(paths).unwrap_or(0);
    let start = if storage.current_write_path < count { storage.current_write_path } else { 0 };
    let fits = |at: usize, extra_mb: i64| {
        storage.paths.get(at).is_some_and(|space| {
            let free_mb = space.free_mb + extra_mb;
            params.reserved_storage_space.allows(space.total_mb, free_mb, paths)
        })
    };
    let mut order = (start..count).chain(0..start);
    let found = order.clone().find(|at| fits(*at, 0));
    let found = match found {
        None if params.use_trunk_file => order.find(|at| fits(*at, trunk_mb)),
        found => found,
    };
    let at = found.ok_or(Status::ENOSPC)?;
    // Round robin takes the next one the next time; otherwise the found one stays.
    storage.current_write_path = if params.store_path == 0 { (at + 1) % count } else { at };
    u8::try_from(at).map_err(|_| Status::EINVAL)
}

/// What matters of a file's name for choosing a reader.
struct File {
    stamp: Stamp,
    is_normal: bool,
}

impl File {
    fn of(name: &[u8]) -> Self {
        let stamp = Stamp::of_any_name(name);
        let is_slave = name.len() > TRUNK_LEN || name.len() > NORMAL_LEN && !stamp.size.is_trunk();
        Self { is_normal: !is_slave && !stamp.size.is_appender(), stamp }
    }
}

/// When a file counts as replicated.
struct Freshness {
    now: i64,
    delay: i64,
    time: i64,
}

impl Freshness {
    /// Whether `storage` has the file by what it reported, or must have it by now.
    fn has(&self, storage: &Storage, file: &File) -> bool {
        let created = i64::from(file.stamp.created);
        let synced = storage.stats.last_synced_timestamp;
        created < self.now - self.delay
            || synced > created
            || synced + 1 >= created && self.now - created > self.time
            || storage.is_source(file.stamp.source)
    }
}

fn source_among(group: &Group, among: &[usize], file: &File) -> Option<usize> {
    let is_source = |at: &&usize| group.at(**at).is_some_and(|s| s.is_source(file.stamp.source));
    among.iter().find(is_source).copied()
}

/// The group's storage for uploads, when it may be read from.
fn fallback(group: &Group) -> Result<usize, Status> {
    group.store_server.filter(|at| group.readable.contains(at)).ok_or(Status::ENOENT)
}

fn choose_reader(
    group: &mut Group,
    file: &File,
    fresh: &Freshness,
    source_first: bool,
) -> Result<usize, Status> {
    if group.readable.is_empty() {
        return Err(Status::ENOENT);
    }
    if (!file.is_normal || source_first)
        && let Some(at) = source_among(group, &group.readable, file)
    {
        return Ok(at);
    }
    if file.is_normal {
        let count = group.readable.len();
        let start = group.current_read_server % count;
        for position in (start..count).chain(0..start) {
            let Some(at) = group.readable.get(position).copied() else { continue };
            if group.at(at).is_some_and(|storage| fresh.has(storage, file)) {
                group.current_read_server = (position + 1) % count;
                return Ok(at);
            }
        }
    }
    fallback(group)
}

fn choose_updater(group: &mut Group, file: &File, rule: StoreServer) -> Result<usize, Status> {
    match source_among(group, &group.writable, file) {
        Some(at) => Ok(at),
        None => choose_server(group, rule).ok_or(Status::ENOENT),
    }
}

fn all_readers(group: &Group, file: &File, fresh: &Freshness) -> Result<Vec<usize>, Status> {
    if group.readable.is_empty() {
        return Err(Status::ENOENT);
    }
    let found: Vec<usize> = match file.is_normal {
        true => {
            let has = |at: &&usize| group.at(**at).is_some_and(|storage| fresh.has(storage, file));
            group.readable.iter().filter(has).copied().collect()
        }
        false => source_among(group, &group.readable, file).into_iter().collect(),
    };
    if found.is_empty() { Ok(vec![fallback(group)?]) } else { Ok(found) }
}
