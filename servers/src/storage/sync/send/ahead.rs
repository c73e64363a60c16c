//! Short changes that follow each other without waiting for answers, to peers that say they take
//! them so.

use super::{Part, PeerConn, seconds};
use crate::storage::binlog::Operation;
use crate::storage::stats::Op;
use crate::storage::sync::METADATA_SUFFIX;
use crate::storage::sync::reader::Entry;
use fdfs_core::file_id::LogicName;
use fdfs_core::net::{AHEAD_MAX, Ahead, CHUNK_LEN};
use fdfs_core::protocol::cluster::{SyncDelete, SyncFile};
use fdfs_core::protocol::{Command, Status};
use fdfs_core::wire::Wire as _;
use fdfs_core::{Error, Result};
use std::time::Instant;

/// Longest content that is sent ahead. With more, waiting for the answer is a small part of it.
const SHORT_LEN_MAX: u64 = 64 << 10;

/// Whether a change may be sent ahead, as far as its record tells.
pub(in crate::storage::sync) fn is_short(entry: &Entry) -> bool {
    match entry.operation {
        // The peer is asked before.
        _ if entry.offer.is_some() => false,
        Operation::Delete => true,
        Operation::Create | Operation::Update => {
            let Ok(logic) = LogicName::parse(entry.name.as_bytes()) else { return false };
            let len = logic.stamp().map(|stamp| stamp.size.bytes());
            entry.name.as_bytes().ends_with(METADATA_SUFFIX)
                || len.is_some_and(|len| len <= SHORT_LEN_MAX)
        }
        _ => false,
    }
}

/// Changes that are about to be sent together, each with its number and the length of its content.
#[derive(Default)]
struct Waiting<'t> {
    ahead: Ahead,
    entries: Vec<(usize, &'t Entry, u64)>,
}

/// What becomes of a change.
enum Put {
    /// It is with those that are sent together.
    Ahead,
    /// There is nothing to be sent any more.
    Gone,
    /// It must be sent alone.
    Alone,
}

impl PeerConn {
    /// Sends changes that do not touch the same files, up to the first one that fails, which it
    /// returns; adds the numbers of all that the peer has to `done`. Up to `ahead_max` follow each
    /// other.
    pub(in crate::storage::sync) async fn send_turn(
        &mut self,
        turn: &[(usize, Entry)],
        ahead_max: usize,
        done: &mut Vec<usize>,
    ) -> Option<(usize, Error)> {
        let ahead_max = ahead_max.min(AHEAD_MAX);
        let mut waiting = Waiting::default();
        for (number, entry) in turn {
            let is_full = waiting.ahead.len() >= ahead_max || waiting.ahead.bytes() >= CHUNK_LEN;
            if is_full && let Some(failed) = self.send_waiting(&mut waiting, done).await {
                return Some(failed);
            }
            let put = match ahead_max > 1 && is_short(entry) && !self.is_in_trunk(entry) {
                true => self.put_ahead(*number, entry, &mut waiting).await,
                false => Ok(Put::Alone),
            };
            if let Ok(Put::Ahead) = put {
                continue;
            }
            if let Some(failed) = self.send_waiting(&mut waiting, done).await {
                return Some(failed);
            }
            let sent = match put {
                Ok(Put::Alone) => self.send(entry).await,
                Ok(_) => Ok(()),
                Err(error) => Err(error),
            };
            match sent {
                Ok(()) => done.push(*number),
                Err(error) => return Some((*number, error)),
            }
        }
        self.send_waiting(&mut waiting, done).await
    }

    async fn put_ahead<'t>(
        &mut self,
        number: usize,
        entry: &'t Entry,
        waiting: &mut Waiting<'t>,
    ) -> Result<Put> {
        let (timestamp, group) = (seconds(entry.time), self.engine.identity.group);
        let name = entry.name;
        let command = match entry.operation {
            Operation::Delete if self.look(&name).await?.is_none() => {
                let head = SyncDelete { timestamp, group, name }.encode();
                waiting.ahead.push(Command::SYNC_DELETE_FILE, 0, &head, &[]);
                waiting.entries.push((number, entry, 0));
                return Ok(Put::Ahead);
            }
            // The peer is to be asked before.
            Operation::Create if self.exists_there => return Ok(Put::Alone),
            Operation::Create => Command::SYNC_CREATE_FILE,
            Operation::Update => Command::SYNC_UPDATE_FILE,
            _ => return Ok(Put::Alone),
        };
        let Some(content) = self.open(&name, Part::Whole).await? else { return Ok(Put::Gone) };
        if content.len > SHORT_LEN_MAX {
            return Ok(Put::Alone);
        }
        let size = i64::try_from(content.len).unwrap_or(i64::MAX);
        let head = SyncFile { name, size, timestamp, group }.encode();
        let bytes = self.buffer.get(..content.first).unwrap_or_default();
        waiting.ahead.push(command, 0, &head, bytes);
        waiting.entries.push((number, entry, content.len));
        Ok(Put::Ahead)
    }

    /// Sends those that wait. Returns the first one that failed.
    async fn send_waiting(
        &mut self,
        waiting: &mut Waiting<'_>,
        done: &mut Vec<usize>,
    ) -> Option<(usize, Error)> {
        let Waiting { ahead, entries } = std::mem::take(waiting);
        if ahead.is_empty() {
            return None;
        }
        self.used = Instant::now();
        let mut answers = Vec::with_capacity(entries.len());
        let ended = self.conn.call_ahead(ahead, &mut answers).await;
        let unanswered = entries.get(answers.len()).map(|(number, ..)| *number);
        let mut failed = None;
        for ((number, entry, len), answer) in entries.into_iter().zip(answers) {
            let settled = self.settle_answer(entry, answer);
            self.engine.stats.count(Op::SyncOutBytes, len, settled.is_ok());
            match settled {
                Ok(()) => done.push(number),
                Err(error) => failed = failed.or(Some((number, error))),
            }
        }
        failed.or(unanswered.zip(ended.err()))
    }

    fn settle_answer(&mut self, entry: &Entry, answer: Status) -> Result<()> {
        if entry.operation == Operation::Delete {
            return self.settle(entry, answer, &[Status::ENOENT]);
        }
        self.exists_there = answer == Status::EEXIST;
        self.settle(entry, answer, &[Status::EEXIST])
    }
}
