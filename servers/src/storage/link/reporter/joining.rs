//! Joining, and settling who sends the old files (spec 03 §A2, §A8).

use super::super::changelog::Lines;
use super::super::shared::Standing;
use super::{Action, Reason, State, Step, TURN_POLL, Turn};
use fdfs_core::config::TrackerAddr;
use fdfs_core::protocol::cluster::{Joined, SyncSource};
use fdfs_core::protocol::tracker::StorageAt;
use fdfs_core::protocol::{Command, Status, StorageStatus};
use fdfs_core::wire::Text;
use std::net::IpAddr;

impl Turn<'_> {
    pub(super) fn connected(&mut self, tracker_ip: IpAddr) -> Step {
        let reporter = &mut *self.reporter;
        reporter.errands.clear();
        reporter.log = Lines::default();
        reporter.rejoin = false;
        (reporter.sent_changes, reporter.sent_synced) = (0, 0);
        let settled = *reporter.settled.get_or_insert_with(|| self.shared.flag().sync_old_done);
        let join = self.shared.join(&reporter.profile, tracker_ip, settled);
        self.send(State::Joining, Command::STORAGE_JOIN, &join)
    }

    pub(super) fn joined(&mut self, joined: &Joined) -> Step {
        self.told(StorageStatus(joined.status));
        self.settle()
    }

    /// Asks who sends the old files when that is this reporter's part, else tells it.
    pub(super) fn settle(&mut self) -> Step {
        if self.reporter.settled == Some(true) || self.shared.flag().sync_old_done {
            return self.notify();
        }
        if *self.shared.asking.get_or_insert(self.reporter.index) != self.reporter.index {
            self.reporter.state = State::WaitingTurn;
            return Ok(Action::Sleep { until: self.now + TURN_POLL });
        }
        self.send(State::AskingSource, Command::SYNC_DEST_REQ, &())
    }

    pub(super) fn source_answered(&mut self, source: Option<&SyncSource>) -> Step {
        self.shared.asking = None;
        let status = match source {
            Some(_) => StorageStatus::WAIT_SYNC,
            None => StorageStatus::ONLINE,
        };
        self.expect(|_| status);
        if let Some(source) = source {
            self.shared.set_sync_source(Some(source));
        }
        self.shared.change_flag(|flag| flag.sync_old_done = true);
        self.notify()
    }

    pub(super) fn notify(&mut self) -> Step {
        let source = self.shared.sync_source();
        self.send(State::Notifying, Command::SYNC_NOTIFY, &source)
    }

    pub(super) fn notified(&mut self) -> Step {
        use StorageStatus as S;
        let has_source = !self.shared.flag().sync_source.is_empty();
        self.expect(|status| match (has_source, status) {
            (false, S::INIT | S::WAIT_SYNC | S::SYNCING) => S::ONLINE,
            (true, S::INIT) => S::WAIT_SYNC,
            (_, status) => status,
        });
        if let Some(standing) = self.shared.standing(self.reporter.index) {
            standing.notified = Some(Status::OK);
        }
        let reporter = &mut *self.reporter;
        reporter.settled = Some(true);
        // All is due at once but the report of arrived files, of which there are none yet.
        (reporter.beat_due, reporter.space_due) = (self.now, self.now);
        reporter.sync_due = self.now + reporter.profile.heart_beat_interval;
        self.work()
    }

    pub(super) fn notify_refused(&mut self, status: Status) -> Step {
        if let Some(standing) = self.shared.standing(self.reporter.index) {
            standing.notified = Some(status);
        }
        if status != Status::ENOENT {
            return Err(Reason::Refused(Command::SYNC_NOTIFY, status));
        }
        match self.shared.peers.leader() {
            Some(leader) => self.forget_source_if(leader == self.reporter.index),
            None => self.send(State::AskingLead, Command::TRACKER_STATUS, &()),
        }
    }

    /// The leading tracker does not know the source: then there is none. When no tracker knows
    /// it, this storage may have to be filled anew.
    pub(super) fn forget_source_if(&mut self, leads: bool) -> Step {
        if leads {
            self.shared.set_sync_source(None);
        }
        let unknown = |s: &Standing| s.notified == Some(Status::ENOENT);
        if self.shared.standings.iter().all(unknown) {
            self.reporter.own_status_max = None;
            return self.ask_status(0);
        }
        Err(Reason::Refused(Command::SYNC_NOTIFY, Status::ENOENT))
    }

    pub(super) fn ask_status(&mut self, at: usize) -> Step {
        if at >= self.shared.trackers.len() {
            return self.send(State::QueryingSource, Command::SYNC_DEST_QUERY, &());
        }
        let profile = &self.reporter.profile;
        let own = TrackerAddr { hosts: vec![profile.ip.clone()], port: profile.port };
        let address = Text::new(own.to_string().as_bytes()).unwrap_or_default();
        let request = StorageAt { group: profile.group, address };
        self.ask(at, State::AskingStatus(at), Command::GET_STORAGE_STATUS, &request)
    }

    pub(super) fn source_queried(&mut self, source: Option<&SyncSource>) -> Step {
        self.shared.set_sync_source(source);
        let lacks_files =
            self.reporter.own_status_max.is_some_and(|status| status < StorageStatus::OFFLINE);
        if lacks_files && self.shared.flag().sync_old_done {
            self.shared.change_flag(|flag| flag.sync_old_done = false);
            self.reporter.settled = Some(false);
        }
        Err(Reason::Refused(Command::SYNC_NOTIFY, Status::ENOENT))
    }
}
