//! What operations answer with, and how Java sees it.

use crate::java::{self, JniResult};
use crate::quick::Quick;
use fdfs_core::Result;
use fdfs_core::client::{
    FileInfo, GroupInfo, Held, Metadata, PoolStats, ServerAddress, StorageInfo, StorageStats,
    TrackerInfo, UploadTarget,
};
use fdfs_core::file_id::FileId;
use jni::Env;
use jni::objects::{JByteArray, JObject};
use jni::refs::Global;
use jni::sys::jlong;
use std::ffi::CString;
use std::time::{SystemTime, UNIX_EPOCH};

/// A result on its way to Java: a number, and a text, bytes, or the fields of records one after
/// another.
pub(crate) enum Answer {
    Number(jlong),
    Text(String),
    Bytes(Box<Held>),
    Array(Global<JByteArray<'static>>),
    Fields(Vec<Option<String>>),
}

/// Hands the outcome of an operation to Java if that is a simple value and this a thread of the core.
/// Returns what is left to be given in the usual way.
pub(crate) fn give_quickly(op: jlong, outcome: Result<Answer>) -> Option<Result<Answer>> {
    let (Ok(answer), Some(java)) = (&outcome, Quick::here()) else { return Some(outcome) };
    let value = match answer {
        Answer::Number(number) => {
            java.number(op, *number);
            return None;
        }
        Answer::Array(array) => {
            java.array(op, array);
            return None;
        }
        Answer::Bytes(bytes) => java.bytes(bytes),
        Answer::Text(text) if text.is_ascii() => {
            CString::new(text.as_str()).ok().and_then(|text| java.ascii(&text))
        }
        Answer::Text(_) | Answer::Fields(_) => None,
    };
    let Some(value) = value else { return Some(outcome) };
    // The next call may want its connection.
    drop(outcome);
    java.value(op, value);
    None
}

/// Hands the outcome of an operation to Java. A value that cannot be made there fails it.
pub(crate) fn give(env: &mut Env<'_>, op: jlong, outcome: Result<Answer>) -> JniResult<()> {
    let given = outcome.map(|answer| give_value(env, op, answer));
    let error = match given {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => {
            env.exception_clear();
            java::internal(error)
        }
        Err(error) => error,
    };
    java::fail(env, op, &error)
}

fn give_value(env: &mut Env<'_>, op: jlong, answer: Answer) -> JniResult<()> {
    let none = JObject::null();
    match answer {
        Answer::Number(number) => java::complete(env, op, number, &none),
        Answer::Text(text) => {
            let text = env.new_string(text)?;
            java::complete(env, op, 0, &text)
        }
        Answer::Bytes(bytes) => {
            let array = env.byte_array_from_slice(&bytes)?;
            java::complete(env, op, 0, &array)
        }
        Answer::Array(array) => java::complete(env, op, 0, &array),
        Answer::Fields(fields) => {
            let fields = java::strings(env, &fields)?;
            java::complete(env, op, 0, &fields)
        }
    }
}

impl From<()> for Answer {
    fn from((): ()) -> Self {
        Self::Number(0)
    }
}

impl From<bool> for Answer {
    fn from(value: bool) -> Self {
        Self::Number(value.into())
    }
}

impl From<u64> for Answer {
    fn from(value: u64) -> Self {
        Self::Number(jlong::try_from(value).unwrap_or(jlong::MAX))
    }
}

impl From<usize> for Answer {
    fn from(value: usize) -> Self {
        Self::Number(jlong::try_from(value).unwrap_or(jlong::MAX))
    }
}

impl From<String> for Answer {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

/// The fields of a record, in the order in which its Java class reads them.
pub(crate) trait Record {
    fn fields(&self) -> Vec<Option<String>>;
}

impl<T: Record> From<T> for Answer {
    fn from(record: T) -> Self {
        Self::Fields(record.fields())
    }
}

impl<T: Record> From<Vec<T>> for Answer {
    fn from(records: Vec<T>) -> Self {
        Self::Fields(records.iter().flat_map(Record::fields).collect())
    }
}

/// Fields from whatever prints.
macro_rules! fields {
    ($($value:expr),* $(,)?) => { vec![$(Some($value.to_string())),*] };
}
pub(crate) use fields;

/// Unix seconds.
fn secs(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl Record for FileId {
    fn fields(&self) -> Vec<Option<String>> {
        let mut fields = fields![
            self.group(),
            self.path(),
            self.store_path_index(),
            format!("{:?}", self.kind()).to_uppercase(),
        ];
        fields.push(self.source().map(|source| source.to_string()));
        fields.push(self.created_at().map(|secs| secs.to_string()));
        fields.push(self.size().map(|size| size.to_string()));
        fields.push(self.crc32().map(|crc| crc.to_string()));
        fields
    }
}

impl Record for FileInfo {
    fn fields(&self) -> Vec<Option<String>> {
        fields![
            self.size,
            secs(self.modified),
            self.crc32,
            self.source_ip,
            format!("{:?}", self.kind).to_uppercase(),
        ]
    }
}

impl Record for Metadata {
    fn fields(&self) -> Vec<Option<String>> {
        self.iter().flat_map(|(name, value)| [Some(name.clone()), Some(value.clone())]).collect()
    }
}

impl Record for ServerAddress {
    fn fields(&self) -> Vec<Option<String>> {
        fields![self.host, self.port]
    }
}

impl Record for UploadTarget {
    fn fields(&self) -> Vec<Option<String>> {
        fields![self.group, self.server.host, self.server.port, self.store_path_index]
    }
}

impl Record for TrackerInfo {
    fn fields(&self) -> Vec<Option<String>> {
        fields![self.address, self.alive, self.is_leader]
    }
}

impl Record for PoolStats {
    fn fields(&self) -> Vec<Option<String>> {
        fields![self.server, self.open, self.idle, self.waiting, self.created, self.closed_by_error]
    }
}

impl Record for GroupInfo {
    fn fields(&self) -> Vec<Option<String>> {
        let mut fields = fields![
            self.name,
            self.total_mb,
            self.free_mb,
            self.reserved_mb,
            self.trunk_free_mb,
            self.storage_count,
            self.storage_port,
            self.readable_count,
            self.writable_count,
            self.store_path_count,
            self.subdir_count_per_path,
        ];
        fields.push(self.current_trunk_file_id.map(|id| id.to_string()));
        fields
    }
}

/// Names and values of statistics, in one field.
fn statistics(stats: &StorageStats) -> String {
    let shown = |name: &&str| format!("{name}={}", stats.get(name).unwrap_or_default());
    StorageStats::NAMES.iter().map(shown).collect::<Vec<_>>().join(" ")
}

impl Record for StorageInfo {
    fn fields(&self) -> Vec<Option<String>> {
        let mut fields = fields![
            self.id,
            self.address.host,
            self.address.port,
            self.status.caption(),
            self.version,
            secs(self.joined),
            self.total_mb,
            self.free_mb,
            self.reserved_mb,
            self.upload_priority,
            self.store_path_count,
            self.subdir_count_per_path,
            self.current_write_path,
            self.is_trunk_server,
        ];
        fields.push(self.up_since.map(|time| secs(time).to_string()));
        fields.push(self.sync_source.clone());
        fields.push(Some(statistics(&self.stats)));
        fields
    }
}
