//! A batch handed out to connections as they become free (spec 03 §C5). Pure.
//!
//! The peer takes the times of what the first connection brings for how far it has come. So that
//! one takes records from the front, in their order, and all others take them from the back: what
//! it carries is always older than everything else that is unfinished.

use super::reader::Entry;
use crate::storage::binlog::Position;
use std::collections::VecDeque;

/// Records for one connection, each with its number in the batch.
pub(super) type Turn = Vec<(usize, Entry)>;

/// What is left of a batch, and how far it is finished.
#[derive(Debug)]
pub(super) struct Handout {
    rest: VecDeque<(usize, Entry)>,
    /// Where each record ends, and whether the peer has it.
    records: Vec<(Position, bool)>,
    /// So many from the first on are finished.
    finished: usize,
    /// The first record that failed.
    failed: Option<usize>,
    parts: usize,
}

impl Handout {
    /// A batch of which no turn is more than one of so many parts of what is left.
    pub(super) fn new(entries: Vec<(Entry, Position)>, parts: usize) -> Self {
        let records = entries.iter().map(|(_, end)| (*end, false)).collect();
        let rest = entries.into_iter().map(|(entry, _)| entry).enumerate().collect();
        Self { rest, records, finished: 0, failed: None, parts }
    }

    /// Takes up to `most` records for a connection. Towards the end they become fewer, so that no
    /// connection waits long for another.
    pub(super) fn take(&mut self, is_first: bool, most: usize) -> Turn {
        let left = self.rest.len();
        let len = left.div_ceil(self.parts.max(1)).clamp(1, most.max(1)).min(left);
        match is_first {
            true => self.rest.drain(..len).collect(),
            false => self.rest.drain(left - len..).collect(),
        }
    }

    /// Notes records that the peer has.
    pub(super) fn finish(&mut self, number: usize) {
        if let Some((_, is_finished)) = self.records.get_mut(number) {
            *is_finished = true;
        }
        while self.records.get(self.finished).is_some_and(|(_, is_finished)| *is_finished) {
            self.finished += 1;
        }
    }

    /// Notes a record that the peer may not have. Those behind it are not begun any more, those
    /// before it are: the mark gets as far as it can.
    pub(super) fn fail(&mut self, number: usize) {
        let failed = self.failed.map_or(number, |failed| failed.min(number));
        self.failed = Some(failed);
        self.rest.retain(|(number, _)| *number < failed);
    }

    /// How many from the first on the peer has, and where the last of them ends.
    pub(super) fn finished(&self) -> (usize, Option<Position>) {
        let last = self.finished.checked_sub(1).and_then(|last| self.records.get(last));
        (self.finished, last.map(|(end, _)| *end))
    }

    /// Whether the peer has all.
    pub(super) fn is_done(&self) -> bool {
        self.finished == self.records.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::binlog::Operation;
    use crate::storage::sync::reader::Extra;
    use fdfs_core::protocol::Name;

    fn handout(len: u64, conns: usize) -> Handout {
        let name = Name::new(b"a").unwrap();
        let entry = |time| Entry {
            time,
            operation: Operation::Create,
            replica: false,
            name,
            extra: Extra::Nothing,
            offer: None,
        };
        let end = |number| Position { index: 0, offset: number };
        Handout::new((1..=len).map(|number| (entry(1), end(number))).collect(), conns)
    }

    fn numbers(turn: &Turn) -> Vec<usize> {
        turn.iter().map(|(number, _)| *number).collect()
    }

    #[test]
    fn the_first_connection_never_carries_what_others_have_something_older_than() {
        for seed in 1..200_u64 {
            let mut random = seed;
            let mut below = |end: usize| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                usize::try_from(random >> 33).unwrap() % end
            };
            let (len, conns) = (1 + below(60), 1 + below(5));
            let mut handout = handout(len as u64, conns);
            let mut carried: Vec<Vec<usize>> = vec![Vec::new(); conns];
            let mut finished = 0;
            while !handout.is_done() {
                let conn = below(conns);
                if carried[conn].is_empty() {
                    carried[conn] = numbers(&handout.take(conn == 0, 1 + below(8)));
                } else {
                    handout.finish(carried[conn].remove(0));
                    finished += 1;
                }
                let (first, others) = carried.split_first().unwrap();
                let oldest = others.iter().flatten().min();
                let newest = first.iter().max();
                assert!(newest.is_none_or(|at| oldest.is_none_or(|oldest| at < oldest)), "{seed}");
                let (prefix, end) = handout.finished();
                assert!(prefix <= finished);
                assert_eq!(end.map_or(0, |end| end.offset), prefix as u64);
            }
            assert_eq!(finished, len, "each once");
        }
    }

    #[test]
    fn after_a_failure_only_what_was_before_is_done() {
        let mut handout = handout(10, 2);
        let (front, back) = (handout.take(true, 2), handout.take(false, 2));
        assert_eq!((numbers(&front), numbers(&back)), (vec![0, 1], vec![8, 9]));
        handout.fail(8);
        handout.finish(9);
        handout.finish(0);
        assert_eq!(numbers(&handout.take(false, 3)), [5, 6, 7]);
        handout.fail(6);
        handout.fail(7);
        assert_eq!(numbers(&handout.take(true, 9)), [2, 3]);
        assert_eq!(numbers(&handout.take(true, 9)), [4]);
        assert!(handout.take(true, 9).is_empty());
        for number in 1..6 {
            handout.finish(number);
        }
        assert_eq!(handout.finished(), (6, Some(Position { index: 0, offset: 6 })));
        assert!(!handout.is_done());
    }
}
