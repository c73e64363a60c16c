//! The storage daemon.

use fdfs_servers::daemon::process::{Ready, Spec, Stop, main as run};
use fdfs_servers::storage::config::StorageConfig;
use fdfs_servers::storage::{RunningStorage, Spare, World};

fn main() {
    let spec = Spec { name: "fdfs_storaged", log: "storaged.log", spare_workers: 1 };
    let code = run(
        spec,
        |ini, _| {
            let config = StorageConfig::from_ini(ini)?;
            let (framework, warnings) = (config.framework.clone(), config.warnings.clone());
            Ok((config, framework, warnings))
        },
        serve,
    );
    std::process::exit(code);
}

async fn serve(config: StorageConfig, ready: Ready, mut stop: Stop) -> Result<(), String> {
    // A storage waits for a tracker as long as it takes; who started it need not.
    ready.release();
    let spare = Spare::withhold(&tokio::runtime::Handle::current());
    let world = World::real(spare).map_err(|error| error.to_string())?;
    let storage = tokio::select! {
        started = RunningStorage::start_in(world, config) => {
            started.map_err(|error| error.to_string())?
        }
        () = stop.wait() => return Ok(()),
    };
    ready.listening();
    tracing::info!(addr = %storage.addr(), "storage is serving");
    stop.wait().await;
    storage.shutdown().await.map_err(|error| format!("cannot save the state: {error}"))
}
