//! Who is sent to: a sender for each peer as long as it is one, and what becomes of the marks of
//! those that are gone (spec 03 §A15, §C3).

use super::mark::MarkNames;
use super::peer::Sender;
use crate::daemon::blocking;
use crate::storage::config::StorageConfig;
use crate::storage::engine::Engine;
use crate::storage::link::{Departure, Link, View, connect_options};
use fdfs_core::net::ConnectOptions;
use fdfs_core::protocol::{StorageId, StorageStatus};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

/// Before the next sender to a peer begins when one has panicked: the same record may be waiting
/// for it.
const PANIC_PAUSE: Duration = Duration::from_secs(5);

/// What senders are told by the configuration.
#[derive(Debug, Clone)]
pub(in crate::storage) struct Settings {
    pub(super) connect: ConnectOptions,
    pub(super) threads_max: usize,
    pub(super) interval: Duration,
    /// Seconds of the day between which changes are sent.
    pub(super) window: Option<(u32, u32)>,
    pub(super) heart_beat_interval: Duration,
    pub(super) records_per_mark: u64,
    pub(super) marks: MarkNames,
}

impl Settings {
    pub(in crate::storage) fn new(config: &StorageConfig, engine: &Engine, port: u16) -> Self {
        let keys = &config.keys;
        let data = config.framework.base_path.join("data");
        Self {
            connect: connect_options(config),
            threads_max: config.sync_threads_max,
            interval: Duration::from_millis(keys.sync_interval_ms.unsigned_abs()),
            window: config.sync_window(),
            heart_beat_interval: keys.heart_beat_interval,
            records_per_mark: keys.write_mark_file_freq as u64,
            marks: MarkNames::new(&data, port, engine.params.use_storage_id),
        }
    }
}

/// How far departures have been followed.
#[derive(Debug, Clone, Default)]
pub(super) struct Followed {
    /// So many departures were looked at.
    pub(super) seen: u64,
    /// Those of storages whose sender has not ended yet.
    pub(super) waiting: Vec<Departure>,
}

/// Runs a sender for every peer, those that come later included, until `stop` turns true.
pub(in crate::storage) async fn run_senders(
    link: Arc<Link>,
    settings: Settings,
    mut stop: watch::Receiver<bool>,
) {
    let mut senders = Senders {
        view: link.view(),
        link,
        settings,
        stop: stop.clone(),
        followed: watch::Sender::default(),
        running: HashMap::new(),
        tasks: JoinSet::new(),
    };
    loop {
        senders.follow_departures().await;
        senders.begin();
        let has_ended = tokio::select! {
            _ = senders.view.changed() => false,
            Some(_) = senders.tasks.join_next() => true,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        if has_ended {
            senders.clear_up().await;
        }
    }
    while senders.tasks.join_next().await.is_some() {}
}

struct Senders {
    link: Arc<Link>,
    settings: Settings,
    view: watch::Receiver<View>,
    stop: watch::Receiver<bool>,
    followed: watch::Sender<Followed>,
    running: HashMap<StorageId, AbortHandle>,
    tasks: JoinSet<()>,
}

impl Senders {
    /// Begins sending to peers that nothing is sent to yet.
    fn begin(&mut self) {
        let me = self.link.engine.identity.id;
        let peers: Vec<StorageId> = {
            let view = self.view.borrow();
            let wanted = |status: StorageStatus| !status.is_gone() && status != StorageStatus::NONE;
            let peers = view.peers.iter().filter(|peer| wanted(peer.status()));
            peers.map(|peer| peer.brief.id).filter(|id| *id != me).collect()
        };
        for id in peers {
            if !self.running.contains_key(&id) {
                let (link, settings) = (self.link.clone(), self.settings.clone());
                let followed = self.followed.subscribe();
                let sender = Sender::new(link, settings, id, followed, self.stop.clone());
                let running = rest_after_panic(sender.run(), id, PANIC_PAUSE, self.stop.clone());
                self.running.insert(id, self.tasks.spawn(running));
            }
        }
    }

    /// Renames the marks of peers that are gone, unless their sender may still write them.
    async fn follow_departures(&mut self) {
        let (departed, moves) = {
            let (view, followed) = (self.view.borrow_and_update(), self.followed.borrow());
            let waiting = followed.waiting.iter().chain(view.departed_since(followed.seen));
            let ip = |id: &str| view.ip_of(id).unwrap_or_else(|| id.to_owned());
            let moves: Vec<_> = waiting.map(|gone| (gone.clone(), ip(&gone.id))).collect();
            (view.departed, moves)
        };
        let runs = |id: &str| self.running.keys().any(|running| running.to_string() == id);
        let (waiting, ready): (Vec<_>, Vec<_>) =
            moves.into_iter().partition(|(departure, _)| runs(&departure.id));
        if !ready.is_empty() {
            let marks = self.settings.marks.clone();
            // A panic in there was logged by the runtime.
            let _ = blocking(move || depart(&marks, ready)).await;
        }
        // Every tracker tells of it; the newest word of each storage counts.
        let mut newest: HashMap<String, Departure> = HashMap::new();
        for (departure, _) in waiting {
            newest.insert(departure.id.clone(), departure);
        }
        let waiting = newest.into_values().collect();
        self.followed.send_replace(Followed { seen: departed, waiting });
    }

    /// After a sender has ended: a peer that was deleted is one that nothing is done with any more.
    async fn clear_up(&mut self) {
        let (ended, running) =
            self.running.drain().partition(|(_, task): &(_, AbortHandle)| task.is_finished());
        self.running = running;
        let ended: HashMap<StorageId, AbortHandle> = ended;
        for id in ended.into_keys() {
            let status = self.link.shared().peers.status(&id);
            let deleted = Departure { id: id.to_string(), new_ip: None };
            self.followed.send_modify(|followed| {
                // No change log may have told of it.
                if status == Some(StorageStatus::DELETED) && !followed.waiting.contains(&deleted) {
                    followed.waiting.push(deleted);
                }
            });
            self.follow_departures().await;
            self.link.engine.board.forget(&id);
            self.link.shared().peers.retire(&id);
            self.link.publish().await;
        }
    }
}

/// Runs a sender; after a panic it ends only when the pause is over, or the storage stops.
async fn rest_after_panic(
    sender: impl Future<Output = ()> + Send + 'static,
    id: StorageId,
    pause: Duration,
    mut stop: watch::Receiver<bool>,
) {
    // Ended with this task, whichever way that ends.
    let mut task = JoinSet::new();
    task.spawn(sender);
    if let Some(Err(error)) = task.join_next().await
        && error.is_panic()
    {
        tracing::error!(peer = %id, %error, ?pause, "a sender has panicked");
        // Over when the storage stops or the pause is: either way there is no more to do.
        let _ = timeout(pause, stop.wait_for(|stop| *stop)).await;
    }
}

fn depart(marks: &MarkNames, departed: Vec<(Departure, String)>) {
    let now = chrono::Local::now().format("%Y%m%d%H%M%S").to_string();
    for (departure, ip) in departed {
        if let Err(error) = marks.depart(&departure, &ip, &now) {
            tracing::error!(%error, id = departure.id, "cannot rename the mark of a storage");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[tokio::test]
    async fn after_a_panic_nobody_sends_for_a_while() {
        let (stop, stopping) = watch::channel(false);
        let id: StorageId = "127.0.0.1".try_into().unwrap();
        let (short, long) = (Duration::from_millis(30), Duration::from_secs(3600));
        let run = async |panics: bool, pause| {
            let sender = async move { assert!(!panics, "a bug") };
            let began = Instant::now();
            let resting = rest_after_panic(sender, id, pause, stopping.clone());
            let is_over = timeout(Duration::from_secs(20), resting).await.is_ok();
            (is_over, began.elapsed())
        };
        assert!(run(false, long).await.0, "it ended as it should");
        let (is_over, took) = run(true, short).await;
        assert!(is_over && took >= short, "{took:?}");
        stop.send_replace(true);
        assert!(run(true, long).await.0, "a storage that stops does not wait");
    }
}
