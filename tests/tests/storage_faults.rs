//! Every call to the disk fails once, in every operation: nothing wrong may stay behind, nothing
//! unrecorded may be acknowledged, and the connection goes on (reliability plan T5).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    missing_docs
)]

use fdfs_core::protocol::cluster::SyncDelete;
use fdfs_core::protocol::storage::{Append, CreateLink, Modify, Truncate, UploadSlave};
use fdfs_core::protocol::{Command, Name};
use fdfs_tests::engine::EngineLab;
use fdfs_tests::raw::{Answer, Raw};
use fdfs_tests::requests::{bytes, file, set_metadata, upload, upload_head};
use std::collections::BTreeMap;
use std::path::PathBuf;

type Files = BTreeMap<PathBuf, Vec<u8>>;

const ERRNOS: [i32; 2] = [5, 28];

/// What a refused request may leave.
#[derive(Clone, Copy, PartialEq)]
enum Undo {
    /// All is as before.
    Whole,
    /// Each file is as before or as it was to become. Peers hear of it then: it is recorded now, or
    /// with the next change.
    Either,
}

/// Runs `ask` again and again, its first, second, third … call to the disk failing, until one run
/// has no call left to fail. `prepare` makes what `ask` works on.
fn with_every_call_failing<T>(
    params: &str,
    undo: Undo,
    prepare: impl Fn(&mut Raw) -> T,
    ask: impl Fn(&mut Raw, &T) -> Answer,
) {
    with_calls_failing(1, params, undo, prepare, ask);
}

/// The same with so many calls in a row that fail.
fn with_calls_failing<T>(
    count: i64,
    params: &str,
    undo: Undo,
    prepare: impl Fn(&mut Raw) -> T,
    ask: impl Fn(&mut Raw, &T) -> Answer,
) {
    for errno in ERRNOS {
        let lab = EngineLab::new(errno, params, |_| {});
        let mut raw = lab.connect();
        // The first change reserves space for the binlog, the others find it there.
        let mut nth = 1;
        loop {
            let prepared = prepare(&mut raw);
            let (files, records) = (lab.files(), lab.binlog());
            lab.disk.fail_calls(nth, count);
            let answer = ask(&mut raw, &prepared);
            let failed = lab.disk.has_failed();
            lab.disk.fail_call(0);
            let Answer::Reply(status, _) = &answer else { panic!("call {nth}: closed") };
            let (files_now, records_now) = (lab.files(), lab.binlog());
            let is_temporary = |path: &PathBuf| path.to_string_lossy().contains(".fdfs-");
            assert!(!files_now.keys().any(is_temporary), "call {nth}: {status}");
            if status.is_ok() {
                assert!(records_now.len() > records.len(), "call {nth}: acknowledged, no record");
            } else {
                assert!(failed, "refused without a reason: {status}");
                assert_eq!(i32::from(status.0), errno, "call {nth}");
                assert!(records_now.starts_with(&records));
                if undo == Undo::Whole {
                    assert_eq!(records_now, records, "call {nth}: {status}");
                    assert_same(&files_now, &files, nth);
                } else if files_now != files {
                    lab.engine.binlog.sync().unwrap();
                    assert!(lab.binlog().len() > records.len(), "call {nth}: changed, no record");
                }
            }
            assert!(raw.is_alive(), "call {nth}: {status}");
            if !failed {
                assert!(status.is_ok(), "{status}");
                break;
            }
            nth += 1;
            assert!(nth < 100, "does not end");
        }
        assert!(nth > 2, "no call was made to fail");
    }
}

fn assert_same(now: &Files, before: &Files, nth: i64) {
    let names: Vec<_> = now.keys().chain(before.keys()).collect();
    for name in names {
        assert!(now.get(name) == before.get(name), "call {nth}: {}", name.display());
    }
}

fn id(name: &str) -> Name {
    name.try_into().unwrap()
}

#[test]
fn uploads() {
    for len in [0, 5000, 700_000] {
        for command in [Command::UPLOAD_FILE, Command::UPLOAD_APPENDER_FILE] {
            with_every_call_failing(
                "",
                Undo::Whole,
                |_| (),
                |raw, ()| raw.call_with(command, &upload_head(len, "bin"), &bytes(len)),
            );
        }
    }
}

#[test]
fn slaves() {
    for params in ["", "store_slave_file_use_link=1\n"] {
        for len in [5000, 700_000] {
            with_every_call_failing(
                params,
                Undo::Whole,
                |raw| upload(raw, Command::UPLOAD_FILE, b"master", "jpg"),
                |raw, master| {
                    let head = UploadSlave {
                        master: id(master),
                        content_len: len as i64,
                        prefix: "_s".try_into().unwrap(),
                        ext: "jpg".try_into().unwrap(),
                    };
                    raw.call_with(Command::UPLOAD_SLAVE_FILE, &head, &bytes(len))
                },
            );
        }
    }
}

fn appender(raw: &mut Raw) -> String {
    upload(raw, Command::UPLOAD_APPENDER_FILE, b"hello", "log")
}

/// What cannot be undone, or not be looked at, is there for all members.
#[test]
fn changes_that_cannot_be_undone() {
    for (len, count) in [(5000, 2), (700_000, 2), (700_000, 3)] {
        with_calls_failing(count, "", Undo::Either, appender, |raw, name| {
            let head = Append { name: id(name), content_len: len as i64 };
            raw.call_with(Command::APPEND_FILE, &head, &bytes(len))
        });
        with_calls_failing(count, "", Undo::Either, appender, |raw, name| {
            let head = Modify { name: id(name), offset: 2, content_len: len as i64 };
            raw.call_with(Command::MODIFY_FILE, &head, &bytes(len))
        });
    }
}

#[test]
fn appends() {
    for len in [5000, 700_000] {
        with_every_call_failing("", Undo::Whole, appender, |raw, name| {
            let head = Append { name: id(name), content_len: len as i64 };
            raw.call_with(Command::APPEND_FILE, &head, &bytes(len))
        });
    }
}

#[test]
fn modifications_and_truncations() {
    for len in [3, 700_000] {
        with_every_call_failing("", Undo::Either, appender, |raw, name| {
            let head = Modify { name: id(name), offset: 1, content_len: len as i64 };
            raw.call_with(Command::MODIFY_FILE, &head, &bytes(len))
        });
    }
    with_every_call_failing("", Undo::Either, appender, |raw, name| {
        raw.call_with(Command::TRUNCATE_FILE, &Truncate { name: id(name), size: 2 }, &[])
    });
}

#[test]
fn new_names_and_links() {
    with_every_call_failing("", Undo::Whole, appender, |raw, name| {
        raw.call(Command::REGENERATE_APPENDER_FILENAME, name.as_bytes())
    });
    with_every_call_failing("", Undo::Whole, appender, |raw, name| {
        let head = CreateLink {
            master: Name::default(),
            source: id(name),
            signature: "s".try_into().unwrap(),
            group: "group1".try_into().unwrap(),
            prefix: "".try_into().unwrap(),
            ext: "txt".try_into().unwrap(),
        };
        raw.call_with(Command::CREATE_LINK, &head, &[])
    });
}

#[test]
fn metadata_and_deletions() {
    let described = |raw: &mut Raw| {
        let name = upload(raw, Command::UPLOAD_FILE, b"x", "txt");
        set_metadata(raw, &name, b'O', b"a\x021").body();
        name
    };
    for (flag, items) in [(b'O', &b"b\x022"[..]), (b'M', b"b\x022"), (b'O', b"")] {
        with_every_call_failing("", Undo::Either, described, |raw, name| {
            set_metadata(raw, name, flag, items)
        });
    }
    with_every_call_failing("", Undo::Either, described, |raw, name| {
        raw.call_with(Command::DELETE_FILE, &file(name), &[])
    });
}

#[test]
fn items_are_removed_after_that_is_recorded() {
    let lab = EngineLab::new(28, "", |_| {});
    let mut raw = lab.connect();
    let name = upload(&mut raw, Command::UPLOAD_FILE, b"x", "txt");
    let (path, record) = (lab.path(&format!("{name}-m")), format!("D {name}-m"));
    let count = |lab: &EngineLab| lab.binlog().iter().filter(|line| **line == record).count();
    let mut kept_after_record = 0;
    for nth in 1..12 {
        set_metadata(&mut raw, &name, b'O', b"a\x021").body();
        let before = count(&lab);
        lab.disk.fail_call(nth);
        let answer = set_metadata(&mut raw, &name, b'O', b"");
        lab.disk.fail_call(0);
        let (is_recorded, is_there) = (count(&lab) > before, path.exists());
        assert!(is_recorded || is_there, "call {nth}: gone here alone, {answer:?}");
        kept_after_record += usize::from(is_recorded && is_there);
    }
    assert_eq!(kept_after_record, 1, "the call that removes them failed once");
}

/// A peer that tells of a deletion may lose it: then this storage is the one that knows.
#[test]
fn a_peers_deletion_is_made_after_it_is_recorded() {
    let lab = EngineLab::new(28, "", |_| {});
    let mut raw = lab.connect();
    let mut kept_after_record = 0;
    for nth in 1..12 {
        let name = upload(&mut raw, Command::UPLOAD_FILE, b"x", "txt");
        set_metadata(&mut raw, &name, b'O', b"a\x021").body();
        let (path, record) = (lab.path(&name), format!("d {name}"));
        let (name, group) = (name.as_str().try_into().unwrap(), "group1".try_into().unwrap());
        let head = SyncDelete { timestamp: 5, group, name };
        lab.disk.fail_call(nth);
        let answer = raw.call_with(Command::SYNC_DELETE_FILE, &head, &[]);
        lab.disk.fail_call(0);
        let (is_recorded, is_there) = (lab.binlog().contains(&record), path.exists());
        assert!(is_recorded || is_there, "call {nth}: gone here alone, {answer:?}");
        kept_after_record += usize::from(is_recorded && is_there);
        // The peer repeats what was refused.
        raw.call_with(Command::SYNC_DELETE_FILE, &head, &[]);
        assert!(!path.exists() && lab.binlog().contains(&record), "call {nth}");
    }
    assert_eq!(kept_after_record, 1, "the call that removes it failed once");
}

#[test]
fn refused_metadata_leaves_the_old_items_or_the_new() {
    let lab = EngineLab::new(28, "", |_| {});
    let mut raw = lab.connect();
    let name = upload(&mut raw, Command::UPLOAD_FILE, b"x", "txt");
    let (old, new) = (b"a\x02old".as_slice(), b"a\x02new".as_slice());
    let path = lab.path(&format!("{name}-m"));
    for nth in 1..12 {
        set_metadata(&mut raw, &name, b'O', old).body();
        lab.disk.fail_call(nth);
        let answer = set_metadata(&mut raw, &name, b'O', new);
        lab.disk.fail_call(0);
        let stored = std::fs::read(&path).unwrap();
        let refused = answer.status().is_some_and(|status| !status.is_ok());
        assert!(stored == new || refused && stored == old, "call {nth}");
    }
}
