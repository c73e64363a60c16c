//! File ids and tokens. No server is asked.

use crate::arguments::Id;
use crate::failure::thrown;
use crate::types::Shown;
use napi::Env;
use napi_derive::napi;

/// What a file id says.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct IdInfo {
    /// The whole id.
    pub id: String,
    /// The group.
    pub group: String,
    /// The rest of the id.
    pub path: String,
    /// 0-based.
    pub store_path_index: u32,
    /// Address or id of the storage it was uploaded to.
    pub source: Option<String>,
    /// Unix seconds.
    pub created: Option<i64>,
    /// Bytes.
    pub size: Option<i64>,
    /// Of the content.
    pub crc32: Option<u32>,
    /// normal, appender, slave or trunk.
    pub kind: String,
}

/// Reads a file id.
#[napi(catch_unwind)]
pub fn parse_id(id: Id) -> IdInfo {
    let id = id.0;
    IdInfo {
        group: id.group().to_owned(),
        path: id.path().to_owned(),
        store_path_index: id.store_path_index().shown(),
        source: id.source().map(|source| source.to_string()),
        created: id.created_at(),
        size: id.size().shown(),
        crc32: id.crc32(),
        kind: id.kind().shown(),
        id: id.shown(),
    }
}

/// The id of a slave.
#[napi(catch_unwind)]
pub fn slave_id(env: &Env, master: Id, prefix: String, ext: String) -> napi::Result<String> {
    let slave = master.0.slave(&prefix, &ext);
    slave.map(Shown::shown).map_err(|error| thrown(env, &error))
}

/// The token of a download URL.
#[napi(catch_unwind)]
pub fn make_token(id: Id, unix_secs: i64, secret: String) -> String {
    fdfs_core::client::make_token(&id.0, unix_secs, &secret)
}
