//! One direction of a connection.

use bytes::{Buf as _, Bytes};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use tokio::io::ReadBuf;
use tokio::time::Instant;

/// Bytes under way and not read: then the writer waits.
const WINDOW: usize = 256 * 1024;

#[derive(Debug)]
pub(super) enum Segment {
    Data(Bytes),
    End,
    Reset,
}

/// What a reader finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrived {
    Data,
    End,
    Reset,
    /// Something comes at that moment.
    At(Instant),
    Nothing,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<(Instant, Segment)>,
    /// Bytes in the queue.
    len: usize,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// Whether the reader has closed its end.
    is_gone: bool,
    is_reset: bool,
}

#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    state: Mutex<State>,
    back: OnceLock<Weak<Pipe>>,
}

impl Pipe {
    /// The two directions of a connection.
    pub(super) fn pair(client: SocketAddr, server: SocketAddr) -> (Arc<Self>, Arc<Self>) {
        let (there, back) = (Self::new(client, server), Self::new(server, client));
        // Each is set once, here.
        let _ = there.back.set(Arc::downgrade(&back));
        let _ = back.back.set(Arc::downgrade(&there));
        (there, back)
    }

    fn new(from: SocketAddr, to: SocketAddr) -> Arc<Self> {
        Arc::new(Self { from, to, state: Mutex::default(), back: OnceLock::new() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a segment, which arrives then, or after those before it.
    pub(super) fn push(&self, at: Instant, segment: Segment) {
        let mut state = self.lock();
        let at = state.queue.back().map_or(at, |(last, _)| at.max(*last));
        if let Segment::Data(bytes) = &segment {
            state.len += bytes.len();
        }
        state.queue.push_back((at, segment));
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }

    /// Room for more bytes; without any, the writer is woken when there is.
    pub(super) fn poll_room(&self, context: &Context<'_>) -> Poll<usize> {
        let mut state = self.lock();
        if state.len < WINDOW {
            return Poll::Ready(WINDOW - state.len);
        }
        state.writer = Some(context.waker().clone());
        Poll::Pending
    }

    /// What is there; the reader is woken when that changes.
    pub(super) fn arrived(&self, passes: bool, context: Option<&Context<'_>>) -> Arrived {
        let mut state = self.lock();
        if let Some(context) = context {
            state.reader = Some(context.waker().clone());
        }
        let now = Instant::now();
        let reset =
            |(at, segment): &(Instant, Segment)| matches!(segment, Segment::Reset) && *at <= now;
        if state.is_reset || passes && state.queue.back().is_some_and(reset) {
            state.is_reset = true;
            return Arrived::Reset;
        }
        match state.queue.front() {
            Some((at, segment)) if *at <= now && passes => match segment {
                Segment::Data(_) => Arrived::Data,
                Segment::End => Arrived::End,
                Segment::Reset => Arrived::Reset,
            },
            Some((at, _)) if *at > now => Arrived::At(*at),
            _ => Arrived::Nothing,
        }
    }

    /// Moves bytes that are there; `keep` leaves them there, too.
    pub(super) fn read(&self, buffer: &mut ReadBuf<'_>, keep: bool) {
        let mut state = self.lock();
        let Some((_, Segment::Data(bytes))) = state.queue.front_mut() else { return };
        let len = bytes.len().min(buffer.remaining());
        buffer.put_slice(bytes.get(..len).unwrap_or_default());
        if keep {
            return;
        }
        bytes.advance(len);
        if bytes.is_empty() {
            state.queue.pop_front();
        }
        state.len -= len;
        if let Some(writer) = state.writer.take() {
            writer.wake();
        }
    }

    /// The reader closes its end; whether it leaves something unread.
    pub(super) fn leave(&self) -> bool {
        let mut state = self.lock();
        state.is_gone = true;
        if let Some(writer) = state.writer.take() {
            writer.wake();
        }
        state.len > 0
    }

    /// Takes back what has not arrived: into a cut, nothing has.
    pub(super) fn forget(&self, is_cut: bool) {
        let mut state = self.lock();
        let now = Instant::now();
        state.queue.retain(|(at, _)| *at <= now && !is_cut);
        let left = state.queue.iter().map(|(_, segment)| match segment {
            Segment::Data(bytes) => bytes.len(),
            _ => 0,
        });
        state.len = left.sum();
    }

    pub(super) fn is_gone(&self) -> bool {
        self.lock().is_gone
    }

    /// Whether bytes are under way to nobody.
    pub(super) fn is_unanswered(&self) -> bool {
        let state = self.lock();
        state.is_gone && state.len > 0
    }

    /// Tells the writer that its connection is unknown here.
    pub(super) fn reset_back(&self, at: Instant) {
        let mut state = self.lock();
        (state.queue, state.len) = (VecDeque::new(), 0);
        drop(state);
        if let Some(back) = self.back.get().and_then(Weak::upgrade) {
            back.push(at, Segment::Reset);
        }
    }

    /// Lets both ends look again.
    pub(super) fn wake(&self) {
        let mut state = self.lock();
        let ends = [state.reader.take(), state.writer.take()];
        ends.into_iter().flatten().for_each(Waker::wake);
    }
}
