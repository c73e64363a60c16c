//! What a storage makes of the changes that peers send it (spec 03 §C2, §C4), byte by byte.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, clippy::cast_possible_wrap)]

use fdfs_core::protocol::cluster::{SyncDelete, SyncFile, SyncNames, SyncRange, SyncTruncate};
use fdfs_core::protocol::replication::{GIVES_BACK, GIVES_BACK_UNSURE};
use fdfs_core::protocol::storage::{Append, Truncate};
use fdfs_core::protocol::{Command, Status, StorageId};
use fdfs_core::wire::Wire;
use fdfs_servers::embedded::{EmbeddedCluster, EmbeddedOptions};
use fdfs_tests::raw::{Answer, Raw};
use fdfs_tests::requests::{bytes, download, file, refused, upload};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const OK: Answer = Answer::Reply(Status::OK, Vec::new());
const TIME: i32 = 1_795_210_926;

struct Lab {
    runtime: tokio::runtime::Runtime,
    dir: tempfile::TempDir,
    cluster: EmbeddedCluster,
}

impl Lab {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let options = EmbeddedOptions::new(dir.path());
        let cluster = runtime.block_on(EmbeddedCluster::start(options)).unwrap();
        Self { runtime, dir, cluster }
    }

    fn connect(&self) -> Raw {
        Raw::connect(self.cluster.storage_addrs().first().copied().unwrap())
    }

    /// A name that is right for this content: that of a file which was here and is lost. One that
    /// was deleted would not come back.
    fn name(&self, raw: &mut Raw, command: Command, content: &[u8]) -> String {
        let name = upload(raw, command, content, "bin");
        std::fs::remove_file(self.path(&name)).unwrap();
        name
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("storage1/data").join(&name[4..])
    }

    /// The binlog's lines about a file.
    fn all_records(&self, name: &str) -> Vec<String> {
        let path = self.dir.path().join("storage1/data/sync/binlog.000");
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().filter(|line| line.contains(name)).map(str::to_owned).collect()
    }

    /// Those of peers, without their time.
    fn records(&self, name: &str) -> Vec<String> {
        let all = self.all_records(name);
        let ours = all.iter().filter_map(|line| line.strip_prefix(&format!("{TIME} ")));
        ours.map(str::to_owned).collect()
    }
}

fn head(name: &str, size: usize) -> SyncFile {
    let group = "group1".try_into().unwrap();
    SyncFile { name: name.try_into().unwrap(), size: size as i64, timestamp: TIME, group }
}

fn range(name: &str, offset: usize, len: usize) -> SyncRange {
    let (name, group) = (name.try_into().unwrap(), "group1".try_into().unwrap());
    let (offset, content_len) = (offset as i64, len as i64);
    SyncRange { name, offset, content_len, timestamp: TIME, group }
}

#[test]
fn files_arrive_whole_and_with_the_time_of_their_source_or_not_at_all() {
    let lab = Lab::new();
    let mut raw = lab.connect();
    for len in [0, 1, 4096, 262_144, 262_145, 1_000_000] {
        let content = bytes(len);
        let name = lab.name(&mut raw, Command::UPLOAD_FILE, &content);
        let create = Command::SYNC_CREATE_FILE;
        assert_eq!(raw.call_with(create, &head(&name, len), &content), OK, "{len}");
        assert_eq!(std::fs::read(lab.path(&name)).unwrap(), content);
        let modified = std::fs::metadata(lab.path(&name)).unwrap().modified().unwrap();
        let secs = modified.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        assert_eq!(secs, u64::try_from(TIME).unwrap());
        // A peer that is not sure sends it again.
        let again = raw.call_with(create, &head(&name, len), &content);
        assert_eq!(again, refused(Status::EEXIST));
        assert_eq!(lab.records(&name), [format!("c {name}"), format!("c {name}")]);
        assert!(raw.is_alive());
    }
    let name = lab.name(&mut raw, Command::UPLOAD_FILE, b"right");
    let wrong = raw.call_with(Command::SYNC_CREATE_FILE, &head(&name, 5), b"wrong");
    assert_eq!(wrong, OK, "sent again it would be no better");
    assert!(!lab.path(&name).exists() && lab.records(&name).is_empty());
    let engine = lab.cluster.storages().first().unwrap().engine();
    assert_eq!(engine.damaged_arrivals(), 1);
    // Updates replace what is there.
    let updated = raw.call_with(Command::SYNC_UPDATE_FILE, &head(&name, 5), b"right");
    assert_eq!((updated, lab.records(&name)), (OK, vec![format!("u {name}")]));
    assert_eq!(download(&mut raw, &name), b"right");
    lab.runtime.block_on(lab.cluster.shutdown()).unwrap();
}

/// A loss of power took files that peers have; they were uploaded here.
#[test]
fn files_given_back_are_taken_and_recorded_as_uploaded_here_when_they_are_missing() {
    let lab = Lab::new();
    let mut raw = lab.connect();
    let (create, id): (_, StorageId) = (Command::SYNC_CREATE_FILE, "10.9.9.9".try_into().unwrap());
    raw.call(Command::REPORT_SERVER_ID, &id.encode());
    for len in [3, 4096, 1_000_000] {
        let content = bytes(len);
        let name = lab.name(&mut raw, Command::UPLOAD_FILE, &content);
        let mut give = |name: &str, content: &[u8]| {
            raw.call_with_flags(create, GIVES_BACK, &head(name, content.len()), content)
        };
        assert_eq!(give(&name, &content), OK);
        assert_eq!(std::fs::read(lab.path(&name)).unwrap(), content);
        assert_eq!(lab.records(&name), [format!("C {name}")], "other peers may not have it");
        // What is there stays, whatever it is.
        let other = bytes(len + 1);
        std::fs::write(lab.path(&name), &other).unwrap();
        assert_eq!(give(&name, &content), refused(Status::EEXIST));
        assert_eq!(std::fs::read(lab.path(&name)).unwrap(), other);
        assert_eq!(lab.records(&name).len(), 1);
        // Deleted files stay deleted, damaged ones are not taken, and others' are refused.
        let deleted = upload(&mut lab.connect(), Command::UPLOAD_FILE, &content, "bin");
        let mut client = lab.connect();
        assert_eq!(client.call_with(Command::DELETE_FILE, &file(&deleted), &[]), OK);
        assert_eq!(give(&deleted, &content), OK);
        let lost = lab.name(&mut client, Command::UPLOAD_FILE, &content);
        assert_eq!(give(&lost, &other[1..]), OK);
        assert!(raw.is_alive());
        let mut raw = lab.connect();
        let foreign = "M00/00/00/Ck0AC2sAvq6AfyjFAAATiMRbAU0662.bin";
        let answer = raw.call_with_flags(create, GIVES_BACK, &head(foreign, len), &content);
        assert_eq!(answer, refused(Status::EINVAL));
        for name in [deleted.as_str(), &lost, foreign] {
            assert!(!lab.path(name).exists() && lab.records(name).is_empty(), "{name}");
        }
    }
    lab.runtime.block_on(lab.cluster.shutdown()).unwrap();
}

/// What is here, and when it changed.
fn set(path: &Path, content: &[u8], modified: i32) {
    std::fs::write(path, content).unwrap();
    let time = std::time::UNIX_EPOCH + Duration::from_secs(modified.unsigned_abs().into());
    std::fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

/// Files that change may have lost changes: what a peer was sent of one is compared with it.
#[test]
fn states_given_back_are_taken_when_they_are_later_and_what_is_here_is_recorded_otherwise() {
    let lab = Lab::new();
    let mut raw = lab.connect();
    let (update, eexist) = (Command::SYNC_UPDATE_FILE, refused(Status::EEXIST));
    let long = bytes(1_000_000);
    for more in [&b" and more"[..], &long] {
        let name = upload(&mut raw, Command::UPLOAD_APPENDER_FILE, b"any", "log");
        let path = lab.path(&name);
        let mut is = |here: (&[u8], i32), flags, given: &[u8], answer: &Answer, then: &[u8]| {
            set(&path, here.0, here.1);
            let before = lab.all_records(&name).len();
            let given = raw.call_with_flags(update, flags, &head(&name, given.len()), given);
            assert_eq!(given, *answer);
            assert_eq!(std::fs::read(&path).unwrap(), then);
            lab.all_records(&name).split_off(before)
        };
        let (longer, other) = ([b"a state", more].concat(), [b"another", more].concat());
        let recorded = |time: i32| vec![format!("{time} U {name}")];
        assert!(is((&longer, TIME), GIVES_BACK, &longer, &eexist, &longer).is_empty());
        let taken = recorded(TIME);
        assert_eq!(is((b"a state", TIME - 1), GIVES_BACK, &other, &OK, &other), taken);
        assert_eq!(is((b"a state", TIME), GIVES_BACK, &other, &OK, &other), taken);
        let later = TIME + 1;
        let kept = recorded(later);
        assert_eq!(is((b"a state", later), GIVES_BACK, &other, &eexist, b"a state"), kept);
        assert_eq!(is((&longer, TIME), GIVES_BACK, b"a state", &eexist, &longer), taken);
        // The time of an append can be there without its bytes.
        assert_eq!(is((b"a state", later), GIVES_BACK, &longer, &OK, &longer), taken);
        // What a peer has that is unsure of it must be more, not later.
        let unsure = GIVES_BACK_UNSURE;
        assert_eq!(is((b"a state", 5), unsure, &other, &eexist, b"a state"), recorded(5));
        assert_eq!(is((b"a state", later), unsure, &longer, &OK, &longer), taken);
        // Unless the file was cut.
        let cut = Truncate { name: name.as_str().try_into().unwrap(), size: 3 };
        set(&path, b"a state", TIME);
        assert_eq!(lab.connect().call_with(Command::TRUNCATE_FILE, &cut, &[]), OK);
        assert_eq!(is((b"a s", later), GIVES_BACK, b"a state", &eexist, b"a s"), kept);
        // A file that is not there is missing, unless it was deleted.
        std::fs::remove_file(&path).unwrap();
        assert_eq!(raw.call_with_flags(update, unsure, &head(&name, 7), b"a state"), OK);
        assert_eq!(std::fs::read(&path).unwrap(), b"a state");
        assert_eq!(lab.connect().call_with(Command::DELETE_FILE, &file(&name), &[]), OK);
        assert_eq!(raw.call_with_flags(update, GIVES_BACK, &head(&name, 7), b"a state"), OK);
        assert!(!path.exists());
    }
    let normal = upload(&mut raw, Command::UPLOAD_FILE, b"content", "bin");
    let foreign = "M00/00/00/CgkJCWsAvq6EQNQIAAAAAKdhnsQ163.log";
    for name in [normal.as_str(), foreign] {
        let answer = lab.connect().call_with_flags(update, GIVES_BACK, &head(name, 7), b"a state");
        assert_eq!(answer, refused(Status::EINVAL), "{name}");
    }
    lab.runtime.block_on(lab.cluster.shutdown()).unwrap();
}

/// Nothing that a client was told after a loss of power is given up for what peers had before.
#[test]
fn what_clients_changed_after_a_loss_of_power_stays() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let start =
        || runtime.block_on(EmbeddedCluster::start(EmbeddedOptions::new(dir.path()))).unwrap();
    let connect = |cluster: &EmbeddedCluster| Raw::connect(cluster.storage_addrs()[0]);
    let cluster = start();
    let mut raw = connect(&cluster);
    let [changed, lost] = [b"changed", b"lost it"]
        .map(|it| upload(&mut raw, Command::UPLOAD_APPENDER_FILE, it, "log"));
    runtime.block_on(cluster.shutdown()).unwrap();
    let data = dir.path().join("storage1/data");
    std::fs::write(data.join(".fdfs_running"), "another start of the machine").unwrap();
    let cluster = start();
    let engine = cluster.storages()[0].engine();
    let mut checked = engine.checked.subscribe();
    runtime.block_on(checked.wait_for(|checked| *checked)).unwrap();
    let mut raw = connect(&cluster);
    let append = Append { name: changed.as_str().try_into().unwrap(), content_len: 1 };
    assert_eq!(raw.call_with(Command::APPEND_FILE, &append, b"!"), OK);
    let mut give = |name: &str, content: &[u8], timestamp| {
        let head = SyncFile { timestamp, ..head(name, content.len()) };
        raw.call_with_flags(Command::SYNC_UPDATE_FILE, GIVES_BACK, &head, content)
    };
    let path = |name: &str| data.join(&name[4..]);
    set(&path(&changed), b"changed!", TIME - 5);
    assert_eq!(give(&changed, b"what a peer had", TIME), refused(Status::EEXIST));
    set(&path(&lost), b"lost it", TIME - 5);
    // Of several peers, each may have a later state than the one before.
    for (time, content) in [(TIME, "from a peer"), (TIME + 1, "later, from another")] {
        assert_eq!(give(&lost, content.as_bytes(), time), OK, "{content}");
    }
    let content = |name| std::fs::read_to_string(path(name)).unwrap();
    assert_eq!([content(&changed), content(&lost)], ["changed!", "later, from another"]);
    runtime.block_on(cluster.shutdown()).unwrap();
}

#[test]
fn metadata_and_deletions_given_back_are_those_of_the_later_time() {
    let lab = Lab::new();
    let mut raw = lab.connect();
    let name = upload(&mut raw, Command::UPLOAD_FILE, b"content", "bin");
    let metadata = format!("{name}-m");
    let path = lab.path(&metadata);
    let mut give = |content: &[u8]| {
        let head = head(&metadata, content.len());
        raw.call_with_flags(Command::SYNC_UPDATE_FILE, GIVES_BACK, &head, content)
    };
    assert_eq!(give(b"a\x021"), OK);
    assert_eq!(std::fs::read(&path).unwrap(), b"a\x021");
    set(&path, b"a\x02", TIME + 1);
    assert_eq!(give(b"a\x021"), refused(Status::EEXIST), "fewer items may be the later ones");
    set(&path, b"", TIME + 1);
    assert_eq!(give(b"a\x021"), OK, "they are never empty");
    let mut delete = |name: &str| {
        let (name, group) = (name.try_into().unwrap(), "group1".try_into().unwrap());
        let head = SyncDelete { timestamp: TIME, group, name };
        raw.call_with_flags(Command::SYNC_DELETE_FILE, GIVES_BACK, &head, &[])
    };
    set(&path, b"a\x022", TIME + 1);
    assert_eq!(delete(&metadata), OK);
    assert!(path.exists(), "they were set again");
    set(&path, b"a\x021", TIME);
    assert_eq!(delete(&metadata), OK);
    assert!(!path.exists());
    set(&path, b"a\x021", TIME);
    assert_eq!(delete(&name), OK);
    assert!(!path.exists() && !lab.path(&name).exists());
    assert_eq!(delete(&name), refused(Status::ENOENT));
    let records = lab.records(&name).split_off(2);
    let deleted = |name: &str| format!("D {name}");
    assert_eq!(records, [deleted(&metadata), deleted(&name), deleted(&metadata)], "for all");
    lab.runtime.block_on(lab.cluster.shutdown()).unwrap();
}

#[test]
fn a_peer_that_ends_in_the_middle_leaves_nothing() {
    let lab = Lab::new();
    let mut raw = lab.connect();
    let content = bytes(1_000_000);
    let name = lab.name(&mut raw, Command::UPLOAD_FILE, &content);
    let mut dying = lab.connect();
    let head = head(&name, content.len()).encode();
    let body_len = (head.len() + content.len()) as i64;
    dying.send_with_len(Command::SYNC_CREATE_FILE.0, body_len, &head);
    dying.send(&content[..700_000]);
    drop(dying);
    let data = lab.dir.path().join("storage1/data");
    let began = Instant::now();
    let leftovers = || {
        let entries = std::fs::read_dir(&data).unwrap();
        entries
            .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().contains("tmp"))
            .count()
    };
    while leftovers() > 0 {
        assert!(began.elapsed() < Duration::from_secs(10));
        std::thread::yield_now();
    }
    assert!(!lab.path(&name).exists() && lab.records(&name).is_empty());
}

#[test]
fn ranges_fit_what_is_here_or_are_dropped() {
    let lab = Lab::new();
    let mut raw = lab.connect();
    let name = lab.name(&mut raw, Command::UPLOAD_APPENDER_FILE, b"one");
    let (append, modify) = (Command::SYNC_APPEND_FILE, Command::SYNC_MODIFY_FILE);
    assert_eq!(raw.call_with(append, &range(&name, 0, 1), b"x"), refused(Status::ENOENT));
    assert_eq!(raw.call_with(modify, &range(&name, 0, 1), b"x"), refused(Status::ENOENT));
    assert_eq!(raw.call_with(Command::SYNC_CREATE_FILE, &head(&name, 10), b"0123456789"), OK);
    for (command, offset, content, answer, then) in [
        (append, 10, &b"ab"[..], OK, &b"0123456789ab"[..]),
        (append, 10, b"ab", refused(Status::EEXIST), b"0123456789ab"),
        (append, 11, b"xyz", refused(Status::ENOENT), b"0123456789ab"),
        (append, 20, b"xyz", refused(Status::ENOENT), b"0123456789ab"),
        (modify, 2, b"__", OK, b"01__456789ab"),
        (modify, 11, b"BCD", OK, b"01__456789aBCD"),
        (modify, 20, b"x", refused(Status::ENOENT), b"01__456789aBCD"),
    ] {
        let answered = raw.call_with(command, &range(&name, offset, content.len()), content);
        assert_eq!(answered, answer, "{command} at {offset}");
        assert_eq!(std::fs::read(lab.path(&name)).unwrap(), then);
    }
    let records = lab.records(&name);
    let expected = [
        format!("c {name}"),
        format!("a {name} 10 2"),
        format!("m {name} 2 2"),
        format!("m {name} 11 3"),
    ];
    assert_eq!(records, expected);
    let group = "group1".try_into().unwrap();
    let truncate = |old_size, new_size| {
        let name = name.as_str().try_into().unwrap();
        SyncTruncate { name, old_size, new_size, timestamp: TIME, group }
    };
    let command = Command::SYNC_TRUNCATE_FILE;
    assert_eq!(raw.call_with(command, &truncate(13, 5), &[]), refused(Status::EEXIST));
    assert_eq!(raw.call_with(command, &truncate(14, 5), &[]), OK);
    assert_eq!(std::fs::read(lab.path(&name)).unwrap(), b"01__4");
    assert_eq!(lab.records(&name).last().unwrap(), &format!("t {name} 14 5"));
    assert!(raw.is_alive());
}

#[test]
fn links_names_and_deletions_are_repeated_without_harm() {
    let lab = Lab::new();
    let mut raw = lab.connect();
    let group = "group1".try_into().unwrap();
    let source = upload(&mut raw, Command::UPLOAD_FILE, b"content", "bin");
    let name = lab.name(&mut raw, Command::UPLOAD_FILE, b"elsewhere");
    let names = |name: &str, source: &str| {
        let (name, source) = (name.try_into().unwrap(), source.try_into().unwrap());
        SyncNames { name, source, timestamp: TIME, group }
    };
    for _ in 0..2 {
        assert_eq!(raw.call_with(Command::SYNC_CREATE_LINK, &names(&name, &source), &[]), OK);
    }
    assert_eq!(std::fs::read_link(lab.path(&name)).unwrap(), lab.path(&source));
    let delete = |name: &str| SyncDelete { timestamp: TIME, group, name: name.try_into().unwrap() };
    assert_eq!(raw.call_with(Command::SYNC_DELETE_FILE, &delete(&name), &[]), OK);
    let again = raw.call_with(Command::SYNC_DELETE_FILE, &delete(&name), &[]);
    assert_eq!(again, refused(Status::ENOENT));
    assert!(lab.path(&source).exists(), "a link's content stays");
    let name = lab.name(&mut raw, Command::UPLOAD_FILE, b"fourth");
    let rename = Command::SYNC_RENAME_FILE;
    assert_eq!(raw.call_with(rename, &names(&name, &source), &[]), OK);
    let again = raw.call_with(rename, &names(&name, &source), &[]);
    assert_eq!(again, refused(Status::EEXIST));
    let other = lab.name(&mut raw, Command::UPLOAD_FILE, b"third");
    let nothing = raw.call_with(rename, &names(&other, &source), &[]);
    assert_eq!(nothing, refused(Status::ENOENT));
    assert_eq!(std::fs::read(lab.path(&name)).unwrap(), b"content");
    assert_eq!(lab.records(&name).last().unwrap(), &format!("r {name} {source}"));
}

#[test]
fn what_was_deleted_does_not_arrive_again() {
    let lab = Lab::new();
    let mut raw = lab.connect();
    let group = "group1".try_into().unwrap();
    let delete = |name: &str| SyncDelete { timestamp: TIME, group, name: name.try_into().unwrap() };
    let by_client = upload(&mut raw, Command::UPLOAD_FILE, b"content", "bin");
    assert_eq!(raw.call_with(Command::DELETE_FILE, &file(&by_client), &[]), OK);
    let by_peer = upload(&mut raw, Command::UPLOAD_FILE, b"content", "bin");
    assert_eq!(raw.call_with(Command::SYNC_DELETE_FILE, &delete(&by_peer), &[]), OK);
    // Its deletion came first.
    let early = lab.name(&mut raw, Command::UPLOAD_FILE, b"content");
    let missing = raw.call_with(Command::SYNC_DELETE_FILE, &delete(&early), &[]);
    assert_eq!(missing, refused(Status::ENOENT));
    assert_eq!(lab.records(&early), [format!("d {early}")]);
    // Its metadata had come without it.
    let lost = lab.name(&mut raw, Command::UPLOAD_FILE, b"content");
    let metadata = format!("{lost}-m");
    assert_eq!(raw.call_with(Command::SYNC_CREATE_FILE, &head(&metadata, 7), b"content"), OK);
    let missing = raw.call_with(Command::SYNC_DELETE_FILE, &delete(&lost), &[]);
    assert_eq!(missing, refused(Status::ENOENT));
    assert!(!lab.path(&metadata).exists());
    let deleted = [format!("d {lost}"), format!("d {metadata}")];
    assert_eq!(lab.records(&lost)[1..], deleted);
    for name in [by_client, by_peer, early, lost, metadata] {
        for command in [Command::SYNC_CREATE_FILE, Command::SYNC_UPDATE_FILE] {
            assert_eq!(raw.call_with(command, &head(&name, 7), b"content"), OK);
            assert!(!lab.path(&name).exists(), "{name}");
        }
    }
}

#[test]
fn hostile_requests_are_refused_and_change_nothing() {
    let lab = Lab::new();
    let mut raw = lab.connect();
    let good = lab.name(&mut raw, Command::UPLOAD_FILE, b"x");
    let id = StorageId::EMPTY.encode();
    assert_eq!(raw.call(Command::REPORT_SERVER_ID, &id), refused(Status::EINVAL));
    let mut other_group = head(&good, 1);
    other_group.group = "group2".try_into().unwrap();
    let mut lying = head(&good, 1);
    lying.size = -1;
    let mut short = head(&good, 1);
    short.size = 2;
    let escaping = head("M00/00/../../../../tmp/evil", 1);
    let beyond = head(&good.replacen("M00", "M09", 1), 1);
    for head in [other_group, lying, short, escaping, beyond] {
        let mut raw = lab.connect();
        let answer = raw.call_with(Command::SYNC_CREATE_FILE, &head, b"x");
        assert_eq!(answer, refused(Status::EINVAL), "{head:?}");
    }
    assert!(!lab.path(&good).exists());
    assert!(lab.connect().is_alive());
}
