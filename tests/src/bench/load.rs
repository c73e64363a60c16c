//! A neutral load: one thread, persistent connections, one request under way on each (plan §6.1).
//!
//! It waits with epoll instead of a thread for each connection, so that it costs less than the
//! servers it measures and one core of it can saturate one core of theirs.

use super::work::{Request, Work};
use fdfs_core::protocol::Status;
use fdfs_core::protocol::frame::{HEADER_LEN, Header};
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use std::io::{self, IoSlice, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Longest wait for any answer.
const STALL_MAX: Duration = Duration::from_secs(20);
/// Bytes of a reply's body that are kept: names are shorter.
const KEPT_LEN: usize = 512;
/// Bytes read at once.
const READ_LEN: usize = 1 << 20;

/// How a load runs.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The server.
    pub addr: SocketAddr,
    /// Connections.
    pub connections: usize,
    /// Time before anything counts.
    pub warm_up: Duration,
    /// Time that counts.
    pub time: Duration,
    /// Bytes of content after which it ends early.
    pub bytes_max: u64,
}

/// What was measured.
#[derive(Debug, Default)]
pub struct Measured {
    /// Requests answered within the time that counts.
    pub ops: u64,
    /// Bytes of content moved by them.
    pub bytes: u64,
    /// The time that counted.
    pub secs: f64,
    /// Processor time of the server in it, in microseconds.
    pub cpu_micros: f64,
    /// Time of each request in microseconds, ascending.
    pub latencies: Vec<u32>,
}

struct Conn {
    stream: TcpStream,
    request: Request,
    /// Bytes of the request sent.
    sent: u64,
    began: Instant,
    header: [u8; HEADER_LEN],
    /// Bytes of the reply received.
    received: u64,
    body_len: u64,
    body: Vec<u8>,
    waits_for_room: bool,
    busy: bool,
}

fn stalled(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what.to_owned())
}

impl Conn {
    fn open(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            request: Request::default(),
            sent: 0,
            began: Instant::now(),
            header: [0; HEADER_LEN],
            received: 0,
            body_len: 0,
            body: Vec::with_capacity(KEPT_LEN),
            waits_for_room: false,
            busy: false,
        })
    }

    /// Sends as much of the request as fits.
    fn send(&mut self, content: &[u8]) -> io::Result<()> {
        let content = content.get(..self.request.content_len).unwrap_or_default();
        let head_len = self.request.head.len() as u64;
        let total = head_len + content.len() as u64;
        while self.sent < total {
            let at = |from: u64| usize::try_from(from).unwrap_or(usize::MAX);
            let head = self.request.head.get(at(self.sent)..).unwrap_or_default();
            let rest = content.get(at(self.sent.saturating_sub(head_len))..).unwrap_or_default();
            match self.stream.write_vectored(&[IoSlice::new(head), IoSlice::new(rest)]) {
                Ok(sent) => self.sent += sent as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        self.waits_for_room = self.sent < total;
        Ok(())
    }

    /// Takes received bytes; tells whether the reply is whole.
    fn take(&mut self, mut bytes: &[u8]) -> io::Result<bool> {
        while self.received < HEADER_LEN as u64 {
            let Some((byte, rest)) = bytes.split_first() else { return Ok(false) };
            let at = usize::try_from(self.received).unwrap_or(0);
            if let Some(place) = self.header.get_mut(at) {
                *place = *byte;
            }
            self.received += 1;
            bytes = rest;
            if self.received == HEADER_LEN as u64 {
                let header = Header::parse(self.header).map_err(io::Error::other)?;
                if header.status != Status::OK {
                    return Err(io::Error::other(format!("refused: {}", header.status)));
                }
                self.body_len = header.body_len;
            }
        }
        let kept = bytes.len().min(KEPT_LEN - self.body.len().min(KEPT_LEN));
        self.body.extend_from_slice(bytes.get(..kept).unwrap_or_default());
        self.received += bytes.len() as u64;
        Ok(self.received >= HEADER_LEN as u64 + self.body_len)
    }
}

/// Connections under load.
struct Running<'w> {
    poll: OwnedFd,
    conns: Vec<Conn>,
    work: &'w mut Work,
    buffer: Vec<u8>,
}

impl Running<'_> {
    /// Begins the next request of a connection; tells whether there is one.
    fn begin(&mut self, at: usize) -> io::Result<bool> {
        let Some(conn) = self.conns.get_mut(at) else { return Ok(false) };
        conn.busy = self.work.next(at, &mut conn.request);
        if conn.busy {
            (conn.sent, conn.received, conn.body_len) = (0, 0, 0);
            conn.body.clear();
            conn.began = Instant::now();
            let waited = conn.waits_for_room;
            conn.send(self.work.content())?;
            self.watch(at, waited)?;
        }
        Ok(self.conns.get(at).is_some_and(|conn| conn.busy))
    }

    /// Watches for room to send in only while it is needed.
    fn watch(&self, at: usize, watched: bool) -> io::Result<()> {
        let Some(conn) = self.conns.get(at).filter(|conn| conn.waits_for_room != watched) else {
            return Ok(());
        };
        let flags = match conn.waits_for_room {
            true => EventFlags::IN | EventFlags::OUT,
            false => EventFlags::IN,
        };
        Ok(epoll::modify(&self.poll, &conn.stream, EventData::new_u64(at as u64), flags)?)
    }

    /// Handles a connection that is ready; the reply's latency once it is whole.
    fn ready(&mut self, at: usize, flags: EventFlags) -> io::Result<Option<Duration>> {
        let Some(conn) = self.conns.get_mut(at) else { return Ok(None) };
        if flags.contains(EventFlags::OUT) {
            conn.send(self.work.content())?;
            self.watch(at, true)?;
        }
        if !flags.contains(EventFlags::IN) {
            return Ok(None);
        }
        let Some(conn) = self.conns.get_mut(at) else { return Ok(None) };
        let read = match conn.stream.read(&mut self.buffer) {
            Ok(0) => return Err(stalled("the server closed a connection")),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        };
        if !conn.take(self.buffer.get(..read).unwrap_or_default())? {
            return Ok(None);
        }
        let latency = conn.began.elapsed();
        self.work.done(at, &conn.request, &conn.body, conn.body_len)?;
        Ok(Some(latency))
    }
}

/// Runs `work`; `cpu_micros` tells the processor time of the server so far.
pub fn run(plan: Plan, work: &mut Work, cpu_micros: impl Fn() -> f64) -> io::Result<Measured> {
    let poll = epoll::create(CreateFlags::CLOEXEC)?;
    let open = |_| Conn::open(plan.addr);
    let conns = (0..plan.connections).map(open).collect::<io::Result<Vec<_>>>()?;
    for (at, conn) in conns.iter().enumerate() {
        epoll::add(&poll, &conn.stream, EventData::new_u64(at as u64), EventFlags::IN)?;
    }
    let mut running = Running { poll, conns, work, buffer: vec![0; READ_LEN] };
    let (start, mut counts_from) = (Instant::now(), None);
    let (mut measured, mut cpu_before) = (Measured::default(), 0.0);
    let mut busy = 0_usize;
    for at in 0..plan.connections {
        busy += usize::from(running.begin(at)?);
    }
    let mut events: Vec<Event> = Vec::with_capacity(plan.connections.max(1));
    let stall = STALL_MAX.try_into().map_err(io::Error::other)?;
    while busy > 0 {
        events.clear();
        epoll::wait(&running.poll, rustix::buffer::spare_capacity(&mut events), Some(&stall))?;
        if events.is_empty() {
            return Err(stalled("no answer"));
        }
        let now = Instant::now();
        if counts_from.is_none() && now - start >= plan.warm_up {
            counts_from = Some(now);
            cpu_before = cpu_micros();
        }
        let is_over = counts_from.is_some_and(|from| now - from >= plan.time)
            || running.work.moved() >= plan.bytes_max;
        for event in &events {
            let at = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
            let Some(latency) = running.ready(at, event.flags)? else { continue };
            if counts_from.is_some() {
                measured.ops += 1;
                measured.bytes += running.work.content_len_of_last();
                measured.latencies.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
            }
            if is_over || !running.begin(at)? {
                busy -= 1;
            }
        }
    }
    measured.secs = counts_from.map_or(0.0, |from| from.elapsed().as_secs_f64());
    measured.cpu_micros = cpu_micros() - cpu_before;
    measured.latencies.sort_unstable();
    Ok(measured)
}
