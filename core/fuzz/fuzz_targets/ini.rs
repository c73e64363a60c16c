//! Any text as a configuration with includes, as a state file, and as tables of ids and addresses.
#![no_main]

use fdfs_core::config::{
    AllowHosts, ClientConfig, ClusterParams, Ini, Source, StorageIds, TrackerAddr, parse_bytes,
};
use libfuzzer_sys::fuzz_target;
use std::net::IpAddr;

/// The same text under every name, so that includes find something.
struct Same<'t>(&'t str, u32);

impl Source for Same<'_> {
    fn read(&mut self, _: &str) -> std::io::Result<String> {
        self.1 += 1;
        if self.1 > 8 {
            return Err(std::io::ErrorKind::NotFound.into());
        }
        Ok(self.0.to_owned())
    }
    fn local_ips(&self) -> Vec<IpAddr> {
        vec![[10, 0, 0, 1].into()]
    }
    fn host_name(&self) -> String {
        "host".into()
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(ini) = Ini::load("a/b.conf", &mut Same(text, 0)) {
        let _ = ClientConfig::from_ini(&ini);
        let values = ini.global().all("allow_hosts");
        let _ = AllowHosts::parse(&values, &mut |_| Vec::new());
    }
    let _ = ClusterParams::parse(text);
    let _ = StorageIds::parse(text, &mut |_| Vec::new());
    let _ = parse_bytes(text);
    if let Ok(tracker) = text.parse::<TrackerAddr>() {
        assert_eq!(tracker.to_string().parse::<TrackerAddr>().as_ref(), Ok(&tracker));
    }
});
