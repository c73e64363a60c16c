//! The daemons of this workspace as processes.

use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The folder of the binaries beside the running test, which it builds once.
pub fn folder() -> io::Result<PathBuf> {
    static BUILT: OnceLock<bool> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let cargo = std::env::var("CARGO").unwrap_or("cargo".into());
        let mut build = Command::new(cargo);
        // As `cargo test` has built them before: `cargo build` would choose other features.
        build.args(["test", "--no-run", "--quiet", "--test", "config_docs"]);
        let done = build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).status();
        done.is_ok_and(|status| status.success())
    });
    if !built {
        return Err(io::Error::other("the daemons cannot be built"));
    }
    let test = std::env::current_exe()?;
    let folder = test.parent().and_then(|deps| deps.parent());
    folder.map(PathBuf::from).ok_or_else(|| io::Error::other("a test in no folder"))
}
