//! `client.conf` (spec 06 §5).

use super::{ConfigError, Ini, TrackerAddr};
use std::time::Duration;

crate::conf! {
    /// The keys of `client.conf` that this client reads. `storage.conf` and `mod_fastdfs.conf`
    /// can stand in for it.
    pub struct ClientKeys {
        /// Seconds until a connection must stand.
        pub connect_timeout: Duration = secs("connect_timeout", 10);
        /// Seconds without a byte until a call fails.
        pub network_timeout: Duration = secs("network_timeout", 30);
        /// Whether connections are kept; this client always keeps them.
        pub use_connection_pool: bool = bool("use_connection_pool", false);
        /// Seconds until a kept connection is closed.
        pub connection_pool_max_idle_time: Duration = secs("connection_pool_max_idle_time", 3600);
        /// Try the address that worked last first (`last`), or the tracker's (`tracker`).
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
        Ok(Self { trackers, keys })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_client_conf_loads() {
        let ini = Ini::parse(include_str!("../../../tests/vectors/confs/v4-client.conf"));
        let config = ClientConfig::from_ini(&ini).unwrap();
        assert_eq!(config.trackers.len(), 3);
        assert_eq!(config.keys.connect_timeout, Duration::from_secs(30));
        assert_eq!(ClientConfig::from_ini(&Ini::parse("")).unwrap_err().errno(), 2);
        let bad = Ini::parse("tracker_server=10.0.0.1:x\n");
        assert!(ClientConfig::from_ini(&bad).unwrap_err().to_string().starts_with("line 1: "));
    }
}
