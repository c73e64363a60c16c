//! The native half of the Java client: the functions behind `io.github.fdfs.Native`.
//!
//! Each of them takes the number of an operation, starts it and returns; the answer comes later,
//! from a thread of the core, through `Native.complete` or `Native.fail`. Whatever lives longer
//! than a call (clients, streams, clusters) is known to Java by a number only, so that a number
//! used too late is an error and never a stray pointer. Nothing here knows the protocol.
#![allow(unreachable_pub, reason = "the macro that names native functions wants them public")]
#![allow(clippy::too_many_arguments, reason = "native functions have as many as they need")]

mod answer;
mod clients;
mod content;
mod embedded;
mod handles;
mod java;
mod log;
mod ops;
mod quick;
mod running;
mod streams;
mod transfers;

use jni::sys::{JNI_ERR, JNI_VERSION_1_8, jint};
use jni::vm::JavaVM;
use std::ffi::c_void;

/// Called by the virtual machine when it loads this library.
///
/// # Safety
/// `vm` must point to the virtual machine.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn JNI_OnLoad(
    vm: *mut jni::sys::JavaVM,
    _reserved: *mut c_void,
) -> jint {
    // SAFETY: the virtual machine passes a pointer to itself, valid as long as it lives.
    let vm = unsafe { JavaVM::from_raw(vm) };
    match vm.with_top_local_frame(java::find_methods) {
        Ok(()) => JNI_VERSION_1_8,
        Err(_) => JNI_ERR,
    }
}
