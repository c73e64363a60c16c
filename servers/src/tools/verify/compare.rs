//! Asking all members about all names, and again about those that differ.

use super::member::{Asker, Held, Member};
use super::names::{Merged, Sorter};
use fdfs_core::protocol::Name;
use fdfs_core::{Error, ErrorKind, Result};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// Names handed over at a time.
const BATCH_LEN: usize = 64;
/// Batches that wait to be taken.
const BATCHES_WAITING_MAX: usize = 64;
/// Differences that are looked at again, and listed in order at the end. More are told at once.
const DIFFERENCES_HELD_MAX: usize = 10_000;
/// Time between two looks at what differs.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A name, and what each member has under it.
pub(super) type Difference = (Name, Vec<Held>);

/// What is known so far, for those who watch.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Names all members were asked about.
    pub(super) compared: AtomicU64,
    /// Of those, names that differed at first sight.
    pub(super) different: AtomicU64,
}

/// How to compare.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    /// Connections to each member.
    pub(super) parallel: usize,
    /// Whether all content is read.
    pub(super) reads_content: bool,
    /// How long a difference may last that is only on its way.
    pub(super) settle_time: Duration,
}

fn local(what: &str, error: io::Error) -> Error {
    Error::new(ErrorKind::LocalIo, what).with_source(error)
}

/// A task of ours that ended by a panic or with the runtime.
fn ended(error: tokio::task::JoinError) -> Error {
    Error::new(ErrorKind::Internal, "comparing ended early").with_source(error)
}

/// The names of the files of all members, in order.
pub(super) async fn names(members: &[Member]) -> Result<Merged> {
    let (to, mut from) = mpsc::channel::<Vec<Name>>(BATCHES_WAITING_MAX);
    let mut fetching = JoinSet::new();
    for member in members {
        let (member, to) = (member.clone(), to.clone());
        fetching.spawn(async move { member.send_names(to).await });
    }
    drop(to);
    let sorting = tokio::task::spawn_blocking(move || {
        let mut sorter = Sorter::new();
        while let Some(names) = from.blocking_recv() {
            for name in names {
                sorter.push(name.as_bytes())?;
            }
        }
        sorter.finish()
    });
    while let Some(fetched) = fetching.join_next().await {
        fetched.map_err(ended)??;
    }
    let sorted = sorting.await.map_err(ended)?;
    sorted.map_err(|error| local("sorting names in a temporary file", error))
}

/// Compares all names. What goes on differing is given back, in order; differences beyond those
/// that can be held are given to `tell` as they are found.
pub(super) async fn compare(
    members: &[Member],
    names: Merged,
    settings: Settings,
    counts: &Arc<Counts>,
    tell: impl Fn(&Difference) -> io::Result<()> + Send + Sync + 'static,
) -> Result<(Vec<Difference>, u64)> {
    let (to, from) = mpsc::channel::<Vec<Name>>(BATCHES_WAITING_MAX);
    let reading = tokio::task::spawn_blocking(move || hand_over(names, &to));
    let shared = Arc::new(Shared {
        from: Mutex::new(from),
        held: std::sync::Mutex::new(BTreeMap::new()),
        told: AtomicU64::new(0),
        counts: counts.clone(),
        tell: Box::new(tell),
    });
    let mut workers = JoinSet::new();
    for _ in 0..settings.parallel {
        let askers = askers(members, settings.reads_content);
        let shared = shared.clone();
        workers.spawn(async move { shared.work(askers).await });
    }
    while let Some(done) = workers.join_next().await {
        done.map_err(ended)??;
    }
    let read = reading.await.map_err(ended)?;
    read.map_err(|error| local("reading names from a temporary file", error))?;
    let held = std::mem::take(&mut *shared.held());
    let told = shared.told.load(Ordering::Relaxed);
    Ok((settle(members, held, settings).await?, told))
}

fn askers(members: &[Member], reads_content: bool) -> Vec<Asker> {
    members.iter().map(|member| member.asker(reads_content)).collect()
}

/// Reads names in batches until they end, or nobody wants more.
fn hand_over(mut names: Merged, to: &mpsc::Sender<Vec<Name>>) -> io::Result<()> {
    loop {
        let mut batch = Vec::with_capacity(BATCH_LEN);
        for name in names.by_ref().take(BATCH_LEN) {
            // They were names when they were sorted.
            batch.extend(Name::new(&name?));
        }
        if batch.is_empty() || to.blocking_send(batch).is_err() {
            return Ok(());
        }
    }
}

/// What all members have under a name, when it is not the same.
async fn look(askers: &mut [Asker], name: Name) -> Result<Option<Difference>> {
    let mut held = Vec::with_capacity(askers.len());
    for asker in askers {
        held.push(asker.ask(&name).await?);
    }
    let first = held.first().copied().unwrap_or(Held::Missing);
    let same = held.iter().all(|held| *held == first && !matches!(held, Held::Refused(_)));
    Ok((!same).then_some((name, held)))
}

type Tell = Box<dyn Fn(&Difference) -> io::Result<()> + Send + Sync>;

struct Shared {
    from: Mutex<mpsc::Receiver<Vec<Name>>>,
    held: std::sync::Mutex<BTreeMap<Vec<u8>, Difference>>,
    told: AtomicU64,
    counts: Arc<Counts>,
    tell: Tell,
}

impl Shared {
    fn held(&self) -> std::sync::MutexGuard<'_, BTreeMap<Vec<u8>, Difference>> {
        self.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn work(&self, mut askers: Vec<Asker>) -> Result<()> {
        loop {
            let Some(batch) = self.from.lock().await.recv().await else { return Ok(()) };
            for name in batch {
                if let Some(difference) = look(&mut askers, name).await? {
                    self.note(difference)?;
                }
                self.counts.compared.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn note(&self, difference: Difference) -> Result<()> {
        self.counts.different.fetch_add(1, Ordering::Relaxed);
        let mut held = self.held();
        if held.len() < DIFFERENCES_HELD_MAX {
            held.insert(difference.0.as_bytes().to_vec(), difference);
            return Ok(());
        }
        drop(held);
        self.told.fetch_add(1, Ordering::Relaxed);
        (self.tell)(&difference).map_err(|error| local("writing the result", error))
    }
}

/// Looks again at what differs until it does not, or has had its time: changes take a moment to
/// reach all members.
async fn settle(
    members: &[Member],
    mut held: BTreeMap<Vec<u8>, Difference>,
    settings: Settings,
) -> Result<Vec<Difference>> {
    let until = Instant::now() + settings.settle_time;
    let mut askers = askers(members, settings.reads_content);
    if !held.is_empty() && Instant::now() < until {
        let (names, limit) = (held.len(), settings.settle_time);
        tracing::warn!("{names} names differ at first sight: looking again for up to {limit:?}");
    }
    while !held.is_empty() && Instant::now() < until {
        sleep(LOOK_AGAIN.min(settings.settle_time)).await;
        for (key, (name, _)) in std::mem::take(&mut held) {
            if let Some(difference) = look(&mut askers, name).await? {
                held.insert(key, difference);
            }
        }
    }
    Ok(held.into_values().collect())
}
