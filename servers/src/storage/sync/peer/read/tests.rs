//! Random binlogs, sent to a peer that fails now and then: whatever happens, what is done to one
//! file is done in the order of its records.

use super::*;
use crate::storage::binlog::file_path;
use crate::storage::sync::reader::Extra;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

/// Random binlogs tried.
const SEEDS: u64 = 150;
/// Records of each.
const RECORDS: usize = 300;

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }
}

/// The number of a record, which stands where its time would, and the files it touches.
fn touched(entry: &Entry) -> (i64, Vec<String>) {
    let mut names = vec![entry.name.to_string()];
    if let Extra::Name(name) = entry.extra {
        names.push(name.to_string());
    }
    (entry.time, names)
}

/// Writes a binlog of three files; returns where it ends and the records that a peer is to get.
fn write(dir: &Path, random: &mut Random) -> (Position, Vec<i64>) {
    let (mut texts, mut wanted) = (vec![String::new(); 3], Vec::new());
    for number in 0..RECORDS {
        let text = &mut texts[number * 3 / RECORDS];
        let (name, other) = (random.below(12), random.below(12));
        if random.below(20) == 0 {
            writeln!(text, "{number} L  junk").unwrap();
            continue;
        }
        let letter = ["C", "A", "D", "U", "M", "T", "L", "R", "c", "d", "a"][random.below(11)];
        let extra = match letter {
            "A" | "M" | "T" | "a" => " 0 5".to_owned(),
            "L" | "R" => format!(" f{other}"),
            _ => String::new(),
        };
        writeln!(text, "{number} {letter} f{name}{extra}").unwrap();
        if letter.chars().all(char::is_uppercase) {
            wanted.push(i64::try_from(number).unwrap());
        }
    }
    for (index, text) in (0..).zip(&texts) {
        std::fs::write(file_path(dir, index), text).unwrap();
    }
    (Position { index: 2, offset: texts[2].len() as u64 }, wanted)
}

/// Sends a batch as the peer may see it: in any order, and some of it in vain. Returns how many
/// records from the first on succeeded.
fn send(
    batch: &[(Entry, Position)],
    random: &mut Random,
    done: &mut Vec<(i64, Vec<String>)>,
) -> usize {
    let mut order: Vec<usize> = (0..batch.len()).collect();
    for at in (1..order.len()).rev() {
        order.swap(at, random.below(at + 1));
    }
    let mut failed = BTreeSet::new();
    for at in order {
        match random.below(15) {
            0 => {
                failed.insert(at);
            }
            _ => done.push(touched(&batch[at].0)),
        }
    }
    failed.first().copied().unwrap_or(batch.len())
}

/// The records of a binlog as they were done at the peer, repetitions included.
fn replicate(dir: &Path, end: Position, random: &mut Random) -> Vec<(i64, Vec<String>)> {
    let mark = Mark::default();
    let mut position = Position::default();
    let mut source = Source::new(BinlogReader::new(dir, position).unwrap());
    let mut done = Vec::new();
    while position < end {
        let most = 1 + random.below(9);
        let read = source.read(&mark, |_, _, _| None, most, end).unwrap();
        let entries = read.batch.into_entries();
        assert!(entries.len() <= most);
        let mut names = BTreeSet::new();
        for (_, touched) in entries.iter().map(|(entry, _)| touched(entry)) {
            let fresh: BTreeSet<String> = touched.into_iter().collect();
            assert!(names.is_disjoint(&fresh), "two at a time: {fresh:?}");
            names.extend(fresh);
        }
        let sent = send(&entries, random, &mut done);
        let resume = match sent {
            sent if sent == entries.len() => None,
            0 => Some(position),
            sent => Some(entries[sent - 1].1),
        };
        position = resume.unwrap_or(read.to);
        // A kill leaves no more than the mark, too.
        if resume.is_some() || random.below(10) == 0 {
            source = Source::new(BinlogReader::new(dir, position).unwrap());
        }
    }
    done
}

#[test]
fn what_is_done_to_a_file_is_done_in_the_order_of_its_records() {
    for seed in 1..=SEEDS {
        let dir = tempfile::tempdir().unwrap();
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (end, wanted) = write(dir.path(), &mut random);
        let done = replicate(dir.path(), end, &mut random);
        let numbers: BTreeSet<i64> = done.iter().map(|(number, _)| *number).collect();
        let wanted: BTreeSet<i64> = wanted.into_iter().collect();
        assert_eq!(numbers, wanted, "seed {seed}: each record arrives, and no other does");
        let mut last_of: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
        for (number, names) in &done {
            for name in names.iter().collect::<BTreeSet<_>>() {
                let so_far = last_of.entry(name).or_default();
                // Done again is done as often as it likes, if all that follows is done again, too.
                if let Some(at) = so_far.iter().position(|before| before == number) {
                    so_far.truncate(at);
                }
                so_far.push(*number);
            }
        }
        for (name, numbers) in last_of {
            let touches = |names: &Vec<String>| names.iter().any(|touched| touched == name);
            let all: BTreeSet<i64> = done
                .iter()
                .filter(|(_, names)| touches(names))
                .map(|(number, _)| *number)
                .collect();
            assert_eq!(numbers, all.into_iter().collect::<Vec<_>>(), "seed {seed}: {name}");
        }
    }
}
