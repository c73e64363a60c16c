//! What the trackers' change log tells a storage: peers deleted, or back under another address
//! (spec 03 §A15).

use fdfs_core::protocol::StorageStatus;

/// Longest line that means anything.
const LINE_LEN_MAX: usize = 255;

/// A storage that is no longer what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    /// Its id until then.
    pub id: String,
    /// Its address since then; `None` when it was deleted.
    pub new_ip: Option<String>,
}

/// Joins what one tracker sends to lines: a reply may end within one.
#[derive(Debug, Default)]
pub(super) struct Lines {
    tail: Vec<u8>,
}

impl Lines {
    /// Takes the next reply; returns what happened in `group`. Lines that mean nothing are passed
    /// over.
    pub(super) fn feed(&mut self, bytes: &[u8], group: &str) -> Vec<Departure> {
        self.tail.extend_from_slice(bytes);
        let Some(end) = self.tail.iter().rposition(|byte| *byte == b'\n') else {
            // Without an end this is no line of the change log.
            self.tail.truncate(LINE_LEN_MAX);
            return Vec::new();
        };
        let rest = self.tail.split_off(end + 1);
        let lines = std::mem::replace(&mut self.tail, rest);
        self.tail.truncate(LINE_LEN_MAX);
        let text = String::from_utf8_lossy(&lines);
        text.lines().filter_map(|line| departure(line, group)).collect()
    }
}

/// All that one reply holds of `group`.
pub fn departures(log: &[u8], group: &str) -> Vec<Departure> {
    Lines::default().feed(log, group)
}

/// One line: time, group, id, status and, for a new address, that.
fn departure(line: &str, group: &str) -> Option<Departure> {
    if line.len() > LINE_LEN_MAX {
        return None;
    }
    let fields: Vec<&str> = line.split(' ').collect();
    let [_, of, id, status, arg] = fields.as_slice() else { return None };
    let new_ip = match status.parse().map(StorageStatus) {
        Ok(StorageStatus::DELETED) => None,
        Ok(StorageStatus::IP_CHANGED) if !arg.is_empty() => Some((*arg).to_owned()),
        _ => return None,
    };
    (*of == group && !id.is_empty()).then(|| Departure { id: (*id).to_owned(), new_ip })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deletions_and_new_addresses_of_the_own_group_are_found_across_replies() {
        let mut lines = Lines::default();
        let gone = Departure { id: "10.0.0.2".into(), new_ip: None };
        let moved = Departure { id: "10.0.0.3".into(), new_ip: Some("10.0.0.9".into()) };
        assert_eq!(lines.feed(b"5 group1 10.0.0.2 4 \n6 group1 10.0", "group1"), [gone]);
        assert_eq!(lines.feed(b".0.3 3 10.0.0.9\n", "group1"), [moved]);
        for noise in [
            "7 group2 10.0.0.2 4 \n",
            "7 group1 10.0.0.2 4\n",
            "7 group1 10.0.0.2 3 \n",
            "7 group1 10.0.0.2 6 \n",
            "7 group1  4 \n",
            "\n\n \n",
        ] {
            assert_eq!(lines.feed(noise.as_bytes(), "group1"), [], "{noise}");
        }
        lines.feed(&[b'x'; 9000], "group1");
        assert!(lines.tail.len() <= LINE_LEN_MAX);
    }
}
