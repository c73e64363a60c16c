//! File ids against the specification's examples and everything recorded from the original.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use fdfs_core::file_id::{FileId, Kind, LogicName, Stamp, generate};
use proptest::prelude::*;

const VECTORS: &str = include_str!("../../tests/vectors/file_ids.tsv");

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Normal => "normal",
        Kind::Appender => "appender",
        Kind::Slave => "slave",
        Kind::Trunk => "trunk",
    }
}

#[test]
fn every_known_id_decodes_to_its_fields_and_is_made_again() {
    let mut count = 0;
    for line in VECTORS.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [_, text, kind, source, created, size, crc32, trunk] = fields[..] else {
            panic!("columns: {line}");
        };
        let id: FileId = text.parse().unwrap();
        let name = LogicName::parse(id.path().as_bytes()).unwrap();
        let stamp = name.stamp().unwrap();
        assert_eq!(kind_name(id.kind()), kind, "{line}");
        assert_eq!(stamp.source.to_string(), source, "{line}");
        assert_eq!(stamp.created.to_string(), created, "{line}");
        assert_eq!(format!("{:016x}", stamp.size.0), size, "{line}");
        assert_eq!(format!("{:08x}", stamp.crc32), crc32, "{line}");
        assert_eq!(id.size().is_some(), matches!(kind, "normal" | "trunk"));
        let place = name.trunk_place();
        let place = place.map(|p| format!("{},{},{}", p.file_id, p.offset, p.size));
        assert_eq!(place.as_deref().unwrap_or("-"), trunk, "{line}");
        assert_eq!(Stamp::of_any_name(id.path().as_bytes()), stamp);
        if matches!(kind, "normal" | "appender") {
            let tail = name.tail().try_into().unwrap();
            let path = name.store_path();
            let made = generate::logic_name(path, name.directories(), &stamp, tail);
            assert_eq!(made.as_bytes(), id.path().as_bytes());
        }
        count += 1;
    }
    assert!(count > 30, "{count}");
}

#[test]
fn damaged_names_are_refused_or_read_but_never_panic() {
    for line in VECTORS.lines().skip(1) {
        let name = line.split('\t').nth(1).unwrap().split_once('/').unwrap().1.as_bytes();
        for cut in 0..name.len() {
            exercise(&name[..cut]);
        }
        for bit in 0..name.len() * 8 {
            let mut damaged = name.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            exercise(&damaged);
        }
    }
}

/// Whatever parses stays within its store path and its line of the binlog.
fn exercise(name: &[u8]) {
    Stamp::of_any_name(name);
    let Ok(parsed) = LogicName::parse(name) else { return };
    let (_, _, _) = (parsed.kind(), parsed.trunk_place(), parsed.has_appender_mark());
    let base = parsed.base();
    assert!(!base.contains(['/', '\n', ' ', '\0']) && base != ".." && base != ".");
    assert_eq!(parsed.true_name().matches('/').count(), 2);
    let _ = fdfs_core::file_id::slave::slave_name(name, b"_s", b"jpg");
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_safe(name in proptest::collection::vec(any::<u8>(), 0..140)) {
        exercise(&name);
    }

    #[test]
    fn any_stamp_survives_its_characters(bytes in any::<[u8; 20]>()) {
        let chars = base64_of(&bytes);
        let stamp = Stamp::decode(chars.as_bytes()).unwrap();
        prop_assert_eq!(stamp.to_bytes(), bytes);
        prop_assert_eq!(stamp.encode(), chars.as_bytes());
    }
}

fn base64_of(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}
