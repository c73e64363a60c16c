//! Every packet of the FastDFS protocol as a pure codec (specs 01 and 03).
//!
//! `commands!` is the table of all command numbers: who receives each, whether it may be sent
//! twice, and which structures its request and reply carry. The structures live in the modules by
//! conversation: [`tracker`], [`storage`], [`cluster`], and those of this project alone,
//! [`consensus`] and [`replication`]; [`frame`] cuts a byte stream into packets.

#[macro_use]
mod macros;
mod command;
mod status;

pub mod address;
pub mod cluster;
pub mod consensus;
pub mod frame;
pub mod meta;
pub mod replication;
pub mod stats;
pub mod storage;
pub mod tracker;

pub use command::{COMMANDS, Command, CommandInfo, Receiver, Recode, Resend};
pub use status::{Status, StorageStatus};

use crate::wire::{FixedStr, Text};

/// Bytes of a group name field (spec 01 §2).
pub const GROUP_LEN: usize = 16;
/// Bytes of a file extension field, without the dot.
pub const EXT_LEN: usize = 6;
/// Longest logic file name accepted in any request: 128 crashes the original (spec 01 Q6).
pub const NAME_LEN_MAX: usize = 127;
/// Storages in one group at most (spec 01 §2).
pub const GROUP_STORAGES_MAX: usize = 32;
/// Groups in one cluster at most.
pub const GROUPS_MAX: usize = 512;
/// Trackers in one cluster at most.
pub const TRACKERS_MAX: usize = 16;
/// Store paths of one storage at most.
pub const STORE_PATHS_MAX: usize = 256;
/// Sub-directories per level of a store path at most.
pub const SUBDIRS_MAX: usize = 256;
/// Port of a tracker unless configured.
pub const TRACKER_PORT_DEFAULT: u16 = 22122;
/// Port of a storage unless configured.
pub const STORAGE_PORT_DEFAULT: u16 = 23000;
/// The FastDFS version whose wire and disk formats this code speaks.
pub const COMPATIBLE_VERSION: &str = "6.16.1";

/// A group name: 1 to 16 of `A-Z a-z 0-9`, NUL-padded.
pub type Group = FixedStr<GROUP_LEN>;
/// A storage id: a decimal server id or the storage's address text, NUL-padded.
pub type StorageId = FixedStr<16>;
/// A logic file name, `M00/00/00/…`, not terminated.
pub type Name = Text<NAME_LEN_MAX>;
/// A file extension without the dot, NUL-padded.
pub type Ext = FixedStr<EXT_LEN>;
/// The prefix of a slave file, NUL-padded.
pub type Prefix = FixedStr<16>;
/// An address text field that is 46 bytes wide whatever the address mode (spec 01 §2).
pub type IpField = FixedStr<46>;
/// An `address:port` text field.
pub type HostPort = FixedStr<52>;
/// A version text field.
pub type Version = FixedStr<8>;

/// Whether `group` is a legal group name: 1 to 16 letters and digits (spec 01 §2).
pub fn is_group_name(group: &[u8]) -> bool {
    (1..=GROUP_LEN).contains(&group.len()) && group.iter().all(u8::is_ascii_alphanumeric)
}
