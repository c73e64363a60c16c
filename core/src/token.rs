//! Anti-leech tokens of download URLs (spec 08 §1).

use md5::{Digest, Md5};
use std::fmt::Write as _;

/// Characters of a token.
pub const TOKEN_LEN: usize = 32;

/// The token of a file: MD5 over the file's name, the secret and the time in decimal.
///
/// `name` is the logic name without group for the C and Java clients, and the whole file id for
/// some web fronts; both are in use.
pub fn make(name: &str, unix_secs: i64, secret: &str) -> String {
    let mut hash = Md5::new();
    hash.update(name.as_bytes());
    hash.update(secret.as_bytes());
    hash.update(unix_secs.to_string().as_bytes());
    let mut token = String::with_capacity(TOKEN_LEN);
    for byte in hash.finalize() {
        // Writing to a String cannot fail.
        let _ = write!(token, "{byte:02x}");
    }
    token
}

/// Whether `token` was made for this file with this secret, and is not older than `ttl_secs`. A
/// time of 0 never expires.
pub fn check(
    token: &str,
    name: &str,
    unix_secs: i64,
    secret: &str,
    now: i64,
    ttl_secs: i64,
) -> bool {
    let expired = unix_secs != 0 && now.saturating_sub(unix_secs) > ttl_secs;
    let expected = make(name, unix_secs, secret);
    // Every byte is compared, so that the time taken tells nothing about the secret.
    let differing = token.bytes().zip(expected.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
    token.len() == TOKEN_LEN && differing == 0 && !expired
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_tokens_are_made_and_accepted_and_their_look_alikes_are_not() {
        let vectors = include_str!("../../tests/vectors/tokens.tsv");
        let mut count = 0;
        for line in vectors.lines().skip(1) {
            let fields: Vec<&str> = line.split('\t').collect();
            let [_, file, secret, time, token] = fields[..] else { panic!("columns: {line}") };
            let time = time.parse().unwrap();
            assert_eq!(make(file, time, secret), token, "{line}");
            assert!(check(token, file, time, secret, time, 0), "{line}");
            assert!(!check(&token.to_uppercase(), file, time, secret, time, 0), "{line}");
            assert!(!check(&token[..31], file, time, secret, time, 0), "{line}");
            assert!(!check(&format!("{token}0"), file, time, secret, time, 0), "{line}");
            count += 1;
        }
        assert_eq!(count, 8);
    }

    #[test]
    fn tokens_expire_unless_their_time_is_zero() {
        let name = "M00/00/00/wKhHf1S-oryAZCpgAAAE2uRlJkA126.xml";
        // Computed with md5sum over the three parts.
        assert_eq!(make("abc", 0, ""), "577571be4de9dcce85a041ba0410f29f");
        let token = make(name, 1000, "secret");
        assert!(check(&token, name, 1000, "secret", 1600, 600));
        assert!(!check(&token, name, 1000, "secret", 1601, 600), "expired");
        assert!(check(&token, name, 1000, "secret", 500, 600), "future times are accepted");
        assert!(!check(&token, name, 1001, "secret", 1001, 600));
        assert!(!check(&token, name, 1000, "Secret", 1000, 600));
        assert!(!check("", name, 1000, "secret", 1000, 600));
        let forever = make(name, 0, "secret");
        assert!(check(&forever, name, 0, "secret", i64::MAX, 600));
    }
}
