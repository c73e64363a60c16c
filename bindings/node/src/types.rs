//! What calls return to scripts. Times are Unix milliseconds; the package makes dates of them.

use fdfs_core::client::{self, Metadata};
use fdfs_core::file_id::{FileId, Kind};
use napi_derive::napi;
use std::time::{SystemTime, UNIX_EPOCH};

/// A value of the core as scripts see it.
pub(crate) trait Shown {
    type As;
    fn shown(self) -> Self::As;
}

macro_rules! shown {
    ($($from:ty => $into:ty = $show:expr;)*) => {$(
        impl Shown for $from {
            type As = $into;
            fn shown(self) -> $into {
                let show: fn($from) -> $into = $show;
                show(self)
            }
        }
    )*};
}

shown! {
    () => () = |nothing| nothing;
    bool => bool = |is| is;
    String => String = |text| text;
    Metadata => Metadata = |items| items;
    FileId => String = |id| id.to_string();
    Kind => String = |kind| format!("{kind:?}").to_lowercase();
    u8 => u32 = u32::from;
    u16 => u32 = u32::from;
    u32 => u32 = |number| number;
    i32 => i64 = i64::from;
    i64 => i64 = |number| number;
    u64 => i64 = |number| i64::try_from(number).unwrap_or(i64::MAX);
    usize => i64 = |number| i64::try_from(number).unwrap_or(i64::MAX);
    SystemTime => i64 = |time| {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    };
}

impl<T: Shown> Shown for Option<T> {
    type As = Option<T::As>;
    fn shown(self) -> Self::As {
        self.map(T::shown)
    }
}

impl<T: Shown> Shown for Vec<T> {
    type As = Vec<T::As>;
    fn shown(self) -> Self::As {
        self.into_iter().map(T::shown).collect()
    }
}

/// Structs with the fields of those of the core.
macro_rules! mirrors {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $ty:ty,)* })*) => {$(
        $(#[$doc])*
        #[napi(object, object_from_js = false, use_nullable = true)]
        #[allow(missing_docs, reason = "told by index.d.ts")]
        pub struct $name { $(pub $field: $ty,)* }

        impl Shown for client::$name {
            type As = $name;
            fn shown(self) -> $name {
                $name { $($field: self.$field.shown(),)* }
            }
        }
    )*};
}

mirrors! {
    /// Where a server is.
    ServerAddress { host: String, port: u32, }

    /// Where an upload would go.
    UploadTarget { group: String, server: ServerAddress, store_path_index: u32, }

    /// What a storage knows of a file.
    FileInfo { size: i64, modified: i64, crc32: u32, source_ip: String, kind: String, }

    /// A tracker.
    TrackerInfo { address: String, alive: bool, is_leader: bool, }

    /// What the pool did at a server.
    PoolStats {
        server: String, open: i64, idle: i64, waiting: i64, created: i64, closed_by_error: i64,
    }

    /// A group.
    GroupInfo {
        name: String, total_mb: i64, free_mb: i64, reserved_mb: i64, trunk_free_mb: i64,
        storage_count: i64, storage_port: i64, readable_count: i64, writable_count: i64,
        store_path_count: i64, subdir_count_per_path: i64, current_trunk_file_id: Option<i64>,
    }
}

/// A storage: two of its fields are of types without a name here.
macro_rules! storage_info {
    ({ $($field:ident: $ty:ty,)* } stats { $($stat:ident)* }) => {
        /// Counters of a storage.
        #[napi(object, object_from_js = false)]
        #[allow(missing_docs, reason = "told by index.d.ts")]
        pub struct StorageStats { $(pub $stat: i64,)* }

        // Each is a field of the core's, so that as many are all.
        const _: () = assert!([$(stringify!($stat),)*].len() == client::StorageStats::NAMES.len());

        /// A storage.
        #[napi(object, object_from_js = false, use_nullable = true)]
        #[allow(missing_docs, reason = "told by index.d.ts")]
        pub struct StorageInfo {
            $(pub $field: $ty,)*
            pub status: String,
            pub stats: StorageStats,
        }

        impl Shown for client::StorageInfo {
            type As = StorageInfo;
            fn shown(self) -> StorageInfo {
                StorageInfo {
                    $($field: self.$field.shown(),)*
                    status: self.status.to_string(),
                    stats: StorageStats { $($stat: self.stats.$stat.shown(),)* },
                }
            }
        }
    };
}

storage_info! {
    {
        id: String, address: ServerAddress, version: String, joined: i64, up_since: Option<i64>,
        total_mb: i64, free_mb: i64, reserved_mb: i64, upload_priority: i64,
        store_path_count: i64, subdir_count_per_path: i64, current_write_path: i64,
        sync_source: Option<String>, is_trunk_server: bool,
    }
    stats {
        connection_alloc_count connection_current_count connection_max_count
        total_upload_count success_upload_count total_append_count success_append_count
        total_modify_count success_modify_count total_truncate_count success_truncate_count
        total_set_meta_count success_set_meta_count total_delete_count success_delete_count
        total_download_count success_download_count total_get_meta_count success_get_meta_count
        total_create_link_count success_create_link_count
        total_delete_link_count success_delete_link_count
        total_upload_bytes success_upload_bytes total_append_bytes success_append_bytes
        total_modify_bytes success_modify_bytes total_download_bytes success_download_bytes
        total_sync_in_bytes success_sync_in_bytes total_sync_out_bytes success_sync_out_bytes
        total_file_open_count success_file_open_count total_file_read_count success_file_read_count
        total_file_write_count success_file_write_count
        last_source_update last_sync_update last_synced_timestamp last_heart_beat_time
    }
}
