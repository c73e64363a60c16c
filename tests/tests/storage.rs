//! Every storage command on a real socket: statuses, semantics, names, binlog records
//! (spec 01 §8, 04 §A.5.4).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

use fdfs_core::file_id::LogicName;
use fdfs_core::protocol::storage::{
    Append, CreateLink, FileInfo, Modify, Truncate, Upload, UploadSlave,
};
use fdfs_core::protocol::{Command, Name, Status};
use fdfs_core::wire::Wire;
use fdfs_servers::embedded::{EmbeddedCluster, EmbeddedOptions};
use fdfs_tests::raw::{Answer, Raw};
use fdfs_tests::requests::{
    bytes, download, file, range, refused, set_metadata, stored, upload, upload_head,
};
use std::path::{Path, PathBuf};

/// A storage with its cluster, in a folder of its own.
struct Lab {
    runtime: tokio::runtime::Runtime,
    cluster: Option<EmbeddedCluster>,
    dir: tempfile::TempDir,
}

impl Lab {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let options = EmbeddedOptions::new(dir.path());
        let cluster = runtime.block_on(EmbeddedCluster::start(options)).unwrap();
        Self { runtime, cluster: Some(cluster), dir }
    }

    fn connect(&self) -> Raw {
        Raw::connect(self.cluster.as_ref().unwrap().storage_addrs()[0])
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("storage1/data")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.data().join(LogicName::parse(name.as_bytes()).unwrap().true_name())
    }

    /// The binlog's records without their times.
    fn binlog(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.data().join("sync/binlog.000")).unwrap();
        text.lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
    }

    fn files(&self) -> usize {
        fn count(dir: &Path) -> usize {
            let entries = std::fs::read_dir(dir).unwrap();
            entries
                .map(|entry| {
                    let entry = entry.unwrap();
                    if entry.file_type().unwrap().is_dir() { count(&entry.path()) } else { 1 }
                })
                .sum()
        }
        (0..16).map(|high| count(&self.data().join(format!("{high:02X}")))).sum()
    }

    fn temporaries(&self) -> usize {
        let entries = std::fs::read_dir(self.data()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with(".fdfs-")).count()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(cluster) = self.cluster.take() {
            self.runtime.block_on(cluster.shutdown()).unwrap();
        }
    }
}

#[test]
fn files_of_all_sizes_come_back_and_are_named_by_what_they_are() {
    let lab = Lab::new();
    let mut raw = lab.connect();
    for len in [0, 1, 4096, 16 * 1024 - 25, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, 5_000_000] {
        let content = bytes(len);
        let name = upload(&mut raw, Command::UPLOAD_FILE, &content, "txt");
        assert_eq!((name.len(), &name[40..]), (44, ".txt"), "{name}");
        let stamp = LogicName::parse(name.as_bytes()).unwrap().stamp().unwrap();
        assert_eq!(stamp.size.bytes(), len as u64);
        assert_eq!(stamp.crc32, crc32fast::hash(&content));
        assert_eq!(stamp.source.to_string(), "127.0.0.1");
        assert!(download(&mut raw, &name) == content, "{len} bytes");
        assert!(std::fs::read(lab.path(&name)).unwrap() == content);
        assert_eq!(lab.binlog().last().unwrap(), &format!("C {name}"));
    }
    assert_eq!(lab.temporaries(), 0);
}

#[test]
fn uploads_that_are_wrong_leave_nothing() {
    let lab = Lab::new();
    for (head, content_len, status) in [
        (Upload { store_path: 1, ..upload_head(3, "txt") }, 3, Status::EINVAL),
        (Upload { store_path: 200, ..upload_head(3, "txt") }, 3, Status::EINVAL),
        (upload_head(3, "a/b"), 3, Status::EINVAL),
        (upload_head(3, "a b"), 3, Status::EINVAL),
        (upload_head(4, "txt"), 3, Status::EINVAL),
        (upload_head(2, "txt"), 3, Status::EINVAL),
        (Upload { content_len: -1, ..upload_head(0, "txt") }, 3, Status::EINVAL),
    ] {
        let mut raw = lab.connect();
        let answer = raw.call_with(Command::UPLOAD_FILE, &head, &bytes(content_len));
        assert_eq!(answer, refused(status), "{head:?}");
        assert_eq!(raw.answer(), Answer::Closed, "a storage closes after status 22");
    }
    assert_eq!((lab.files(), lab.binlog().len()), (0, 0));
}

#[test]
fn a_connection_lost_during_an_upload_leaves_nothing() {
    let lab = Lab::new();
    for sent in [0, 100, 300_000] {
        let mut raw = lab.connect();
        let head = upload_head(1_000_000, "bin").encode();
        raw.send_with_len(Command::UPLOAD_FILE.0, 1_000_015, &[&head[..], &bytes(sent)].concat());
        drop(raw);
    }
    // Once this one is stored, the others have been seen to end.
    let mut raw = lab.connect();
    upload(&mut raw, Command::UPLOAD_FILE, b"x", "txt");
    for _ in 0..200 {
        if lab.temporaries() == 0 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!((lab.files(), lab.temporaries(), lab.binlog().len()), (1, 0, 1));
}

#[test]
fn an_upload_refused_midway_does_not_derail_the_connection() {
    let lab = Lab::new();
    let mut raw = lab.connect();
    let missing = "M00/00/00/wKhHf1S-oryAZCpgAAAE2uRlJkA126.xml";
    let head = UploadSlave {
        master: missing.try_into().unwrap(),
        content_len: 400_000,
        prefix: "_big".try_into().unwrap(),
        ext: "xml".try_into().unwrap(),
    };
    // The content holds a whole delete request, which must never run.
    let name = upload(&mut raw, Command::UPLOAD_FILE, b"keep", "txt");
    let delete = file(&name).encode();
    let mut content = bytes(400_000);
    let request = [&(delete.len() as i64).to_be_bytes()[..], &[12, 0], &delete].concat();
    content[1000..1000 + request.len()].copy_from_slice(&request);
    let answer = raw.call_with(Command::UPLOAD_SLAVE_FILE, &head, &content);
    assert_eq!(answer, refused(Status::ENOENT));
    assert!(raw.is_alive(), "the rest of the content was dropped, not parsed");
    assert_eq!(download(&mut raw, &name), b"keep");
}

#[test]
fn ranges_are_those_of_slices() {
    let lab = Lab::new();
    let mut raw = lab.connect();
    let content = bytes(700_000);
    let name = upload(&mut raw, Command::UPLOAD_FILE, &content, "bin");
    for (offset, len, expected) in [
        (0, 10, &content[..10]),
        (5, 0, &content[5..]),
        (699_999, 0, &content[699_999..]),
        (699_990, 1000, &content[699_990..]),
        (1, 600_000, &content[1..600_001]),
    ] {
        let answer = raw.call_with(Command::DOWNLOAD_FILE, &range(&name, offset, len), &[]);
        assert!(answer.body() == expected, "{offset} {len}");
    }
    for (offset, len) in [(700_000, 0), (700_001, 1), (-1, 0), (0, -1), (i64::MAX, i64::MAX)] {
        let mut raw = lab.connect();
        let answer = raw.call_with(Command::DOWNLOAD_FILE, &range(&name, offset, len), &[]);
        assert_eq!(answer, refused(Status::EINVAL), "{offset} {len}");
    }
    let empty = upload(&mut raw, Command::UPLOAD_FILE, b"", "bin");
    assert_eq!(download(&mut raw, &empty), b"", "an empty file can be downloaded");
    let mut wrong = range(&name, 0, 0);
    wrong.group = "group2".try_into().unwrap();
    let answer = lab.connect().call_with(Command::DOWNLOAD_FILE, &wrong, &[]);
    assert_eq!(answer, refused(Status::EINVAL));
}

#[test]
fn damaged_files_are_errors_and_never_wrong_content() {
    let lab = Lab::new();
    let mut raw = lab.connect();
    let name = upload(&mut raw, Command::UPLOAD_FILE, b"precious", "txt");
    std::fs::write(lab.path(&name), b"preciouS").unwrap();
    let answer = raw.call_with(Command::DOWNLOAD_FILE, &range(&name, 0, 0), &[]);
    assert_eq!(answer, refused(Status::EIO));
    assert!(raw.is_alive());
}

#[test]
fn appender_files_grow_change_shrink_and_become_normal() {
    let lab = Lab::new();
    let mut raw = lab.connect();
    let name = upload(&mut raw, Command::UPLOAD_APPENDER_FILE, b"hello", "log");
    let id: Name = name.as_str().try_into().unwrap();
    let ok = Answer::Reply(Status::OK, Vec::new());
    let append = |len| Append { name: id, content_len: len };
    assert_eq!(raw.call_with(Command::APPEND_FILE, &append(6), b" world"), ok);
    assert_eq!(raw.call_with(Command::APPEND_FILE, &append(0), b""), ok, "no echo");
    let large = bytes(600_000);
    assert_eq!(raw.call_with(Command::APPEND_FILE, &append(600_000), &large), ok);
    let modify = |offset, len| Modify { name: id, offset, content_len: len };
    assert_eq!(raw.call_with(Command::MODIFY_FILE, &modify(0, 5), b"HELLO"), ok);
    assert_eq!(raw.call_with(Command::MODIFY_FILE, &modify(600_011, 1), b"!"), ok, "at the end");
    let truncate = |size| Truncate { name: id, size };
    assert_eq!(raw.call_with(Command::TRUNCATE_FILE, &truncate(11), &[]), ok);
    assert_eq!(raw.call_with(Command::TRUNCATE_FILE, &truncate(11), &[]), ok, "no echo");
    assert_eq!(raw.call_with(Command::TRUNCATE_FILE, &truncate(13), &[]), ok);
    assert_eq!(download(&mut raw, &name), b"HELLO world\0\0");
    let new = stored(raw.call(Command::REGENERATE_APPENDER_FILENAME, name.as_bytes()));
    assert_eq!((&new[..10], &new[37..]), (&name[..10], &name[37..]), "directories and tail stay");
    let stamp = LogicName::parse(new.as_bytes()).unwrap().stamp().unwrap();
    assert_eq!((stamp.size.bytes(), stamp.crc32), (13, crc32fast::hash(b"HELLO world\0\0")));
    assert_eq!(download(&mut raw, &new), b"HELLO world\0\0");
    let gone = raw.call_with(Command::DOWNLOAD_FILE, &range(&name, 0, 0), &[]);
    assert_eq!(gone, refused(Status::ENOENT));
    assert_eq!(
        lab.binlog(),
        [
            format!("C {name}"),
            format!("A {name} 5 6"),
            format!("A {name} 11 600000"),
            format!("M {name} 0 5"),
            format!("M {name} 600011 1"),
            format!("T {name} 600012 11"),
            format!("T {name} 11 13"),
            format!("R {new} {name}"),
        ]
    );
}

#[test]
fn changes_are_refused_where_they_do_not_belong() {
    let lab = Lab::new();
    let mut raw = lab.connect();
    let normal = upload(&mut raw, Command::UPLOAD_FILE, b"hello", "txt");
    let appender = upload(&mut raw, Command::UPLOAD_APPENDER_FILE, b"hello", "txt");
    let mut absent = appender.clone().into_bytes();
    absent[30] = if absent[30] == b'A' { b'B' } else { b'A' };
    let absent = String::from_utf8(absent).unwrap();
    let append = |name: &str, len| Append { name: name.try_into().unwrap(), content_len: len };
    let modify =
        |offset| Modify { name: appender.as_str().try_into().unwrap(), offset, content_len: 1 };
    for (command, head, content, status) in [
        (Command::APPEND_FILE, append(&normal, 1).encode(), &b"x"[..], Status::EINVAL),
        (Command::APPEND_FILE, append(&absent, 1).encode(), b"x", Status::ENOENT),
        (Command::APPEND_FILE, append(&appender, 2).encode(), b"x", Status::EINVAL),
        (Command::APPEND_FILE, append("M00/00/00/short", 1).encode(), b"x", Status::EINVAL),
        (Command::MODIFY_FILE, modify(6).encode(), b"x", Status::EINVAL),
        (Command::MODIFY_FILE, modify(-1).encode(), b"x", Status::EINVAL),
        (Command::MODIFY_FILE, modify(i64::MAX).encode(), b"x", Status::EINVAL),
        (
            Command::TRUNCATE_FILE,
            Truncate { name: appender.as_str().try_into().unwrap(), size: -1 }.encode(),
            b"",
            Status::EINVAL,
        ),
        (
            Command::REGENERATE_APPENDER_FILENAME,
            bytes::BytesMut::from(normal.as_bytes()),
            b"",
            Status::EINVAL,
        ),
    ] {
        let mut raw = lab.connect();
        let answer = raw.call(command, &[&head[..], content].concat());
        assert_eq!(answer, refused(status), "{command}");
        assert_eq!(raw.is_alive(), status != Status::EINVAL, "{command}");
    }
    assert_eq!(download(&mut raw, &appender), b"hello");
    assert_eq!(lab.binlog().len(), 2);
}

#[test]
fn a_broken_append_is_cut_off_again() {
    let lab = Lab::new();
    let mut raw = lab.connect();
    let name = upload(&mut raw, Command::UPLOAD_APPENDER_FILE, b"hello", "log");
    let head = Append { name: name.as_str().try_into().unwrap(), content_len: 1_000_000 }.encode();
    let mut broken = lab.connect();
    let body_len = head.len() as i64 + 1_000_000;
    broken.send_with_len(Command::APPEND_FILE.0, body_len, &[&head[..], &bytes(600_000)].concat());
    drop(broken);
    let whole = Append { name: name.as_str().try_into().unwrap(), content_len: 1 };
    raw.call_with(Command::APPEND_FILE, &whole, b"!").body();
    // Whichever of the two comes first, in the end only the whole one is there.
    for _ in 0..500 {
        if download(&mut raw, &name) == b"hello!" {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!(download(&mut raw, &name), b"hello!");
}

#[test]
fn slaves_stand_beside_their_master() {
    let lab = Lab::new();
    let mut raw = lab.connect();
    let master = upload(&mut raw, Command::UPLOAD_FILE, b"master", "jpg");
    let head = |master: &str, prefix: &str, ext: &str, len: usize| UploadSlave {
        master: master.try_into().unwrap(),
        content_len: len as i64,
        prefix: prefix.try_into().unwrap(),
        ext: ext.try_into().unwrap(),
    };
    let command = Command::UPLOAD_SLAVE_FILE;
    let slave = stored(raw.call_with(command, &head(&master, "_big", "png", 5), b"slave"));
    assert_eq!(slave, format!("{}_big.png", master.strip_suffix(".jpg").unwrap()));
    assert_eq!(download(&mut raw, &slave), b"slave");
    let bare = stored(raw.call_with(command, &head(&master, "_x", "", 1), b"s"));
    assert_eq!(bare, format!("{}_x", master.strip_suffix(".jpg").unwrap()));
    let large = bytes(300_000);
    let of_slave = raw.call_with(command, &head(&slave, "_s2", "png", large.len()), &large);
    assert!(download(&mut raw, &stored(of_slave)) == large);
    assert_eq!(
        raw.call_with(command, &head(&master, "_big", "png", 5), b"again"),
        refused(Status::EEXIST)
    );
    assert!(raw.is_alive());
    for wrong in
        [head(&master, "", "png", 1), head(&master, "-m", "", 1), head(&master, "a/", "", 1)]
    {
        let answer = lab.connect().call_with(command, &wrong, b"x");
        assert_eq!(answer, refused(Status::EINVAL), "{wrong:?}");
    }
    raw.call_with(Command::DELETE_FILE, &file(&master), &[]).body();
    assert_eq!(download(&mut raw, &slave), b"slave", "slaves survive their master");
    assert!(lab.binlog().contains(&format!("C {slave}")));
}

#[test]
fn deleting_takes_the_metadata_along() {
    let lab = Lab::new();
    let mut raw = lab.connect();
    let name = upload(&mut raw, Command::UPLOAD_FILE, b"x", "txt");
    set_metadata(&mut raw, &name, b'O', b"a\x021").body();
    raw.call_with(Command::DELETE_FILE, &file(&name), &[]).body();
    assert_eq!(lab.files(), 0);
    assert_eq!(lab.binlog()[2..], [format!("D {name}"), format!("D {name}-m")]);
    for answer in [
        raw.call_with(Command::DELETE_FILE, &file(&name), &[]),
        raw.call_with(Command::GET_METADATA, &file(&name), &[]),
        raw.call_with(Command::QUERY_FILE_INFO, &file(&name), &[]),
    ] {
        assert_eq!(answer, refused(Status::ENOENT));
    }
    assert!(raw.is_alive(), "status 2 keeps the connection");
}

#[test]
fn metadata_is_replaced_merged_and_removed() {
    let lab = Lab::new();
    let mut raw = lab.connect();
    let name = upload(&mut raw, Command::UPLOAD_FILE, b"x", "txt");
    let get = |raw: &mut Raw| raw.call_with(Command::GET_METADATA, &file(&name), &[]);
    assert_eq!(get(&mut raw), refused(Status::ENOENT), "none yet");
    set_metadata(&mut raw, &name, b'M', b"width\x02160\x01author\x02me").body();
    assert_eq!(get(&mut raw).body(), b"author\x02me\x01width\x02160");
    set_metadata(&mut raw, &name, b'M', b"width\x0280\x01height\x0260").body();
    assert_eq!(get(&mut raw).body(), b"author\x02me\x01height\x0260\x01width\x0280");
    set_metadata(&mut raw, &name, b'O', b"only\x021").body();
    assert_eq!(get(&mut raw).body(), b"only\x021");
    set_metadata(&mut raw, &name, b'M', b"").body();
    assert_eq!(get(&mut raw).body(), b"only\x021");
    set_metadata(&mut raw, &name, b'O', b"").body();
    assert_eq!(get(&mut raw), refused(Status::ENOENT));
    set_metadata(&mut raw, &name, b'O', b"").body();
    let expected = ["C", "U", "U", "D"].map(|op| format!("{op} {name}-m"));
    assert_eq!(lab.binlog()[1..], expected);
    assert_eq!(set_metadata(&mut raw, &name, b'X', b"a\x021"), refused(Status::EINVAL));
    let absent = "M00/00/00/wKhHf1S-oryAZCpgAAAE2uRlJkA126.xml";
    assert_eq!(set_metadata(&mut lab.connect(), absent, b'O', b"a\x021"), refused(Status::ENOENT));
}

#[test]
fn info_tells_size_time_checksum_and_source() {
    let lab = Lab::new();
    let mut raw = lab.connect();
    let normal = upload(&mut raw, Command::UPLOAD_FILE, b"hello", "txt");
    let appender = upload(&mut raw, Command::UPLOAD_APPENDER_FILE, b"hello", "txt");
    for (name, flags, crc32) in [
        (&normal, 0, crc32fast::hash(b"hello")),
        (&appender, 0, crc32fast::hash(b"hello")),
        (&appender, 1, 0),
        (&normal, 3, crc32fast::hash(b"hello")),
    ] {
        let body = file(name).encode();
        raw.send(&[&(body.len() as i64).to_be_bytes()[..], &[22, flags], &body].concat());
        let body = raw.answer().body();
        assert_eq!(body.len(), 40);
        let info = FileInfo::decode(&body).unwrap();
        assert_eq!((info.size, info.crc32), (5, crc32));
        assert_eq!(info.source_ip.to_string(), "127.0.0.1");
        let stamp = LogicName::parse(name.as_bytes()).unwrap().stamp().unwrap();
        assert!((info.modified - i64::from(stamp.created)).abs() <= 1);
    }
}

#[test]
fn links_are_made_to_stored_files() {
    let lab = Lab::new();
    let mut raw = lab.connect();
    let source = upload(&mut raw, Command::UPLOAD_FILE, b"content", "txt");
    let head = |master: &str, prefix: &str| CreateLink {
        master: master.try_into().unwrap(),
        source: source.as_str().try_into().unwrap(),
        signature: "s".try_into().unwrap(),
        group: "group1".try_into().unwrap(),
        prefix: prefix.try_into().unwrap(),
        ext: "txt".try_into().unwrap(),
    };
    let link = stored(raw.call_with(Command::CREATE_LINK, &head("", ""), &[]));
    assert_eq!(download(&mut raw, &link), b"content");
    assert_eq!(std::fs::read_link(lab.path(&link)).unwrap(), lab.path(&source));
    assert_eq!(lab.binlog().last().unwrap(), &format!("L {link} {source}"));
    let named = stored(raw.call_with(Command::CREATE_LINK, &head(&source, "_l"), &[]));
    assert!(named.contains("_l.txt"));
    let again = raw.call_with(Command::CREATE_LINK, &head(&source, "_l"), &[]);
    assert_eq!(again, refused(Status::EEXIST));
}

#[test]
fn names_cannot_leave_the_store_or_break_the_binlog() {
    let lab = Lab::new();
    std::fs::write(lab.dir.path().join("storage1/secret"), b"secret").unwrap();
    for name in [
        &b"M00/../../secret"[..],
        b"M00/00/00/../../../secret",
        b"M00/00/00/..",
        b"M00/00/00/a\n1 D M00/00/00/b",
        b"M00/00/00/a b c d e f g",
        b"M00/00/00/nul\0byte",
        b"/etc/passwd/////////",
        b"M01/00/00/wKhHf1S-oryAZCpgAAAE2uRlJkA126.xml",
        b"M00/0a/00/wKhHf1S-oryAZCpgAAAE2uRlJkA126.xml",
        b"M00/00/00/\xff\xfe\xfd",
        b"",
        b"x",
        &[b'a'; 127],
        &[b'a'; 128],
        &[b'a'; 400],
    ] {
        for (command, prefix) in
            [(12, 16), (14, 32), (15, 16), (22, 16), (38, 0)].map(|(c, p)| (Command(c), p))
        {
            let mut body = vec![0; prefix];
            if prefix >= 16 {
                body[prefix - 16..prefix - 10].copy_from_slice(b"group1");
            }
            body.extend_from_slice(name);
            let answer = lab.connect().call(command, &body);
            let status = answer.status();
            assert!(
                matches!(status, Some(Status::EINVAL | Status::ENOENT)),
                "{command} {}: {answer:?}",
                name.escape_ascii()
            );
        }
    }
    assert!(lab.binlog().is_empty());
}

#[test]
fn lenient_spellings_of_a_name_are_recorded_in_the_canonical_one() {
    let lab = Lab::new();
    let mut raw = lab.connect();
    let name = upload(&mut raw, Command::UPLOAD_APPENDER_FILE, b"x", "txt");
    let blank = name.replacen("M00", "M 0", 1);
    let append = Append { name: blank.as_str().try_into().unwrap(), content_len: 1 };
    raw.call_with(Command::APPEND_FILE, &append, b"y").body();
    let new = stored(raw.call(Command::REGENERATE_APPENDER_FILENAME, blank.as_bytes()));
    let blank = new.replacen("M00", "M+0", 1);
    raw.call_with(Command::DELETE_FILE, &file(&blank), &[]).body();
    let expected = [format!("A {name} 1 1"), format!("R {new} {name}"), format!("D {new}")];
    assert_eq!(lab.binlog()[1..], expected);
}

#[test]
fn many_clients_at_once_lose_nothing() {
    let lab = Lab::new();
    let addr = lab.cluster.as_ref().unwrap().storage_addrs()[0];
    let workers: Vec<_> = (0..16u8)
        .map(|worker| {
            std::thread::spawn(move || {
                let mut raw = Raw::connect(addr);
                let mut kept = Vec::new();
                for round in 0..30u8 {
                    let content = vec![worker.wrapping_mul(31) ^ round; 1000 + usize::from(round)];
                    let name = upload(&mut raw, Command::UPLOAD_FILE, &content, "bin");
                    if round % 3 == 0 {
                        raw.call_with(Command::DELETE_FILE, &file(&name), &[]).body();
                    } else {
                        kept.push((name, content));
                    }
                }
                for (name, content) in &kept {
                    assert!(download(&mut raw, name) == *content);
                }
                kept.len()
            })
        })
        .collect();
    let kept: usize = workers.into_iter().map(|worker| worker.join().unwrap()).sum();
    assert_eq!(lab.files(), kept);
    assert_eq!(lab.binlog().len(), 16 * 40);
}

#[test]
fn a_restart_keeps_files_counters_and_places() {
    let mut lab = Lab::new();
    let name = upload(&mut lab.connect(), Command::UPLOAD_FILE, b"kept", "txt");
    lab.runtime.block_on(lab.cluster.take().unwrap().shutdown()).unwrap();
    let stat = std::fs::read_to_string(lab.data().join("storage_stat.dat")).unwrap();
    assert!(
        stat.contains("success_upload_count=1\n") && stat.ends_with("dist_write_file_count=1\n")
    );
    let mark = std::fs::read_to_string(lab.data().join(".fdfs_running")).unwrap();
    assert_eq!(mark.lines().nth(1), Some("stopped"), "{mark}");
    // A killed upload's leavings, and a file cut short by the kill, from an unclean run.
    std::fs::write(lab.data().join(".fdfs-1-1.tmp"), b"half").unwrap();
    std::fs::write(lab.data().join(".fdfs_running"), b"").unwrap();
    let short = "M00/00/00/fwAAAWsA4eCAd7SmAAAAAzUkQcI017.txt";
    std::fs::write(lab.path(short), b"ab").unwrap();
    let options = EmbeddedOptions::new(lab.dir.path());
    lab.cluster = Some(lab.runtime.block_on(EmbeddedCluster::start(options)).unwrap());
    let mut raw = lab.connect();
    assert_eq!(download(&mut raw, &name), b"kept");
    assert_eq!(lab.temporaries(), 0);
    for _ in 0..500 {
        if !lab.path(short).exists() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert!(!lab.path(short).exists(), "set aside");
    assert!(lab.data().join(".quarantine/fwAAAWsA4eCAd7SmAAAAAzUkQcI017.txt").exists());
    assert!(lab.path(&name).exists());
}
