//! Values of the core as Python sees them: the classes are in `fdfs.types`.

use crate::body::Target;
use crate::errors::{invalid, raise};
use fdfs_core::client::{
    self, FileInfo, GroupInfo, PoolStats, ServerAddress, StorageInfo, StorageStats, TrackerInfo,
    UploadTarget,
};
use fdfs_core::file_id::{FileId, Kind};
use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};
use std::collections::BTreeMap;

static TYPES: PyOnceLock<Py<PyModule>> = PyOnceLock::new();

/// What a call may come to.
pub(crate) trait ToPython: Send + 'static {
    /// As an object.
    fn to_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>>;
}

/// A class of `fdfs.types`.
fn class<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    let module = TYPES.get_or_try_init(py, || py.import("fdfs.types").map(Bound::unbind))?;
    module.bind(py).getattr(name)
}

/// Makes an object of a class from its fields by name.
macro_rules! object {
    ($py:expr, $class:literal, $($field:ident = $value:expr),* $(,)?) => {{
        let fields = PyDict::new($py);
        $(fields.set_item(stringify!($field), $value)?;)*
        class($py, $class)?.call((), Some(&fields))
    }};
}

/// Values that PyO3 knows.
macro_rules! plain {
    ($($type:ty),*) => {$(
        impl ToPython for $type {
            fn to_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
                Ok(self.into_pyobject(py)?.to_owned().into_any())
            }
        }
    )*};
}

plain!(bool, u64, String, BTreeMap<String, String>);

impl ToPython for () {
    fn to_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        Ok(py.None().into_bound(py))
    }
}

impl ToPython for Vec<u8> {
    fn to_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        Ok(PyBytes::new(py, &self).into_any())
    }
}

/// Memory with its first bytes filled.
impl ToPython for (Target, usize) {
    fn to_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        let (target, filled) = self;
        target.finish(py, filled)
    }
}

impl<T: ToPython + Listed> ToPython for Vec<T> {
    fn to_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        let items =
            self.into_iter().map(|item| item.to_python(py)).collect::<PyResult<Vec<_>>>()?;
        Ok(PyList::new(py, items)?.into_any())
    }
}

/// What comes in lists.
pub(crate) trait Listed {}
impl Listed for GroupInfo {}
impl Listed for PoolStats {}
impl Listed for ServerAddress {}
impl Listed for StorageInfo {}
impl Listed for TrackerInfo {}

impl ToPython for FileId {
    fn to_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        class(py, "FileId")?.call1((self.as_str(),))
    }
}

impl ToPython for ServerAddress {
    fn to_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        object!(py, "ServerAddress", host = self.host, port = self.port)
    }
}

impl ToPython for FileInfo {
    fn to_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        object!(
            py,
            "FileInfo",
            size = self.size,
            modified = self.modified,
            crc32 = self.crc32,
            source_ip = self.source_ip,
            kind = kind_name(self.kind),
        )
    }
}

impl ToPython for UploadTarget {
    fn to_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        object!(
            py,
            "UploadTarget",
            group = self.group,
            server = self.server.to_python(py)?,
            store_path_index = self.store_path_index,
        )
    }
}

impl ToPython for TrackerInfo {
    fn to_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        let (address, alive, is_leader) = (self.address, self.alive, self.is_leader);
        object!(py, "TrackerInfo", address = address, alive = alive, is_leader = is_leader)
    }
}

impl ToPython for PoolStats {
    fn to_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        object!(
            py,
            "PoolStats",
            server = self.server,
            open = self.open,
            idle = self.idle,
            waiting = self.waiting,
            created = self.created,
            closed_by_error = self.closed_by_error,
        )
    }
}

impl ToPython for GroupInfo {
    fn to_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        object!(
            py,
            "GroupInfo",
            name = self.name,
            total_mb = self.total_mb,
            free_mb = self.free_mb,
            reserved_mb = self.reserved_mb,
            trunk_free_mb = self.trunk_free_mb,
            storage_count = self.storage_count,
            storage_port = self.storage_port,
            readable_count = self.readable_count,
            writable_count = self.writable_count,
            store_path_count = self.store_path_count,
            subdir_count_per_path = self.subdir_count_per_path,
            current_trunk_file_id = self.current_trunk_file_id,
        )
    }
}

impl ToPython for StorageInfo {
    fn to_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        // The class takes these names and no others: it cannot lack one of them.
        let stats = PyDict::new(py);
        for name in StorageStats::NAMES {
            stats.set_item(name, self.stats.get(name))?;
        }
        object!(
            py,
            "StorageInfo",
            id = self.id,
            address = self.address.to_python(py)?,
            status = self.status.to_string(),
            version = self.version,
            joined = self.joined,
            up_since = self.up_since,
            total_mb = self.total_mb,
            free_mb = self.free_mb,
            reserved_mb = self.reserved_mb,
            upload_priority = self.upload_priority,
            store_path_count = self.store_path_count,
            subdir_count_per_path = self.subdir_count_per_path,
            current_write_path = self.current_write_path,
            sync_source = self.sync_source,
            is_trunk_server = self.is_trunk_server,
            stats = class(py, "StorageStats")?.call((), Some(&stats))?,
        )
    }
}

fn kind_name(kind: Kind) -> String {
    format!("{kind:?}").to_lowercase()
}

/// A whole number of a type that may be too small for it.
pub(crate) fn number<T: TryFrom<i64>>(value: &Bound<'_, PyAny>, what: &str) -> PyResult<T> {
    let py = value.py();
    let wrong = || invalid(py, format!("{what} cannot be {value}"));
    let number = value.extract::<i64>().map_err(|error| {
        if error.is_instance_of::<PyOverflowError>(py) { wrong() } else { error }
    })?;
    T::try_from(number).map_err(|_| wrong())
}

/// A file id among arguments.
pub(crate) struct Id(pub(crate) FileId);

impl<'py> FromPyObject<'_, 'py> for Id {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let text = object.cast::<PyString>()?;
        parse(object.py(), text.to_str()?).map(Self)
    }
}

fn parse(py: Python<'_>, text: &str) -> PyResult<FileId> {
    text.parse().map_err(|error| raise(py, &error))
}

/// What an id says: group, path, store path index, source, created at (Unix seconds), size, CRC-32
/// and kind.
type Parts = (String, String, u8, Option<String>, Option<i64>, Option<u64>, Option<u32>, String);

/// Takes a file id apart, without asking a server.
#[pyfunction]
pub(crate) fn parse_id(py: Python<'_>, text: &str) -> PyResult<Parts> {
    let id = parse(py, text)?;
    Ok((
        id.group().to_owned(),
        id.path().to_owned(),
        id.store_path_index(),
        id.source().map(|source| source.to_string()),
        id.created_at(),
        id.size(),
        id.crc32(),
        kind_name(id.kind()),
    ))
}

/// The id of a file's slave, whether it exists or not.
#[pyfunction]
pub(crate) fn slave_id(py: Python<'_>, text: &str, prefix: &str, ext: &str) -> PyResult<String> {
    let slave = parse(py, text)?.slave(prefix, ext).map_err(|error| raise(py, &error))?;
    Ok(slave.as_str().to_owned())
}

/// The token that a web front asks for, made for a moment in Unix seconds.
#[pyfunction]
pub(crate) fn make_token(id: Id, unix_seconds: i64, secret: &str) -> String {
    client::make_token(&id.0, unix_seconds, secret)
}
