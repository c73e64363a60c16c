//! `tracker.conf` (spec 06 §3).

use crate::config_file::resolve;
use crate::framework_config::Framework;
use crate::idle_keys::idle_keys;
use fdfs_core::conf;
use fdfs_core::config::{
    ClusterParams, ConfigError, IdType, Ini, KeyDoc, Reserved, Scope, StorageIds,
};
use fdfs_core::protocol::address::AddrWidth;
use fdfs_core::protocol::{TRACKER_PORT_DEFAULT, is_group_name};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

/// How an upload without a group finds one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreLookup {
    /// Group after group.
    RoundRobin,
    /// Always this group.
    Group(String),
    /// The group with most free space.
    LoadBalance,
}

/// How a storage of the group is found for an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreServer {
    /// One after the other.
    RoundRobin,
    /// The first by id.
    First,
    /// The one with the lowest `upload_priority`.
    Priority,
}

conf! {
    /// The keys of `tracker.conf` beside the framework's.
    pub struct TrackerKeys {
        /// 0: group after group, 1: `store_group`, 2: the group with most free space.
        pub store_lookup: usize = ranged("store_lookup", 0, 0, 2);
        /// Where in a group uploads go: 0: round robin, 1: first by id, 2: by priority.
        pub store_server: i64 = int("store_server", 0);
        /// Where on a storage uploads go: 0: round robin, 2: most free space.
        pub store_path: i64 = int("store_path", 0);
        /// Where downloads go: 0: round robin, 1: to the source of the file.
        pub download_server: i64 = int("download_server", 0);
        /// Space that uploads leave free: a size, or a percentage of the total.
        pub reserved_storage_space: String = text("reserved_storage_space", "1GB");
        /// Seconds without a heart beat until a storage counts as offline.
        pub check_active_interval: Duration = secs("check_active_interval", 100);
        /// Follow storages whose address changed.
        pub storage_ip_changed_auto_adjust: bool = bool("storage_ip_changed_auto_adjust", true);
        /// Seconds after which a file counts as replicated everywhere.
        pub storage_sync_file_max_delay: Duration = secs("storage_sync_file_max_delay", 86400);
        /// Seconds that replicating one file takes at most.
        pub storage_sync_file_max_time: Duration = secs("storage_sync_file_max_time", 300);
        /// Collect small files in trunk files.
        pub use_trunk_file: bool = bool("use_trunk_file", false);
        /// Bytes of the smallest trunk slot.
        pub slot_min_size: u64 = bytes("slot_min_size", 256);
        /// Bytes of a trunk file.
        pub trunk_file_size: u64 = bytes("trunk_file_size", 67108864);
        /// Bytes of the largest trunk slot; an eighth of `trunk_file_size` when absent.
        pub slot_max_size: u64 = bytes("slot_max_size", 8388608);
        /// Bytes that slots are multiples of; 0 for any.
        pub trunk_alloc_alignment_size: i64 = int("trunk_alloc_alignment_size", 0);
        /// Merge neighbouring free slots.
        pub trunk_free_space_merge: bool = bool("trunk_free_space_merge", false);
        /// Delete empty trunk files.
        pub delete_unused_trunk_files: bool = bool("delete_unused_trunk_files", false);
        /// Make trunk files before they are needed.
        pub trunk_create_file_advance: bool = bool("trunk_create_file_advance", false);
        /// When.
        pub trunk_create_file_time_base: u32 = time("trunk_create_file_time_base", 7200);
        /// Seconds between two times.
        pub trunk_create_file_interval: i64 = int("trunk_create_file_interval", 86400);
        /// Free bytes below which trunk files are made.
        pub trunk_create_file_space_threshold: u64 = bytes("trunk_create_file_space_threshold", 0);
        /// Check slots for use at start.
        pub trunk_init_check_occupying: bool = bool("trunk_init_check_occupying", false);
        /// Rebuild free slots from the trunk binlog at start.
        pub trunk_init_reload_from_binlog: bool = bool("trunk_init_reload_from_binlog", false);
        /// Seconds between two compressions of the trunk binlog at least; 0 for never.
        pub trunk_compress_binlog_min_interval: i64 = int("trunk_compress_binlog_min_interval", 0);
        /// Seconds between two compressions of the trunk binlog.
        pub trunk_compress_binlog_interval: i64 = int("trunk_compress_binlog_interval", 0);
        /// When.
        pub trunk_compress_binlog_time_base: u32 = time("trunk_compress_binlog_time_base", 10800);
        /// Old trunk binlogs kept.
        pub trunk_binlog_max_backups: i64 = int("trunk_binlog_max_backups", 0);
        /// Identify storages by ids from `storage_ids_filename`.
        pub use_storage_id: bool = bool("use_storage_id", false);
        /// Store slaves as links to freshly named files.
        pub store_slave_file_use_link: bool = bool("store_slave_file_use_link", false);
        /// Width of address fields in replies: `auto`, or anything else for 46 bytes.
        pub response_ip_addr_size: String = text("response_ip_addr_size", "auto");
    }
}

/// Keys of `tracker.conf` that [`TrackerKeys`] cannot hold.
pub const TRACKER_KEYS_BESIDE: &[KeyDoc] = &[
    KeyDoc::new("store_group", "text", "", "The group of all uploads; read when store_lookup=1."),
    KeyDoc::new(
        "storage_ids_filename",
        "path",
        "",
        "File of the storage ids, relative to this file; read when use_storage_id=true.",
    ),
    KeyDoc::new(
        "id_type_in_filename",
        "text",
        "\"ip\"",
        "Whether names of files hold the `ip` or the `id` of their source; read when \
         use_storage_id=true.",
    ),
    KeyDoc::new(
        "trust_storage_server_id",
        "bool",
        "true",
        "Whether a storage may name its id itself; read when use_storage_id=true.",
    ),
];

/// All that a tracker needs to know.
#[derive(Debug, Clone)]
pub struct TrackerConfig {
    /// Listening, logging, limits.
    pub framework: Framework,
    /// Group choice.
    pub store_lookup: StoreLookup,
    /// Server choice for uploads.
    pub store_server: StoreServer,
    /// Whether downloads go to the file's source first.
    pub download_source_first: bool,
    /// The storages with ids; empty unless ids are in use.
    pub storage_ids: StorageIds,
    /// What storages and clients are told.
    pub params: ClusterParams,
    /// Silence after which a storage counts as offline.
    pub check_active_interval: Duration,
    /// How long replicating one file takes at most.
    pub sync_file_max_time: Duration,
    /// What is odd about the file, to be logged at start.
    pub warnings: Vec<String>,
}

impl TrackerConfig {
    /// Reads a loaded file named `name`.
    pub fn from_ini(ini: &Ini, name: &Path) -> Result<Self, ConfigError> {
        let (framework, mut warnings) = Framework::from_ini(ini, TRACKER_PORT_DEFAULT, 60)?;
        let mut config = Self::from_keys(&ini.global(), framework, name)?;
        config.check_ipv6(&ini.global())?;
        warnings.extend(ini.warnings());
        warnings.extend(idle_keys(ini));
        config.warnings = warnings;
        Ok(config)
    }

    /// The defaults, listening on all IPv4 addresses.
    pub fn new(base_path: &Path) -> Result<Self, ConfigError> {
        let listen = (Ipv4Addr::UNSPECIFIED, TRACKER_PORT_DEFAULT).into();
        let mut framework = Framework::new(base_path, listen)?;
        framework.network_timeout = Duration::from_secs(60);
        Self::from_keys(&Ini::default().global(), framework, Path::new(""))
    }

    /// The defaults for a tracker inside this process.
    pub fn embedded(base_path: &Path, listen: SocketAddr) -> Result<Self, ConfigError> {
        let framework = Framework::embedded(base_path, listen)?;
        let ini = Ini::parse("reserved_storage_space=1%\n");
        Self::from_keys(&ini.global(), framework, Path::new(""))
    }

    fn from_keys(
        scope: &Scope<'_>,
        framework: Framework,
        name: &Path,
    ) -> Result<Self, ConfigError> {
        let keys = TrackerKeys::from_scope(scope)?;
        let choice = |key: &str, value: i64, allowed: &[i64]| match allowed.contains(&value) {
            true => value,
            false => {
                scope.warn(key, "unknown, 0 is used");
                0
            }
        };
        let store_path = choice("store_path", keys.store_path, &[0, 2]);
        let download_source_first = choice("download_server", keys.download_server, &[0, 1]) == 1;
        let store_server = match choice("store_server", keys.store_server, &[0, 1, 2]) {
            1 => StoreServer::First,
            2 => StoreServer::Priority,
            // Trunk files have one writer, which round robin would not give (spec 03 §T3).
            _ if keys.use_trunk_file => {
                scope.warn("store_server", "trunk files have one writer, 1 is used");
                StoreServer::First
            }
            _ => StoreServer::RoundRobin,
        };
        let storage_ids = match keys.use_storage_id {
            true => storage_ids(scope, name)?,
            false => StorageIds::default(),
        };
        Ok(Self {
            framework,
            store_lookup: store_lookup(scope, &keys)?,
            store_server,
            download_source_first,
            params: params(scope, &keys, store_path, &storage_ids)?,
            storage_ids,
            check_active_interval: keys.check_active_interval,
            sync_file_max_time: keys.storage_sync_file_max_time,
            warnings: Vec::new(),
        })
    }

    /// IPv6 addresses do not fit where names and packets hold IPv4 ones, so that storages need
    /// ids (spec 06 §3).
    fn check_ipv6(&self, scope: &Scope<'_>) -> Result<(), ConfigError> {
        if self.framework.listen.iter().all(SocketAddr::is_ipv4) {
            return Ok(());
        }
        let missing = if !self.params.use_storage_id {
            ("use_storage_id", "use_storage_id=true is needed with IPv6")
        } else if self.params.id_type_in_filename == IdType::Ip {
            ("id_type_in_filename", "id_type_in_filename=id is needed with IPv6")
        } else {
            return Ok(());
        };
        Err(scope.blame(missing.0, ConfigError::invalid(missing.1)))
    }
}

fn store_lookup(scope: &Scope<'_>, keys: &TrackerKeys) -> Result<StoreLookup, ConfigError> {
    Ok(match keys.store_lookup {
        0 => StoreLookup::RoundRobin,
        2 => StoreLookup::LoadBalance,
        _ => {
            let Some(group) = scope.get("store_group") else {
                let error = ConfigError::missing("store_lookup=1 needs store_group");
                return Err(scope.blame("store_lookup", error));
            };
            if !is_group_name(group.as_bytes()) {
                let error = ConfigError::invalid(format!("store_group = {group}: no group name"));
                return Err(scope.blame("store_group", error));
            }
            StoreLookup::Group(group.to_owned())
        }
    })
}

fn storage_ids(scope: &Scope<'_>, name: &Path) -> Result<StorageIds, ConfigError> {
    let Some(file) = scope.get("storage_ids_filename") else {
        let error = ConfigError::missing("use_storage_id=true needs storage_ids_filename");
        return Err(scope.blame("use_storage_id", error));
    };
    let blame = |error: ConfigError| scope.blame("storage_ids_filename", error);
    if file.is_empty() {
        return Err(blame(ConfigError::invalid("storage_ids_filename is empty")));
    }
    let path = name.parent().unwrap_or(Path::new("")).join(file);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        let errno = error.raw_os_error().and_then(|errno| u8::try_from(errno).ok());
        blame(ConfigError::missing(format!("cannot read {}: {error}", path.display())))
            .with_errno(errno.unwrap_or(2))
    })?;
    let mut resolve = |host: &str| resolve(host).iter().map(ToString::to_string).collect();
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    StorageIds::parse(&text, &mut resolve).map_err(|error| error.in_file(&file))
}

fn params(
    scope: &Scope<'_>,
    keys: &TrackerKeys,
    store_path: i64,
    ids: &StorageIds,
) -> Result<ClusterParams, ConfigError> {
    let reserved = Reserved::parse(&keys.reserved_storage_space).ok_or_else(|| {
        let text = format!(
            "reserved_storage_space = {}: a size such as 1GB, or a percentage such as 10%",
            keys.reserved_storage_space
        );
        scope.blame("reserved_storage_space", ConfigError::invalid(text))
    })?;
    let clamp = |key: &str, value: u64, min: u64, max: u64| {
        let clamped = value.clamp(min, max.max(min));
        if clamped != value {
            scope.warn(key, &format!("{clamped} is used"));
        }
        clamped
    };
    let alignment = keys.trunk_alloc_alignment_size.max(0);
    let slot_min = clamp("slot_min_size", keys.slot_min_size, alignment.unsigned_abs(), 65536);
    let trunk_file = clamp("trunk_file_size", keys.trunk_file_size, 4 << 20, u32::MAX.into());
    let slot_max = match scope.get("slot_max_size") {
        None => trunk_file / 8,
        Some(_) => clamp("slot_max_size", keys.slot_max_size, 0, trunk_file / 2),
    };
    if keys.slot_min_size == 0 || slot_max <= slot_min {
        let error = ConfigError::invalid("slot_max_size must exceed slot_min_size, which is not 0");
        let key = if keys.slot_min_size == 0 { "slot_min_size" } else { "slot_max_size" };
        return Err(scope.blame(key, error));
    }
    let wide = !keys.response_ip_addr_size.eq_ignore_ascii_case("auto") || ids.has_ipv6();
    let by_id = keys.use_storage_id
        && scope.get("id_type_in_filename").is_some_and(|kind| kind.eq_ignore_ascii_case("id"));
    Ok(ClusterParams {
        use_storage_id: keys.use_storage_id,
        id_type_in_filename: if by_id { IdType::Id } else { IdType::Ip },
        trust_storage_server_id: !keys.use_storage_id
            || scope.bool("trust_storage_server_id", true)?,
        response_ip_addr_size: if wide { AddrWidth::V6 } else { AddrWidth::V4 },
        storage_ip_changed_auto_adjust: keys.storage_ip_changed_auto_adjust,
        storage_sync_file_max_delay_secs: secs(keys.storage_sync_file_max_delay),
        store_path,
        reserved_storage_space: reserved,
        use_trunk_file: keys.use_trunk_file,
        slot_min_size: slot_min,
        slot_max_size: slot_max,
        trunk_alloc_alignment_size: alignment,
        trunk_file_size: trunk_file,
        trunk_create_file_advance: keys.trunk_create_file_advance,
        trunk_create_file_time_base_secs: keys.trunk_create_file_time_base,
        trunk_create_file_interval_secs: keys.trunk_create_file_interval,
        trunk_create_file_space_threshold: keys.trunk_create_file_space_threshold,
        trunk_init_check_occupying: keys.trunk_init_check_occupying,
        trunk_init_reload_from_binlog: keys.trunk_init_reload_from_binlog,
        trunk_free_space_merge: keys.trunk_free_space_merge,
        delete_unused_trunk_files: keys.delete_unused_trunk_files,
        trunk_compress_binlog_min_interval_secs: keys.trunk_compress_binlog_min_interval,
        trunk_compress_binlog_interval_secs: keys.trunk_compress_binlog_interval,
        trunk_compress_binlog_time_base_secs: keys.trunk_compress_binlog_time_base,
        trunk_binlog_max_backups: keys.trunk_binlog_max_backups,
        store_slave_file_use_link: keys.store_slave_file_use_link,
    })
}

/// Whole seconds as state files and packets count them.
pub fn secs(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<TrackerConfig, ConfigError> {
        TrackerConfig::from_ini(&Ini::parse(&format!("base_path=/t\n{text}")), Path::new("t.conf"))
    }

    #[test]
    fn the_users_files_load_with_their_values() {
        let v4 = include_str!("../../../tests/vectors/confs/v4-tracker.conf");
        let config = TrackerConfig::from_ini(&Ini::parse(v4), Path::new("t.conf")).unwrap();
        assert_eq!(config.params.reserved_storage_space, Reserved::Ratio(0.1));
        assert_eq!(config.params.slot_max_size, 16 << 20);
        assert_eq!(config.params.trunk_create_file_space_threshold, 20 << 30);
        assert_eq!(config.store_server, StoreServer::First, "trunk files have one writer");
        assert!(!config.framework.log.rotate_everyday, "the old key counts");
        assert!(
            config
                .warnings
                .iter()
                .any(|w| w.contains("http.server_port no longer has an effect in 6.16"))
        );
        let v406 = include_str!("../../../tests/vectors/confs/v406-tracker.conf");
        let config = TrackerConfig::from_ini(&Ini::parse(v406), Path::new("t.conf")).unwrap();
        assert_eq!(config.store_lookup, StoreLookup::LoadBalance);
        assert!(
            !config.warnings.iter().any(|w| w.contains("unknown key")),
            "{:?}",
            config.warnings
        );
    }

    #[test]
    fn defaults_and_errors_are_those_of_the_original() {
        let config = load("").unwrap();
        assert_eq!(config.params.slot_max_size, 8 << 20);
        assert_eq!(config.params.reserved_storage_space, Reserved::Mb(1024));
        assert_eq!(config.check_active_interval, Duration::from_secs(100));
        assert_eq!(config.framework.network_timeout, Duration::from_secs(60));
        assert_eq!(config.framework.listen, ["0.0.0.0:22122".parse().unwrap()]);
        for (text, errno) in [
            ("store_lookup=3", 22),
            ("store_lookup=1", 2),
            ("store_lookup=1\nstore_group=a-b", 22),
            ("work_threads=0", 22),
            ("reserved_storage_space=0%", 22),
            ("slot_min_size=x", 22),
            ("slot_max_size=100", 22),
            ("use_storage_id=1", 2),
            ("address_family=IPv5", 22),
            ("disabled=true", 125),
            ("allow_hosts=10.0.0.0/8", 22),
        ] {
            assert_eq!(load(text).unwrap_err().errno(), errno, "{text}");
        }
        assert_eq!(load("store_path=1").unwrap().params.store_path, 0);
        assert_eq!(
            load("response_ip_addr_size=IPv4").unwrap().params.response_ip_addr_size,
            AddrWidth::V6
        );
        let error = TrackerConfig::from_ini(&Ini::parse(""), Path::new("t")).unwrap_err();
        assert_eq!(error.errno(), 2, "base_path is needed");
    }
}
