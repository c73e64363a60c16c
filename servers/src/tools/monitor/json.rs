//! The list as JSON, with what storages tell of their replication.

use super::{Shown, Told};
use fdfs_core::client::{GroupInfo, StorageInfo, StorageStats};
use fdfs_core::protocol::replication::{PeerProgress, ReplicationStatus};
use serde_json::{Map, Value, json};
use std::time::UNIX_EPOCH;

/// The whole cluster.
pub(super) fn cluster(tracker: &str, shown: &[Shown]) -> Value {
    let groups: Vec<Value> = shown.iter().map(group).collect();
    json!({ "tracker": tracker, "groups": groups })
}

fn group(shown: &Shown) -> Value {
    let GroupInfo {
        name,
        total_mb,
        free_mb,
        reserved_mb,
        trunk_free_mb,
        storage_count,
        storage_port,
        readable_count,
        writable_count,
        current_write_server,
        store_path_count,
        subdir_count_per_path,
        current_trunk_file_id,
    } = &shown.group;
    let told = |storage: &StorageInfo| shown.replication.get(&storage.address);
    let storages: Vec<Value> =
        shown.storages.iter().map(|storage| self::storage(storage, told(storage))).collect();
    json!({
        "name": name,
        "total_mb": total_mb,
        "free_mb": free_mb,
        "reserved_mb": reserved_mb,
        "trunk_free_mb": trunk_free_mb,
        "storage_count": storage_count,
        "storage_port": storage_port,
        "readable_count": readable_count,
        "writable_count": writable_count,
        "current_write_server": current_write_server,
        "store_path_count": store_path_count,
        "subdir_count_per_path": subdir_count_per_path,
        "current_trunk_file_id": current_trunk_file_id,
        "storages": storages,
    })
}

fn storage(storage: &StorageInfo, told: Option<&Told>) -> Value {
    let secs = |time: std::time::SystemTime| {
        time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    };
    let stats: Map<String, Value> = StorageStats::NAMES
        .iter()
        .map(|name| ((*name).to_owned(), json!(storage.stats.get(name))))
        .collect();
    let mut value = json!({
        "id": storage.id,
        "host": storage.address.host,
        "port": storage.address.port,
        "status": storage.status.caption(),
        "rw_mode": storage.rw_mode,
        "version": storage.version,
        "joined": secs(storage.joined),
        "up_since": storage.up_since.map(secs),
        "total_mb": storage.total_mb,
        "free_mb": storage.free_mb,
        "reserved_mb": storage.reserved_mb,
        "upload_priority": storage.upload_priority,
        "store_path_count": storage.store_path_count,
        "subdir_count_per_path": storage.subdir_count_per_path,
        "current_write_path": storage.current_write_path,
        "sync_source": storage.sync_source,
        "is_trunk_server": storage.is_trunk_server,
        "stats": stats,
    });
    // Storages of the original tell nothing: then the field is not there.
    let told = match told {
        Some(Ok(Some(status))) => Some(("replication", replication(status))),
        Some(Err(error)) => Some(("replication_error", json!(error))),
        Some(Ok(None)) | None => None,
    };
    if let (Some(fields), Some((name, told))) = (value.as_object_mut(), told) {
        fields.insert(name.to_owned(), told);
    }
    value
}

fn replication(status: &ReplicationStatus) -> Value {
    let peers: Vec<Value> = status.peers.iter().map(peer).collect();
    json!({ "now": status.now, "damaged_arrivals": status.damaged_arrivals, "peers": peers })
}

fn peer(peer: &PeerProgress) -> Value {
    let known = |value: i64| (value >= 0).then_some(value);
    let error = Some(peer.error.to_string()).filter(|error| !error.is_empty());
    json!({
        "id": peer.id.to_string(),
        "host": peer.ip.to_string(),
        "port": peer.port,
        "status": peer.status().caption(),
        "state": peer.state().caption(),
        "state_since": peer.state_since,
        "reason": peer.reason(),
        "lag_records": known(peer.lag_records),
        "lag_bytes": known(peer.lag_bytes),
        "lag_secs": known(peer.lag_secs),
        "is_estimate": peer.is_estimate != 0,
        "binlog_index": peer.binlog_index,
        "binlog_offset": peer.binlog_offset,
        "scanned": peer.scanned,
        "sent": peer.sent,
        "damaged_records": peer.damaged,
        "failures": peer.failures,
        "failed_at": known(peer.failed_at).filter(|time| *time > 0),
        "last_error": error,
    })
}
