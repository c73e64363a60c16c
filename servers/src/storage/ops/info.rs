//! What is known of a file (spec 01 §8.12).

use super::{Done, change::checksum, existing, status};
use crate::storage::engine::Engine;
use fdfs_core::config::choose_for_peer;
use fdfs_core::file_id::{Kind, Source};
use fdfs_core::protocol::address::Ip;
use fdfs_core::protocol::storage::{FileInfo, INFO_WITHOUT_CRC};
use fdfs_core::protocol::{Name, Status};
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};

/// Shortest logic name that holds a stamp.
const NAME_LEN_MIN: usize = 37;
/// Characters of the longest IPv4 address.
const IPV4_LEN_MAX: usize = 15;

/// Whether an answer takes reading the whole file: the names of these say nothing of their content.
pub(in crate::storage) fn reads_content(engine: &Engine, name: &Name, flags: u8) -> bool {
    let named = engine.store.locate(name.as_bytes()).map(|(name, _)| name.kind());
    flags & INFO_WITHOUT_CRC == 0 && matches!(named, Ok(Kind::Appender | Kind::Slave))
}

/// Looks at a file; `flags` stand in the status byte of the request's header.
pub(in crate::storage) fn info(
    engine: &Engine,
    name: &Name,
    flags: u8,
    peer: IpAddr,
) -> Done<FileInfo> {
    let (logic, _) = engine.store.locate(name.as_bytes())?;
    let path = engine.store.file(&logic)?;
    let own = existing(engine, &path)?;
    if !own.is_file && !own.is_link {
        return Err(Status::EINVAL);
    }
    let stamp = logic.stamp().filter(|_| name.len() >= NAME_LEN_MIN).ok_or(Status::EINVAL)?;
    // A link's time is its own, its size that of what it points to.
    let stat = if own.is_link { engine.disk.stat(&path).map_err(status)? } else { own };
    let crc32 = match logic.kind() {
        Kind::Normal | Kind::Trunk => stamp.crc32,
        _ if reads_content(engine, name, flags) => {
            checksum(&*engine.disk.open_read(&path).map_err(status)?)?.0
        }
        Kind::Appender | Kind::Slave => 0,
    };
    let source_ip = match stamp.source {
        Source::Ip(ip) => text_of(ip),
        Source::Id(id) => {
            let entry = engine.ids.by_id(&id.to_string());
            let ip = entry.map(|entry| choose_for_peer(&entry.ips, &peer.to_string()));
            ip.and_then(|ip| Ip::new(ip.as_bytes())).unwrap_or_default()
        }
    };
    Ok(FileInfo {
        width: engine.params.response_ip_addr_size,
        size: i64::try_from(stat.size).unwrap_or(i64::MAX),
        modified: own.modified,
        crc32,
        source_ip,
    })
}

/// Without asking for memory, as this is done for every answer.
fn text_of(ip: Ipv4Addr) -> Ip {
    let mut text = [0; IPV4_LEN_MAX];
    let mut rest = text.as_mut_slice();
    // It fits.
    let _ = write!(rest, "{ip}");
    let len = IPV4_LEN_MAX - rest.len();
    Ip::new(text.get(..len).unwrap_or_default()).unwrap_or_default()
}
