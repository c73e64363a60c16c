//! Configuration files on disk, and the keys that tracker and storage share (spec 06 §2).

use fdfs_core::conf;
use fdfs_core::config::{AllowHosts, ConfigError, Ini, Scope, Source};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Reads configuration files from disk.
#[derive(Debug)]
pub struct Files;

impl Source for Files {
    fn read(&mut self, name: &str) -> std::io::Result<String> {
        // Old files may hold comments in other encodings; only ASCII keys and values matter.
        std::fs::read(name).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    fn local_ips(&self) -> Vec<IpAddr> {
        local_ips()
    }

    fn host_name(&self) -> String {
        rustix::system::uname().nodename().to_string_lossy().into_owned()
    }
}

/// This host's addresses: the local ones of the kernel's routing tables.
pub fn local_ips() -> Vec<IpAddr> {
    let mut ips: Vec<IpAddr> = Vec::new();
    let table = std::fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    let mut last = None;
    for line in table.lines().map(str::trim) {
        if let Some(ip) = line.strip_prefix("|-- ") {
            last = ip.parse::<Ipv4Addr>().ok();
        } else if line.starts_with("/32 host LOCAL") {
            ips.extend(last.take().map(IpAddr::from));
        }
    }
    let table = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    for line in table.lines() {
        let hex = line.split_whitespace().next().and_then(|hex| u128::from_str_radix(hex, 16).ok());
        ips.extend(hex.map(|ip| IpAddr::from(Ipv6Addr::from(ip))));
    }
    ips.sort_unstable();
    ips.dedup();
    ips.retain(|ip| !ip.is_loopback());
    ips
}

/// The addresses of a host name.
pub fn resolve(host: &str) -> Vec<IpAddr> {
    (host, 0)
        .to_socket_addrs()
        .map(|addrs| addrs.map(|addr| addr.ip()).collect())
        .unwrap_or_default()
}

/// Keys that no longer do anything, and what to use instead (spec 06 §3, §4).
const LEGACY: &[(&str, &str)] = &[
    ("http.", "the built-in HTTP server is gone since FastDFS 4.05"),
    ("disk_rw_direct", "files always go through the page cache"),
    ("max_threads", "use work_threads"),
    ("store_group", "only read when store_lookup=1"),
    ("storage_ids_filename", "only read when use_storage_id=true"),
    ("id_type_in_filename", "only read when use_storage_id=true"),
    ("trust_storage_server_id", "only read when use_storage_id=true"),
    ("thread_stack_size", "this server sizes its stacks itself"),
    ("accept_threads", "this server has one acceptor for each address"),
    ("min_buff_size", "buffers grow and shrink by themselves"),
    ("tcp_quick_ack", "acknowledgements ride on replies"),
    ("use_io_uring", "not used by this server"),
    ("use_send_zc", "not used by this server"),
    ("compress_old_", "rotated logs are not compressed by this server"),
    ("compress_error_log_days_before", "rotated logs are not compressed by this server"),
    ("log_file_compress_", "rotated logs are not compressed by this server"),
    ("run_by_", "start the daemon as that user"),
    ("connection_pool_max_idle_time", "connections to trackers are kept open"),
    ("use_connection_pool", "connections to trackers are kept open"),
];

/// The text for keys of the file that had no effect.
pub fn unused_keys(ini: &Ini) -> Vec<String> {
    let reason = |key: &str| {
        let known = LEGACY.iter().find(|(prefix, _)| key.starts_with(prefix));
        known.map_or("unknown key", |(_, reason)| reason)
    };
    let unused = ini.unused().into_iter();
    unused.map(|(place, key)| format!("{place}: {key} has no effect: {}", reason(&key))).collect()
}

conf! {
    /// Keys of the server framework.
    pub struct FrameworkKeys {
        /// Refuse to start.
        pub disabled: bool = bool("disabled", false);
        /// Address to listen on; empty for all. `v4,v6` for two.
        pub bind_addr: String = text("bind_addr", "");
        /// Which addresses an empty `bind_addr` means: `auto`, `IPv4`, `IPv6` or `both`.
        pub address_family: String = text("address_family", "auto");
        /// Seconds until an outgoing connection must stand.
        pub connect_timeout: Duration = secs("connect_timeout", 10);
        /// Connections served at the same time.
        pub max_connections: usize = positive("max_connections", 256);
        /// Threads that serve connections.
        pub work_threads: usize = ranged("work_threads", 4, 1, 1024);
        /// Bytes of the largest message.
        pub buff_size: u64 = bytes_soft("buff_size", 262144, 8192, 2147483648);
        /// Bytes of the largest message, when larger than `buff_size`.
        pub max_buff_size: u64 = bytes_soft("max_buff_size", 0, 0, 2147483648);
        /// Least severe messages written to the log.
        pub log_level: String = text("log_level", "info");
    }
}

conf! {
    /// Keys of one log file, in its section or global.
    pub struct LogKeys {
        /// Rotate every day.
        pub rotate_everyday: bool = bool("log_file_rotate_everyday", true);
        /// When, in seconds since midnight.
        pub rotate_time_secs: u32 = time("log_file_rotate_time", 0);
        /// Rotate when larger; 0 for never.
        pub rotate_on_size: u64 = bytes_soft("log_file_rotate_on_size", 0, 0, 68719476736);
        /// Days that rotated files are kept; 0 for ever.
        pub keep_days: i64 = int("log_file_keep_days", 15);
        /// When old files are deleted, in seconds since midnight.
        pub delete_old_time_secs: u32 = time("log_file_delete_old_time", 5400);
        /// Seconds that log lines may stay in memory; this server writes them at once.
        pub sync_buff_interval: Duration = secs("sync_log_buff_interval", 1);
    }
}

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
        let allow = scope.all("allow_hosts");
        let (allow_hosts, mut warnings) = AllowHosts::parse(&allow, &mut resolve)?;
        warnings.extend(ini.warnings());
        let framework = Self {
            base_path: PathBuf::from(trim_slash(&base_path)),
            listen: listen_addrs(&scope, &keys, port)?,
            network_timeout: scope.secs("network_timeout", network_timeout_secs)?,
            allow_hosts,
            log: log_keys(ini)?,
            keys,
        };
        Ok((framework, warnings))
    }

    /// The defaults for a server inside this process.
    pub fn embedded(base_path: &Path, listen: SocketAddr) -> Result<Self, ConfigError> {
        let ini = Ini::parse(&format!("base_path={}\n", base_path.display()));
        let (mut framework, _) = Self::from_ini(&ini, 0, 30)?;
        framework.listen = vec![listen];
        framework.keys.max_connections = 4096;
        Ok(framework)
    }

    /// Bytes of the largest message, header included.
    pub fn message_len_max(&self) -> usize {
        usize::try_from(self.keys.buff_size.max(self.keys.max_buff_size)).unwrap_or(1 << 20)
    }
}

/// The error log's keys; old names count where the new ones are absent (spec 06 §3).
fn log_keys(ini: &Ini) -> Result<LogKeys, ConfigError> {
    let section = ini.section("error-log");
    let mut log = LogKeys::from_scope(&section)?;
    let is_old = ["log_file_rotate_everyday", "log_file_rotate_time", "log_file_rotate_on_size"]
        .iter()
        .all(|key| section.get(key).is_none());
    if is_old && section.get("rotate_error_log").is_some() {
        log.rotate_everyday = section.bool("rotate_error_log", false)?;
        log.rotate_time_secs = section.time("error_log_rotate_time", 0)?;
        log.rotate_on_size = section.bytes_soft("rotate_error_log_size", 0, 0, 68_719_476_736)?;
    }
    Ok(log)
}

/// Removes the slash at the end of a path.
pub fn trim_slash(path: &str) -> &str {
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
    let mut addrs = Vec::new();
    let split = ["inner", "outer"].map(|side| {
        let addr = scope.get(&format!("{side}_bind_addr"));
        let port = scope.port(&format!("{side}_port"), port);
        (addr, port)
    });
    let bind = |text: &str, port, addrs: &mut Vec<SocketAddr>| {
        for host in text.split(',').map(str::trim).filter(|host| !host.is_empty()) {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let ip = resolve(host).into_iter().next().ok_or_else(|| {
                scope.blame("bind_addr", ConfigError::invalid(format!("{host}: no address")))
            })?;
            addrs.push(SocketAddr::new(ip, port));
        }
        Ok(())
    };
    for (addr, port) in split {
        if let Some(addr) = addr {
            bind(addr, port?, &mut addrs)?;
        }
    }
    if addrs.is_empty() {
        bind(&keys.bind_addr, port, &mut addrs)?;
    }
    if addrs.is_empty() {
        let any_v4 = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
        let any_v6 = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port);
        addrs = match keys.address_family.to_ascii_lowercase().as_str() {
            "auto" | "ipv4" => vec![any_v4],
            // One socket takes both families.
            "ipv6" | "both" => vec![any_v6],
            _ => {
                let error = ConfigError::invalid("address_family is auto, IPv4, IPv6 or both");
                return Err(scope.blame("address_family", error));
            }
        };
    }
    Ok(addrs)
}

/// Loads a file; the name may be relative.
pub fn load(path: &Path) -> Result<Ini, ConfigError> {
    Ini::load(&path.to_string_lossy(), &mut Files)
}

/// The local address from which this host reaches `peer`, without sending anything.
pub fn local_ip_towards(peer: SocketAddr) -> Option<IpAddr> {
    let any: SocketAddr =
        if peer.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(peer).ok()?;
    Some(socket.local_addr().ok()?.ip())
}
