//! Acts for a [`Reporter`]: one task per tracker holds the connection and the clock.

use super::reporter::{Action, Input, Reason, Reporter, Request};
use super::{Link, by_address, connect_options};
use crate::daemon::blocking;
use crate::storage::store::StorePath;
use fdfs_core::net::Conn;
use fdfs_core::protocol::cluster::DiskSpace;
use fdfs_core::protocol::{Command, Status};
use fdfs_core::wire::Rest;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

/// Failures after which the next one is logged: with a heart beat of 30 s, two an hour.
const FAILURES_PER_LOG: u32 = 60;
/// How long a look at the disks is waited for.
const MEASURE_TIME_MAX: Duration = Duration::from_secs(1);

/// Keeps the tracker with this index informed until `stop` turns true, then says goodbye.
pub async fn run_reporter(link: Arc<Link>, index: usize, mut stop: watch::Receiver<bool>) {
    let mut task = Task {
        reporter: Reporter::new(link.profile.clone(), index),
        link,
        index,
        conn: None,
        epoch: Instant::now(),
        failures: 0,
        lost: None,
    };
    tokio::select! {
        () = task.run() => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
    task.quit().await;
}

/// An input that owns what it carries.
enum Event {
    Woken,
    Connected(IpAddr),
    Reply(Result<Vec<u8>, Status>),
    Lost,
    Measured(Vec<DiskSpace>),
}

impl Event {
    fn input(&mut self) -> Input<'_> {
        match self {
            Self::Woken => Input::Woken,
            Self::Connected(tracker_ip) => Input::Connected { tracker_ip: *tracker_ip },
            Self::Reply(Ok(body)) => Input::Reply(Ok(body)),
            Self::Reply(Err(status)) => Input::Reply(Err(*status)),
            Self::Lost => Input::Lost,
            Self::Measured(spaces) => Input::Measured(std::mem::take(spaces)),
        }
    }
}

struct Task {
    link: Arc<Link>,
    index: usize,
    reporter: Reporter,
    conn: Option<Conn>,
    epoch: Instant,
    /// Since the tracker was last reported to.
    failures: u32,
    /// Why the connection was lost.
    lost: Option<fdfs_core::Error>,
}

impl Task {
    async fn run(&mut self) {
        let mut event = Event::Woken;
        loop {
            let now = self.epoch.elapsed();
            let arrivals = self.link.engine.arrivals.take();
            let action = {
                let mut shared = self.link.shared();
                for (source, timestamp) in arrivals {
                    shared.peers.note_synced(&source, timestamp);
                }
                self.reporter.step(event.input(), now, &mut shared, &*self.link)
            };
            self.link.publish().await;
            if self.reporter.has_reported() && self.failures > 0 {
                self.failures = 0;
                tracing::info!(tracker = %self.name(), "reporting to the tracker again");
            }
            event = self.act(action).await;
        }
    }

    async fn act(&mut self, action: Action) -> Event {
        match action {
            Action::Connect => self.connect().await,
            Action::Send(request) => self.send(request).await,
            Action::Ask(tracker, request) => self.ask(tracker, request).await,
            Action::Measure => Event::Measured(self.measure().await),
            Action::Sleep { until } => self.sleep(until).await,
            Action::Leave { until, reason } => {
                self.log(&reason);
                self.quit().await;
                self.sleep(until).await
            }
        }
    }

    async fn sleep(&self, until: Duration) -> Event {
        sleep_until(self.epoch + until).await;
        Event::Woken
    }

    async fn connect(&mut self) -> Event {
        let Some(tracker) = self.link.config.trackers.get(self.index) else {
            return std::future::pending().await;
        };
        let connected = Conn::connect_tracker(tracker, &connect_options(&self.link.config)).await;
        // A name may stand for another address by now.
        let addr = by_address(tracker).await;
        if let Some(known) = self.link.shared().trackers.get_mut(self.index) {
            *known = addr;
        }
        let conn = match connected {
            Ok(conn) => conn,
            Err(error) => return self.lose(error),
        };
        match conn.peer_addr() {
            Ok(addr) => {
                self.conn = Some(conn);
                Event::Connected(addr.ip())
            }
            Err(error) => self.lose(
                fdfs_core::Error::new(fdfs_core::ErrorKind::Connect, "no peer").with_source(error),
            ),
        }
    }

    async fn send(&mut self, request: Request) -> Event {
        let Some(conn) = self.conn.as_mut().filter(|conn| conn.is_clean()) else {
            return Event::Lost;
        };
        let reply = exchange(conn, &request).await;
        self.replied(reply)
    }

    async fn ask(&mut self, tracker: usize, request: Request) -> Event {
        let Some(tracker) = self.link.config.trackers.get(tracker) else { return Event::Lost };
        let mut conn =
            match Conn::connect_tracker(tracker, &connect_options(&self.link.config)).await {
                Ok(conn) => conn,
                Err(error) => return self.lose(error),
            };
        let reply = exchange(&mut conn, &request).await;
        quit(&mut conn).await;
        self.replied(reply)
    }

    fn replied(&mut self, reply: fdfs_core::Result<Rest>) -> Event {
        match reply {
            Ok(body) => Event::Reply(Ok(body.0)),
            Err(error) => match error.status() {
                Some(status) => Event::Reply(Err(status)),
                None => self.lose(error),
            },
        }
    }

    fn lose(&mut self, error: fdfs_core::Error) -> Event {
        self.lost = Some(error);
        Event::Lost
    }

    /// Looks at the disks away from here: a sick one must not keep other tasks from their work,
    /// nor this storage from its beats.
    async fn measure(&self) -> Vec<DiskSpace> {
        let engine = self.link.engine.clone();
        let look = blocking(move || {
            let now = engine.now();
            engine.store.paths().iter().for_each(|path| path.look_if_due(&*engine.disk, now));
        });
        if timeout(MEASURE_TIME_MAX, look).await.is_err() {
            tracing::warn!("a store path hangs: reporting its space as last seen");
        }
        self.link.engine.store.paths().iter().map(StorePath::known_space).collect()
    }

    fn name(&self) -> String {
        self.link.config.trackers.get(self.index).map(ToString::to_string).unwrap_or_default()
    }

    fn log(&mut self, reason: &Reason) {
        let lost = self.lost.take();
        if self.failures.is_multiple_of(FAILURES_PER_LOG) {
            let tracker = self.name();
            let error = lost.filter(|_| *reason == Reason::Lost);
            let why = error.map_or_else(|| reason.to_string(), |error| error.to_string());
            tracing::warn!(%tracker, %why, "left a tracker, joining again");
        }
        self.failures = self.failures.saturating_add(1);
    }

    async fn quit(&mut self) {
        if let Some(mut conn) = self.conn.take() {
            quit(&mut conn).await;
        }
    }
}

async fn exchange(conn: &mut Conn, request: &Request) -> fdfs_core::Result<Rest> {
    conn.call(request.command, &request.body).await
}

/// Says goodbye when the connection can still carry it; the tracker does not answer.
async fn quit(conn: &mut Conn) {
    if conn.is_clean() {
        // Whether it arrives does not matter: the connection closes either way.
        let _ = conn.start(Command::QUIT, 0, &[], 0).await;
    }
}
