//! The table of all commands (spec 01 §6).

use super::frame::StreamHead;
use super::stats::StorageStats;
use super::{Group, cluster as c, consensus as n, replication as r, storage as s, tracker as t};
use crate::wire::{DecodeError, Rest, Text, Wire};
use bytes::BytesMut;
use std::fmt;

/// A command number. Unknown numbers are data to answer with an error, not a decode failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Command(pub u8);

/// Which kind of server handles a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receiver {
    /// Trackers.
    Tracker,
    /// Storages.
    Storage,
    /// Both.
    Any,
}

/// Whether a request may be sent again when its outcome is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resend {
    /// It changes nothing, or twice is the same as once.
    Safe,
    /// Never once a byte of it left: twice would store or add twice.
    Once,
}

/// Decodes a body and encodes the result again: how tests and fuzzers reach every codec.
pub type Recode = fn(&[u8]) -> Result<BytesMut, DecodeError>;

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct CommandInfo {
    /// The number.
    pub command: Command,
    /// The name of the constant.
    pub name: &'static str,
    /// What it does.
    pub doc: &'static str,
    /// Who handles it.
    pub receiver: Receiver,
    /// Whether it may be sent twice.
    pub resend: Resend,
    /// Name of the request structure.
    pub request: &'static str,
    /// Name of the reply structure.
    pub reply: &'static str,
    /// Where content begins, for requests that stream content.
    pub stream: Option<StreamHead>,
    /// Whether the reply's body is file content.
    pub reply_is_content: bool,
    /// Codec of the request, without content.
    pub recode_request: Recode,
    /// Codec of a successful reply.
    pub recode_reply: Recode,
}

fn recode<T: Wire>(body: &[u8]) -> Result<BytesMut, DecodeError> {
    Ok(T::decode(body)?.encode())
}

macro_rules! stream_head {
    () => {
        None
    };
    ($fixed:literal) => {
        Some(StreamHead { fixed: $fixed, named: false })
    };
    ($fixed:literal + name) => {
        Some(StreamHead { fixed: $fixed, named: true })
    };
}

macro_rules! commands {
    ($(
        $(#[doc = $doc:literal])*
        $name:ident = $number:literal, $receiver:ident, $resend:ident:
        $request:ty $([content after $fixed:literal $(+ $named:ident)?])?
        => $reply:ty $([$content:ident])?;
    )*) => {
        impl Command {
            $($(#[doc = $doc])* pub const $name: Self = Self($number);)*

            /// Where the content of this command's requests begins, when they carry any.
            pub fn stream_head(self) -> Option<StreamHead> {
                match self {
                    $($(Self::$name => stream_head!($fixed $(+ $named)?),)?)*
                    _ => None,
                }
            }
        }

        /// Every command, by number.
        pub const COMMANDS: &[CommandInfo] = &[$(CommandInfo {
            command: Command::$name,
            name: stringify!($name),
            doc: concat!($($doc),*),
            receiver: Receiver::$receiver,
            resend: Resend::$resend,
            request: stringify!($request),
            reply: stringify!($reply),
            stream: stream_head!($($fixed $(+ $named)?)?),
            reply_is_content: [$(stringify!($content),)? ""][0].len() > 0,
            recode_request: recode::<$request>,
            recode_reply: recode::<$reply>,
        }),*];
    };
}

commands! {
    /// Names the sync source on this connection.
    REPORT_SERVER_ID = 9, Storage, Safe: super::StorageId => Option<r::Introduced>;
    /// Stores the content as a new file.
    UPLOAD_FILE = 11, Storage, Once: s::Upload [content after 15] => s::StoredAs;
    /// Deletes a file and its metadata.
    DELETE_FILE = 12, Storage, Once: s::FileRef => ();
    /// Sets or merges metadata.
    SET_METADATA = 13, Storage, Safe: s::SetMetadata => ();
    /// Sends the bytes of a file.
    DOWNLOAD_FILE = 14, Storage, Safe: s::Download => Rest [content];
    /// Sends the packed metadata of a file.
    GET_METADATA = 15, Storage, Safe: s::FileRef => Rest;
    /// Replicates a new file.
    SYNC_CREATE_FILE = 16, Storage, Safe: c::SyncFile [content after 36 + name] => ();
    /// Replicates a deletion.
    SYNC_DELETE_FILE = 17, Storage, Safe: c::SyncDelete => ();
    /// Replicates a whole-file update.
    SYNC_UPDATE_FILE = 18, Storage, Safe: c::SyncFile [content after 36 + name] => ();
    /// Replicates a link.
    SYNC_CREATE_LINK = 19, Storage, Safe: c::SyncNames => ();
    /// Makes a link to a stored file.
    CREATE_LINK = 20, Storage, Once: s::CreateLink => s::StoredAs;
    /// Stores the content as a slave of another file.
    UPLOAD_SLAVE_FILE = 21, Storage, Once: s::UploadSlave [content after 38 + name] => s::StoredAs;
    /// Tells size, time, checksum and source of a file; flags in the header's status.
    QUERY_FILE_INFO = 22, Storage, Safe: s::FileRef => s::FileInfo;
    /// Stores the content as a new appender file.
    UPLOAD_APPENDER_FILE = 23, Storage, Once: s::Upload [content after 15] => s::StoredAs;
    /// Adds the content to an appender file.
    APPEND_FILE = 24, Storage, Once: s::Append [content after 16 + name] => ();
    /// Replicates an append.
    SYNC_APPEND_FILE = 25, Storage, Safe: c::SyncRange [content after 44 + name] => ();
    /// Streams the operations on one store path.
    FETCH_ONE_PATH_BINLOG = 26, Storage, Safe: c::FetchPathBinlog => Rest [content];
    /// Reserves a trunk slot.
    TRUNK_ALLOC_SPACE = 27, Storage, Once: c::TrunkAlloc => c::TrunkSlot;
    /// Confirms a trunk slot; the result in the header's status.
    TRUNK_ALLOC_CONFIRM = 28, Storage, Once: c::GroupSlot => ();
    /// Frees a trunk slot.
    TRUNK_FREE_SPACE = 29, Storage, Once: c::GroupSlot => ();
    /// Replicates lines of the trunk binlog.
    TRUNK_SYNC_BINLOG = 30, Storage, Once: Rest => ();
    /// Tells the size of the trunk binlog.
    TRUNK_GET_BINLOG_SIZE = 31, Storage, Safe: () => i64;
    /// Removes the marks of the trunk binlog.
    TRUNK_DELETE_BINLOG_MARKS = 32, Storage, Safe: () => ();
    /// Empties the trunk binlog.
    TRUNK_TRUNCATE_BINLOG_FILE = 33, Storage, Safe: () => ();
    /// Overwrites part of an appender file.
    MODIFY_FILE = 34, Storage, Once: s::Modify [content after 24 + name] => ();
    /// Replicates a modification.
    SYNC_MODIFY_FILE = 35, Storage, Safe: c::SyncRange [content after 44 + name] => ();
    /// Sets the size of an appender file.
    TRUNCATE_FILE = 36, Storage, Once: s::Truncate => ();
    /// Replicates a changed size.
    SYNC_TRUNCATE_FILE = 37, Storage, Safe: c::SyncTruncate => ();
    /// Turns an appender file into a normal one under a new name.
    REGENERATE_APPENDER_FILENAME = 38, Storage, Once: super::Name => s::StoredAs;
    /// Replicates a renamed file.
    SYNC_RENAME_FILE = 40, Storage, Safe: c::SyncNames => ();
    /// A follower introduces itself to the leader.
    TRACKER_JOIN_LEADER = 58, Tracker, Safe: c::JoinLeader => ();
    /// A storage corrects its status at a follower.
    CHANGE_STATUS = 59, Tracker, Safe: u8 => ();
    /// Tells the address the tracker sees.
    GET_MY_IP = 60, Tracker, Safe: t::GetMyIp => Text<100>;
    /// Begins copying the state files.
    GET_SYS_FILES_START = 61, Tracker, Safe: () => ();
    /// Ends copying the state files.
    GET_SYS_FILES_END = 62, Tracker, Safe: () => ();
    /// Sends a piece of a state file.
    GET_ONE_SYS_FILE = 63, Tracker, Safe: c::GetSysFile => c::SysFilePiece;
    /// Tells how long a tracker has been up.
    TRACKER_STATUS = 64, Tracker, Safe: () => t::TrackerStatus;
    /// A follower's sign of life; the answer lists trunk servers when they changed.
    PING_LEADER = 65, Tracker, Safe: c::PingLeader => Vec<c::GroupStorage>;
    /// Announces the next leader.
    NOTIFY_NEXT_LEADER = 66, Tracker, Safe: Text<52> => ();
    /// Makes the announced leader the leader.
    COMMIT_NEXT_LEADER = 67, Tracker, Safe: Text<52> => ();
    /// Reports two leaders.
    NOTIFY_RESELECT_LEADER = 68, Tracker, Safe: () => ();
    /// Sends a piece of the storage id table.
    FETCH_STORAGE_IDS = 69, Tracker, Safe: t::FetchStorageIds => t::StorageIdLines;
    /// Tells the id of a storage by its address.
    GET_STORAGE_ID = 70, Tracker, Safe: t::StorageAt => Text<16>;
    /// Tells the status of a storage.
    GET_STORAGE_STATUS = 71, Tracker, Safe: t::StorageAt => t::Brief;
    /// Tells the group's last trunk file.
    FETCH_TRUNK_FID = 72, Tracker, Safe: () => i32;
    /// Reports the group's last trunk file.
    REPORT_TRUNK_FID = 73, Tracker, Safe: i32 => ();
    /// Reports the group's free trunk space in MiB.
    REPORT_TRUNK_FREE = 74, Tracker, Safe: i64 => ();
    /// Sends the parameters all servers share.
    PARAMETERS = 75, Tracker, Safe: () => Rest;
    /// Reports a storage's status.
    REPORT_STATUS = 76, Tracker, Safe: c::StatusReport => ();
    /// Sends what is new in the change log.
    CHANGELOG = 77, Tracker, Safe: Option<c::GroupStorage> => Rest;
    /// Reports a changed address.
    REPORT_IP_CHANGED = 78, Tracker, Safe: c::IpChanged => ();
    /// Asks again for this storage's sync source.
    SYNC_DEST_QUERY = 79, Tracker, Safe: () => Option<c::SyncSource>;
    /// A storage joins.
    STORAGE_JOIN = 81, Tracker, Safe: c::Join => c::Joined;
    /// Ends the connection; never answered.
    QUIT = 82, Any, Safe: () => ();
    /// A storage's sign of life, with statistics when they changed.
    STORAGE_BEAT = 83, Tracker, Safe: Option<StorageStats> => c::ChangeList;
    /// Reports the space of all store paths.
    REPORT_DISK_USAGE = 84, Tracker, Safe: Vec<c::DiskSpace> => c::ChangeList;
    /// Reports peers whose status differs.
    REPLICA_CHANGE = 85, Tracker, Safe: Vec<t::Brief> => ();
    /// Asks who must send old files to a storage.
    SYNC_SRC_REQ = 86, Tracker, Safe: c::GroupStorage => Option<c::SyncSource>;
    /// A new storage asks who will fill it.
    SYNC_DEST_REQ = 87, Tracker, Safe: () => Option<c::SyncSource>;
    /// A storage tells who fills it.
    SYNC_NOTIFY = 88, Tracker, Safe: c::SyncSource => ();
    /// Reports up to when the files of each source have arrived.
    SYNC_REPORT = 89, Tracker, Safe: Vec<c::SyncedUntil> => c::ChangeList;
    /// Lists one group.
    LIST_ONE_GROUP = 90, Tracker, Safe: Group => t::GroupStat;
    /// Lists all groups.
    LIST_ALL_GROUPS = 91, Tracker, Safe: () => t::GroupList;
    /// Lists the storages of a group, or one of them.
    LIST_STORAGES = 92, Tracker, Safe: t::GroupMember => t::StorageList;
    /// Removes a storage from its group.
    DELETE_STORAGE = 93, Tracker, Safe: t::GroupMember => ();
    /// Chooses the trunk server of a group.
    SET_TRUNK_SERVER = 94, Tracker, Safe: t::GroupMember => t::TrunkServer;
    /// Tells the leader's `address:port`.
    GET_LEADER = 95, Tracker, Safe: () => Text<52>;
    /// Lists the trackers.
    TRACKER_CLUSTER_STAT = 96, Tracker, Safe: t::TrackerFilter => t::TrackerClusterStat;
    /// Lists all storages in short.
    STORAGE_CLUSTER_STAT = 97, Tracker, Safe: t::StorageFilter => t::StorageClusterStat;
    /// Lists the space of all groups.
    VOLUME_STAT = 98, Tracker, Safe: t::VolumeFilter => t::VolumeStat;
    /// Every reply.
    RESPONSE = 100, Any, Safe: Rest => Rest;
    /// Chooses a storage to upload to, in any group.
    QUERY_STORE = 101, Tracker, Safe: () => t::StoreTarget;
    /// Chooses a storage to read a file from.
    QUERY_FETCH = 102, Tracker, Safe: t::FileQuery => t::FetchTargets;
    /// Chooses a storage to change a file at.
    QUERY_UPDATE = 103, Tracker, Safe: t::FileQuery => t::FetchTargets;
    /// Chooses a storage to upload to, in one group.
    QUERY_STORE_GROUP = 104, Tracker, Safe: Group => t::StoreTarget;
    /// Lists the storages that hold a file.
    QUERY_FETCH_ALL = 105, Tracker, Safe: t::FileQuery => t::FetchTargets;
    /// Lists the storages to upload to, in any group.
    QUERY_STORE_ALL = 106, Tracker, Safe: () => t::StoreTargets;
    /// Lists the storages to upload to, in one group.
    QUERY_STORE_GROUP_ALL = 107, Tracker, Safe: Group => t::StoreTargets;
    /// Removes an empty group.
    DELETE_GROUP = 108, Tracker, Safe: Group => ();
    /// Tells a storage its group.
    GET_GROUP_NAME = 109, Tracker, Safe: t::GetGroupName => Group;
    /// Asks whether the server lives.
    ACTIVE_TEST = 111, Any, Safe: () => ();
    /// Tells how far each peer has been brought; of this project, the original refuses it.
    REPLICATION_STATUS = 210, Storage, Safe: () => r::ReplicationStatus;
    /// Asks another tracker whether it takes part in the consensus (own; decision 0002).
    CONSENSUS_HELLO = 211, Tracker, Safe: () => n::Hello;
    /// Carries one message of the consensus among trackers (own; decision 0002).
    CONSENSUS_MESSAGE = 212, Tracker, Safe: n::Message => ();
}

impl Command {
    /// The command's row, when the number is known.
    pub fn info(self) -> Option<&'static CommandInfo> {
        let index = COMMANDS.binary_search_by_key(&self, |info| info.command).ok()?;
        COMMANDS.get(index)
    }

    /// Whether storages send it to each other to replicate a change (spec 03 §C4).
    pub fn is_replication(self) -> bool {
        matches!(
            self,
            Self::REPORT_SERVER_ID
                | Self::SYNC_CREATE_FILE
                | Self::SYNC_UPDATE_FILE
                | Self::SYNC_DELETE_FILE
                | Self::SYNC_CREATE_LINK
                | Self::SYNC_APPEND_FILE
                | Self::SYNC_MODIFY_FILE
                | Self::SYNC_TRUNCATE_FILE
                | Self::SYNC_RENAME_FILE
        )
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.info() {
            Some(info) => write!(f, "{} {}", info.name, self.0),
            None => write!(f, "command {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_rows_are_found() {
        assert!(COMMANDS.windows(2).all(|pair| pair[0].command < pair[1].command));
        for info in COMMANDS {
            assert_eq!(info.command.info().unwrap().name, info.name);
            assert_eq!(info.command.stream_head(), info.stream);
        }
        assert!(Command(57).info().is_none());
        assert_eq!(Command(57).to_string(), "command 57");
        assert!(Command::DOWNLOAD_FILE.info().unwrap().reply_is_content);
    }
}
