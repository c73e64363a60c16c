//! Finding the server for a request, and trying again where that is safe.

use super::Client;
use super::types::{ServerAddress, UploadTarget};
use crate::error::{Error, ErrorKind, Result};
use crate::file_id::FileId;
use crate::net::Pooled;
use crate::protocol::tracker::{FetchTargets, FileQuery, StoreTarget};
use crate::protocol::{Command, Group, Resend};
use crate::route::{may_ask_another, pause};
use crate::wire::Wire;
use std::sync::PoisonError;

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

impl Client {
    /// Asks the trackers one after the other until one answers, in as many rounds as retries are
    /// allowed.
    pub(super) async fn on_tracker<R: Wire>(
        &self,
        command: Command,
        request: &impl Wire,
    ) -> Result<R> {
        let mut last = None;
        for round in 0..=self.options().retries {
            if round > 0 {
                tokio::time::sleep(pause(self.chance())).await;
            }
            let order = self.rotation(|rotation, now| rotation.order(now));
            for index in order {
                match self.ask_tracker(index, command, request).await {
                    Err(error) if may_ask_another(&error) => {
                        tracing::debug!(%error, "tracker does not answer, asking the next");
                        self.rotation(|rotation, now| rotation.failed(index, now));
                        last = Some(error);
                    }
                    done => {
                        self.rotation(|rotation, _| rotation.answered(index));
                        return done;
                    }
                }
            }
        }
        let failed = Error::new(ErrorKind::NoServer, "no tracker answers").with_command(command);
        Err(match last {
            Some(last) => failed.with_source(last),
            None => failed,
        })
    }

    fn rotation<T>(
        &self,
        work: impl FnOnce(&mut crate::route::Rotation, std::time::Duration) -> T,
    ) -> T {
        let mut rotation = self.0.rotation.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut rotation, self.0.epoch.elapsed())
    }

    /// Asks one tracker, at each of its addresses.
    pub(super) async fn ask_tracker<R: Wire>(
        &self,
        index: usize,
        command: Command,
        request: &impl Wire,
    ) -> Result<R> {
        let mut last = Error::new(ErrorKind::Config, "no such tracker");
        let Some(tracker) = self.options().trackers.get(index) else { return Err(last) };
        for host in &tracker.hosts {
            match self.on_server::<R>(host, tracker.port, command, request).await {
                Err(error) if may_ask_another(&error) => last = error,
                done => return done,
            }
        }
        Err(last)
    }

    /// Makes an exchange that may be repeated, and repeats it once on a fresh connection when a
    /// kept one turns out to be dead.
    async fn on_server<R: Wire>(
        &self,
        host: &str,
        port: u16,
        command: Command,
        request: &impl Wire,
    ) -> Result<R> {
        let mut conn = self.0.pool.get(host, port, false).await?;
        match conn.call(command, request).await {
            Err(error) if may_ask_another(&error) && conn.died_unheard() => {
                drop(conn);
                self.0.pool.get(host, port, true).await?.call(command, request).await
            }
            done => done,
        }
    }

    /// The storage for an upload.
    pub(super) async fn target(&self, group: Option<&str>) -> Result<UploadTarget> {
        let asked = match group.or(self.options().group.as_deref()) {
            None => self.on_tracker::<StoreTarget>(Command::QUERY_STORE, &()).await,
            Some(group) => {
                let group = Group::try_from(group).map_err(|error| {
                    Error::new(ErrorKind::InvalidArgument, format!("group {group}"))
                        .with_source(error)
                })?;
                self.on_tracker(Command::QUERY_STORE_GROUP, &group).await
            }
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
        let query = FileQuery { group: super::group_of(id)?, name: id.name() };
        let found = self.on_tracker::<FetchTargets>(command, &query).await;
        let found = found.map_err(|error| no_server(error).with_file_id(id.as_str()))?;
        Ok(found.servers.iter().map(|server| self.mapped(server)).collect())
    }

    /// Where an advertised address really is.
    fn mapped(&self, server: &crate::protocol::address::ServerAddr) -> ServerAddress {
        let host = server.ip.to_string();
        let port = u16::try_from(server.port).unwrap_or(0);
        let map = &self.options().address_map;
        let advertised = ServerAddress { host, port };
        let found = map.get(&advertised.to_string()).or_else(|| map.get(&advertised.host));
        let Some(real) = found else { return advertised };
        match real.rsplit_once(':').map(|(host, port)| (host, port.parse())) {
            Some((host, Ok(port))) => ServerAddress { host: host.to_owned(), port },
            _ => ServerAddress { host: real.clone(), port },
        }
    }

    /// Makes an exchange with a storage of the file. What only reads is repeated once on a fresh
    /// connection when a kept one turns out to be dead; nothing else is.
    pub(super) async fn on_storage<R: Wire>(
        &self,
        query: Query,
        id: &FileId,
        (command, flags): (Command, u8),
        request: &impl Wire,
    ) -> Result<R> {
        let mut conn = self.reach(query, id).await?;
        let named = |error: Error| error.with_file_id(id.as_str());
        let error = match conn.call_with_flags(command, flags, request).await {
            Err(error) if error.status().is_none() => error,
            done => return done.map_err(named),
        };
        let only_reads = command.info().is_some_and(|info| info.resend == Resend::Safe);
        if only_reads && may_ask_another(&error) && conn.died_unheard() {
            let (host, port) = split_peer(conn.peer());
            drop(conn);
            let mut conn = self.0.pool.get(&host, port, true).await.map_err(named)?;
            return conn.call_with_flags(command, flags, request).await.map_err(named);
        }
        Err(named(if only_reads { error } else { error.with_outcome_unknown() }))
    }

    /// Lends a connection to a storage of the file, asking the tracker again while storages cannot
    /// be reached.
    pub(super) async fn reach(&self, query: Query, id: &FileId) -> Result<Pooled> {
        for attempt in 0.. {
            let servers = self.find(query.command(), id).await?;
            let Some(server) = servers.first() else { break };
            match self.0.pool.get(&server.host, server.port, false).await {
                Err(error)
                    if error.kind() == ErrorKind::Connect && attempt < self.options().retries =>
                {
                    tracing::debug!(%error, "storage cannot be reached, asking the tracker again");
                    tokio::time::sleep(pause(self.chance())).await;
                }
                got => return got.map_err(|error| error.with_file_id(id.as_str())),
            }
        }
        Err(Error::new(ErrorKind::NoServer, "no storage has the file").with_file_id(id.as_str()))
    }
}

/// A tracker that knows no storage answers "not found", which says nothing about the file.
fn no_server(error: Error) -> Error {
    if error.kind() != ErrorKind::NotFound {
        return error;
    }
    let renamed = Error::new(ErrorKind::NoServer, "the tracker has no storage for this");
    match error.status() {
        Some(status) => renamed.with_status(status),
        None => renamed,
    }
}

fn split_peer(peer: &str) -> (String, u16) {
    let (host, port) = peer.rsplit_once(':').unwrap_or((peer, ""));
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (host.to_owned(), port.parse().unwrap_or(0))
}
