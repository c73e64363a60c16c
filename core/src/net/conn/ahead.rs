//! Requests that follow each other without waiting for answers, for servers known to take them so.
//! Every server answers the requests of one connection in their order (spec 03 §0.9), but the
//! original overlooks what came together with the request before (quirk S12).

use super::Conn;
use crate::error::Result;
use crate::exchange::{Answer, Exchange};
use crate::protocol::frame::HEADER_LEN;
use crate::protocol::{Command, Status};
use bytes::BytesMut;

/// Most requests that are sent together. So many answers fit the buffers of any socket: a server
/// never waits for its answers to be read while it is still being sent requests.
pub const AHEAD_MAX: usize = 64;

/// Requests to be sent together.
#[derive(Debug, Default)]
pub struct Ahead {
    packets: BytesMut,
    exchanges: Vec<Exchange>,
}

impl Ahead {
    /// Adds a request with its content.
    ///
    /// # Panics
    ///
    /// When there are [`AHEAD_MAX`] already.
    pub fn push(&mut self, command: Command, flags: u8, head: &[u8], content: &[u8]) {
        assert!(self.exchanges.len() < AHEAD_MAX, "too many requests ahead");
        let (mut exchange, packet) = Exchange::begin(command, flags, head, content.len() as u64);
        // Whatever becomes of it, the server may have been sent all of it.
        exchange.sent(packet.len() + content.len());
        self.packets.extend_from_slice(&packet);
        self.packets.extend_from_slice(content);
        self.exchanges.push(exchange);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.exchanges.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.exchanges.is_empty()
    }

    /// Bytes to be sent.
    pub fn bytes(&self) -> usize {
        self.packets.len()
    }
}

impl Conn {
    /// Sends requests whose replies have no body, and adds the status of each reply to `answers`,
    /// in the order of the requests. After an error the server may have done any of those that
    /// have no answer.
    pub async fn call_ahead(&mut self, ahead: Ahead, answers: &mut Vec<Status>) -> Result<()> {
        self.check_clean()?;
        let Ahead { packets, exchanges } = ahead;
        self.exchange = exchanges.first().cloned();
        let mut unsent = &packets[..];
        while !unsent.is_empty() {
            let sent = self.write_some([unsent, &[]], false).await?;
            unsent = unsent.get(sent..).unwrap_or_default();
        }
        let mut missing = exchanges.len() * HEADER_LEN;
        let mut buffer = [0; AHEAD_MAX * HEADER_LEN];
        let mut received = 0..0;
        for exchange in exchanges {
            self.exchange = Some(exchange);
            let answer = loop {
                let piece = buffer.get(received.clone()).unwrap_or_default();
                let used = piece.len().min(self.exchange_mut().header_missing());
                let piece = piece.get(..used).unwrap_or_default();
                received.start += used;
                match self.exchange_mut().header_bytes(piece) {
                    Ok(Some(answer)) => break answer,
                    Ok(None) => {}
                    Err(error) => return Err(self.broken(error)),
                }
                // No more than what is asked for: what stands behind it belongs to nobody yet.
                let room = buffer.get_mut(..missing).unwrap_or_default();
                let read = self.read_some(room).await?;
                missing -= read;
                received = 0..read;
            };
            answers.push(match answer {
                Answer::Body(0) => Status::OK,
                Answer::Body(len) => return Err(self.broken(format!("a body of {len} bytes"))),
                Answer::Refused(status) => status,
            });
        }
        Ok(())
    }
}
