//! The writer of the binlog: the record of every change, which replication reads (spec 04 §A.5).
//!
//! A record is handed to the kernel before its request is acknowledged, so that the death of the
//! process loses none. When that fails nothing is acknowledged, and the torn bytes are cut off so
//! that the next record starts a line. Records are queued first and written when their request is
//! about to be answered: those of all requests that are as far by then share one write.
//!
//! A change that is made and then cannot be recorded would never reach the other storages. So a
//! little disk space is always set aside for records, and changes are refused before they are made
//! when that cannot be had; the last of it is kept for deletions, which make room again.

mod archive;
mod index;

pub(super) use archive::{file_len, is_packed};
pub(super) use index::file_path;

use super::disk::{Disk, DiskFile};
use fdfs_core::protocol::{NAME_LEN_MAX, Name};
use fdfs_core::wire::Text;
use index::Index;
use std::fmt;
use std::io::{self, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::watch;

/// Bytes after which the next file is begun.
const FILE_LEN_MAX: u64 = 1 << 30;
/// Bytes set aside for records at a time.
const RESERVE_LEN: u64 = 1 << 20;
/// The part of them that only deletions may use up.
const KEPT_FOR_DELETIONS: u64 = 64 << 10;
/// Bytes of records that wait for a binlog that can be written again, before changes are refused.
const OWED_LEN_MAX: u64 = 64 << 10;
/// Bytes read at a time when looking back for the last whole record.
const LOOK_BACK_LEN: u64 = 64 << 10;
/// Longest name with what follows it: all that the original's readers take (spec 04 §A.5.2).
const TEXT_LEN_MAX: usize = NAME_LEN_MAX;

/// Operations by their letters (spec 04 §A.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "the table of spec 04 §A.5.2")]
pub enum Operation {
    Create = b'C',
    Append = b'A',
    Delete = b'D',
    Update = b'U',
    Modify = b'M',
    Truncate = b'T',
    Link = b'L',
    Rename = b'R',
}

impl Operation {
    /// The operation with this letter.
    pub fn of_letter(letter: u8) -> Option<Self> {
        use Operation as O;
        [O::Create, O::Append, O::Delete, O::Update, O::Modify, O::Truncate, O::Link, O::Rename]
            .into_iter()
            .find(|operation| *operation as u8 == letter)
    }
}

/// A change to be recorded. Made before the change itself, as a name may be too long for it.
#[derive(Debug, Clone, Copy)]
pub struct Record {
    operation: Operation,
    /// Received from a peer: written with a small letter, and not sent on.
    replica: bool,
    /// The name and what follows it.
    text: Text<TEXT_LEN_MAX>,
}

impl Record {
    /// A record of a name alone.
    pub fn new(operation: Operation, name: &Name) -> Self {
        Self { operation, replica: false, text: *name }
    }

    /// A record with something behind the name; `None` when it is too long.
    pub fn with(operation: Operation, name: &Name, extra: fmt::Arguments<'_>) -> Option<Self> {
        let mut text = [0; TEXT_LEN_MAX];
        let mut rest = text.as_mut_slice();
        rest.write_all(name.as_bytes()).ok()?;
        write!(rest, " {extra}").ok()?;
        let len = TEXT_LEN_MAX - rest.len();
        Some(Self { operation, replica: false, text: Text::new(text.get(..len)?)? })
    }

    /// The same change, received from a peer.
    #[must_use]
    pub fn of_peer(self) -> Self {
        Self { replica: true, ..self }
    }

    fn letter(&self) -> char {
        let letter = char::from(self.operation as u8);
        if self.replica { letter.to_ascii_lowercase() } else { letter }
    }
}

/// A place in the binlog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position {
    /// The file.
    pub index: u32,
    /// Bytes into it.
    pub offset: u64,
}

impl Position {
    /// Behind every record.
    pub const MAX: Self = Self { index: u32::MAX, offset: u64::MAX };
}

/// The file being written, owned by whoever writes.
#[derive(Debug)]
struct Writer {
    file: Arc<dyn DiskFile>,
    index: u32,
    len: u64,
    /// Set while the end of the file is not the end of a record.
    torn: bool,
    /// Where the space set aside ends.
    reserved_end: u64,
    /// Length at which the next file is begun.
    rotate_at: u64,
}

impl Writer {
    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.torn {
            self.cut()?;
        }
        if let Err(error) = self.file.write_at(lines, self.len) {
            self.torn = true;
            // When this fails too, the next write tries again before it adds anything.
            let _ = self.cut();
            return Err(error);
        }
        self.len += lines.len() as u64;
        Ok(())
    }

    fn cut(&mut self) -> io::Result<()> {
        self.file.set_len(self.len)?;
        self.torn = false;
        // Cutting gives back what was set aside.
        self.reserved_end = self.reserved_end.min(self.len);
        Ok(())
    }

    fn room(&self) -> u64 {
        self.reserved_end.saturating_sub(self.len)
    }

    fn reserve(&mut self) -> io::Result<()> {
        match self.file.reserve(self.len, RESERVE_LEN) {
            Ok(()) => self.reserved_end = self.len + RESERVE_LEN,
            Err(error) if error.raw_os_error() == Some(28) => {
                self.file.reserve(self.len, 2 * KEPT_FOR_DELETIONS)?;
                self.reserved_end = self.len + 2 * KEPT_FOR_DELETIONS;
            }
            // The file system cannot do it: then there is nothing to rely on.
            Err(error) if matches!(error.raw_os_error(), Some(22 | 38 | 95)) => {
                self.reserved_end = u64::MAX;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Records that are written together, and what became of them.
#[derive(Debug, Default)]
struct Batch {
    /// Absent until the batch was dealt with: `None` when it was written, or the error.
    outcome: OnceLock<Option<i32>>,
}

impl Batch {
    fn outcome(&self) -> Option<io::Result<()>> {
        let errno = self.outcome.get()?;
        Some(errno.map_or(Ok(()), |errno| Err(io::Error::from_raw_os_error(errno))))
    }
}

/// Stands for records that wait to be written.
#[derive(Debug)]
#[must_use = "a change may be acknowledged only after its records were written"]
pub struct Ticket {
    batch: Arc<Batch>,
    /// The time of the records.
    pub time: i64,
}

impl Ticket {
    /// What became of the records; `None` while they wait.
    pub fn outcome(&self) -> Option<io::Result<()>> {
        self.batch.outcome()
    }
}

#[derive(Debug)]
struct Queue {
    /// Records that wait to be written: at most those of one request for each connection, and what
    /// is owed.
    lines: Vec<u8>,
    /// Where in `lines` the records are that stay in the queue when they cannot be written.
    kept: Vec<Range<usize>>,
    /// The batch they will be.
    batch: Arc<Batch>,
    /// Absent while a batch is being written.
    writer: Option<Writer>,
    /// Threads that wait for the writer.
    waiting: usize,
    /// A buffer for the next batch.
    spare: Vec<u8>,
    /// The file, and how far it is written.
    file: Arc<dyn DiskFile>,
    end: (u32, u64),
    synced: (u32, u64),
}

impl Queue {
    fn push(&mut self, time: i64, records: &[Record], is_kept: bool) {
        let start = self.lines.len();
        for record in records {
            // Writing to a Vec cannot fail.
            let _ = write!(self.lines, "{time} {} ", record.letter());
            self.lines.extend_from_slice(record.text.as_bytes());
            self.lines.push(b'\n');
        }
        if is_kept {
            self.kept.push(start..self.lines.len());
        }
    }

    fn take_batch(&mut self) -> Taken {
        let spare = std::mem::take(&mut self.spare);
        Taken {
            lines: std::mem::replace(&mut self.lines, spare),
            kept: std::mem::take(&mut self.kept),
            batch: std::mem::take(&mut self.batch),
        }
    }

    /// Puts those records of a batch that was not written before all that came after them, whose
    /// changes may build on theirs. Tells their length.
    fn keep(&mut self, lines: &[u8], kept: &[Range<usize>]) -> u64 {
        let owed: Vec<u8> =
            kept.iter().filter_map(|range| lines.get(range.clone())).flatten().copied().collect();
        let len = owed.len();
        self.lines.splice(..0, owed);
        self.kept.iter_mut().for_each(|range| *range = range.start + len..range.end + len);
        self.kept.insert(0, 0..len);
        len as u64
    }
}

/// What one write is to bring to the file.
struct Taken {
    lines: Vec<u8>,
    kept: Vec<Range<usize>>,
    batch: Arc<Batch>,
}

/// The binlog of one storage.
#[derive(Debug)]
pub struct Binlog {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    file_len_max: u64,
    /// What `binlog_index.dat` says.
    index: Mutex<Index>,
    /// Held while a file is compressed or unpacked.
    archiving: Mutex<()>,
    queue: Mutex<Queue>,
    /// Told when a batch was dealt with.
    dealt: Condvar,
    /// Bytes set aside for records.
    room: AtomicU64,
    /// Bytes of records that could not be written and wait.
    owed: AtomicU64,
    /// Set for good when a sync has failed: what is on the disk is unknown then.
    broken: AtomicBool,
    /// How far records have been handed to the kernel, for those who read them.
    written: watch::Sender<Position>,
}

impl Binlog {
    /// Opens the binlog in `data/sync`, cutting off what a crash left of a last record.
    pub fn open(disk: Arc<dyn Disk>, dir: PathBuf) -> io::Result<Self> {
        Self::open_with(disk, dir, FILE_LEN_MAX)
    }

    fn open_with(disk: Arc<dyn Disk>, dir: PathBuf, file_len_max: u64) -> io::Result<Self> {
        std::fs::create_dir_all(&dir)?;
        archive::clear_up(&dir)?;
        let known = Index::load(&dir)?;
        let index = known.write;
        let path = file_path(&dir, index);
        let file: Arc<dyn DiskFile> = match disk.create_new(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => disk.open_write(&path)?,
            created => created?,
        }
        .into();
        let found = file.stat()?.size;
        let len = whole_records_len(&*file, found)?;
        if len < found {
            tracing::warn!(bytes = found - len, index, "cut an unfinished record off the binlog");
            file.set_len(len)?;
        }
        let (end, reserved_end) = ((index, len), len);
        let rotate_at = file_len_max;
        let writer =
            Writer { file: file.clone(), index, len, torn: false, reserved_end, rotate_at };
        let queue = Queue {
            lines: Vec::new(),
            kept: Vec::new(),
            batch: Arc::default(),
            writer: Some(writer),
            waiting: 0,
            spare: Vec::new(),
            file,
            end,
            // Not known to be on the disk: the process before may have been killed.
            synced: (index, 0),
        };
        Ok(Self {
            dir,
            disk,
            file_len_max,
            index: Mutex::new(known),
            archiving: Mutex::default(),
            queue: Mutex::new(queue),
            dealt: Condvar::new(),
            room: AtomicU64::new(0),
            owed: AtomicU64::new(0),
            broken: AtomicBool::new(false),
            written: watch::Sender::new(Position { index, offset: len }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far whole records can be read, now and whenever that changes.
    pub fn written(&self) -> watch::Receiver<Position> {
        self.written.subscribe()
    }

    /// The folder of the binlog and of the marks.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether changes can be recorded at all.
    pub fn check(&self) -> io::Result<()> {
        match self.broken.load(Ordering::Relaxed) {
            true => Err(io::Error::from_raw_os_error(5)),
            false => Ok(()),
        }
    }

    /// The same, and that there is room for the records of changes now being made. To be called
    /// before every change that takes space.
    pub fn check_room(&self) -> io::Result<()> {
        self.check()?;
        if self.owed.load(Ordering::Relaxed) > OWED_LEN_MAX {
            return Err(io::Error::from_raw_os_error(5));
        }
        if self.room.load(Ordering::Relaxed) > KEPT_FOR_DELETIONS {
            return Ok(());
        }
        let mut queue = self.lock();
        // Whoever is writing looks after the room himself.
        let Some(writer) = &mut queue.writer else { return Ok(()) };
        if writer.room() <= KEPT_FOR_DELETIONS {
            writer.reserve()?;
        }
        self.room.store(writer.room(), Ordering::Relaxed);
        Ok(())
    }

    /// Queues the records of one request, which are written all or none by [`Self::commit`].
    /// Their order is that of these calls.
    pub fn push(&self, time: i64, records: &[Record]) -> io::Result<Ticket> {
        self.queue(time, records, false)
    }

    /// The same for a change that cannot be undone: a failure to write its records is told, but
    /// they stay first in the queue and are written as soon as that is possible. Otherwise peers
    /// would never hear of it.
    pub fn push_done(&self, time: i64, records: &[Record]) -> io::Result<Ticket> {
        self.queue(time, records, true)
    }

    fn queue(&self, time: i64, records: &[Record], is_kept: bool) -> io::Result<Ticket> {
        self.check()?;
        let mut queue = self.lock();
        queue.push(time, records, is_kept);
        Ok(Ticket { batch: queue.batch.clone(), time })
    }

    /// Hands the records to the kernel, with all that have queued up meanwhile.
    pub fn commit(&self, ticket: &Ticket) -> io::Result<()> {
        let mut queue = None;
        loop {
            if let Some(outcome) = ticket.outcome() {
                return outcome;
            }
            let mut held = queue.take().unwrap_or_else(|| self.lock());
            // Whoever was faster has written it, or writes it now.
            if ticket.outcome().is_none() {
                held = match held.writer.take() {
                    Some(writer) => self.write_batch(held, writer),
                    None => self.wait(held),
                };
            }
            queue = Some(held);
        }
    }

    fn wait<'q>(&self, mut queue: MutexGuard<'q, Queue>) -> MutexGuard<'q, Queue> {
        queue.waiting += 1;
        let mut queue = self.dealt.wait(queue).unwrap_or_else(PoisonError::into_inner);
        queue.waiting -= 1;
        queue
    }

    /// Writes all that is queued.
    fn write_batch<'q>(
        &'q self,
        mut queue: MutexGuard<'q, Queue>,
        mut writer: Writer,
    ) -> MutexGuard<'q, Queue> {
        let Taken { mut lines, kept, batch } = queue.take_batch();
        drop(queue);
        let written = self.write(&mut writer, &lines);
        let mut queue = self.lock();
        let owed = match written {
            Err(_) if !kept.is_empty() => queue.keep(&lines, &kept),
            _ => 0,
        };
        self.owed.store(owed, Ordering::Relaxed);
        let errno = written.err().map(|error| error.raw_os_error().unwrap_or(5));
        // Nobody else deals with this batch.
        let _ = batch.outcome.set(errno);
        lines.clear();
        queue.spare = lines;
        (queue.file, queue.end) = (writer.file.clone(), (writer.index, writer.len));
        let written = Position { index: writer.index, offset: writer.len };
        queue.writer = Some(writer);
        self.written.send_replace(written);
        if queue.waiting > 0 {
            self.dealt.notify_all();
        }
        queue
    }

    fn write(&self, writer: &mut Writer, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        if let Err(error) = writer.write(lines) {
            // Cutting it off has given back what was set aside: changes must ask for room again.
            self.room.store(writer.room(), Ordering::Relaxed);
            return Err(error);
        }
        if writer.len >= writer.rotate_at {
            self.rotate(writer);
        }
        if writer.room() <= RESERVE_LEN / 2 {
            // In vain is no failure of these records; `check_room` refuses the next ones in time.
            let _ = writer.reserve();
        }
        self.room.store(writer.room(), Ordering::Relaxed);
        Ok(())
    }

    /// Begins the next file. When that fails the present one just grows on.
    fn rotate(&self, writer: &mut Writer) {
        if let Err(error) = writer.file.sync() {
            self.broken.store(true, Ordering::Relaxed);
            tracing::error!(%error, "cannot sync the binlog: no more changes are taken");
            return;
        }
        let next = writer.index + 1;
        let path = file_path(&self.dir, next);
        // A file that is there already cannot be a part of this binlog.
        let _ = self.disk.remove(&path);
        let created = self.disk.create_new(&path).and_then(|file| {
            // Named as the current one only once it is there: a crash between leaves the old one.
            self.change_index(|index| index.write = next).inspect_err(|_| {
                let _ = self.disk.remove(&path);
            })?;
            Ok(file)
        });
        match created {
            Ok(file) => {
                (writer.file, writer.index, writer.len) = (file.into(), next, 0);
                (writer.reserved_end, writer.rotate_at) = (0, self.file_len_max);
            }
            Err(error) => {
                tracing::error!(%error, "cannot begin the next binlog file");
                writer.rotate_at = writer.len + RESERVE_LEN;
            }
        }
    }

    /// Makes all records durable. A failure is for good: the kernel may have dropped what it could
    /// not write, and would call the next sync a success.
    pub fn sync(&self) -> io::Result<()> {
        self.check()?;
        // What a request left that ended between the two steps.
        self.commit(&self.push(0, &[])?)?;
        let (file, end) = {
            let queue = self.lock();
            if queue.synced == queue.end {
                return Ok(());
            }
            (queue.file.clone(), queue.end)
        };
        if let Err(error) = file.sync() {
            self.broken.store(true, Ordering::Relaxed);
            tracing::error!(%error, "cannot sync the binlog: no more changes are taken");
            return Err(error);
        }
        let mut queue = self.lock();
        queue.synced = queue.synced.max(end);
        Ok(())
    }
}

/// Length of the file up to the end of its last whole record.
fn whole_records_len(file: &dyn DiskFile, len: u64) -> io::Result<u64> {
    let mut end = len;
    let mut piece = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(LOOK_BACK_LEN);
        piece.resize(usize::try_from(end - start).unwrap_or(0), 0);
        let read = file.read_at(&mut piece, start)?;
        let whole = piece.get(..read).unwrap_or_default().iter().rposition(|byte| *byte == b'\n');
        if let Some(at) = whole {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
#[path = "binlog/tests.rs"]
mod tests;
