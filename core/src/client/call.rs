//! One call: finding the server for a request, and trying again where that is safe.

use super::address::{ServerAddress, other_addresses};
use super::content::Content;
use super::types::UploadTarget;
use super::{Inner, Progress};
use crate::error::{Error, ErrorKind, Result};
use crate::file_id::FileId;
use crate::net::{Limits, Pooled, Refusal};
use crate::protocol::address::ServerAddr;
use crate::protocol::tracker::{
    FetchStorageIds, FetchTargets, FileQuery, StorageIdLines, StoreTarget,
};
use crate::protocol::{Command, Group, Status};
use crate::route::{Rotation, may_ask_another, pause, repeats};
use crate::wire::Wire;
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::sync::PoisonError;

/// Bytes of the table of storage ids that are read at most.
const STORAGE_IDS_LEN_MAX: usize = 4 << 20;

/// Which storage a tracker is asked for (spec 01 §9.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Query {
    /// One that has the file.
    Fetch,
    /// One where the file may be changed.
    Update,
}

impl Query {
    fn command(self) -> Command {
        match self {
            Self::Fetch => Command::QUERY_FETCH,
            Self::Update => Command::QUERY_UPDATE,
        }
    }
}

/// A call under way, with its bounds.
#[derive(Clone)]
pub(super) struct Call<'c> {
    pub(super) client: &'c Inner,
    pub(super) limits: Limits,
    pub(super) progress: Option<Progress>,
    pub(super) span: tracing::Span,
}

impl Call<'_> {
    /// Tells how much content has moved.
    pub(super) fn moved(&self, len: u64) {
        if let Some(progress) = &self.progress {
            progress(len);
        }
    }

    /// Waits for something on this side: the source, the sink.
    pub(super) async fn local<T>(
        &self,
        what: &str,
        step: impl Future<Output = io::Result<T>>,
    ) -> Result<T> {
        self.limits.run(what, None, step).await?.map_err(|error| local(what, error))
    }

    async fn pause(&self) -> Result<()> {
        let pause = tokio::time::sleep(pause(self.client.chance()));
        self.limits.run("pausing before another attempt", None, pause).await
    }

    /// Asks the trackers one after the other until one answers, in as many rounds as retries are
    /// allowed. One that knows nothing of it, or no space for it, may have been started a moment
    /// ago: storages tell first that they serve, and thereafter how much space they have. The
    /// others are asked, too, before that is believed.
    pub(super) async fn on_tracker<R: Wire>(
        &self,
        command: Command,
        request: &impl Wire,
    ) -> Result<R> {
        let mut last = None;
        for round in 0..=self.client.options.retries {
            if round > 0 {
                self.pause().await?;
            }
            let order = self.rotation(|rotation, now| rotation.order(now));
            let mut unknown = None;
            for index in order {
                match self.ask_tracker(index, command, request).await {
                    Err(error) if error.status() == Some(Status::ENOENT) => {
                        unknown.get_or_insert(error);
                    }
                    // Says more than that nothing is known.
                    Err(error) if error.status() == Some(Status::ENOSPC) => unknown = Some(error),
                    Err(error) if may_ask_another(&error) && !self.limits.is_over() => {
                        tracing::debug!(parent: &self.span, %error, "asking the next tracker");
                        last = Some(error);
                    }
                    done => return done,
                }
            }
            if let Some(unknown) = unknown {
                return Err(unknown);
            }
        }
        let failed = Error::new(ErrorKind::NoServer, "no tracker answers").with_command(command);
        Err(match last {
            Some(last) => failed.with_source(last),
            None => failed,
        })
    }

    fn rotation<T>(&self, work: impl FnOnce(&mut Rotation, std::time::Duration) -> T) -> T {
        let mut rotation = self.client.rotation.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut rotation, self.client.epoch.elapsed())
    }

    /// Asks one tracker, at each of its addresses.
    pub(super) async fn ask_tracker<R: Wire>(
        &self,
        index: usize,
        command: Command,
        request: &impl Wire,
    ) -> Result<R> {
        let mut last = Error::new(ErrorKind::Config, "no such tracker");
        let Some(tracker) = self.client.options.trackers.get(index) else { return Err(last) };
        for at in self.rotation(|rotation, _| rotation.hosts(index, tracker.hosts.len())) {
            let Some(host) = tracker.hosts.get(at) else { continue };
            let asked = async {
                let mut conn = self.client.pool.get(host, tracker.port, &self.limits).await?;
                self.exchange(&mut conn, (command, 0), request).await
            };
            match asked.await {
                Err(error) if may_ask_another(&error) && !self.limits.is_over() => last = error,
                done => {
                    self.rotation(|rotation, _| rotation.answered(index, at));
                    return done;
                }
            }
        }
        self.rotation(|rotation, now| rotation.failed(index, now));
        Err(last)
    }

    /// Makes an exchange, and repeats it once on a fresh connection when a kept one turns out to
    /// be dead and nothing can happen twice.
    pub(super) async fn exchange<R: Wire>(
        &self,
        conn: &mut Pooled,
        (command, flags): (Command, u8),
        request: &impl Wire,
    ) -> Result<R> {
        loop {
            match conn.call_with_flags(command, flags, request).await {
                Err(error) if repeats(command, conn.attempt()) => {
                    tracing::debug!(parent: &self.span, %error, "repeating on a fresh connection");
                    conn.renew(&self.limits).await?;
                }
                done => return done,
            }
        }
    }

    /// Begins an exchange under the same rule: when nothing of the request has left yet, a dead
    /// connection is replaced. Tells how much of `first`, where the content begins, was sent along.
    pub(super) async fn start(
        &self,
        conn: &mut Pooled,
        command: Command,
        head: &[u8],
        content_len: u64,
        first: &[u8],
    ) -> Result<usize> {
        loop {
            match conn.start_with(command, 0, head, content_len, first).await {
                Err(error) if repeats(command, conn.attempt()) => {
                    tracing::debug!(parent: &self.span, %error, "repeating on a fresh connection");
                    conn.renew(&self.limits).await?;
                }
                done => return done,
            }
        }
    }

    /// One exchange with content, which is sent once.
    pub(super) async fn send<R: Wire>(
        &self,
        conn: &mut Pooled,
        command: Command,
        head: &impl Wire,
        content: Content<'_>,
    ) -> Result<R> {
        let (size, first) = (content.size(), content.first());
        let sent = self.start(conn, command, &head.encode(), size, first).await?;
        self.span.record("fdfs.bytes", size);
        if let Err(error) = content.send(sent, self, conn).await {
            // A server that refuses closes its side; what it said may still be readable.
            if conn.attempt().lost {
                let said = conn.read_header().await;
                return Err(said.err().filter(|said| said.status().is_some()).unwrap_or(error));
            }
            return Err(conn.failed(error));
        }
        // Whether all was sent or the server answered early: its answer counts.
        conn.read_reply().await
    }

    /// The storage for an upload.
    pub(super) async fn target(&self, group: Option<&str>) -> Result<UploadTarget> {
        let asked = match group.or(self.client.options.group.as_deref()) {
            None => self.on_tracker::<StoreTarget>(Command::QUERY_STORE, &()).await,
            Some(name) => self.on_tracker(Command::QUERY_STORE_GROUP, &super::group(name)?).await,
        };
        let target = asked.map_err(no_server)?;
        Ok(UploadTarget {
            group: target.group.to_string(),
            server: self.mapped(&target.server),
            store_path_index: target.store_path,
        })
    }

    /// The storages for an existing file.
    pub(super) async fn find(&self, command: Command, id: &FileId) -> Result<Vec<ServerAddress>> {
        let query = FileQuery { group: group_of(id)?, name: id.name() };
        let found = self.on_tracker::<FetchTargets>(command, &query).await;
        let found = found.map_err(|error| no_server(error).with_file_id(id.as_str()))?;
        Ok(found.servers.iter().map(|server| self.mapped(server)).collect())
    }

    /// Where an advertised address really is.
    fn mapped(&self, server: &ServerAddr) -> ServerAddress {
        let port = u16::try_from(server.port).unwrap_or(0);
        self.client.options.address_map.map(&server.ip.to_string(), port)
    }

    /// Makes an exchange with a storage of the file.
    pub(super) async fn on_storage<R: Wire>(
        &self,
        query: Query,
        id: &FileId,
        command: (Command, u8),
        request: &impl Wire,
    ) -> Result<R> {
        let mut conn = self.reach(query, id).await?;
        let done = self.exchange(&mut conn, command, request).await;
        done.map_err(|error| error.with_file_id(id.as_str()))
    }

    /// Lends a connection to a storage of the file. While storages cannot be reached, those that
    /// hold a copy are tried for reading, and the tracker is asked again.
    pub(super) async fn reach(&self, query: Query, id: &FileId) -> Result<Pooled> {
        let named = |error: Error| error.with_file_id(id.as_str());
        let mut last = Error::new(ErrorKind::NoServer, "no storage has the file");
        let mut tried = Vec::new();
        for attempt in 0..=self.client.options.retries {
            let command = match query {
                Query::Fetch if attempt > 0 => Command::QUERY_FETCH_ALL,
                query => query.command(),
            };
            if attempt > 0 {
                self.pause().await.map_err(named)?;
            }
            let mut servers = self.find(command, id).await?;
            // Those not tried yet come first.
            servers.sort_by_key(|server| tried.contains(server));
            for server in servers {
                match self.lend(&server).await {
                    Ok(conn) => return Ok(conn),
                    Err(Refusal::Pool(error)) => return Err(named(error)),
                    Err(Refusal::Connect(error)) => last = error,
                }
                tried.push(server);
            }
        }
        Err(named(last))
    }

    /// Lends a connection to a storage that takes uploads, asking for another while storages
    /// cannot be reached.
    pub(super) async fn reach_for_upload(
        &self,
        group: Option<&str>,
    ) -> Result<(Pooled, UploadTarget)> {
        let mut last = Error::new(ErrorKind::NoServer, "no storage takes uploads");
        for attempt in 0..=self.client.options.retries {
            if attempt > 0 {
                self.pause().await?;
            }
            let target = self.target(group).await?;
            match self.lend(&target.server).await {
                Ok(conn) => return Ok((conn, target)),
                Err(Refusal::Pool(error)) => return Err(error),
                Err(Refusal::Connect(error)) => last = error,
            }
        }
        Err(last)
    }

    /// Lends a connection to a storage, at whichever of its addresses it can be reached.
    pub(super) async fn lend(&self, server: &ServerAddress) -> Result<Pooled, Refusal> {
        let mut lent = self.client.lend(server, &self.limits).await;
        if let Err(Refusal::Connect(error)) = &lent {
            tracing::debug!(parent: &self.span, %error, "storage cannot be reached");
            if self.client.options.addresses_from_tracker
                && self.client.learnt_addresses.get().is_none()
                && self
                    .client
                    .learnt_addresses
                    .get_or_try_init(|| Box::pin(self.learn()))
                    .await
                    .is_ok()
            {
                lent = self.client.lend(server, &self.limits).await;
            }
        }
        if let Ok(conn) = &lent {
            self.span.record("server.address", conn.peer());
        }
        lent
    }

    /// The other addresses of storages with two, from the tracker's table of storage ids; none
    /// when storages have no ids there.
    async fn learn(&self) -> Result<HashMap<String, String>> {
        let (mut start, mut lines) = (0, Vec::new());
        loop {
            let request = FetchStorageIds { start, allow_empty: 1 };
            let piece: StorageIdLines =
                self.on_tracker(Command::FETCH_STORAGE_IDS, &request).await?;
            lines.extend_from_slice(&piece.lines.0);
            start = start.saturating_add(piece.count.max(0));
            if piece.count <= 0 || start >= piece.total || lines.len() > STORAGE_IDS_LEN_MAX {
                break;
            }
        }
        if lines.is_empty() {
            return Ok(HashMap::new());
        }
        Ok(other_addresses(&String::from_utf8_lossy(&lines))?)
    }
}

/// A tracker that knows no storage answers "not found", which says nothing about the file.
fn no_server(error: Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound => {
            error.with_kind(ErrorKind::NoServer, "the tracker has no storage for this")
        }
        _ => error,
    }
}

/// The group of a file as requests carry it.
pub(super) fn group_of(id: &FileId) -> Result<Group> {
    super::group(id.group())
}

/// An error on this side.
pub(super) fn local(what: &str, error: io::Error) -> Error {
    Error::new(ErrorKind::LocalIo, format!("{what} failed")).with_source(error)
}
