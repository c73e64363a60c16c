//! The tracker on its sockets: one task a connection, one lock around the state.

use super::ask::{Timeouts, ask};
use super::config::TrackerConfig;
use super::others;
use super::shared::{Shared, unix_now};
use super::state::Session;
use super::state::trunk::{TrunkPoll, TrunkStep, TrunkSwitch};
use crate::daemon::{
    Conn, ConnCounts, ConnError, ConnLimits, Server, ServerOptions, bind_all, blocking,
};
use bytes::BytesMut;
use fdfs_core::protocol::cluster::GroupStorage;
use fdfs_core::protocol::frame::HEADER_LEN;
use fdfs_core::protocol::tracker::TrunkServer;
use fdfs_core::protocol::{Command, Status, StorageId};
use fdfs_core::wire::Wire as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// How often time is looked at.
const TICK: Duration = Duration::from_secs(1);
/// How often `.tracker_status` is written (spec 04 §B.5).
const STATUS_INTERVAL: Duration = Duration::from_secs(300);
/// Pause after a failed save.
const SAVE_RETRY: Duration = Duration::from_secs(1);

/// A tracker at work; dropping it ends it at once, without saving.
pub struct RunningTracker {
    server: Server,
    shared: Arc<Shared>,
    jobs: JoinSet<()>,
}

impl std::fmt::Debug for RunningTracker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunningTracker").field("server", &self.server).finish_non_exhaustive()
    }
}

impl RunningTracker {
    /// Loads the state files, binds and serves. Must be called within a tokio runtime.
    pub fn start(config: TrackerConfig) -> io::Result<Self> {
        let framework = &config.framework;
        // `max_pkg_size` counts the header (spec 01 §5).
        let body_len_max = framework.message_len_max().saturating_sub(HEADER_LEN);
        let limits = ConnLimits::new(body_len_max, framework.network_timeout);
        let timeouts = Timeouts {
            connect: framework.keys.connect_timeout,
            network: framework.network_timeout,
        };
        let allow_hosts = framework.allow_hosts.clone();
        let options = ServerOptions {
            addrs: framework.listen.clone(),
            connections_max: framework.keys.max_connections,
            limits,
            allow: Arc::new(move |ip| allow_hosts.allows(ip)),
        };
        let bound = bind_all(&options.addrs)?;
        let port = bound.first().map_or(Ok(0), |bound| bound.local_addr().map(|a| a.port()))?;
        let (shared, inbox) = Shared::load(config, port, timeouts)?;
        let shared = Arc::new(shared);
        let for_connections = shared.clone();
        let server = Server::serve(bound, &options, move |conn| {
            let shared = for_connections.clone();
            async move { serve(&shared, conn).await }
        });
        let mut jobs = JoinSet::new();
        jobs.spawn(tick(shared.clone(), server.counts()));
        jobs.spawn(save_changes(shared.clone()));
        jobs.spawn(save_status(shared.clone()));
        jobs.spawn(find_trunk_servers(shared.clone()));
        jobs.spawn(others::talk_to_all(shared.clone()));
        jobs.spawn(others::take_part(shared.clone(), inbox));
        jobs.spawn(others::elect_when_needed(shared.clone()));
        Ok(Self { server, shared, jobs })
    }

    /// The address listened on.
    pub fn addr(&self) -> SocketAddr {
        self.server.addrs().first().copied().unwrap_or_else(|| ([0, 0, 0, 0], 0).into())
    }

    /// Whether this tracker leads the others.
    pub fn is_leader(&self) -> bool {
        self.shared.lock().is_leader()
    }

    /// Stops accepting, finishes requests under way and saves all state.
    pub async fn shutdown(mut self) -> io::Result<()> {
        self.server.shutdown().await;
        self.jobs.shutdown().await;
        let shared = self.shared;
        let saved = blocking(move || {
            shared.lock().save_everything();
            shared.save()
        });
        saved.await.map_err(io::Error::other)?
    }
}

async fn serve(shared: &Shared, mut conn: Conn) {
    let id = shared.next_session();
    let mut session = Session::new(id, conn.peer(), conn.local());
    if let Err(error) = requests(shared, &mut conn, &mut session).await {
        tracing::debug!(peer = %conn.peer(), %error, "connection closed");
    }
    shared.lock().disconnected(&session);
}

async fn requests(
    shared: &Shared,
    conn: &mut Conn,
    session: &mut Session,
) -> Result<(), ConnError> {
    let mut out = BytesMut::new();
    while let Some(request) = conn.next_request().await? {
        let command = request.header.command;
        if command == Command::QUIT {
            return Ok(());
        }
        let mut status = Status::EINVAL;
        // Content belongs to storages; no tracker command has any.
        if request.content_len == 0 {
            let answered = answer(shared, command, session, conn.head(), &mut out).await;
            status = match answered {
                Ok(true) => Status::OK,
                Ok(false) => shared.apply(session, request.header, conn.head(), &mut out),
                Err(status) => status,
            };
        } else if !conn.skip_content(MISDIRECTED_CONTENT_MAX).await? {
            return Ok(());
        }
        if !status.is_ok() {
            tracing::debug!(peer = %conn.peer(), %command, %status, "request refused");
        }
        conn.reply(status, &out).await?;
        // A long list must not stay in memory with a connection that then idles for days.
        if out.capacity() > REPLY_KEPT_MAX {
            out = BytesMut::new();
        }
        out.clear();
    }
    Ok(())
}

/// Answers what the state alone cannot, because others must be asked; `false` leaves the answer to
/// the state.
async fn answer(
    shared: &Shared,
    command: Command,
    session: &Session,
    body: &[u8],
    out: &mut BytesMut,
) -> Result<bool, Status> {
    match command {
        Command::STORAGE_JOIN => others::copy_before_join(shared, session, body).await?,
        Command::SET_TRUNK_SERVER => {
            if let Some(id) = set_trunk_server(shared, body).await? {
                TrunkServer(id).write(out);
                return Ok(true);
            }
        }
        Command::CONSENSUS_HELLO => {
            shared.others.hello(body)?.write(out);
            return Ok(true);
        }
        Command::CONSENSUS_MESSAGE => {
            shared.others.take(session.peer, body)?;
            return Ok(true);
        }
        _ => {}
    }
    Ok(false)
}

/// What an operator's wish for a trunk server comes to; `None` when the state refuses it.
async fn set_trunk_server(shared: &Shared, body: &[u8]) -> Result<Option<StorageId>, Status> {
    let step = shared.lock().before_set_trunk_server(body);
    match step {
        None => Ok(None),
        Some(TrunkStep::Ask(poll)) => elect_trunk_server(shared, &poll).await.map(Some),
        Some(TrunkStep::Switch(switch)) => install(shared, &switch).await.map(Some),
    }
}

async fn elect_trunk_server(shared: &Shared, poll: &TrunkPoll) -> Result<StorageId, Status> {
    let mut asked = JoinSet::new();
    for (at, candidate) in poll.candidates.iter().enumerate() {
        let (addr, timeouts) = (candidate.addr, shared.timeouts);
        asked.spawn(async move {
            let size = ask::<(), i64>(addr, Command::TRUNK_GET_BINLOG_SIZE, (), timeouts).await;
            (at, size.ok())
        });
    }
    let mut sizes = vec![None; poll.candidates.len()];
    while let Some(answer) = asked.join_next().await {
        if let Ok((at, size)) = answer
            && let Some(slot) = sizes.get_mut(at)
        {
            *slot = size;
        }
    }
    let switch = shared.lock().trunk_polled(poll, &sizes)?;
    install(shared, &switch).await
}

/// Makes the chosen storage the trunk server. One that sends another's trunk binlog on must begin
/// at its start.
async fn install(shared: &Shared, switch: &TrunkSwitch) -> Result<StorageId, Status> {
    if switch.must_forget_marks {
        let command = Command::TRUNK_DELETE_BINLOG_MARKS;
        ask::<(), ()>(switch.to.addr, command, (), shared.timeouts).await?;
    }
    shared.lock().trunk_chosen(switch)?;
    let id = switch.to.id;
    shared.decide(GroupStorage { group: switch.group, id }).await?;
    Ok(id)
}

async fn find_trunk_servers(shared: Arc<Shared>) {
    let mut interval = tokio::time::interval(TICK);
    loop {
        interval.tick().await;
        if !shared.others.may_act() {
            continue;
        }
        let silent = shared.lock().silent_trunk_servers(unix_now());
        for decision in silent {
            if let Err(status) = shared.decide(decision).await {
                tracing::warn!(%status, "a silent trunk server stays in office");
            }
        }
        let polls = shared.lock().trunk_polls(unix_now());
        for poll in polls {
            if let Err(status) = elect_trunk_server(&shared, &poll).await {
                tracing::warn!(group = %poll.group, %status, "no trunk server found");
            }
        }
    }
}

/// Bytes of reply buffer that a connection keeps.
const REPLY_KEPT_MAX: usize = 2048;
/// Content sent to a tracker by mistake that is read to keep the connection.
const MISDIRECTED_CONTENT_MAX: u64 = 256 * 1024;

async fn tick(shared: Arc<Shared>, counts: Arc<ConnCounts>) {
    let mut interval = tokio::time::interval(TICK);
    loop {
        interval.tick().await;
        let mut state = shared.lock();
        state.set_connections(counts.current(), counts.max());
        state.tick(unix_now());
        if state.has_effects() {
            shared.changed.notify_one();
        }
    }
}

async fn save_changes(shared: Arc<Shared>) {
    loop {
        shared.changed.notified().await;
        let saver = shared.clone();
        let saved = blocking(move || saver.save()).await;
        if let Ok(Err(error)) = saved {
            tracing::error!(%error, "cannot save the cluster state, trying again");
            tokio::time::sleep(SAVE_RETRY).await;
            shared.changed.notify_one();
        }
    }
}

async fn save_status(shared: Arc<Shared>) {
    let mut interval = tokio::time::interval(STATUS_INTERVAL);
    loop {
        interval.tick().await;
        let text = shared.lock().status_text(unix_now());
        let saver = shared.clone();
        let saved = blocking(move || saver.store.save_status(&text)).await;
        if let Ok(Err(error)) = saved {
            tracing::error!(%error, "cannot save .tracker_status");
        }
    }
}
