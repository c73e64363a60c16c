//! Every frame recorded from the original decodes and encodes again to the same bytes, and
//! damaged frames never panic.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

use fdfs_core::protocol::frame::{Decoder, Event, HEADER_LEN, Header};
use fdfs_core::protocol::{COMMANDS, Command, Status};
use std::collections::{BTreeMap, BTreeSet};

const RECORDINGS: [&str; 4] = [
    include_str!("../../tests/vectors/golden/frames-tracker.tsv"),
    include_str!("../../tests/vectors/golden/frames-storage.tsv"),
    include_str!("../../tests/vectors/golden/frames-tracker-trunk.tsv"),
    include_str!("../../tests/vectors/golden/frames-storage-trunk.tsv"),
];

/// The recorder kept this much of each body.
const RECORDED_LEN_MAX: u64 = 4096;

struct Frame {
    line: String,
    is_request: bool,
    command: Command,
    status: Status,
    body: Vec<u8>,
}

/// All frames; a reply carries the command of the request it answers.
fn frames() -> Vec<Frame> {
    let mut frames = Vec::new();
    for recording in RECORDINGS {
        let mut pending: BTreeMap<&str, Command> = BTreeMap::new();
        for line in recording.lines().skip(1) {
            let fields: Vec<&str> = line.split('\t').collect();
            let [_, conn, _, _, kind, command, status, body_len, hex] = fields[..] else {
                panic!("columns: {line}");
            };
            assert!(body_len.parse::<u64>().unwrap() <= RECORDED_LEN_MAX, "whole bodies only");
            let body: Vec<u8> = (0..hex.len() / 2)
                .map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap())
                .collect();
            assert_eq!(body.len().to_string(), body_len);
            let mut command = Command(command.parse().unwrap());
            if kind == "req" {
                pending.insert(conn, command);
            } else {
                assert_eq!(command, Command::RESPONSE);
                command = pending.remove(conn).expect("a request before each reply");
            }
            frames.push(Frame {
                line: line.chars().take(60).collect(),
                is_request: kind == "req",
                command,
                status: Status(status.parse().unwrap()),
                body,
            });
        }
    }
    frames
}

/// The frame as it went over the wire.
fn packet(frame: &Frame) -> Vec<u8> {
    let command = if frame.is_request { frame.command } else { Command::RESPONSE };
    let header = Header { body_len: frame.body.len() as u64, command, status: frame.status };
    [&header.encode()[..], &frame.body].concat()
}

/// Bytes may differ only where we wrote a NUL and the original left noise behind one.
fn assert_same_but_noise(ours: &[u8], original: &[u8], line: &str) {
    assert_eq!(ours.len(), original.len(), "length: {line}");
    for (at, (our, theirs)) in ours.iter().zip(original).enumerate() {
        if our != theirs {
            let after_nul = ours[..at].iter().rev().take(52).any(|byte| *byte == 0);
            assert!(*our == 0 && after_nul, "byte {at} is {our:#x}, was {theirs:#x}: {line}");
        }
    }
}

#[test]
fn every_recorded_frame_is_reproduced() {
    let (mut requests, mut replies) = (0, 0);
    for frame in frames() {
        let info = frame.command.info().unwrap_or_else(|| panic!("unknown: {}", frame.line));
        if frame.is_request {
            let packet = packet(&frame);
            let mut decoder = Decoder::new(1 << 18);
            let (event, used) = decoder.next(&packet).unwrap();
            let Event::Request { header, head, content_len } = event else {
                panic!("{event:?}: {}", frame.line);
            };
            assert_eq!((header.command, header.status), (frame.command, frame.status));
            assert_eq!(content_len as usize, packet.len() - used);
            let ours =
                (info.recode_request)(head).unwrap_or_else(|e| panic!("{e}: {}", frame.line));
            assert_same_but_noise(&ours, head, &frame.line);
            requests += 1;
        } else if frame.status.is_ok() && !is_echoed(&frame) {
            let ours =
                (info.recode_reply)(&frame.body).unwrap_or_else(|e| panic!("{e}: {}", frame.line));
            assert_same_but_noise(&ours, &frame.body, &frame.line);
            replies += 1;
        } else if !frame.status.is_ok() {
            assert!(frame.body.is_empty(), "{}", frame.line);
        }
    }
    assert!(requests > 250 && replies > 200, "{requests} requests, {replies} replies");
}

/// The original answers a replicated rename with the request's own body (spec 03 §C4.6).
fn is_echoed(frame: &Frame) -> bool {
    frame.command == Command::SYNC_RENAME_FILE && !frame.body.is_empty()
}

#[test]
fn frames_cut_anywhere_or_with_flipped_bits_never_panic() {
    let mut seen = BTreeSet::new();
    for frame in frames().iter().filter(|frame| frame.is_request) {
        // One frame of each command and length is enough: the rest differ in text only.
        if !seen.insert((frame.command, frame.body.len())) {
            continue;
        }
        let packet = packet(frame);
        for cut in 0..packet.len() {
            let mut decoder = Decoder::new(1 << 18);
            match decoder.next(&packet[..cut]).unwrap() {
                (Event::Need(len), 0) => assert!(len > cut),
                (Event::Request { content_len, .. }, used) => {
                    assert!(content_len as usize + used == packet.len());
                }
                other => panic!("{other:?}"),
            }
        }
        for bit in 0..packet.len().min(300) * 8 {
            let mut damaged = packet.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let mut decoder = Decoder::new(1 << 18);
            if let Ok((Event::Request { header, head, .. }, used)) = decoder.next(&damaged) {
                assert!(used <= damaged.len() && used >= HEADER_LEN);
                if let Some(info) = header.command.info() {
                    let _ = (info.recode_request)(head);
                    let _ = (info.recode_reply)(head);
                }
            }
        }
    }
}

#[test]
fn every_codec_survives_any_short_body_and_encodes_what_it_decodes() {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for info in COMMANDS {
        for len in 0..600 {
            // Mostly zeros, so that length fields are plausible and decoding gets far.
            let body: Vec<u8> =
                (0..len).map(|_| if random() % 4 == 0 { random() as u8 } else { 0 }).collect();
            for recode in [info.recode_request, info.recode_reply] {
                if let Ok(ours) = recode(&body) {
                    assert_eq!(recode(&ours).as_ref(), Ok(&ours), "{}", info.name);
                }
            }
        }
    }
}
