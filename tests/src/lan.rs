//! A network of its own on this machine: one network namespace a host, joined by a bridge, so that
//! servers have addresses of their own and their links can be cut. Made with iproute2, which needs
//! root; everything is removed when dropped.
#![allow(clippy::missing_panics_doc, reason = "a lab that fails panics")]

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io::{self, Write as _};
use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where `ip netns add` puts namespaces.
const NETNS_DIR: &str = "/run/netns";

/// The network.
#[derive(Debug)]
pub struct Lan {
    /// Namespace of the bridge, and of whoever has entered the network.
    hub: String,
    hosts: Vec<String>,
}

/// Runs a command; its output is the error when it fails.
fn run(program: &str, arguments: &[&str]) -> io::Result<()> {
    let output = Command::new(program).args(arguments).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{program} {}: {}", arguments.join(" "), said.trim())))
}

impl Lan {
    /// A network with this many hosts.
    pub fn new(hosts: u8) -> io::Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("fdfs-{}-{made}", std::process::id());
        let mut lan = Self { hub: format!("{name}-hub"), hosts: Vec::new() };
        lan.make(&name, hosts)?;
        Ok(lan)
    }

    fn make(&mut self, name: &str, hosts: u8) -> io::Result<()> {
        let hub = self.hub.clone();
        run("ip", &["netns", "add", &hub])?;
        let in_hub = |arguments: &[&str]| run("ip", &[&["-n", &hub], arguments].concat());
        in_hub(&["link", "set", "lo", "up"])?;
        in_hub(&["link", "add", "bridge", "type", "bridge"])?;
        in_hub(&["addr", "add", &format!("{}/24", Self::hub_addr()), "dev", "bridge"])?;
        in_hub(&["link", "set", "bridge", "up"])?;
        for host in 0..hosts {
            let netns = format!("{name}-{host}");
            run("ip", &["netns", "add", &netns])?;
            self.hosts.push(netns.clone());
            let port = port(host);
            let pair = ["link", "add", "eth0", "netns", &netns, "type", "veth", "peer", "name"];
            run("ip", &[&pair[..], &[&port, "netns", &hub]].concat())?;
            let in_host = |arguments: &[&str]| run("ip", &[&["-n", &netns], arguments].concat());
            in_host(&["link", "set", "lo", "up"])?;
            in_host(&["addr", "add", &format!("{}/24", Self::addr(host)), "dev", "eth0"])?;
            in_host(&["link", "set", "eth0", "up"])?;
            in_hub(&["link", "set", &port, "master", "bridge", "up"])?;
        }
        Ok(())
    }

    /// The address of a host.
    pub fn addr(host: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 0, host + 1)
    }

    /// The address of the hub.
    pub fn hub_addr() -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 0, 254)
    }

    /// Gives a host one more address, written with the length of its network's prefix.
    pub fn add_addr(&self, host: u8, addr: &str) -> io::Result<()> {
        run("ip", &["-n", self.host(host), "addr", "add", addr, "dev", "eth0", "nodad"])
    }

    /// Gives the hub one more address.
    pub fn add_hub_addr(&self, addr: &str) -> io::Result<()> {
        self.in_hub("ip", &["addr", "add", addr, "dev", "bridge", "nodad"])
    }

    /// Moves this thread into the network, with all threads and processes it starts from now on.
    pub fn enter(&self) -> io::Result<()> {
        let netns = File::open(Path::new(NETNS_DIR).join(&self.hub))?;
        Ok(move_into_link_name_space(netns.as_fd(), Some(LinkNameSpaceType::Network))?)
    }

    /// A command on a host; its process is the program's own.
    pub fn command(&self, host: u8, program: &Path) -> Command {
        let netns = PathBuf::from(NETNS_DIR).join(self.host(host));
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", netns.display())).arg("--").arg(program);
        command
    }

    fn host(&self, host: u8) -> &str {
        self.hosts.get(usize::from(host)).map_or("", String::as_str)
    }

    fn in_hub(&self, program: &str, arguments: &[&str]) -> io::Result<()> {
        run(program, &[&["-n", self.hub.as_str()], arguments].concat())
    }

    /// Cuts the link of a host: what is sent to it and by it is lost.
    pub fn cut(&self, host: u8) -> io::Result<()> {
        self.in_hub("ip", &["link", "set", &port(host), "down"])
    }

    /// Mends the link of a host.
    pub fn heal(&self, host: u8) -> io::Result<()> {
        self.in_hub("ip", &["link", "set", &port(host), "up"])
    }

    /// Makes the line to a host slow, and some packets late or lost: by `netem`, or where the
    /// kernel has none by `tbf`, which drops what would wait for longer.
    pub fn worsen(&self, host: u8) -> io::Result<()> {
        let port = port(host);
        let add = |kind: &str| {
            let kind: Vec<&str> = kind.split(' ').collect();
            self.in_hub("tc", &[&["qdisc", "add", "dev", &port, "root"], &kind[..]].concat())
        };
        add("netem delay 30ms 10ms loss 1% rate 20mbit")
            .or_else(|_| add("tbf rate 10mbit burst 32kbit latency 30ms"))
    }

    /// Ends that.
    pub fn mend(&self, host: u8) -> io::Result<()> {
        self.in_hub("tc", &["qdisc", "del", "dev", &port(host), "root"])
    }
}

fn port(host: u8) -> String {
    format!("port{host}")
}

impl Drop for Lan {
    fn drop(&mut self) {
        for netns in self.hosts.iter().chain([&self.hub]) {
            if let Err(error) = run("ip", &["netns", "del", netns]) {
                eprintln!("{error}");
            }
        }
    }
}

/// Says that a test did not run, where no test harness swallows it.
pub fn did_not_run(test: &str, why: &str) {
    let _ = writeln!(io::stderr(), "{test} DID NOT RUN: {why}");
}

/// The same for want of a network, which in CI is a failure.
pub fn has_no_network(test: &str, error: &io::Error) {
    let why = format!("it needs root and iproute2: {error}");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{test} must run in CI, but {why}");
    did_not_run(test, &why);
}
