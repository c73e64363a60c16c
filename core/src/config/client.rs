//! `client.conf` (spec 06 §5). The defaults of a client without a file are with its options.

use super::{ConfigError, Ini, TrackerAddr};
use std::time::Duration;

crate::conf! {
    /// The keys of `client.conf` that this client reads. `storage.conf` and `mod_fastdfs.conf`
    /// can stand in for it.
    pub struct ClientKeys {
        /// Directory of the original's tools; this client writes nothing there and does not need
        /// it to exist.
        pub base_path: String = text("base_path", "/tmp");
        /// Time until a connection must stand.
        pub connect_timeout: Duration = secs("connect_timeout", 10);
        /// Time without a byte until a call fails.
        pub network_timeout: Duration = secs("network_timeout", 30);
        /// Least severe messages of the tools.
        pub log_level: String = text("log_level", "info");
        /// Whether connections are kept; this client always keeps them.
        pub use_connection_pool: bool = bool("use_connection_pool", false);
        /// Time until a kept connection is closed; this client does so before servers would.
        pub connection_pool_max_idle_time: Duration = secs("connection_pool_max_idle_time", 3600);
        /// Ask a tracker whether storages have ids.
        pub load_fdfs_parameters_from_tracker: bool =
            bool("load_fdfs_parameters_from_tracker", false);
        /// Whether storages have ids, when no tracker is asked.
        pub use_storage_id: bool = bool("use_storage_id", false);
        /// File of the storage ids, relative to this file.
        pub storage_ids_filename: Option<String> = optional("storage_ids_filename");
        /// Of a storage with two addresses: `last` tries the one that worked last first, `tracker`
        /// the one that the tracker named.
        pub connect_first_by: String = text("connect_first_by", "tracker");
        /// Whether downloads over HTTP need a token.
        pub check_token: bool = bool("http.anti_steal.check_token", false);
        /// The secret of tokens.
        pub secret_key: Option<String> = optional("http.anti_steal.secret_key");
    }
}

/// What a client needs to know.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// The trackers.
    pub trackers: Vec<TrackerAddr>,
    /// The other keys.
    pub keys: ClientKeys,
}

impl ClientConfig {
    /// Reads a loaded file.
    pub fn from_ini(ini: &Ini) -> Result<Self, ConfigError> {
        let scope = ini.global();
        let trackers = TrackerAddr::list(scope.all("tracker_server"))?;
        if trackers.is_empty() {
            return Err(ConfigError::missing("tracker_server is missing: name at least one"));
        }
        let keys = ClientKeys::from_scope(&scope)?;
        if keys.check_token && keys.secret_key.is_none() {
            let error = ConfigError::invalid("http.anti_steal.secret_key is needed for tokens");
            return Err(scope.blame("http.anti_steal.check_token", error));
        }
        if keys.use_connection_pool {
            scope.at_least_one("connection_pool_max_idle_time")?;
        }
        let ids_from_file = keys.use_storage_id && !keys.load_fdfs_parameters_from_tracker;
        if ids_from_file && keys.storage_ids_filename.is_none() {
            let error = ConfigError::missing("use_storage_id=true needs storage_ids_filename");
            return Err(scope.blame("use_storage_id", error));
        }
        Ok(Self { trackers, keys })
    }

    /// Whether the address of a storage that worked last is tried before the tracker's choice.
    pub fn connects_last_first(&self) -> bool {
        let by = self.keys.connect_first_by.as_bytes();
        by.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"last"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<ClientConfig, ConfigError> {
        ClientConfig::from_ini(&Ini::parse(&format!("tracker_server=10.0.0.1\n{text}")))
    }

    #[test]
    fn the_users_client_conf_loads() {
        let ini = Ini::parse(include_str!("../../../tests/vectors/confs/v4-client.conf"));
        let config = ClientConfig::from_ini(&ini).unwrap();
        let trackers: Vec<String> = config.trackers.iter().map(TrackerAddr::to_string).collect();
        assert_eq!(
            trackers,
            ["192.168.88.134:22122", "192.168.88.149:22122", "192.168.88.150:22122"]
        );
        assert_eq!(config.keys.connect_timeout, Duration::from_secs(30));
        assert_eq!(config.keys.network_timeout, Duration::from_secs(60));
        assert_eq!(config.keys.base_path, "/data/dfs/tracker");
        let unused = ini.unused().into_iter().map(|(_, key)| key);
        assert_eq!(unused.collect::<Vec<_>>(), ["http.tracker_server_port"]);
    }

    #[test]
    fn storage_and_module_files_can_stand_in() {
        for text in [
            include_str!("../../../tests/vectors/confs/v4-storage.conf"),
            include_str!("../../../tests/vectors/confs/v406-storage.conf"),
            include_str!("../../../tests/vectors/confs/v4-mod_fastdfs.conf"),
        ] {
            assert!(!ClientConfig::from_ini(&Ini::parse(text)).unwrap().trackers.is_empty());
        }
    }

    #[test]
    fn defaults_and_errors_are_those_of_the_original() {
        let config = load("").unwrap();
        assert_eq!(config.keys.connect_timeout, Duration::from_secs(10));
        assert_eq!(config.keys.network_timeout, Duration::from_secs(30));
        assert!(!config.connects_last_first());
        assert!(load("connect_first_by=LAST-connected").unwrap().connects_last_first());
        assert!(load("connection_pool_max_idle_time=0").is_ok(), "only read with the pool");
        for (text, errno) in [
            ("http.anti_steal.check_token=1", 22),
            ("use_connection_pool=1\nconnection_pool_max_idle_time=0", 22),
            ("use_storage_id=1", 2),
        ] {
            assert_eq!(load(text).unwrap_err().errno(), errno, "{text}");
        }
        assert!(load("use_storage_id=1\nload_fdfs_parameters_from_tracker=1").is_ok());
        assert_eq!(ClientConfig::from_ini(&Ini::parse("")).unwrap_err().errno(), 2);
        let bad = load("tracker_server=10.0.0.1:x\n").unwrap_err();
        assert!(bad.to_string().starts_with("line 2: "), "{bad}");
    }
}
