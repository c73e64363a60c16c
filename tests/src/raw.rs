//! A connection that sends whatever bytes a test wants, well formed or not.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test that cannot send fails")]

use fdfs_core::protocol::frame::{HEADER_LEN, Header};
use fdfs_core::protocol::{Command, Status};
use fdfs_core::wire::Wire;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longest wait for an answer; a server that hangs fails the test.
const WAIT: Duration = Duration::from_secs(20);

/// A raw connection.
#[derive(Debug)]
pub struct Raw(pub TcpStream);

/// A request: a structure with content behind it, and a number in the header's status byte.
pub fn packet(command: Command, flags: u8, head: &impl Wire, content: &[u8]) -> Vec<u8> {
    let body = [&head.encode()[..], content].concat();
    let header = Header { body_len: body.len() as u64, command, status: Status(flags) };
    [&header.encode()[..], &body].concat()
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// A reply.
    Reply(Status, Vec<u8>),
    /// The server closed the connection.
    Closed,
}

impl Answer {
    /// The status of a reply without body.
    pub fn status(&self) -> Option<Status> {
        match self {
            Self::Reply(status, _) => Some(*status),
            Self::Closed => None,
        }
    }

    /// The body of a successful reply.
    pub fn body(self) -> Vec<u8> {
        match self {
            Self::Reply(Status::OK, body) => body,
            other => panic!("expected success, got {other:?}"),
        }
    }
}

impl Raw {
    /// Connects.
    pub fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(WAIT)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// Sends bytes; a server that has closed already is no error here.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes);
    }

    /// Sends a request whose header announces `body_len`.
    pub fn send_with_len(&mut self, command: u8, body_len: i64, body: &[u8]) {
        self.send(&[&body_len.to_be_bytes()[..], &[command, 0], body].concat());
    }

    /// Reads a reply, or the end of the connection.
    pub fn answer(&mut self) -> Answer {
        let mut header = [0; HEADER_LEN];
        if self.0.read_exact(&mut header).is_err() {
            return Answer::Closed;
        }
        let header = Header::parse(header).unwrap();
        assert_eq!(header.command, Command::RESPONSE);
        let mut body = vec![0; usize::try_from(header.body_len).unwrap()];
        match self.0.read_exact(&mut body) {
            Ok(()) => Answer::Reply(header.status, body),
            Err(_) => Answer::Closed,
        }
    }

    /// One exchange.
    pub fn call(&mut self, command: Command, body: &[u8]) -> Answer {
        self.send_with_len(command.0, i64::try_from(body.len()).unwrap(), body);
        self.answer()
    }

    /// One exchange with a structure and content behind it.
    pub fn call_with(&mut self, command: Command, head: &impl Wire, content: &[u8]) -> Answer {
        self.call_with_flags(command, 0, head, content)
    }

    /// The same with a number in the header's status byte.
    pub fn call_with_flags(
        &mut self,
        command: Command,
        flags: u8,
        head: &impl Wire,
        content: &[u8],
    ) -> Answer {
        self.send(&packet(command, flags, head, content));
        self.answer()
    }

    /// Whether the server still answers on this connection.
    pub fn is_alive(&mut self) -> bool {
        self.call(Command::ACTIVE_TEST, &[]) == Answer::Reply(Status::OK, Vec::new())
    }
}
