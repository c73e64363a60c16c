//! Any bytes as a logic name and as a file id.
#![no_main]

use fdfs_core::file_id::{FileId, LogicName, Stamp, slave::slave_name};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    Stamp::of_any_name(bytes);
    if let Ok(name) = LogicName::parse(bytes) {
        assert_eq!(name.true_name().matches('/').count(), 2);
        assert!(!name.base().contains(['/', '\n', ' ', '\0']) && name.base() != "..");
        let canonical = name.canonical();
        let again = LogicName::parse(canonical.as_bytes()).unwrap();
        assert_eq!((again.true_name(), again.store_path()), (name.true_name(), name.store_path()));
        let _ = (name.kind(), name.trunk_place(), name.directories(), name.metadata_name());
        let _ = slave_name(bytes, b"_s", b"jpg");
    }
    if let Some(id) = std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<FileId>().ok()) {
        assert_eq!(id.to_string().as_bytes(), bytes);
        let _ = (id.kind(), id.size(), id.crc32(), id.slave("_s", "jpg"));
    }
});
