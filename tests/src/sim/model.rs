//! What clients were told, and what must therefore be on the disks.

use super::cluster::Tree;
use super::unsynced::WRITE_BACK_TIME;
use super::work::CALL_TIME_MAX;
use fdfs_core::client::Metadata;
use fdfs_core::file_id::{FileId, Kind, LogicName, Source};
use fdfs_core::protocol::meta::unpack;
use std::collections::BTreeMap;
use std::net::IpAddr;
use tokio::time::Instant;

/// Ending of the names of metadata files.
const METADATA_SUFFIX: &str = "-m";
/// Complaints that are told: the first ones say it all.
const COMPLAINTS_MAX: usize = 40;

/// Whether a file is to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It was uploaded and nobody deleted it.
    Alive,
    /// It was uploaded, and perhaps changed or deleted, and who did that lost power soon after: all
    /// members have it in the same state, or none has it.
    Doubtful,
    /// A deletion got no answer, or an error.
    Unknown,
    /// It was deleted.
    Deleted,
}

/// A file whose upload was acknowledged.
#[derive(Debug)]
pub struct FileModel {
    /// Its id.
    pub id: FileId,
    /// Whether its content changes.
    pub appender: bool,
    /// Its content as far as was acknowledged.
    pub content: Vec<u8>,
    /// Its content if the change without an answer took place: no more changes are made then.
    pub maybe: Option<Vec<u8>>,
    /// Every byte that ever was to stand at each place, of an appender.
    pub ever: Vec<Vec<u8>>,
    /// Changed while its source may have lost earlier changes: nobody knows what came out, but it is
    /// the same for all members.
    pub unknown: bool,
    /// Whether it is to be there.
    pub life: Life,
    /// What its metadata may be; none for no metadata.
    pub metadata: Vec<Option<Metadata>>,
    /// Changed on another storage than its source, while that was away. Whoever changes a file in
    /// two places gets what he gets, as with the original: nothing is said of its content.
    pub contested: bool,
    /// When something about it was acknowledged last.
    pub changed_at: Instant,
    /// Whether its source may not be who deleted it.
    pub deleted_anywhere: bool,
}

impl FileModel {
    /// A file that was just uploaded.
    pub fn new(id: FileId, content: Vec<u8>, appender: bool) -> Self {
        let mut file = Self {
            id,
            appender,
            content: Vec::new(),
            maybe: None,
            ever: Vec::new(),
            unknown: false,
            life: Life::Alive,
            metadata: vec![None],
            contested: false,
            changed_at: Instant::now(),
            deleted_anywhere: false,
        };
        file.remember(0, &content);
        file.content = content;
        file
    }

    /// Notes bytes that are about to be written.
    pub fn remember(&mut self, offset: usize, bytes: &[u8]) {
        if !self.appender {
            return;
        }
        if self.ever.len() < offset + bytes.len() {
            self.ever.resize_with(offset + bytes.len(), Vec::new);
        }
        for (known, byte) in self.ever.iter_mut().skip(offset).zip(bytes) {
            if !known.contains(byte) {
                known.push(*byte);
            }
        }
    }

    /// Whether these bytes may have been read from it, whatever has been replicated so far.
    pub fn may_read(&self, bytes: &[u8]) -> bool {
        match self.appender {
            _ if self.contested || self.unknown => true,
            false => self.content == bytes,
            true => {
                bytes.len() <= self.ever.len()
                    && bytes.iter().zip(&self.ever).all(|(byte, known)| known.contains(byte))
            }
        }
    }

    /// Whether this may be its content at the end.
    fn may_be(&self, bytes: &[u8]) -> bool {
        if self.life == Life::Doubtful {
            return self.may_read(bytes);
        }
        let Some(maybe) = &self.maybe else { return self.content == bytes };
        let (short, long) = match self.content.len() < maybe.len() {
            true => (self.content.len(), maybe.len()),
            false => (maybe.len(), self.content.len()),
        };
        (short..=long).contains(&bytes.len())
            && bytes
                .iter()
                .enumerate()
                .all(|(at, byte)| self.content.get(at) == Some(byte) || maybe.get(at) == Some(byte))
    }

    /// This host has lost power since something was acknowledged, perhaps by it alone.
    fn doubt(&mut self, ip: IpAddr) {
        let is_own = self.id.source().is_some_and(|source| is_at(source, ip));
        if self.id.kind() == Kind::Slave {
            self.life = Life::Unknown;
            self.contested = true;
        } else if self.life != Life::Unknown && (is_own || self.deleted_anywhere) {
            self.life = Life::Doubtful;
        }
    }

    /// Whether nothing is known of its being there. The name of a slave may be used again, and
    /// members tell the old file from the new one by clocks that differ.
    fn is_uncertain(&self) -> bool {
        self.life == Life::Unknown || self.life == Life::Deleted && self.id.kind() == Kind::Slave
    }

    fn true_name(&self) -> String {
        LogicName::parse(self.id.path().as_bytes())
            .map_or_else(|_| self.id.path().to_owned(), |name| name.true_name().to_owned())
    }
}

fn is_at(source: Source, ip: IpAddr) -> bool {
    source.to_string() == ip.to_string()
}

/// All that clients know.
#[derive(Debug, Default)]
pub struct Model {
    /// Files whose upload was acknowledged.
    pub files: Vec<FileModel>,
    /// Contents of uploads without an acknowledgement, and whether they can still change.
    pub strays: Vec<Vec<u8>>,
    /// Hosts that have lost power, and when.
    pub failures: Vec<(IpAddr, Instant)>,
    /// What must not have happened.
    pub wrongs: Vec<String>,
    /// Operations done, and those among them that were acknowledged.
    pub operations: u64,
    /// Those among them that were acknowledged.
    pub acknowledged: u64,
}

impl Model {
    /// Whether a file is what an upload without an acknowledgement may have left: of an appender
    /// also the beginning, as nothing in its name says how long it was to be.
    fn is_stray(&self, name: &str, content: &[u8]) -> bool {
        let name = format!("M00/{name}");
        let is_appender =
            LogicName::parse(name.as_bytes()).is_ok_and(|name| name.kind() == Kind::Appender);
        self.strays.iter().any(|stray| match is_appender {
            true => stray.starts_with(content),
            false => stray == content,
        })
    }

    /// A host has lost power. What it alone has acknowledged lately may be gone, or back: it was not
    /// on its disk yet. What others have acknowledged it must get again.
    pub fn lost_power(&mut self, ip: IpAddr) {
        self.failures.push((ip, Instant::now()));
        for file in &mut self.files {
            if file.changed_at.elapsed() <= WRITE_BACK_TIME + CALL_TIME_MAX {
                file.doubt(ip);
            }
        }
    }

    /// A call that began then was acknowledged: whoever did so may have lost power since.
    pub fn acknowledge(&mut self, at: usize, began: Instant) {
        let Some(file) = self.files.get_mut(at) else { return };
        let since = self.failures.iter().filter(|(_, when)| *when >= began);
        since.for_each(|(ip, _)| file.doubt(*ip));
    }

    /// Whether an upload without an acknowledgement was to a host that has lost power: it may have
    /// any part of it, and others what they got before.
    fn is_lost_stray(&self, name: &str) -> bool {
        let name = format!("M00/{name}");
        let Ok(name) = LogicName::parse(name.as_bytes()) else { return false };
        // Slaves are uploaded anywhere.
        let may_be_at = |ip| {
            name.kind() == Kind::Slave || name.stamp().is_some_and(|stamp| is_at(stamp.source, ip))
        };
        self.failures.iter().any(|(ip, _)| may_be_at(*ip))
    }

    /// What is wrong with the files of one group.
    pub fn complaints(&self, group: &str, trees: &[(IpAddr, Tree)]) -> Vec<String> {
        let mut complaints = Vec::new();
        let files: BTreeMap<String, &FileModel> = self
            .files
            .iter()
            .filter(|file| file.id.group() == group)
            .map(|file| (file.true_name(), file))
            .collect();
        let Some((first_ip, first)) = trees.first() else { return complaints };
        let contested = |name: &str| {
            let base = name.strip_suffix(METADATA_SUFFIX).unwrap_or(name);
            files.get(base).map_or_else(|| self.is_lost_stray(base), |file| file.contested)
        };
        // A crash may leave a file that nobody was told of, and that nobody needs to have.
        // So may it leave one that was to be deleted, where nobody heard of that.
        let is_known = |name: &str| {
            let base = name.strip_suffix(METADATA_SUFFIX).unwrap_or(name);
            files.get(base).is_some_and(|file| !file.is_uncertain())
        };
        for (ip, tree) in trees {
            for (name, content) in tree.iter().filter(|(name, _)| !contested(name)) {
                match first.get(name) {
                    None if !is_known(name) => {}
                    None => complaints.push(format!("{name} is on {ip}, not on {first_ip}")),
                    Some(other) if other != content => {
                        complaints.push(format!("{name} differs: {ip} and {first_ip}"));
                    }
                    Some(_) => {}
                }
            }
            let missing = first
                .keys()
                .filter(|name| !tree.contains_key(*name) && !contested(name) && is_known(name));
            complaints.extend(missing.map(|name| format!("{name} is on {first_ip}, not on {ip}")));
            for (name, file) in &files {
                complaints.extend(check(file, name, tree).map(|what| format!("{ip}: {what}")));
            }
            let unknown = tree.iter().filter(|(name, content)| {
                let base = name.strip_suffix(METADATA_SUFFIX).unwrap_or(name);
                let is_unknown = !files.contains_key(base) && base == *name;
                is_unknown && !self.is_stray(name, content) && !self.is_lost_stray(base)
            });
            complaints.extend(unknown.map(|(name, _)| format!("{ip}: {name} is nobody's")));
        }
        complaints.truncate(COMPLAINTS_MAX);
        complaints
    }
}

fn check(file: &FileModel, name: &str, tree: &Tree) -> Option<String> {
    let content = tree.get(name);
    let metadata = tree.get(&format!("{name}{METADATA_SUFFIX}"));
    if file.is_uncertain() {
        return None;
    }
    match (file.life, content) {
        (Life::Alive, None) => return Some(format!("{name} is lost")),
        (Life::Deleted, Some(_)) => return Some(format!("{name} was deleted and is there")),
        (Life::Deleted, None) if metadata.is_some() => {
            return Some(format!("{name} was deleted, its metadata is there"));
        }
        (Life::Alive | Life::Doubtful, Some(bytes)) if !file.contested && !file.may_be(bytes) => {
            let (len, known) = (bytes.len(), file.content.len());
            let maybe = file.maybe.as_ref().map(Vec::len);
            return Some(format!("{name} has {len} other bytes than {known} or {maybe:?}"));
        }
        (Life::Alive, Some(_)) if !file.contested => {}
        _ => return None,
    }
    let items = metadata.map(|packed| {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        unpack(packed).iter().map(|(name, value)| (text(name), text(value))).collect::<Metadata>()
    });
    let is_known = file.metadata.contains(&items);
    (!is_known).then(|| format!("{name} has metadata {items:?}, not one of {:?}", file.metadata))
}
