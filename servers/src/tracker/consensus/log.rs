//! What a member remembers: the log, and the state that the entries before it came to.

use super::convert::{conf_state, entry_from_wire, entry_to_wire};
use fdfs_core::protocol::consensus::{Blob, Listed, Memory, Snapshot as WireSnapshot};
use raft::eraftpb::{Entry, HardState, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Result, Storage, StorageError};

/// Entries kept before they are folded into the base.
const LOG_LEN_MAX: usize = 64;

/// State after all entries up to a place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Folded {
    pub(super) index: u64,
    pub(super) term: u64,
    pub(super) voters: Vec<u64>,
    pub(super) data: Vec<u8>,
}

impl Folded {
    pub(super) fn to_wire(&self) -> WireSnapshot {
        WireSnapshot {
            index: self.index,
            term: self.term,
            voters: Listed(self.voters.clone()),
            data: Blob(self.data.clone()),
        }
    }

    pub(super) fn of_wire(snapshot: WireSnapshot) -> Self {
        let WireSnapshot { index, term, voters, data } = snapshot;
        Self { index, term, voters: voters.0, data: data.0 }
    }

    pub(super) fn to_raft(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        snapshot.set_data(self.data.clone().into());
        let metadata = snapshot.mut_metadata();
        (metadata.index, metadata.term) = (self.index, self.term);
        metadata.set_conf_state(conf_state(&self.voters));
        snapshot
    }

    pub(super) fn of_raft(snapshot: &Snapshot) -> Self {
        let metadata = snapshot.get_metadata();
        Self {
            index: metadata.index,
            term: metadata.term,
            voters: metadata.get_conf_state().voters.clone(),
            data: snapshot.get_data().to_vec(),
        }
    }
}

/// The log in memory; [`Log::memory`] is what must reach the disk.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) hard: HardState,
    base: Folded,
    entries: Vec<Entry>,
    /// State after what has been applied; a member too far behind is sent this.
    pub(super) applied: Folded,
}

impl Log {
    pub(super) fn of_memory(memory: Memory) -> Self {
        let base = Folded::of_wire(memory.base);
        let mut log = Self {
            applied: base.clone(),
            entries: memory.entries.0.into_iter().map(entry_from_wire).collect(),
            base,
            hard: HardState::default(),
        };
        (log.hard.term, log.hard.vote) = (memory.term, memory.vote);
        log.hard.commit = memory.commit.clamp(log.base.index, log.last());
        log
    }

    pub(super) fn memory(&self) -> Memory {
        Memory {
            term: self.hard.term,
            vote: self.hard.vote,
            commit: self.hard.commit,
            base: self.base.to_wire(),
            entries: Listed(self.entries.iter().map(entry_to_wire).collect()),
        }
    }

    /// Where the entries in memory begin.
    pub(super) fn base_index(&self) -> u64 {
        self.base.index
    }

    pub(super) fn last(&self) -> u64 {
        self.entries.last().map_or(self.base.index, |entry| entry.index)
    }

    /// Begins a log that all founders begin alike.
    pub(super) fn found(&mut self, voters: Vec<u64>) {
        self.base = Folded { index: 1, term: 1, voters, data: Vec::new() };
        self.applied = self.base.clone();
        self.entries.clear();
        self.hard.term = self.hard.term.max(1);
        self.hard.commit = 1;
    }

    pub(super) fn replace(&mut self, snapshot: &Snapshot) {
        self.base = Folded::of_raft(snapshot);
        self.applied = self.base.clone();
        self.entries.clear();
        self.hard.commit = self.hard.commit.max(self.base.index);
        self.hard.term = self.hard.term.max(self.base.term);
    }

    pub(super) fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        self.entries.retain(|entry| entry.index < first.index);
        self.entries.extend_from_slice(entries);
    }

    /// Folds applied entries into the base when there are many.
    pub(super) fn compact(&mut self) {
        if self.entries.len() > LOG_LEN_MAX {
            self.base = self.applied.clone();
            let base = self.base.index;
            self.entries.retain(|entry| entry.index > base);
        }
    }

    fn term_at(&self, index: u64) -> Option<u64> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        self.entries.iter().find(|entry| entry.index == index).map(|entry| entry.term)
    }
}

impl Storage for Log {
    fn initial_state(&self) -> Result<RaftState> {
        Ok(RaftState::new(self.hard.clone(), conf_state(&self.base.voters)))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _: GetEntriesContext,
    ) -> Result<Vec<Entry>> {
        if low <= self.base.index {
            return Err(Error::Store(StorageError::Compacted));
        }
        let wanted = self.entries.iter().filter(|entry| (low..high).contains(&entry.index));
        let mut wanted: Vec<Entry> = wanted.cloned().collect();
        raft::util::limit_size(&mut wanted, max_size.into());
        Ok(wanted)
    }

    fn term(&self, index: u64) -> Result<u64> {
        let missing = match index < self.base.index {
            true => StorageError::Compacted,
            false => StorageError::Unavailable,
        };
        self.term_at(index).ok_or(Error::Store(missing))
    }

    fn first_index(&self) -> Result<u64> {
        Ok(self.base.index + 1)
    }

    fn last_index(&self) -> Result<u64> {
        Ok(self.last())
    }

    fn snapshot(&self, request_index: u64, _to: u64) -> Result<Snapshot> {
        if self.applied.index < request_index {
            return Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable));
        }
        Ok(self.applied.to_raft())
    }
}
