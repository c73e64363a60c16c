//! Client ↔ tracker (spec 01 §7).

use super::address::{AddrWidth, Ip, ServerAddr, read_ip, write_ip};
use super::stats::StorageStats;
use super::{Group, HostPort, Name, StorageId, Version};
use crate::wire::{DecodeError, FixedStr, Reader, Rest, Text, Wire};
use bytes::BytesMut;

mod older;

/// Where to upload to: one storage (spec 01 §7.1). 40 or 70 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreTarget {
    /// Address mode of the reply.
    pub width: AddrWidth,
    /// The chosen group.
    pub group: Group,
    /// The chosen storage.
    pub server: ServerAddr,
    /// The chosen store path, 0-based.
    pub store_path: u8,
}

impl Wire for StoreTarget {
    fn read(reader: &mut Reader<'_>, _: &'static str) -> Result<Self, DecodeError> {
        let width =
            AddrWidth::of(reader.remaining(), |width, len| len == 25 + width.query_field())?;
        Ok(Self {
            width,
            group: Group::read(reader, "group")?,
            server: ServerAddr::read(reader, width)?,
            store_path: u8::read(reader, "store_path")?,
        })
    }
    fn write(&self, out: &mut BytesMut) {
        self.group.write(out);
        self.server.write(self.width, out);
        self.store_path.write(out);
    }
}

/// Where to upload to: every writable storage of the chosen group (spec 01 §7.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreTargets {
    /// Address mode of the reply.
    pub width: AddrWidth,
    /// The chosen group.
    pub group: Group,
    /// Its writable storages, in id order.
    pub servers: Vec<ServerAddr>,
    /// The chosen store path, 0-based, for whichever storage is taken.
    pub store_path: u8,
}

impl Wire for StoreTargets {
    fn read(reader: &mut Reader<'_>, _: &'static str) -> Result<Self, DecodeError> {
        let width = AddrWidth::of(reader.remaining(), |width, len| {
            len.checked_sub(17).is_some_and(|len| whole_servers(width, len))
        })?;
        let group = Group::read(reader, "group")?;
        let mut servers = Vec::new();
        while reader.remaining() > 1 {
            servers.push(ServerAddr::read(reader, width)?);
        }
        Ok(Self { width, group, servers, store_path: u8::read(reader, "store_path")? })
    }
    fn write(&self, out: &mut BytesMut) {
        self.group.write(out);
        self.servers.iter().for_each(|server| server.write(self.width, out));
        self.store_path.write(out);
    }
}

/// Whether `len` bytes are server records of this width. More than 32 of them cannot be, which
/// tells 23 wide records from 53 narrow ones (spec 01 Q13).
fn whole_servers(width: AddrWidth, len: usize) -> bool {
    let record = width.query_field() + 8;
    len.is_multiple_of(record) && len / record <= super::GROUP_STORAGES_MAX
}

/// Which storages hold a file (spec 01 §7.2). 16 + n × 23 or 53 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchTargets {
    /// Address mode of the reply.
    pub width: AddrWidth,
    /// The file's group.
    pub group: Group,
    /// The storages: one for a single query.
    pub servers: Vec<ServerAddr>,
}

impl FetchTargets {
    /// Writes a reply without collecting it first: trackers answer with one storage most of the
    /// time, and should not allocate for it.
    pub fn write_parts(
        width: AddrWidth,
        group: Group,
        servers: impl Iterator<Item = ServerAddr>,
        out: &mut BytesMut,
    ) {
        group.write(out);
        servers.for_each(|server| server.write(width, out));
    }
}

impl Wire for FetchTargets {
    fn read(reader: &mut Reader<'_>, _: &'static str) -> Result<Self, DecodeError> {
        let width = AddrWidth::of(reader.remaining(), |width, len| {
            len.checked_sub(16).is_some_and(|len| len > 0 && whole_servers(width, len))
        })?;
        let group = Group::read(reader, "group")?;
        let mut servers = Vec::new();
        while reader.remaining() > 0 {
            servers.push(ServerAddr::read(reader, width)?);
        }
        Ok(Self { width, group, servers })
    }
    fn write(&self, out: &mut BytesMut) {
        Self::write_parts(self.width, self.group, self.servers.iter().copied(), out);
    }
}

message! {
    /// Asks for the storage of an existing file.
    pub struct FileQuery {
        /// The file's group.
        pub group: Group,
        /// The file's logic name.
        pub name: Name,
    }

    /// A group and optionally one of its storages.
    pub struct GroupMember {
        /// The group.
        pub group: Group,
        /// A storage id; empty for none.
        pub id: Text<16>,
    }

    /// A group and the `address:port` of one of its storages (spec 01 §7.10, §7.11).
    pub struct StorageAt {
        /// The group.
        pub group: Group,
        /// `address:port`.
        pub address: Text<52>,
    }

    /// A storage in one line: status, identity and first address (spec 03 §0.6). 67 bytes.
    pub struct Brief {
        /// Status number (spec 01 §6.1).
        pub status: u8,
        /// Service port.
        pub port: i32,
        /// Storage id.
        pub id: StorageId,
        /// Address text.
        pub ip: super::IpField,
    }

    /// Asks for a piece of the storage id table (spec 01 §7.12).
    pub struct FetchStorageIds {
        /// First line wanted.
        pub start: i32,
        /// 1: an empty answer instead of an error when ids are not in use.
        pub allow_empty: u8,
    }

    /// A piece of the storage id table.
    pub struct StorageIdLines {
        /// Lines in the whole table.
        pub total: i32,
        /// Lines in this answer.
        pub count: i32,
        /// The lines.
        pub lines: Rest,
    }

    /// Asks for the address the tracker sees (spec 01 §7.13).
    pub struct GetMyIp {
        /// The storage's group; 17 bytes, unlike everywhere else.
        pub group: FixedStr<17>,
        /// The storage's port.
        pub port: i32,
    }

    /// How long a tracker has been up (spec 01 §7.14).
    pub struct TrackerStatus {
        /// 1 when it is the leader.
        pub is_leader: u8,
        /// Seconds since it started, in steps of 300.
        pub running_secs: i64,
        /// Seconds it was down before, in steps of 300.
        pub restart_interval_secs: i64,
    }

    /// Filter of the tracker list (spec 01 §7.16).
    pub struct TrackerFilter {
        /// Bit 1: by `is_active`; bit 2: by `is_leader`.
        pub mask: u8,
        /// Wanted value.
        pub is_active: u8,
        /// Wanted value.
        pub is_leader: u8,
    }

    /// One tracker of the cluster. 90 bytes.
    pub struct TrackerStat {
        /// `address:port`.
        pub address: HostPort,
        /// 1 for the leader.
        pub is_leader: u8,
        /// 1 when heard of in the last 3 seconds.
        pub is_active: u8,
        /// Connection records made.
        pub connection_alloc_count: i32,
        /// Connections open.
        pub connection_current_count: i32,
        /// Most connections ever open.
        pub connection_max_count: i32,
        /// Version text.
        pub version: Version,
        /// Unix seconds.
        pub up_time: i64,
        /// Unix seconds.
        pub last_heart_beat_time: i64,
    }

    /// Filter of the storage list (spec 01 §7.17).
    pub struct StorageFilter {
        /// Bit 1: by trunk server; bit 2: by status.
        pub mask: u8,
        /// `=` or `!`.
        pub operator: u8,
        /// Status compared.
        pub status: u8,
        /// Wanted value.
        pub is_trunk: u8,
    }

    /// The storages of all groups in short.
    pub struct StorageClusterStat {
        /// Whether ids are in use.
        pub use_storage_id: u8,
        /// Whether trunk files are in use.
        pub use_trunk_file: u8,
        /// The storages.
        pub storages: Counted<StorageShort>,
    }

    /// One storage in short. 106 bytes.
    pub struct StorageShort {
        /// Storage id.
        pub id: StorageId,
        /// `address:port`.
        pub address: HostPort,
        /// 1 for the group's trunk server.
        pub is_trunk: u8,
        /// Status number.
        pub status: u8,
        /// Connection records made.
        pub connection_alloc_count: i32,
        /// Connections open.
        pub connection_current_count: i32,
        /// Most connections ever open.
        pub connection_max_count: i32,
        /// Version text.
        pub version: Version,
        /// Unix seconds; 0 when offline.
        pub up_time: i64,
        /// Unix seconds.
        pub last_heart_beat_time: i64,
    }

    /// Filter of the volume list (spec 01 §7.18).
    pub struct VolumeFilter {
        /// Bits 1: disk available, 2: trunk available, 4: any space available.
        pub mask: u8,
        /// Wanted value.
        pub disk_available: u8,
        /// Wanted value.
        pub trunk_available: u8,
        /// Wanted value.
        pub any_available: u8,
    }

    /// The space of all groups.
    pub struct VolumeStat {
        /// Whether trunk files are in use.
        pub use_trunk_file: u8,
        /// The groups.
        pub volumes: Counted<Volume>,
    }

    /// The space of one group. 59 bytes.
    pub struct Volume {
        /// Group name.
        pub group: FixedStr<17>,
        /// MiB.
        pub total_mb: i64,
        /// MiB.
        pub free_mb: i64,
        /// MiB.
        pub reserved_mb: i64,
        /// MiB.
        pub available_mb: i64,
        /// MiB.
        pub trunk_free_mb: i64,
        /// 1 when uploads fit.
        pub disk_available: u8,
        /// 1 when small uploads fit trunk files.
        pub trunk_available: u8,
    }

    /// A group in full (spec 01 §7.4). 113 bytes.
    pub struct GroupStat {
        /// Group name.
        pub group: FixedStr<17>,
        /// MiB of the fullest writable storage.
        pub total_mb: i64,
        /// MiB of the fullest writable storage.
        pub free_mb: i64,
        /// MiB kept free.
        pub reserved_mb: i64,
        /// MiB free in trunk files.
        pub trunk_free_mb: i64,
        /// Storages in any state.
        pub storage_count: i64,
        /// Port of the storages.
        pub storage_port: i64,
        /// Storages that serve reads.
        pub readable_count: i64,
        /// Storages that take uploads.
        pub writable_count: i64,
        /// Round-robin position.
        pub current_write_server: i64,
        /// Store paths of each storage.
        pub store_path_count: i64,
        /// Sub-directories per level.
        pub subdir_count_per_path: i64,
        /// Last trunk file; −1 when trunk files are not in use.
        pub current_trunk_file_id: i64,
    }
}

/// Records to the end of the body, which must be as many as announced.
fn read_counted<T: Wire>(
    reader: &mut Reader<'_>,
    field: &'static str,
    count: i64,
) -> Result<Vec<T>, DecodeError> {
    let items = Vec::read(reader, field)?;
    match usize::try_from(count) == Ok(items.len()) {
        true => Ok(items),
        false => Err(DecodeError::Value { field, reason: "count and length disagree" }),
    }
}

/// A 32-bit count and that many records. The count must match the bytes, so it allocates nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted<T>(pub Vec<T>);

impl<T: Wire> Wire for Counted<T> {
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError> {
        let count = i32::read(reader, "count")?;
        read_counted(reader, field, count.into()).map(Self)
    }
    fn write(&self, out: &mut BytesMut) {
        i32::try_from(self.0.len()).unwrap_or(i32::MAX).write(out);
        self.0.write(out);
    }
}

/// The trackers of the cluster: a one-byte count and the records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackerClusterStat(pub Vec<TrackerStat>);

impl Wire for TrackerClusterStat {
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError> {
        let count = u8::read(reader, "count")?;
        read_counted(reader, field, count.into()).map(Self)
    }
    fn write(&self, out: &mut BytesMut) {
        u8::try_from(self.0.len()).unwrap_or(u8::MAX).write(out);
        self.0.write(out);
    }
}

/// Asks for the group of a storage by port, and by address unless it is the peer's own
/// (spec 01 §7.13).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetGroupName {
    /// Address text; empty means the peer's address.
    pub ip: Rest,
    /// The storage's port.
    pub port: i32,
}

impl Wire for GetGroupName {
    fn read(reader: &mut Reader<'_>, _: &'static str) -> Result<Self, DecodeError> {
        let ip_len = reader.remaining().saturating_sub(4);
        let ip = Rest(reader.bytes(ip_len, "ip")?.to_vec());
        Ok(Self { ip, port: i32::read(reader, "port")? })
    }
    fn write(&self, out: &mut BytesMut) {
        self.ip.write(out);
        self.port.write(out);
    }
}

/// The trunk server's id, terminated by a NUL (spec 01 §7.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrunkServer(pub StorageId);

impl Wire for TrunkServer {
    fn read(reader: &mut Reader<'_>, _: &'static str) -> Result<Self, DecodeError> {
        let text = reader.rest();
        match text.split_last() {
            Some((0, id)) => StorageId::new(id).map(Self),
            _ => None,
        }
        .ok_or(DecodeError::Value { field: "id", reason: "not a terminated storage id" })
    }
    fn write(&self, out: &mut BytesMut) {
        out.extend_from_slice(self.0.as_bytes());
        0u8.write(out);
    }
}

/// All groups. Lists of servers up to 6.12 are read as well, and never written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupList(pub Vec<GroupStat>);

impl Wire for GroupList {
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError> {
        if older::is_group_list(&reader.clone()) {
            return older::read_groups(reader).map(Self);
        }
        Vec::read(reader, field).map(Self)
    }
    fn write(&self, out: &mut BytesMut) {
        self.0.write(out);
    }
}

/// The storages of a group in full (spec 01 §7.5). Lists of servers up to 6.12 are read as well,
/// and never written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageList {
    /// Address mode of the reply.
    pub width: AddrWidth,
    /// The storages, in id order, whatever their status.
    pub storages: Vec<StorageStat>,
}

/// One storage in full: 487 or 517 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's own")]
pub struct StorageStat {
    pub status: u8,
    pub rw_mode: u8,
    pub id: StorageId,
    pub ip: Ip,
    pub sync_source: StorageId,
    pub version: Version,
    pub join_time: i64,
    pub up_time: i64,
    pub total_mb: i64,
    pub free_mb: i64,
    pub reserved_mb: i64,
    pub upload_priority: i64,
    pub store_path_count: i64,
    pub subdir_count_per_path: i64,
    pub current_write_path: i64,
    pub port: i64,
    pub stats: StorageStats,
    pub is_trunk_server: u8,
}

/// Bytes of a storage record without its address.
const STORAGE_STAT_FIXED_LEN: usize = 471;

impl StorageStat {
    fn read(reader: &mut Reader<'_>, width: AddrWidth) -> Result<Self, DecodeError> {
        Ok(Self {
            status: u8::read(reader, "status")?,
            rw_mode: u8::read(reader, "rw_mode")?,
            id: StorageId::read(reader, "id")?,
            ip: read_ip(reader, width.field())?,
            sync_source: StorageId::read(reader, "sync_source")?,
            version: Version::read(reader, "version")?,
            join_time: i64::read(reader, "join_time")?,
            up_time: i64::read(reader, "up_time")?,
            total_mb: i64::read(reader, "total_mb")?,
            free_mb: i64::read(reader, "free_mb")?,
            reserved_mb: i64::read(reader, "reserved_mb")?,
            upload_priority: i64::read(reader, "upload_priority")?,
            store_path_count: i64::read(reader, "store_path_count")?,
            subdir_count_per_path: i64::read(reader, "subdir_count_per_path")?,
            current_write_path: i64::read(reader, "current_write_path")?,
            port: i64::read(reader, "port")?,
            stats: StorageStats::read(reader, "stats")?,
            is_trunk_server: u8::read(reader, "is_trunk_server")?,
        })
    }

    fn write(&self, width: AddrWidth, out: &mut BytesMut) {
        self.status.write(out);
        self.rw_mode.write(out);
        self.id.write(out);
        write_ip(&self.ip, width.field(), out);
        self.sync_source.write(out);
        self.version.write(out);
        for number in [
            self.join_time,
            self.up_time,
            self.total_mb,
            self.free_mb,
            self.reserved_mb,
            self.upload_priority,
            self.store_path_count,
            self.subdir_count_per_path,
            self.current_write_path,
            self.port,
        ] {
            number.write(out);
        }
        self.stats.write(out);
        self.is_trunk_server.write(out);
    }
}

impl Wire for StorageList {
    fn read(reader: &mut Reader<'_>, _: &'static str) -> Result<Self, DecodeError> {
        let len = reader.remaining();
        let fits = |record: usize| len.is_multiple_of(record);
        let few = |record: usize| fits(record) && len / record <= super::GROUP_STORAGES_MAX;
        let current = |width: AddrWidth| STORAGE_STAT_FIXED_LEN + width.field();
        // The lengths of up to 32 records tell all layouts apart.
        if !AddrWidth::ALL.into_iter().any(|width| few(current(width)))
            && let Some(layout) = older::Layout::ALL.into_iter().find(|layout| few(layout.len()))
        {
            return layout.read_all(reader);
        }
        let width = AddrWidth::of(len, |width, _| fits(current(width)))?;
        let mut storages = Vec::new();
        while reader.remaining() > 0 {
            storages.push(StorageStat::read(reader, width)?);
        }
        Ok(Self { width, storages })
    }
    fn write(&self, out: &mut BytesMut) {
        self.storages.iter().for_each(|storage| storage.write(self.width, out));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_mode_of_a_list_of_all_targets_is_told_by_its_length() {
        for (width, count) in [(AddrWidth::V4, 1), (AddrWidth::V4, 32), (AddrWidth::V6, 23)] {
            let server = ServerAddr { ip: "10.77.0.2".try_into().unwrap(), port: 23000 };
            let group = "group1".try_into().unwrap();
            let targets =
                StoreTargets { width, group, servers: vec![server; count], store_path: 1 };
            assert_eq!(StoreTargets::decode(&targets.encode()), Ok(targets));
        }
        assert!(FetchTargets::decode(&[0; 16]).is_err());
    }
}
