//! The log file of a daemon: the original's line format, rotated by day, by size, and on SIGHUP
//! (spec 04 §A.11, §A.12).

use crate::config_file::LogKeys;
use chrono::{DateTime, Duration, Local, NaiveTime, TimeZone as _};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

/// A log file that can be written from everywhere.
#[derive(Debug, Clone)]
pub struct LogFile(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    file: File,
    keys: LogKeys,
    len: u64,
    rotates_at: DateTime<Local>,
    also_stderr: bool,
}

impl LogFile {
    /// Opens `path` for adding to it; its directory is made.
    pub fn open(path: &Path, keys: &LogKeys, also_stderr: bool) -> io::Result<Self> {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let (file, len) = open(path)?;
        let (path, keys) = (path.to_owned(), keys.clone());
        let rotates_at = next_time(Local::now(), keys.rotate_time_secs);
        let inner = Inner { path, file, keys, len, rotates_at, also_stderr };
        Ok(Self(Arc::new(Mutex::new(inner))))
    }

    /// Begins a new file now.
    pub fn rotate(&self) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).rotate(Local::now())
    }
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().append(true).create(true).open(path)?;
    let len = file.metadata()?.len();
    Ok((file, len))
}

/// The next moment with this time of day.
fn next_time(now: DateTime<Local>, secs: u32) -> DateTime<Local> {
    let time = NaiveTime::from_num_seconds_from_midnight_opt(secs, 0).unwrap_or_default();
    let on = |day: chrono::NaiveDate| Local.from_local_datetime(&day.and_time(time)).earliest();
    let today = on(now.date_naive()).filter(|today| *today > now);
    today
        .or_else(|| on(now.date_naive() + Duration::days(1)))
        .unwrap_or_else(|| now + Duration::days(1))
}

impl Inner {
    fn rotate(&mut self, now: DateTime<Local>) -> io::Result<()> {
        let pattern = if self.keys.rotate_on_size > 0 { "%Y%m%d_%H%M%S" } else { "%Y%m%d" };
        let mut rotated = self.path.clone().into_os_string();
        rotated.push(format!(".{}", now.format(pattern)));
        let rotated = PathBuf::from(rotated);
        if !rotated.exists() {
            std::fs::rename(&self.path, &rotated)?;
        }
        (self.file, self.len) = open(&self.path)?;
        self.remove_old(now)
    }

    fn remove_old(&self, now: DateTime<Local>) -> io::Result<()> {
        if self.keys.keep_days <= 0 {
            return Ok(());
        }
        let (Some(dir), Some(name)) = (self.path.parent(), self.path.file_name()) else {
            return Ok(());
        };
        let oldest = (now - Duration::days(self.keys.keep_days)).format("%Y%m%d").to_string();
        let prefix = format!("{}.", name.to_string_lossy());
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let file = entry.file_name().to_string_lossy().into_owned();
            let day = file.strip_prefix(&prefix).and_then(|time| time.get(..8));
            if day.is_some_and(|day| day.bytes().all(|b| b.is_ascii_digit()) && *day < *oldest) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Local::now();
        let by_day = inner.keys.rotate_everyday && now >= inner.rotates_at;
        let by_size = inner.keys.rotate_on_size > 0 && inner.len > inner.keys.rotate_on_size;
        if by_day {
            inner.rotates_at = next_time(now, inner.keys.rotate_time_secs);
        }
        if by_day || by_size {
            // A log that cannot be rotated is still a log.
            let _ = inner.rotate(now);
        }
        inner.file.write_all(bytes)?;
        inner.len += bytes.len() as u64;
        if inner.also_stderr {
            let _ = io::stderr().write_all(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for LogFile {
    type Writer = Self;
    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

/// `[2026-11-20 21:40:53] LEVEL - text`.
#[derive(Debug)]
pub struct LineFormat;

impl<S, N> FormatEvent<S, N> for LineFormat
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = match *event.metadata().level() {
            Level::ERROR => "ERROR",
            Level::WARN => "WARNING",
            Level::INFO => "INFO",
            Level::DEBUG | Level::TRACE => "DEBUG",
        };
        write!(writer, "[{}] {level} - ", Local::now().format("%Y-%m-%d %H:%M:%S"))?;
        context.field_format().format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

/// The filter for a `log_level` value, which counts by its beginning (spec 06 §2).
pub fn level_of(text: &str) -> Level {
    level_named(text).unwrap_or(Level::INFO)
}

/// The level that `text` names (spec 06 §2).
pub fn level_named(text: &str) -> Option<Level> {
    let text = text.to_ascii_uppercase();
    let text = text.strip_prefix("LOG_").unwrap_or(&text);
    let levels = [
        ("DEBUG", Level::DEBUG),
        ("INFO", Level::INFO),
        ("NOTICE", Level::INFO),
        ("WARN", Level::WARN),
        ("ERR", Level::ERROR),
        ("CRIT", Level::ERROR),
        ("ALERT", Level::ERROR),
        ("EMERG", Level::ERROR),
    ];
    levels.into_iter().find(|(name, _)| text.starts_with(name)).map(|(_, level)| level)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fdfs_core::config::Ini;

    #[test]
    fn files_are_rotated_by_size_and_old_ones_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logs/t.log");
        let ini = Ini::parse("log_file_rotate_on_size=10\nlog_file_keep_days=3\n");
        let keys = LogKeys::from_scope(&ini.global()).unwrap();
        let mut log = LogFile::open(&path, &keys, false).unwrap();
        for old in ["t.log.20200101", "t.log.20200101_010101", "t.log.x", "other.20200101"] {
            std::fs::write(dir.path().join("logs").join(old), "").unwrap();
        }
        log.write_all(b"0123456789a\n").unwrap();
        log.write_all(b"next\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "next\n");
        let mut left: Vec<String> = std::fs::read_dir(dir.path().join("logs"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        left.sort();
        assert_eq!(left.len(), 4, "{left:?}");
        assert_eq!((left[0].as_str(), left[1].as_str()), ("other.20200101", "t.log"));
    }

    #[test]
    fn times_of_day_and_levels_are_read() {
        let now = Local.with_ymd_and_hms(2026, 11, 20, 12, 0, 0).unwrap();
        let next = |secs| next_time(now, secs).format("%d %H:%M").to_string();
        assert_eq!(next(0), "21 00:00");
        assert_eq!(next(13 * 3600), "20 13:00");
        assert_eq!(level_of("warning"), Level::WARN);
        assert_eq!(level_of("LOG_DEBUG"), Level::DEBUG);
        assert_eq!(level_of("nonsense"), Level::INFO);
    }
}
