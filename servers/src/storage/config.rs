//! `storage.conf` (spec 06 §4).

use crate::framework_config::{Framework, LogKeys, access_log, trim_slash};
use crate::idle_keys::idle_keys;
use fdfs_core::conf;
use fdfs_core::config::{ConfigError, Ini, KeyDoc, Scope, TrackerAddr, parse_bool, parse_id};
use fdfs_core::protocol::{GROUP_LEN, STORAGE_PORT_DEFAULT, is_group_name};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

conf! {
    /// The keys of `storage.conf` beside the framework's.
    pub struct StorageKeys {
        /// This storage's id; found by address when absent.
        pub server_id: Option<String> = optional("server_id");
        /// Bind outgoing connections to `bind_addr`.
        pub client_bind: bool = bool("client_bind", true);
        /// Time between heart beats.
        pub heart_beat_interval: Duration = secs("heart_beat_interval", 30);
        /// Time between reports of free space.
        pub stat_report_interval: Duration = secs("stat_report_interval", 300);
        /// Keep reads and writes apart; file work runs on the connection's own thread here.
        pub disk_rw_separated: bool = bool("disk_rw_separated", true);
        /// Threads for reading, for each store path once it is slow.
        pub disk_reader_threads: usize = ranged("disk_reader_threads", 1, 0, 1024);
        /// Threads for writing, for each store path once it is slow.
        pub disk_writer_threads: usize = ranged("disk_writer_threads", 1, 0, 1024);
        /// Threads that restore a replaced disk.
        pub disk_recovery_threads: usize = ranged("disk_recovery_threads", 1, 1, 1024);
        /// Replication threads at least.
        pub sync_min_threads: usize = clamped("sync_min_threads", 1, 1, 256);
        /// Replication threads at most; `auto` for two for each store path.
        pub sync_max_threads: String = text("sync_max_threads", "auto");
        /// Time between looks at the end of the binlog.
        pub sync_wait: Duration = millis("sync_wait_msec", 100);
        /// Milliseconds of rest after each replicated file.
        pub sync_interval_ms: i64 = int("sync_interval", 0);
        /// When replication begins each day.
        pub sync_start_time: u32 = time("sync_start_time", 0);
        /// When replication ends each day.
        pub sync_end_time: u32 = time("sync_end_time", 86340);
        /// Replicated records between two saves of a mark.
        pub write_mark_file_freq: usize = positive("write_mark_file_freq", 500);
        /// Time between two syncs of the binlog to disk.
        pub sync_binlog_buff_interval: Duration = secs("sync_binlog_buff_interval", 60);
        /// Time between two saves of the statistics.
        pub sync_stat_file_interval: Duration = secs("sync_stat_file_interval", 60);
        /// Store paths.
        pub store_path_count: usize = ranged("store_path_count", 1, 1, 256);
        /// Sub-directories on each of the two levels.
        pub subdir_count_per_path: usize = ranged("subdir_count_per_path", 256, 1, 256);
        /// Directory of a new file: 0: round robin, else by hash.
        pub file_distribute_path_mode: i64 = int("file_distribute_path_mode", 0);
        /// Files in a directory until the next one's turn.
        pub file_distribute_rotate_count: usize = positive("file_distribute_rotate_count", 100);
        /// Bytes between two syncs of a large file to disk; 0 for none.
        pub fsync_after_written_bytes: u64 = bytes("fsync_after_written_bytes", 0);
        /// Lower is preferred for uploads.
        pub upload_priority: i64 = int("upload_priority", 10);
        /// Name prefixes of network interfaces with own addresses.
        pub if_alias_prefix: String = text("if_alias_prefix", "");
        /// Look for duplicates of uploaded files.
        pub check_file_duplicate: bool = bool("check_file_duplicate", false);
        /// How duplicates are found: `hash` or `md5`.
        pub file_signature_method: String = text("file_signature_method", "hash");
        /// Name space of signatures.
        pub key_namespace: String = text("key_namespace", "");
        /// Keep connections to the signature store.
        pub keep_alive: bool = bool("keep_alive", false);
        /// Step over damaged binlog records.
        pub file_sync_skip_invalid_record: bool = bool("file_sync_skip_invalid_record", false);
        /// Compress old binlogs.
        pub compress_binlog: bool = bool("compress_binlog", false);
        /// When.
        pub compress_binlog_time: u32 = time("compress_binlog_time", 5400);
        /// Refuse store paths that belong to another storage.
        pub check_store_path_mark: bool = bool("check_store_path_mark", true);
    }
}

/// Keys of `storage.conf` that [`StorageKeys`] cannot hold.
pub const STORAGE_KEYS_BESIDE: &[KeyDoc] = &[
    KeyDoc::new(
        "group_name",
        "text",
        "",
        "Its group, letters and digits; a tracker is asked when absent.",
    ),
    KeyDoc::new(
        "tracker_server",
        "list",
        "",
        "A tracker, `host[:port]` or `ip1,ip2[:port]`; up to 16 times. Needed.",
    ),
    KeyDoc::new("store_path0", "path", "base_path", "The first store path."),
    KeyDoc::new("store_path#", "path", "", "The further ones, up to store_path_count. Needed."),
    KeyDoc::new("store_path#_readonly", "bool", "false", "Takes no new files."),
];

/// Keys of `storage.conf`'s `[access-log]` beside those of every log.
pub const ACCESS_LOG_KEYS_BESIDE: &[KeyDoc] = &[
    KeyDoc::new("enabled", "bool", "false", "Write it. Only read in `[access-log]`."),
    KeyDoc::new("time_precision", "text", "\"ms\"", "Unit of times: `ms` or `us`."),
];

/// The log of requests.
#[derive(Debug, Clone)]
pub struct AccessLog {
    /// Whether it is written.
    pub enabled: bool,
    /// Whether times are in microseconds, else in milliseconds.
    pub in_micros: bool,
    /// Rotation.
    pub log: LogKeys,
}

impl AccessLog {
    fn from_ini(ini: &Ini) -> Result<Self, ConfigError> {
        let section = ini.section("access-log");
        // Up to 6.13 it was a key of its own.
        let enabled = section.get_here("enabled");
        let enabled = enabled.or_else(|| ini.global().get("use_access_log"));
        let in_micros = match section.get_here("time_precision") {
            Some("us" | "microsecond") => true,
            None | Some("ms" | "millisecond") => false,
            Some(_) => {
                section.warn("time_precision", "neither ms nor us, ms is used");
                false
            }
        };
        Ok(Self { enabled: enabled.is_some_and(parse_bool), in_micros, log: access_log(ini)? })
    }
}

/// One store path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorePathConfig {
    /// Directory.
    pub path: PathBuf,
    /// Takes no new files.
    pub read_only: bool,
}

/// All that a storage needs to know.
#[derive(Debug, Clone)]
pub struct StorageConfig {
    /// Listening, logging, limits.
    pub framework: Framework,
    /// Its group; asked from a tracker when absent.
    pub group: Option<String>,
    /// The trackers.
    pub trackers: Vec<TrackerAddr>,
    /// The store paths.
    pub store_paths: Vec<StorePathConfig>,
    /// Replication threads at most.
    pub sync_threads_max: usize,
    /// The log of requests.
    pub access_log: AccessLog,
    /// The other keys.
    pub keys: StorageKeys,
    /// What is odd about the file, to be logged at start.
    pub warnings: Vec<String>,
}

/// The original's tasks hold 64 KiB of content and a header, and it refuses smaller buffers.
const BUFF_SIZE_MIN: u64 = 65546;
/// Replication threads, whatever the file says.
const SYNC_THREADS_MAX: usize = 256;
/// Longest name space of signatures.
const KEY_NAMESPACE_LEN: usize = 64;

/// Keys that only later parts of this server read: known, and without effect until then.
const LATER: &[(&str, &str)] = &[("check_file_duplicate", "duplicates are not looked for yet")];

impl StorageConfig {
    /// Reads a loaded file.
    pub fn from_ini(ini: &Ini) -> Result<Self, ConfigError> {
        let (framework, mut warnings) = Framework::from_ini(ini, STORAGE_PORT_DEFAULT, 30)?;
        let mut config = Self::from_keys(ini, framework)?;
        for (key, reason) in LATER {
            if ini.global().get(key).is_some_and(|value| !matches!(value, "" | "0" | "false")) {
                ini.global().warn(key, &format!("has no effect: {reason}"));
            }
        }
        warnings.extend(ini.warnings());
        warnings.extend(idle_keys(ini));
        config.warnings = warnings;
        Ok(config)
    }

    /// The defaults, listening on all IPv4 addresses.
    pub fn new(
        base_path: &Path,
        group: &str,
        trackers: Vec<TrackerAddr>,
    ) -> Result<Self, ConfigError> {
        let listen = (Ipv4Addr::UNSPECIFIED, STORAGE_PORT_DEFAULT).into();
        let framework = Framework::new(base_path, listen)?;
        let trackers: String =
            trackers.iter().map(|tracker| format!("tracker_server={tracker}\n")).collect();
        Self::from_keys(&Ini::parse(&format!("group_name={group}\n{trackers}")), framework)
    }

    /// The defaults for a storage inside this process.
    pub fn embedded(
        base_path: &Path,
        listen: SocketAddr,
        group: &str,
        tracker: SocketAddr,
    ) -> Result<Self, ConfigError> {
        let framework = Framework::embedded(base_path, listen)?;
        let text = format!(
            "group_name={group}\ntracker_server={tracker}\nheart_beat_interval=1\n\
             subdir_count_per_path=16\nstat_report_interval=10\nsync_stat_file_interval=10\n"
        );
        Self::from_keys(&Ini::parse(&text), framework)
    }

    fn from_keys(ini: &Ini, mut framework: Framework) -> Result<Self, ConfigError> {
        let scope = &ini.global();
        let mut keys = StorageKeys::from_scope(scope)?;
        keys.sync_interval_ms = keys.sync_interval_ms.max(0);
        check(scope, &keys)?;
        if framework.keys.buff_size < BUFF_SIZE_MIN {
            scope.warn("buff_size", &format!("{BUFF_SIZE_MIN} is used"));
            framework.keys.buff_size = BUFF_SIZE_MIN;
        }
        let trackers = TrackerAddr::list(scope.all("tracker_server"))?;
        if trackers.is_empty() {
            return Err(ConfigError::missing("tracker_server is missing: name at least one"));
        }
        Ok(Self {
            group: group(scope)?,
            trackers,
            store_paths: store_paths(scope, &framework.base_path, keys.store_path_count)?,
            sync_threads_max: sync_threads_max(scope, &keys),
            access_log: AccessLog::from_ini(ini)?,
            framework,
            keys,
            warnings: Vec::new(),
        })
    }

    /// The times of day, in seconds since midnight, between which files are replicated; `None`
    /// for always, which is how 00:00 to 23:59 is meant.
    pub fn sync_window(&self) -> Option<(u32, u32)> {
        let window = (self.keys.sync_start_time, self.keys.sync_end_time);
        (window != (0, 23 * 3600 + 59 * 60)).then_some(window)
    }
}

/// Values that are wrong together.
fn check(scope: &Scope<'_>, keys: &StorageKeys) -> Result<(), ConfigError> {
    let fail = |key, text: &str| Err(scope.blame(key, ConfigError::invalid(text)));
    let (readers, writers) = (keys.disk_reader_threads, keys.disk_writer_threads);
    if keys.disk_rw_separated && (readers == 0 || writers == 0) {
        let key = if readers == 0 { "disk_reader_threads" } else { "disk_writer_threads" };
        return fail(key, "both kinds of threads are needed with disk_rw_separated=true");
    }
    if readers + writers == 0 {
        return fail("disk_reader_threads", "disk_reader_threads and disk_writer_threads are 0");
    }
    if keys.check_file_duplicate && !(1..=KEY_NAMESPACE_LEN).contains(&keys.key_namespace.len()) {
        return fail(
            "key_namespace",
            "check_file_duplicate needs a key_namespace, 64 bytes at most",
        );
    }
    match &keys.server_id {
        Some(id) if parse_id(id).is_none() => {
            fail("server_id", &format!("server_id = {id}: a number, 1 to 16777215"))
        }
        _ => Ok(()),
    }
}

fn sync_threads_max(scope: &Scope<'_>, keys: &StorageKeys) -> usize {
    let text = keys.sync_max_threads.trim();
    let threads = match text.parse::<i64>() {
        Ok(threads) => match usize::try_from(threads) {
            Ok(0) | Err(_) => keys.store_path_count * 2,
            Ok(threads) => threads,
        },
        Err(_) if text.eq_ignore_ascii_case("auto") => keys.store_path_count * 2,
        Err(_) => {
            scope.warn("sync_max_threads", "neither a number nor auto");
            keys.sync_min_threads * 2
        }
    };
    threads.min(SYNC_THREADS_MAX).max(keys.sync_min_threads)
}

fn group(scope: &Scope<'_>) -> Result<Option<String>, ConfigError> {
    let Some(name) = scope.get("group_name") else { return Ok(None) };
    let cut = name.get(..GROUP_LEN).unwrap_or(name);
    if cut != name {
        scope.warn("group_name", &format!("too long, {cut} is used"));
    }
    if !is_group_name(cut.as_bytes()) {
        let text = format!("group_name = {name}: 1 to 16 letters and digits");
        return Err(scope.blame("group_name", ConfigError::invalid(text)));
    }
    Ok(Some(cut.to_owned()))
}

fn store_paths(
    scope: &Scope<'_>,
    base_path: &Path,
    count: usize,
) -> Result<Vec<StorePathConfig>, ConfigError> {
    let mut paths: Vec<StorePathConfig> = Vec::new();
    for index in 0..count {
        let key = format!("store_path{index}");
        let path = match scope.get(&key).filter(|path| !path.is_empty()) {
            Some(path) => PathBuf::from(trim_slash(path)),
            None if index == 0 => base_path.to_owned(),
            None => {
                let text = format!("{key} is missing: store_path_count is {count}");
                return Err(ConfigError::missing(text));
            }
        };
        if paths.iter().any(|known| known.path == path) {
            let text = format!("{key} = {} stands twice", path.display());
            return Err(scope.blame(&key, ConfigError::invalid(text)));
        }
        let read_only = scope.bool(&format!("{key}_readonly"), false)?;
        paths.push(StorePathConfig { path, read_only });
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<StorageConfig, ConfigError> {
        let text = format!("base_path=/s\ntracker_server=10.0.0.1\n{text}");
        StorageConfig::from_ini(&Ini::parse(&text))
    }

    #[test]
    fn the_users_files_load_with_their_values() {
        let v4 = include_str!("../../../tests/vectors/confs/v4-storage.conf");
        let config = StorageConfig::from_ini(&Ini::parse(v4)).unwrap();
        assert_eq!(config.group.as_deref(), Some("groupA"));
        assert_eq!(config.trackers.len(), 3);
        assert_eq!(config.keys.sync_wait, Duration::from_millis(50));
        assert_eq!(config.store_paths[0].path, Path::new("/data/dfs/group1"));
        assert!(
            config
                .warnings
                .iter()
                .any(|w| w.contains("http.server_port no longer has an effect in 6.16"))
        );
        let v406 = include_str!("../../../tests/vectors/confs/v406-storage.conf");
        let config = StorageConfig::from_ini(&Ini::parse(v406)).unwrap();
        let named = |key: &str| config.warnings.iter().any(|w| w.contains(key));
        assert!(named("disk_rw_direct no longer has an effect in 6.16"), "{:?}", config.warnings);
    }

    #[test]
    fn defaults_and_errors_are_those_of_the_original() {
        let config = load("").unwrap();
        assert_eq!(config.framework.network_timeout, Duration::from_secs(30));
        assert_eq!(config.keys.heart_beat_interval, Duration::from_secs(30));
        assert_eq!(config.store_paths[0].path, Path::new("/s"));
        assert_eq!(config.framework.listen, ["0.0.0.0:23000".parse().unwrap()]);
        for (text, errno) in [
            ("group_name=", 22),
            ("group_name=a/b", 22),
            ("store_path_count=0", 22),
            ("store_path_count=2", 2),
            ("store_path_count=2\nstore_path0=/a\nstore_path1=/a/", 22),
            ("subdir_count_per_path=257", 22),
            ("sync_start_time=25:00", 22),
            ("fsync_after_written_bytes=1B", 22),
            ("tracker_server=10.0.0.1,10.0.0.2:22122", 22),
        ] {
            assert_eq!(load(text).unwrap_err().errno(), errno, "{text}");
        }
        for (text, threads) in [
            ("", 2),
            ("sync_max_threads=Auto", 2),
            ("sync_max_threads=0\nstore_path_count=2\nstore_path1=/b", 4),
            ("sync_max_threads=-5", 2),
            ("sync_max_threads=9", 9),
            ("sync_max_threads=999", 256),
            ("sync_min_threads=8\nsync_max_threads=4", 8),
            ("sync_min_threads=8\nsync_max_threads=many", 16),
            ("sync_min_threads=0\nsync_max_threads=1", 1),
        ] {
            assert_eq!(load(text).unwrap().sync_threads_max, threads, "{text}");
        }
        let ini = Ini::parse("base_path=/s\n");
        assert_eq!(StorageConfig::from_ini(&ini).unwrap_err().errno(), 2, "a tracker is needed");
        let paths = load("store_path_count=2\nstore_path1=/b/\nstore_path1_readonly=1").unwrap();
        let last = StorePathConfig { path: "/b".into(), read_only: true };
        assert_eq!(paths.store_paths[1], last);
    }
}
