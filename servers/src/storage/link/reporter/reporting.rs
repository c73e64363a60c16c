//! Reporting, and following what the replies tell (spec 03 §A3, §A7, §A10 to §A15).

use super::{Action, Errand, Reason, State, Step, TICK, Turn};
use fdfs_core::protocol::cluster::ChangeList;
use fdfs_core::protocol::tracker::Brief;
use fdfs_core::protocol::{Command, StorageStatus};

impl Turn<'_> {
    /// Does what is due, or sleeps until the next tick.
    pub(super) fn work(&mut self) -> Step {
        if let Some(errand) = self.reporter.errands.pop_front() {
            return self.run(errand);
        }
        if self.reporter.rejoin {
            return Err(Reason::KnowsLess);
        }
        let (now, reporter) = (self.now, &mut *self.reporter);
        if now >= reporter.beat_due {
            reporter.beat_due = now + reporter.profile.heart_beat_interval;
            return self.beat();
        }
        let synced = self.shared.peers.synced_changes();
        if now >= reporter.sync_due && synced != reporter.sent_synced {
            reporter.sync_due = now + reporter.profile.heart_beat_interval;
            reporter.sent_synced = synced;
            let report = self.shared.peers.synced();
            return self.send(State::ReportingSync, Command::SYNC_REPORT, &report);
        }
        if now >= reporter.space_due {
            reporter.space_due = now + reporter.profile.stat_report_interval;
            reporter.state = State::Measuring;
            return Ok(Action::Measure);
        }
        if let Some(status) = self.shared.correction(reporter.index) {
            return self.send(State::Correcting(status), Command::CHANGE_STATUS, &status.0);
        }
        reporter.state = State::Idle;
        let due = reporter.beat_due.min(reporter.space_due).min(now + TICK);
        Ok(Action::Sleep { until: due })
    }

    pub(super) fn run(&mut self, errand: Errand) -> Step {
        match errand {
            Errand::ReportPeers(peers) => {
                self.send(State::ReportingPeers, Command::REPLICA_CHANGE, &peers)
            }
            Errand::NoteTrunkServer(server) => {
                if self.shared.peers.leader() == Some(self.reporter.index) {
                    let server = Some(server).filter(|server| !server.ip.is_empty());
                    self.shared.peers.set_trunk_server(server);
                }
                self.work()
            }
            Errand::ReadLog => self.send(State::ReadingLog, Command::CHANGELOG, &()),
            Errand::CheckOldLeader { old, new } => {
                let state = State::AskingOldLeader(old, new);
                self.ask(old, state, Command::TRACKER_STATUS, &())
            }
        }
    }

    pub(super) fn beat(&mut self) -> Step {
        // Read before the figures: what changes in between is sent once more, not lost.
        let changes = self.figures.changes();
        let changed = changes != self.reporter.sent_changes;
        self.reporter.sent_changes = changes;
        let body = changed.then(|| self.figures.stats());
        self.send(State::Beating, Command::STORAGE_BEAT, &body)
    }

    pub(super) fn beaten(&mut self) {
        use StorageStatus as S;
        self.expect(|status| match status {
            S::OFFLINE | S::ONLINE | S::RECOVERY => S::ACTIVE,
            status => status,
        });
    }

    pub(super) fn read_log(&mut self, body: &[u8]) -> Step {
        let profile = self.reporter.profile.clone();
        let group = profile.group.to_string();
        for departure in self.reporter.log.feed(body, &group) {
            self.shared.depart(departure, profile.use_ids);
        }
        self.work()
    }

    /// Takes over what changed. Unlike the original, a body without a byte is not read as "no
    /// change": trackers send it only with an error.
    pub(super) fn take_list(&mut self, list: ChangeList) -> Result<(), Reason> {
        if let Some(leader) = &list.leader {
            self.note_leader(leader);
        }
        if let Some(server) = list.trunk {
            // After the question to the old leader, which decides whether this tracker is heard.
            self.reporter.errands.push_back(Errand::NoteTrunkServer(server));
        }
        let Some(servers) = list.servers else { return Ok(()) };
        let me = self.reporter.profile.id;
        let merged = self.shared.peers.merge(&servers, &me);
        if let Some(own) = servers.iter().find(|server| server.id == me) {
            self.told(StorageStatus(own.status));
        }
        if !merged.differing.is_empty() {
            self.reporter.errands.push_back(Errand::ReportPeers(merged.differing));
        }
        self.reporter.rejoin |= merged.rejoin;
        Ok(())
    }

    /// A new leader is believed once the one of before has stepped down.
    pub(super) fn note_leader(&mut self, told: &Brief) {
        if told.ip.is_empty() {
            return self.shared.peers.set_leader(None);
        }
        let Some(new) = self.shared.tracker_at(told) else {
            tracing::warn!(leader = %told.ip, port = told.port,
                "the leading tracker is not in tracker_server");
            return;
        };
        match self.shared.peers.leader() {
            Some(old) if old != new => {
                self.reporter.errands.push_back(Errand::CheckOldLeader { old, new });
            }
            _ => self.shared.peers.set_leader(Some(new)),
        }
    }

    pub(super) fn old_leader_answered(&mut self, old: usize, new: usize, leads: bool) -> Step {
        if !leads {
            self.shared.peers.set_leader(Some(new));
            return self.work();
        }
        self.shared.peers.set_leader(None);
        self.ask(old, State::Reselecting(Some(new)), Command::NOTIFY_RESELECT_LEADER, &())
    }

    pub(super) fn reselect(&mut self, next: Option<usize>) -> Step {
        match next {
            Some(next) => {
                self.ask(next, State::Reselecting(None), Command::NOTIFY_RESELECT_LEADER, &())
            }
            None => self.work(),
        }
    }
}
