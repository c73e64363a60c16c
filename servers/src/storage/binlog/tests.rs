use super::*;
use crate::storage::disk::fault::FaultDisk;
use crate::storage::disk::{RealDisk, Stat};
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

fn open(dir: &Path) -> Binlog {
    Binlog::open(Arc::new(RealDisk), dir.to_owned()).unwrap()
}

impl Binlog {
    fn add(&self, time: i64, records: &[Record]) -> io::Result<()> {
        self.commit(&self.push(time, records)?)
    }
}

fn name(text: &str) -> Name {
    text.try_into().unwrap()
}

fn created(text: &str) -> [Record; 1] {
    [Record::new(Operation::Create, &name(text))]
}

fn text(dir: &Path, index: u32) -> String {
    std::fs::read_to_string(file_path(dir, index)).unwrap()
}

#[test]
fn records_are_lines_of_the_originals_form() {
    let dir = tempfile::tempdir().unwrap();
    let sync = dir.path().join("sync");
    let binlog = open(&sync);
    binlog.add(10, &created("M00/00/00/a")).unwrap();
    let append = Record::with(Operation::Append, &name("M00/00/00/b"), format_args!("5 6"));
    let link = Record::with(Operation::Link, &name("M00/00/00/c"), format_args!("M00/00/00/a"));
    binlog.add(11, &[append.unwrap(), link.unwrap()]).unwrap();
    assert_eq!(
        text(&sync, 0),
        "10 C M00/00/00/a\n11 A M00/00/00/b 5 6\n11 L M00/00/00/c M00/00/00/a\n"
    );
    let index = std::fs::read_to_string(sync.join("binlog_index.dat")).unwrap();
    assert_eq!(index, "current_write=0\ncurrent_compress=0\n");
    let long = name(&"x".repeat(124));
    assert!(Record::with(Operation::Append, &long, format_args!("5")).is_some());
    assert!(Record::with(Operation::Append, &long, format_args!("5 6")).is_none());
}

#[test]
fn an_unfinished_record_is_cut_off_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("binlog.001");
    std::fs::write(dir.path().join("binlog_index.dat"), "current_write=1\n").unwrap();
    // What a power failure leaves may be far longer than a record.
    let zeros = format!("1 C a\n{}", "\0".repeat(200_000));
    for (found, kept) in
        [("1 C a\n2 D", "1 C a\n"), ("1 C", ""), ("1 C a\n", "1 C a\n"), (&*zeros, "1 C a\n")]
    {
        std::fs::write(&file, found).unwrap();
        open(dir.path()).add(3, &created("b")).unwrap();
        assert_eq!(text(dir.path(), 1), format!("{kept}3 C b\n"));
    }
}

#[test]
fn the_index_survives_old_versions_and_damage() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(file_path(dir.path(), 2), "1 C a\n").unwrap();
    std::fs::write(dir.path().join("binlog_index.dat"), "").unwrap();
    open(dir.path()).add(3, &created("b")).unwrap();
    assert_eq!(text(dir.path(), 2), "1 C a\n3 C b\n", "not begun anew at 0");
    std::fs::remove_file(dir.path().join("binlog_index.dat")).unwrap();
    std::fs::write(dir.path().join("binlog.index"), "1").unwrap();
    open(dir.path()).add(4, &created("c")).unwrap();
    assert_eq!(text(dir.path(), 1), "4 C c\n");
    assert!(dir.path().join("binlog_index.dat").exists(), "the old form is converted");
    std::fs::write(dir.path().join("binlog_index.dat"), "").unwrap();
    open(dir.path()).add(5, &created("d")).unwrap();
    assert_eq!(text(dir.path(), 2), "1 C a\n3 C b\n5 C d\n", "the old form is older");
}

#[test]
fn a_full_file_is_followed_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(file_path(dir.path(), 1), "left over by somebody\n").unwrap();
    let binlog = Binlog::open_with(Arc::new(RealDisk), dir.path().to_owned(), 12);
    // The newest file counts where there is no index.
    drop(binlog.unwrap());
    std::fs::write(dir.path().join("binlog_index.dat"), "current_write=0\n").unwrap();
    let binlog = Binlog::open_with(Arc::new(RealDisk), dir.path().to_owned(), 12).unwrap();
    for time in 1..=5 {
        binlog.add(time, &created("a")).unwrap();
    }
    assert_eq!(text(dir.path(), 0), "1 C a\n2 C a\n");
    assert_eq!(text(dir.path(), 1), "3 C a\n4 C a\n", "nothing foreign in it");
    assert_eq!(text(dir.path(), 2), "5 C a\n");
    drop(binlog);
    open(dir.path()).add(6, &created("a")).unwrap();
    assert_eq!(text(dir.path(), 2), "5 C a\n6 C a\n");
}

#[test]
fn whatever_call_fails_acknowledged_records_are_there_whole_and_others_not_in_part() {
    for errno in [5, 28] {
        for nth in 1..60 {
            let dir = tempfile::tempdir().unwrap();
            let disk = FaultDisk::new(Arc::new(RealDisk), errno);
            let binlog = Binlog::open_with(Arc::new(disk.clone()), dir.path().to_owned(), 60);
            let binlog = binlog.unwrap();
            disk.fail_call(nth);
            let mut expected = String::new();
            for time in 10..40 {
                let done = binlog.check_room().and_then(|()| binlog.add(time, &created("name")));
                match done {
                    Ok(()) => expected.push_str(&format!("{time} C name\n")),
                    // A failed sync before a new file is an end with EIO, whatever it was.
                    Err(error) => assert!([Some(errno), Some(5)].contains(&error.raw_os_error())),
                }
            }
            let files = (0..20).map(|index| file_path(dir.path(), index));
            let all: String = files.filter_map(|path| std::fs::read_to_string(path).ok()).collect();
            assert_eq!(all, expected, "call {nth}");
        }
    }
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultDisk::new(Arc::new(RealDisk), 5);
    let binlog = Binlog::open(Arc::new(disk.clone()), dir.path().to_owned()).unwrap();
    binlog.add(1, &created("a")).unwrap();
    binlog.sync().unwrap();
    disk.fail_call(1);
    assert!(binlog.sync().is_ok() && !disk.has_failed(), "nothing new, nothing to sync");
    disk.fail_call(0);
    binlog.add(2, &created("a")).unwrap();
    disk.fail_call(1);
    assert!(binlog.sync().is_err());
    assert!(binlog.sync().is_err() && binlog.add(3, &created("a")).is_err());
    assert!(binlog.check_room().is_err(), "known before a change is made");
}

/// A disk that takes its time, counting writes.
#[derive(Debug, Clone, Default)]
struct SlowDisk(Arc<AtomicUsize>);

#[derive(Debug)]
struct SlowFile(Box<dyn DiskFile>, SlowDisk);

impl Disk for SlowDisk {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(SlowFile(RealDisk.create_new(path)?, self.clone())))
    }
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        RealDisk.open_read(path)
    }
    fn open_write(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        RealDisk.open_write(path)
    }
    fn publish(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.publish(from, to)
    }
    fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.replace(from, to)
    }
    fn symlink(&self, target: &Path, link: &Path) -> io::Result<()> {
        RealDisk.symlink(target, link)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }
    fn stat(&self, path: &Path) -> io::Result<Stat> {
        RealDisk.stat(path)
    }
    fn lstat(&self, path: &Path) -> io::Result<Stat> {
        RealDisk.lstat(path)
    }
    fn space(&self, path: &Path) -> io::Result<(i64, i64)> {
        RealDisk.space(path)
    }
}

impl DiskFile for SlowFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.1.0.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(50));
        match bytes.windows(3).any(|part| part == b"bad") {
            true => Err(io::Error::from_raw_os_error(28)),
            false => self.0.write_at(bytes, offset),
        }
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }
    fn stat(&self) -> io::Result<Stat> {
        self.0.stat()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn set_modified(&self, unix_secs: i64) -> io::Result<()> {
        self.0.set_modified(unix_secs)
    }
    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
    fn reserve(&self, offset: u64, len: u64) -> io::Result<()> {
        self.0.reserve(offset, len)
    }
}

#[test]
fn requests_that_queue_up_share_a_write_and_its_outcome() {
    let dir = tempfile::tempdir().unwrap();
    let disk = SlowDisk::default();
    let binlog = Binlog::open(Arc::new(disk.clone()), dir.path().to_owned()).unwrap();
    let add = |text: &'static str| {
        let binlog = &binlog;
        move || binlog.add(1, &created(text))
    };
    let results: Vec<_> = std::thread::scope(|scope| {
        let first = scope.spawn(add("first"));
        std::thread::sleep(Duration::from_millis(20));
        let mut all: Vec<_> = (0..9).map(|_| scope.spawn(add("good"))).collect();
        all.push(first);
        all.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(disk.0.load(Ordering::SeqCst), 2, "nine requests in one write");
    assert_eq!(text(dir.path(), 0), format!("1 C first\n{}", "1 C good\n".repeat(9)));

    let results: Vec<_> = std::thread::scope(|scope| {
        let first = scope.spawn(add("first"));
        std::thread::sleep(Duration::from_millis(20));
        let all: Vec<_> = (0..3).map(|_| scope.spawn(add("bad"))).collect();
        first.join().unwrap().unwrap();
        all.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(results.iter().all(|done| done.as_ref().unwrap_err().raw_os_error() == Some(28)));
    assert!(!text(dir.path(), 0).contains("bad"));
}

#[test]
fn records_of_what_cannot_be_undone_are_written_when_that_is_possible_again() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultDisk::new(Arc::new(RealDisk), 28);
    let binlog = Binlog::open(Arc::new(disk.clone()), dir.path().to_owned()).unwrap();
    let failing = |time: i64, is_done: bool, text: &str| {
        let push = if is_done { Binlog::push_done } else { Binlog::push };
        let ticket = push(&binlog, time, &created(text)).unwrap();
        disk.fail_call(1);
        assert_eq!(binlog.commit(&ticket).unwrap_err().raw_os_error(), Some(28));
    };
    // One batch fails after the other; what was made first stays first.
    for (time, is_done) in [(1, true), (2, false), (3, true), (4, false)] {
        failing(time, is_done, "name");
        assert_eq!(text(dir.path(), 0), "");
    }
    binlog.add(5, &created("name")).unwrap();
    assert_eq!(text(dir.path(), 0), "1 C name\n3 C name\n5 C name\n");
    failing(6, true, "name");
    binlog.sync().unwrap();
    assert!(text(dir.path(), 0).ends_with("5 C name\n6 C name\n"), "nobody else has to change");
    let (long, mut owed) = ("x".repeat(100), 0);
    while binlog.check_room().is_ok() {
        failing(7, true, &long);
        owed += 105;
        assert!(owed <= OWED_LEN_MAX + 105, "it is bounded");
    }
    binlog.sync().unwrap();
    binlog.check_room().unwrap();
}

#[test]
fn queued_records_are_written_together_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let disk = SlowDisk::default();
    let binlog = Binlog::open(Arc::new(disk.clone()), dir.path().to_owned()).unwrap();
    let tickets = ["a", "b", "c"].map(|text| binlog.push(1, &created(text)).unwrap());
    assert!(tickets.iter().all(|ticket| ticket.outcome().is_none()));
    assert_eq!(text(dir.path(), 0), "", "nothing is written before it has to be");
    binlog.commit(&tickets[1]).unwrap();
    assert!(tickets.iter().all(|ticket| matches!(ticket.outcome(), Some(Ok(())))));
    assert_eq!(text(dir.path(), 0), "1 C a\n1 C b\n1 C c\n");
    assert_eq!(disk.0.load(Ordering::SeqCst), 1);
    // A request that ended between the two steps has changed a file.
    drop(binlog.push(2, &created("d")).unwrap());
    binlog.sync().unwrap();
    assert!(text(dir.path(), 0).ends_with("2 C d\n"));
}
