//! Clients at work: each notes what it is about to do before, and what came of it after.

use super::model::{FileModel, Life, Model};
use fdfs_core::ErrorKind;
use fdfs_core::client::{Client, ClientOptions, Metadata, Range, UploadOptions};
use fdfs_core::file_id::{FileId, Source};
use fdfs_core::net::sim::{Chance, Network};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Longest pause between two operations of a client.
const PAUSE_MAX_MS: u64 = 400;
/// Longest call.
pub(super) const CALL_TIME_MAX: Duration = Duration::from_secs(20);
/// Longest content of an appender.
const APPENDER_LEN_MAX: usize = 20_000;

/// One client.
#[derive(Debug)]
pub struct Worker {
    name: String,
    client: Client,
    /// A client of each tracker alone: they may differ in whom they send changes to.
    by_tracker: Vec<Client>,
    /// Where storages record changes.
    binlogs: Vec<(IpAddr, PathBuf)>,
    network: Arc<Network>,
    chance: Chance,
    model: Arc<Mutex<Model>>,
    /// Files that only this client changes: indexes into the model.
    own: Vec<usize>,
    slaves: u32,
}

impl Worker {
    /// A client of these trackers.
    ///
    /// # Panics
    ///
    /// When these are no trackers.
    pub fn new(
        name: String,
        network: Arc<Network>,
        trackers: &[String],
        binlogs: Vec<(IpAddr, PathBuf)>,
        model: Arc<Mutex<Model>>,
    ) -> Self {
        let connect = |trackers: &[String]| {
            let mut options = ClientOptions::new(trackers)
                .unwrap_or_else(|error| panic!("trackers {trackers:?}: {error}"));
            options.connect_timeout = Duration::from_secs(2);
            options.io_timeout = Duration::from_secs(6);
            options.timeout = Some(CALL_TIME_MAX);
            options.connect()
        };
        let (client, chance) = (connect(trackers), network.chance());
        let by_tracker = trackers.chunks(1).map(connect).collect();
        let own = Vec::new();
        Self { name, client, by_tracker, binlogs, network, chance, model, own, slaves: 0 }
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works until told to stop.
    pub async fn run(mut self, stop: Arc<AtomicBool>) {
        while !stop.load(Ordering::Relaxed) {
            sleep(Duration::from_millis(self.chance.below(PAUSE_MAX_MS))).await;
            self.model().operations += 1;
            match self.chance.below(100) {
                0..25 => self.upload(false).await,
                25..35 => self.upload(true).await,
                35..50 => self.append().await,
                50..57 => self.modify().await,
                57..62 => self.truncate().await,
                62..68 => self.annotate().await,
                68..73 => self.upload_slave().await,
                73..83 => self.delete().await,
                _ => self.download().await,
            }
        }
    }

    fn note(&self, what: &str, id: Option<&FileId>, done: Result<(), &fdfs_core::Error>) {
        let id = id.map_or("", FileId::as_str);
        match done {
            Ok(()) => {
                self.model().acknowledged += 1;
                self.network.note(format_args!("{} {what} {id} done", self.name));
            }
            Err(error) => self.network.note(format_args!("{} {what} {id}: {error}", self.name)),
        }
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            bytes.extend_from_slice(&self.chance.any().to_le_bytes());
        }
        bytes.truncate(len);
        bytes
    }

    /// Mostly small; now and then empty, or larger than what is held in memory.
    fn any_len(&mut self) -> usize {
        match self.chance.below(40) {
            0 => 0,
            1 => 262_144 + self.chance.index(80_000),
            2..6 => self.chance.index(70_000),
            _ => 1 + self.chance.index(3_000),
        }
    }

    fn keep(&mut self, file: FileModel, began: Instant) {
        let mut model = self.model();
        model.files.push(file);
        let index = model.files.len() - 1;
        model.acknowledge(index, began);
        drop(model);
        self.own.push(index);
    }

    async fn upload(&mut self, appender: bool) {
        let len = if appender { self.chance.index(4_000) } else { self.any_len() };
        let content = self.bytes(len);
        let options = UploadOptions { appender, ..UploadOptions::ext("bin") };
        let began = Instant::now();
        let done = self.client.upload(&content, options).await;
        let what = if appender { "upload appender" } else { "upload" };
        self.note(what, done.as_ref().ok(), done.as_ref().map(|_| ()));
        match done {
            Ok(id) => self.keep(FileModel::new(id, content, appender), began),
            Err(_) => self.model().strays.push(content),
        }
    }

    async fn upload_slave(&mut self) {
        let Some((_, master)) = self.any_own(|file| !file.appender) else { return };
        self.slaves += 1;
        let prefix = format!("_{}{}", self.name, self.slaves);
        let len = 1 + self.chance.index(2_000);
        let content = self.bytes(len);
        let options = UploadOptions::ext("bin");
        let began = Instant::now();
        let done = self.client.upload_slave(&master, &prefix, &content, options).await;
        self.note("upload slave", done.as_ref().ok(), done.as_ref().map(|_| ()));
        match done {
            Ok(id) => self.keep(FileModel::new(id, content, false), began),
            Err(_) => self.model().strays.push(content),
        }
    }

    /// One of this client's files that is there for sure.
    fn any_own(&mut self, wanted: impl Fn(&FileModel) -> bool) -> Option<(usize, FileId)> {
        let mut chance = self.chance.fork();
        let model = self.model();
        let found: Vec<(usize, FileId)> = self
            .own
            .iter()
            .filter_map(|at| Some((*at, model.files.get(*at)?)))
            .filter(|(_, file)| file.life == Life::Alive && wanted(file))
            .map(|(at, file)| (at, file.id.clone()))
            .collect();
        found.get(chance.index(found.len())).cloned()
    }

    fn with_file<T>(&self, at: usize, work: impl FnOnce(&mut FileModel) -> T) -> Option<T> {
        self.model().files.get_mut(at).map(work)
    }

    /// One of this client's appenders about whose content nothing is unknown, and that content.
    fn any_appender(&mut self) -> Option<(usize, FileId, Vec<u8>)> {
        let (at, id) =
            self.any_own(|file| file.appender && file.maybe.is_none() && !file.contested)?;
        let content = self.with_file(at, |file| file.content.clone())?;
        Some((at, id, content))
    }

    /// Notes what became of a change of an appender.
    fn changed(
        &self,
        what: &str,
        (at, id): (usize, &FileId),
        next: Vec<u8>,
        done: fdfs_core::Result<()>,
    ) {
        self.note(what, Some(id), done.as_ref().copied());
        self.with_file(at, |file| {
            file.unknown |= file.life == Life::Doubtful;
            match done {
                Ok(()) => file.content = next,
                Err(_) => file.maybe = Some(next),
            }
        });
    }

    /// Whether changes of a file go to its source now, whichever tracker is asked.
    async fn is_source_there(&self, id: &FileId) -> bool {
        let Some(Source::Ip(source)) = id.source() else { return false };
        for client in &self.by_tracker {
            let Ok(found) = client.locate(id, false).await else { return false };
            if !found.iter().any(|server| server.host == source.to_string()) {
                return false;
            }
        }
        true
    }

    /// Whether a member that is not the source has recorded a change by a client. While its source
    /// joins a tracker anew, that one sends changes elsewhere for a moment.
    fn is_changed_elsewhere(&self, id: &FileId) -> bool {
        let Some(Source::Ip(source)) = id.source() else { return true };
        let metadata = format!("{}-m", id.path());
        self.binlogs.iter().filter(|(ip, _)| *ip != IpAddr::V4(source)).any(|(_, binlog)| {
            let text = std::fs::read_to_string(binlog).unwrap_or_default();
            text.lines().any(|line| match line.split(' ').collect::<Vec<_>>()[..] {
                [_, "A" | "C" | "M" | "T" | "U", name, ..] => name == id.path() || name == metadata,
                _ => false,
            })
        })
    }

    /// Makes a change of a file at its source, or none.
    async fn at_source<T>(
        &self,
        (at, id): (usize, &FileId),
        change: impl Future<Output = T>,
    ) -> Option<T> {
        if !self.is_source_there(id).await {
            return None;
        }
        let began = Instant::now();
        let done = change.await;
        self.with_file(at, |file| file.changed_at = Instant::now());
        self.model().acknowledge(at, began);
        if !self.is_source_there(id).await || self.is_changed_elsewhere(id) {
            self.network.note(format_args!("{} contested {id}", self.name));
            self.with_file(at, |file| file.contested = true);
        }
        Some(done)
    }

    async fn append(&mut self) {
        let Some((at, id, content)) = self.any_appender() else { return };
        if content.len() > APPENDER_LEN_MAX {
            return;
        }
        let len = 1 + self.chance.index(2_000);
        let more = self.bytes(len);
        self.with_file(at, |file| file.remember(content.len(), &more));
        let change = self.client.append(&id, &more);
        let Some(done) = self.at_source((at, &id), change).await else { return };
        let next = [content, more].concat();
        self.changed("append", (at, &id), next, done);
    }

    async fn modify(&mut self) {
        let Some((at, id, content)) = self.any_appender() else { return };
        if content.is_empty() || content.len() > APPENDER_LEN_MAX {
            return;
        }
        let offset = self.chance.index(content.len());
        let len = 1 + self.chance.index(1_000);
        let new = self.bytes(len);
        self.with_file(at, |file| file.remember(offset, &new));
        let mut next = content;
        next.resize(next.len().max(offset + len), 0);
        next.splice(offset..offset + len, new.iter().copied());
        let change = self.client.modify(&id, offset as u64, &new);
        let Some(done) = self.at_source((at, &id), change).await else { return };
        self.changed("modify", (at, &id), next, done);
    }

    async fn truncate(&mut self) {
        let Some((at, id, content)) = self.any_appender() else { return };
        let mut next = content;
        next.truncate(self.chance.index(next.len() + 1));
        let change = self.client.truncate(&id, next.len() as u64);
        let Some(done) = self.at_source((at, &id), change).await else { return };
        self.changed("truncate", (at, &id), next, done);
    }

    async fn annotate(&mut self) {
        let Some((at, id)) = self.any_own(|file| file.metadata.len() == 1) else { return };
        let (key, value) = (self.chance.below(3), self.chance.below(1_000));
        let items = Metadata::from([(format!("key{key}"), value.to_string())]);
        let merge = self.chance.one_in(2);
        let change = self.client.set_metadata(&id, &items, merge);
        let Some(done) = self.at_source((at, &id), change).await else { return };
        self.note("metadata", Some(&id), done.as_ref().copied());
        self.with_file(at, |file| {
            let mut next = file.metadata.first().cloned().flatten().filter(|_| merge);
            next.get_or_insert_default().extend(items);
            match done {
                Ok(()) => file.metadata = vec![next],
                Err(_) => file.metadata.push(next),
            }
        });
    }

    async fn delete(&mut self) {
        let Some((at, id)) = self.any_own(|_| true) else { return };
        self.with_file(at, |file| file.life = Life::Unknown);
        let was_there = self.is_source_there(&id).await;
        let began = Instant::now();
        let done = self.client.delete(&id, false).await;
        let is_there = self.is_source_there(&id).await;
        self.note("delete", Some(&id), done.as_ref().map(|_| ()));
        if done.is_ok() {
            self.with_file(at, |file| {
                file.life = Life::Deleted;
                file.changed_at = Instant::now();
                file.deleted_anywhere = !(was_there && is_there);
            });
            self.model().acknowledge(at, began);
        }
    }

    /// Whatever file it is, what is read was once written there.
    async fn download(&mut self) {
        let count = self.model().files.len();
        let at = self.chance.index(count);
        let Some(id) = self.with_file(at, |file| file.id.clone()) else { return };
        let done = self.client.download(&id, Range::default()).await;
        self.note("download", Some(&id), done.as_ref().map(|_| ()));
        let wrong = match &done {
            Ok(bytes) => self
                .with_file(at, |file| !file.may_read(bytes))
                .filter(|is_wrong| *is_wrong)
                .map(|_| format!("{id} was read as {} bytes it never had", bytes.len())),
            // Right content that its reader calls damaged would be as bad.
            Err(error) if error.kind() == ErrorKind::Protocol && error.status().is_some() => {
                Some(format!("{id} could not be read: {error}"))
            }
            Err(_) => None,
        };
        if let Some(wrong) = wrong {
            self.network.note(format_args!("WRONG {wrong}"));
            self.model().wrongs.push(wrong);
        }
    }
}
