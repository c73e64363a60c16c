//! What the core and the embedded servers log, under Python's logger `fdfs`.

use log::{LevelFilter, Log, Metadata, Record};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3_log::{Caching, Logger, ResetHandle};
use std::sync::OnceLock;

static CACHES: OnceLock<ResetHandle> = OnceLock::new();

/// Names of modules as loggers of Python: `fdfs_core::client::call` is `fdfs.client.call`.
struct UnderFdfs(Logger);

/// The name of a module's logger; none for what is not ours.
fn name(target: &str) -> Option<String> {
    let rest = target.strip_prefix("fdfs_")?;
    let (part, rest) = rest.split_once("::").unwrap_or((rest, ""));
    let path = [if part == "core" { "" } else { part }, rest];
    let path = path.iter().filter(|part| !part.is_empty());
    Some(path.fold("fdfs".to_owned(), |name, part| name + "::" + part))
}

impl Log for UnderFdfs {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let Some(name) = name(metadata.target()) else { return false };
        self.0.enabled(&Metadata::builder().level(metadata.level()).target(&name).build())
    }

    fn log(&self, record: &Record<'_>) {
        let Some(name) = name(record.target()) else { return };
        let mut renamed = Record::builder();
        renamed.level(record.level()).target(&name).file(record.file()).line(record.line());
        // Servers go on for a moment when the interpreter has gone.
        if Python::try_attach(|_| ()).is_some() {
            self.0.log(&renamed.args(*record.args()).build());
        }
    }

    fn flush(&self) {}
}

/// Passes events on from now, from warnings on.
pub(crate) fn install(py: Python<'_>) -> PyResult<()> {
    let logger = Logger::new(py, Caching::LoggersAndLevels)?.filter(LevelFilter::Trace);
    let caches = logger.reset_handle();
    let failed = |error: log::SetLoggerError| PyRuntimeError::new_err(error.to_string());
    if CACHES.set(caches).is_ok() {
        log::set_boxed_logger(Box::new(UnderFdfs(logger))).map_err(failed)?;
        log::set_max_level(LevelFilter::Warn);
    }
    Ok(())
}

/// Passes on what is at least as grave as this level of Python's, and forgets the levels known of
/// single loggers.
#[pyfunction]
pub(crate) fn set_log_level(level: i32) {
    log::set_max_level(match level {
        ..10 => LevelFilter::Trace,
        10..20 => LevelFilter::Debug,
        20..30 => LevelFilter::Info,
        30..40 => LevelFilter::Warn,
        40..=50 => LevelFilter::Error,
        _ => LevelFilter::Off,
    });
    if let Some(caches) = CACHES.get() {
        caches.reset();
    }
}
