//! A cluster within this process.

use crate::call::detached;
use crate::errors::invalid;
use crate::values::number;
use fdfs_servers::embedded::{Background, EmbeddedOptions};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// Each storage has an address of its own in 127.0.0.0/24.
const STORAGES_MAX: usize = 200;

/// A tracker and storages on threads of their own.
#[pyclass(frozen, module = "fdfs._native")]
pub(crate) struct Cluster {
    running: Mutex<Option<Background>>,
    /// `host:port` of the tracker.
    #[pyo3(get)]
    tracker: String,
    /// `host:port` of each storage.
    #[pyo3(get)]
    storages: Vec<String>,
}

#[pymethods]
impl Cluster {
    #[new]
    fn new(
        py: Python<'_>,
        dir: Option<PathBuf>,
        groups: &Bound<'_, PyDict>,
        tracker_port: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let tracker_port = number(tracker_port, "tracker_port")?;
        let pair = |(name, count): (Bound<'_, PyAny>, _)| {
            Ok((name.extract()?, number(&count, "the number of storages")?))
        };
        let groups = groups.iter().map(pair);
        let groups = groups.collect::<PyResult<Vec<(String, u8)>>>()?;
        let storages: usize = groups.iter().map(|(_, count)| usize::from(*count)).sum();
        if !(1..=STORAGES_MAX).contains(&storages) {
            return Err(invalid(py, format!("a cluster has 1 to {STORAGES_MAX} storages")));
        }
        let options = EmbeddedOptions { dir, groups, tracker_port };
        let running = detached(py, || Background::start(options))?;
        Ok(Self {
            tracker: running.tracker_addr().to_string(),
            storages: running.storage_addrs().iter().map(ToString::to_string).collect(),
            running: Mutex::new(Some(running)),
        })
    }

    /// Ends all servers in order; once is enough.
    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        match running {
            Some(mut running) => detached(py, move || running.stop()),
            None => Ok(()),
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let running = self.running.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // The end of the servers takes a while, which is no reason to stop other threads.
        Python::try_attach(|py| py.detach(move || drop(running)));
    }
}
