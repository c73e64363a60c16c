//! What a tracker's tasks share: the state behind one lock, its files, and the other trackers.

use super::ask::Timeouts;
use super::config::TrackerConfig;
use super::others::{Inbox, Others};
use super::persist::Store;
use super::state::{ClusterState, Session};
use bytes::BytesMut;
use fdfs_core::protocol::Status;
use fdfs_core::protocol::cluster::GroupStorage;
use fdfs_core::protocol::frame::Header;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// What a tracker's tasks share.
pub(super) struct Shared {
    pub(super) config: Arc<TrackerConfig>,
    state: Mutex<ClusterState>,
    pub(super) store: Store,
    /// The other trackers.
    pub(super) others: Others,
    /// Held while files are written: the states they show must reach the disk in order.
    saving: Mutex<()>,
    sessions: AtomicU64,
    /// Something must reach the disk.
    pub(super) changed: Notify,
    pub(super) timeouts: Timeouts,
}

/// Seconds since 1970.
#[cfg(not(feature = "sim"))]
pub fn unix_now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    super::config::secs(now.unwrap_or_default())
}
#[cfg(feature = "sim")]
pub use fdfs_core::net::sim::unix_secs as unix_now;

impl Shared {
    /// A tracker that listens on `port`, with what an earlier run knew; beside it, where the words
    /// of other trackers come out.
    pub(super) fn load(
        config: TrackerConfig,
        port: u16,
        timeouts: Timeouts,
    ) -> io::Result<(Self, Inbox)> {
        let store = Store::open(&config)?;
        let saved = store.load(&config)?;
        let config = Arc::new(config);
        let mut state = ClusterState::new(config.clone(), port, unix_now());
        state.restore(saved.groups, saved.changelog, saved.last_check_time);
        // Until an original is met.
        state.agree_by_consensus(true);
        let (others, inbox) = Others::new();
        let shared = Self {
            config,
            state: Mutex::new(state),
            store,
            others,
            saving: Mutex::new(()),
            sessions: AtomicU64::new(0),
            changed: Notify::new(),
            timeouts,
        };
        Ok((shared, inbox))
    }

    /// The number of the next connection.
    pub(super) fn next_session(&self) -> u64 {
        self.sessions.fetch_add(1, Ordering::Relaxed)
    }

    /// Decides a group's trunk server: with the other trackers when they agree by consensus.
    pub(super) async fn decide(&self, decision: GroupStorage) -> Result<(), Status> {
        let by_consensus = {
            let state = self.lock();
            state.agrees_by_consensus() && state.several_trackers().is_some()
        };
        if by_consensus {
            self.others.decide(decision.clone()).await?;
        }
        self.lock().trunk_decided(&decision);
        self.changed.notify_one();
        Ok(())
    }

    /// Takes over the state files of a tracker that knows more, in the order of spec 03 §B7.
    pub(super) fn adopt(&self, files: &[Vec<u8>; 4]) -> io::Result<()> {
        let _saving = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let saved = self.store.adopt(files, &self.config)?;
        let mut state = self.lock();
        // What it was going to write is in the files, or was never true.
        state.take_effects();
        state.replace(saved.groups, saved.changelog);
        Ok(())
    }

    /// A panic while the lock was held was answered by closing that connection; the state is
    /// whole between requests.
    pub(super) fn lock(&self) -> MutexGuard<'_, ClusterState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn apply(
        &self,
        session: &mut Session,
        header: Header,
        body: &[u8],
        out: &mut BytesMut,
    ) -> Status {
        let mut state = self.lock();
        let status = state.apply(unix_now(), session, header, body, out);
        if state.has_effects() {
            self.changed.notify_one();
        }
        status
    }

    /// Writes what changed; on failure it stays to be written.
    pub(super) fn save(&self) -> io::Result<()> {
        let _saving = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let (effects, groups) = {
            let mut state = self.lock();
            let effects = state.take_effects();
            if effects.is_empty() {
                return Ok(());
            }
            (effects, state.groups().to_vec())
        };
        let saved = self.store.save(&effects, &groups);
        if saved.is_err() {
            self.lock().keep_effects(effects);
        }
        saved
    }
}
