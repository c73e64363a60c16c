//! Names are parsed and made for each request, so neither may touch the heap.
#![allow(clippy::unwrap_used, missing_docs)]

use fdfs_core::file_id::slave::slave_name;
use fdfs_core::file_id::{LogicName, SizeField, Source, Stamp, TrunkPlace, generate};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is passed on unchanged to the system allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`; `alloc` above is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations_of(action: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    action();
    ALLOCATIONS.get() - before
}

#[test]
fn parsing_and_making_names_allocate_nothing() {
    assert_eq!(allocations_of(|| drop(black_box(Box::new(1)))), 1, "the counter counts");
    let count = allocations_of(|| {
        let size = SizeField::trunk(11, 7);
        let stamp = Stamp { source: Source::Id(100_001), created: 1, size, crc32: 2 };
        let tail = generate::tail("txt".try_into().unwrap(), 123);
        let directories = generate::hashed_directories(&stamp, 256);
        let place = TrunkPlace { file_id: 1, offset: 0, size: 256 };
        let trunk = generate::trunk_name(0, directories, &stamp, place, tail);
        let normal = generate::logic_name(0, directories, &stamp, tail);
        let slave = slave_name(normal.as_bytes(), b"_big", b"txt").unwrap();
        for name in [trunk, normal, slave] {
            let parsed = LogicName::parse(black_box(name.as_bytes())).unwrap();
            black_box((parsed.kind(), parsed.trunk_place(), parsed.stamp()));
            black_box((parsed.canonical(), parsed.metadata_name()));
            black_box(Stamp::of_any_name(name.as_bytes()));
        }
        assert!(LogicName::parse(b"M00/00/00/..").is_err());
    });
    assert_eq!(count, 0);
}
