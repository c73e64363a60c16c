//! The storages of this group as the trackers tell of them (spec 03 §A3). Pure: what must be sent
//! or started because of a list is returned, not done.

use fdfs_core::protocol::cluster::SyncedUntil;
use fdfs_core::protocol::tracker::Brief;
use fdfs_core::protocol::{GROUP_STORAGES_MAX, StorageId, StorageStatus};

/// One storage of the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its status, port, id and address.
    pub brief: Brief,
    /// Up to which time its files have arrived here; 0 for unknown.
    pub synced_until: i32,
}

impl Peer {
    /// Its status.
    pub fn status(&self) -> StorageStatus {
        StorageStatus(self.brief.status)
    }
}

/// What is to be done after a list was taken over.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Entries in which the tracker lags behind: it is told with `REPLICA_CHANGE`.
    pub differing: Vec<Brief>,
    /// The tracker thinks less of this storage than it does itself: it joins again.
    pub rejoin: bool,
}

/// What the table says about one entry.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Keep,
    Take,
    Differs,
    DiffersBelow,
}

/// The rows of the table for an entry that is known locally, in their order.
fn judge(local: StorageStatus, told: StorageStatus) -> Verdict {
    use StorageStatus as S;
    match (local, told) {
        (local, told) if local == told => Verdict::Keep,
        (S::ACTIVE | S::ONLINE, S::OFFLINE) => Verdict::Take,
        (S::NONE | S::INIT, S::OFFLINE) => Verdict::Keep,
        (_, S::OFFLINE) => Verdict::Differs,
        (S::OFFLINE, _) => Verdict::Take,
        (S::NONE, told) if told.is_gone() => Verdict::Keep,
        (S::NONE, _) => Verdict::Take,
        (local, told @ (S::WAIT_SYNC | S::SYNCING)) if local > told => Verdict::DiffersBelow,
        _ => Verdict::Take,
    }
}

/// The local list, and what else the leading tracker says of the group.
#[derive(Debug, Default)]
pub struct Peers {
    entries: Vec<Peer>,
    leader: Option<usize>,
    trunk_server: Option<Brief>,
    changes: u64,
    synced_changes: u64,
}

impl Peers {
    /// The entries, in the order they became known. They are never removed; those of gone storages
    /// end as NONE.
    pub fn entries(&self) -> &[Peer] {
        &self.entries
    }

    /// The status of the storage with this id.
    pub fn status(&self, id: &StorageId) -> Option<StorageStatus> {
        self.entries.iter().find(|entry| entry.brief.id == *id).map(Peer::status)
    }

    /// Index of the leading tracker.
    pub fn leader(&self) -> Option<usize> {
        self.leader
    }

    /// Notes who leads the trackers.
    pub fn set_leader(&mut self, leader: Option<usize>) {
        self.changes += u64::from(self.leader != leader);
        self.leader = leader;
    }

    /// The group's trunk server.
    pub fn trunk_server(&self) -> Option<&Brief> {
        self.trunk_server.as_ref()
    }

    /// Notes the group's trunk server.
    pub fn set_trunk_server(&mut self, server: Option<Brief>) {
        self.changes += u64::from(self.trunk_server != server);
        self.trunk_server = server;
    }

    /// Raised by every change of what is known of the group, but not by arriving files.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Marks a peer that is gone as one that this storage has no more work with. One that has come
    /// back meanwhile stays: trackers tell of it only once.
    pub fn retire(&mut self, id: &StorageId) {
        if self.status(id).is_some_and(StorageStatus::is_gone) {
            self.note_status(id, StorageStatus::NONE);
        }
    }

    /// Notes a status that this storage has given the peer itself.
    pub fn note_status(&mut self, id: &StorageId, status: StorageStatus) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.brief.id == *id) {
            entry.brief.status = status.0;
            self.changes += 1;
        }
    }

    /// Notes that all files of `source` up to this time have arrived. Never goes back.
    pub fn note_synced(&mut self, source: &StorageId, timestamp: i32) {
        let entry = self.entries.iter_mut().find(|entry| entry.brief.id == *source);
        if let Some(entry) = entry.filter(|entry| entry.synced_until < timestamp) {
            entry.synced_until = timestamp;
            self.synced_changes += 1;
        }
    }

    /// Raised whenever files of a source have arrived.
    pub fn synced_changes(&self) -> u64 {
        self.synced_changes
    }

    /// The body of `SYNC_REPORT`.
    pub fn synced(&self) -> Vec<SyncedUntil> {
        let report =
            |entry: &Peer| SyncedUntil { source: entry.brief.id, timestamp: entry.synced_until };
        self.entries.iter().map(report).collect()
    }

    /// Takes over a tracker's list; `me` is this storage.
    pub fn merge(&mut self, list: &[Brief], me: &StorageId) -> Merged {
        let mut merged = Merged::default();
        for told in list {
            let status = StorageStatus(told.status);
            let Some(at) = self.entries.iter().position(|entry| entry.brief.id == told.id) else {
                if !status.is_gone() && self.entries.len() < GROUP_STORAGES_MAX {
                    self.entries.push(Peer { brief: told.clone(), synced_until: 0 });
                    self.changes += 1;
                }
                continue;
            };
            let Some(known) = self.entries.get_mut(at) else { continue };
            let before = known.brief.clone();
            known.brief.ip = told.ip;
            known.brief.port = told.port;
            match judge(known.status(), status) {
                Verdict::Keep => {}
                Verdict::Take => known.brief.status = told.status,
                Verdict::Differs => merged.differing.push(known.brief.clone()),
                Verdict::DiffersBelow => {
                    merged.differing.push(known.brief.clone());
                    merged.rejoin |= told.id == *me;
                }
            }
            self.changes += u64::from(known.brief != before);
        }
        if self.entries.len() != list.len() {
            let unknown = |entry: &&Peer| {
                entry.status() != StorageStatus::NONE
                    && list.iter().all(|told| told.id != entry.brief.id)
            };
            let unknown = self.entries.iter().filter(unknown).map(|entry| entry.brief.clone());
            merged.differing.extend(unknown);
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

    fn known(entries: &[(&str, S)]) -> Peers {
        let peer = |(id, status): &(&str, S)| Peer { brief: brief(id, *status), synced_until: 0 };
        Peers { entries: entries.iter().map(peer).collect(), ..Peers::default() }
    }

    /// Every pair of statuses against the rows of the table, written down independently of the
    /// order in which `judge` looks at them.
    #[test]
    fn every_pair_of_statuses_follows_its_row() {
        let all = [
            S::INIT,
            S::WAIT_SYNC,
            S::SYNCING,
            S::IP_CHANGED,
            S::DELETED,
            S::OFFLINE,
            S::ONLINE,
            S::ACTIVE,
            S::RECOVERY,
            S::NONE,
        ];
        for local in all {
            for told in all.into_iter().filter(|told| *told != S::NONE) {
                let (then, differs) = if local == told {
                    (local, false)
                } else if told == S::OFFLINE {
                    match local {
                        S::ACTIVE | S::ONLINE => (S::OFFLINE, false),
                        S::NONE | S::INIT => (local, false),
                        _ => (local, true),
                    }
                } else if local == S::OFFLINE {
                    (told, false)
                } else if local == S::NONE {
                    (if told.is_gone() { S::NONE } else { told }, false)
                } else if (told == S::WAIT_SYNC || told == S::SYNCING) && local.0 > told.0 {
                    (local, true)
                } else {
                    (told, false)
                };
                let mut peers = known(&[("a", local)]);
                let merged = peers.merge(&[brief("a", told)], &"me".try_into().unwrap());
                assert_eq!(peers.status(&"a".try_into().unwrap()), Some(then), "{local} {told}");
                let expected = if differs { vec![brief("a", local)] } else { vec![] };
                assert_eq!(merged.differing, expected, "{local} {told}");
                assert!(!merged.rejoin, "only my own entry asks for that");
                assert_eq!(peers.changes() > 0, then != local, "{local} {told}");
            }
        }
    }

    #[test]
    fn new_entries_are_appended_unless_they_are_gone() {
        let me = "me".try_into().unwrap();
        for told in [S::INIT, S::WAIT_SYNC, S::SYNCING, S::OFFLINE, S::ONLINE, S::ACTIVE] {
            let mut peers = Peers::default();
            assert_eq!(peers.merge(&[brief("a", told)], &me), Merged::default());
            assert_eq!(peers.status(&"a".try_into().unwrap()), Some(told));
        }
        for told in [S::DELETED, S::IP_CHANGED] {
            let mut peers = Peers::default();
            assert_eq!(peers.merge(&[brief("a", told)], &me), Merged::default());
            assert!(peers.entries().is_empty(), "{told}");
        }
        let names: Vec<String> = (0..40).map(|n| format!("10.0.0.{n}")).collect();
        let list: Vec<Brief> = names.iter().map(|name| brief(name, S::ACTIVE)).collect();
        let mut peers = Peers::default();
        peers.merge(&list, &me);
        assert_eq!(peers.entries().len(), GROUP_STORAGES_MAX);
    }

    #[test]
    fn my_own_entry_below_what_i_know_makes_me_join_again() {
        let me: StorageId = "me".try_into().unwrap();
        for told in [S::WAIT_SYNC, S::SYNCING] {
            let mut peers = known(&[("me", S::ACTIVE)]);
            let merged = peers.merge(&[brief("me", told)], &me);
            assert_eq!(merged, Merged { differing: vec![brief("me", S::ACTIVE)], rejoin: true });
        }
        let mut peers = known(&[("me", S::INIT)]);
        assert!(!peers.merge(&[brief("me", S::WAIT_SYNC)], &me).rejoin);
    }

    #[test]
    fn storages_that_the_tracker_does_not_know_differ() {
        let me: StorageId = "me".try_into().unwrap();
        let mut peers = known(&[("me", S::ACTIVE), ("b", S::ACTIVE), ("c", S::NONE)]);
        let merged = peers.merge(&[brief("me", S::ACTIVE)], &me);
        assert_eq!(merged.differing, [brief("b", S::ACTIVE)]);
        let mut peers = known(&[("me", S::ACTIVE)]);
        let merged = peers.merge(&[brief("me", S::ACTIVE), brief("b", S::DELETED)], &me);
        assert!(merged.differing.is_empty(), "it is the tracker that knows more");
    }

    #[test]
    fn times_of_arrived_files_only_go_forward_and_raise_their_own_counter() {
        let mut peers = known(&[("a", S::ACTIVE), ("b", S::ACTIVE)]);
        let b = "b".try_into().unwrap();
        for (timestamp, changes) in [(5, 1), (4, 1), (5, 1), (9, 2)] {
            peers.note_synced(&b, timestamp);
            assert_eq!(peers.synced_changes(), changes, "{timestamp}");
        }
        peers.note_synced(&"unknown".try_into().unwrap(), 9);
        let times: Vec<i32> = peers.synced().iter().map(|entry| entry.timestamp).collect();
        assert_eq!((times, peers.synced_changes()), (vec![0, 9], 2));
        assert_eq!(peers.changes(), 0);
    }

    #[test]
    fn a_retired_peer_comes_back_when_a_tracker_says_so() {
        let mut peers = known(&[("a", S::DELETED)]);
        let (a, me) = ("a".try_into().unwrap(), "me".try_into().unwrap());
        peers.retire(&a);
        peers.merge(&[brief("a", S::DELETED)], &me);
        assert_eq!(peers.status(&a), Some(S::NONE));
        peers.merge(&[brief("a", S::INIT)], &me);
        peers.retire(&a);
        assert_eq!(peers.status(&a), Some(S::INIT), "it was faster than who retires it");
    }
}
