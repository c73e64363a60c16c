//! Names for new files (spec 02 §5.2, §6).

use fdfs_core::file_id::generate::{hashed_directories, logic_name, tail};
use fdfs_core::file_id::{SizeField, Source, Stamp};
use fdfs_core::protocol::{Ext, Name};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What kind of file is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewKind {
    /// A file whose size is in its name.
    Normal,
    /// A file that may grow.
    Appender,
}

/// Draws names.
#[derive(Debug)]
pub struct Names {
    source: Source,
    subdir_count: u16,
    by_hash: bool,
    rotate_count: u32,
    /// High, low, files written into the present directory.
    position: Mutex<[u32; 3]>,
    random: AtomicU64,
}

/// Where a new file goes and what its name will end with, fixed before its content is known.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    store_path: u8,
    directories: (u8, u8),
    tail: [u8; 7],
}

impl Names {
    /// Continues at a saved position.
    pub fn new(
        source: Source,
        subdir_count: u16,
        by_hash: bool,
        rotate_count: u32,
        position: [u32; 3],
        seed: u64,
    ) -> Self {
        let [high, low, written] = position;
        let subdirs = u32::from(subdir_count).max(1);
        let position = [high % subdirs, low % subdirs, written % rotate_count.max(1)];
        Self {
            source,
            subdir_count,
            by_hash,
            rotate_count,
            position: Mutex::new(position),
            random: AtomicU64::new(seed),
        }
    }

    /// 64 random bits (SplitMix64: plenty for telling names apart).
    fn random(&self) -> u64 {
        let mut bits = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// 32 random bits.
    pub fn random_bits(&self) -> u32 {
        let [.., a, b, c, d] = self.random().to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }

    /// The round-robin position, to be saved.
    pub fn position(&self) -> [u32; 3] {
        *self.position.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Chooses the place of a new file.
    pub fn place(&self, store_path: u8, ext: Ext, now: i64) -> Place {
        let directories = if self.by_hash {
            // The original hashes a provisional name with a random checksum.
            let stamp = self.stamp(NewKind::Normal, 0, self.random_bits(), now);
            hashed_directories(&stamp, self.subdir_count)
        } else {
            self.next_directories()
        };
        Place { store_path, directories, tail: tail(ext, self.random()) }
    }

    fn next_directories(&self) -> (u8, u8) {
        let mut position = self.position.lock().unwrap_or_else(PoisonError::into_inner);
        let [high, low, written] = &mut *position;
        let subdirs = u32::from(self.subdir_count);
        let byte = |index: u32| u8::try_from(index % subdirs.max(1)).unwrap_or(0);
        let chosen = (byte(*high), byte(*low));
        *written += 1;
        if *written >= self.rotate_count {
            *written = 0;
            *low += 1;
            if *low >= subdirs {
                *low = 0;
                *high = (*high + 1) % subdirs.max(1);
            }
        }
        chosen
    }

    fn stamp(&self, kind: NewKind, size: u64, crc32: u32, now: i64) -> Stamp {
        let random = self.random_bits();
        let size = match kind {
            NewKind::Normal => SizeField::normal(size, random),
            NewKind::Appender => SizeField::appender(random),
        };
        Stamp { source: self.source, created: i32::try_from(now).unwrap_or(i32::MAX), size, crc32 }
    }

    /// A name for that place; another one each time, as far as the size leaves room for it.
    pub fn name(&self, place: &Place, kind: NewKind, size: u64, crc32: u32, now: i64) -> Name {
        let stamp = self.stamp(kind, size, crc32, now);
        logic_name(place.store_path, place.directories, &stamp, place.tail)
    }

    /// The place of an existing file, for giving it a new name.
    pub fn place_of(store_path: u8, directories: (u8, u8), tail: [u8; 7]) -> Place {
        Place { store_path, directories, tail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_rotate_after_the_set_number_of_files() {
        let source = Source::Ip([10, 0, 0, 1].into());
        let names = Names::new(source, 2, false, 3, [1, 1, 2], 7);
        let directories: Vec<_> =
            (0..8).map(|_| names.place(0, Ext::EMPTY, 0).directories).collect();
        assert_eq!(directories, [(1, 1), (0, 0), (0, 0), (0, 0), (0, 1), (0, 1), (0, 1), (1, 0)]);
        assert_eq!(names.position(), [1, 0, 1]);
    }

    #[test]
    fn names_of_equal_files_differ() {
        let names = Names::new(Source::Id(1), 256, true, 100, [0; 3], 7);
        let place = names.place(1, "txt".try_into().unwrap(), 1000);
        let made: std::collections::HashSet<_> =
            (0..1000).map(|_| names.name(&place, NewKind::Normal, 5, 9, 1000)).collect();
        assert_eq!(made.len(), 1000);
    }
}
