//! Reading files (spec 01 §8.9).

use super::{Done, status};
use crate::daemon::{BUFFER_LARGE_LEN, Buffer, Buffers};
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

/// A request with its file open.
struct Asked<'r> {
    name: LogicName<'r>,
    file: Box<dyn DiskFile>,
    start: u64,
    wanted: u64,
}

fn ask<'r>(engine: &Engine, request: &'r Download) -> Done<Asked<'r>> {
    engine.check_group(&request.group)?;
    let (Ok(start), Ok(wanted)) = (u64::try_from(request.offset), u64::try_from(request.len))
    else {
        return Err(Status::EINVAL);
    };
    let (name, _) = engine.store.locate(request.name.as_bytes())?;
    let file = engine.disk.open_read(&engine.store.file(&name)?).map_err(status)?;
    Ok(Asked { name, file, start, wanted })
}

/// Finds the range in the file. Ranges are those of HTTP: they must begin within the file and are
/// cut at its end; an empty file has the one empty range, which the original refuses (spec 01 §8.9).
fn locate(asked: Asked<'_>) -> Done<Opened> {
    let Asked { name, file, start, wanted } = asked;
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

/// Opens a file and fills the buffer with the beginning of the range; tells how much that is. A
/// small file read whole must be what its name says.
pub(in crate::storage) fn begin(
    engine: &Engine,
    request: &Download,
    buffers: &Buffers,
) -> Done<(Opened, Buffer, usize)> {
    let asked = ask(engine, request)?;
    let name = asked.name;
    let asked = match as_named(asked, buffers) {
        Ok(found) => return Ok(found),
        Err(asked) => asked,
    };
    let opened = locate(asked)?;
    let len = usize::try_from(opened.len).unwrap_or(usize::MAX).min(BUFFER_LARGE_LEN);
    let mut buffer = buffers.take(len);
    let piece = buffer.get_mut(..len).unwrap_or_default();
    read(&opened, 0, piece)?;
    if let Some(crc32) = opened.crc32.filter(|_| opened.len == len as u64)
        && !is_intact(engine, &name, crc32, piece)
    {
        return Err(Status::EIO);
    }
    Ok((opened, buffer, len))
}

/// A small normal file asked for as a whole needs no look at its size: it is in the name, and the
/// checksum there tells whether it was true. Gives the request back when it was not.
fn as_named<'r>(asked: Asked<'r>, buffers: &Buffers) -> Result<(Opened, Buffer, usize), Asked<'r>> {
    let Some(stamp) = asked.name.stamp() else { return Err(asked) };
    let (size, crc32) = (stamp.size.bytes(), stamp.crc32);
    let whole = asked.start == 0 && (asked.wanted == 0 || asked.wanted >= size);
    if !whole || !(1..=BUFFER_LARGE_LEN as u64).contains(&size) || asked.name.kind() != Kind::Normal
    {
        return Err(asked);
    }
    let len = usize::try_from(size).unwrap_or(usize::MAX);
    let mut buffer = buffers.take(len);
    let piece = buffer.get_mut(..len).unwrap_or_default();
    let read = asked.file.read_at(piece, 0);
    if !matches!(read, Ok(read) if read == len) || crc32fast::hash(piece) != crc32 {
        buffers.give(buffer);
        return Err(asked);
    }
    let opened = Opened { file: asked.file, start: 0, len: size, crc32: Some(crc32) };
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
