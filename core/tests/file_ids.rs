//! File ids against the specification's examples and everything recorded from the original.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use fdfs_core::file_id::{FileId, Kind, LogicName, SizeField, Source, Stamp, TrunkPlace, generate};
use fdfs_core::protocol::Name;
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
        let [_, text, kind, bytes, source, created, size, crc32, trunk] = fields[..] else {
            panic!("columns: {line}");
        };
        let id: FileId = text.parse().unwrap();
        let name = LogicName::parse(id.path().as_bytes()).unwrap();
        let stamp = name.stamp().unwrap();
        assert_eq!(kind_name(id.kind()), kind, "{line}");
        assert_eq!(hex(&stamp.to_bytes()), bytes, "{line}");
        assert_eq!(stamp.source.to_string(), source, "{line}");
        assert_eq!(stamp.created.to_string(), created, "{line}");
        assert_eq!(format!("{:016x}", stamp.size.0), size, "{line}");
        assert_eq!(format!("{:08x}", stamp.crc32), crc32, "{line}");
        assert_eq!(id.to_string(), text);
        assert_eq!(id.created_at().unwrap().to_string(), created, "{line}");
        let tells = matches!(kind, "normal" | "trunk");
        assert_eq!(id.size(), tells.then(|| stamp.size.bytes()), "{line}");
        assert_eq!(id.crc32(), tells.then_some(stamp.crc32), "{line}");
        assert_eq!(name.canonical().as_str(), Some(id.path()));
        let place = name.trunk_place();
        let place = place.map(|p| format!("{},{},{}", p.file_id, p.offset, p.size));
        assert_eq!(place.as_deref().unwrap_or("-"), trunk, "{line}");
        assert_eq!(Stamp::of_any_name(id.path().as_bytes()), stamp);
        if kind != "slave" {
            assert_eq!(made_again(&name, &stamp).as_str(), Some(id.path()), "{line}");
        }
        count += 1;
    }
    assert!(count > 50, "{count}");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The name built from what was read of it.
fn made_again(name: &LogicName<'_>, stamp: &Stamp) -> Name {
    let (path, directories) = (name.store_path(), name.directories());
    let tail = name.tail().try_into().unwrap();
    match name.trunk_place() {
        Some(place) => generate::trunk_name(path, directories, stamp, place, tail),
        None => generate::logic_name(path, directories, stamp, tail),
    }
}

#[test]
fn an_appender_keeps_directories_and_tail_when_it_becomes_normal() {
    let old = LogicName::parse(b"M00/03/03/CgkIB2sAwEKEZqRFAAAAAMlucM8397.log").unwrap();
    let stamp = Stamp::decode(b"CgkIB2sAwEiAMfJ7AAAACcWmW7c").unwrap();
    let new = generate::regenerated_name(&old, &stamp).unwrap();
    assert_eq!(new.as_str(), Some("M00/03/03/CgkIB2sAwEiAMfJ7AAAACcWmW7c397.log"));
    let normal = LogicName::parse(new.as_bytes()).unwrap();
    assert_eq!(generate::regenerated_name(&normal, &stamp), None);
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
    assert!(!parsed.metadata_name().as_bytes().contains(&b'\n'));
    let canonical = parsed.canonical();
    assert!(!canonical.as_bytes().iter().any(|byte| *byte <= b' '), "{canonical}");
    // Writing the store path anew changes nothing else.
    let again = LogicName::parse(canonical.as_bytes()).unwrap();
    assert_eq!(again.true_name(), parsed.true_name());
    assert_eq!((again.store_path(), again.kind()), (parsed.store_path(), parsed.kind()));
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

fn sources() -> impl Strategy<Value = Source> {
    prop_oneof![
        (1..=16_777_215u32).prop_map(Source::Id),
        // An address ending in .0 reads as an id (spec 02 Q-F1).
        any::<[u8; 4]>()
            .prop_filter("ambiguous", |octets| octets[3] != 0)
            .prop_map(|octets| Source::Ip(octets.into())),
    ]
}

fn sizes() -> impl Strategy<Value = (SizeField, Kind)> {
    prop_oneof![
        (0..1u64 << 40, any::<u32>())
            .prop_map(|(size, random)| (SizeField::normal(size, random), Kind::Normal)),
        any::<u32>().prop_map(|random| (SizeField::appender(random), Kind::Appender)),
        any::<[u32; 2]>().prop_map(|[size, random]| (SizeField::trunk(size, random), Kind::Trunk)),
    ]
}

proptest! {
    #[test]
    fn generated_names_read_back_as_what_they_were_made_of(
        store_path: u8,
        directories: (u8, u8),
        source in sources(),
        created: i32,
        (size, kind) in sizes(),
        crc32: u32,
        ext in "[A-Za-z0-9_.-]{0,6}",
        random: u64,
        [file_id, offset, slot] in any::<[u32; 3]>(),
    ) {
        let stamp = Stamp { source, created, size, crc32 };
        let tail = generate::tail(ext.as_str().try_into().unwrap(), random);
        let place = TrunkPlace { file_id, offset, size: slot };
        let made = match kind {
            Kind::Trunk => generate::trunk_name(store_path, directories, &stamp, place, tail),
            _ => generate::logic_name(store_path, directories, &stamp, tail),
        };
        let name = LogicName::parse(made.as_bytes()).unwrap();
        prop_assert_eq!(name.stamp(), Some(stamp));
        prop_assert_eq!((name.kind(), name.store_path()), (kind, store_path));
        prop_assert_eq!((name.directories(), name.tail()), (directories, &tail[..]));
        prop_assert_eq!(name.trunk_place(), (kind == Kind::Trunk).then_some(place));
        prop_assert_eq!(name.canonical(), made);
        prop_assert_eq!(Stamp::of_any_name(made.as_bytes()), stamp);

        // A slave with extension is never taken for a file of its own.
        let slave = fdfs_core::file_id::slave::slave_name(made.as_bytes(), b"_s", b"jpg").unwrap();
        let slave = LogicName::parse(slave.as_bytes()).unwrap();
        prop_assert_eq!(slave.stamp(), Some(stamp));
        prop_assert_eq!(slave.kind(), Kind::Slave);
    }
}

fn base64_of(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}
