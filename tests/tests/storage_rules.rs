//! The rules of a storage that need an engine set up for them: space, store paths, forms of names,
//! linked slaves, what is refused and what becomes of the connection (spec 01 §5, §8).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    missing_docs
)]

use fdfs_core::file_id::LogicName;
use fdfs_core::protocol::cluster::SyncFile;
use fdfs_core::protocol::storage::{Append, Modify, Upload, UploadSlave};
use fdfs_core::protocol::{Command, Name, Status};
use fdfs_core::wire::Wire;
use fdfs_servers::storage::config::StorePathConfig;
use fdfs_tests::engine::EngineLab;
use fdfs_tests::raw::{Answer, Raw};
use fdfs_tests::requests::{
    bytes, download, file, link_to, range, refused, set_metadata, stored, upload, upload_head,
};
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

fn lab() -> EngineLab {
    EngineLab::new(5, "", |_| {})
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn without_room_uploads_are_refused_and_the_connection_goes_on() {
    for reserve in ["reserved_storage_space=1000000GB", "reserved_storage_space=99.99%"] {
        let lab = EngineLab::new(5, &format!("{reserve}\n"), |_| {});
        let mut raw = lab.connect();
        for len in [0, 5000, 600_000] {
            let answer = raw.call_with(Command::UPLOAD_FILE, &upload_head(len, "b"), &bytes(len));
            assert_eq!(answer, refused(Status::ENOSPC));
        }
        assert!(raw.is_alive());
        let long = 2 << 20;
        raw.send_with_len(11, long + 15, &upload_head(long as usize, "b").encode());
        assert_eq!(raw.answer(), refused(Status::ENOSPC));
        assert_eq!(raw.answer(), Answer::Closed, "too much to be read for nothing");
        assert!(lab.files().is_empty() && lab.binlog().is_empty());
    }
}

#[test]
fn a_file_larger_than_the_room_is_refused_before_it_is_sent() {
    let lab = lab();
    let mut raw = lab.connect();
    let len: i64 = 1 << 60;
    let head = Upload { content_len: len, ..upload_head(0, "b") };
    raw.send_with_len(11, len + 15, &head.encode());
    assert_eq!(raw.answer(), refused(Status::ENOSPC));
}

#[test]
fn store_paths_are_chosen_as_asked_and_in_turn() {
    let other = tempfile::tempdir().unwrap();
    let full = tempfile::tempdir().unwrap();
    let lab = EngineLab::new(5, "", |config| {
        let path =
            |path: &std::path::Path, read_only| StorePathConfig { path: path.into(), read_only };
        config.store_paths.push(path(other.path(), false));
        config.store_paths.push(path(full.path(), true));
    });
    let mut raw = lab.connect();
    let mut store = |index: u8| {
        let mut head = upload_head(1, "b");
        head.store_path = index;
        stored(raw.call_with(Command::UPLOAD_FILE, &head, b"x"))[..3].to_owned()
    };
    assert_eq!((store(0), store(1), store(1)), ("M00".into(), "M01".into(), "M01".into()));
    let any: Vec<_> = (0..4).map(|_| store(0xff)).collect();
    assert!(any.contains(&"M00".into()) && any.contains(&"M01".into()), "{any:?}");
    assert_ne!(store(2), "M02", "takes no new files");
    let mut wrong = upload_head(1, "b");
    wrong.store_path = 3;
    assert_eq!(raw.call_with(Command::UPLOAD_FILE, &wrong, b"x"), refused(Status::EINVAL));
}

#[test]
fn a_store_path_that_is_missing_is_not_made() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("mount");
    let path = missing.clone();
    let failed = std::panic::catch_unwind(|| {
        EngineLab::new(5, "", |config| {
            config.store_paths.push(StorePathConfig { path, read_only: false });
        });
    });
    assert!(failed.is_err() && !missing.exists());
}

#[test]
fn a_disk_that_hangs_harms_only_its_own_store_path() {
    let sick = tempfile::tempdir().unwrap();
    let lab = EngineLab::new(5, "", |config| {
        config.store_paths.push(StorePathConfig { path: sick.path().into(), read_only: false });
    });
    let serves_others = |raw: &mut Raw| {
        let head = Upload { store_path: 0, ..upload_head(5, "b") };
        let name = stored(raw.call_with(Command::UPLOAD_FILE, &head, b"hello"));
        assert_eq!(download(raw, &name), b"hello");
        assert!(lab.connect().is_alive());
    };
    let mut raw = lab.connect();
    serves_others(&mut raw);
    let hang = lab.disk.hang_below(sick.path());
    // Until a look at the space is due, which must not be the healthy upload's to wait for.
    std::thread::sleep(Duration::from_millis(1100));
    serves_others(&mut raw);
    let send_to_sick = |at| {
        let mut raw = lab.connect();
        if at % 2 == 0 {
            let head = Upload { store_path: 1, ..upload_head(1, "b") };
            raw.send_with_len(11, 16, &[&head.encode()[..], b"x"].concat());
        } else {
            let head = slave("M01/00/00/wKhHf1S-oryAZCpgAAAE2uRlJkA126.xml", "_s", "b", 1).encode();
            raw.send_with_len(21, head.len() as i64 + 1, &[&head[..], b"x"].concat());
        }
        (at, raw)
    };
    let waiting: Vec<_> = (0..8).map(send_to_sick).collect();
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(2500) {
        serves_others(&mut raw);
    }
    drop(hang);
    for (at, mut raw) in waiting {
        match raw.answer() {
            answer if at % 2 == 0 => assert!(stored(answer).starts_with("M01/")),
            answer => assert_eq!(answer, refused(Status::ENOENT), "there is no such master"),
        }
    }
}

#[test]
fn the_time_in_a_name_is_that_of_the_file() {
    let lab = lab();
    let mut raw = lab.connect();
    for len in [0, 10, 400_000] {
        let name = upload(&mut raw, Command::UPLOAD_FILE, &bytes(len), "b");
        let created = LogicName::parse(name.as_bytes()).unwrap().stamp().unwrap().created;
        assert_eq!(std::fs::metadata(lab.path(&name)).unwrap().mtime(), i64::from(created));
    }
    let text = std::fs::read_to_string(lab.dir().join("data/sync/binlog.000")).unwrap();
    for line in text.lines() {
        let (time, rest) = line.split_once(" C ").unwrap();
        let stamp = LogicName::parse(rest.as_bytes()).unwrap().stamp().unwrap();
        assert_eq!(time, stamp.created.to_string());
    }
}

#[test]
fn all_forms_of_a_name_are_one_file_and_one_record() {
    let lab = lab();
    let mut raw = lab.connect();
    let name = upload(&mut raw, Command::UPLOAD_APPENDER_FILE, b"hello", "log");
    let blank = name.replacen("M00", "M 0", 1);
    let append = Append { name: blank.as_str().try_into().unwrap(), content_len: 1 };
    raw.call_with(Command::APPEND_FILE, &append, b"!").body();
    set_metadata(&mut raw, &blank, b'O', b"a\x021").body();
    assert_eq!(download(&mut raw, &blank), b"hello!");
    assert_eq!(download(&mut raw, &name[4..]), b"hello!", "the form without store path");
    let head = slave(&blank, "_s", "log", 1);
    let made = stored(raw.call_with(Command::UPLOAD_SLAVE_FILE, &head, b"s"));
    assert!(made.starts_with("M00/"));
    let link = stored(raw.call_with(Command::CREATE_LINK, &link_to(&blank), &[]));
    raw.call_with(Command::DELETE_FILE, &file(&name[4..]), &[]).body();
    let expected = [
        format!("C {name}"),
        format!("A {name} 5 1"),
        format!("C {name}-m"),
        format!("C {made}"),
        format!("L {link} {name}"),
        format!("D {name}"),
        format!("D {name}-m"),
    ];
    assert_eq!(lab.binlog(), expected);
}

fn slave(master: &str, prefix: &str, ext: &str, len: usize) -> UploadSlave {
    UploadSlave {
        master: master.try_into().unwrap(),
        content_len: len as i64,
        prefix: prefix.try_into().unwrap(),
        ext: ext.try_into().unwrap(),
    }
}

#[test]
fn linked_slaves_are_recorded_rightly_and_go_with_their_content() {
    let lab = EngineLab::new(5, "store_slave_file_use_link=1\n", |_| {});
    let mut raw = lab.connect();
    let master = upload(&mut raw, Command::UPLOAD_FILE, b"master", "jpg");
    for len in [5, 300_000] {
        let head = slave(&master, "_s", "jpg", len);
        let link = stored(raw.call_with(Command::UPLOAD_SLAVE_FILE, &head, &bytes(len)));
        assert_eq!(link, format!("{}_s.jpg", &master[..master.len() - 4]));
        assert_eq!(download(&mut raw, &link), bytes(len));
        let target = std::fs::read_link(lab.path(&link)).unwrap();
        let hidden = target.strip_prefix(lab.dir().join("data")).unwrap().display().to_string();
        let records = lab.binlog();
        let expected = [format!("C M00/{hidden}"), format!("L {link} M00/{hidden}")];
        assert_eq!(records[records.len() - 2..], expected);
        let again = raw.call_with(Command::UPLOAD_SLAVE_FILE, &head, &bytes(len));
        assert_eq!(again, refused(Status::EEXIST));
        raw.call_with(Command::DELETE_FILE, &file(&link), &[]).body();
        assert!(!target.exists() && !lab.path(&link).is_symlink());
        let records = lab.binlog();
        let expected = [format!("D M00/{hidden}"), format!("D {link}")];
        assert_eq!(records[records.len() - 2..], expected);
    }
    assert_eq!(lab.files().len(), 1, "the master");
}

#[test]
fn a_link_is_deleted_alone_and_refuses_changes() {
    let lab = lab();
    let mut raw = lab.connect();
    let source = upload(&mut raw, Command::UPLOAD_APPENDER_FILE, b"content", "txt");
    let link = stored(raw.call_with(Command::CREATE_LINK, &link_to(&source), &[]));
    let to_link = lab.connect().call_with(Command::CREATE_LINK, &link_to(&link), &[]);
    assert_eq!(to_link, refused(Status::EINVAL), "only regular files are linked to");
    let mut wrong = link_to(&source);
    wrong.group = "group2".try_into().unwrap();
    let answer = lab.connect().call_with(Command::CREATE_LINK, &wrong, &[]);
    assert_eq!(answer, refused(Status::EINVAL));
    let absent = source.replace("M00/00/00/", "M00/01/01/");
    assert_eq!(
        raw.call_with(Command::CREATE_LINK, &link_to(&absent), &[]),
        refused(Status::ENOENT)
    );
    raw.call_with(Command::DELETE_FILE, &file(&link), &[]).body();
    assert_eq!(download(&mut raw, &source), b"content");
    assert_eq!(lab.binlog().last().unwrap(), &format!("D {link}"));
}

#[test]
fn a_modification_cut_short_is_recorded_as_far_as_it_came() {
    let lab = lab();
    let mut raw = lab.connect();
    let name = upload(&mut raw, Command::UPLOAD_APPENDER_FILE, b"hello", "log");
    let id: Name = name.as_str().try_into().unwrap();
    let head = Modify { name: id, offset: 1, content_len: 1_000_000 }.encode();
    let mut broken = lab.connect();
    let body = [&head[..], &bytes(300_000)].concat();
    broken.send_with_len(Command::MODIFY_FILE.0, head.len() as i64 + 1_000_000, &body);
    drop(broken);
    until("the broken one ends", || lab.binlog().len() == 2);
    let size = std::fs::metadata(lab.path(&name)).unwrap().len();
    assert_eq!(lab.binlog()[1], format!("M {name} 1 {}", size - 1));
}

#[test]
fn what_is_no_request_is_answered_as_the_protocol_says() {
    let lab = lab();
    // Unknown commands and wrong lengths: 22, and the connection ends.
    let wrong: [(u8, &[u8]); 9] = [
        (10, b""),
        (200, b"abc"),
        (111, b"x"),
        (11, b"short"),
        (12, b"group1"),
        (14, &[0; 31]),
        (20, &[0; 61]),
        (36, &[0; 15]),
        (13, &[0xff; 33]),
    ];
    for (command, body) in wrong {
        let mut raw = lab.connect();
        assert_eq!(raw.call(Command(command), body), refused(Status::EINVAL), "{command}");
        assert_eq!(raw.answer(), Answer::Closed, "{command}");
    }
    // Metadata beyond the buffer.
    let mut raw = lab.connect();
    raw.send_with_len(13, 300_000, &[0; 33]);
    assert_eq!(raw.answer(), refused(Status::EINVAL));
    assert_eq!(raw.answer(), Answer::Closed);
    // No length at all: no answer either.
    for len in [-1, i64::MIN] {
        let mut raw = lab.connect();
        raw.send_with_len(11, len, &[]);
        assert_eq!(raw.answer(), Answer::Closed);
    }
    let mut raw = lab.connect();
    raw.send_with_len(82, 0, &[]);
    assert_eq!(raw.answer(), Answer::Closed, "QUIT is not answered");
}

#[test]
fn commands_of_trunk_files_are_declined_and_the_connection_goes_on() {
    const IN_TRUNK: &str = "M00/01/01/oYYBAGsAwP2IDQ-QAAAAC09fjYEAAAAAQAAAAAAAAEA231.txt";
    let lab = lab();
    let mut raw = lab.connect();
    for command in 27..=33 {
        let body = [&8i64.to_be_bytes()[..], &[0; 60]].concat();
        assert_eq!(raw.call(Command(command), &body), refused(Status::EOPNOTSUPP), "{command}");
    }
    let head = |size| SyncFile {
        name: IN_TRUNK.try_into().unwrap(),
        size,
        timestamp: 1,
        group: "group1".try_into().unwrap(),
    };
    let content = vec![0; 900_000];
    let answer = raw.call_with(Command::SYNC_CREATE_FILE, &head(900_000), &content);
    assert_eq!(answer, refused(Status::EOPNOTSUPP));
    assert!(raw.is_alive(), "the content was read and dropped");
    let head = head(3 << 20).encode();
    let body_len = head.len() as i64 + (3 << 20);
    raw.send_with_len(Command::SYNC_CREATE_FILE.0, body_len, &head);
    assert_eq!(raw.answer(), refused(Status::EOPNOTSUPP));
    assert_eq!(raw.answer(), Answer::Closed);
}

#[test]
fn what_is_no_file_is_no_file() {
    let lab = lab();
    let mut raw = lab.connect();
    let dir = "M00/00/00/directory";
    std::fs::create_dir(lab.path(dir)).unwrap();
    assert_eq!(
        raw.call_with(Command::DOWNLOAD_FILE, &range(dir, 0, 0), &[]),
        refused(Status::EISDIR)
    );
    assert!(raw.is_alive());
    let deleted = lab.connect().call_with(Command::DELETE_FILE, &file(dir), &[]);
    assert_eq!(deleted, refused(Status::EINVAL));
    let short = "M00/00/00/short";
    std::fs::write(lab.path(short), b"x").unwrap();
    assert_eq!(download(&mut raw, short), b"x");
    let info = lab.connect().call_with(Command::QUERY_FILE_INFO, &file(short), &[]);
    assert_eq!(info, refused(Status::EINVAL), "no stamp to tell from");
    // A name so long that its metadata could not be recorded has none.
    let long = format!("M00/00/00/{}", "x".repeat(116));
    std::fs::write(lab.path(&long), b"x").unwrap();
    let set = set_metadata(&mut lab.connect(), &long, b'O', b"a\x021");
    assert_eq!(set, refused(Status::EINVAL));
    assert!(!lab.path(&long).with_extension("-m").exists());
    raw.call_with(Command::DELETE_FILE, &file(&long), &[]).body();
    assert_eq!(lab.binlog(), [format!("D {long}")]);
}

#[test]
fn appends_of_many_at_once_are_each_whole_and_recorded_in_their_order() {
    let lab = lab();
    let name = upload(&mut lab.connect(), Command::UPLOAD_APPENDER_FILE, b"", "log");
    let blank = name.replacen("M00", "M 0", 1);
    std::thread::scope(|scope| {
        for writer in 0..16u8 {
            let mut raw: Raw = lab.connect();
            let name = if writer % 2 == 0 { &name } else { &blank };
            scope.spawn(move || {
                for len in [10, 3000, 270_000] {
                    let head =
                        Append { name: name.as_str().try_into().unwrap(), content_len: len as i64 };
                    raw.call_with(Command::APPEND_FILE, &head, &vec![writer; len]).body();
                }
            });
        }
    });
    let content = std::fs::read(lab.path(&name)).unwrap();
    let mut end = 0;
    for record in &lab.binlog()[1..] {
        let [operation, of, start, len] = record.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{record}")
        };
        assert_eq!((operation, of), ("A", &*name));
        let (start, len): (usize, usize) = (start.parse().unwrap(), len.parse().unwrap());
        assert_eq!(start, end, "{record}");
        end = start + len;
        assert!(content[start..end].iter().all(|byte| *byte == content[start]), "{record}");
    }
    assert_eq!((lab.binlog().len(), end), (1 + 16 * 3, content.len()));
}

#[test]
fn everything_is_counted() {
    let lab = lab();
    let mut raw = lab.connect();
    let name = upload(&mut raw, Command::UPLOAD_APPENDER_FILE, b"hello", "log");
    download(&mut raw, &name);
    set_metadata(&mut raw, &name, b'O', b"a\x021").body();
    raw.call_with(Command::GET_METADATA, &file(&name), &[]).body();
    let head = Append { name: name.as_str().try_into().unwrap(), content_len: 3 };
    raw.call_with(Command::APPEND_FILE, &head, b"abc").body();
    raw.call_with(Command::CREATE_LINK, &link_to(&name), &[]).body();
    raw.call_with(Command::DELETE_FILE, &file(&name), &[]).body();
    assert_eq!(raw.call_with(Command::DELETE_FILE, &file(&name), &[]), refused(Status::ENOENT));
    let gone = raw.call_with(Command::DOWNLOAD_FILE, &range(&name, 0, 0), &[]);
    assert_eq!(gone, refused(Status::ENOENT));
    let stats = lab.engine.stats.snapshot();
    for (what, total, success) in [
        ("upload_count", 1, 1),
        ("upload_bytes", 5, 5),
        ("append_count", 1, 1),
        ("append_bytes", 3, 3),
        ("download_count", 2, 1),
        ("download_bytes", 5, 5),
        ("set_meta_count", 1, 1),
        ("get_meta_count", 1, 1),
        ("create_link_count", 1, 1),
        ("delete_count", 2, 1),
        ("file_write_count", 2, 2),
        ("file_read_count", 2, 1),
        ("file_open_count", 4, 3),
    ] {
        assert_eq!(stats.get(&format!("total_{what}")), Some(total), "{what}");
        assert_eq!(stats.get(&format!("success_{what}")), Some(success), "{what}");
    }
    assert!(stats.last_source_update > 0);
}
