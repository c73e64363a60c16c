//! The storages of this group as the trackers tell of them (spec 03 §A3).

use fdfs_core::protocol::tracker::Brief;
use fdfs_core::protocol::{StorageId, StorageStatus};

/// What is to be done after a list was taken over.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Entries in which the tracker lags behind: it is told with `REPLICA_CHANGE`.
    pub differing: Vec<Brief>,
    /// The tracker thinks less of this storage than it does itself: it joins again.
    pub rejoin: bool,
}

/// The local list. Entries are never removed; those of gone storages end as NONE.
#[derive(Debug, Default)]
pub struct Peers {
    entries: Vec<Brief>,
}

fn status(brief: &Brief) -> StorageStatus {
    StorageStatus(brief.status)
}

impl Peers {
    /// The entries, in the order they became known.
    pub fn entries(&self) -> &[Brief] {
        &self.entries
    }

    /// The status of the storage with this id.
    pub fn status(&self, id: &StorageId) -> Option<StorageStatus> {
        self.entries.iter().find(|entry| entry.id == *id).map(status)
    }

    /// Takes over a tracker's list; `me` is this storage.
    pub fn merge(&mut self, list: &[Brief], me: &StorageId) -> Merged {
        let mut merged = Merged::default();
        for told in list {
            let Some(known) = self.entries.iter_mut().find(|entry| entry.id == told.id) else {
                if !status(told).is_gone() {
                    self.entries.push(told.clone());
                }
                continue;
            };
            known.ip = told.ip;
            known.port = told.port;
            match (status(known), status(told)) {
                (old, new) if old == new => {}
                (StorageStatus::ACTIVE | StorageStatus::ONLINE, StorageStatus::OFFLINE) => {
                    known.status = told.status;
                }
                (StorageStatus::NONE | StorageStatus::INIT, StorageStatus::OFFLINE) => {}
                (StorageStatus::OFFLINE, _) => known.status = told.status,
                (_, StorageStatus::OFFLINE) => merged.differing.push(known.clone()),
                (StorageStatus::NONE, new) if new.is_gone() => {}
                (old, new @ (StorageStatus::WAIT_SYNC | StorageStatus::SYNCING))
                    if old > new && old != StorageStatus::NONE =>
                {
                    merged.differing.push(known.clone());
                    merged.rejoin |= told.id == *me;
                }
                _ => known.status = told.status,
            }
        }
        if self.entries.len() != list.len() {
            let unknown = |entry: &&Brief| {
                status(entry) != StorageStatus::NONE && list.iter().all(|told| told.id != entry.id)
            };
            merged.differing.extend(self.entries.iter().filter(unknown).cloned());
        }
        merged
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use StorageStatus as S;

    fn brief(id: &str, status: S) -> Brief {
        let (id, ip) = (id.try_into().unwrap(), id.try_into().unwrap());
        Brief { status: status.0, port: 1, id, ip }
    }

    #[test]
    fn lists_are_merged_row_by_row_of_the_table() {
        let me: StorageId = "me".try_into().unwrap();
        for (local, told, then, differs) in [
            (Some(S::ACTIVE), S::OFFLINE, S::OFFLINE, false),
            (Some(S::ONLINE), S::OFFLINE, S::OFFLINE, false),
            (Some(S::NONE), S::OFFLINE, S::NONE, false),
            (Some(S::INIT), S::OFFLINE, S::INIT, false),
            (Some(S::WAIT_SYNC), S::OFFLINE, S::WAIT_SYNC, true),
            (Some(S::OFFLINE), S::WAIT_SYNC, S::WAIT_SYNC, false),
            (Some(S::NONE), S::DELETED, S::NONE, false),
            (Some(S::NONE), S::ACTIVE, S::ACTIVE, false),
            (Some(S::ACTIVE), S::SYNCING, S::ACTIVE, true),
            (Some(S::WAIT_SYNC), S::ACTIVE, S::ACTIVE, false),
            (Some(S::ACTIVE), S::DELETED, S::DELETED, false),
            (None, S::WAIT_SYNC, S::WAIT_SYNC, false),
        ] {
            let mut peers = Peers::default();
            peers.entries.extend(local.map(|status| brief("a", status)));
            let merged = peers.merge(&[brief("a", told)], &me);
            assert_eq!(peers.status(&"a".try_into().unwrap()), Some(then), "{local:?} {told}");
            assert_eq!(!merged.differing.is_empty(), differs, "{local:?} {told}");
            assert!(!merged.rejoin);
        }
        let mut peers = Peers::default();
        peers.merge(&[brief("gone", S::DELETED)], &me);
        assert!(peers.entries().is_empty(), "gone storages are not news");
        peers.merge(&[brief("me", S::ACTIVE), brief("b", S::ACTIVE)], &me);
        assert!(peers.merge(&[brief("me", S::SYNCING), brief("b", S::ACTIVE)], &me).rejoin);
        let merged = peers.merge(&[brief("me", S::ACTIVE)], &me);
        assert_eq!(merged.differing, [brief("b", S::ACTIVE)], "unknown to the tracker");
    }
}
