//! URLs of files behind a web front.

use super::Client;
use crate::file_id::FileId;
use crate::token;
use std::time::{SystemTime, UNIX_EPOCH};

/// The token that a web front asks for, made for a moment in Unix seconds. The group is no part of
/// it, as the module for nginx wants it.
pub fn make_token(id: &FileId, unix_secs: i64, secret: &str) -> String {
    token::make(id.path(), unix_secs, secret)
}

fn unix_secs(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

impl Client {
    /// The URL of a file behind the web front at `base`, with a token when the client has a
    /// secret. Asks no server.
    ///
    /// The token carries a time, now unless `expires` is given, and the front refuses it once its
    /// own `token_ttl` has passed since then.
    ///
    /// ```
    /// use fdfs_core::client::ClientOptions;
    ///
    /// let client = ClientOptions::new(["10.0.0.1"])?.connect();
    /// let id = "group1/M00/00/00/wKhHf1S-oryAZCpgAAAE2uRlJkA126.xml".parse()?;
    /// assert_eq!(
    ///     client.http_url(&id, "https://files.example/", Some("my file.xml"), None),
    ///     "https://files.example/group1/M00/00/00/wKhHf1S-oryAZCpgAAAE2uRlJkA126.xml\
    ///      ?filename=my%20file.xml"
    /// );
    /// # Ok::<(), fdfs_core::Error>(())
    /// ```
    pub fn http_url(
        &self,
        id: &FileId,
        base: &str,
        filename: Option<&str>,
        expires: Option<SystemTime>,
    ) -> String {
        let mut arguments = Vec::new();
        if let Some(secret) = &self.options().token_secret {
            let moment = unix_secs(expires.unwrap_or_else(SystemTime::now));
            arguments.push(format!("token={}&ts={moment}", make_token(id, moment, secret)));
        }
        if let Some(filename) = filename {
            arguments.push(format!("filename={}", escape(filename)));
        }
        let separator = if arguments.is_empty() { "" } else { "?" };
        format!("{}/{id}{separator}{}", base.trim_end_matches('/'), arguments.join("&"))
    }
}

/// Percent-encodes what may not stand in a query.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(char::from(byte));
            }
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}
