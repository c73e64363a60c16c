//! File ids.

use crate::boundary::{put, run};
use crate::texts::{fixed, text};
use fdfs_core::Result;
use fdfs_core::client::make_token;
use fdfs_core::file_id::{FileId, Kind, Source};
use std::ffi::{c_char, c_int};

/// Bytes of a file id with its NUL, at most.
pub const FDFS_FILE_ID_SIZE: usize = 192;
/// Bytes of a token with its NUL.
pub const FDFS_TOKEN_SIZE: usize = 33;

/// A file id; it owns nothing and needs no end.
#[repr(C)]
pub struct fdfs_file_id {
    /// Ends with a NUL.
    pub value: [c_char; FDFS_FILE_ID_SIZE],
}

/// What kind of file a name says it is.
#[repr(C)]
pub enum fdfs_file_kind {
    /// A file of its own.
    FDFS_NORMAL = 0,
    /// A file that can grow.
    FDFS_APPENDER = 1,
    /// A file named after a master.
    FDFS_SLAVE = 2,
    /// A file inside a trunk file.
    FDFS_TRUNK = 3,
}

impl From<Kind> for fdfs_file_kind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Normal => Self::FDFS_NORMAL,
            Kind::Appender => Self::FDFS_APPENDER,
            Kind::Slave => Self::FDFS_SLAVE,
            Kind::Trunk => Self::FDFS_TRUNK,
        }
    }
}

/// What a file id tells.
#[repr(C)]
pub struct fdfs_file_id_info {
    /// The group.
    pub group: [c_char; 17],
    /// The part behind the group, `M00/…`.
    pub path: [c_char; FDFS_FILE_ID_SIZE],
    /// Address or id of the storage it was uploaded to; empty when unknown.
    pub source: [c_char; 48],
    /// What the name says it is.
    pub kind: fdfs_file_kind,
    /// 0 to 255.
    pub store_path_index: c_int,
    /// Bytes, or -1 when the name does not tell: appender and slave files.
    pub size: i64,
    /// Unix seconds, or -1 when the name does not tell.
    pub created: i64,
    /// CRC-32 of the content, or -1 when the name does not tell.
    pub crc32: i64,
}

/// A file id of the caller.
///
/// # Safety
/// The pointer is NULL or points to a NUL-terminated text.
pub(crate) unsafe fn id(pointer: *const c_char) -> Result<FileId> {
    // SAFETY: as the caller promises.
    unsafe { text(pointer, "file_id") }?.parse()
}

pub(crate) fn c_id(id: &FileId) -> fdfs_file_id {
    fdfs_file_id { value: fixed(id.as_str()) }
}

/// What a file id tells; asks no server.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_file_id_parse(
    file_id: *const c_char,
    out: *mut fdfs_file_id_info,
) -> c_int {
    run(|| {
        // SAFETY: the rules of the header.
        let id = unsafe { id(file_id) }?;
        let source = match id.source() {
            Some(Source::Ip(ip)) => ip.to_string(),
            Some(Source::Id(id)) => id.to_string(),
            None => String::new(),
        };
        let info = fdfs_file_id_info {
            group: fixed(id.group()),
            path: fixed(id.path()),
            source: fixed(&source),
            kind: id.kind().into(),
            store_path_index: id.store_path_index().into(),
            size: id.size().map_or(-1, |size| i64::try_from(size).unwrap_or(i64::MAX)),
            created: id.created_at().unwrap_or(-1),
            crc32: id.crc32().map_or(-1, i64::from),
        };
        // SAFETY: the rules of the header.
        unsafe { put(out, info) }
    })
}

/// The id of a file's slave with that prefix and extension (NULL for none), whether it exists or
/// not.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_file_id_slave(
    master: *const c_char,
    prefix: *const c_char,
    ext: *const c_char,
    out: *mut fdfs_file_id,
) -> c_int {
    run(|| {
        // SAFETY: the rules of the header.
        let (master, prefix) = unsafe { (id(master)?, text(prefix, "prefix")?) };
        // SAFETY: the rules of the header.
        let ext = unsafe { crate::texts::text_or_none(ext, "ext") }?.unwrap_or_default();
        // SAFETY: the rules of the header.
        unsafe { put(out, c_id(&master.slave(prefix, ext)?)) }
    })
}

/// The token that a web front asks for, made for a moment in Unix seconds: `FDFS_TOKEN_SIZE` bytes
/// with the NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_make_token(
    file_id: *const c_char,
    unix_secs: i64,
    secret: *const c_char,
    out: *mut c_char,
) -> c_int {
    run(|| {
        // SAFETY: the rules of the header.
        let (id, secret) = unsafe { (id(file_id)?, text(secret, "secret")?) };
        let token = fixed::<FDFS_TOKEN_SIZE>(&make_token(&id, unix_secs, secret));
        // SAFETY: the rules of the header.
        unsafe { put(out.cast(), token) }
    })
}
