//! Which records a peer gets, and which of them may be on their way at the same time (spec 03 §C3,
//! §C5). Pure.

use super::mark::Mark;
use super::reader::{Entry, Extra};
use crate::storage::binlog::{Operation, Position};
use fdfs_core::protocol::Name;
use std::collections::HashSet;

/// Whether the peer of this mark gets the record.
pub(super) fn is_for(mark: &Mark, entry: &Entry) -> bool {
    if !entry.replica {
        return true;
    }
    match entry.operation {
        // The whole file that a create record stands for has their content already.
        Operation::Append | Operation::Modify | Operation::Truncate => false,
        _ => mark.sends_old() && entry.time <= mark.until,
    }
}

/// Records that touch different files, so that their order does not matter.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The records, each with where it ends.
    entries: Vec<(Entry, Position)>,
    names: HashSet<Name>,
}

impl Batch {
    /// Adds a record; gives it back when it must wait for one that is in here.
    pub(super) fn add(&mut self, entry: Entry, end: Position) -> Option<Entry> {
        let other = match entry.extra {
            Extra::Name(name) => Some(name),
            _ => None,
        };
        let names = [Some(entry.name), other];
        if names.iter().flatten().any(|name| self.names.contains(name)) {
            return Some(entry);
        }
        self.names.extend(names.into_iter().flatten());
        self.entries.push((entry, end));
        None
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The records, in their order, each with where it ends.
    pub(super) fn iter(&self) -> impl Iterator<Item = &(Entry, Position)> {
        self.entries.iter()
    }

    /// The same, taken out.
    pub(super) fn into_entries(self) -> Vec<(Entry, Position)> {
        self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(operation: Operation, replica: bool, name: &str, extra: Extra) -> Entry {
        let (name, offer) = (Name::new(name.as_bytes()).unwrap(), None);
        Entry { time: 5, operation, replica, name, extra, offer }
    }

    #[test]
    fn peers_get_what_clients_did_here_and_new_ones_also_what_was_before() {
        use Operation as O;
        let plain = Mark::default();
        let source = Mark { need_sync_old: true, until: 5, ..plain };
        let done = Mark { sync_old_done: true, ..source };
        let early = Mark { until: 4, ..source };
        for operation in
            [O::Create, O::Append, O::Delete, O::Update, O::Modify, O::Truncate, O::Link, O::Rename]
        {
            for mark in [plain, source, done, early] {
                assert!(is_for(&mark, &entry(operation, false, "a", Extra::Nothing)));
            }
            let replica = entry(operation, true, "a", Extra::Nothing);
            let partial = matches!(operation, O::Append | O::Modify | O::Truncate);
            assert_eq!(is_for(&source, &replica), !partial, "{operation:?}");
            for mark in [plain, done, early] {
                assert!(!is_for(&mark, &replica), "{operation:?}");
            }
        }
    }

    #[test]
    fn records_of_one_file_never_share_a_batch() {
        let b = Extra::Name(Name::new(b"b").unwrap());
        let mut batch = Batch::default();
        let end = Position::default();
        assert!(batch.add(entry(Operation::Create, false, "a", Extra::Nothing), end).is_none());
        assert!(
            batch.add(entry(Operation::Append, false, "a", Extra::Numbers(0, 1)), end).is_some()
        );
        assert!(batch.add(entry(Operation::Rename, false, "c", b), end).is_none());
        for name in ["b", "c"] {
            assert!(
                batch.add(entry(Operation::Delete, false, name, Extra::Nothing), end).is_some()
            );
        }
        assert!(batch.add(entry(Operation::Link, false, "d", b), end).is_some());
        assert!(batch.add(entry(Operation::Delete, false, "d", Extra::Nothing), end).is_none());
        assert_eq!(batch.len(), 3);
        let names: Vec<String> =
            batch.into_entries().iter().map(|(entry, _)| entry.name.to_string()).collect();
        assert_eq!(names, ["a", "c", "d"]);
    }
}
