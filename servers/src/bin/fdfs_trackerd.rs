//! The tracker daemon.

use fdfs_servers::daemon::process::{Ready, Spec, Stop, main as run};
use fdfs_servers::tracker::RunningTracker;
use fdfs_servers::tracker::config::TrackerConfig;

fn main() {
    let spec = Spec { name: "fdfs_trackerd", log: "trackerd.log", spare_workers: 0 };
    let code = run(
        spec,
        |ini, path| {
            let config = TrackerConfig::from_ini(ini, path)?;
            let (framework, warnings) = (config.framework.clone(), config.warnings.clone());
            Ok((config, framework, warnings))
        },
        serve,
    );
    std::process::exit(code);
}

async fn serve(config: TrackerConfig, ready: Ready, mut stop: Stop) -> Result<(), String> {
    let tracker = RunningTracker::start(config).map_err(|error| error.to_string())?;
    ready.listening();
    ready.release();
    tracing::info!(addr = %tracker.addr(), "tracker is serving");
    stop.wait().await;
    tracker.shutdown().await.map_err(|error| format!("cannot save the cluster state: {error}"))
}
