//! Names of slave files (spec 02 §8).

use super::generate::{TAIL_LEN, is_name_char};
use crate::protocol::Name;

/// Shortest true name of a master.
const MASTER_TRUE_LEN_MIN: usize = 34;

/// Why there is no such slave name; servers answer status 22.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SlaveError {
    /// The master's name is too short to be one.
    #[error("the master's name is too short")]
    Master,
    /// Prefix or extension hold other characters than `A-Z a-z 0-9 - _ .`, or are too long.
    #[error("prefix up to 16 and extension up to 6 of A-Z a-z 0-9 - _ .")]
    Character,
    /// The name would be that of the metadata file or of the master itself.
    #[error("the name would be the master's own or its metadata's")]
    Taken,
    /// The name would exceed 127 characters.
    #[error("the name would be too long")]
    TooLong,
}

/// The logic name of the slave of `master` with this prefix and extension. The master's extension
/// is not inherited.
pub fn slave_name(master: &[u8], prefix: &[u8], ext: &[u8]) -> Result<Name, SlaveError> {
    let true_len =
        master.len() - if master.first() == Some(&b'M') { 4.min(master.len()) } else { 0 };
    if true_len < MASTER_TRUE_LEN_MIN {
        return Err(SlaveError::Master);
    }
    // A leading dot of the extension is not doubled.
    let bare = ext.strip_prefix(b".").unwrap_or(ext);
    let legal = |text: &[u8], max| text.len() <= max && text.iter().all(is_name_char);
    if !legal(prefix, 16) || !legal(bare, 6) {
        return Err(SlaveError::Character);
    }
    let (stem, tail) = master.split_at(master.len() - TAIL_LEN);
    let dot = tail.iter().position(|byte| *byte == b'.');
    let (digits, master_ext) = tail.split_at(dot.unwrap_or(TAIL_LEN));
    let dot: &[u8] = if ext.is_empty() { b"" } else { b"." };
    let is_master_ext = master_ext.strip_prefix(dot) == Some(bare);
    if prefix == b"-m" && ext.is_empty() || prefix.is_empty() && is_master_ext {
        return Err(SlaveError::Taken);
    }
    Name::concat(&[stem, digits, prefix, dot, bare]).ok_or(SlaveError::TooLong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slave_names_follow_the_specified_examples() {
        let base = "M00/00/00/wKhYlVjSGkmAKSsbAAAFX016BtA";
        let name = |master: &str, prefix: &str, ext: &str| {
            slave_name(format!("{base}{master}").as_bytes(), prefix.as_bytes(), ext.as_bytes())
                .map(|name| name.to_string().replace(base, ""))
        };
        assert_eq!(name("997.txt", "_big", "txt").unwrap(), "997_big.txt");
        assert_eq!(name("997.txt", "_x", "").unwrap(), "997_x");
        assert_eq!(name("997.txt", "_dot", ".txt").unwrap(), "997_dot.txt");
        assert_eq!(name("997.txt", "-m", "txt").unwrap(), "997-m.txt");
        assert_eq!(name("997_big.txt", "_s2", "txt").unwrap(), "997_big_s2.txt");
        assert_eq!(name(".tar.gz", "_a", "tar.gz").unwrap(), "_a.tar.gz");
        assert_eq!(name("3395500", "_a", "").unwrap(), "3395500_a");
        assert_eq!(name("997.txt", "-m", "").unwrap_err(), SlaveError::Taken);
        assert_eq!(name("997.txt", "", "txt").unwrap_err(), SlaveError::Taken);
        assert_eq!(name("997.txt", "a/b", "").unwrap_err(), SlaveError::Character);
        assert_eq!(slave_name(b"M00/00/00/a", b"_b", b"").unwrap_err(), SlaveError::Master);
        assert_eq!(slave_name(b"M", b"_b", b"").unwrap_err(), SlaveError::Master);
    }
}
