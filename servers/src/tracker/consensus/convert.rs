//! Raft's structures as they stand in packets. They are protobuf in the library; what comes from
//! the network is decoded by this project's own bounded codec only.

use super::log::Folded;
use fdfs_core::protocol::TRACKERS_MAX;
use fdfs_core::protocol::consensus::{Blob, Entry as WireEntry, Listed, Message as WireMessage};
use raft::eraftpb::{ConfState, Entry, EntryType, Message, MessageType};

/// The messages that members send each other, by their number in packets. Proposals are not among
/// them: only the leader's own tracker makes any.
const MESSAGE_TYPES: [(u8, MessageType); 12] = [
    (3, MessageType::MsgAppend),
    (4, MessageType::MsgAppendResponse),
    (5, MessageType::MsgRequestVote),
    (6, MessageType::MsgRequestVoteResponse),
    (7, MessageType::MsgSnapshot),
    (8, MessageType::MsgHeartbeat),
    (9, MessageType::MsgHeartbeatResponse),
    (13, MessageType::MsgTransferLeader),
    (14, MessageType::MsgTimeoutNow),
    (15, MessageType::MsgReadIndex),
    (17, MessageType::MsgRequestPreVote),
    (18, MessageType::MsgRequestPreVoteResponse),
];

/// Members at most: all trackers of two lists, while one replaces the other.
const MEMBERS_MAX: usize = 2 * TRACKERS_MAX;

pub(super) fn conf_state(voters: &[u64]) -> ConfState {
    ConfState { voters: voters.to_vec(), ..ConfState::default() }
}

pub(super) fn entry_to_wire(entry: &Entry) -> WireEntry {
    WireEntry {
        kind: u8::from(entry.get_entry_type() == EntryType::EntryConfChange),
        term: entry.term,
        index: entry.index,
        data: Blob(entry.data.to_vec()),
        context: Blob(entry.context.to_vec()),
    }
}

pub(super) fn entry_from_wire(wire: WireEntry) -> Entry {
    let mut entry = Entry::default();
    if wire.kind == 1 {
        entry.set_entry_type(EntryType::EntryConfChange);
    }
    (entry.term, entry.index) = (wire.term, wire.index);
    entry.data = wire.data.0.into();
    entry.context = wire.context.0.into();
    entry
}

/// A message as a packet's body; `None` for kinds that are not for other members.
pub(super) fn to_wire(message: &Message) -> Option<WireMessage> {
    let kind = MESSAGE_TYPES.iter().find(|(_, kind)| *kind == message.get_msg_type())?.0;
    Some(WireMessage {
        kind,
        to: message.to,
        from: message.from,
        term: message.term,
        log_term: message.log_term,
        index: message.index,
        entries: Listed(message.get_entries().iter().map(entry_to_wire).collect()),
        commit: message.commit,
        commit_term: message.commit_term,
        snapshot: Folded::of_raft(message.get_snapshot()).to_wire(),
        request_snapshot: message.request_snapshot,
        reject: u8::from(message.reject),
        reject_hint: message.reject_hint,
        context: Blob(message.context.to_vec()),
        priority: message.priority,
    })
}

/// Whether the library can take this message: it trusts members to number entries in order, and
/// to name each member once.
fn is_sound(wire: &WireMessage) -> bool {
    let voters = &wire.snapshot.voters.0;
    let unique = voters
        .iter()
        .enumerate()
        .all(|(at, id)| *id > 0 && voters.iter().take(at).all(|before| before != id));
    let in_order = wire.entries.0.iter().zip(1u64..).all(|(entry, place)| {
        wire.index.checked_add(place) == Some(entry.index) && entry.term <= wire.term
    });
    unique && voters.len() <= MEMBERS_MAX && in_order
}

/// A packet's body as a message; `None` for an unknown kind, or content that cannot be.
pub(super) fn from_wire(wire: WireMessage) -> Option<Message> {
    if !is_sound(&wire) {
        return None;
    }
    let mut message = Message::default();
    message.set_msg_type(MESSAGE_TYPES.iter().find(|(number, _)| *number == wire.kind)?.1);
    (message.to, message.from, message.term) = (wire.to, wire.from, wire.term);
    (message.log_term, message.index) = (wire.log_term, wire.index);
    let entries: Vec<Entry> = wire.entries.0.into_iter().map(entry_from_wire).collect();
    message.set_entries(entries.into());
    (message.commit, message.commit_term) = (wire.commit, wire.commit_term);
    if wire.snapshot.index > 0 {
        message.set_snapshot(Folded::of_wire(wire.snapshot).to_raft());
    }
    (message.request_snapshot, message.reject) = (wire.request_snapshot, wire.reject != 0);
    (message.reject_hint, message.priority) = (wire.reject_hint, wire.priority);
    message.context = wire.context.0.into();
    Some(message)
}
