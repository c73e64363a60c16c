//! The one thread on which a run happens, and which host's turn it is.

use super::Network;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::runtime::{Builder, RngSeed};
use tokio::task::{Id, JoinHandle};

thread_local! {
    static NETWORK: RefCell<Option<Arc<Network>>> = const { RefCell::new(None) };
    /// The host of the task that runs now.
    static HOST: Cell<Option<IpAddr>> = const { Cell::new(None) };
    /// The host of each task: that of the task which spawned it.
    static HOSTS: RefCell<HashMap<Id, IpAddr>> = RefCell::new(HashMap::new());
}

/// Runs a scenario on a network of its own. Time stands still while anything can be done, and then
/// jumps to the next moment at which something can.
///
/// # Panics
///
/// Inside of another run, or of any runtime.
pub fn run<T, F: Future<Output = T>>(seed: u64, scenario: impl FnOnce(Arc<Network>) -> F) -> T {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true);
    builder.rng_seed(RngSeed::from_bytes(&seed.to_le_bytes()));
    builder.on_task_spawn(|task| {
        if let Some(host) = HOST.get() {
            HOSTS.with_borrow_mut(|hosts| hosts.insert(task.id(), host));
        }
    });
    builder.on_before_task_poll(|task| {
        HOST.set(HOSTS.with_borrow(|hosts| hosts.get(&task.id()).copied()));
    });
    builder.on_after_task_poll(|_| HOST.set(None));
    builder.on_task_terminate(|task| {
        HOSTS.with_borrow_mut(|hosts| hosts.remove(&task.id()));
    });
    // Dropped after the runtime, whose tasks may ask for the network while they end.
    let _end = End;
    let runtime = builder.build().unwrap_or_else(|error| panic!("no runtime: {error}"));
    runtime.block_on(async {
        let network = Arc::new(Network::new(seed));
        NETWORK.set(Some(network.clone()));
        scenario(network).await
    })
}

/// Leaves the thread as it was before a run.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        NETWORK.set(None);
        HOST.set(None);
        HOSTS.take();
    }
}

/// Runs a task on a host; what it spawns runs there, too.
pub fn spawn_on<T: Send + 'static>(
    host: IpAddr,
    task: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    let before = HOST.replace(Some(host));
    let task = tokio::spawn(task);
    HOST.set(before);
    task
}

pub(super) fn current() -> io::Result<Arc<Network>> {
    NETWORK.with_borrow(|network| network.clone()).ok_or_else(|| io::Error::other("no simulation"))
}

pub(super) fn current_host() -> Option<IpAddr> {
    HOST.get()
}
