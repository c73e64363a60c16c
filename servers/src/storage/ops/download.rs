//! Reading files (spec 01 §8.9).

use super::{Done, status};
use crate::storage::disk::DiskFile;
use crate::storage::engine::Engine;
use fdfs_core::file_id::{Kind, LogicName};
use fdfs_core::protocol::Status;
use fdfs_core::protocol::storage::Download;

/// A file opened for reading a range of it.
#[derive(Debug)]
pub(in crate::storage) struct Opened {
    /// The file.
    pub file: Box<dyn DiskFile>,
    /// First byte.
    pub start: u64,
    /// Bytes.
    pub len: u64,
    /// The checksum that these bytes must have, when they are all and the name tells.
    pub crc32: Option<u32>,
}

/// Opens a file. Ranges are those of HTTP: they must begin within the file and are cut at its end;
/// an empty file has the one empty range, which the original refuses (spec 01 §8.9).
fn open(engine: &Engine, request: &Download) -> Done<Opened> {
    engine.check_group(&request.group)?;
    let (Ok(start), Ok(wanted)) = (u64::try_from(request.offset), u64::try_from(request.len))
    else {
        return Err(Status::EINVAL);
    };
    let (name, _) = engine.store.locate(request.name.as_bytes())?;
    let file = engine.disk.open_read(&engine.store.file(&name)?).map_err(status)?;
    let stat = file.stat().map_err(status)?;
    if !stat.is_file {
        return Err(Status::EISDIR);
    }
    let left = match stat.size.checked_sub(start) {
        Some(0) if start > 0 => return Err(Status::EINVAL),
        Some(left) => left,
        None => return Err(Status::EINVAL),
    };
    let len = if wanted == 0 { left } else { wanted.min(left) };
    let whole = start == 0 && len == stat.size;
    let crc32 = match name.kind() {
        Kind::Normal if whole => name.stamp().map(|stamp| stamp.crc32),
        _ => None,
    };
    Ok(Opened { file, start, len, crc32 })
}

/// Opens a file and fills the buffer that `take` gives with the beginning of the range; tells how
/// much that is. A small file read whole must be what its name says.
pub(in crate::storage) fn begin(
    engine: &Engine,
    request: &Download,
    take: impl FnOnce(u64) -> (Box<[u8]>, usize),
) -> Done<(Opened, Box<[u8]>, usize)> {
    let opened = open(engine, request)?;
    let (mut buffer, len) = take(opened.len);
    let piece = buffer.get_mut(..len).unwrap_or_default();
    read(&opened, 0, piece)?;
    if let Some(crc32) = opened.crc32.filter(|_| opened.len == len as u64) {
        let (name, _) = engine.store.locate(request.name.as_bytes())?;
        if !is_intact(engine, &name, crc32, piece) {
            return Err(Status::EIO);
        }
    }
    Ok((opened, buffer, len))
}

/// Reads a piece of an opened file; all of it is there, or it is an error.
pub(in crate::storage) fn read(opened: &Opened, at: u64, buffer: &mut [u8]) -> Done<()> {
    let read = opened.file.read_at(buffer, opened.start + at).map_err(status)?;
    if read == buffer.len() { Ok(()) } else { Err(Status::EIO) }
}

/// Whether content read whole is what was stored under this name. A damaged file is an error and
/// never wrong content; the names of links say nothing about what they link to.
pub(in crate::storage) fn is_intact(
    engine: &Engine,
    name: &LogicName<'_>,
    expected: u32,
    content: &[u8],
) -> bool {
    if crc32fast::hash(content) == expected {
        return true;
    }
    let path = engine.store.file(name);
    let is_link = path.is_ok_and(|path| engine.disk.lstat(&path).is_ok_and(|stat| stat.is_link));
    if !is_link {
        tracing::error!(name = %name.canonical(), "stored file is damaged");
    }
    is_link
}
