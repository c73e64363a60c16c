//! Clients.

use crate::boundary::{free, handle, put, room, run};
use crate::call::{call_options, fdfs_call_options};
use crate::options::{client_options, fdfs_options};
use crate::texts::text;
use fdfs_core::Result;
use fdfs_core::client::blocking::Client;
use std::ffi::{c_char, c_int};

/// A client of one cluster. All threads may use it at the same time; only freeing it must be left
/// to the last. Make one and keep it: it holds the connections.
pub struct fdfs_client(Client);

impl fdfs_client {
    pub(crate) fn boxed(client: Client) -> *mut Self {
        Box::into_raw(Box::new(Self(client)))
    }

    /// The client to call.
    ///
    /// # Safety
    /// The pointer is NULL or a client that has not been freed.
    pub(crate) unsafe fn calls<'a>(client: *const Self) -> Result<&'a Client> {
        // SAFETY: as the caller promises.
        unsafe { handle(client, "client") }.map(|client| &client.0)
    }
}

/// Makes a client, which connects when it is used. End it with `fdfs_client_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_client_new(
    options: *const fdfs_options,
    out: *mut *mut fdfs_client,
) -> c_int {
    run(|| {
        room(out)?;
        // SAFETY: the rules of the header.
        let options = unsafe { client_options(options) }?;
        // SAFETY: the rules of the header.
        unsafe { put(out, fdfs_client::boxed(Client::new(options))) }
    })
}

/// Makes a client for the cluster of a `client.conf`. End it with `fdfs_client_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_client_from_conf(
    path: *const c_char,
    out: *mut *mut fdfs_client,
) -> c_int {
    run(|| {
        room(out)?;
        // SAFETY: the rules of the header.
        let client = Client::from_conf(unsafe { text(path, "path") }?)?;
        // SAFETY: the rules of the header.
        unsafe { put(out, fdfs_client::boxed(client)) }
    })
}

/// The same client, whose calls have these options: it shares the connections of the first. End it
/// with `fdfs_client_free`, too; the order does not matter.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_client_with(
    client: *const fdfs_client,
    options: *const fdfs_call_options,
    out: *mut *mut fdfs_client,
) -> c_int {
    run(|| {
        room(out)?;
        // SAFETY: the rules of the header.
        let (client, call) = unsafe { (fdfs_client::calls(client)?, call_options(options)?) };
        // SAFETY: the rules of the header.
        unsafe { put(out, fdfs_client::boxed(client.with(call))) }
    })
}

/// Closes all connections. Calls from now on fail with `FDFS_E_CLOSED`. Doing it again is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_client_close(client: *const fdfs_client) -> c_int {
    run(|| {
        // SAFETY: the rules of the header.
        unsafe { fdfs_client::calls(client) }?.close();
        Ok(())
    })
}

/// Ends a client; the last one that shares its connections closes them. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_client_free(client: *mut fdfs_client) {
    // SAFETY: the rules of the header.
    unsafe { free(client) }
}

/// Asks a tracker for a sign of life.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_ping(client: *const fdfs_client) -> c_int {
    // SAFETY: the rules of the header.
    run(|| unsafe { fdfs_client::calls(client) }?.ping())
}
