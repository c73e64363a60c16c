//! What storages of this project say to each other beyond the original's words: how many requests
//! they take at a time, which start of their machine it is, and how far a storage has brought its
//! peers. That is a command of its own: the original answers it with status 22 and closes the
//! connection, as it does with every number it does not know.

use super::{IpField, StorageId, StorageStatus};
use crate::file_id::Source;
use crate::wire::{DecodeError, FixedStr, Reader, Wire};
use bytes::BytesMut;
use std::fmt;

/// A boot id as the kernel writes it.
pub type BootId = FixedStr<36>;

/// Bytes of an error's text that are told.
pub const ERROR_LEN: usize = 200;

/// In the status byte of `REPORT_SERVER_ID`: the sender asks how many requests may follow each
/// other without waiting for answers. The original pays it no attention.
pub const ASKS_AHEAD: u8 = 1;

/// In the status byte of `SYNC_CREATE_FILE`, `SYNC_UPDATE_FILE` and `SYNC_DELETE_FILE`: the change
/// was made at the receiver, whose machine was restarted since and which may have lost it. Only
/// storages that tell a boot id are sent this. The time of an update is then that of the file.
pub const GIVES_BACK: u8 = 1;

/// The same from a sender that may have lost changes, too: its time says nothing.
pub const GIVES_BACK_UNSURE: u8 = 2;

message! {
    /// The answer to that; without it, each request waits for the answer to the one before.
    pub struct Introduced {
        /// So many requests.
        pub ahead_max: u8,
        /// Another text each time the storage's machine starts; empty when it is not known. What
        /// was sent shortly before that may be gone from its disk.
        pub boot: BootId,
        /// 1 after a loss of power: files may be older here than their time says.
        pub is_unsure: u8,
        /// How the names of files say that they were uploaded to it. 4 bytes, as in names.
        pub source: Source,
    }

    /// What a storage has sent to its peers, and what it has received from them.
    pub struct ReplicationStatus {
        /// The storage's clock, in Unix seconds.
        pub now: i64,
        /// Files of peers that were refused because their content did not match the checksum in
        /// their name.
        pub damaged_arrivals: i64,
        /// The peers that are sent to.
        pub peers: Vec<PeerProgress>,
    }

    /// How far one peer has been brought. 353 bytes.
    pub struct PeerProgress {
        /// The peer's storage id.
        pub id: StorageId,
        /// Its address.
        pub ip: IpField,
        /// Its port.
        pub port: i32,
        /// Its status as this storage knows it.
        pub status: u8,
        /// What its sender is doing: a [`SenderState`].
        pub state: u8,
        /// Since when, in Unix seconds.
        pub state_since: i64,
        /// Records of the binlog that the peer is still to be sent; −1 for unknown.
        pub lag_records: i64,
        /// Bytes of the binlog between what it was sent and the end.
        pub lag_bytes: i64,
        /// Age of the oldest of those records in seconds; −1 for unknown.
        pub lag_secs: i64,
        /// 1 when not all records were counted, so that their number is an estimate.
        pub is_estimate: u8,
        /// The binlog file of the next record.
        pub binlog_index: i32,
        /// Bytes into it.
        pub binlog_offset: i64,
        /// Records looked at since the mark was made.
        pub scanned: i64,
        /// Records sent since the mark was made.
        pub sent: i64,
        /// Damaged records skipped since the storage was started.
        pub damaged: i64,
        /// Failures since the storage was started.
        pub failures: i64,
        /// When the last of them was, in Unix seconds; 0 for never.
        pub failed_at: i64,
        /// What it was.
        pub error: FixedStr<ERROR_LEN>,
    }
}

impl Wire for Source {
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError> {
        reader.array(field).map(Self::from_bytes)
    }

    fn write(&self, out: &mut BytesMut) {
        out.extend_from_slice(&self.to_bytes());
    }
}

/// What the sender to a peer is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SenderState(pub u8);

macro_rules! sender_states {
    ($($name:ident = $number:literal, $caption:literal, $reason:literal;)*) => {
        impl SenderState {
            $(#[doc = $reason] pub const $name: Self = Self($number);)*

            /// One word for it.
            pub fn caption(self) -> &'static str {
                match self { $(Self::$name => $caption,)* _ => "unknown" }
            }

            /// Why nothing is sent, or that something is.
            pub fn reason(self) -> &'static str {
                match self { $(Self::$name => $reason,)* _ => "a state of a newer version" }
            }
        }
    };
}

sender_states! {
    WAITING = 0, "waiting", "Waits until the trackers give the peer a status in which it is sent to.";
    CLOSED = 1, "closed", "Waits for the time of day in which changes are sent.";
    CONNECTING = 2, "connecting", "Tries to reach the peer.";
    PREPARING = 3, "preparing", "Finds out from where on the peer is to be sent the binlog.";
    SENDING = 4, "sending", "Sends.";
    IDLE = 5, "idle", "Has sent all.";
    FAILED = 6, "failed", "Pauses after a failure before it tries again.";
    LEAVING = 7, "leaving", "The peer is gone: waits for what the change log says of it.";
}

impl fmt::Display for SenderState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.caption())
    }
}

impl PeerProgress {
    /// What the sender is doing.
    pub fn state(&self) -> SenderState {
        SenderState(self.state)
    }

    /// The peer's status as the storage knows it.
    pub fn status(&self) -> StorageStatus {
        StorageStatus(self.status)
    }

    /// Why the peer is not sent to now; `None` while it is.
    pub fn reason(&self) -> Option<String> {
        let state = self.state();
        match state {
            SenderState::SENDING | SenderState::IDLE => None,
            SenderState::WAITING => Some(format!("the peer is {}", self.status())),
            SenderState::FAILED => Some(self.error.to_string()),
            SenderState::CONNECTING if !self.error.is_empty() => {
                Some(format!("{} {}", state.reason(), self.error))
            }
            _ => Some(state.reason().to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Wire;

    /// The frame of a storage with one peer, byte by byte.
    #[test]
    fn the_reply_is_what_the_vector_says() {
        let vector = include_str!("../../../tests/vectors/replication_status.tsv");
        let rows: Vec<Vec<&str>> =
            vector.lines().skip(1).map(|line| line.split('\t').collect()).collect();
        let [none, one] = rows.as_slice() else { panic!("two rows") };
        let hex = |row: &[&str]| -> Vec<u8> {
            let digits = row[1].as_bytes().chunks(2);
            let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
            digits.map(byte).collect()
        };
        let none_status = ReplicationStatus { now: 5, damaged_arrivals: 0, peers: Vec::new() };
        assert_eq!(none_status.encode(), hex(none));
        let status = ReplicationStatus::decode(&hex(one)).unwrap();
        assert_eq!(status.encode(), hex(one));
        let [peer] = status.peers.as_slice() else { panic!("one peer: {status:?}") };
        assert_eq!((status.now, status.damaged_arrivals), (1_795_210_926, 2));
        assert_eq!(
            (peer.id.to_string(), peer.ip.to_string()),
            ("100002".into(), "10.0.0.2".into())
        );
        assert_eq!((peer.status(), peer.state()), (StorageStatus::ACTIVE, SenderState::FAILED));
        assert_eq!((peer.lag_records, peer.lag_bytes, peer.lag_secs), (3, 177, 60));
        assert_eq!((peer.binlog_index, peer.binlog_offset, peer.sent), (1, 4096, 500));
        assert_eq!((peer.damaged, peer.failures, peer.failed_at), (1, 4, 1_795_210_920));
        assert_eq!(peer.reason().unwrap(), "no space (status 28)");
        assert_eq!(peer.encode().len(), 353);
    }
}
