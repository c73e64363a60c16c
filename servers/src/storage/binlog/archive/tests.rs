use super::*;
use crate::storage::disk::RealDisk;
use std::sync::Arc;

const LINE: &str = "1795210926 C M00/00/00/Ck0AC2sAvq6AfyjFAAATiMRbAU0662.bin\n";

/// A binlog of which file 3 is being written, and what its old files hold.
fn binlog(dir: &Path) -> (Binlog, Vec<String>) {
    let texts: Vec<String> = (0..3).map(|at| format!("{at} D a\n{}", LINE.repeat(1000))).collect();
    for (index, text) in (0..).zip(&texts) {
        std::fs::write(file_path(dir, index), text).unwrap();
    }
    std::fs::write(file_path(dir, 3), LINE).unwrap();
    std::fs::write(dir.join("binlog_index.dat"), "current_write=3\ncurrent_compress=0\n").unwrap();
    (open(dir), texts)
}

fn open(dir: &Path) -> Binlog {
    Binlog::open(Arc::new(RealDisk), dir.to_owned()).unwrap()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn index_text(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("binlog_index.dat")).unwrap()
}

#[test]
fn files_that_all_have_read_are_compressed_and_unpacked_again() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (binlog, texts) = binlog(dir);
    assert_eq!(binlog.compress_before(0, &|| false).unwrap(), 0);
    assert_eq!(binlog.compress_before(2, &|| false).unwrap(), 2);
    let left = ["binlog.000.gz", "binlog.001.gz", "binlog.002", "binlog.003", "binlog_index.dat"];
    assert_eq!(names(dir), left);
    assert_eq!(index_text(dir), "current_write=3\ncurrent_compress=2\n");
    assert!(is_packed(dir, 1) && !is_packed(dir, 2) && !is_packed(dir, 7));
    for index in 0..3 {
        let len = texts[usize::try_from(index).unwrap()].len() as u64;
        assert_eq!(file_len(dir, index).unwrap(), Some(len), "{index}");
    }
    assert_eq!(file_len(dir, 7).unwrap(), None);
    // The file being written stays, whatever is asked for.
    assert_eq!(binlog.compress_before(u32::MAX, &|| false).unwrap(), 1);
    assert!(file_path(dir, 3).exists());
    let binlog = open(dir);
    for _ in 0..2 {
        binlog.unpack(1).unwrap();
        assert_eq!(std::fs::read_to_string(file_path(dir, 1)).unwrap(), texts[1]);
    }
    assert_eq!(index_text(dir), "current_write=3\ncurrent_compress=1\n");
    assert_eq!(binlog.compress_before(3, &|| false).unwrap(), 1);
    assert_eq!(index_text(dir), "current_write=3\ncurrent_compress=3\n");
    assert!(binlog.unpack(9).is_err());
}

#[test]
fn what_the_original_and_gzip_make_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (binlog, texts) = binlog(dir);
    // gzip joins what is appended to a compressed file.
    let (first, second) = texts[0].split_at(100);
    let mut packed = Vec::new();
    for part in [first, second] {
        let mut encoder = GzEncoder::new(&mut packed, Compression::fast());
        encoder.write_all(part.as_bytes()).unwrap();
        encoder.finish().unwrap();
    }
    std::fs::write(packed_path(dir, 0), &packed).unwrap();
    std::fs::remove_file(file_path(dir, 0)).unwrap();
    binlog.unpack(0).unwrap();
    assert_eq!(std::fs::read_to_string(file_path(dir, 0)).unwrap(), texts[0]);
    // One that is damaged is refused, and stays.
    packed.truncate(packed.len() - 9);
    std::fs::write(packed_path(dir, 1), &packed).unwrap();
    std::fs::remove_file(file_path(dir, 1)).unwrap();
    let error = binlog.unpack(1).unwrap_err().to_string();
    assert!(error.contains("binlog.001.gz"), "{error}");
    assert!(is_packed(dir, 1) && !beside(dir, 1).exists());
}

#[test]
fn a_crash_leaves_one_whole_form() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (binlog, texts) = binlog(dir);
    binlog.compress_before(2, &|| false).unwrap();
    drop(binlog);
    // This server: made beside, and renamed but not removed yet.
    std::fs::write(beside(dir, 2), "part").unwrap();
    std::fs::write(file_path(dir, 1), &texts[1]).unwrap();
    // The original, while it unpacked file 0 and compressed file 2.
    std::fs::write(file_path(dir, 0), "part of a fi").unwrap();
    std::fs::write(flag_path(dir, 0), "unzip").unwrap();
    std::fs::write(packed_path(dir, 2), "part").unwrap();
    std::fs::write(flag_path(dir, 2), "zip").unwrap();
    let binlog = open(dir);
    let left = ["binlog.000.gz", "binlog.001", "binlog.001.gz", "binlog.002", "binlog.003"];
    assert_eq!(names(dir)[..5], left);
    assert_eq!(names(dir).len(), 6, "and the index");
    for (index, text) in (0..).zip(&texts) {
        binlog.unpack(index).unwrap();
        assert_eq!(std::fs::read_to_string(file_path(dir, index)).unwrap(), *text);
    }
    assert_eq!(binlog.compress_before(3, &|| false).unwrap(), 3, "over what was left");
    for index in 0..3 {
        assert!(is_packed(dir, index), "{index}");
    }
}

#[test]
fn compressing_ends_when_the_storage_does() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (binlog, _) = binlog(dir);
    let looks = std::cell::Cell::new(0);
    let stop = || {
        looks.set(looks.get() + 1);
        looks.get() > 2
    };
    assert_eq!(binlog.compress_before(3, &stop).unwrap(), 0);
    assert_eq!(names(dir).iter().filter(|name| name.contains("gz")).count(), 0);
    assert!(!beside(dir, 0).exists());
}
