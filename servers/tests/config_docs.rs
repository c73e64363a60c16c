//! `docs/config.md` is made from the declarations of the keys. `BLESS=1` rewrites it.

use fdfs_core::config::{ClientKeys, KeyDoc};
use fdfs_servers::framework_config::{FRAMEWORK_KEYS_BESIDE, FrameworkKeys, LogKeys};
use fdfs_servers::idle_keys::without_effect;
use fdfs_servers::storage::config::{ACCESS_LOG_KEYS_BESIDE, STORAGE_KEYS_BESIDE, StorageKeys};
use fdfs_servers::tracker::config::{TRACKER_KEYS_BESIDE, TrackerKeys};
use std::path::Path;

const CLIENT: &str = "client.conf";
const HEAD: &str = "\
# Configuration keys

Made from the declarations in the source; do not edit. The files are those of FastDFS 6.16: same
keys, units and includes. Keys of older versions load as well; `fdfs_trackerd` and `fdfs_storaged`
name each key that has no effect in their log, with its line.

A *size* is a number with an optional unit `K`, `M`, `G` or `T`; a *time* is `H:M` or `H:M:S`; a
*switch* is on for `true`, `yes`, `on` and `1`. Where a bound is marked *else default* or *nearest*,
that is what a value outside it means; other bounds are errors.
";

fn bytes(text: &str) -> String {
    let Ok(bytes) = text.parse::<u64>() else { return text.to_owned() };
    for (shift, unit) in [(30, "GB"), (20, "MB"), (10, "KB")] {
        if bytes > 0 && bytes % (1 << shift) == 0 {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    bytes.to_string()
}

/// Type, default and bounds as a reader of configuration files sees them.
fn columns(key: &KeyDoc) -> (&'static str, String, String) {
    let args: Vec<&str> = key.default.split(',').map(str::trim).collect();
    let arg = |at: usize| args.get(at).copied().unwrap_or_default();
    let plain = arg(0).trim_matches('"').to_owned();
    let none = String::new;
    match key.kind {
        "int" => ("number", plain, none()),
        "positive" => ("number", plain, "1 and more, else default".into()),
        "ranged" => ("number", plain, format!("{} to {}", arg(1), arg(2))),
        "clamped" => ("number", plain, format!("{} to {}, nearest", arg(1), arg(2))),
        "bool" => ("switch", plain, none()),
        "secs" => ("seconds", plain, "1 and more, else default".into()),
        "millis" => ("milliseconds", plain, "1 and more, else default".into()),
        "bytes" => ("size", bytes(arg(0)), none()),
        "bytes_soft" => {
            let bounds = format!("{} to {}, nearest", bytes(arg(1)), bytes(arg(2)));
            ("size", bytes(arg(0)), bounds)
        }
        "time" => {
            let secs: u32 = arg(0).parse().unwrap_or_default();
            ("time", format!("{:02}:{:02}", secs / 3600, secs / 60 % 60), none())
        }
        "port" => ("number", plain, "1 to 65535, 0 and less: default".into()),
        "text" | "optional" => ("text", plain, none()),
        "path" => ("path", plain, none()),
        "list" => ("text, repeated", plain, none()),
        kind => panic!("no words for the kind {kind}"),
    }
}

fn table(text: &mut String, title: &str, about: &str, keys: &[&[KeyDoc]]) {
    text.push_str(&format!("\n## {title}\n\n{about}\n\n"));
    text.push_str("| key | type | default | bounds | meaning |\n|---|---|---|---|---|\n");
    for key in keys.iter().copied().flatten() {
        let (kind, default, bounds) = columns(key);
        let default = if default.is_empty() { default } else { format!("`{default}`") };
        let mut doc = key.doc.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some(reason) = without_effect(key.key).filter(|_| title != CLIENT) {
            doc = format!("{doc} No effect here: {reason}.");
        }
        text.push_str(&format!("| `{}` | {kind} | {default} | {bounds} | {doc} |\n", key.key));
    }
}

fn document() -> String {
    let mut text = HEAD.to_owned();
    let both = "These are read by both servers, outside of any section.";
    table(
        &mut text,
        "tracker.conf and storage.conf",
        both,
        &[FRAMEWORK_KEYS_BESIDE, FrameworkKeys::KEYS],
    );
    let logs = "For the error log in `[error-log]`, for the storage's access log in `[access-log]`; \
                outside of any section for both.";
    table(&mut text, "Logs", logs, &[LogKeys::KEYS]);
    let access = "Only in `[access-log]` of storage.conf.";
    table(&mut text, "Access log", access, &[ACCESS_LOG_KEYS_BESIDE]);
    let own = "Beside the keys of both servers.";
    table(&mut text, "tracker.conf", own, &[TrackerKeys::KEYS, TRACKER_KEYS_BESIDE]);
    table(&mut text, "storage.conf", own, &[STORAGE_KEYS_BESIDE, StorageKeys::KEYS]);
    let client = "Also read by the tools. Needs at least one `tracker_server`.";
    table(&mut text, CLIENT, client, &[ClientKeys::KEYS]);
    text
}

#[test]
fn the_document_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/config.md");
    let document = document();
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &document).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == document, "docs/config.md is stale; run the tests with BLESS=1");
}

#[test]
fn no_key_is_declared_twice() {
    for tables in [
        vec![FRAMEWORK_KEYS_BESIDE, FrameworkKeys::KEYS, TrackerKeys::KEYS, TRACKER_KEYS_BESIDE],
        vec![FRAMEWORK_KEYS_BESIDE, FrameworkKeys::KEYS, StorageKeys::KEYS, STORAGE_KEYS_BESIDE],
        vec![ACCESS_LOG_KEYS_BESIDE, LogKeys::KEYS],
        vec![ClientKeys::KEYS],
    ] {
        let mut keys: Vec<&str> = tables.into_iter().flatten().map(|key| key.key).collect();
        let len = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), len);
    }
}
