//! One request and its reply as a state machine: what may be sent, what must be read, and whether
//! the connection may carry another exchange afterwards (spec 01 §1, §5, Q2; SDK conventions §1.5).
//! It holds no socket and no clock: the owner reports what it sent and received.

use crate::error::ErrorKind;
use crate::protocol::frame::{FrameError, HEADER_LEN, Header};
use crate::protocol::{Command, Status};
use bytes::BytesMut;

/// Why a reply cannot be taken for the answer to the request. The connection must be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// The header itself is broken.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The packet is no reply.
    #[error("expected a reply, got {0}")]
    NotAReply(Command),
    /// Success was answered to a request that had not been sent to its end.
    #[error("success before the request was complete, {0} bytes missing")]
    TooSoon(u64),
}

/// What a reply's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Success; this many bytes of body follow.
    Body(u64),
    /// The request was refused.
    Refused(Status),
}

impl Answer {
    /// The kind of error that a refusal is.
    pub fn error_kind(self) -> Option<ErrorKind> {
        match self {
            Self::Body(_) => None,
            Self::Refused(status) => Some(ErrorKind::of_status(status)),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reply {
    /// Some bytes of the header have come.
    Header { bytes: [u8; HEADER_LEN], len: usize },
    /// The header has come, and this much of the body is missing.
    Body { missing: u64 },
    /// Refused; whether the stream is known to stand at the next packet.
    Refused { clean: bool },
    /// Broken beyond repair.
    Broken,
}

/// One exchange under way.
#[derive(Debug, Clone)]
pub struct Exchange {
    command: Command,
    /// Bytes of the packet handed to the network.
    sent: u64,
    /// Bytes of the packet.
    len: u64,
    reply: Reply,
}

impl Exchange {
    /// Begins an exchange, and gives the first bytes to send: the header and `head`, the request up
    /// to its content. `content_len` bytes of content must follow.
    pub fn begin(command: Command, flags: u8, head: &[u8], content_len: u64) -> (Self, BytesMut) {
        let body_len = head.len() as u64 + content_len;
        let header = Header { body_len, command, status: Status(flags) };
        let mut packet = BytesMut::with_capacity(HEADER_LEN + head.len());
        packet.extend_from_slice(&header.encode());
        packet.extend_from_slice(head);
        let reply = Reply::Header { bytes: [0; HEADER_LEN], len: 0 };
        (Self { command, sent: 0, len: HEADER_LEN as u64 + body_len, reply }, packet)
    }

    /// The request's command.
    pub fn command(&self) -> Command {
        self.command
    }

    /// Bytes of the packet that must still be sent.
    pub fn unsent(&self) -> u64 {
        self.len - self.sent
    }

    /// Notes that the network took `len` bytes.
    ///
    /// # Panics
    ///
    /// When that is more than the packet has: the next packet would begin in this one's content.
    pub fn sent(&mut self, len: usize) {
        let len = len as u64;
        assert!(len <= self.unsent(), "more content than announced");
        self.sent += len;
    }

    /// Whether a byte of the body may have reached the server, so that it may act on it.
    pub fn body_left(&self) -> bool {
        self.sent > HEADER_LEN as u64
    }

    /// Whether a byte of the reply has come.
    pub fn is_replied(&self) -> bool {
        !matches!(self.reply, Reply::Header { len: 0, .. })
    }

    /// Bytes of the reply's header that are missing. No more than these may be taken from the
    /// network as header: the body behind them goes its own way.
    pub fn header_missing(&self) -> usize {
        match self.reply {
            Reply::Header { len, .. } => HEADER_LEN - len,
            _ => 0,
        }
    }

    /// Takes bytes of the reply's header; the answer once it is whole.
    pub fn header_bytes(&mut self, piece: &[u8]) -> Result<Option<Answer>, ExchangeError> {
        let Reply::Header { mut bytes, len } = self.reply else { return Ok(None) };
        let end = (len + piece.len()).min(HEADER_LEN);
        if let Some(room) = bytes.get_mut(len..end) {
            room.copy_from_slice(piece.get(..end - len).unwrap_or_default());
        }
        self.reply = Reply::Header { bytes, len: end };
        if end < HEADER_LEN {
            return Ok(None);
        }
        self.reply = Reply::Broken;
        let header = Header::parse(bytes)?;
        if header.command != Command::RESPONSE {
            return Err(ExchangeError::NotAReply(header.command));
        }
        if !header.status.is_ok() {
            self.reply = Reply::Refused { clean: self.stays_usable(header) };
            return Ok(Some(Answer::Refused(header.status)));
        }
        if self.unsent() > 0 {
            return Err(ExchangeError::TooSoon(self.unsent()));
        }
        self.reply = Reply::Body { missing: header.body_len };
        Ok(Some(Answer::Body(header.body_len)))
    }

    /// Servers close after most errors, and after one in the middle of content they take the rest
    /// of it for requests. "Not found" to a plain request is the one that is part of everyday life.
    /// Between storages more is: they answer by status how a change fits what they have, and close
    /// after status 22 only (spec 03 §C4).
    fn stays_usable(&self, refusal: Header) -> bool {
        let usual = match self.command.is_replication() {
            true => refusal.status != Status::EINVAL,
            false => refusal.status == Status::ENOENT && self.command.stream_head().is_none(),
        };
        usual && refusal.body_len == 0 && self.unsent() == 0
    }

    /// Bytes of the reply's body that are missing.
    pub fn body_missing(&self) -> u64 {
        match self.reply {
            Reply::Body { missing } => missing,
            _ => 0,
        }
    }

    /// Notes that `len` bytes of the reply's body were taken.
    pub fn body_bytes(&mut self, len: usize) {
        if let Reply::Body { missing } = &mut self.reply {
            *missing = missing.saturating_sub(len as u64);
        }
    }

    /// Notes that the reply makes no sense.
    pub fn broken(&mut self) {
        self.reply = Reply::Broken;
    }

    /// Whether it ended as the protocol demands, so that the next exchange may begin.
    pub fn is_clean(&self) -> bool {
        match self.reply {
            Reply::Body { missing } => missing == 0,
            Reply::Refused { clean } => clean,
            Reply::Header { .. } | Reply::Broken => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: Status, body_len: u64) -> [u8; HEADER_LEN] {
        Header::reply(status, body_len).encode()
    }

    /// A request sent to its end, but for `unsent` bytes.
    fn sent(command: Command, content_len: u64, unsent: usize) -> Exchange {
        let (mut exchange, packet) = Exchange::begin(command, 0, b"head", content_len);
        assert_eq!(packet.len(), HEADER_LEN + 4);
        let len = usize::try_from(exchange.unsent()).unwrap();
        exchange.sent(len - unsent);
        exchange
    }

    #[test]
    fn only_a_whole_reply_to_a_whole_request_is_clean() {
        let mut exchange = sent(Command::GET_METADATA, 0, 0);
        let header = reply(Status::OK, 3);
        for (at, byte) in header.iter().enumerate() {
            assert!(!exchange.is_clean());
            assert_eq!(exchange.is_replied(), at > 0);
            assert_eq!(exchange.header_missing(), HEADER_LEN - at);
            let answer = exchange.header_bytes(&[*byte]).unwrap();
            assert_eq!(answer, (at == HEADER_LEN - 1).then_some(Answer::Body(3)));
        }
        exchange.body_bytes(2);
        assert!(!exchange.is_clean() && exchange.body_missing() == 1);
        exchange.body_bytes(1);
        assert!(exchange.is_clean());
    }

    #[test]
    fn after_a_refusal_only_a_plain_not_found_leaves_the_connection_usable() {
        for (command, content, unsent, status, body, clean) in [
            (Command::DELETE_FILE, 0, 0, Status::ENOENT, 0, true),
            (Command::DELETE_FILE, 0, 0, Status::ENOENT, 5, false),
            (Command::DELETE_FILE, 0, 0, Status::EINVAL, 0, false),
            (Command::DOWNLOAD_FILE, 0, 0, Status::EIO, 100, false),
            (Command::UPLOAD_SLAVE_FILE, 9, 0, Status::ENOENT, 0, false),
            (Command::UPLOAD_SLAVE_FILE, 9, 9, Status::ENOENT, 0, false),
            (Command::UPLOAD_FILE, 9, 5, Status::ENOSPC, 0, false),
            (Command::SYNC_CREATE_FILE, 9, 0, Status::EEXIST, 0, true),
            (Command::SYNC_CREATE_FILE, 9, 5, Status::EEXIST, 0, false),
            (Command::SYNC_CREATE_FILE, 9, 0, Status::EINVAL, 0, false),
        ] {
            let mut exchange = sent(command, content, unsent);
            let answer = exchange.header_bytes(&reply(status, body)).unwrap();
            assert_eq!(answer, Some(Answer::Refused(status)));
            assert_eq!(exchange.is_clean(), clean, "{command} {status}");
        }
    }

    #[test]
    fn what_is_no_answer_breaks_the_exchange() {
        let mut early = sent(Command::UPLOAD_FILE, 9, 9);
        let error = early.header_bytes(&reply(Status::OK, 0));
        assert_eq!(error, Err(ExchangeError::TooSoon(9)));
        let mut other = sent(Command::ACTIVE_TEST, 0, 0);
        let request = Header::request(Command::QUIT, 0).encode();
        assert_eq!(other.header_bytes(&request), Err(ExchangeError::NotAReply(Command::QUIT)));
        let mut negative = sent(Command::ACTIVE_TEST, 0, 0);
        assert!(negative.header_bytes(&[0xff; HEADER_LEN]).is_err());
        assert!(!early.is_clean() && !other.is_clean() && !negative.is_clean());
    }

    #[test]
    fn a_body_byte_may_have_left_once_the_header_has() {
        let (mut exchange, _) = Exchange::begin(Command::APPEND_FILE, 0, b"head", 3);
        exchange.sent(HEADER_LEN);
        assert!(!exchange.body_left());
        exchange.sent(1);
        assert!(exchange.body_left());
    }
}
