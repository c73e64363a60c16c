//! All names of a group in order and once each, in bounded memory: sorted pieces in temporary
//! files, then merged.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Seek as _, Write as _};

/// Names in memory before they are written to a file: about 20 MB.
const HELD_MAX: usize = 200_000;
/// Files merged at a time; when there are as many, they become one.
const RUNS_MAX: usize = 64;

/// Takes names in any order.
#[derive(Debug)]
pub(super) struct Sorter {
    held: BTreeSet<Box<[u8]>>,
    held_max: usize,
    runs: Vec<File>,
    runs_max: usize,
}

impl Sorter {
    pub(super) fn new() -> Self {
        Self { held: BTreeSet::new(), held_max: HELD_MAX, runs: Vec::new(), runs_max: RUNS_MAX }
    }

    /// Adds a name, which must not contain a newline.
    pub(super) fn push(&mut self, name: &[u8]) -> io::Result<()> {
        if !self.held.contains(name) {
            self.held.insert(name.into());
        }
        if self.held.len() >= self.held_max { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> io::Result<()> {
        let held = std::mem::take(&mut self.held);
        self.runs.push(write_run(held.into_iter().map(Ok))?);
        if self.runs.len() >= self.runs_max {
            let merged = Merged::new(std::mem::take(&mut self.runs))?;
            self.runs.push(write_run(merged)?);
        }
        Ok(())
    }

    /// All names, in order.
    pub(super) fn finish(mut self) -> io::Result<Merged> {
        self.spill()?;
        Merged::new(self.runs)
    }
}

fn write_run<N: AsRef<[u8]>>(names: impl Iterator<Item = io::Result<N>>) -> io::Result<File> {
    let mut out = BufWriter::new(tempfile::tempfile()?);
    for name in names {
        out.write_all(name?.as_ref())?;
        out.write_all(b"\n")?;
    }
    let mut file = out.into_inner()?;
    file.rewind()?;
    Ok(file)
}

/// Sorted files read as one.
#[derive(Debug)]
pub(super) struct Merged {
    runs: Vec<BufReader<File>>,
    /// The next name of each file that has one.
    next: BinaryHeap<Reverse<(Vec<u8>, usize)>>,
    last: Vec<u8>,
}

impl Merged {
    fn new(runs: Vec<File>) -> io::Result<Self> {
        let runs = runs.into_iter().map(BufReader::new).collect::<Vec<_>>();
        let mut merged = Self { next: BinaryHeap::new(), last: Vec::new(), runs };
        for at in 0..merged.runs.len() {
            merged.read(at)?;
        }
        Ok(merged)
    }

    fn read(&mut self, at: usize) -> io::Result<()> {
        let Some(run) = self.runs.get_mut(at) else { return Ok(()) };
        let mut name = Vec::new();
        if run.read_until(b'\n', &mut name)? > 0 {
            name.pop();
            self.next.push(Reverse((name, at)));
        }
        Ok(())
    }
}

impl Iterator for Merged {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Reverse((name, at)) = self.next.pop()?;
            if let Err(error) = self.read(at) {
                return Some(Err(error));
            }
            // No name is empty.
            if name != self.last {
                self.last.clone_from(&name);
                return Some(Ok(name));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_out_sorted_and_once_however_many_files_that_takes() {
        for (held_max, runs_max) in [(1000, 64), (7, 64), (7, 3), (1, 2)] {
            let sorter = Sorter::new();
            let mut sorter = Sorter { held_max, runs_max, ..sorter };
            let name = |at: usize| format!("M00/00/{:02X}/{at}", at % 256).into_bytes();
            for at in 0..500 {
                sorter.push(&name(at * 7919 % 300)).unwrap();
                assert!(sorter.held.len() <= held_max && sorter.runs.len() <= runs_max);
            }
            let names: Vec<_> = sorter.finish().unwrap().map(Result::unwrap).collect();
            let expected: BTreeSet<_> = (0..300).map(name).collect();
            assert!(names.iter().eq(expected.iter()), "{held_max} {runs_max}");
        }
        assert!(Sorter::new().finish().unwrap().next().is_none());
    }
}
