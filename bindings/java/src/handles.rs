//! What Java knows by number: clients, streams and clusters.

use fdfs_core::client::{Client, Feed, Feeder, Reader, Writer};
use fdfs_core::{Error, ErrorKind, Result};
use fdfs_servers::embedded::Background;
use jni::EnvUnowned;
use jni::jni_mangle;
use jni::objects::JClass;
use jni::sys::jlong;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::DuplexStream;

/// One of them. Java draws the numbers, of operations too, from one sequence.
#[derive(Clone)]
pub(crate) enum Handle {
    Client(Client),
    /// Both ends of an upload from a stream; a call takes the second.
    Feed(Feeder, Arc<Mutex<Option<Feed>>>),
    Content(Arc<tokio::sync::Mutex<Content>>),
    Writer(Arc<tokio::sync::Mutex<Option<Writer>>>),
    Cluster(Arc<Mutex<Background>>),
}

/// Content that Java fetches piece by piece.
pub(crate) enum Content {
    /// A file that was opened.
    File(Box<Reader>),
    /// What a download puts into its other end.
    Pipe(DuplexStream),
}

static HANDLES: Mutex<BTreeMap<jlong, Handle>> = Mutex::new(BTreeMap::new());

/// A lock whose holder panicked is as good as any other: nothing is changed half here.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Handle {
    /// Makes it known.
    pub(crate) fn keep(self, number: jlong) {
        lock(&HANDLES).insert(number, self);
    }
}

fn get<T>(number: jlong, what: &str, pick: impl FnOnce(Handle) -> Option<T>) -> Result<T> {
    let handle = lock(&HANDLES).get(&number).cloned();
    handle
        .and_then(pick)
        .ok_or_else(|| Error::new(ErrorKind::Closed, format!("the {what} is closed")))
}

macro_rules! getters {
    ($($name:ident($what:literal): $pattern:pat => $value:expr, $ty:ty;)*) => {$(
        #[doc = concat!("The ", $what, " with this number, unless it has been released.")]
        pub(crate) fn $name(number: jlong) -> Result<$ty> {
            get(number, $what, |handle| if let $pattern = handle { Some($value) } else { None })
        }
    )*};
}

getters! {
    client("client"): Handle::Client(it) => it, Client;
    feed("stream"): Handle::Feed(it, _) => it, Feeder;
    feed_end("stream"): Handle::Feed(_, it) => it, Arc<Mutex<Option<Feed>>>;
    content("stream"): Handle::Content(it) => it, Arc<tokio::sync::Mutex<Content>>;
    writer("stream"): Handle::Writer(it) => it, Arc<tokio::sync::Mutex<Option<Writer>>>;
    cluster("cluster"): Handle::Cluster(it) => it, Arc<Mutex<Background>>;
}

/// Forgets what has this number, if there is something: Java has closed it, or lost it.
#[jni_mangle("io.github.fdfs.Native")]
pub fn release<'l>(_env: EnvUnowned<'l>, _class: JClass<'l>, number: jlong) {
    let handle = lock(&HANDLES).remove(&number);
    match handle {
        Some(Handle::Client(client)) => client.close(),
        // Ending a cluster waits for its threads, which nobody here has time for.
        Some(Handle::Cluster(cluster)) => drop(std::thread::spawn(move || drop(cluster))),
        _ => {}
    }
}
