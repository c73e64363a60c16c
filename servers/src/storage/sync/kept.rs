//! What a peer has for sure. It answers when the kernel has what it was sent, and the kernel takes
//! its time until the disk has it, too: a peer that loses power loses that. So a sender remembers
//! how far it was a while ago, and goes back there when the peer's machine was started anew. What
//! the peer still has it says it has. On the way it also gives the peer back what that had sent
//! here, and may have lost itself.
//!
//! Beside each mark lies a file of its own for that: the original's marks stay as they are.

use super::METADATA_SUFFIX;
use super::mark::Mark;
use super::reader::Entry;
use crate::state_file::{read_optional, safe_write};
use crate::storage::binlog::{Operation, Position};
use crate::storage::disk::WRITE_BACK_TIME;
use fdfs_core::config::Ini;
use fdfs_core::file_id::{Kind, LogicName, Source};
use fdfs_core::protocol::replication::BootId;
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

/// Between two marks that are remembered until then.
const STEP: Duration = Duration::from_secs(10);
/// The extension of the file, instead of that of the mark.
const EXTENSION: &str = "kept";

/// What one peer has for sure.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Since when the peer's machine runs; empty until it was met.
    boot: BootId,
    mark: Mark,
    /// Up to where the peer is given back its own files; the beginning for not at all.
    returns_until: Position,
    /// Marks that were reached since, with the time.
    reached: VecDeque<(Instant, Mark)>,
}

impl Kept {
    /// A peer that was sent up to this mark before anything was remembered.
    pub(super) fn new(mark: Mark) -> Self {
        Self { mark, ..Self::default() }
    }

    /// What was saved for the peer with this mark.
    pub(super) fn load(mark_path: &Path, mark: Mark) -> io::Result<Self> {
        let path = beside(mark_path);
        let Some(text) = read_optional(&path)? else { return Ok(Self::new(mark)) };
        let ini = Ini::parse(&String::from_utf8_lossy(&text));
        let boot = ini.global().get("boot").and_then(|text| BootId::new(text.trim().as_bytes()));
        let number = |key| ini.global().get(key).and_then(|text| text.trim().parse::<u64>().ok());
        let index = number("returns_index").and_then(|index| u32::try_from(index).ok());
        let until = index.zip(number("returns_offset"));
        let kept = match Mark::load(&path) {
            Ok(Some(kept)) => kept,
            _ => {
                tracing::error!(file = %path.display(),
                    "damaged: the peer is sent everything again when its machine restarts");
                Mark::default()
            }
        };
        Ok(Self {
            boot: boot.unwrap_or_default(),
            mark: earlier(kept, mark),
            returns_until: until
                .map_or_else(Position::default, |(index, offset)| Position { index, offset }),
            reached: VecDeque::new(),
        })
    }

    /// Whether this is the start of the peer's machine that is known.
    pub(super) fn knows(&self, boot: BootId) -> bool {
        self.boot == boot
    }

    /// Notes how far the peer has been sent the binlog; whether what it has for sure has changed and
    /// may be asked for.
    pub(super) fn reach(&mut self, mark: Mark, now: Instant) -> bool {
        let before = self.mark;
        while let Some((at, reached)) = self.reached.front().copied()
            && now.duration_since(at) >= WRITE_BACK_TIME
        {
            self.mark = reached;
            self.reached.pop_front();
        }
        if self.reached.back().is_none_or(|(at, _)| now.duration_since(*at) >= STEP) {
            self.reached.push_back((now, mark));
        }
        self.mark != before && self.boot != BootId::EMPTY
    }

    /// Where to go back to from this mark for a peer whose machine runs since `boot`; `None` when it
    /// was not met before, or does not say.
    pub(super) fn back_to(&mut self, mark: Mark, boot: BootId) -> Option<Mark> {
        let is_known = self.boot != BootId::EMPTY && boot != BootId::EMPTY;
        self.reached.clear();
        is_known.then(|| earlier(self.mark, mark))
    }

    /// Notes since when the peer's machine runs; what was recorded up to `end` before is given back
    /// when the sender went back for that.
    pub(super) fn meet(&mut self, boot: BootId, end: Option<Position>) {
        self.boot = boot;
        self.returns_until = end.unwrap_or(self.returns_until);
    }

    /// What the peer that names its files like this is given back.
    pub(super) fn returns(&self, source: Source) -> Returns {
        Returns { until: self.returns_until, source }
    }

    /// Saves it beside the mark. May block.
    pub(super) fn saving(
        &self,
        mark_path: &Path,
    ) -> impl FnOnce() -> io::Result<()> + Send + use<> {
        let (path, mark, until) = (beside(mark_path), self.mark.to_text(), self.returns_until);
        let returns = format!("returns_index={}\nreturns_offset={}\n", until.index, until.offset);
        let text = format!("{mark}boot={}\n{returns}", self.boot);
        move || safe_write(&path, text.as_bytes())
    }
}

/// A peer's own files that are given back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Returns {
    until: Position,
    source: Source,
}

impl Returns {
    /// Whether the file of this record, which begins there, is one of them. Content that changes
    /// is not: the peer may have changed it since.
    pub(super) fn include(&self, entry: &Entry, begin: Position) -> bool {
        if begin >= self.until || !entry.replica || entry.operation != Operation::Create {
            return false;
        }
        let name = entry.name.as_bytes();
        let logic = LogicName::parse(name).ok().filter(|_| !name.ends_with(METADATA_SUFFIX));
        logic.is_some_and(|logic| {
            matches!(logic.kind(), Kind::Normal | Kind::Slave)
                && !logic.has_appender_mark()
                && logic.stamp().is_some_and(|stamp| stamp.source == self.source)
        })
    }
}

/// The file beside a mark.
pub(super) fn beside(mark_path: &Path) -> PathBuf {
    mark_path.with_extension(EXTENSION)
}

/// The mark with an earlier position. It may be the mark's own that is earlier, when the binlog has
/// lost its end. Old files of others are not sent once more: they may have changed at their sources,
/// and what is here may be behind what the peer has from there.
fn earlier(kept: Mark, mark: Mark) -> Mark {
    Mark { position: kept.position.min(mark.position), ..mark }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fdfs_core::file_id::{SizeField, Stamp};

    fn mark(offset: u64) -> Mark {
        let position = Position { index: 0, offset };
        Mark { position, sent: offset, until: 7, ..Mark::default() }
    }

    fn boot(text: &str) -> BootId {
        text.try_into().unwrap()
    }

    #[test]
    fn what_was_sent_a_while_ago_is_there_for_sure() {
        let begin = Instant::now();
        let at = |secs| begin + Duration::from_secs(secs);
        let mut kept = Kept::new(mark(10));
        assert_eq!(kept.back_to(mark(20), boot("one")), None, "nobody was met before");
        kept.boot = boot("one");
        for step in 0..20 {
            assert!(!kept.reach(mark(20 + step), at(4 * step)), "not yet");
        }
        assert_eq!(kept.back_to(mark(40), BootId::EMPTY), None, "it does not say");
        for step in 0..20 {
            kept.reach(mark(20 + step), at(6 * step));
            assert!(kept.reached.len() <= 10, "bounded");
        }
        assert_eq!(kept.mark.position.offset, 24, "90 seconds before the last");
        let back = kept.back_to(mark(40), boot("two")).unwrap();
        assert_eq!((back.position.offset, back.sent, back.until), (24, 40, 7));
        let back = kept.back_to(mark(5), boot("three")).unwrap();
        assert_eq!(back.position.offset, 5, "the binlog had lost its end");
    }

    #[test]
    fn a_peer_is_given_back_its_own_files_that_never_change() {
        const FILE: &str = "M00/00/00/Ck0AC2sAvq6AfyjFAAATiMRbAU0662.bin";
        let until = Position { index: 0, offset: 50 };
        let include = |letter: &str, name: &str, host: u8, offset: u64| {
            let line = format!("5 {letter} {name}");
            let entry = Entry::parse(line.as_bytes()).unwrap();
            let returns = Returns { until, source: Source::Ip([10, 77, 0, host].into()) };
            returns.include(&entry, Position { index: 0, offset })
        };
        assert!(include("c", FILE, 11, 49));
        assert!(include("c", &FILE.replace(".bin", "_big.bin"), 11, 0));
        assert!(!include("c", FILE, 11, 50), "it has arrived since");
        assert!(!include("c", FILE, 12, 0), "another's");
        assert!(!include("C", FILE, 11, 0) && !include("d", FILE, 11, 0));
        assert!(!include("c", &format!("{FILE}-m"), 11, 0));
        assert!(!include("u", FILE, 11, 0));
        let source = Source::Ip([10, 77, 0, 11].into());
        let stamp = Stamp { source, created: 5, size: SizeField::appender(7), crc32: 0 };
        let chars = stamp.encode();
        let appender = format!("M00/00/00/{}662.log", String::from_utf8_lossy(&chars));
        assert!(!include("c", &appender, 11, 0));
        assert!(!include("c", &appender.replace(".log", "_big.log"), 11, 0));
    }

    #[test]
    fn it_is_saved_beside_the_mark() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("10.0.0.2_23000.mark");
        let unknown = Kept::load(&path, mark(30)).unwrap();
        assert_eq!((unknown.boot, unknown.mark), (BootId::EMPTY, mark(30)));
        let mut kept = Kept::new(mark(20));
        kept.meet(boot("a b"), None);
        assert_eq!(kept.returns_until, Position::default());
        let end = Position { index: 3, offset: 7 };
        kept.meet(boot("a b"), Some(end));
        kept.saving(&path)().unwrap();
        let loaded = Kept::load(&path, mark(30)).unwrap();
        assert_eq!((loaded.boot, loaded.mark.position.offset), (boot("a b"), 20));
        assert_eq!(loaded.returns_until, end);
        assert_eq!(Kept::load(&path, mark(10)).unwrap().mark.position.offset, 10);
        std::fs::write(beside(&path), "boot=one\n").unwrap();
        let damaged = Kept::load(&path, mark(30)).unwrap();
        assert_eq!((damaged.boot, damaged.mark.position.offset), (boot("one"), 0));
    }
}
