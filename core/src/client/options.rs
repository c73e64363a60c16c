//! What a client and its calls can be told.

use super::address::other_addresses_in_file;
use super::{AddressMap, Client};
use crate::config::{ClientConfig, Ini, Source, TrackerAddr};
use crate::error::{Error, ErrorKind, Result};
use crate::file_id::generate::is_ext;
use crate::net::Cancel;
use crate::protocol::EXT_LEN;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Unused connections are closed after this, before any server would.
const IDLE_MAX: Duration = Duration::from_secs(25);

/// Text metadata of a file.
pub type Metadata = BTreeMap<String, String>;

/// Everything a client can be told; the defaults are those of all SDKs.
///
/// ```
/// use fdfs_core::client::ClientOptions;
/// use std::time::Duration;
///
/// let mut options = ClientOptions::new(["10.0.0.1:22122", "10.0.0.2"])?;
/// options.timeout = Some(Duration::from_secs(60));
/// options.address_map.insert("10.0.0.5:23000", "files.example:32300")?;
/// let client = options.connect();
/// # Ok::<(), fdfs_core::Error>(())
/// ```
#[derive(Clone)]
pub struct ClientOptions {
    /// The trackers.
    pub trackers: Vec<TrackerAddr>,
    /// Group for uploads that name none; otherwise the tracker chooses.
    pub group: Option<String>,
    /// Time until a connection must stand.
    pub connect_timeout: Duration,
    /// Time without a byte until a call fails.
    pub io_timeout: Duration,
    /// Time a whole call may take; a call's own option counts more.
    pub timeout: Option<Duration>,
    /// Connections to one server at the same time.
    pub pool_size: usize,
    /// Time that a call waits for a connection.
    pub pool_wait: Duration,
    /// Time until a kept connection is closed.
    pub pool_idle: Duration,
    /// How often a call that changed nothing yet is tried again.
    pub retries: u32,
    /// Where advertised storage addresses really are.
    pub address_map: AddressMap,
    /// Other addresses of storages, by address: storages with two are tried at both.
    pub other_addresses: HashMap<String, String>,
    /// Ask a tracker for the other addresses of storages when one cannot be reached.
    pub addresses_from_tracker: bool,
    /// Of a storage with two addresses, begin with the one that worked last instead of the one
    /// that the tracker named.
    pub last_address_first: bool,
    /// The secret of download tokens.
    pub token_secret: Option<String>,
}

impl ClientOptions {
    /// The defaults for these trackers, each `host[:port]`.
    pub fn new<T: AsRef<str>>(trackers: impl IntoIterator<Item = T>) -> Result<Self> {
        let lines: Vec<T> = trackers.into_iter().collect();
        let trackers = TrackerAddr::list(lines.iter().map(|line| (line.as_ref(), "trackers")))?;
        if trackers.is_empty() {
            return Err(Error::new(ErrorKind::Config, "no tracker given"));
        }
        Ok(Self {
            trackers,
            group: None,
            connect_timeout: Duration::from_secs(5),
            io_timeout: Duration::from_secs(30),
            timeout: None,
            pool_size: 16,
            pool_wait: Duration::from_secs(5),
            pool_idle: IDLE_MAX,
            retries: 2,
            address_map: AddressMap::default(),
            other_addresses: HashMap::new(),
            addresses_from_tracker: false,
            last_address_first: false,
            token_secret: None,
        })
    }

    /// Reads a `client.conf`; `storage.conf` and `mod_fastdfs.conf` serve as well.
    pub fn from_conf(path: impl AsRef<Path>) -> Result<Self> {
        let ini = Ini::load(&path.as_ref().to_string_lossy(), &mut ConfFiles)?;
        let config = ClientConfig::from_ini(&ini)?;
        for (place, key) in ini.unused() {
            tracing::debug!(%place, %key, "key has no effect on clients");
        }
        let mut options = Self::new(["127.0.0.1"])?;
        options.last_address_first = config.connects_last_first();
        if config.keys.use_storage_id && !config.keys.load_fdfs_parameters_from_tracker {
            let ids = config.keys.storage_ids_filename.unwrap_or_default();
            let folder = path.as_ref().parent().unwrap_or(Path::new(""));
            options.other_addresses = other_addresses_in_file(&folder.join(ids))?;
        }
        options.addresses_from_tracker = config.keys.load_fdfs_parameters_from_tracker;
        options.trackers = config.trackers;
        options.connect_timeout = config.keys.connect_timeout;
        options.io_timeout = config.keys.network_timeout;
        options.pool_idle = config.keys.connection_pool_max_idle_time.min(IDLE_MAX);
        options.token_secret = config.keys.secret_key.filter(|_| config.keys.check_token);
        Ok(options)
    }

    /// Makes the client.
    pub fn connect(self) -> Client {
        Client::new(self)
    }
}

/// The secret of tokens stays secret.
impl fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientOptions")
            .field("trackers", &self.trackers)
            .field("group", &self.group)
            .field("connect_timeout", &self.connect_timeout)
            .field("io_timeout", &self.io_timeout)
            .field("timeout", &self.timeout)
            .field("pool_size", &self.pool_size)
            .field("retries", &self.retries)
            .field("token_secret", &self.token_secret.as_ref().map(|_| "***"))
            .finish_non_exhaustive()
    }
}

/// Configuration files on disk. A client needs no addresses of its own.
struct ConfFiles;

impl Source for ConfFiles {
    fn read(&mut self, name: &str) -> std::io::Result<String> {
        std::fs::read(name).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
    fn local_ips(&self) -> Vec<IpAddr> {
        Vec::new()
    }
    fn host_name(&self) -> String {
        std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
    }
}

/// Called with the bytes moved so far, from the thread that runs the call.
pub type Progress = Arc<dyn Fn(u64) + Send + Sync>;

/// What one call can be told; see [`Client::with`].
#[derive(Clone, Default)]
pub struct CallOptions {
    /// Time the whole call may take.
    pub timeout: Option<Duration>,
    /// Called as content moves.
    pub progress: Option<Progress>,
    /// Lets another thread end the call.
    pub cancel: Option<Cancel>,
}

impl CallOptions {
    /// With this bound on the time of the whole call.
    pub fn timeout(limit: Duration) -> Self {
        Self { timeout: Some(limit), ..Self::default() }
    }
}

impl fmt::Debug for CallOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallOptions").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// What an upload can be told.
#[derive(Debug, Clone, Default)]
pub struct UploadOptions {
    /// Extension of the name, up to 6 characters, without the dot.
    pub ext: Option<String>,
    /// Metadata to set.
    pub metadata: Metadata,
    /// Group to upload to.
    pub group: Option<String>,
    /// Store path to upload to.
    pub store_path_index: Option<u8>,
    /// Make a file that can grow.
    pub appender: bool,
}

impl UploadOptions {
    /// With this extension.
    pub fn ext(ext: impl Into<String>) -> Self {
        Self { ext: Some(ext.into()), ..Self::default() }
    }
}

/// The part of a file to read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Range {
    /// First byte; negative counts from the end.
    pub offset: i64,
    /// Bytes; all to the end when absent.
    pub length: Option<u64>,
}

impl Range {
    /// `length` bytes from `offset`.
    pub fn new(offset: i64, length: u64) -> Self {
        Self { offset, length: Some(length) }
    }

    /// All bytes from `offset` on.
    pub fn from(offset: i64) -> Self {
        Self { offset, length: None }
    }
}

/// The extension a path gives to its upload: the last part, or the last two when they fit six
/// characters, such as `tar.gz` (spec 01 §9.2).
pub(super) fn ext_of(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    // A dot that begins the name hides the file; it begins no extension.
    let dots: Vec<usize> = name.match_indices('.').map(|(at, _)| at).filter(|at| *at > 0).collect();
    let fits = |ext: &&str| ext.len() <= EXT_LEN && is_ext(ext.as_bytes());
    let ext_at = |dot: &usize| name.get(dot + 1..).filter(fits);
    let last = dots.last()?;
    let double = dots.len().checked_sub(2).and_then(|at| dots.get(at)).and_then(ext_at);
    let ext = double.or_else(|| ext_at(last)).filter(|ext| !ext.is_empty());
    if ext.is_none() {
        tracing::debug!(name, "the extension does not fit, the file is stored without one");
    }
    ext.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_conf_brings_all_it_says_and_the_secret_stays_secret() {
        let dir = tempfile::tempdir().unwrap();
        let conf = dir.path().join("client.conf");
        std::fs::write(dir.path().join("ids.conf"), "100001 group1 10.0.0.1,8.8.8.88\n").unwrap();
        let text = "tracker_server = 10.0.0.9:22122\ntracker_server = tracker.example\n\
                    connect_timeout = 7\nnetwork_timeout = 8\nuse_storage_id = true\n\
                    storage_ids_filename = ids.conf\nconnect_first_by = last-connected\n\
                    http.anti_steal.check_token = true\nhttp.anti_steal.secret_key = hush\n";
        std::fs::write(&conf, text).unwrap();
        let options = ClientOptions::from_conf(&conf).unwrap();
        assert_eq!(options.trackers.len(), 2);
        assert_eq!(options.connect_timeout, Duration::from_secs(7));
        assert_eq!(options.io_timeout, Duration::from_secs(8));
        assert_eq!(options.pool_idle, IDLE_MAX);
        assert!(options.last_address_first);
        assert_eq!(options.other_addresses["8.8.8.88"], "10.0.0.1");
        assert_eq!(options.other_addresses["10.0.0.1"], "8.8.8.88");
        assert_eq!(options.token_secret.as_deref(), Some("hush"));
        let client = options.connect();
        assert!(!format!("{client:?} {:?}", client.options()).contains("hush"));
        let id = "group1/M00/00/00/wKhHf1S-oryAZCpgAAAE2uRlJkA126.xml".parse().unwrap();
        let url = client.http_url(&id, "http://h", Some("a b"), Some(std::time::UNIX_EPOCH));
        let token = super::super::make_token(&id, 0, "hush");
        assert_eq!(url, format!("http://h/{id}?token={token}&ts=0&filename=a%20b"));
        assert_eq!(ClientOptions::from_conf("/no/file").unwrap_err().kind(), ErrorKind::Config);
    }

    #[test]
    fn extensions_are_taken_from_paths_as_the_original_takes_them() {
        for (path, ext) in [
            ("a/b.txt", Some("txt")),
            ("a.tar.gz", Some("tar.gz")),
            ("a.b.c", Some("b.c")),
            ("photo.2024.jpeg", Some("jpeg")),
            ("noext", None),
            (".bashrc", None),
            ("x.toolong7", None),
            ("x.", None),
            ("a b.j g", None),
        ] {
            assert_eq!(ext_of(Path::new(path)).as_deref(), ext, "{path}");
        }
    }
}
