//! Requests to a storage, as tests write them.
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a test that cannot ask fails"
)]

use crate::raw::{Answer, Raw};
use fdfs_core::file_id::{SizeField, Source, Stamp};
use fdfs_core::protocol::storage::{
    CreateLink, Download, FileRef, Items, SetMetadata, StoredAs, Upload,
};
use fdfs_core::protocol::{Command, Status};
use fdfs_core::wire::{Rest, Wire};

/// The head of an upload that leaves the store path open.
pub fn upload_head(len: usize, ext: &str) -> Upload {
    Upload { store_path: 0xff, content_len: len as i64, ext: ext.try_into().unwrap() }
}

/// The name in the answer to an upload.
pub fn stored(answer: Answer) -> String {
    let stored = StoredAs::decode(&answer.body()).unwrap();
    assert_eq!(stored.group.to_string(), "group1");
    stored.name.to_string()
}

/// The name of a file with this content that was uploaded to the storage at this address.
pub fn name_at(source: [u8; 4], content: &[u8]) -> String {
    let (size, crc32) = (SizeField::normal(content.len() as u64, 7), crc32fast::hash(content));
    let stamp = Stamp { source: Source::Ip(source.into()), created: 5, size, crc32 };
    format!("M00/00/00/{}123.bin", String::from_utf8_lossy(&stamp.encode()))
}

/// Uploads with one of the commands for it.
pub fn upload(raw: &mut Raw, command: Command, content: &[u8], ext: &str) -> String {
    stored(raw.call_with(command, &upload_head(content.len(), ext), content))
}

/// A file of `group1`.
pub fn file(name: &str) -> FileRef {
    FileRef { group: "group1".try_into().unwrap(), name: name.try_into().unwrap() }
}

/// A range of a file of `group1`.
pub fn range(name: &str, offset: i64, len: i64) -> Download {
    let file = file(name);
    Download { offset, len, group: file.group, name: file.name }
}

/// Downloads a whole file.
pub fn download(raw: &mut Raw, name: &str) -> Vec<u8> {
    raw.call_with(Command::DOWNLOAD_FILE, &range(name, 0, 0), &[]).body()
}

/// The answer of a refusal.
pub fn refused(status: Status) -> Answer {
    Answer::Reply(status, Vec::new())
}

/// Some content.
pub fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

/// Sets metadata.
pub fn set_metadata(raw: &mut Raw, name: &str, flag: u8, items: &[u8]) -> Answer {
    let group = "group1".try_into().unwrap();
    let items = Items(Rest(items.to_vec()));
    let request = SetMetadata { name: name.try_into().unwrap(), items, flag, group };
    raw.call_with(Command::SET_METADATA, &request, &[])
}

/// Asks for a link with a fresh name.
pub fn link_to(source: &str) -> CreateLink {
    CreateLink {
        master: "".try_into().unwrap(),
        source: source.try_into().unwrap(),
        signature: "s".try_into().unwrap(),
        group: "group1".try_into().unwrap(),
        prefix: "".try_into().unwrap(),
        ext: "txt".try_into().unwrap(),
    }
}
