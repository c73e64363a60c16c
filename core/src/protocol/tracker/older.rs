//! Lists as servers up to 6.12 send them (spec 01 §7.4, §7.5), read into the current structures:
//! fields that did not exist get the value that says nothing.

use super::{GroupStat, StorageList, StorageStat};
use crate::protocol::address::{AddrWidth, read_ip};
use crate::protocol::is_group_name;
use crate::protocol::stats::StorageStats;
use crate::protocol::{StorageId, StorageStatus, Version};
use crate::wire::{DecodeError, FixedStr, Reader, Wire};

/// Bytes of a group record now and then.
const GROUP_LEN_NOW: usize = 113;
const GROUP_LEN_THEN: usize = 105;
/// Bytes of the domain name behind a storage's address.
const DOMAIN_LEN: usize = 128;

/// Whether these are group records of an older server. Where both lengths fit, only the right one
/// finds a group name at the beginning of each record.
pub(super) fn is_group_list(reader: &Reader<'_>) -> bool {
    let len = reader.remaining();
    len.is_multiple_of(GROUP_LEN_THEN)
        && (!len.is_multiple_of(GROUP_LEN_NOW) || !names_stand_at(reader.clone(), GROUP_LEN_NOW))
}

fn names_stand_at(mut reader: Reader<'_>, record_len: usize) -> bool {
    while let Ok(record) = reader.bytes(record_len, "group") {
        let name = record.get(..17).and_then(FixedStr::<17>::new);
        if !name.is_some_and(|name| is_group_name(name.as_bytes())) {
            return false;
        }
    }
    true
}

pub(super) fn read_groups(reader: &mut Reader<'_>) -> Result<Vec<GroupStat>, DecodeError> {
    let mut groups = Vec::new();
    while reader.remaining() > 0 {
        let group = FixedStr::read(reader, "group")?;
        let (total_mb, free_mb) = (i64::read(reader, "total_mb")?, i64::read(reader, "free_mb")?);
        let trunk_free_mb = i64::read(reader, "trunk_free_mb")?;
        let storage_count = i64::read(reader, "storage_count")?;
        let storage_port = i64::read(reader, "storage_port")?;
        i64::read(reader, "http_port")?;
        let active_count = i64::read(reader, "active_count")?;
        groups.push(GroupStat {
            group,
            total_mb,
            free_mb,
            reserved_mb: 0,
            trunk_free_mb,
            storage_count,
            storage_port,
            readable_count: active_count,
            writable_count: active_count,
            current_write_server: i64::read(reader, "current_write_server")?,
            store_path_count: i64::read(reader, "store_path_count")?,
            subdir_count_per_path: i64::read(reader, "subdir_count_per_path")?,
            current_trunk_file_id: i64::read(reader, "current_trunk_file_id")?,
        });
    }
    Ok(groups)
}

/// A layout of storage records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    width: AddrWidth,
    version_len: usize,
}

impl Layout {
    pub(super) const ALL: [Self; 2] = [
        // Up to 6.10.
        Self { width: AddrWidth::V4, version_len: 6 },
        // 6.11 and 6.12.
        Self { width: AddrWidth::V6, version_len: 8 },
    ];

    /// Bytes of a record.
    pub(super) fn len(self) -> usize {
        self.width.field() + self.version_len + DOMAIN_LEN + 462
    }

    pub(super) fn read_all(self, reader: &mut Reader<'_>) -> Result<StorageList, DecodeError> {
        let mut storages = Vec::new();
        while reader.remaining() > 0 {
            storages.push(self.read(reader)?);
        }
        Ok(StorageList { width: self.width, storages })
    }

    fn read(self, reader: &mut Reader<'_>) -> Result<StorageStat, DecodeError> {
        let status = u8::read(reader, "status")?;
        let id = StorageId::read(reader, "id")?;
        let ip = read_ip(reader, self.width.field())?;
        reader.bytes(DOMAIN_LEN, "domain")?;
        let sync_source = StorageId::read(reader, "sync_source")?;
        let version = Version::truncated(reader.bytes(self.version_len, "version")?);
        let [join_time, up_time, total_mb, free_mb, upload_priority] = numbers(reader)?;
        let [store_path_count, subdir_count_per_path, current_write_path, port, _http_port] =
            numbers(reader)?;
        Ok(StorageStat {
            status,
            // Whoever served, served both ways.
            rw_mode: if status == StorageStatus::ACTIVE.0 { RW_BOTH } else { 0 },
            id,
            ip,
            sync_source,
            version,
            join_time,
            up_time,
            total_mb,
            free_mb,
            reserved_mb: 0,
            upload_priority,
            store_path_count,
            subdir_count_per_path,
            current_write_path,
            port,
            stats: StorageStats::read(reader, "stats")?,
            is_trunk_server: u8::read(reader, "is_trunk_server")?,
        })
    }
}

/// Mode of a storage that takes and gives files (spec 01 §6.1).
const RW_BOTH: u8 = 6;

fn numbers<const N: usize>(reader: &mut Reader<'_>) -> Result<[i64; N], DecodeError> {
    let mut numbers = [0; N];
    for number in &mut numbers {
        *number = i64::read(reader, "number")?;
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::super::GroupList;
    use super::*;
    use bytes::{BufMut as _, BytesMut};

    fn storage(layout: Layout, host: u8) -> BytesMut {
        let mut record = BytesMut::new();
        record.put_u8(StorageStatus::ACTIVE.0);
        record.put_slice(b"100001\0\0\0\0\0\0\0\0\0\0");
        let ip = format!("10.0.0.{host}");
        record.put_slice(ip.as_bytes());
        record.put_bytes(0, layout.width.field() - ip.len());
        record.put_slice(b"files.example");
        record.put_bytes(0, DOMAIN_LEN - 13 + 16);
        record.put_slice(b"6.10.0");
        record.put_bytes(0, layout.version_len - 6);
        for number in 1..=10 {
            record.put_i64(number);
        }
        record.put_bytes(0, 348);
        record.put_u8(1);
        record
    }

    #[test]
    fn storages_of_older_servers_are_told_by_the_length() {
        for (layout, len) in Layout::ALL.into_iter().zip([612, 644]) {
            assert_eq!(layout.len(), len);
            for count in [1, 2, 32] {
                let body: Vec<u8> = (0..count).flat_map(|at| storage(layout, at)).collect();
                let list = StorageList::decode(&body).unwrap();
                assert_eq!((list.width, list.storages.len()), (layout.width, count.into()));
                let last = &list.storages[usize::from(count) - 1];
                assert_eq!(last.ip.to_string(), format!("10.0.0.{}", count - 1));
                assert_eq!(last.version.to_string(), "6.10.0");
                assert_eq!((last.upload_priority, last.port), (5, 9));
                assert_eq!((last.rw_mode, last.is_trunk_server), (RW_BOTH, 1));
            }
        }
    }

    #[test]
    fn groups_of_older_servers_are_told_by_the_length_and_by_their_names() {
        let now = |at: usize| {
            let mut record = format!("group{at}").into_bytes();
            record.resize(GROUP_LEN_NOW, 0);
            record
        };
        let then = |at: usize| {
            let mut record = format!("group{at}").into_bytes();
            record.resize(17, 0);
            for number in 1..=11i64 {
                record.extend(number.to_be_bytes());
            }
            record
        };
        for count in [0, 1, 3, 113] {
            let body: Vec<u8> = (0..count).flat_map(then).collect();
            let groups = GroupList::decode(&body).unwrap().0;
            assert_eq!(groups.len(), count);
            for (at, group) in groups.iter().enumerate() {
                assert_eq!(group.group.to_string(), format!("group{at}"));
                assert_eq!((group.trunk_free_mb, group.storage_port), (3, 5));
                assert_eq!((group.writable_count, group.current_trunk_file_id), (7, 11));
            }
        }
        for count in [1, 105] {
            let body: Vec<u8> = (0..count).flat_map(now).collect();
            assert_eq!(GroupList::decode(&body).unwrap().0.len(), count);
        }
    }
}
