//! The time of day in which changes are sent (spec 03 §C3).

/// Seconds of a day.
const DAY: u32 = 24 * 60 * 60;
/// Changes are sent from so many seconds before the window until so many after it.
const MARGIN: u32 = 60;

/// Whether changes are sent at this second of the day; a window that ends before it begins lasts
/// over midnight.
pub(super) fn is_open((start, end): (u32, u32), now: u32) -> bool {
    let open_len = (DAY + end - start) % DAY + 2 * MARGIN;
    let since = (now + DAY + MARGIN - start) % DAY;
    open_len >= DAY || (1..open_len).contains(&since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_have_a_margin_of_a_minute_and_may_last_over_midnight() {
        for (window, open, closed) in [
            ((3600, 7200), [3541, 3600, 7200, 7259], [3540, 7260, 0]),
            ((0, 3600), [DAY - 59, 0, 1, 3659], [DAY - 60, 3660, 7200]),
            ((7200, 3600), [0, 80_000, 3659, 7141], [3660, 7140, 5000]),
            ((3600, DAY - 60), [3541, 80_000, DAY - 60, DAY - 1], [0, 3540, 1800]),
        ] {
            for now in open {
                assert!(is_open(window, now), "{window:?} {now}");
            }
            for now in closed {
                assert!(!is_open(window, now), "{window:?} {now}");
            }
        }
        for now in [0, 3600, 43_000, DAY - 1] {
            assert!(is_open((3600, 3540), now), "nothing is left of the night: {now}");
        }
    }
}
