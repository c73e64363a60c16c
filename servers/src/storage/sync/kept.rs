//! What a peer has for sure. It answers when the kernel has what it was sent, and the kernel takes
//! its time until the disk has it, too: a peer that loses power loses that. So a sender remembers
//! how far it was a while ago, and goes back there when the peer's machine was started anew. What
//! the peer still has it says it has.
//!
//! Beside each mark lies a file of its own for that: the original's marks stay as they are.

use super::mark::Mark;
use crate::state_file::{read_optional, safe_write};
use crate::storage::disk::WRITE_BACK_TIME;
use fdfs_core::config::Ini;
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
    pub(super) boot: BootId,
    mark: Mark,
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
        let kept = match Mark::load(&path) {
            Ok(Some(kept)) => kept,
            _ => {
                tracing::error!(file = %path.display(),
                    "damaged: the peer is sent everything again when its machine restarts");
                Mark::default()
            }
        };
        Ok(Self { boot: boot.unwrap_or_default(), mark: earlier(kept, mark), ..Self::default() })
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

    /// Saves it beside the mark. May block.
    pub(super) fn saving(
        &self,
        mark_path: &Path,
    ) -> impl FnOnce() -> io::Result<()> + Send + use<> {
        let (path, text) =
            (beside(mark_path), format!("{}boot={}\n", self.mark.to_text(), self.boot));
        move || safe_write(&path, text.as_bytes())
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
    use crate::storage::binlog::Position;

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
    fn it_is_saved_beside_the_mark() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("10.0.0.2_23000.mark");
        let unknown = Kept::load(&path, mark(30)).unwrap();
        assert_eq!((unknown.boot, unknown.mark), (BootId::EMPTY, mark(30)));
        let mut kept = Kept::new(mark(20));
        kept.boot = boot("a b");
        kept.saving(&path)().unwrap();
        let loaded = Kept::load(&path, mark(30)).unwrap();
        assert_eq!((loaded.boot, loaded.mark.position.offset), (boot("a b"), 20));
        assert_eq!(Kept::load(&path, mark(10)).unwrap().mark.position.offset, 10);
        std::fs::write(beside(&path), "boot=one\n").unwrap();
        let damaged = Kept::load(&path, mark(30)).unwrap();
        assert_eq!((damaged.boot, damaged.mark.position.offset), (boot("one"), 0));
    }
}
