//! The parameters that trackers hand to storages and clients (spec 06 §3.1, 03 §A4).

use super::{Ini, parse_bytes};
use crate::protocol::address::AddrWidth;
use std::fmt::Write as _;

/// Space that must stay free.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reserved {
    /// MiB over all store paths of a storage.
    Mb(i64),
    /// A share of the total, 0 to 1.
    Ratio(f64),
}

impl Reserved {
    /// Parses `NN%` or a size.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(percent) = text.strip_suffix('%') {
            let percent: f64 = percent.trim().parse().ok()?;
            return (percent > 0.0 && percent < 100.0).then_some(Self::Ratio(percent / 100.0));
        }
        i64::try_from(parse_bytes(text)? >> 20).ok().map(Self::Mb)
    }

    /// Whether `free` of `total` MiB leave room for an upload, for a storage or, with its share of
    /// the reserve, for one of `paths` store paths (spec 03 §T5).
    pub fn allows(self, total_mb: i64, free_mb: i64, paths: i64) -> bool {
        match self {
            Self::Mb(reserved) => free_mb > reserved / paths.max(1),
            Self::Ratio(ratio) => total_mb != 0 && free_mb as f64 / total_mb as f64 > ratio,
        }
    }

    /// MiB reserved of a storage with this total.
    pub fn mb_of(self, total_mb: i64) -> i64 {
        match self {
            Self::Mb(reserved) => reserved,
            #[allow(clippy::cast_possible_truncation, reason = "a share of an i64 is an i64")]
            Self::Ratio(ratio) => (total_mb as f64 * ratio) as i64,
        }
    }
}

/// How the source of a file stands in its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdType {
    /// The IPv4 address.
    Ip,
    /// The server id.
    Id,
}

/// What all servers of a cluster must agree on.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the names are those of tracker.conf, spec 06 §3")]
pub struct ClusterParams {
    pub use_storage_id: bool,
    pub id_type_in_filename: IdType,
    pub trust_storage_server_id: bool,
    pub response_ip_addr_size: AddrWidth,
    pub storage_ip_changed_auto_adjust: bool,
    pub storage_sync_file_max_delay_secs: i64,
    pub store_path: i64,
    pub reserved_storage_space: Reserved,
    pub use_trunk_file: bool,
    pub slot_min_size: u64,
    pub slot_max_size: u64,
    pub trunk_alloc_alignment_size: i64,
    pub trunk_file_size: u64,
    pub trunk_create_file_advance: bool,
    pub trunk_create_file_time_base_secs: u32,
    pub trunk_create_file_interval_secs: i64,
    pub trunk_create_file_space_threshold: u64,
    pub trunk_init_check_occupying: bool,
    pub trunk_init_reload_from_binlog: bool,
    pub trunk_free_space_merge: bool,
    pub delete_unused_trunk_files: bool,
    pub trunk_compress_binlog_min_interval_secs: i64,
    pub trunk_compress_binlog_interval_secs: i64,
    pub trunk_compress_binlog_time_base_secs: u32,
    pub trunk_binlog_max_backups: i64,
    pub store_slave_file_use_link: bool,
}

impl ClusterParams {
    /// The text of the reply to `PARAMETERS`.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let mut line = |key: &str, value: String| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{key}={value}");
        };
        let bool = |value: bool| u8::from(value).to_string();
        let time = |secs: u32| format!("{:02}:{:02}", secs / 3600, secs / 60 % 60);
        let id = if self.id_type_in_filename == IdType::Id { "id" } else { "ip" };
        line("use_storage_id", bool(self.use_storage_id));
        line("id_type_in_filename", id.to_owned());
        line("trust_storage_server_id", bool(self.trust_storage_server_id));
        line("response_ip_addr_size", self.response_ip_addr_size.field().to_string());
        line("storage_ip_changed_auto_adjust", bool(self.storage_ip_changed_auto_adjust));
        line("storage_sync_file_max_delay", self.storage_sync_file_max_delay_secs.to_string());
        line("store_path", self.store_path.to_string());
        line("reserved_storage_space", self.reserved_storage_space.to_string());
        line("use_trunk_file", bool(self.use_trunk_file));
        line("slot_min_size", self.slot_min_size.to_string());
        line("slot_max_size", self.slot_max_size.to_string());
        line("trunk_alloc_alignment_size", self.trunk_alloc_alignment_size.to_string());
        line("trunk_file_size", self.trunk_file_size.to_string());
        line("trunk_create_file_advance", bool(self.trunk_create_file_advance));
        line("trunk_create_file_time_base", time(self.trunk_create_file_time_base_secs));
        line("trunk_create_file_interval", self.trunk_create_file_interval_secs.to_string());
        line(
            "trunk_create_file_space_threshold",
            self.trunk_create_file_space_threshold.to_string(),
        );
        line("trunk_init_check_occupying", bool(self.trunk_init_check_occupying));
        line("trunk_init_reload_from_binlog", bool(self.trunk_init_reload_from_binlog));
        line("trunk_free_space_merge", bool(self.trunk_free_space_merge));
        line("delete_unused_trunk_files", bool(self.delete_unused_trunk_files));
        line(
            "trunk_compress_binlog_min_interval",
            self.trunk_compress_binlog_min_interval_secs.to_string(),
        );
        line(
            "trunk_compress_binlog_interval",
            self.trunk_compress_binlog_interval_secs.to_string(),
        );
        line("trunk_compress_binlog_time_base", time(self.trunk_compress_binlog_time_base_secs));
        line("trunk_binlog_max_backups", self.trunk_binlog_max_backups.to_string());
        line("store_slave_file_use_link", bool(self.store_slave_file_use_link));
        text
    }

    /// Reads the text; keys that an older tracker does not send get the storage's own defaults
    /// (spec 03 §A4).
    pub fn parse(text: &str) -> Result<Self, super::ConfigError> {
        let ini = Ini::parse(text);
        let scope = ini.global();
        let trunk_file_size = scope.bytes("trunk_file_size", 64 << 20)?;
        let use_storage_id = scope.bool("use_storage_id", false)?;
        let by_id = scope.get("id_type_in_filename").is_some_and(|t| t.eq_ignore_ascii_case("id"));
        let reserved = scope.get("reserved_storage_space").unwrap_or("1GB");
        let alignment = scope.int("trunk_alloc_alignment_size", 0)?;
        Ok(Self {
            use_storage_id,
            id_type_in_filename: if by_id && use_storage_id { IdType::Id } else { IdType::Ip },
            trust_storage_server_id: scope.bool("trust_storage_server_id", false)?,
            response_ip_addr_size: match scope.int("response_ip_addr_size", 46)? {
                16 => AddrWidth::V4,
                _ => AddrWidth::V6,
            },
            storage_ip_changed_auto_adjust: scope.bool("storage_ip_changed_auto_adjust", false)?,
            storage_sync_file_max_delay_secs: scope.int("storage_sync_file_max_delay", 86400)?,
            store_path: scope.int("store_path", 0)?,
            reserved_storage_space: Reserved::parse(reserved).ok_or_else(|| {
                super::ConfigError::invalid(format!("reserved_storage_space = {reserved}"))
            })?,
            use_trunk_file: scope.bool("use_trunk_file", false)?,
            slot_min_size: scope.bytes("slot_min_size", 256)?.max(alignment.unsigned_abs()),
            slot_max_size: scope.bytes("slot_max_size", trunk_file_size / 4)?,
            trunk_alloc_alignment_size: alignment,
            trunk_file_size,
            trunk_create_file_advance: scope.bool("trunk_create_file_advance", false)?,
            trunk_create_file_time_base_secs: scope.time("trunk_create_file_time_base", 7200)?,
            trunk_create_file_interval_secs: scope.int("trunk_create_file_interval", 86400)?,
            trunk_create_file_space_threshold: scope
                .bytes("trunk_create_file_space_threshold", 0)?,
            trunk_init_check_occupying: scope.bool("trunk_init_check_occupying", false)?,
            trunk_init_reload_from_binlog: scope.bool("trunk_init_reload_from_binlog", false)?,
            trunk_free_space_merge: scope.bool("trunk_free_space_merge", false)?,
            delete_unused_trunk_files: scope.bool("delete_unused_trunk_files", false)?,
            trunk_compress_binlog_min_interval_secs: scope
                .int("trunk_compress_binlog_min_interval", 0)?,
            trunk_compress_binlog_interval_secs: scope.int("trunk_compress_binlog_interval", 0)?,
            trunk_compress_binlog_time_base_secs: scope
                .time("trunk_compress_binlog_time_base", 10800)?,
            trunk_binlog_max_backups: scope.int("trunk_binlog_max_backups", 0)?,
            store_slave_file_use_link: scope.bool("store_slave_file_use_link", false)?,
        })
    }
}

impl std::fmt::Display for Reserved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Mb(mb) => write!(f, "{mb}MB"),
            Self::Ratio(ratio) => write!(f, "{:.2}%", ratio * 100.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reply to `PARAMETERS` of the recorded cluster.
    fn golden() -> String {
        let frames = include_str!("../../../tests/vectors/golden/frames-tracker.tsv");
        let line = frames.lines().find(|line| line.contains("\t100\t0\t719\t")).unwrap();
        let hex = line.rsplit('\t').next().unwrap();
        let bytes = (0..hex.len() / 2)
            .map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap())
            .collect();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_recorded_parameters_are_read_and_written_alike() {
        let params = ClusterParams::parse(&golden()).unwrap();
        assert_eq!(params.reserved_storage_space, Reserved::Ratio(0.01));
        assert_eq!(params.response_ip_addr_size, AddrWidth::V4);
        assert_eq!(params.to_text(), golden());
    }

    #[test]
    fn an_old_tracker_leaves_the_storage_its_defaults() {
        let params = ClusterParams::parse("trunk_file_size=16MB\n").unwrap();
        assert_eq!(params.slot_max_size, 4 << 20);
        assert_eq!(params.response_ip_addr_size, AddrWidth::V6);
        assert!(!params.trust_storage_server_id);
    }

    #[test]
    fn reserved_space_is_absolute_or_a_share() {
        assert_eq!(Reserved::parse("10%"), Some(Reserved::Ratio(0.1)));
        assert_eq!(Reserved::parse("1G"), Some(Reserved::Mb(1024)));
        for bad in ["", "0%", "100%", "x%", "1.5G"] {
            assert_eq!(Reserved::parse(bad), None, "{bad}");
        }
        assert!(Reserved::Mb(1000).allows(0, 501, 2) && !Reserved::Mb(1000).allows(0, 500, 2));
        assert!(
            Reserved::Ratio(0.1).allows(100, 11, 2) && !Reserved::Ratio(0.1).allows(100, 10, 2)
        );
        assert!(!Reserved::Ratio(0.1).allows(0, 0, 1), "unknown total");
    }
}
