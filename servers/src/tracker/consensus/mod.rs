//! Trackers of ours agree on one leader, and on what it decides, by Raft
//! (`docs/decisions/0002-consensus.md`).
//!
//! [`Consensus`] is one member, without sockets, files or clock: time comes in by
//! [`Consensus::tick`], packets by [`Consensus::receive`], and [`Consensus::step`] tells what to
//! save, then what to send and what was decided. The protocol itself is the library's; here are the
//! members' names, the log in the form of packets, and the one thing that is decided: which storage
//! of a group is its trunk server.

mod convert;
mod log;

#[cfg(test)]
mod tests;

use convert::{from_wire, to_wire};
use fdfs_core::config::TrackerAddr;
use fdfs_core::protocol::cluster::GroupStorage;
use fdfs_core::protocol::consensus::{Memory, Message};
use fdfs_core::protocol::{Group, StorageId};
use fdfs_core::wire::Wire;
use log::{Folded, Log};
use raft::eraftpb::{ConfChange, ConfChangeType, Entry, EntryType};
use raft::{Config, RawNode, StateRole};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::Ipv4Addr;

/// Ticks without a word from the leader until a member stands for election, at least; at most
/// twice as many.
const ELECTION_TICKS: usize = 8;
/// Ticks between two signs of life of the leader.
const HEARTBEAT_TICKS: usize = 2;
/// Bytes of entries in one message.
const MESSAGE_BYTES_MAX: u64 = 32 << 10;
/// Messages to one member that may be on their way.
const INFLIGHT_MAX: usize = 16;
/// Bytes of entries that may wait to be agreed upon.
const PROPOSED_BYTES_MAX: u64 = 64 << 10;

/// A member, as the log names it.
pub(super) type MemberId = u64;

/// The name of a tracker in the log. For IPv4 it is the address itself; others share a checksum,
/// whose collision in one cluster of 16 would take some 10^8 clusters to be seen.
pub(super) fn member_id(tracker: &TrackerAddr) -> MemberId {
    let host = tracker.hosts.first().map_or("", String::as_str);
    let number = match host.parse::<Ipv4Addr>() {
        Ok(ip) => u64::from(u32::from(ip)),
        Err(_) => (1 << 40) | u64::from(crc32fast::hash(host.as_bytes())),
    };
    (number << 16) | u64::from(tracker.port)
}

/// Stands for a list of trackers, whatever their order.
pub(super) fn electorate(trackers: &[TrackerAddr]) -> u32 {
    let mut ids: Vec<MemberId> = trackers.iter().map(member_id).collect();
    ids.sort_unstable();
    let bytes: Vec<u8> = ids.into_iter().flat_map(MemberId::to_be_bytes).collect();
    crc32fast::hash(&bytes).max(1)
}

/// How far a member is (`Hello::stage`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// It remembers nothing.
    Fresh,
    /// It has founded a consensus that has had no leader yet.
    Founded,
    /// It belongs to one.
    Member,
}

/// What a step wants done, in this order.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// To be kept on disk before anything else is done.
    pub(super) save: Option<Memory>,
    /// For other members.
    pub(super) send: Vec<Message>,
    /// Decided, in order; an empty storage id stands for none.
    pub(super) decided: Vec<(u64, GroupStorage)>,
}

/// One member.
pub(super) struct Consensus {
    node: RawNode<Log>,
    decisions: BTreeMap<Group, StorageId>,
    /// Elections stood for, which spreads the waits before them.
    tries: u64,
    seen: (u64, StateRole),
}

/// A change of the members, as its entry carries it.
fn conf_change(id: MemberId, joins: bool) -> (Vec<u8>, ConfChange) {
    let mut change = ConfChange { node_id: id, ..ConfChange::default() };
    change.set_change_type(match joins {
        true => ConfChangeType::AddNode,
        false => ConfChangeType::RemoveNode,
    });
    let mut context = vec![u8::from(joins)];
    context.extend_from_slice(&id.to_be_bytes());
    (context, change)
}

fn read_conf_change(context: &[u8]) -> Option<ConfChange> {
    let (joins, id) = context.split_first()?;
    let id = MemberId::from_be_bytes(id.try_into().ok()?);
    Some(conf_change(id, *joins == 1).1)
}

impl Consensus {
    /// The member `me` with what it remembers.
    pub(super) fn new(me: MemberId, memory: Option<Memory>) -> raft::Result<Self> {
        let log = memory.map(Log::of_memory).unwrap_or_default();
        let config = Config {
            id: me,
            election_tick: ELECTION_TICKS,
            heartbeat_tick: HEARTBEAT_TICKS,
            applied: log.base_index(),
            max_size_per_msg: MESSAGE_BYTES_MAX,
            max_inflight_msgs: INFLIGHT_MAX,
            max_uncommitted_size: PROPOSED_BYTES_MAX,
            // A leader that does not hear from most members steps down, and nobody stands for
            // election while most hear their leader.
            check_quorum: true,
            pre_vote: true,
            ..Config::default()
        };
        let decisions = read_decisions(&log.applied.data);
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let node = RawNode::new(&config, log, &logger)?;
        let mut member = Self { node, decisions, tries: 0, seen: (0, StateRole::Follower) };
        member.spread_elections();
        Ok(member)
    }

    pub(super) fn id(&self) -> MemberId {
        self.node.raft.id
    }

    pub(super) fn stage(&self) -> Stage {
        match self.node.raft.raft_log.last_index() {
            0 => Stage::Fresh,
            1 if self.node.raft.leader_id == 0 => Stage::Founded,
            _ => Stage::Member,
        }
    }

    /// Begins a consensus of these members, all of which begin it alike; what must be saved then.
    pub(super) fn found(&mut self, voters: Vec<MemberId>) -> raft::Result<Option<Memory>> {
        if self.stage() != Stage::Fresh {
            return Ok(None);
        }
        let mut log = Log::default();
        log.hard = self.node.raft.hard_state();
        log.found(voters);
        let memory = log.memory();
        *self = Self::new(self.id(), Some(memory.clone()))?;
        Ok(Some(memory))
    }

    /// The members, as far as this one knows.
    pub(super) fn members(&self) -> &[MemberId] {
        &self.node.store().applied.voters
    }

    pub(super) fn leader(&self) -> Option<MemberId> {
        Some(self.node.raft.leader_id).filter(|id| *id != 0)
    }

    /// Whether this member leads, and knows all that was decided before.
    pub(super) fn is_leader(&self) -> bool {
        self.node.raft.state == StateRole::Leader && self.node.raft.apply_to_current_term()
    }

    /// What was decided for each group; an empty storage id stands for none.
    pub(super) fn decisions(&self) -> &BTreeMap<Group, StorageId> {
        &self.decisions
    }

    /// Time went on by one tick.
    pub(super) fn tick(&mut self) {
        self.node.tick();
        self.spread_elections();
    }

    /// Takes a message of another member. One that makes no sense is dropped, as if it had been
    /// lost on the way.
    pub(super) fn receive(&mut self, message: Message) {
        if message.to != self.id() {
            return;
        }
        if let Some(message) = from_wire(message) {
            // Errors tell of messages from strangers and from the past.
            let _ = self.node.step(message);
            self.spread_elections();
        }
    }

    /// Has a decision agreed upon; its place in the log.
    pub(super) fn propose(&mut self, decision: &GroupStorage) -> raft::Result<u64> {
        self.node.propose(Vec::new(), decision.encode().to_vec())?;
        Ok(self.node.raft.raft_log.last_index())
    }

    /// Has a member added or removed, unless another such change is under way.
    pub(super) fn change_members(&mut self, id: MemberId, joins: bool) {
        if self.is_leader() && !self.node.raft.has_pending_conf() {
            let (context, change) = conf_change(id, joins);
            let _ = self.node.propose_conf_change(context, change);
        }
    }

    /// What is to be done now.
    pub(super) fn step(&mut self) -> Step {
        let mut step = Step::default();
        let mut changed = false;
        while self.node.has_ready() {
            let mut ready = self.node.ready();
            let mut send = ready.take_messages();
            if ready.snapshot().get_metadata().index > 0 {
                self.node.mut_store().replace(ready.snapshot());
                self.decisions = read_decisions(&self.node.store().applied.data);
                let all = self.decisions.iter();
                let all = all.map(|(group, id)| (0, GroupStorage { group: *group, id: *id }));
                step.decided.extend(all);
                changed = true;
            }
            if let Some(hard) = ready.hs() {
                changed |= ready.must_sync();
                self.node.mut_store().hard = hard.clone();
            }
            self.apply(ready.take_committed_entries(), &mut step.decided);
            if !ready.entries().is_empty() {
                self.node.mut_store().append(ready.entries());
                changed = true;
            }
            send.extend(ready.take_persisted_messages());
            let mut light = self.node.advance(ready);
            if let Some(commit) = light.commit_index() {
                self.node.mut_store().hard.commit = commit;
            }
            send.extend(light.take_messages());
            self.apply(light.take_committed_entries(), &mut step.decided);
            self.node.advance_apply();
            step.send.extend(send.iter().filter_map(to_wire));
        }
        if changed {
            self.node.mut_store().compact();
            step.save = Some(self.node.store().memory());
        }
        step
    }

    fn apply(&mut self, entries: Vec<Entry>, decided: &mut Vec<(u64, GroupStorage)>) {
        for entry in entries {
            if entry.get_entry_type() == EntryType::EntryConfChange {
                if let Some(change) = read_conf_change(&entry.context)
                    && let Ok(conf) = self.node.apply_conf_change(&change)
                {
                    self.node.mut_store().applied.voters = conf.voters;
                }
            } else if let Ok(decision) = GroupStorage::decode(&entry.data) {
                self.decisions.insert(decision.group, decision.id);
                decided.push((entry.index, decision));
            }
            let data = write_decisions(&self.decisions);
            let applied = &mut self.node.mut_store().applied;
            let voters = std::mem::take(&mut applied.voters);
            *applied = Folded { index: entry.index, term: entry.term, voters, data };
        }
    }

    /// Gives each member, each term and each try a wait of its own before it stands for election,
    /// so that two seldom stand together; the library would draw lots, which no test could repeat.
    fn spread_elections(&mut self) {
        let now = (self.node.raft.term, self.node.raft.state);
        if std::mem::replace(&mut self.seen, now) != now {
            self.tries += 1;
        }
        // No checksum: those of two members differ by the same bits at every try.
        let mut hasher = DefaultHasher::new();
        [self.id(), self.node.raft.term, self.tries].hash(&mut hasher);
        let lot = usize::try_from(hasher.finish() % ELECTION_TICKS as u64).unwrap_or(0);
        self.node.raft.set_randomized_election_timeout(ELECTION_TICKS + lot);
    }
}

fn write_decisions(decisions: &BTreeMap<Group, StorageId>) -> Vec<u8> {
    let all = decisions.iter().map(|(group, id)| GroupStorage { group: *group, id: *id });
    all.collect::<Vec<_>>().encode().to_vec()
}

fn read_decisions(data: &[u8]) -> BTreeMap<Group, StorageId> {
    let all = Vec::<GroupStorage>::decode(data).unwrap_or_default();
    all.into_iter().map(|decision| (decision.group, decision.id)).collect()
}
