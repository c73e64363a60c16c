//! The time of day in which changes are sent (spec 03 §C3).

/// Whether the window contains this second of the day; one that ends before it begins lasts over
/// midnight.
pub(super) fn is_open((start, end): (u32, u32), now: u32) -> bool {
    match start <= end {
        true => (start..=end).contains(&now),
        false => now >= start || now <= end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_may_last_over_midnight() {
        assert!(is_open((3600, 7200), 3600) && is_open((3600, 7200), 7200));
        assert!(!is_open((3600, 7200), 3599) && !is_open((3600, 7200), 7201));
        assert!(is_open((7200, 3600), 0) && is_open((7200, 3600), 80000));
        assert!(!is_open((7200, 3600), 5000));
    }
}
