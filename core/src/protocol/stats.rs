//! The statistics of a storage: one table for the heart beat's 348 bytes, `storage_stat.dat` and
//! the tracker's server file (specs 01 §7.5, 03 §A7, 04 §A.4 and §B.2).

use crate::wire::{DecodeError, Reader, Wire};
use bytes::BytesMut;

macro_rules! stats {
    ($($int:ty { $($field:ident),* $(,)? })*) => {
        /// Counters and times of one storage, in wire order; the field names are the keys of the
        /// state files.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the names are the specification's own")]
        pub struct StorageStats { $($(pub $field: $int,)*)* }

        impl StorageStats {
            /// All field names, in wire order.
            pub const NAMES: &'static [&'static str] = &[$($(stringify!($field),)*)*];

            /// The value of the field `name`.
            pub fn get(&self, name: &str) -> Option<i64> {
                match name { $($(stringify!($field) => Some(i64::from(self.$field)),)*)* _ => None }
            }

            /// Sets the field `name`; `false` when there is no such field.
            pub fn set(&mut self, name: &str, value: i64) -> bool {
                match name {
                    $($(stringify!($field) => {
                        self.$field = <$int>::try_from(value).unwrap_or(<$int>::MAX);
                    })*)*
                    _ => return false,
                }
                true
            }
        }

        impl Wire for StorageStats {
            fn read(reader: &mut Reader<'_>, _: &'static str) -> Result<Self, DecodeError> {
                Ok(Self { $($($field: <$int>::read(reader, stringify!($field))?,)*)* })
            }
            fn write(&self, out: &mut BytesMut) {
                $($(self.$field.write(out);)*)*
            }
        }
    };
}

stats! {
    i32 { connection_alloc_count, connection_current_count, connection_max_count }
    i64 {
        total_upload_count, success_upload_count,
        total_append_count, success_append_count,
        total_modify_count, success_modify_count,
        total_truncate_count, success_truncate_count,
        total_set_meta_count, success_set_meta_count,
        total_delete_count, success_delete_count,
        total_download_count, success_download_count,
        total_get_meta_count, success_get_meta_count,
        total_create_link_count, success_create_link_count,
        total_delete_link_count, success_delete_link_count,
        total_upload_bytes, success_upload_bytes,
        total_append_bytes, success_append_bytes,
        total_modify_bytes, success_modify_bytes,
        total_download_bytes, success_download_bytes,
        total_sync_in_bytes, success_sync_in_bytes,
        total_sync_out_bytes, success_sync_out_bytes,
        total_file_open_count, success_file_open_count,
        total_file_read_count, success_file_read_count,
        total_file_write_count, success_file_write_count,
        last_source_update, last_sync_update,
        last_synced_timestamp, last_heart_beat_time,
    }
}

/// Bytes of the statistics block.
pub const STATS_LEN: usize = 348;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_is_348_bytes_and_fields_stand_where_the_specification_says() {
        let mut stats = StorageStats { last_source_update: 7, ..Default::default() };
        assert!(stats.set("total_upload_count", 5));
        let bytes = stats.encode();
        assert_eq!(bytes.len(), STATS_LEN);
        assert_eq!(bytes[12..20], 5i64.to_be_bytes());
        assert_eq!(bytes[316..324], 7i64.to_be_bytes());
        assert_eq!(StorageStats::decode(&bytes), Ok(stats));
    }
}
