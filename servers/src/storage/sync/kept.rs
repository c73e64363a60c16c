//! What a peer has for sure. It answers when the kernel has what it was sent, and the kernel takes
//! its time until the disk has it, too: a peer that loses power loses that. So a sender remembers
//! how far it was a while ago, and goes back there when the peer's machine was started anew. What
//! the peer still has it says it has. On the way it also offers the peer what is not due: what that
//! had sent here, and may have lost itself; and old files, if the peer got them within that time.
//!
//! Beside each mark lies a file of its own for that: the original's marks stay as they are.

use super::mark::Mark;
use super::offers::Offers;
use crate::state_file::{read_optional, safe_write};
use crate::storage::binlog::Position;
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
    boot: BootId,
    mark: Mark,
    offers: Offers,
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
        Ok(Self {
            boot: boot.unwrap_or_default(),
            mark: Mark { position: kept.position.min(mark.position), ..kept },
            reached: VecDeque::new(),
            offers: Offers::load(&ini),
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

    /// Notes since when the peer's machine runs. Tells where to go back to from this mark, if it was
    /// restarted since it was met last and says so; what is recorded up to `end` is offered then.
    pub(super) fn meet(&mut self, boot: BootId, mark: Mark, end: Position) -> Option<Mark> {
        let is_known = self.boot != BootId::EMPTY && boot != BootId::EMPTY;
        (self.boot, self.reached) = (boot, VecDeque::new());
        if !is_known {
            return None;
        }
        let kept = self.mark;
        let old_until = if mark.sends_old() {
            // They are due.
            None
        } else if kept.sends_old() {
            Some(mark.until)
        } else {
            self.offers.old_until.filter(|_| kept.position < self.offers.until)
        };
        self.offers = Offers { until: end, old_until };
        // It may be the mark's own position that is earlier, when the binlog has lost its end.
        Some(Mark { position: kept.position.min(mark.position), ..mark })
    }

    /// What the peer is offered.
    pub(super) fn offers(&self) -> Offers {
        self.offers
    }

    /// Saves it beside the mark. May block.
    pub(super) fn saving(
        &self,
        mark_path: &Path,
    ) -> impl FnOnce() -> io::Result<()> + Send + use<> {
        let (path, mark, offers) = (beside(mark_path), self.mark.to_text(), self.offers.to_text());
        let text = format!("{mark}boot={}\n{offers}", self.boot);
        move || safe_write(&path, text.as_bytes())
    }
}

/// The file beside a mark.
pub(super) fn beside(mark_path: &Path) -> PathBuf {
    mark_path.with_extension(EXTENSION)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let end = Position { index: 3, offset: 7 };
        assert_eq!(kept.meet(boot("one"), mark(20), end), None, "nobody was met before");
        for step in 0..20 {
            let has_changed = kept.reach(mark(20 + step), at(6 * step));
            assert!(!has_changed || step >= 15, "not yet");
            assert!(kept.reached.len() <= 10, "bounded");
        }
        assert_eq!(kept.mark.position.offset, 24, "90 seconds before the last");
        let back = kept.meet(boot("two"), mark(40), end).unwrap();
        assert_eq!((back.position.offset, back.sent, back.until), (24, 40, 7));
        assert_eq!(kept.offers(), Offers { until: end, old_until: None });
        let back = kept.meet(boot("three"), mark(5), end).unwrap();
        assert_eq!(back.position.offset, 5, "the binlog had lost its end");
        assert_eq!(kept.meet(BootId::EMPTY, mark(40), end), None, "it does not say");
    }

    #[test]
    fn a_peer_that_was_filled_just_before_is_offered_old_files_again() {
        let source = |offset| Mark { need_sync_old: true, until: 90, ..mark(offset) };
        let done = |offset| Mark { sync_old_done: true, ..source(offset) };
        let end = |offset| Position { index: 0, offset };
        let mut kept = Kept::new(source(10));
        kept.meet(boot("one"), source(10), end(50));
        let back = kept.meet(boot("two"), source(20), end(50)).unwrap();
        assert!(back.sends_old() && kept.offers().old_until.is_none(), "they are due");
        let back_to = |kept: &mut Kept, text, mark, end| {
            let back = kept.meet(boot(text), mark, end).unwrap();
            assert!(back.sync_old_done);
            back.position.offset
        };
        assert_eq!(back_to(&mut kept, "three", done(40), end(50)), 10);
        assert_eq!(kept.offers(), Offers { until: end(50), old_until: Some(90) });
        // Again before all of them were offered, and some time after.
        kept.mark = done(30);
        assert_eq!(back_to(&mut kept, "four", done(45), end(60)), 30);
        assert_eq!(kept.offers(), Offers { until: end(60), old_until: Some(90) });
        kept.mark = done(70);
        assert_eq!(back_to(&mut kept, "five", done(75), end(80)), 70);
        assert_eq!(kept.offers(), Offers { until: end(80), old_until: None });
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
        assert_eq!(Kept::load(&path, mark(30)).unwrap().offers(), Offers::default());
        kept.offers = Offers { until: Position { index: 3, offset: 7 }, old_until: Some(-9) };
        kept.saving(&path)().unwrap();
        let loaded = Kept::load(&path, mark(30)).unwrap();
        assert_eq!((loaded.boot, loaded.mark.position.offset), (boot("a b"), 20));
        assert_eq!(loaded.offers(), kept.offers());
        assert_eq!(Kept::load(&path, mark(10)).unwrap().mark.position.offset, 10);
        std::fs::write(beside(&path), "boot=one\n").unwrap();
        let damaged = Kept::load(&path, mark(30)).unwrap();
        assert_eq!((damaged.boot, damaged.mark.position.offset), (boot("one"), 0));
    }
}
