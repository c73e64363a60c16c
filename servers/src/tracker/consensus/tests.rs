//! Members joined in memory, with time moved by hand and packets lost by a seeded schedule.

use super::*;
use std::collections::BTreeSet;

/// A generator good enough for schedules.
struct Lots(u64);

impl Lots {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

struct Lab {
    members: Vec<Option<Consensus>>,
    disks: Vec<Option<Memory>>,
    ids: Vec<MemberId>,
    /// Members between which packets are lost: those of different numbers.
    sides: Vec<u8>,
    loss_percent: u64,
    lots: Lots,
    /// Decisions by their place in the log, from whoever told first.
    decided: BTreeMap<u64, GroupStorage>,
    leaders: BTreeMap<u64, MemberId>,
}

fn decision(number: u64) -> GroupStorage {
    let group = format!("group{}", number % 3);
    let id = format!("{number}");
    GroupStorage { group: group.as_str().try_into().unwrap(), id: id.as_str().try_into().unwrap() }
}

impl Lab {
    fn new(count: u64, seed: u64) -> Self {
        let ids: Vec<MemberId> = (1..=count).map(|at| at << 16 | 22122).collect();
        let members = ids.iter().map(|id| Some(Consensus::new(*id, None).unwrap())).collect();
        let mut lab = Self {
            members,
            disks: vec![None; ids.len()],
            sides: vec![0; ids.len()],
            ids,
            loss_percent: 0,
            lots: Lots(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            decided: BTreeMap::new(),
            leaders: BTreeMap::new(),
        };
        for at in 0..lab.ids.len() {
            lab.found(at);
        }
        lab
    }

    fn found(&mut self, at: usize) {
        let member = self.members[at].as_mut().unwrap();
        if let Some(memory) = member.found(self.ids.clone()).unwrap() {
            self.disks[at] = Some(memory);
        }
    }

    fn crash(&mut self, at: usize) {
        self.members[at] = None;
    }

    fn restart(&mut self, at: usize) {
        if self.members[at].is_none() {
            let member = Consensus::new(self.ids[at], self.disks[at].clone()).unwrap();
            self.members[at] = Some(member);
        }
    }

    /// Does what member `at` wants done, and passes on what follows from it.
    fn settle(&mut self, at: usize) {
        let mut pending = vec![at];
        while let Some(at) = pending.pop() {
            let Some(member) = self.members[at].as_mut() else { continue };
            let step = member.step();
            if let Some(memory) = step.save {
                self.disks[at] = Some(memory);
            }
            for (place, decision) in step.decided.into_iter().filter(|(place, _)| *place > 0) {
                let first = self.decided.entry(place).or_insert(decision.clone());
                assert_eq!(*first, decision, "two decisions at place {place}");
            }
            let (term, state) = (member.node.raft.term, member.node.raft.state);
            if state == StateRole::Leader {
                let first = *self.leaders.entry(term).or_insert(member.id());
                assert_eq!(first, member.id(), "two leaders in term {term}");
            }
            for message in step.send {
                let to = self.ids.iter().position(|id| *id == message.to).unwrap();
                let lost =
                    self.sides[at] != self.sides[to] || self.lots.below(100) < self.loss_percent;
                // As it would cross the network.
                let message = Message::decode(&message.encode()).unwrap();
                if let Some(member) = self.members[to].as_mut().filter(|_| !lost) {
                    member.receive(message);
                    pending.push(to);
                }
            }
        }
    }

    fn run(&mut self, ticks: usize) {
        for _ in 0..ticks {
            for at in 0..self.members.len() {
                if let Some(member) = self.members[at].as_mut() {
                    member.tick();
                    self.settle(at);
                }
            }
        }
    }

    fn leaders_now(&self) -> Vec<usize> {
        let leads = |member: &Option<Consensus>| member.as_ref().is_some_and(Consensus::is_leader);
        (0..self.members.len()).filter(|at| leads(&self.members[*at])).collect()
    }

    fn propose(&mut self, at: usize, number: u64) -> bool {
        let Some(member) = self.members[at].as_mut() else { return false };
        let proposed = member.is_leader() && member.propose(&decision(number)).is_ok();
        self.settle(at);
        proposed
    }

    fn table(&self, at: usize) -> &BTreeMap<Group, StorageId> {
        self.members[at].as_ref().unwrap().decisions()
    }
}

/// Longest time until a leader is found when all is well.
const CALM_TICKS: usize = 6 * ELECTION_TICKS;

#[test]
fn trackers_are_named_by_address_and_lists_compared_in_any_order() {
    let list: Vec<TrackerAddr> =
        ["10.0.0.1:22122", "10.0.0.2:22122", "[fd00::1]:22122", "t.example:22122"]
            .map(|addr| addr.parse().unwrap())
            .to_vec();
    let ids: BTreeSet<MemberId> = list.iter().map(member_id).collect();
    assert_eq!(ids.len(), list.len());
    let mut other = list.clone();
    other.reverse();
    assert_eq!(electorate(&list), electorate(&other));
    assert_ne!(electorate(&list), electorate(&list[..2]));
    assert_ne!(electorate(&[]), 0);
}

#[test]
fn one_leads_and_all_learn_what_it_decides() {
    let mut lab = Lab::new(3, 1);
    assert_eq!(lab.members[0].as_ref().unwrap().stage(), Stage::Founded);
    lab.run(CALM_TICKS);
    let leaders = lab.leaders_now();
    assert_eq!(leaders.len(), 1);
    assert_eq!(lab.members[1].as_ref().unwrap().stage(), Stage::Member);
    assert!(lab.propose(leaders[0], 1) && lab.propose(leaders[0], 2));
    lab.run(2 * HEARTBEAT_TICKS);
    for at in 0..3 {
        assert_eq!(lab.table(at).len(), 2, "{at}");
    }
}

#[test]
fn a_leader_that_is_cut_off_decides_nothing_and_steps_down() {
    let mut lab = Lab::new(3, 2);
    lab.run(CALM_TICKS);
    let old = lab.leaders_now()[0];
    lab.sides[old] = 1;
    assert!(lab.propose(old, 7), "it does not know yet");
    lab.run(CALM_TICKS);
    let leaders = lab.leaders_now();
    assert_eq!(leaders.len(), 1);
    assert_ne!(leaders[0], old);
    assert!(lab.table(old).is_empty(), "a minority decides nothing");
    assert!(lab.propose(leaders[0], 8));
    lab.sides[old] = 0;
    lab.run(CALM_TICKS);
    let expected = BTreeMap::from([(decision(8).group, decision(8).id)]);
    for at in 0..3 {
        assert_eq!(lab.table(at), &expected, "{at}");
    }
}

#[test]
fn two_of_two_are_needed() {
    let mut lab = Lab::new(2, 3);
    lab.run(CALM_TICKS);
    let leader = lab.leaders_now()[0];
    lab.crash(1 - leader);
    lab.run(CALM_TICKS);
    assert!(lab.leaders_now().is_empty());
    lab.restart(1 - leader);
    lab.run(CALM_TICKS);
    assert_eq!(lab.leaders_now().len(), 1);
}

#[test]
fn a_newcomer_is_brought_in_and_catches_up_on_a_folded_log() {
    let mut lab = Lab::new(3, 4);
    lab.run(CALM_TICKS);
    let leader = lab.leaders_now()[0];
    for number in 0..200 {
        assert!(lab.propose(leader, number));
    }
    let len = lab.disks[leader].as_ref().unwrap().entries.0.len();
    assert!(len <= 70, "{len} entries kept");
    let id = 9 << 16 | 22122;
    lab.ids.push(id);
    lab.sides.push(0);
    lab.disks.push(None);
    lab.members.push(Some(Consensus::new(id, None).unwrap()));
    lab.members[leader].as_mut().unwrap().change_members(id, true);
    lab.settle(leader);
    lab.run(CALM_TICKS);
    assert_eq!(lab.table(3), lab.table(leader));
    assert_eq!(lab.members[3].as_ref().unwrap().members().len(), 4);
    // It counts now: two of the four are not enough.
    let leader = lab.leaders_now()[0];
    for at in (0..4).filter(|at| *at != leader).take(2) {
        lab.crash(at);
    }
    lab.run(CALM_TICKS);
    assert!(lab.leaders_now().is_empty());
}

#[test]
fn what_comes_from_the_network_is_taken_apart_within_bounds() {
    let mut lab = Lab::new(3, 5);
    lab.run(CALM_TICKS);
    let mut lots = Lots(77);
    let member = lab.members[0].as_mut().unwrap();
    let (term, to) = (member.node.raft.term, member.id());
    let _ = member.step();
    for _ in 0..20_000 {
        // Mostly zeros, so that counts are plausible and decoding gets far.
        let bytes: Vec<u8> = (0..lots.below(240))
            .map(|_| if lots.below(5) == 0 { u8::try_from(lots.below(256)).unwrap() } else { 0 })
            .collect();
        if let Ok(mut message) = Message::decode(&bytes) {
            message.to = to;
            message.term = message.term.min(term);
            let _ = from_wire(message);
        }
    }
}

#[test]
fn whatever_is_lost_cut_or_killed_there_is_one_leader_a_term_and_one_history() {
    for seed in 1..=100 {
        let count = 2 + seed % 4;
        let mut lab = Lab::new(count, seed);
        let mut number = 0;
        for _ in 0..60 {
            match lab.lots.below(6) {
                0 => {
                    let at = usize::try_from(lab.lots.below(count)).unwrap();
                    lab.crash(at);
                }
                1 => (0..lab.ids.len()).for_each(|at| lab.restart(at)),
                2 => {
                    for at in 0..lab.sides.len() {
                        lab.sides[at] = u8::try_from(lab.lots.below(2)).unwrap();
                    }
                }
                3 => lab.loss_percent = lab.lots.below(60),
                _ => {
                    for at in 0..lab.ids.len() {
                        number += 1;
                        lab.propose(at, number);
                    }
                }
            }
            let ticks = usize::try_from(lab.lots.below(20)).unwrap();
            lab.run(ticks);
        }
        lab.sides.fill(0);
        lab.loss_percent = 0;
        (0..lab.ids.len()).for_each(|at| lab.restart(at));
        lab.run(4 * CALM_TICKS);
        let leaders = lab.leaders_now();
        assert_eq!(leaders.len(), 1, "seed {seed}");
        assert!(lab.propose(leaders[0], number + 1), "seed {seed}");
        lab.run(2 * CALM_TICKS);
        for at in 1..lab.ids.len() {
            assert_eq!(lab.table(at), lab.table(0), "seed {seed}");
        }
    }
}

/// Two whose clocks tick together, and whose messages cross: neither ever knows of the other's
/// wish in time, unless they wait for different times.
#[test]
fn members_that_tick_together_do_not_stand_together_for_ever() {
    for port in 22122..22186 {
        let ids = [22121, port].map(|port| u64::from(u32::from(Ipv4Addr::LOCALHOST)) << 16 | port);
        let mut members = ids.map(|id| Consensus::new(id, None).unwrap());
        for member in &mut members {
            member.found(ids.to_vec()).unwrap();
        }
        let has_leader = (0..40 * ELECTION_TICKS).any(|_| {
            let mut said: Vec<Message> = Vec::new();
            for member in &mut members {
                member.tick();
            }
            // All that follows from it until the next tick.
            loop {
                said.extend(members.iter_mut().flat_map(|member| member.step().send));
                if said.is_empty() {
                    break;
                }
                for message in std::mem::take(&mut said) {
                    let to = ids.iter().position(|id| *id == message.to).unwrap();
                    members[to].receive(message);
                }
            }
            members.iter().any(Consensus::is_leader)
        });
        assert!(has_leader, "ports 22121 and {port} never agree");
    }
}
