//! What the servers log becomes a part of the log of the run.

use fdfs_core::net::sim::Network;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Names another filter than warnings only, as `RUST_LOG` does for programs.
const FILTER_VARIABLE: &str = "FDFS_SIM_LOG";

struct Lines {
    network: Arc<Network>,
    /// The folder of the run: its name differs from run to run.
    dir: String,
}

struct Line<'l>(&'l Lines);

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes).replace(&self.0.dir, "");
        self.0.network.note(format_args!("{}", text.trim_end()));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'l> MakeWriter<'l> for Lines {
    type Writer = Line<'l>;

    fn make_writer(&'l self) -> Line<'l> {
        Line(self)
    }
}

/// Notes what is logged on this thread from now on.
pub(super) fn capture(network: &Arc<Network>, dir: &Path) -> DefaultGuard {
    let filter = std::env::var(FILTER_VARIABLE).unwrap_or_else(|_| "warn".into());
    let lines = Lines { network: network.clone(), dir: dir.display().to_string() };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_ansi(false)
        .without_time()
        .with_writer(lines)
        .finish();
    tracing::subscriber::set_default(subscriber)
}
