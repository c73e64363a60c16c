//! Server ↔ server: storages joining and reporting to trackers, trackers among themselves, and
//! storages replicating to each other (spec 03).

use super::tracker::Brief;
use super::{Group, IpField, Name, StorageId, Version};
use crate::wire::{DecodeError, FixedStr, Reader, Rest, Text, Wire};
use bytes::BytesMut;

message! {
    /// The reply to a join (spec 03 §A2). 17 bytes.
    pub struct Joined {
        /// Status of the storage as this tracker has it.
        pub status: u8,
        /// The storage's sync source; empty for none.
        pub source: StorageId,
    }

    /// Space of one store path (spec 03 §A11).
    pub struct DiskSpace {
        /// MiB.
        pub total_mb: i64,
        /// MiB.
        pub free_mb: i64,
    }

    /// Who fills a new storage, with files up to which time (spec 03 §0.7). 24 bytes.
    pub struct SyncSource {
        /// The source's storage id.
        pub id: StorageId,
        /// Unix seconds.
        pub until: i64,
    }

    /// A group and one of its storages, both of fixed width.
    pub struct GroupStorage {
        /// The group.
        pub group: Group,
        /// The storage.
        pub id: StorageId,
    }

    /// Up to which time a storage has the files of one source (spec 03 §A10). 20 bytes.
    pub struct SyncedUntil {
        /// The source.
        pub source: StorageId,
        /// Unix seconds; 0 for unknown.
        pub timestamp: i32,
    }

    /// A storage came back under another address (spec 03 §A15).
    pub struct IpChanged {
        /// The group.
        pub group: Group,
        /// Before.
        pub old_ip: IpField,
        /// Now.
        pub new_ip: IpField,
    }

    /// A storage's status, reported by itself or its source (spec 03 §A12).
    pub struct StatusReport {
        /// The group.
        pub group: Group,
        /// The storage.
        pub storage: Brief,
    }

    /// A tracker introduces itself to the leader (spec 03 §B1).
    pub struct JoinLeader {
        /// Unix seconds.
        pub up_time: i64,
        /// Version text.
        pub version: Version,
        /// Service port.
        pub port: i64,
    }

    /// A follower's connection counters.
    pub struct PingLeader {
        /// Connection records made.
        pub connection_alloc_count: i32,
        /// Connections open.
        pub connection_current_count: i32,
        /// Most connections ever open.
        pub connection_max_count: i32,
    }

    /// Asks for a piece of a tracker's state file.
    pub struct GetSysFile {
        /// Which file (spec 04 §B.8).
        pub index: u8,
        /// First byte wanted.
        pub offset: i64,
    }

    /// A piece of a tracker's state file.
    pub struct SysFilePiece {
        /// Size of the whole file.
        pub size: i64,
        /// The piece.
        pub data: Rest,
    }

    /// A deleted file (spec 03 §C4.3).
    pub struct SyncDelete {
        /// Time of the record.
        pub timestamp: i32,
        /// The group.
        pub group: Group,
        /// Logic name.
        pub name: Name,
    }

    /// Asks a peer for the operations on one store path (spec 03 §C9).
    pub struct FetchPathBinlog {
        /// The group.
        pub group: Group,
        /// Store path index.
        pub store_path: u8,
    }

    /// Asks the trunk server for a slot.
    pub struct TrunkAlloc {
        /// The group.
        pub group: Group,
        /// Bytes wanted.
        pub size: i32,
        /// Store path index.
        pub store_path: u8,
    }

    /// A slot in a trunk file (spec 03 §0.8). 15 bytes.
    pub struct TrunkSlot {
        /// Store path index.
        pub store_path: u8,
        /// First directory level.
        pub dir_high: u8,
        /// Second directory level.
        pub dir_low: u8,
        /// Trunk file.
        pub file_id: i32,
        /// Bytes into the file.
        pub offset: i32,
        /// Bytes of the slot, header included.
        pub size: i32,
    }

    /// Confirms or frees a slot.
    pub struct GroupSlot {
        /// The group.
        pub group: Group,
        /// The slot.
        pub slot: TrunkSlot,
    }
}

lengths_first! {
    /// A new or replaced file (spec 03 §C4.1); status 17 in the header says that no content
    /// follows.
    pub struct SyncFile {
        /// Logic name.
        pub name: Name,
        /// Bytes of the file.
        pub size: i64,
        /// Time of the record.
        pub timestamp: i32,
        /// The group.
        pub group: Group,
    }
    wire { len name, field size, field timestamp, field group, text name }

    /// A changed range of a file (spec 03 §C4.2).
    pub struct SyncRange {
        /// Logic name.
        pub name: Name,
        /// First byte.
        pub offset: i64,
        /// Bytes of content.
        pub content_len: i64,
        /// Time of the record.
        pub timestamp: i32,
        /// The group.
        pub group: Group,
    }
    wire { len name, field offset, field content_len, field timestamp, field group, text name }

    /// A changed size (spec 03 §C4.4).
    pub struct SyncTruncate {
        /// Logic name.
        pub name: Name,
        /// Size before.
        pub old_size: i64,
        /// Size after.
        pub new_size: i64,
        /// Time of the record.
        pub timestamp: i32,
        /// The group.
        pub group: Group,
    }
    wire { len name, field old_size, field new_size, field timestamp, field group, text name }

    /// A link or a renamed file: new name and what it stands for (spec 03 §C4.5, §C4.6).
    pub struct SyncNames {
        /// Logic name of the link, or the new name.
        pub name: Name,
        /// Logic name of the link's target, or the old name.
        pub source: Name,
        /// Time of the record.
        pub timestamp: i32,
        /// The group.
        pub group: Group,
    }
    wire { len name, len source, field timestamp, field group, text name, text source }
}

/// A value that is absent when the body is empty.
impl<T: Wire> Wire for Option<T> {
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError> {
        match reader.remaining() {
            0 => Ok(None),
            _ => T::read(reader, field).map(Some),
        }
    }
    fn write(&self, out: &mut BytesMut) {
        if let Some(value) = self {
            value.write(out);
        }
    }
}

/// The length that an answer to [`FetchPathBinlog`] announces. How long it will be is not known
/// when it begins: it ends with its true length in 8 bytes and the end of the connection (spec 03
/// §C9).
pub const PATH_BINLOG_LEN: u64 = 1 << 58;

/// Longest tracker line in a join.
pub const TRACKER_LINE_LEN_MAX: usize = 100;

/// A storage introduces itself to a tracker (spec 03 §A2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// The group; 17 bytes, unlike everywhere else.
    pub group: FixedStr<17>,
    /// Service port.
    pub port: i64,
    /// Store paths.
    pub store_path_count: i64,
    /// Sub-directories per level.
    pub subdir_count_per_path: i64,
    /// Lower is preferred.
    pub upload_priority: i64,
    /// Unix seconds of the storage's very first start.
    pub join_time: i64,
    /// Unix seconds of this start.
    pub up_time: i64,
    /// Version text.
    pub version: Version,
    /// 1 while the initial synchronisation is not settled.
    pub init_flag: u8,
    /// The storage's own status; −1 when it does not know yet.
    pub status: i8,
    /// Storage id; empty unless ids are in use.
    pub id: StorageId,
    /// The tracker's address as the storage dialled it.
    pub tracker_ip: IpField,
    /// All trackers the storage knows, `address:port`.
    pub trackers: Vec<Text<TRACKER_LINE_LEN_MAX>>,
}

impl Wire for Join {
    fn read(reader: &mut Reader<'_>, _: &'static str) -> Result<Self, DecodeError> {
        let mut join = Self {
            group: FixedStr::read(reader, "group")?,
            port: i64::read(reader, "port")?,
            store_path_count: i64::read(reader, "store_path_count")?,
            subdir_count_per_path: i64::read(reader, "subdir_count_per_path")?,
            upload_priority: i64::read(reader, "upload_priority")?,
            join_time: i64::read(reader, "join_time")?,
            up_time: i64::read(reader, "up_time")?,
            version: Version::read(reader, "version")?,
            init_flag: u8::read(reader, "init_flag")?,
            status: i8::read(reader, "status")?,
            id: StorageId::read(reader, "id")?,
            tracker_ip: IpField::read(reader, "tracker_ip")?,
            trackers: Vec::new(),
        };
        let count = i64::read(reader, "tracker_count")?;
        let wrong = |reason| DecodeError::Value { field: "trackers", reason };
        if !(1..=super::TRACKERS_MAX as i64).contains(&count) {
            return Err(wrong("count must be 1 to 16"));
        }
        let lines = reader.rest();
        let lines = lines.strip_suffix(b"\n").ok_or(wrong("the last line is not ended"))?;
        for line in lines.split(|byte| *byte == b'\n') {
            join.trackers.push(Text::new(line).ok_or(wrong("line too long"))?);
        }
        match i64::try_from(join.trackers.len()) == Ok(count) {
            true => Ok(join),
            false => Err(wrong("count and lines disagree")),
        }
    }

    fn write(&self, out: &mut BytesMut) {
        self.group.write(out);
        for number in [
            self.port,
            self.store_path_count,
            self.subdir_count_per_path,
            self.upload_priority,
            self.join_time,
            self.up_time,
        ] {
            number.write(out);
        }
        self.version.write(out);
        self.init_flag.write(out);
        self.status.write(out);
        self.id.write(out);
        self.tracker_ip.write(out);
        i64::try_from(self.trackers.len()).unwrap_or(i64::MAX).write(out);
        for tracker in &self.trackers {
            tracker.write(out);
            out.extend_from_slice(b"\n");
        }
    }
}

/// What changed in the cluster since the storage last heard of it (spec 03 §A3).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChangeList {
    /// A new leader among the trackers; an empty address says that there is none.
    pub leader: Option<Brief>,
    /// A new trunk server of the group; an empty address says that there is none.
    pub trunk: Option<Brief>,
    /// All storages of the group, when one of them changed.
    pub servers: Option<Vec<Brief>>,
}

const LEADER_CHANGED: u8 = 1;
const TRUNK_CHANGED: u8 = 2;
const SERVERS_CHANGED: u8 = 4;

impl Wire for ChangeList {
    fn read(reader: &mut Reader<'_>, _: &'static str) -> Result<Self, DecodeError> {
        let flags = u8::read(reader, "flags")?;
        let mut list = Self::default();
        if flags & LEADER_CHANGED != 0 {
            list.leader = Some(Brief::read(reader, "leader")?);
        }
        if flags & TRUNK_CHANGED != 0 {
            list.trunk = Some(Brief::read(reader, "trunk")?);
        }
        if flags & SERVERS_CHANGED != 0 {
            list.servers = Some(Vec::read(reader, "servers")?);
        }
        Ok(list)
    }
    fn write(&self, out: &mut BytesMut) {
        let flag = |set, flag| if set { flag } else { 0u8 };
        let flags = flag(self.leader.is_some(), LEADER_CHANGED)
            | flag(self.trunk.is_some(), TRUNK_CHANGED)
            | flag(self.servers.is_some(), SERVERS_CHANGED);
        flags.write(out);
        self.leader.write(out);
        self.trunk.write(out);
        self.servers.write(out);
    }
}
