//! What a storage tells of one store path (spec 03 §C9): what is there now, in the form that the
//! original sends.
#![allow(clippy::unwrap_used, missing_docs)]

use fdfs_core::protocol::cluster::{FetchPathBinlog, PATH_BINLOG_LEN};
use fdfs_core::protocol::storage::META_OVERWRITE;
use fdfs_core::protocol::{Command, Status};
use fdfs_core::wire::Wire;
use fdfs_tests::engine::EngineLab;
use fdfs_tests::raw::{Answer, Raw};
use fdfs_tests::requests::{file, link_to, refused, set_metadata, stored, upload};
use std::io::Read as _;

/// The lines without their times, to the end of the connection.
fn fetch(raw: &mut Raw, store_path: u8) -> Vec<String> {
    let request = FetchPathBinlog { group: "group1".try_into().unwrap(), store_path }.encode();
    raw.send_with_len(Command::FETCH_ONE_PATH_BINLOG.0, 17, &request);
    let mut answer = Vec::new();
    raw.0.read_to_end(&mut answer).unwrap();
    let (header, body) = answer.split_at(10);
    assert_eq!(header, [&PATH_BINLOG_LEN.to_be_bytes()[..], &[100, 0]].concat());
    let (text, len) = body.split_at(body.len() - 8);
    assert_eq!(len, (text.len() as u64).to_be_bytes());
    let text = std::str::from_utf8(text).unwrap();
    text.lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
}

#[test]
fn files_that_are_there_now_are_told_as_what_they_are_now() {
    let lab = EngineLab::new(5, "", |_| ());
    let mut raw = lab.connect();
    assert!(fetch(&mut lab.connect(), 0).is_empty());
    let kept = upload(&mut raw, Command::UPLOAD_FILE, b"kept", "txt");
    let gone = upload(&mut raw, Command::UPLOAD_FILE, b"gone", "txt");
    raw.call_with(Command::DELETE_FILE, &file(&gone), &[]).body();
    set_metadata(&mut raw, &kept, META_OVERWRITE, b"a\x021").body();
    let appender = upload(&mut raw, Command::UPLOAD_APPENDER_FILE, b"one", "log");
    let renamed = raw.call(Command::REGENERATE_APPENDER_FILENAME, appender.as_bytes());
    let renamed = stored(renamed);
    let link = link_to(&kept);
    let link = stored(raw.call_with(Command::CREATE_LINK, &link, &[]));
    let lines = fetch(&mut raw, 0);
    let expected = [
        format!("C {kept}"),
        format!("C {kept}-m"),
        format!("C {renamed}"),
        format!("L {link} {kept}"),
    ];
    assert_eq!(lines, expected);
    // Nothing of it is recorded, and the server goes on.
    assert!(lab.connect().is_alive());
}

#[test]
fn a_long_binlog_arrives_whole() {
    let lab = EngineLab::new(5, "", |_| ());
    let mut raw = lab.connect();
    let names: Vec<String> =
        (0..3000).map(|_| upload(&mut raw, Command::UPLOAD_FILE, b"x", "bin")).collect();
    let lines = fetch(&mut raw, 0);
    assert!(
        lines.iter().eq(names.iter().map(|name| format!("C {name}")).collect::<Vec<_>>().iter())
    );
}

#[test]
fn what_is_in_compressed_files_is_told_too() {
    let old = "M00/00/00/Ck0AC2sAvq6AfyjFAAATiMRbAU0662.bin";
    let lab = EngineLab::new(5, "", |config| {
        let sync = config.framework.base_path.join("data/sync");
        std::fs::create_dir_all(&sync).unwrap();
        std::fs::write(sync.join("binlog.000"), format!("1700000000 C {old}\n")).unwrap();
        std::fs::write(sync.join("binlog.001"), "").unwrap();
        let index = "current_write=1\ncurrent_compress=0\n";
        std::fs::write(sync.join("binlog_index.dat"), index).unwrap();
    });
    std::fs::write(lab.path(old), b"old").unwrap();
    let plain = lab.dir().join("data/sync/binlog.000");
    assert_eq!(lab.engine.binlog.compress_before(1, &|| false).unwrap(), 1);
    assert!(!plain.exists());
    let new = upload(&mut lab.connect(), Command::UPLOAD_FILE, b"new", "txt");
    for _ in 0..2 {
        assert_eq!(fetch(&mut lab.connect(), 0), [format!("C {old}"), format!("C {new}")]);
        assert!(plain.exists(), "unpacked for whoever asks again");
    }
}

#[test]
fn other_groups_and_paths_are_refused() {
    let lab = EngineLab::new(5, "", |_| ());
    for (group, store_path) in [("group2", 0), ("group1", 1), ("group1", 255)] {
        let mut raw = lab.connect();
        let head = FetchPathBinlog { group: group.try_into().unwrap(), store_path };
        let answer = raw.call_with(Command::FETCH_ONE_PATH_BINLOG, &head, &[]);
        assert_eq!(answer, refused(Status::EINVAL), "{group} {store_path}");
        assert_eq!(raw.answer(), Answer::Closed);
    }
    let mut raw = lab.connect();
    let answer = raw.call(Command::FETCH_ONE_PATH_BINLOG, b"group1");
    assert_eq!(answer, refused(Status::EINVAL), "too short");
}
