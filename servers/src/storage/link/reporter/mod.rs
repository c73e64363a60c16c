//! The conversation with one tracker, from joining to leaving, as a state machine without sockets
//! or clock (spec 03 §A2 to §A15, §E1). [`super::io`] carries out its actions.

mod joining;
mod reporting;
#[cfg(test)]
mod tests;

use super::changelog::Lines;
use super::shared::{Profile, Shared};
use fdfs_core::protocol::cluster::{DiskSpace, Joined, SyncSource};
use fdfs_core::protocol::stats::StorageStats;
use fdfs_core::protocol::tracker::{Brief, TrackerStatus};
use fdfs_core::protocol::{Command, Status, StorageStatus};
use fdfs_core::wire::{DecodeError, Rest, Wire};
use std::collections::VecDeque;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// How often a joined reporter looks whether something is due, and how long it waits before it
/// joins again after the conversation broke.
pub const TICK: Duration = Duration::from_secs(1);
/// How often a reporter looks whether it is its turn to ask, or to tell, who sends the old files.
const TURN_POLL: Duration = Duration::from_millis(100);

/// The counters that beats carry.
pub trait Figures {
    /// Raised by every change of [`Figures::stats`]; never 0.
    fn changes(&self) -> u64;
    /// All counters now.
    fn stats(&self) -> StorageStats;
}

/// What happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// The time slept has passed; also the first input.
    Woken,
    /// The connection stands.
    Connected {
        /// The tracker's address as it was dialled.
        tracker_ip: IpAddr,
    },
    /// The answer to [`Action::Send`] or [`Action::Ask`].
    Reply(Result<&'a [u8], Status>),
    /// The connection did not come about, or broke; for [`Action::Ask`], nobody answered.
    Lost,
    /// The space of all store paths, by index.
    Measured(Vec<DiskSpace>),
}

/// A request on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its number.
    pub command: Command,
    /// Its body.
    pub body: Rest,
}

/// What to do next. Each action but the sleeping ones is answered by one input.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Connect to the tracker.
    Connect,
    /// Send on this connection and read the reply.
    Send(Request),
    /// Send to the tracker with this index on a connection of its own.
    Ask(usize, Request),
    /// Look at the space of the store paths.
    Measure,
    /// Wake me at this time, connected or not.
    Sleep {
        /// The time.
        until: Duration,
    },
    /// Say QUIT, close the connection if there is one, and wake me at this time.
    Leave {
        /// The time.
        until: Duration,
        /// Why.
        reason: Reason,
    },
}

/// Why a reporter leaves a tracker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The connection failed; the cause is known to who held it.
    Lost,
    /// The tracker refused a request.
    Refused(Command, Status),
    /// A reply could not be read.
    Broken(Command, DecodeError),
    /// The tracker knows less of this storage than it does itself.
    KnowsLess,
    /// The tracker was told another status.
    Corrected(StorageStatus),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost => f.write_str("the connection failed"),
            Self::Refused(command, status) => {
                write!(f, "{command} was refused: status {status:#}{}", hint(*command, *status))
            }
            Self::Broken(command, error) => write!(f, "bad reply to {command}: {error}"),
            Self::KnowsLess => f.write_str("it must learn this storage's status anew"),
            Self::Corrected(status) => write!(f, "it was told the status {status}"),
        }
    }
}

/// What an operator can do about a refusal.
fn hint(command: Command, status: Status) -> &'static str {
    match (command, status) {
        (Command::STORAGE_JOIN, Status::EINVAL) => {
            "; port, store_path_count and subdir_count_per_path must be those of the group"
        }
        (Command::STORAGE_JOIN, Status::ENOENT) => {
            "; the tracker finds itself not in tracker_server, or this storage not in its ids"
        }
        (Command::STORAGE_JOIN, Status::ENOSPC) => "; the group or the tracker list is full",
        (Command::SYNC_DEST_REQ, Status::ENOENT) => "; no active storage can send the old files",
        _ => "",
    }
}

/// Where the conversation stands: the input that is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Sleeping without a connection.
    Away,
    Connecting,
    Joining,
    /// Another reporter asks who sends the old files.
    WaitingTurn,
    AskingSource,
    Notifying,
    /// Whether this tracker leads, after it did not know the source.
    AskingLead,
    /// The own status at tracker after tracker, after none knew the source.
    AskingStatus(usize),
    QueryingSource,
    /// At work, sleeping.
    Idle,
    Beating,
    ReadingLog,
    ReportingSync,
    Measuring,
    ReportingSpace,
    ReportingPeers,
    /// Whether the leader of before still leads; the new one.
    AskingOldLeader(usize, usize),
    /// Telling two leaders of each other; the one still to be told.
    Reselecting(Option<usize>),
    Correcting(StorageStatus),
}

/// What is to be sent before the next regular report.
#[derive(Debug)]
enum Errand {
    ReportPeers(Vec<Brief>),
    NoteTrunkServer(Brief),
    ReadLog,
    CheckOldLeader { old: usize, new: usize },
}

/// One tracker's reporter.
#[derive(Debug)]
pub struct Reporter {
    profile: Arc<Profile>,
    index: usize,
    state: State,
    /// The request under way, for messages.
    sent: Command,
    /// Whether this tracker was told who sends the old files.
    settled: Option<bool>,
    errands: VecDeque<Errand>,
    rejoin: bool,
    /// Whether a whole round of reports was heard on this connection.
    has_reported: bool,
    log: Lines,
    own_status_max: Option<StorageStatus>,
    beat_due: Duration,
    space_due: Duration,
    sync_due: Duration,
    sent_changes: u64,
    sent_synced: u64,
}

/// The next action, or why to leave.
type Step = Result<Action, Reason>;

impl Reporter {
    /// The reporter of the tracker with this index.
    pub fn new(profile: Arc<Profile>, index: usize) -> Self {
        Self {
            profile,
            index,
            state: State::Away,
            sent: Command::QUIT,
            settled: None,
            errands: VecDeque::new(),
            rejoin: false,
            has_reported: false,
            log: Lines::default(),
            own_status_max: None,
            beat_due: Duration::ZERO,
            space_due: Duration::ZERO,
            sync_due: Duration::ZERO,
            sent_changes: 0,
            sent_synced: 0,
        }
    }

    /// Whether it has joined and reports.
    fn is_working(&self) -> bool {
        use State as S;
        matches!(
            self.state,
            S::Idle
                | S::Beating
                | S::ReadingLog
                | S::ReportingSync
                | S::Measuring
                | S::ReportingSpace
                | S::ReportingPeers
                | S::AskingOldLeader(..)
                | S::Reselecting(_)
                | S::Correcting(_)
        )
    }

    /// Whether this tracker has heard all there is to tell, since the connection stands.
    pub fn has_reported(&self) -> bool {
        self.has_reported
    }

    /// Takes an input at the time `now` and tells what to do next.
    pub fn step(
        &mut self,
        input: Input<'_>,
        now: Duration,
        shared: &mut Shared,
        figures: &dyn Figures,
    ) -> Action {
        let was_working = self.is_working();
        let mut turn = Turn { reporter: self, now, shared, figures };
        let reason = match turn.take(input) {
            Ok(action) => return action,
            Err(reason) => reason,
        };
        turn.drop_connection();
        let wait = if was_working { TICK } else { self.profile.heart_beat_interval };
        Action::Leave { until: now + wait, reason }
    }
}

/// One step: the reporter and all that it may look at and change.
struct Turn<'t> {
    reporter: &'t mut Reporter,
    now: Duration,
    shared: &'t mut Shared,
    figures: &'t dyn Figures,
}

impl Turn<'_> {
    fn take(&mut self, input: Input<'_>) -> Step {
        if self.reporter.state == State::Joining
            && let Some(standing) = self.shared.standing(self.reporter.index)
        {
            standing.join_tried = true;
        }
        match (self.reporter.state, input) {
            (State::AskingStatus(at), Input::Reply(Err(Status::ENOENT))) => self.ask_status(at + 1),
            (State::AskingStatus(at), Input::Reply(Ok(body))) => {
                let told = StorageStatus(self.decode::<Brief>(body)?.status);
                let known = self.reporter.own_status_max;
                self.reporter.own_status_max = known.max(Some(told));
                self.ask_status(at + 1)
            }
            (State::AskingOldLeader(old, new), Input::Reply(Ok(body))) => {
                let leads = self.decode::<TrackerStatus>(body)?.is_leader != 0;
                self.old_leader_answered(old, new, leads)
            }
            // One that is gone or refuses does not lead any more.
            (State::AskingOldLeader(old, new), Input::Reply(Err(_)) | Input::Lost) => {
                self.old_leader_answered(old, new, false)
            }
            (State::Reselecting(next), Input::Reply(_) | Input::Lost) => self.reselect(next),
            (_, Input::Lost) => Err(Reason::Lost),
            (State::Away, _) => {
                self.reporter.state = State::Connecting;
                Ok(Action::Connect)
            }
            (State::Connecting, Input::Connected { tracker_ip }) => self.connected(tracker_ip),
            (State::WaitingTurn, Input::Woken) => self.settle(),
            (State::Idle, Input::Woken) => self.work(),
            (State::Measuring, Input::Measured(spaces)) => {
                self.send(State::ReportingSpace, Command::REPORT_DISK_USAGE, &spaces)
            }
            (_, Input::Reply(reply)) => self.replied(reply),
            // Nothing else is ever awaited; starting anew is always right.
            (_, Input::Woken | Input::Connected { .. } | Input::Measured(_)) => Err(Reason::Lost),
        }
    }

    fn replied(&mut self, reply: Result<&[u8], Status>) -> Step {
        let command = self.reporter.sent;
        match (self.reporter.state, reply) {
            (State::Notifying, Err(status)) => self.notify_refused(status),
            (State::AskingLead, reply) => {
                // A tracker that knows no group yet refuses, and leads nobody.
                let leads = match reply {
                    Ok(body) => self.decode::<TrackerStatus>(body)?.is_leader != 0,
                    Err(_) => false,
                };
                self.forget_source_if(leads)
            }
            (State::ReadingLog, Err(Status::ENOENT)) => self.work(),
            (State::Correcting(status), _) => Err(Reason::Corrected(status)),
            (_, Err(status)) => Err(Reason::Refused(command, status)),
            (State::Joining, Ok(body)) => {
                let joined = self.decode::<Joined>(body)?;
                self.joined(&joined)
            }
            (State::AskingSource, Ok(body)) => {
                let source = self.decode::<Option<SyncSource>>(body)?;
                self.source_answered(source.as_ref())
            }
            (State::Notifying, Ok(_)) => self.notified(),
            (State::QueryingSource, Ok(body)) => {
                let source = self.decode::<Option<SyncSource>>(body)?;
                self.source_queried(source.as_ref())
            }
            (State::Beating, Ok(body)) => {
                self.beaten();
                let list = self.decode(body)?;
                self.take_list(list)?;
                if self.reporter.profile.follows_changelog {
                    self.reporter.errands.push_back(Errand::ReadLog);
                }
                self.work()
            }
            (State::ReadingLog, Ok(body)) => self.read_log(body),
            (State::ReportingSync | State::ReportingSpace, Ok(body)) => {
                let list = self.decode(body)?;
                if self.reporter.state == State::ReportingSpace {
                    self.space_reported();
                }
                self.take_list(list)?;
                self.work()
            }
            (State::ReportingPeers, Ok(_)) => self.work(),
            _ => Err(Reason::Lost),
        }
    }

    fn decode<T: Wire>(&self, body: &[u8]) -> Result<T, Reason> {
        T::decode(body).map_err(|error| Reason::Broken(self.reporter.sent, error))
    }

    fn request(&mut self, state: State, command: Command, body: &impl Wire) -> Request {
        self.reporter.state = state;
        self.reporter.sent = command;
        Request { command, body: Rest(body.encode().to_vec()) }
    }

    fn send(&mut self, state: State, command: Command, body: &impl Wire) -> Step {
        Ok(Action::Send(self.request(state, command, body)))
    }

    fn ask(&mut self, tracker: usize, state: State, command: Command, body: &impl Wire) -> Step {
        Ok(Action::Ask(tracker, self.request(state, command, body)))
    }

    fn expect(&mut self, next: impl FnOnce(StorageStatus) -> StorageStatus) {
        if let Some(standing) = self.shared.standing(self.reporter.index) {
            standing.expected = standing.expected.map(next);
        }
    }

    fn told(&mut self, status: StorageStatus) {
        if let Some(standing) = self.shared.standing(self.reporter.index) {
            standing.told = Some(status);
            standing.expected = Some(status);
        }
    }

    fn space_reported(&mut self) {
        self.reporter.has_reported = true;
        if let Some(standing) = self.shared.standing(self.reporter.index) {
            standing.knows_space = true;
        }
    }

    fn drop_connection(&mut self) {
        self.reporter.state = State::Away;
        self.reporter.has_reported = false;
        if self.shared.asking == Some(self.reporter.index) {
            self.shared.asking = None;
        }
        if let Some(standing) = self.shared.standing(self.reporter.index) {
            standing.expected = None;
            standing.knows_space = false;
        }
    }
}
