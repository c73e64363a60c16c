//! `fdfs._native`: the core's client as a module of Python.
//!
//! Nothing here knows the protocol: types, errors, streams and cancellation are converted, and the
//! classes that applications see are written in Python on top (`python/fdfs`). Every operation is
//! written once and runs either on the calling thread or for an event loop; see [`call`].

mod body;
mod call;
mod client;
mod cluster;
mod errors;
mod event_loop;
mod files;
mod fork;
mod logging;
mod values;

use pyo3::prelude::*;

/// The core's client, event loops, streams and the embedded cluster.
// Nobody has tried it without the lock: a free-threaded interpreter brings it back, and says so.
#[pymodule(gil_used = true)]
mod _native {
    use super::*;

    #[pymodule_export]
    use super::body::{Feeder, Pipe};
    #[pymodule_export]
    use super::client::Core;
    #[pymodule_export]
    use super::cluster::Cluster;
    #[pymodule_export]
    use super::event_loop::{EventLoop, Task};
    #[pymodule_export]
    use super::files::{Growing, OpenFile};
    #[pymodule_export]
    use super::logging::set_log_level;
    #[pymodule_export]
    use super::values::{make_token, parse_id, slave_id};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("CORE_VERSION", fdfs_core::VERSION)?;
        module.add("ERROR_KINDS", errors::kinds(module.py())?)?;
        logging::install(module.py())
    }
}
