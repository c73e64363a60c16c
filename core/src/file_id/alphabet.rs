//! The base64 of file names: `A–Z a–z 0–9 - _`, without padding (spec 02 §2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

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
    let len = lenient(chars, &mut bytes)?;
    bytes.get(..len)?.first_chunk::<N>().copied().filter(|_| len == N)
}

/// Trailing bits of the last character are ignored, as every FastDFS program ignores them.
fn lenient(chars: &[u8], bytes: &mut [u8; 24]) -> Option<usize> {
    let mut len = 0;
    let (mut bits, mut pending) = (0u32, 0u32);
    for char in chars {
        pending = (pending << 6) | u32::from(value(*char)?);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            let [.., byte] = (pending >> bits).to_be_bytes();
            *bytes.get_mut(len)? = byte;
            len += 1;
        }
    }
    Some(len)
}

fn value(char: u8) -> Option<u8> {
    match char {
        b'A'..=b'Z' => Some(char - b'A'),
        b'a'..=b'z' => Some(char - b'a' + 26),
        b'0'..=b'9' => Some(char - b'0' + 52),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    }
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
