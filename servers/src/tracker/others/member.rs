//! This tracker as a member of the consensus: time, packets and the disk of [`Consensus`].

use super::{Inbox, Input, Kind, OLD_RULE, sees_original};
use crate::daemon::blocking;
use crate::state_file::{read_optional, safe_write};
use crate::tracker::consensus::{Consensus, MemberId, Stage, electorate, member_id};
use crate::tracker::shared::Shared;
use fdfs_core::config::TrackerAddr;
use fdfs_core::protocol::Status;
use fdfs_core::protocol::cluster::GroupStorage;
use fdfs_core::protocol::consensus::{Hello, Memory};
use fdfs_core::wire::Wire as _;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// One tick of the consensus: a leader is missed after 2 to 4 s.
const TICK: Duration = Duration::from_millis(250);
/// Pause before this member begins anew, and between attempts to save.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Ticks between looks at who should be a member.
const TICKS_PER_REVIEW: u32 = 4;
/// Reviews during which a member that no storage names is kept: storages may still come that do.
const REVIEWS_UNNAMED_MAX: u32 = 600;
/// Decisions that may wait to be agreed upon.
const WAITING_MAX: usize = 64;
/// What a member must not forget, below `base_path`.
const FILE: &str = "data/.tracker_consensus";

/// Takes part for ever. A member that fails begins anew with what it has saved: nothing was said
/// that was not saved before.
pub(in crate::tracker) async fn run(shared: Arc<Shared>, inbox: Inbox) {
    let inbox = Arc::new(Mutex::new(inbox));
    loop {
        let mut task = JoinSet::new();
        task.spawn(take_part(shared.clone(), inbox.clone()));
        let error = match task.join_next().await {
            Some(Ok(Err(error))) => error.to_string(),
            Some(Err(panic)) => panic.to_string(),
            _ => return,
        };
        tracing::error!(error, file = %file(&shared).display(),
            "this tracker cannot take part in finding a leader, trying again");
        if shared.lock().agrees_by_consensus() {
            shared.lock().follow(None);
        }
        sleep(RETRY_PAUSE).await;
    }
}

fn file(shared: &Shared) -> PathBuf {
    shared.config.framework.base_path.join(FILE)
}

/// Reads what an earlier run saved. A damaged file is an error, not a fresh start: a member that
/// forgot its vote could give it twice.
fn load(path: &Path) -> io::Result<Option<Memory>> {
    let Some(bytes) = read_optional(path)? else { return Ok(None) };
    let split = bytes.len().checked_sub(4).map(|len| bytes.split_at(len));
    let memory = split.filter(|(body, sum)| crc32fast::hash(body).to_be_bytes() == **sum);
    let memory = memory.and_then(|(body, _)| Memory::decode(body).ok());
    let damaged = "is damaged; with most other trackers well, remove it and start this one again";
    memory.map(Some).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, damaged))
}

fn save(path: &Path, memory: &Memory) -> io::Result<()> {
    let mut bytes = memory.encode();
    let sum = crc32fast::hash(&bytes).to_be_bytes();
    bytes.extend_from_slice(&sum);
    safe_write(path, &bytes)
}

async fn take_part(shared: Arc<Shared>, inbox: Arc<Mutex<Inbox>>) -> io::Result<()> {
    let mut inbox = inbox.lock().await;
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut member: Option<Member> = None;
    loop {
        let input = tokio::select! {
            _ = ticks.tick() => None,
            input = inbox.recv() => match input {
                Some(input) => Some(input),
                None => return Ok(()),
            },
        };
        let Some((me, list)) = shared.lock().several_trackers() else { continue };
        let member = match &mut member {
            Some(member) => member,
            None => {
                let memory = load(&file(&shared))?;
                let consensus = Consensus::new(member_id(&me), memory);
                let consensus = consensus.map_err(io::Error::other)?;
                member.insert(Member {
                    shared: shared.clone(),
                    consensus,
                    waiting: Vec::new(),
                    unnamed: HashMap::new(),
                    ticks: 0,
                })
            }
        };
        member.turn(input, &me, &list).await;
    }
}

/// A decision proposed here, and who waits for it.
struct Proposal {
    /// In the log.
    place: u64,
    decision: GroupStorage,
    answer: oneshot::Sender<Result<(), Status>>,
}

struct Member {
    shared: Arc<Shared>,
    consensus: Consensus,
    waiting: Vec<Proposal>,
    /// Members that no storage names, and for how many reviews.
    unnamed: HashMap<MemberId, u32>,
    ticks: u32,
}

impl Member {
    /// Takes an input, or a tick of time, and does what follows from it.
    async fn turn(&mut self, input: Option<Input>, me: &TrackerAddr, list: &[TrackerAddr]) {
        let (old_rule, sees_original) = {
            let known = self.shared.others.known();
            (super::follows_old_rule(&known), sees_original(&known))
        };
        self.shared.lock().agree_by_consensus(!old_rule);
        let stage = if sees_original { OLD_RULE } else { self.consensus.stage() as u8 };
        *self.shared.others.own() = Hello { stage, electorate: electorate(list) };
        if old_rule {
            return;
        }
        match input {
            Some(Input::Message(message)) => self.consensus.receive(message),
            Some(Input::Propose(decision, answer)) => self.propose(decision, answer),
            None => {
                if self.consensus.stage() == Stage::Fresh {
                    self.found(list).await;
                }
                self.consensus.tick();
                self.ticks += 1;
                if self.ticks.is_multiple_of(TICKS_PER_REVIEW) {
                    self.review(list);
                }
            }
        }
        self.act().await;
        self.follow(me, list);
    }

    fn propose(&mut self, decision: GroupStorage, answer: oneshot::Sender<Result<(), Status>>) {
        let refused = match self.consensus.is_leader() && self.waiting.len() < WAITING_MAX {
            true => match self.consensus.propose(&decision) {
                Ok(place) => {
                    self.waiting.push(Proposal { place, decision, answer });
                    return;
                }
                Err(_) => Status::EBUSY,
            },
            false => Status::EOPNOTSUPP,
        };
        // Who asked may have gone.
        let _ = answer.send(Err(refused));
    }

    /// Founds a consensus once most trackers of the list are there, know the same list, and none
    /// remembers more than a beginning.
    async fn found(&mut self, list: &[TrackerAddr]) {
        let own = electorate(list);
        let ready = {
            let known = self.shared.others.known();
            let heard = || known.iter().filter(|other| other.is_heard());
            let is_past = |kind| matches!(kind, Kind::Ours { stage, .. } if stage > 1);
            let agrees = |kind| matches!(kind, Kind::Ours { electorate, .. } if electorate == own);
            let agreeing = 1 + heard().filter(|other| agrees(other.kind)).count();
            !heard().any(|other| is_past(other.kind)) && agreeing * 2 > list.len()
        };
        if !ready {
            return;
        }
        let voters = list.iter().map(member_id).collect();
        match self.consensus.found(voters) {
            Ok(Some(memory)) => {
                tracing::info!(trackers = list.len(), "founded a consensus of trackers");
                self.save(memory).await;
            }
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "cannot found a consensus of trackers"),
        }
    }

    /// As leader: brings in trackers that storages name, lets those go that none has named for
    /// long, and has agreed upon what was known before there was a consensus.
    fn review(&mut self, list: &[TrackerAddr]) {
        for (group, id) in self.consensus.decisions() {
            let decision = GroupStorage { group: *group, id: *id };
            self.shared.lock().trunk_decided(&decision);
        }
        if !self.consensus.is_leader() {
            self.unnamed.clear();
            return;
        }
        let members = self.consensus.members().to_vec();
        let known = self.shared.others.known();
        let is_ours =
            |other: &&super::Other| matches!(other.kind, Kind::Ours { .. }) && other.is_heard();
        let named: Vec<MemberId> = list.iter().map(member_id).collect();
        let came = known.iter().filter(is_ours).map(|other| other.id);
        let came = came.into_iter().find(|id| !members.contains(id) && named.contains(id));
        drop(known);
        self.unnamed.retain(|id, _| members.contains(id) && !named.contains(id));
        for id in members.iter().filter(|id| !named.contains(id)) {
            *self.unnamed.entry(*id).or_default() += 1;
        }
        let gone = self.unnamed.iter().filter(|(_, reviews)| **reviews > REVIEWS_UNNAMED_MAX);
        let gone = gone.map(|(id, _)| *id).min();
        match (came, gone) {
            (Some(id), _) => self.consensus.change_members(id, true),
            (None, Some(id)) => self.consensus.change_members(id, false),
            (None, None) => {}
        }
        let undecided = self.shared.lock().trunk_servers();
        for decision in undecided {
            if !self.consensus.decisions().contains_key(&decision.group) {
                let _ = self.consensus.propose(&decision);
            }
        }
    }

    /// Saves, sends and takes over what the consensus has come to, in this order.
    async fn act(&mut self) {
        let step = self.consensus.step();
        if let Some(memory) = step.save {
            self.save(memory).await;
        }
        for message in step.send {
            self.shared.others.send(message);
        }
        for (place, decision) in &step.decided {
            self.shared.lock().trunk_decided(decision);
            self.shared.changed.notify_one();
            for proposal in self.waiting.extract_if(.., |proposal| proposal.place == *place) {
                let is_it = proposal.decision == *decision;
                let _ = proposal.answer.send(if is_it { Ok(()) } else { Err(Status::EAGAIN) });
            }
        }
        if !self.consensus.is_leader() {
            for proposal in self.waiting.drain(..) {
                let _ = proposal.answer.send(Err(Status::EAGAIN));
            }
        }
    }

    async fn save(&self, memory: Memory) {
        let path = file(&self.shared);
        loop {
            let (path, memory) = (path.clone(), memory.clone());
            let saved = blocking(move || save(&path, &memory)).await;
            match saved.map_err(io::Error::other).and_then(|saved| saved) {
                Ok(()) => return,
                // What is not saved must not be said: the others do without this one meanwhile.
                Err(error) => tracing::error!(%error, "cannot save {FILE}, trying again"),
            }
            sleep(RETRY_PAUSE).await;
        }
    }

    fn follow(&self, me: &TrackerAddr, list: &[TrackerAddr]) {
        let leader = match self.consensus.leader() {
            Some(id) if id == self.consensus.id() => self.consensus.is_leader().then(|| me.clone()),
            Some(id) => list.iter().find(|tracker| member_id(tracker) == id).cloned(),
            None => None,
        };
        self.shared.lock().follow(leader);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fdfs_core::protocol::consensus::{Blob, Listed, Snapshot};

    #[test]
    fn what_is_remembered_comes_back_and_damage_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("memory");
        assert_eq!(load(&path).unwrap(), None);
        let base =
            Snapshot { index: 1, term: 1, voters: Listed(vec![1, 2]), data: Blob::default() };
        let memory = Memory { term: 5, vote: 2, commit: 1, base, entries: Listed(Vec::new()) };
        save(&path, &memory).unwrap();
        assert_eq!(load(&path).unwrap(), Some(memory));
        let good = std::fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            std::fs::write(&path, &bad).unwrap();
            assert!(load(&path).is_err(), "{at}");
            std::fs::write(&path, &good[..at]).unwrap();
            assert!(load(&path).is_err(), "{at}");
        }
    }
}
