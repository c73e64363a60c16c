//! The requests of a load.

use fdfs_core::protocol::frame::Header;
use fdfs_core::protocol::storage::{
    Append, Download, FileRef, Items, Modify, SetMetadata, StoredAs, Upload,
};
use fdfs_core::protocol::tracker::FileQuery;
use fdfs_core::protocol::{Command, Group, Name};
use fdfs_core::wire::{Rest, Wire};
use std::io;

/// Kinds of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Uploads of new files.
    Upload,
    /// Appends, each connection to a file of its own.
    Append,
    /// Changes in place, each connection in a file of its own.
    Modify,
    /// Downloads of prepared files, in random order.
    Download,
    /// Deletions of prepared files, each once.
    Delete,
    /// 70 % downloads, 25 % uploads, 5 % deletions.
    Mixed,
    /// File info of prepared files.
    Info,
    /// Metadata of prepared files set anew.
    SetMetadata,
    /// Metadata of prepared files read.
    GetMetadata,
    /// Active test.
    Ping,
    /// The tracker asked for a storage to upload to.
    QueryStore,
    /// The tracker asked for a storage of a file.
    QueryFetch,
}

/// A stored file.
#[derive(Debug, Clone, Copy)]
pub struct Stored {
    /// Its name.
    pub name: Name,
    /// Its bytes.
    pub size: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Step {
    #[default]
    Other,
    Upload,
    /// A file of the connection's own is made first.
    Make,
    /// Of a file with this many bytes.
    Download(u64),
}

/// One request: its bytes but for the content, and how much content follows.
#[derive(Debug, Default)]
pub struct Request {
    /// Header and head.
    pub head: Vec<u8>,
    /// Bytes of the shared content that follow.
    pub content_len: usize,
    step: Step,
}

impl Request {
    fn set(&mut self, command: Command, head: &impl Wire, content_len: usize, step: Step) {
        let head = head.encode();
        self.head.clear();
        let len = (head.len() + content_len) as u64;
        self.head.extend_from_slice(&Header::request(command, len).encode());
        self.head.extend_from_slice(&head);
        (self.content_len, self.step) = (content_len, step);
    }
}

/// What a load does.
#[derive(Debug)]
pub struct Work {
    op: Op,
    sizes: Vec<usize>,
    content: Vec<u8>,
    group: Group,
    prepared: Vec<Stored>,
    next_prepared: usize,
    /// The file of each connection's own.
    own: Vec<Option<Name>>,
    made: Vec<Stored>,
    deletable: Vec<Name>,
    left: usize,
    random: u64,
    moved: u64,
    last: u64,
}

impl Work {
    /// A load of requests with contents of these sizes, on these files.
    pub fn new(op: Op, sizes: &[usize], prepared: Vec<Stored>) -> Self {
        let mut random = 0x9E37_79B9_7F4A_7C15;
        let content_len = sizes.iter().max().copied().unwrap_or(0);
        let content =
            (0..content_len.div_ceil(8)).flat_map(|_| xorshift(&mut random).to_le_bytes());
        let content: Vec<u8> = content.collect();
        Self {
            op,
            sizes: sizes.to_vec(),
            content,
            group: "group1".try_into().unwrap_or_default(),
            prepared,
            next_prepared: 0,
            own: Vec::new(),
            made: Vec::new(),
            deletable: Vec::new(),
            left: usize::MAX,
            random,
            moved: 0,
            last: 0,
        }
    }

    /// Ends after this many requests.
    #[must_use]
    pub fn limited(mut self, requests: usize) -> Self {
        self.left = requests;
        self
    }

    /// What every content is the beginning of.
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// Bytes of content so far.
    pub fn moved(&self) -> u64 {
        self.moved
    }

    /// Bytes of content of the request done last.
    pub fn content_len_of_last(&self) -> u64 {
        self.last
    }

    /// The files it has uploaded, deleted ones left in.
    pub fn into_made(self) -> Vec<Stored> {
        self.made
    }

    fn size(&mut self) -> usize {
        let at = random_below(&mut self.random, self.sizes.len());
        self.sizes.get(at).copied().unwrap_or(0)
    }

    fn any(&mut self) -> Option<Stored> {
        let at = random_below(&mut self.random, self.prepared.len());
        self.prepared.get(at).copied()
    }

    /// Prepares a connection's next request; tells whether there is one.
    pub fn next(&mut self, conn: usize, request: &mut Request) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        if self.own.len() <= conn {
            self.own.resize(conn + 1, None);
        }
        match self.op {
            Op::Upload => self.upload(request),
            Op::Append | Op::Modify => self.change(conn, request),
            Op::Download => return self.download(request),
            Op::Delete => {
                let next = self.prepared.get(self.next_prepared).copied();
                self.next_prepared += 1;
                let Some(stored) = next else { return false };
                self.delete(stored.name, request);
            }
            Op::Mixed => match random_below(&mut self.random, 100) {
                ..70 => return self.download(request),
                95.. if !self.deletable.is_empty() => {
                    let at = random_below(&mut self.random, self.deletable.len());
                    let name = self.deletable.swap_remove(at);
                    self.delete(name, request);
                }
                _ => self.upload(request),
            },
            Op::Ping => request.set(Command::ACTIVE_TEST, &(), 0, Step::Other),
            Op::QueryStore => request.set(Command::QUERY_STORE, &(), 0, Step::Other),
            Op::Info | Op::SetMetadata | Op::GetMetadata | Op::QueryFetch => {
                let Some(stored) = self.any() else { return false };
                self.about(stored.name, request);
            }
        }
        true
    }

    fn upload(&mut self, request: &mut Request) {
        let size = self.size();
        request.set(Command::UPLOAD_FILE, &head(size, "bin"), size, Step::Upload);
    }

    fn change(&mut self, conn: usize, request: &mut Request) {
        let size = self.size();
        let content_len = size_on_wire(size);
        match self.own.get(conn).copied().flatten() {
            None => {
                let command = Command::UPLOAD_APPENDER_FILE;
                request.set(command, &head(size, "log"), size, Step::Make);
            }
            Some(name) if self.op == Op::Append => {
                let head = Append { content_len, name };
                request.set(Command::APPEND_FILE, &head, size, Step::Other);
            }
            Some(name) => {
                let head = Modify { offset: 0, content_len, name };
                request.set(Command::MODIFY_FILE, &head, size, Step::Other);
            }
        }
    }

    fn download(&mut self, request: &mut Request) -> bool {
        let Some(stored) = self.any() else { return false };
        let head = Download { offset: 0, len: 0, group: self.group, name: stored.name };
        request.set(Command::DOWNLOAD_FILE, &head, 0, Step::Download(stored.size));
        true
    }

    fn delete(&self, name: Name, request: &mut Request) {
        request.set(Command::DELETE_FILE, &FileRef { group: self.group, name }, 0, Step::Other);
    }

    fn about(&self, name: Name, request: &mut Request) {
        let file = FileRef { group: self.group, name };
        match self.op {
            Op::SetMetadata => {
                let items =
                    Items(Rest(b"author\x01bench\x02height\x0180\x02width\x01160".to_vec()));
                let head = SetMetadata { name, items, flag: b'O', group: self.group };
                request.set(Command::SET_METADATA, &head, 0, Step::Other);
            }
            Op::GetMetadata => request.set(Command::GET_METADATA, &file, 0, Step::Other),
            Op::QueryFetch => {
                let query = FileQuery { group: self.group, name };
                request.set(Command::QUERY_FETCH, &query, 0, Step::Other);
            }
            _ => request.set(Command::QUERY_FILE_INFO, &file, 0, Step::Other),
        }
    }

    /// Takes a reply; the beginning of its body is `body`.
    pub fn done(
        &mut self,
        conn: usize,
        request: &Request,
        body: &[u8],
        body_len: u64,
    ) -> io::Result<()> {
        self.last = request.content_len as u64;
        match request.step {
            Step::Upload | Step::Make => {
                let stored = StoredAs::decode(body).map_err(io::Error::other)?;
                self.made.push(Stored { name: stored.name, size: self.last });
                if request.step == Step::Make {
                    if let Some(own) = self.own.get_mut(conn) {
                        *own = Some(stored.name);
                    }
                } else if self.op == Op::Mixed {
                    self.deletable.push(stored.name);
                }
            }
            Step::Download(size) if size != body_len => {
                return Err(io::Error::other(format!("{body_len} bytes instead of {size}")));
            }
            Step::Download(size) => self.last = size,
            Step::Other => {}
        }
        self.moved += self.last;
        Ok(())
    }
}

fn head(size: usize, ext: &str) -> Upload {
    let ext = ext.try_into().unwrap_or_default();
    Upload { store_path: 0, content_len: size_on_wire(size), ext }
}

fn size_on_wire(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn xorshift(random: &mut u64) -> u64 {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    *random
}

fn random_below(random: &mut u64, end: usize) -> usize {
    let end = end.max(1) as u64;
    usize::try_from(xorshift(random) % end).unwrap_or(0)
}
