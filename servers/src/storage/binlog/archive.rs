//! Old binlog files are kept compressed (spec 04 §A.5.5), and unpacked again for a reader that needs
//! one. Each step is made beside and renamed, so that at any moment one whole form is there; where
//! both are, the plain one counts.

use super::index::Index;
use super::{Binlog, file_path};
use crate::state_file::{read_optional, sync_dir};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

/// Bytes between two looks at whether the work is to end.
const PIECE_LEN: usize = 1 << 20;

fn packed_path(dir: &Path, index: u32) -> PathBuf {
    dir.join(format!("binlog.{index:03}.gz"))
}

/// Where the other form of a file is made.
fn beside(dir: &Path, index: u32) -> PathBuf {
    dir.join(format!(".binlog.{index:03}.tmp"))
}

/// What the original leaves while it compresses or unpacks a file.
fn flag_path(dir: &Path, index: u32) -> PathBuf {
    dir.join(format!(".binlog.{index:03}.flag"))
}

/// Whether the file is there in compressed form only.
pub(in crate::storage) fn is_packed(dir: &Path, index: u32) -> bool {
    !file_path(dir, index).exists() && packed_path(dir, index).exists()
}

/// Bytes of a file before compression; `None` when it is not there in any form.
pub(in crate::storage) fn file_len(dir: &Path, index: u32) -> io::Result<Option<u64>> {
    if let Some(meta) = optional(std::fs::metadata(file_path(dir, index)))? {
        return Ok(Some(meta.len()));
    }
    let Some(mut packed) = optional(File::open(packed_path(dir, index)))? else { return Ok(None) };
    // The last four bytes tell it, and no binlog file is longer than they can.
    let mut len = [0; 4];
    packed.seek(SeekFrom::End(-4))?;
    packed.read_exact(&mut len)?;
    Ok(Some(u32::from_le_bytes(len).into()))
}

fn optional<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    optional(std::fs::remove_file(path)).map(|_| ())
}

/// Clears up after a crash: of this server, whatever was made beside; of the original, the form of a
/// file that was not whole yet, as its flags tell.
pub(super) fn clear_up(dir: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name();
        let Some(name) = name.to_str().and_then(|name| name.strip_prefix(".binlog.")) else {
            continue;
        };
        let Some((index, kind)) = name.split_once('.') else { continue };
        let Ok(index) = index.parse() else { continue };
        match kind {
            "tmp" => remove_if_there(&beside(dir, index))?,
            "flag" => {
                let (plain, packed) = (file_path(dir, index), packed_path(dir, index));
                let text = read_optional(&flag_path(dir, index))?.unwrap_or_default();
                if plain.exists() && packed.exists() {
                    let broken = if text.trim_ascii() == b"unzip" { plain } else { packed };
                    tracing::warn!(file = %broken.display(), "removed what a crash left unfinished");
                    std::fs::remove_file(broken)?;
                }
                remove_if_there(&flag_path(dir, index))?;
            }
            _ => {}
        }
    }
    Ok(())
}

impl Binlog {
    /// Compresses the files before `needed`, the first one that a peer has yet to read. Returns how
    /// many; ends early when `stop` says so.
    pub fn compress_before(&self, needed: u32, stop: &dyn Fn() -> bool) -> io::Result<u32> {
        let (mut count, mut at) = (0, self.index().compress);
        loop {
            let _alone = self.archiving.lock().unwrap_or_else(PoisonError::into_inner);
            if at >= needed.min(self.index().write) || stop() {
                return Ok(count);
            }
            if file_path(&self.dir, at).exists() {
                if !compress(&self.dir, at, stop)? {
                    return Ok(count);
                }
                count += 1;
            }
            at += 1;
            self.change_index(|index| index.compress = at)?;
        }
    }

    /// Unpacks a file for a reader, unless somebody else has done so.
    pub fn unpack(&self, index: u32) -> io::Result<()> {
        let _alone = self.archiving.lock().unwrap_or_else(PoisonError::into_inner);
        let (dir, plain) = (&self.dir, file_path(&self.dir, index));
        if plain.exists() {
            return Ok(());
        }
        let packed = packed_path(dir, index);
        let mut decoder = MultiGzDecoder::new(BufReader::new(File::open(&packed)?));
        let made = File::create(beside(dir, index)).and_then(|file| {
            let mut out = BufWriter::new(file);
            io::copy(&mut decoder, &mut out)?;
            out.into_inner()?.sync_all()
        });
        if let Err(error) = made {
            remove_if_there(&beside(dir, index))?;
            let text = format!("unpacking {}: {error}", packed.display());
            return Err(io::Error::new(error.kind(), text));
        }
        self.change_index(|known| known.compress = known.compress.min(index))?;
        std::fs::rename(beside(dir, index), &plain)?;
        sync_dir(&plain)?;
        tracing::info!(file = %plain.display(), "unpacked a binlog file for a peer");
        std::fs::remove_file(packed)
    }

    pub(super) fn index(&self) -> Index {
        *self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes `binlog_index.dat`; a failure leaves it as it was.
    pub(super) fn change_index(&self, change: impl FnOnce(&mut Index)) -> io::Result<()> {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = *index;
        change(&mut changed);
        if changed != *index {
            changed.save(&self.dir)?;
            *index = changed;
        }
        Ok(())
    }
}

/// Compresses one file; `false` when it was to end before it was done.
fn compress(dir: &Path, index: u32, stop: &dyn Fn() -> bool) -> io::Result<bool> {
    let (plain, made) = (file_path(dir, index), beside(dir, index));
    let mut from = File::open(&plain)?;
    let packing = || {
        let out = BufWriter::new(File::create(&made)?);
        let mut encoder = GzEncoder::new(out, Compression::default());
        let mut piece = vec![0; PIECE_LEN];
        loop {
            if stop() {
                return Ok(false);
            }
            match from.read(&mut piece)? {
                0 => break,
                read => encoder.write_all(piece.get(..read).unwrap_or_default())?,
            }
        }
        encoder.finish()?.into_inner()?.sync_all()?;
        Ok(true)
    };
    let done: io::Result<bool> = { packing }();
    if !matches!(done, Ok(true)) {
        remove_if_there(&made)?;
        return done;
    }
    let packed = packed_path(dir, index);
    std::fs::rename(&made, &packed)?;
    sync_dir(&packed)?;
    // Readers that have it open read on.
    std::fs::remove_file(&plain)?;
    tracing::info!(file = %packed.display(), "compressed a binlog file that all peers have read");
    Ok(true)
}

#[cfg(test)]
#[path = "archive/tests.rs"]
mod tests;
