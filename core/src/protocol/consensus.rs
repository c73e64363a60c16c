//! Trackers of ours agreeing on a leader (`docs/decisions/0002`): packets the original does not
//! know. It answers them with status 22, which tells that the old rule of election must be
//! followed (spec 03 §B4).

use crate::wire::{DecodeError, Reader, Wire};
use bytes::BytesMut;

/// Bytes with their 32-bit length in front.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Blob(pub Vec<u8>);

impl Wire for Blob {
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError> {
        let len = u32::read(reader, field)?;
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        Ok(Self(reader.bytes(len, field)?.to_vec()))
    }
    fn write(&self, out: &mut BytesMut) {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX).write(out);
        out.extend_from_slice(&self.0);
    }
}

/// Records with their 32-bit count in front; other fields may follow. The memory taken is bounded
/// by the bytes given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listed<T>(pub Vec<T>);

impl<T: Wire> Wire for Listed<T> {
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError> {
        let mut items = Vec::new();
        for _ in 0..u32::read(reader, field)? {
            let before = reader.remaining();
            items.push(T::read(reader, field)?);
            if reader.remaining() == before {
                return Err(DecodeError::Value { field, reason: "record without bytes" });
            }
        }
        Ok(Self(items))
    }
    fn write(&self, out: &mut BytesMut) {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX).write(out);
        self.0.iter().for_each(|item| item.write(out));
    }
}

message! {
    /// Whether a tracker takes part in the consensus, and with whom.
    pub struct Hello {
        /// 0: it remembers no consensus, 1: it has just founded one, 2: it is in the midst of one.
        pub stage: u8,
        /// Stands for the list of trackers it knows; 0 when it knows none.
        pub electorate: u32,
    }

    /// An entry of the log.
    pub struct Entry {
        /// As Raft numbers them: 0 a decision, 1 a changed membership.
        pub kind: u8,
        /// Term of the leader who made it.
        pub term: u64,
        /// Place in the log.
        pub index: u64,
        /// What was decided.
        pub data: Blob,
        /// Which member comes or goes.
        pub context: Blob,
    }

    /// Everything decided up to an entry of the log.
    pub struct Snapshot {
        /// Place of the last entry; 0 for no snapshot.
        pub index: u64,
        /// Its term.
        pub term: u64,
        /// The members.
        pub voters: Listed<u64>,
        /// What was decided.
        pub data: Blob,
    }

    /// One message from one member to another: the fields of Raft, in its numbering.
    pub struct Message {
        /// Kind.
        pub kind: u8,
        /// Receiver.
        pub to: u64,
        /// Sender.
        pub from: u64,
        /// Term of the sender.
        pub term: u64,
        /// Term of the entry at `index`.
        pub log_term: u64,
        /// Place in the log.
        pub index: u64,
        /// Entries that follow.
        pub entries: Listed<Entry>,
        /// Place up to which the log is agreed upon.
        pub commit: u64,
        /// Term of that entry.
        pub commit_term: u64,
        /// State in place of entries that are gone.
        pub snapshot: Snapshot,
        /// Place from which a snapshot is wanted.
        pub request_snapshot: u64,
        /// 1 for a refusal.
        pub reject: u8,
        /// Where the logs may still agree.
        pub reject_hint: u64,
        /// Comes back in the answer.
        pub context: Blob,
        /// Priority of a candidate.
        pub priority: i64,
    }

    /// What a member must not forget.
    pub struct Memory {
        /// Latest term.
        pub term: u64,
        /// Whom it voted for in that term; 0 for nobody.
        pub vote: u64,
        /// Place up to which the log is agreed upon.
        pub commit: u64,
        /// What the log begins with.
        pub base: Snapshot,
        /// The log.
        pub entries: Listed<Entry>,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        Message {
            kind: 3,
            to: 1,
            from: 2,
            term: 7,
            log_term: 6,
            index: 5,
            entries: Listed(vec![Entry {
                kind: 0,
                term: 7,
                index: 6,
                data: Blob(b"x".to_vec()),
                context: Blob::default(),
            }]),
            commit: 5,
            commit_term: 6,
            snapshot: Snapshot {
                index: 1,
                term: 1,
                voters: Listed(vec![1, 2, 3]),
                data: Blob::default(),
            },
            request_snapshot: 0,
            reject: 0,
            reject_hint: 0,
            context: Blob(b"c".to_vec()),
            priority: 0,
        }
    }

    #[test]
    fn messages_come_back_as_they_went_and_cut_ones_are_refused() {
        let bytes = message().encode();
        assert_eq!(Message::decode(&bytes).unwrap(), message());
        for len in 0..bytes.len() {
            assert!(Message::decode(bytes.get(..len).unwrap()).is_err(), "{len}");
        }
    }

    #[test]
    fn a_count_or_length_beyond_the_bytes_is_refused_before_anything_is_allocated() {
        let huge = u32::MAX.to_be_bytes();
        assert!(Blob::decode(&huge).is_err());
        assert!(Listed::<u64>::decode(&huge).is_err());
        assert!(Listed::<()>::decode(&huge).is_err());
    }
}
