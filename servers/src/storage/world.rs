//! What a storage is given of the world: a disk, a clock, chance. Tests give it others.

use super::clock::{Clock, SystemClock};
use super::disk::{Disk, RealDisk};
use super::spare::Spare;
use fdfs_core::protocol::replication::BootId;
use std::io;
use std::sync::Arc;

/// Where the kernel tells it.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The world of one storage.
#[derive(Debug, Clone)]
pub struct World {
    /// Where files are.
    pub disk: Arc<dyn Disk>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// What the random parts of names begin with.
    pub seed: u64,
    /// Another text each time the machine starts; empty when it is not known.
    pub boot: BootId,
    /// A worker to spare for when a disk hangs.
    pub spare: Option<Arc<Spare>>,
}

impl World {
    /// The host's.
    pub fn real(spare: Option<Arc<Spare>>) -> io::Result<Self> {
        let mut seed = [0; 8];
        rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::empty())?;
        let (disk, clock) = (Arc::new(RealDisk), Arc::new(SystemClock));
        let boot = std::fs::read_to_string(BOOT_ID).unwrap_or_default();
        let boot = BootId::new(boot.trim_end().as_bytes()).unwrap_or(BootId::EMPTY);
        Ok(Self { disk, clock, seed: u64::from_le_bytes(seed), boot, spare })
    }
}
