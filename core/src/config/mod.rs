//! Configuration: the original's ini dialect, typed values, and the parts that clients and servers
//! share (spec 06). Files, addresses of this host and name resolution come in through arguments.

mod address;
mod allow_hosts;
mod client;
mod directives;
mod ini;
mod params;
mod scope;
mod storage_ids;

pub use address::{IpClass, TrackerAddr, choose_for_peer};
pub use allow_hosts::AllowHosts;
pub use client::{ClientConfig, ClientKeys};
pub use ini::{Ini, Source};
pub use params::{ClusterParams, IdType, Reserved};
pub use scope::{KeyDoc, Scope, parse_bool, parse_bytes};
pub use storage_ids::{RwMode, StorageIdEntry, StorageIds, parse_id};

/// Why a configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}{message}")]
pub struct ConfigError {
    /// `file:line: `, or empty.
    place: String,
    message: String,
    errno: u8,
}

impl ConfigError {
    /// An invalid value (errno 22).
    pub fn invalid(message: impl Into<String>) -> Self {
        Self { place: String::new(), message: message.into(), errno: 22 }
    }

    /// Something missing (errno 2).
    pub fn missing(message: impl Into<String>) -> Self {
        Self { errno: 2, ..Self::invalid(message) }
    }

    /// Any other errno.
    pub fn with_errno(mut self, errno: u8) -> Self {
        self.errno = errno;
        self
    }

    /// Where the wrong text stands; the innermost place wins.
    #[must_use]
    pub fn at(mut self, place: &str) -> Self {
        if self.place.is_empty() {
            self.place = format!("{place}: ");
        }
        self
    }

    /// Names the file of an error that so far knows its line alone, as texts without a name give.
    #[must_use]
    pub fn in_file(mut self, name: &str) -> Self {
        self.place = match self.place.strip_prefix("line ") {
            Some(line) => format!("{name}:{line}"),
            None => return self.at(name),
        };
        self
    }

    /// The errno the original exits with (spec 06).
    pub fn errno(&self) -> u8 {
        self.errno
    }
}

impl From<ConfigError> for crate::Error {
    fn from(error: ConfigError) -> Self {
        Self::new(crate::ErrorKind::Config, error.to_string())
    }
}
