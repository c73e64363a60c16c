//! The base64 of file names: `A–Z a–z 0–9 - _`, without padding (spec 02 §2).

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD, URL_SAFE_NO_PAD};

/// Trailing bits of the last character are ignored, as every FastDFS program ignores them.
const LENIENT: GeneralPurpose =
    GeneralPurpose::new(&URL_SAFE, NO_PAD.with_decode_allow_trailing_bits(true));

/// Characters that 20 bytes become.
pub(super) const STAMP_CHARS: usize = 27;
/// Characters that 12 bytes become.
pub(super) const TRUNK_CHARS: usize = 16;

/// Encodes into exactly `N` characters; the callers' sizes fit by construction.
pub(super) fn encode<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut chars = [b'A'; N];
    // Fails only when N is not the encoded length, which the constants above rule out.
    let written = URL_SAFE_NO_PAD.encode_slice(bytes, &mut chars);
    debug_assert_eq!(written.ok(), Some(N));
    chars
}

/// Decodes characters that must all be of the alphabet.
pub(super) fn decode<const N: usize>(chars: &[u8]) -> Option<[u8; N]> {
    // The decoder wants room for whole groups of three.
    let mut bytes = [0; 24];
    let len = LENIENT.decode_slice(chars, &mut bytes).ok()?;
    bytes.get(..len)?.first_chunk::<N>().copied().filter(|_| len == N)
}

/// The storage id of an IPv6 address where ids are not in use: its checksum, encoded
/// (spec 03 §0.4).
///
/// ```
/// assert_eq!(fdfs_core::file_id::short_code("fe80::1"), "VHI97gAAAAA.");
/// ```
pub fn short_code(ip: &str) -> String {
    // The original leaves out the final inversion.
    let crc = u64::from(!crc32fast::hash(ip.as_bytes()));
    format!("{}.", URL_SAFE_NO_PAD.encode(crc.to_le_bytes()))
}
