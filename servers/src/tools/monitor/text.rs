//! The list as the original prints it, line by line: scripts read it.

use super::Shown;
use chrono::TimeZone;
use fdfs_core::client::{GroupInfo, StorageInfo, StorageStats};
use std::fmt::{Display, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

/// All groups, numbered, or one without a number.
pub(super) fn cluster<Z: TimeZone<Offset: Display>>(
    shown: &[Shown],
    is_all: bool,
    zone: &Z,
) -> String {
    let mut out = String::new();
    if is_all {
        line(&mut out, "", &format!("group count: {}", shown.len()));
    }
    for (index, shown) in shown.iter().enumerate() {
        if is_all {
            line(&mut out, "", &format!("\nGroup {}:", index + 1));
        }
        group(&mut out, shown);
        for (index, storage) in shown.storages.iter().enumerate() {
            line(&mut out, "\t", &format!("Storage {}:", index + 1));
            self::storage(&mut out, storage, &shown.storages, zone);
        }
    }
    out
}

fn line(out: &mut String, indent: &str, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{indent}{text}");
}

fn field(out: &mut String, indent: &str, name: &str, value: impl Display) {
    line(out, indent, &format!("{name} = {value}"));
}

fn group(out: &mut String, Shown { group, storages, .. }: &Shown) {
    let GroupInfo { total_mb, free_mb, reserved_mb, .. } = *group;
    field(out, "", "group name", &group.name);
    space(out, "", [total_mb, free_mb, reserved_mb]);
    if group.current_trunk_file_id.is_some() {
        field(out, "", "trunk free space", size(group.trunk_free_mb));
    }
    for (name, value) in [
        ("storage server count", group.storage_count),
        ("readable server count", group.readable_count),
        ("writable server count", group.writable_count),
        ("storage server port", group.storage_port),
        ("store path count", group.store_path_count),
        ("subdir count per path", group.subdir_count_per_path),
        ("current write server index", group.current_write_server),
    ] {
        field(out, "", name, value);
    }
    let trunk_server = storages.iter().find(|storage| storage.is_trunk_server);
    if let (Some(id), Some(server)) = (group.current_trunk_file_id, trunk_server) {
        let server = format!("{} ({})", server.id, server.address.host);
        field(out, "", "current trunk server", server);
        field(out, "", "current trunk file id", id);
    }
    out.push('\n');
}

fn space(out: &mut String, indent: &str, [total, free, reserved]: [i64; 3]) {
    field(out, indent, "disk total space    ", size(total));
    field(out, indent, "disk free space     ", size(free));
    field(out, indent, "disk reserved space ", size(reserved));
    field(out, indent, "disk available space", size((free - reserved).max(0)));
}

fn storage<Z: TimeZone<Offset: Display>>(
    out: &mut String,
    storage: &StorageInfo,
    all: &[StorageInfo],
    zone: &Z,
) {
    let field = |out: &mut String, name: &str, value: String| field(out, "\t\t", name, value);
    let moment = |time: i64| datetime(time, zone);
    field(out, "id", storage.id.clone());
    field(out, "host", format!("{}  {}", storage.address, storage.status));
    field(out, "read write mode", rw_mode(storage.rw_mode).to_owned());
    field(out, "version", storage.version.clone());
    field(out, "join time", moment(secs(storage.joined)));
    field(out, "up time", storage.up_since.map(|time| moment(secs(time))).unwrap_or_default());
    space(out, "\t\t", [storage.total_mb, storage.free_mb, storage.reserved_mb]);
    field(out, "upload priority", storage.upload_priority.to_string());
    field(out, "store_path_count", storage.store_path_count.to_string());
    field(out, "subdir_count_per_path", storage.subdir_count_per_path.to_string());
    field(out, "current_write_path", storage.current_write_path.to_string());
    field(out, "source storage id", storage.sync_source.clone().unwrap_or_default());
    field(out, "if_trunk_server", u8::from(storage.is_trunk_server).to_string());
    for name in StorageStats::NAMES {
        let value = storage.stats.get(name).unwrap_or_default();
        match *name {
            // These are times, and stand at the end.
            "last_source_update"
            | "last_sync_update"
            | "last_synced_timestamp"
            | "last_heart_beat_time" => {}
            name => field(out, &caption(name), value.to_string()),
        }
    }
    let stats = &storage.stats;
    field(out, "last_heart_beat_time", moment(stats.last_heart_beat_time));
    field(out, "last_source_update", moment(stats.last_source_update));
    field(out, "last_sync_update", moment(stats.last_sync_update));
    let synced = moment(stats.last_synced_timestamp);
    field(out, "last_synced_timestamp", format!("{synced} {}", delay(storage, all)));
}

/// The original's names of counters, with its slip of the pen.
fn caption(name: &str) -> String {
    match name {
        "total_download_bytes" => "stotal_download_bytes".to_owned(),
        name => name.replace("connection_", "connection."),
    }
}

fn rw_mode(mode: u8) -> &'static str {
    match mode {
        0 => "none (disabled)",
        2 => "writeonly",
        4 => "readonly",
        6 => "both (normal)",
        _ => "unknown",
    }
}

/// How far a storage is behind the last upload to another one.
fn delay(storage: &StorageInfo, all: &[StorageInfo]) -> String {
    let others = all.iter().filter(|other| other.id != storage.id);
    let newest = others.map(|other| other.stats.last_source_update).max().unwrap_or(0);
    match (newest, storage.stats.last_synced_timestamp) {
        (newest, _) if newest <= 0 => String::new(),
        (_, 0) => "(never synced)".to_owned(),
        (newest, synced) => format!("({} delay)", duration(newest - synced)),
    }
}

/// A duration in words (spec 07 §0).
fn duration(secs: i64) -> String {
    if secs <= 0 {
        return "0 second".to_owned();
    }
    let parts = [
        (secs / 86400, "day"),
        (secs / 3600 % 24, "hour"),
        (secs / 60 % 60, "minute"),
        (secs % 60, "second"),
    ];
    let word = |(count, unit): (i64, &str)| match count {
        0 => None,
        1 => Some(format!("1 {unit}")),
        _ => Some(format!("{count} {unit}s")),
    };
    parts.into_iter().filter_map(word).collect::<Vec<_>>().join(" ")
}

/// A size given in MiB, in seven columns (spec 07 §0).
fn size(mb: i64) -> String {
    let units = ["B", "KB", "MB", "GB", "TB", "PB", "EB"];
    let mut value = mb.max(0) as f64 * f64::from(1 << 20);
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        (value, unit) = (value / 1024.0, unit + 1);
    }
    let unit = units.get(unit).copied().unwrap_or_default();
    // Halves go up; below ten there is one decimal, unless that makes it ten.
    let tenths = (value * 10.0 + 0.5).floor() / 10.0;
    let text = match unit {
        "B" => format!("{value:.0}  B"),
        _ if value < 10.0 && tenths < 10.0 => format!("{tenths:.1} {unit}"),
        _ => format!("{:.0} {unit}", (value + 0.5).floor()),
    };
    format!("{text:>7}")
}

fn datetime<Z: TimeZone<Offset: Display>>(time: i64, zone: &Z) -> String {
    let moment = zone.timestamp_opt(time, 0).single();
    moment.map(|moment| moment.format("%Y-%m-%d %H:%M:%S").to_string()).unwrap_or_default()
}

fn secs(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Utc;
    use fdfs_core::protocol::Command;
    use fdfs_core::protocol::tracker::{GroupList, StorageList};
    use fdfs_core::wire::Wire;
    use std::collections::HashMap;

    const FRAMES: &str = include_str!("../../../../tests/vectors/golden/frames-tracker.tsv");
    const MONITOR: &str = include_str!("../../../../tests/vectors/golden/monitor.txt");

    /// The recorded answer to the first request of this kind.
    fn answer<T: Wire>(command: Command) -> T {
        let rows: Vec<Vec<&str>> = FRAMES.lines().map(|row| row.split('\t').collect()).collect();
        let is_asked = |row: &Vec<&str>| row[4] == "req" && row[5] == command.0.to_string();
        let asked = rows.iter().position(is_asked).unwrap();
        let conn = rows[asked][1];
        let answer = rows[asked + 1..].iter().find(|row| row[1] == conn && row[4] == "resp");
        let digits = answer.unwrap()[8].as_bytes().chunks(2);
        let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        T::decode(&digits.map(byte).collect::<Vec<u8>>()).unwrap()
    }

    fn recorded() -> Shown {
        let groups: GroupList = answer(Command::LIST_ALL_GROUPS);
        let storages: StorageList = answer(Command::LIST_STORAGES);
        Shown {
            group: GroupInfo::from(groups.0[0].clone()),
            storages: storages.storages.into_iter().map(StorageInfo::from).collect(),
            replication: HashMap::new(),
        }
    }

    #[test]
    fn the_originals_list_is_printed_from_the_answers_it_got() {
        let expected = &MONITOR[MONITOR.find("group count").unwrap()..];
        assert_eq!(cluster(&[recorded()], true, &Utc), expected);
        let one = cluster(&[recorded()], false, &Utc);
        assert!(one.starts_with("group name = group1\n"), "{one}");
        assert_eq!(cluster(&[], false, &Utc), "");
    }

    #[test]
    fn trunk_files_delays_and_modes_have_their_words() {
        let mut shown = recorded();
        (shown.group.current_trunk_file_id, shown.group.trunk_free_mb) = (Some(1), 63);
        shown.storages[1].is_trunk_server = true;
        shown.storages[1].rw_mode = 4;
        shown.storages[1].up_since = None;
        shown.storages[0].stats.last_synced_timestamp = 0;
        shown.storages[0].stats.last_source_update = 0;
        let text = cluster(&[shown], true, &Utc);
        for line in [
            "trunk free space =   63 MB",
            "current trunk server = 10.77.0.3 (10.77.0.3)",
            "current trunk file id = 1\n",
            "\t\tread write mode = readonly",
            "\t\tup time = ",
            "\t\tlast_synced_timestamp = 1970-01-01 00:00:00 (never synced)",
            "\t\tlast_synced_timestamp = 2026-11-20 22:13:38 ",
        ] {
            assert!(
                text.lines().any(|found| found == line.trim_end_matches('\n')),
                "{line}:{text}"
            );
        }
    }

    #[test]
    fn sizes_and_durations_are_written_as_the_original_writes_them() {
        for (mb, text) in [
            (0, "   0  B"),
            (63, "  63 MB"),
            (5 << 10, " 5.0 GB"),
            (10199, "  10 GB"),
            (504 << 10, " 504 GB"),
        ] {
            assert_eq!(size(mb), text);
        }
        for (secs, text) in [
            (-5, "0 second"),
            (1, "1 second"),
            (93_601, "1 day 2 hours 1 second"),
            (125, "2 minutes 5 seconds"),
        ] {
            assert_eq!(duration(secs), text);
        }
    }
}
