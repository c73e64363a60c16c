//! Cutting a byte stream into packets (spec 01 §1, §5).
//!
//! A packet is a 10-byte header and a body. Most bodies are small messages; those of uploads,
//! appends and their like are a small head followed by file content of any size. The [`Decoder`]
//! asks for bytes, shows the head once it is whole, and then hands out the content piece by piece,
//! so that nobody ever holds more than one buffer of it. It copies nothing and allocates nothing.

use super::{Command, NAME_LEN_MAX, Status};
use std::fmt;

/// Bytes of a packet header.
pub const HEADER_LEN: usize = 10;

/// The header of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes that follow the header.
    pub body_len: u64,
    /// Command; replies carry [`Command::RESPONSE`].
    pub command: Command,
    /// Outcome in replies; 0 in requests, except the flags of `QUERY_FILE_INFO` and the results of
    /// some peer commands.
    pub status: Status,
}

impl Header {
    /// The header of a request.
    pub fn request(command: Command, body_len: u64) -> Self {
        Self { body_len, command, status: Status::OK }
    }

    /// The header of a reply.
    pub fn reply(status: Status, body_len: u64) -> Self {
        Self { body_len, command: Command::RESPONSE, status }
    }

    /// Reads a header; the length must not be negative.
    pub fn parse(bytes: [u8; HEADER_LEN]) -> Result<Self, FrameError> {
        let [len @ .., command, status] = bytes;
        let len = i64::from_be_bytes(len);
        let body_len = u64::try_from(len).map_err(|_| FrameError::NegativeLength(len))?;
        Ok(Self { body_len, command: Command(command), status: Status(status) })
    }

    /// The header's bytes.
    pub fn encode(self) -> [u8; HEADER_LEN] {
        let [a, b, c, d, e, f, g, h] = self.body_len.to_be_bytes();
        [a, b, c, d, e, f, g, h, self.command.0, self.status.0]
    }
}

/// Why a stream cannot be read on. The connection must be closed: where the next packet begins is
/// unknown or too far away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length field is negative.
    #[error("body length {0} is negative")]
    NegativeLength(i64),
    /// A message that is not streamed is longer than the receiver allows.
    #[error("{command}: body of {body_len} bytes, the limit is {limit}")]
    TooLong {
        /// The command in the header.
        command: Command,
        /// The announced length.
        body_len: u64,
        /// The receiver's limit.
        limit: usize,
    },
}

/// Where the head of a streamed request ends: after `fixed` bytes, plus the file name whose length
/// is the first field when `named`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamHead {
    /// Bytes of fixed width.
    pub fixed: usize,
    /// Whether the first 8 bytes are the length of a name that stands behind the fixed part.
    pub named: bool,
}

impl StreamHead {
    /// Bytes of the head given the first bytes of the body, or `Err(n)` when `n` bytes are needed
    /// to tell. A name length out of range ends the head early: decoding it then fails cleanly.
    fn len(self, body: &[u8]) -> Result<usize, usize> {
        if !self.named {
            return Ok(self.fixed);
        }
        let Some(len) = body.first_chunk::<8>() else { return Err(8) };
        let name_len = usize::try_from(i64::from_be_bytes(*len)).unwrap_or(usize::MAX);
        Ok(if name_len <= NAME_LEN_MAX { self.fixed + name_len } else { self.fixed })
    }
}

/// What stands at the front of the receive buffer.
#[derive(PartialEq, Eq)]
pub enum Event<'b> {
    /// Nothing yet: the buffer must hold at least this many bytes.
    Need(usize),
    /// A request: its header, its body or the head of it, and how much content follows.
    Request {
        /// The packet's header.
        header: Header,
        /// The whole body, or the part before the content.
        head: &'b [u8],
        /// Bytes of content that follow as [`Event::Content`].
        content_len: u64,
    },
    /// A piece of content.
    Content(&'b [u8]),
}

impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Need(len) => write!(f, "Need({len})"),
            Self::Request { header, head, content_len } => {
                write!(f, "Request({header:?}, head {}, content {content_len})", head.len())
            }
            Self::Content(bytes) => write!(f, "Content({})", bytes.len()),
        }
    }
}

/// The receiving end of one connection.
#[derive(Debug, Clone)]
pub struct Decoder {
    message_len_max: usize,
    content_left: u64,
}

impl Decoder {
    /// A decoder that refuses messages longer than `message_len_max` bytes, content not counted.
    pub fn new(message_len_max: usize) -> Self {
        Self { message_len_max, content_left: 0 }
    }

    /// Content bytes of the current request not handed out yet.
    pub fn content_left(&self) -> u64 {
        self.content_left
    }

    /// Accounts for content that the caller took from the stream itself, without this decoder's
    /// buffer in between.
    pub fn content_taken(&mut self, len: u64) {
        self.content_left = self.content_left.saturating_sub(len);
    }

    /// Reads the front of `buffer`: the event, and how many bytes of the buffer it used up.
    pub fn next<'b>(&mut self, buffer: &'b [u8]) -> Result<(Event<'b>, usize), FrameError> {
        if self.content_left > 0 {
            return Ok(self.content(buffer));
        }
        let Some((header, rest)) = buffer.split_first_chunk::<HEADER_LEN>() else {
            return Ok((Event::Need(HEADER_LEN), 0));
        };
        let header = Header::parse(*header)?;
        let head_len = match header.command.stream_head() {
            Some(head) => match head.len(rest) {
                Ok(len) => header.body_len.min(len as u64),
                Err(needed) => header.body_len.min(needed as u64),
            },
            None => header.body_len,
        };
        let Some(head_len) =
            usize::try_from(head_len).ok().filter(|len| *len <= self.message_len_max)
        else {
            let (command, body_len) = (header.command, header.body_len);
            return Err(FrameError::TooLong { command, body_len, limit: self.message_len_max });
        };
        let Some(head) = rest.get(..head_len) else {
            return Ok((Event::Need(HEADER_LEN + head_len), 0));
        };
        // A named head whose length field has only now arrived may turn out to be longer.
        if let Some(Ok(len)) = header.command.stream_head().map(|stream| stream.len(rest)) {
            let len = usize::try_from(header.body_len).map_or(len, |body| body.min(len));
            if len > head_len {
                return Ok((Event::Need(HEADER_LEN + len), 0));
            }
        }
        self.content_left = header.body_len - head_len as u64;
        let content_len = self.content_left;
        Ok((Event::Request { header, head, content_len }, HEADER_LEN + head_len))
    }

    fn content<'b>(&mut self, buffer: &'b [u8]) -> (Event<'b>, usize) {
        let len = usize::try_from(self.content_left).map_or(buffer.len(), |n| n.min(buffer.len()));
        match buffer.get(..len) {
            Some(piece) if len > 0 => {
                self.content_left -= len as u64;
                (Event::Content(piece), len)
            }
            _ => (Event::Need(1), 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::storage::Append;
    use crate::wire::Wire;

    fn frame(command: Command, body: &[u8]) -> Vec<u8> {
        [&Header::request(command, body.len() as u64).encode()[..], body].concat()
    }

    /// Command, head and content of each request.
    type Requests = Vec<(Command, Vec<u8>, Vec<u8>)>;

    /// Runs the decoder over `stream` arriving `step` bytes at a time.
    fn feed(stream: &[u8], step: usize) -> Result<Requests, FrameError> {
        let mut decoder = Decoder::new(1 << 16);
        let (mut got, mut buffer, mut out) = (0, Vec::new(), Vec::new());
        loop {
            let used = match decoder.next(&buffer)? {
                (Event::Need(len), used) => {
                    assert!(len > buffer.len() && used == 0, "asks for bytes that are there");
                    if got == stream.len() {
                        return Ok(out);
                    }
                    let end = (got + step).min(stream.len());
                    buffer.extend_from_slice(&stream[got..end]);
                    got = end;
                    continue;
                }
                (Event::Request { header, head, .. }, used) => {
                    out.push((header.command, head.to_vec(), Vec::new()));
                    used
                }
                (Event::Content(piece), used) => {
                    out.last_mut().unwrap().2.extend_from_slice(piece);
                    used
                }
            };
            buffer.drain(..used);
        }
    }

    #[test]
    fn requests_come_out_the_same_whatever_the_pieces_they_arrive_in() {
        let name = "M00/00/00/Ck0AAmsAxhGEawtHAAAAADY6MCA617.txt".try_into().unwrap();
        let head = Append { name, content_len: 5 }.encode().to_vec();
        let stream = [
            frame(Command::ACTIVE_TEST, b""),
            frame(Command::APPEND_FILE, &[&head[..], b"hello"].concat()),
            frame(
                Command::UPLOAD_FILE,
                &[b"\xff\0\0\0\0\0\0\0\x03txt\0\0\0".as_slice(), b"abc"].concat(),
            ),
            frame(Command::QUERY_STORE_GROUP, b"group1\0\0\0\0\0\0\0\0\0\0"),
        ]
        .concat();
        let whole = feed(&stream, stream.len()).unwrap();
        assert_eq!(whole.len(), 4);
        assert_eq!(whole[1], (Command::APPEND_FILE, head, b"hello".to_vec()));
        for step in 1..stream.len() {
            assert_eq!(feed(&stream, step).unwrap(), whole, "pieces of {step}");
        }
    }

    #[test]
    fn hostile_lengths_are_refused_before_anything_is_buffered() {
        let mut decoder = Decoder::new(4096);
        for (len, command) in [(-1, 11), (i64::MIN, 14), (4097, 14), (i64::MAX, 101), (1 << 32, 90)]
        {
            let mut bytes = len.to_be_bytes().to_vec();
            bytes.extend([command, 0]);
            assert!(decoder.next(&bytes).is_err(), "{len} {command}");
        }
        let mut upload = i64::MAX.to_be_bytes().to_vec();
        upload.extend([11, 0]);
        assert_eq!(decoder.next(&upload), Ok((Event::Need(25), 0)), "content may be of any size");
    }

    #[test]
    fn a_name_length_out_of_range_ends_the_head_early() {
        for len in [-1i64, 128, i64::MAX] {
            let body = [&len.to_be_bytes()[..], &[0; 200]].concat();
            let bytes = frame(Command::APPEND_FILE, &body);
            let mut decoder = Decoder::new(4096);
            let (event, _) = decoder.next(&bytes).unwrap();
            let Event::Request { head, content_len, .. } = event else { panic!("{event:?}") };
            assert_eq!((head.len(), content_len), (16, 192));
            assert!(Append::decode(head).is_err());
        }
    }
}
