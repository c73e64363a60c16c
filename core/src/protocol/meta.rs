//! Metadata: `name 0x02 value` items joined by `0x01` (spec 01 §8.10, 04 §A.9).

/// Between two items.
pub const ITEM_SEPARATOR: u8 = 0x01;
/// Between the name and the value of an item.
pub const FIELD_SEPARATOR: u8 = 0x02;
/// Longest name in bytes; servers cut longer ones.
pub const META_NAME_LEN_MAX: usize = 64;
/// Longest value in bytes; servers cut longer ones.
pub const META_VALUE_LEN_MAX: usize = 256;

/// The items of a packed text, in its order. Items without a field separator are dropped and
/// over-long names and values are cut, as the original does.
pub fn unpack(packed: &[u8]) -> Vec<(&[u8], &[u8])> {
    let cut = |text, max| <[u8]>::get(text, ..max).unwrap_or(text);
    packed
        .split(|byte| *byte == ITEM_SEPARATOR)
        .filter_map(|item| {
            let at = item.iter().position(|byte| *byte == FIELD_SEPARATOR)?;
            let (name, value) = (item.get(..at)?, item.get(at + 1..)?);
            // The original ends a value at its first NUL; what follows is its buffer's noise.
            let value = value.split(|byte| *byte == 0).next().unwrap_or_default();
            Some((cut(name, META_NAME_LEN_MAX), cut(value, META_VALUE_LEN_MAX)))
        })
        .collect()
}

/// Packs items in their order.
pub fn pack<'a>(items: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Vec<u8> {
    let mut packed = Vec::new();
    for (index, (name, value)) in items.into_iter().enumerate() {
        if index > 0 {
            packed.push(ITEM_SEPARATOR);
        }
        packed.extend_from_slice(name);
        packed.push(FIELD_SEPARATOR);
        packed.extend_from_slice(value);
    }
    packed
}

/// The stored form of a new set of items: sorted by name, duplicates kept (spec 01 §8.10).
pub fn normalize(packed: &[u8]) -> Vec<u8> {
    let mut items = unpack(packed);
    items.sort_by_key(|(name, _)| *name);
    pack(items)
}

/// The stored form after merging `new` into `old`: by name, new values win.
pub fn merge(old: &[u8], new: &[u8]) -> Vec<u8> {
    let new = unpack(new);
    let mut items: Vec<_> = unpack(old)
        .into_iter()
        .filter(|(name, _)| new.iter().all(|(newer, _)| newer != name))
        .chain(new.iter().copied())
        .collect();
    items.sort_by_key(|(name, _)| *name);
    pack(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_sorted_merged_and_cut() {
        assert_eq!(normalize(b"b\x021\x01a\x022\x01junk\x01b\x023"), b"a\x022\x01b\x021\x01b\x023");
        assert_eq!(merge(b"a\x021\x01c\x023", b"c\x024\x01b\x022"), b"a\x021\x01b\x022\x01c\x024");
        assert_eq!(normalize(b"\x01\x01"), b"");
        let long = [&[b'n'; 70][..], b"\x02", &[b'v'; 300]].concat();
        let stored = normalize(&long);
        assert_eq!(stored.len(), META_NAME_LEN_MAX + 1 + META_VALUE_LEN_MAX);
        assert_eq!(normalize(&stored), stored);
    }
}
