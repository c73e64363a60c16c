//! Work that may keep a thread waiting.

/// Hands work to a thread that may wait.
#[cfg(not(feature = "sim"))]
pub(crate) fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    tokio::task::spawn_blocking(work)
}

/// Does the work here and now: threads would make simulated runs differ.
#[cfg(feature = "sim")]
pub(crate) fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> std::future::Ready<Result<T, tokio::task::JoinError>> {
    std::future::ready(Ok(work()))
}
