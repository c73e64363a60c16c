//! The other trackers of the cluster (spec 03 §B, `docs/decisions/0002-consensus.md`).
//!
//! One [`link`] per tracker talks to it: asks what it is, carries the consensus, and follows it when
//! it leads. [`member`] takes part in the consensus that finds the leader among trackers of ours;
//! [`elect`] announces one by the old rule while an original is in the list. [`copy`] fetches the
//! state files of a tracker that knows more.

mod copy;
mod elect;
mod link;
mod member;

pub(super) use copy::copy_before_join;
pub(super) use elect::elect_when_needed;
pub(super) use link::run as talk_to_all;
pub(super) use member::run as take_part;

use super::consensus::{MemberId, member_id};
use fdfs_core::config::TrackerAddr;
use fdfs_core::protocol::Status;
use fdfs_core::protocol::cluster::GroupStorage;
use fdfs_core::protocol::consensus::{Hello, Message};
use fdfs_core::wire::Wire as _;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

/// Messages that wait to be taken in, or for one tracker to be reached. More are dropped: the
/// consensus repeats what matters.
const MESSAGES_MAX: usize = 64;
/// How long a decision may take to be agreed upon.
const DECISION_TIME_MAX: Duration = Duration::from_secs(10);
/// Time without a word after which a tracker does not count as reachable.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// The stage of a tracker that sees an original and so follows the old rule.
const OLD_RULE: u8 = 3;

/// What reaches the member of the consensus.
#[derive(Debug)]
pub(super) enum Input {
    /// Of another member.
    Message(Message),
    /// To be agreed upon.
    Propose(GroupStorage, oneshot::Sender<Result<(), Status>>),
}

/// Where it comes out.
pub(super) type Inbox = mpsc::Receiver<Input>;

/// What another tracker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unknown,
    Original,
    Ours { stage: u8, electorate: u32 },
}

#[derive(Debug)]
struct Other {
    addr: TrackerAddr,
    id: MemberId,
    kind: Kind,
    heard: Option<Instant>,
    outbox: mpsc::Sender<Message>,
}

impl Other {
    fn is_heard(&self) -> bool {
        self.heard.is_some_and(|heard| heard.elapsed() < SILENCE_MAX)
    }
}

/// All other trackers that storages have told of.
#[derive(Debug)]
pub(super) struct Others {
    known: Mutex<Vec<Other>>,
    inbox: mpsc::Sender<Input>,
    /// What this tracker says of itself.
    own: Mutex<Hello>,
    /// Held while state files are copied.
    copying: tokio::sync::Mutex<()>,
}

impl Others {
    pub(super) fn new() -> (Self, Inbox) {
        let (inbox, out) = mpsc::channel(MESSAGES_MAX);
        let own = Mutex::new(Hello { stage: 0, electorate: 0 });
        let copying = tokio::sync::Mutex::default();
        (Self { known: Mutex::default(), inbox, own, copying }, out)
    }

    fn known(&self) -> MutexGuard<'_, Vec<Other>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn own(&self) -> MutexGuard<'_, Hello> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers another tracker's question what this one is.
    pub(super) fn hello(&self, body: &[u8]) -> Result<Hello, Status> {
        <()>::decode(body).map_err(|_| Status::EINVAL)?;
        Ok(self.own().clone())
    }

    /// Takes a message of the consensus in, if it comes from where its sender is.
    pub(super) fn take(&self, peer: IpAddr, body: &[u8]) -> Result<(), Status> {
        let message = Message::decode(body).map_err(|_| Status::EINVAL)?;
        let is_sender = |other: &Other| other.id == message.from && other.addr.has_ip(peer);
        if !self.known().iter().any(is_sender) {
            return Err(Status::EACCES);
        }
        // A full inbox is as good as a lost packet.
        let _ = self.inbox.try_send(Input::Message(message));
        Ok(())
    }

    /// Has a decision agreed upon.
    pub(super) async fn decide(&self, decision: GroupStorage) -> Result<(), Status> {
        let (answer, answered) = oneshot::channel();
        let proposed = self.inbox.try_send(Input::Propose(decision, answer));
        proposed.map_err(|_| Status::EBUSY)?;
        match timeout(DECISION_TIME_MAX, answered).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Status::EAGAIN),
            Err(_) => Err(Status::ETIMEDOUT),
        }
    }

    /// Whether a leader may decide. By consensus it cannot without a majority; by the old rule, one
    /// that reaches less than half of all trackers leaves it to others.
    pub(super) fn may_act(&self) -> bool {
        let known = self.known();
        let heard = known.iter().filter(|other| other.is_heard()).count();
        !follows_old_rule(&known) || (heard + 1) * 2 > known.len()
    }

    /// Whether the leader must be announced as the original does it.
    pub(super) fn follows_old_rule(&self) -> bool {
        follows_old_rule(&self.known())
    }

    fn send(&self, message: Message) {
        let known = self.known();
        if let Some(other) = known.iter().find(|other| other.id == message.to) {
            let _ = other.outbox.try_send(message);
        }
    }

    /// Takes note of what a tracker is, when it has just told.
    fn note(&self, addr: &TrackerAddr, kind: Kind) {
        if let Some(other) = self.known().iter_mut().find(|other| other.addr == *addr) {
            if other.kind != kind && kind == Kind::Original {
                tracing::info!(tracker = %addr, "is an original: leaders are announced");
            }
            (other.kind, other.heard) = (kind, Some(Instant::now()));
        }
    }

    /// Takes note that a tracker has answered.
    fn note_heard(&self, addr: &TrackerAddr) {
        if let Some(other) = self.known().iter_mut().find(|other| other.addr == *addr) {
            other.heard = Some(Instant::now());
        }
    }

    /// Adds those of a list that are new; the receivers of what is to be sent to them.
    fn meet(
        &self,
        me: &TrackerAddr,
        list: &[TrackerAddr],
    ) -> Vec<(TrackerAddr, mpsc::Receiver<Message>)> {
        let mut known = self.known();
        let mut new = Vec::new();
        for addr in list.iter().filter(|addr| *addr != me) {
            match known.iter_mut().find(|other| other.addr.is_same(addr)) {
                Some(_) => {}
                None => {
                    let (outbox, out) = mpsc::channel(MESSAGES_MAX);
                    let (id, kind, heard) = (member_id(addr), Kind::Unknown, None);
                    known.push(Other { addr: addr.clone(), id, kind, heard, outbox });
                    new.push((addr.clone(), out));
                }
            }
        }
        new
    }
}

fn follows_old_rule(known: &[Other]) -> bool {
    known.iter().any(|other| {
        other.kind == Kind::Original
            || matches!(other.kind, Kind::Ours { stage: OLD_RULE, .. } if other.is_heard())
    })
}

fn sees_original(known: &[Other]) -> bool {
    known.iter().any(|other| other.kind == Kind::Original)
}
