//! What this machine charges for the calls that every server makes: results of different days and
//! machines compare as multiples of it (plan §6.6).

use rustix::time::{ClockId, clock_gettime};
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::path::Path;

/// Times each primitive is made.
const ROUNDS: u32 = 20_000;

/// Processor microseconds for each primitive.
#[derive(Debug, Clone, Copy)]
pub struct Floor {
    /// One side of an exchange of 64 bytes over a socket: receive and send.
    pub exchange: f64,
    /// Make a file of 4 KiB.
    pub create: f64,
    /// Open, look at, and read a file of 4 KiB.
    pub read: f64,
}

impl Floor {
    /// The sum, by which other figures are divided.
    pub fn total(&self) -> f64 {
        self.exchange + self.create + self.read
    }
}

fn thread_micros() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    #[allow(clippy::cast_precision_loss, reason = "a measurement")]
    let micros = time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3;
    micros
}

fn each(mut work: impl FnMut(u32) -> io::Result<()>) -> io::Result<f64> {
    let before = thread_micros();
    (0..ROUNDS).try_for_each(&mut work)?;
    Ok((thread_micros() - before) / f64::from(ROUNDS))
}

/// Measures in a folder, on the core this runs on.
pub fn measure(dir: &Path, host: IpAddr) -> io::Result<Floor> {
    let listener = TcpListener::bind((host, 0))?;
    let addr = listener.local_addr()?;
    let peer = std::thread::spawn(move || -> io::Result<()> {
        let mut stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        let mut bytes = [0; 64];
        (0..ROUNDS).try_for_each(|_| {
            stream.write_all(&bytes)?;
            stream.read_exact(&mut bytes)
        })
    });
    let (mut stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    let mut bytes = [0; 64];
    let exchange = each(|_| {
        stream.read_exact(&mut bytes)?;
        stream.write_all(&bytes)
    })?;
    peer.join().map_err(|_| io::Error::other("the peer of the floor failed"))??;
    let folder = dir.join("floor");
    fs::create_dir_all(&folder)?;
    let mut content = [7; 4096];
    let create = each(|at| File::create_new(folder.join(at.to_string()))?.write_all(&content))?;
    let read = each(|at| {
        let mut file = File::open(folder.join(at.to_string()))?;
        file.metadata()?;
        file.read_exact(&mut content)
    })?;
    fs::remove_dir_all(folder)?;
    Ok(Floor { exchange, create, read })
}
