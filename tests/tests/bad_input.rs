//! The catalogue of bad input: whatever comes, the answer is as specified, the server lives on and
//! serves others, and nothing grows (reliability plan §4).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

use fdfs_core::protocol::storage::{Download, Upload};
use fdfs_core::protocol::{COMMANDS, Command, Receiver, Status};
use fdfs_core::wire::Wire;
use fdfs_servers::embedded::{EmbeddedCluster, EmbeddedOptions};
use fdfs_tests::raw::{Answer, Raw};
use std::io::Write as _;
use std::net::SocketAddr;

struct Lab {
    runtime: tokio::runtime::Runtime,
    cluster: Option<EmbeddedCluster>,
    _dir: tempfile::TempDir,
    tracker: SocketAddr,
    storage: SocketAddr,
}

impl Lab {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let options = EmbeddedOptions::new(dir.path());
        let cluster = runtime.block_on(EmbeddedCluster::start(options)).unwrap();
        let (tracker, storage) = (cluster.tracker_addr(), cluster.storage_addrs()[0]);
        Self { runtime, cluster: Some(cluster), _dir: dir, tracker, storage }
    }

    /// A well-behaved client on a fresh connection is served as ever.
    fn assert_well(&self) {
        for addr in [self.tracker, self.storage] {
            assert!(Raw::connect(addr).is_alive(), "{addr}");
        }
        let head = Upload { store_path: 0xff, content_len: 2, ext: "txt".try_into().unwrap() };
        let stored = Raw::connect(self.storage).call_with(Command::UPLOAD_FILE, &head, b"ok");
        assert_eq!(stored.status(), Some(Status::OK));
        let target = Raw::connect(self.tracker).call(Command::QUERY_STORE, &[]);
        assert_eq!(target.status(), Some(Status::OK));
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(cluster) = self.cluster.take() {
            self.runtime.block_on(cluster.shutdown()).unwrap();
        }
    }
}

const LENGTHS: [i64; 14] = [
    -1,
    i64::MIN,
    1,
    262_134,
    262_135,
    i32::MAX as i64 - 1,
    i32::MAX as i64,
    i32::MAX as i64 + 1,
    (1 << 32) - 1,
    1 << 32,
    1 << 62,
    i64::MAX - 5,
    i64::MAX - 1,
    i64::MAX,
];

#[test]
fn hostile_lengths_end_the_connection_and_nothing_else() {
    let lab = Lab::new();
    for addr in [lab.tracker, lab.storage] {
        for command in (0..=255).filter(|command| *command != 82) {
            for len in LENGTHS {
                let mut raw = Raw::connect(addr);
                raw.send_with_len(command, len, &[]);
                // The announced bytes never come: either it was refused at once, or the end of
                // this side ends the request.
                raw.0.shutdown(std::net::Shutdown::Write).unwrap();
                match raw.answer() {
                    Answer::Closed => {}
                    Answer::Reply(status, body) => {
                        assert!(!status.is_ok() && body.is_empty(), "{command} {len}: {status}");
                    }
                }
            }
        }
    }
    lab.assert_well();
}

#[test]
fn unknown_commands_and_wrong_lengths_get_status_22() {
    let lab = Lab::new();
    for command in 0..=255u8 {
        let info = Command(command).info();
        let at = |receiver| info.is_some_and(|info| info.receiver == receiver);
        if command == 82 {
            continue;
        }
        let mut raw = Raw::connect(lab.tracker);
        if info.is_none() || at(Receiver::Storage) || command == 100 {
            assert_eq!(raw.call(Command(command), &[]).status(), Some(Status::EINVAL), "{command}");
            assert!(raw.is_alive(), "a tracker stays open: {command}");
        }
        let mut raw = Raw::connect(lab.storage);
        if info.is_none() || at(Receiver::Tracker) || command == 100 {
            assert_eq!(raw.call(Command(command), &[]).status(), Some(Status::EINVAL), "{command}");
            assert_eq!(raw.answer(), Answer::Closed, "a storage closes: {command}");
        }
    }
    // A body one byte off, for every command whose request has a fixed length.
    for info in COMMANDS.iter().filter(|info| info.request == "()" && info.command.0 != 82) {
        let addr = if info.receiver == Receiver::Tracker { lab.tracker } else { lab.storage };
        let status = Raw::connect(addr).call(info.command, b"x").status();
        let refused = matches!(status, Some(Status::EINVAL | Status::EACCES | Status::EOPNOTSUPP));
        assert!(refused, "{}: {status:?}", info.name);
    }
    lab.assert_well();
}

#[test]
fn junk_as_the_body_of_every_command_breaks_nothing() {
    let lab = Lab::new();
    let mut state = 0x1234_5678_9abc_def1u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for info in COMMANDS.iter().filter(|info| info.command.0 != 82) {
        for round in 0..40 {
            let len = (random() % 400) as usize;
            // Half of the bodies are mostly zeros, so that length fields are plausible.
            let sparse = round % 2 == 0;
            let body: Vec<u8> = (0..len)
                .map(|_| if sparse && !random().is_multiple_of(8) { 0 } else { random() as u8 })
                .collect();
            for addr in [lab.tracker, lab.storage] {
                let mut raw = Raw::connect(addr);
                raw.call(info.command, &body);
            }
        }
    }
    lab.assert_well();
}

#[test]
fn foreign_protocols_and_half_packets_are_closed_quietly() {
    let lab = Lab::new();
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\0",
        b"\0\0\0\0\0\0\0\0\x6f",
        &[0xff; 4096],
    ] {
        for addr in [lab.tracker, lab.storage] {
            let mut raw = Raw::connect(addr);
            raw.send(bytes);
            raw.0.shutdown(std::net::Shutdown::Write).unwrap();
            while raw.answer() != Answer::Closed {}
        }
    }
    lab.assert_well();
}

#[test]
fn requests_in_pieces_of_one_byte_and_in_one_piece_are_the_same() {
    let lab = Lab::new();
    let head = Upload { store_path: 0xff, content_len: 5, ext: "txt".try_into().unwrap() };
    let body = [&head.encode()[..], b"hello"].concat();
    let request = [&(body.len() as i64).to_be_bytes()[..], &[11, 0], &body].concat();
    let mut raw = Raw::connect(lab.storage);
    for byte in &request {
        raw.0.write_all(&[*byte]).unwrap();
    }
    assert_eq!(raw.answer().status(), Some(Status::OK));
    raw.send(&[&request[..], &request, &request].concat());
    for _ in 0..3 {
        assert_eq!(raw.answer().status(), Some(Status::OK), "pipelined requests are all answered");
    }
    lab.assert_well();
}

#[test]
fn a_reader_that_does_not_read_and_a_reset_in_the_middle_harm_nobody() {
    let lab = Lab::new();
    let content = vec![7; 3_000_000];
    let head = Upload { store_path: 0xff, content_len: 3_000_000, ext: "bin".try_into().unwrap() };
    let stored = Raw::connect(lab.storage).call_with(Command::UPLOAD_FILE, &head, &content).body();
    let name = std::str::from_utf8(&stored[16..]).unwrap();
    let download = Download {
        offset: 0,
        len: 0,
        group: "group1".try_into().unwrap(),
        name: name.try_into().unwrap(),
    };
    let mut idle = Vec::new();
    for _ in 0..50 {
        let mut raw = Raw::connect(lab.storage);
        let body = download.encode();
        raw.send_with_len(14, body.len() as i64, &body);
        idle.push(raw);
    }
    lab.assert_well();
    drop(idle);
    let whole = Raw::connect(lab.storage).call_with(Command::DOWNLOAD_FILE, &download, &[]).body();
    assert!(whole == content);
}

#[test]
fn a_thousand_slow_senders_do_not_keep_others_out() {
    let lab = Lab::new();
    let mut slow: Vec<Raw> = (0..1000).map(|_| Raw::connect(lab.storage)).collect();
    for raw in &mut slow {
        raw.send(&[0]);
    }
    for _ in 0..20 {
        lab.assert_well();
    }
    // The head's time limit ends them all.
    for raw in &mut slow {
        assert_eq!(raw.answer(), Answer::Closed);
    }
    lab.assert_well();
}
