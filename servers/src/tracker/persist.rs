//! The tracker's state files (spec 04 Part B): texts here, bytes on disk in [`Store`].

use super::config::{StoreServer, TrackerConfig};
use super::state::Effects;
use super::state::model::{Group, Storage};
use crate::state_file::{read_optional, safe_write};
use fdfs_core::config::{Ini, RwMode, Scope};
use fdfs_core::protocol::stats::StorageStats;
use fdfs_core::protocol::{Group as GroupName, StorageId, StorageStatus, Version};
use fdfs_core::wire::FixedStr;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Statistics that the servers file leaves out.
fn is_saved(name: &str) -> bool {
    !["connection_", "modify_", "truncate_"].iter().any(|part| name.contains(part))
}

/// `storage_groups_new.dat`.
pub fn groups_text(groups: &[Group]) -> String {
    let mut text = format!("[Global]\n\tgroup_count={}\n\n", groups.len());
    for (at, group) in groups.iter().enumerate() {
        let trunk_server = group.trunk_server.unwrap_or_default();
        // Writing to a String cannot fail, here and below.
        let _ = write!(
            text,
            "# group: {name}\n[Group{number:03}]\n\tgroup_name={name}\n\tstorage_port={port}\n\
             \tstore_path_count={paths}\n\tsubdir_count_per_path={subdirs}\n\
             \tcurrent_trunk_file_id={trunk_file}\n\ttrunk_server={trunk_server}\n\
             \tlast_trunk_server={last}\n\n",
            name = group.name,
            number = at + 1,
            port = group.storage_port,
            paths = group.store_path_count,
            subdirs = group.subdir_count,
            trunk_file = group.current_trunk_file_id,
            last = group.last_trunk_server,
        );
    }
    text
}

/// The storages that are saved: those that still stand for a server.
fn saved(group: &Group) -> impl Iterator<Item = (usize, &Storage)> {
    group.storages.iter().enumerate().filter(|(_, storage)| !storage.status.is_gone())
}

/// `storage_servers_new.dat`.
pub fn servers_text(groups: &[Group], use_ids: bool) -> String {
    let mut text = String::new();
    let mut count = 0;
    for group in groups {
        for (_, storage) in saved(group) {
            count += 1;
            let ip = storage.ips.first().map_or("", String::as_str);
            let _ = write!(text, "# storage: {ip}:{}\n[Storage{count:03}]\n", storage.port);
            if use_ids {
                let _ = writeln!(text, "\tid={}", storage.id);
            }
            let source = storage.sync_source.unwrap_or_default();
            let _ = write!(
                text,
                "\tgroup_name={}\n\tip_addr={ip}\n\tstatus={}\n\tversion={}\n\tjoin_time={}\n\
                 \tstorage_port={}\n\tsync_src_server={source}\n\tsync_until_timestamp={}\n\
                 \ttotal_mb={}\n\tfree_mb={}\n\tchangelog_offset={}\n\tstore_path_count={}\n\
                 \tsubdir_count_per_path={}\n\tupload_priority={}\n",
                group.name,
                storage.status.0,
                storage.version,
                storage.join_time,
                storage.port,
                storage.sync_until,
                storage.total_mb,
                storage.free_mb,
                storage.changelog_offset,
                storage.store_path_count,
                storage.subdir_count,
                storage.upload_priority,
            );
            for name in StorageStats::NAMES.iter().filter(|name| is_saved(name)) {
                let _ = writeln!(text, "\t{name}={}", storage.stats.get(name).unwrap_or(0));
            }
            text.push('\n');
        }
    }
    let _ = write!(text, "\n[Global]\n\tstorage_count={count}\n");
    text
}

/// `storage_sync_timestamp.dat`.
pub fn sync_times_text(groups: &[Group]) -> String {
    let mut text = String::new();
    for group in groups {
        for (source, storage) in saved(group) {
            let _ = write!(text, "{},{}", group.name, storage.id);
            let row = group.synced.get(source);
            for (destination, _) in saved(group) {
                let time = row.and_then(|row| row.get(destination)).copied().unwrap_or(0);
                let _ = write!(text, ",{time}");
            }
            text.push('\n');
        }
    }
    text
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// Sections `prefix001`, `prefix002`, … that a text must have `count_key` of.
fn sections<'i>(ini: &'i Ini, prefix: &str, count_key: &str) -> io::Result<Vec<Scope<'i>>> {
    let count = ini.section("Global").get(count_key).and_then(|count| count.parse::<usize>().ok());
    let count = count.ok_or_else(|| invalid(format!("{count_key} is missing")))?;
    let found: Vec<_> =
        ini.sections().into_iter().filter(|name| name.starts_with(prefix)).collect();
    if found.len() != count {
        return Err(invalid(format!("{count_key} is {count}, sections are {}", found.len())));
    }
    Ok(found.into_iter().map(|name| ini.section(name)).collect())
}

fn number(scope: &Scope<'_>, key: &str) -> i64 {
    scope.int(key, 0).unwrap_or(0)
}

fn id(scope: &Scope<'_>, key: &str) -> StorageId {
    FixedStr::truncated(scope.get_here(key).unwrap_or_default().as_bytes())
}

/// Reads `storage_groups_new.dat`.
pub fn parse_groups(text: &str) -> io::Result<Vec<Group>> {
    let ini = Ini::parse(text);
    let mut groups = Vec::new();
    for scope in sections(&ini, "Group", "group_count")? {
        let name = scope.get_here("group_name").and_then(|name| GroupName::try_from(name).ok());
        let mut group = Group::new(name.ok_or_else(|| invalid("group_name is missing".into()))?);
        group.storage_port = number(&scope, "storage_port");
        group.store_path_count = number(&scope, "store_path_count");
        group.subdir_count = number(&scope, "subdir_count_per_path");
        group.current_trunk_file_id =
            i32::try_from(number(&scope, "current_trunk_file_id")).unwrap_or(0);
        group.trunk_server = Some(id(&scope, "trunk_server")).filter(|id| !id.is_empty());
        group.last_trunk_server = id(&scope, "last_trunk_server");
        groups.push(group);
    }
    groups.sort_by_key(|group| group.name);
    Ok(groups)
}

/// Reads `storage_servers_new.dat` into the groups it names.
pub fn parse_servers(text: &str, groups: &mut [Group], config: &TrackerConfig) -> io::Result<()> {
    let ini = Ini::parse(text);
    for scope in sections(&ini, "Storage", "storage_count")? {
        let name = scope.get_here("group_name").unwrap_or_default();
        let group = groups.iter_mut().find(|group| group.name.as_bytes() == name.as_bytes());
        let group = group.ok_or_else(|| invalid(format!("storage of unknown group {name}")))?;
        let Some(ip) = scope.get_here("ip_addr").filter(|ip| !ip.is_empty()) else {
            return Err(invalid(format!("a storage of {name} has no ip_addr")));
        };
        let port = match number(&scope, "storage_port") {
            0 => group.storage_port,
            port => port,
        };
        let mut storage = identity(&scope, name, ip, port, config)?;
        if group.storage(storage.id.as_bytes()).is_some() {
            return Err(invalid(format!("storage {} stands twice", storage.id)));
        }
        storage.port = port;
        let status = u8::try_from(number(&scope, "status")).unwrap_or(0);
        storage.status = match StorageStatus(status) {
            keep @ (StorageStatus::INIT | StorageStatus::WAIT_SYNC | StorageStatus::SYNCING) => {
                keep
            }
            _ => StorageStatus::OFFLINE,
        };
        storage.version =
            Version::truncated(scope.get_here("version").unwrap_or_default().as_bytes());
        storage.join_time = number(&scope, "join_time");
        storage.sync_source = Some(id(&scope, "sync_src_server")).filter(|id| !id.is_empty());
        storage.sync_until = number(&scope, "sync_until_timestamp");
        storage.total_mb = number(&scope, "total_mb");
        storage.free_mb = number(&scope, "free_mb");
        storage.changelog_offset = number(&scope, "changelog_offset").max(0).unsigned_abs();
        storage.store_path_count = number(&scope, "store_path_count");
        storage.subdir_count = number(&scope, "subdir_count_per_path");
        storage.upload_priority = number(&scope, "upload_priority");
        for key in StorageStats::NAMES.iter().filter(|name| is_saved(name)) {
            storage.stats.set(key, number(&scope, key));
        }
        group.add(storage);
    }
    groups.iter_mut().for_each(|group| name_by_id(group, config));
    Ok(())
}

/// Brings references from one storage of a group to another up to date: files written before ids
/// were in use name addresses, and a reference to nobody is dropped (the original would not start).
fn name_by_id(group: &mut Group, config: &TrackerConfig) {
    let by_ip = |id: StorageId| {
        let ip = id.as_str().filter(|_| config.params.use_storage_id)?;
        let named = group.storages.iter().find(|storage| storage.ips.iter().any(|own| own == ip));
        named.map(|storage| storage.id)
    };
    let known = |id: StorageId| group.storage(id.as_bytes()).map(|storage| storage.id);
    let resolve = |id: StorageId| known(id).or_else(|| by_ip(id));
    let trunk_server = group.trunk_server.and_then(resolve);
    let last = resolve(group.last_trunk_server).unwrap_or_default();
    let sources: Vec<_> =
        group.storages.iter().map(|storage| storage.sync_source.and_then(resolve)).collect();
    (group.trunk_server, group.last_trunk_server) = (trunk_server, last);
    for (storage, source) in group.storages.iter_mut().zip(sources) {
        if storage.sync_source.is_some() && source.is_none() {
            let (id, was) = (storage.id, storage.sync_source.unwrap_or_default());
            tracing::warn!(storage = %id, source = %was, "unknown sync source, dropped");
        }
        storage.sync_source = source;
    }
}

/// Id, addresses and permissions of a saved storage.
fn identity(
    scope: &Scope<'_>,
    group: &str,
    ip: &str,
    port: i64,
    config: &TrackerConfig,
) -> io::Result<Storage> {
    if !config.params.use_storage_id {
        let own = if ip.contains(':') { fdfs_core::file_id::short_code(ip) } else { ip.to_owned() };
        let id = StorageId::truncated(own.as_bytes());
        return Ok(Storage::new(id, vec![ip.to_owned()], RwMode::Both));
    }
    let ids = &config.storage_ids;
    let entry = match scope.get_here("id").filter(|id| !id.is_empty()) {
        Some(id) => ids.by_id(id),
        None => ids.by_addr(group, ip, u16::try_from(port).unwrap_or(0)),
    };
    let entry = entry.ok_or_else(|| invalid(format!("storage {ip} is not in the ids file")))?;
    let id = StorageId::truncated(entry.id.to_string().as_bytes());
    Ok(Storage::new(id, entry.ips.clone(), entry.rw))
}

/// Reads `storage_sync_timestamp.dat`. Column n of a group belongs to the storage of its row n.
/// Rows and columns are matched by id and unknown ones skipped, because the original leaves those
/// of deleted storages behind and then refuses its own file (spec 04 Part D 9).
pub fn parse_sync_times(text: &str, groups: &mut [Group], rule: StoreServer) {
    let rows = || text.lines().filter_map(|line| line.split_once(','));
    for group in groups.iter_mut() {
        let own = || rows().filter(|(name, _)| name.trim().as_bytes() == group.name.as_bytes());
        let index = |row: &str| {
            let id = row.split(',').next().unwrap_or_default().trim();
            group.index_of(id.as_bytes())
        };
        let columns: Vec<Option<usize>> = own().map(|(_, row)| index(row)).collect();
        let mut times = Vec::new();
        for ((_, row), source) in own().zip(&columns) {
            let Some(source) = source else { continue };
            let fields: Vec<&str> = row.split(',').skip(1).map(str::trim).collect();
            // With a row missing nobody can tell whose the columns are. Unknown times only mean
            // that fresh files are read at their source until the storages report again.
            if fields.len() > columns.len() {
                continue;
            }
            for (field, destination) in fields.iter().zip(&columns) {
                let time = field.parse::<i32>().unwrap_or(0);
                times.extend(destination.map(|destination| (*source, destination, time)));
            }
        }
        for (source, destination, time) in times {
            if let Some(cell) = group.synced.get_mut(source).and_then(|r| r.get_mut(destination)) {
                *cell = time;
            }
        }
    }
    for group in groups {
        for (at, storage) in group.storages.iter_mut().enumerate() {
            let column = group.synced.iter().enumerate().filter(|(source, _)| *source != at);
            let times = column.filter_map(|(_, row)| row.get(at)).filter(|time| **time > 0);
            let time = match rule {
                StoreServer::RoundRobin => times.min(),
                _ => times.max(),
            };
            storage.stats.last_synced_timestamp = time.copied().unwrap_or(0).into();
        }
    }
}

/// The groups of an old `storage_groups.dat` and `storage_servers.dat` as texts of today
/// (spec 04 §B.6).
fn convert_old(groups: &str, servers: &str, config: &TrackerConfig) -> io::Result<Vec<Group>> {
    let mut converted: Vec<Group> = Vec::new();
    let int = |field: Option<&&str>| field.and_then(|f| f.parse::<i64>().ok()).unwrap_or(0);
    for line in groups.lines().filter(|line| !line.trim().is_empty()) {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let [name, port, rest @ ..] = fields.as_slice() else {
            return Err(invalid(format!("old group line: {line}")));
        };
        let name = GroupName::try_from(*name).map_err(|error| invalid(error.to_string()))?;
        let mut group = Group::new(name);
        group.storage_port = int(Some(port));
        group.store_path_count = int(rest.first());
        group.subdir_count = int(rest.get(1));
        converted.push(group);
    }
    for line in servers.lines().filter(|line| !line.trim().is_empty()) {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let [name, ip, status, source, until, ..] = fields.as_slice() else {
            return Err(invalid(format!("old storage line: {line}")));
        };
        let group = converted.iter_mut().find(|group| group.name.as_bytes() == name.as_bytes());
        let group = group.ok_or_else(|| invalid(format!("old storage of no group: {line}")))?;
        let empty = Ini::default();
        let mut storage = identity(&empty.global(), name, ip, group.storage_port, config)?;
        storage.status = match int(Some(status)) {
            status @ 0..=2 => StorageStatus(u8::try_from(status).unwrap_or(0)),
            _ => StorageStatus::OFFLINE,
        };
        storage.sync_source =
            Some(StorageId::truncated(source.as_bytes())).filter(|id| !id.is_empty());
        storage.sync_until = int(Some(until));
        let names = ["upload", "set_meta", "delete", "download", "get_meta"];
        for (at, name) in names.iter().enumerate() {
            storage.stats.set(&format!("total_{name}_count"), int(fields.get(5 + at * 2)));
            storage.stats.set(&format!("success_{name}_count"), int(fields.get(6 + at * 2)));
        }
        storage.stats.last_source_update = int(fields.get(15));
        storage.stats.last_sync_update = int(fields.get(16));
        storage.changelog_offset = int(fields.get(17)).max(0).unsigned_abs();
        storage.port = match int(fields.get(18)) {
            0 => group.storage_port,
            port => port,
        };
        storage.join_time = int(fields.get(20));
        storage.version =
            Version::truncated(fields.get(21).copied().unwrap_or_default().as_bytes());
        group.add(storage);
    }
    converted.iter_mut().for_each(|group| name_by_id(group, config));
    converted.sort_by_key(|group| group.name);
    Ok(converted)
}

/// What an earlier run left.
#[derive(Debug, Default)]
pub struct Saved {
    /// The groups with their storages.
    pub groups: Vec<Group>,
    /// The change log.
    pub changelog: Vec<u8>,
    /// When the tracker was last known to run.
    pub last_check_time: i64,
}

/// The files below `base_path/data`.
#[derive(Debug, Clone)]
pub struct Store {
    dir: PathBuf,
    use_ids: bool,
}

impl Store {
    /// The files of the tracker with this configuration; makes the directory.
    pub fn open(config: &TrackerConfig) -> io::Result<Self> {
        let dir = config.framework.base_path.join("data");
        std::fs::create_dir_all(&dir)?;
        std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(dir.join("storage_changelog.dat"))?;
        Ok(Self { dir, use_ids: config.params.use_storage_id })
    }

    fn text(&self, name: &str) -> io::Result<Option<String>> {
        let content = read_optional(&self.dir.join(name))?;
        // An empty file is what a full disk leaves of a rewritten one.
        let content = content.filter(|content| !content.is_empty());
        Ok(content.map(|content| String::from_utf8_lossy(&content).into_owned()))
    }

    /// Reads all files; errors name the file.
    pub fn load(&self, config: &TrackerConfig) -> io::Result<Saved> {
        let named = |name: &str, error: io::Error| {
            io::Error::new(error.kind(), format!("{}: {error}", self.dir.join(name).display()))
        };
        let mut saved = Saved::default();
        if let Some(text) = self.text("storage_groups_new.dat")? {
            saved.groups = parse_groups(&text).map_err(|e| named("storage_groups_new.dat", e))?;
            let name = "storage_servers_new.dat";
            let text = self.text(name)?;
            let text = text.ok_or_else(|| named(name, io::ErrorKind::NotFound.into()))?;
            parse_servers(&text, &mut saved.groups, config).map_err(|error| named(name, error))?;
        } else if let Some(groups) = self.text("storage_groups.dat")? {
            let servers = self.text("storage_servers.dat")?.unwrap_or_default();
            saved.groups = convert_old(&groups, &servers, config)
                .map_err(|error| named("storage_servers.dat", error))?;
            let all =
                Effects { groups: true, servers: true, sync_times: true, ..Effects::default() };
            self.save(&all, &saved.groups)?;
            for old in ["storage_groups.dat", "storage_servers.dat"] {
                let _ = std::fs::remove_file(self.dir.join(old));
            }
        }
        if let Some(text) = self.text("storage_sync_timestamp.dat")? {
            parse_sync_times(&text, &mut saved.groups, config.store_server);
        }
        saved.changelog =
            read_optional(&self.dir.join("storage_changelog.dat"))?.unwrap_or_default();
        let status = Ini::parse(&self.text(".tracker_status")?.unwrap_or_default());
        saved.last_check_time = number(&status.global(), "last_check_time");
        let known = saved.changelog.len() as u64;
        for storage in saved.groups.iter_mut().flat_map(|group| &mut group.storages) {
            storage.changelog_offset = storage.changelog_offset.min(known);
        }
        Ok(saved)
    }

    /// Takes over the files of another tracker: groups, storages, sync times and change log. They
    /// are read before the first is written, so that nonsense replaces nothing.
    pub fn adopt(&self, files: &[Vec<u8>; 4], config: &TrackerConfig) -> io::Result<Saved> {
        let [groups, servers, sync_times, changelog] = files;
        let text = |file: &Vec<u8>| String::from_utf8_lossy(file).into_owned();
        let mut saved = Saved { groups: parse_groups(&text(groups))?, ..Saved::default() };
        parse_servers(&text(servers), &mut saved.groups, config)?;
        parse_sync_times(&text(sync_times), &mut saved.groups, config.store_server);
        saved.changelog.clone_from(changelog);
        safe_write(&self.dir.join("storage_changelog.dat"), changelog)?;
        let all = Effects { groups: true, servers: true, sync_times: true, ..Effects::default() };
        self.save(&all, &saved.groups)?;
        Ok(saved)
    }

    /// Writes what changed.
    pub fn save(&self, effects: &Effects, groups: &[Group]) -> io::Result<()> {
        if !effects.changelog.is_empty() {
            append(&self.dir.join("storage_changelog.dat"), &effects.changelog)?;
        }
        // Groups come before the storages that name them. A groups file alone would keep the
        // tracker from starting again, so the servers file exists first, if only empty.
        let servers = self.dir.join("storage_servers_new.dat");
        if effects.groups {
            if !servers.try_exists()? {
                safe_write(&servers, servers_text(&[], self.use_ids).as_bytes())?;
            }
            safe_write(&self.dir.join("storage_groups_new.dat"), groups_text(groups).as_bytes())?;
        }
        if effects.servers {
            safe_write(&servers, servers_text(groups, self.use_ids).as_bytes())?;
        }
        if effects.sync_times {
            let text = sync_times_text(groups);
            safe_write(&self.dir.join("storage_sync_timestamp.dat"), text.as_bytes())?;
        }
        Ok(())
    }

    /// Writes `.tracker_status`.
    pub fn save_status(&self, text: &str) -> io::Result<()> {
        safe_write(&self.dir.join(".tracker_status"), text.as_bytes())
    }
}

/// Appends durably; what a failed attempt wrote is taken back, so that it can be repeated.
fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path)?;
    let len = file.metadata()?.len();
    file.write_all(bytes).and_then(|()| file.sync_all()).inspect_err(|_| {
        let _ = file.set_len(len);
    })
}

#[cfg(test)]
mod tests;
