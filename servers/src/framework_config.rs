//! The keys that tracker and storage share (spec 06 §2).

use crate::config_file::{local_ips, resolve};
use crate::daemon::log::level_named;
use fdfs_core::conf;
use fdfs_core::config::{AllowHosts, ConfigError, Ini, KeyDoc, Scope};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Log files are rotated above this size at least when an old file says when (spec 06 §3).
const OLD_ROTATE_SIZE_MIN: u64 = 1 << 20;

conf! {
    /// Keys of the server framework.
    pub struct FrameworkKeys {
        /// Refuse to start.
        pub disabled: bool = bool("disabled", false);
        /// Addresses to listen on; empty for all. `v4,v6` for two.
        pub bind_addr: String = text("bind_addr", "");
        /// Which addresses an empty `bind_addr` means: `auto`, `IPv4`, `IPv6` or `both`.
        pub address_family: String = text("address_family", "auto");
        /// Time until an outgoing connection must stand.
        pub connect_timeout: Duration = secs("connect_timeout", 10);
        /// Connections served at the same time.
        pub max_connections: usize = positive("max_connections", 256);
        /// Threads that accept connections.
        pub accept_threads: usize = ranged("accept_threads", 1, 1, 1024);
        /// Threads that serve connections.
        pub work_threads: usize = ranged("work_threads", 4, 1, 1024);
        /// Bytes of the largest message. Storages need 65546 at least.
        pub buff_size: u64 = bytes_soft("buff_size", 262144, 8192, 2147483648);
        /// Bytes that a connection begins with.
        pub min_buff_size: u64 = bytes_soft("min_buff_size", 0, 0, 2147483648);
        /// Bytes of the largest message, when larger than `buff_size`.
        pub max_buff_size: u64 = bytes_soft("max_buff_size", 0, 0, 2147483648);
        /// Bytes of a thread's stack.
        pub thread_stack_size: u64 = bytes_soft("thread_stack_size", 262144, 65536, 2147483648);
        /// Acknowledge packets at once.
        pub tcp_quick_ack: bool = bool("tcp_quick_ack", true);
        /// Use io_uring.
        pub use_io_uring: bool = bool("use_io_uring", false);
        /// Send without copying, with io_uring.
        pub use_send_zc: bool = bool("use_send_zc", true);
        /// Group to run as.
        pub run_by_group: String = text("run_by_group", "");
        /// User to run as.
        pub run_by_user: String = text("run_by_user", "");
        /// Least severe messages written to the log.
        pub log_level: String = text("log_level", "info");
        /// Keep outgoing connections.
        pub use_connection_pool: bool = bool("use_connection_pool", false);
        /// Time until a kept connection is closed.
        pub connection_pool_max_idle_time: Duration = secs("connection_pool_max_idle_time", 3600);
    }
}

conf! {
    /// Keys of one log file, in its section or global.
    pub struct LogKeys {
        /// Rotate every day.
        pub rotate_everyday: bool = bool("log_file_rotate_everyday", true);
        /// When.
        pub rotate_time_secs: u32 = time("log_file_rotate_time", 0);
        /// Rotate when larger; 0 for never.
        pub rotate_on_size: u64 = bytes_soft("log_file_rotate_on_size", 0, 0, 68719476736);
        /// Compress rotated files.
        pub compress_old: bool = bool("log_file_compress_old", false);
        /// Days after which they are compressed.
        pub compress_days_before: i64 = int("log_file_compress_days_before", 1);
        /// Days that rotated files are kept; 0 for ever.
        pub keep_days: i64 = int("log_file_keep_days", 15);
        /// When old files are deleted.
        pub delete_old_time_secs: u32 = time("log_file_delete_old_time", 5400);
        /// Time that log lines may stay in memory; this server writes them at once.
        pub sync_buff_interval: Duration = secs("sync_log_buff_interval", 1);
    }
}

/// Keys of the framework that [`FrameworkKeys`] cannot hold.
pub const FRAMEWORK_KEYS_BESIDE: &[KeyDoc] = &[
    KeyDoc::new("base_path", "path", "", "Where `data/` and `logs/` are. Needed."),
    KeyDoc::new("port", "port", "", "Port to listen on: 22122 for a tracker, 23000 for a storage."),
    KeyDoc::new(
        "inner_bind_addr",
        "text",
        "",
        "Address to listen on at `inner_port`; replaces `bind_addr`.",
    ),
    KeyDoc::new(
        "outer_bind_addr",
        "text",
        "",
        "Address to listen on at `outer_port`; replaces `bind_addr`.",
    ),
    KeyDoc::new(
        "inner_port",
        "port",
        "",
        "Port of `inner_bind_addr`, or a further one; `port` when absent.",
    ),
    KeyDoc::new(
        "outer_port",
        "port",
        "",
        "Port of `outer_bind_addr`, or a further one; `port` when absent.",
    ),
    KeyDoc::new(
        "network_timeout",
        "secs",
        "",
        "Longest silence of a peer: 60 s for a tracker, 30 s for a storage.",
    ),
    KeyDoc::new(
        "allow_hosts",
        "list",
        "\"*\"",
        "Peers allowed: addresses, names, `a.b.c.d/10` to `/31`, IPv6 prefixes, `10.0.1.[1-15,20]`.",
    ),
];

/// What tracker and storage are both told.
#[derive(Debug, Clone)]
pub struct Framework {
    /// Where `data/` and `logs/` are.
    pub base_path: PathBuf,
    /// Addresses to listen on.
    pub listen: Vec<SocketAddr>,
    /// Longest silence of a peer.
    pub network_timeout: Duration,
    /// The peers allowed.
    pub allow_hosts: AllowHosts,
    /// The error log.
    pub log: LogKeys,
    /// The other keys.
    pub keys: FrameworkKeys,
}

impl Framework {
    /// Reads the keys; `port` and `network_timeout` differ between the servers.
    pub fn from_ini(
        ini: &Ini,
        port: u16,
        network_timeout_secs: usize,
    ) -> Result<(Self, Vec<String>), ConfigError> {
        let scope = ini.global();
        let keys = FrameworkKeys::from_scope(&scope)?;
        if keys.disabled {
            let error = ConfigError::invalid("disabled=true, remove it to start");
            return Err(scope.blame("disabled", error.with_errno(125)));
        }
        let Some(base_path) = scope.optional("base_path")? else {
            return Err(ConfigError::missing("base_path is missing: name a directory"));
        };
        if keys.use_connection_pool {
            scope.at_least_one("connection_pool_max_idle_time")?;
        }
        if level_named(&keys.log_level).is_none() {
            scope.warn("log_level", "unknown, info is used");
        }
        let allow = scope.all("allow_hosts");
        let (allow_hosts, warnings) = AllowHosts::parse(&allow, &mut resolve)?;
        let framework = Self {
            base_path: PathBuf::from(trim_slash(&base_path)),
            listen: listen_addrs(&scope, &keys, port)?,
            network_timeout: scope.secs("network_timeout", network_timeout_secs)?,
            allow_hosts,
            log: error_log(ini)?,
            keys,
        };
        Ok((framework, warnings))
    }

    /// The defaults, listening on `listen`.
    pub fn new(base_path: &Path, listen: SocketAddr) -> Result<Self, ConfigError> {
        let ini = Ini::parse("");
        Ok(Self {
            base_path: base_path.to_owned(),
            listen: vec![listen],
            network_timeout: Duration::from_secs(30),
            allow_hosts: AllowHosts::default(),
            log: LogKeys::from_scope(&ini.global())?,
            keys: FrameworkKeys::from_scope(&ini.global())?,
        })
    }

    /// The defaults for a server inside this process.
    pub fn embedded(base_path: &Path, listen: SocketAddr) -> Result<Self, ConfigError> {
        let mut framework = Self::new(base_path, listen)?;
        framework.keys.max_connections = 4096;
        Ok(framework)
    }

    /// Makes the base path when it is missing, but not its parents: a disk that is not mounted
    /// must not go unnoticed (spec 06 §2).
    pub fn prepare_base_path(&self) -> Result<(), ConfigError> {
        let path = &self.base_path;
        let failed = |error: std::io::Error| {
            let errno = error.raw_os_error().and_then(|errno| u8::try_from(errno).ok());
            ConfigError::missing(format!("base_path {}: {error}", path.display()))
                .with_errno(errno.unwrap_or(2))
        };
        match std::fs::metadata(path) {
            Ok(found) if found.is_dir() => Ok(()),
            Ok(_) => Err(failed(std::io::Error::from_raw_os_error(20))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                std::fs::DirBuilder::new().mode(0o775).create(path).map_err(failed)
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Bytes of the largest message, header included.
    pub fn message_len_max(&self) -> usize {
        let keys = &self.keys;
        // The original heeds the two bounds only when both are given.
        let max =
            if keys.min_buff_size > 0 { keys.max_buff_size.max(keys.min_buff_size) } else { 0 };
        let max = if keys.max_buff_size > 0 { max } else { 0 };
        usize::try_from(keys.buff_size.max(max)).unwrap_or(1 << 20)
    }
}

/// What the keys of a log were called up to 6.13.
struct OldLogKeys {
    everyday: &'static str,
    time: &'static str,
    size: &'static str,
    compress: &'static str,
    compress_days: &'static str,
}

/// The error log's keys.
fn error_log(ini: &Ini) -> Result<LogKeys, ConfigError> {
    let old = OldLogKeys {
        everyday: "rotate_error_log",
        time: "error_log_rotate_time",
        size: "rotate_error_log_size",
        compress: "compress_old_error_log",
        compress_days: "compress_error_log_days_before",
    };
    log_keys(ini, "error-log", &old)
}

/// The access log's keys; the storage has one.
pub(crate) fn access_log(ini: &Ini) -> Result<LogKeys, ConfigError> {
    let old = OldLogKeys {
        everyday: "rotate_access_log",
        time: "access_log_rotate_time",
        size: "rotate_access_log_size",
        compress: "compress_old_access_log",
        compress_days: "compress_access_log_days_before",
    };
    log_keys(ini, "access-log", &old)
}

/// Old names count where the new ones are absent (spec 06 §3); `log_file_keep_days` is both.
fn log_keys(ini: &Ini, section: &str, old: &OldLogKeys) -> Result<LogKeys, ConfigError> {
    let section = ini.section(section);
    let mut log = LogKeys::from_scope(&section)?;
    let keys = LogKeys::KEYS.iter().map(|key| key.key);
    let has_new = keys
        .filter(|key| key.starts_with("log_file_") && *key != "log_file_keep_days")
        .any(|key| section.get(key).is_some());
    let names = [old.everyday, old.time, old.size, old.compress, old.compress_days];
    if has_new || ini.entries().all(|(_, key, _)| !names.contains(&key)) {
        return Ok(log);
    }
    log.rotate_everyday = section.bool(old.everyday, false)?;
    log.rotate_time_secs = section.time(old.time, 0)?;
    log.rotate_on_size = match section.bytes_soft(old.size, 0, 0, 68_719_476_736)? {
        0 => 0,
        size => size.max(OLD_ROTATE_SIZE_MIN),
    };
    log.compress_old = section.bool(old.compress, false)?;
    log.compress_days_before = section.int(old.compress_days, 1)?;
    Ok(log)
}

/// Removes the slash at the end of a path.
pub(crate) fn trim_slash(path: &str) -> &str {
    match path.trim_end_matches('/') {
        "" => "/",
        trimmed => trimmed,
    }
}

fn listen_addrs(
    scope: &Scope<'_>,
    keys: &FrameworkKeys,
    default_port: u16,
) -> Result<Vec<SocketAddr>, ConfigError> {
    let port = scope.port("port", default_port)?;
    let ports = [scope.port("inner_port", port)?, scope.port("outer_port", port)?];
    let any = any_addrs(scope, keys)?;
    let mut addrs: Vec<SocketAddr> = Vec::new();
    let mut add = |ips: &[IpAddr], port| {
        for ip in ips {
            let addr = SocketAddr::new(*ip, port);
            if !addrs.contains(&addr) {
                addrs.push(addr);
            }
        }
    };
    let sides = ["inner_bind_addr", "outer_bind_addr"];
    if sides.iter().any(|key| scope.get(key).is_some()) {
        for (key, port) in sides.into_iter().zip(ports) {
            add(&bind_ips(scope, key)?, port);
        }
    } else {
        let ips = bind_ips(scope, "bind_addr")?;
        for port in ports {
            add(if ips.is_empty() { &any } else { &ips }, port);
        }
    }
    if addrs.is_empty() {
        addrs = any.iter().map(|ip| SocketAddr::new(*ip, port)).collect();
    }
    Ok(addrs)
}

/// The addresses that a key names, with or without brackets.
fn bind_ips(scope: &Scope<'_>, key: &str) -> Result<Vec<IpAddr>, ConfigError> {
    let hosts = scope.get(key).unwrap_or_default().split(',');
    let hosts = hosts.map(|host| host.trim().trim_start_matches('[').trim_end_matches(']'));
    let ip = |host: &str| {
        let none = || scope.blame(key, ConfigError::invalid(format!("{key}: {host}: no address")));
        resolve(host).into_iter().next().ok_or_else(none)
    };
    hosts.filter(|host| !host.is_empty()).map(ip).collect()
}

/// What an empty `bind_addr` means.
fn any_addrs(scope: &Scope<'_>, keys: &FrameworkKeys) -> Result<[IpAddr; 1], ConfigError> {
    let (v4, v6) = (Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into());
    let only_v6 = || {
        let ips = local_ips();
        !ips.is_empty() && ips.iter().all(IpAddr::is_ipv6)
    };
    match keys.address_family.to_ascii_lowercase().as_str() {
        "auto" if only_v6() => Ok([v6]),
        "auto" | "ipv4" => Ok([v4]),
        // One socket takes both families.
        "ipv6" | "both" => Ok([v6]),
        _ => {
            let error = ConfigError::invalid("address_family is auto, IPv4, IPv6 or both");
            Err(scope.blame("address_family", error))
        }
    }
}
