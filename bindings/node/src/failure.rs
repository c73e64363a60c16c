//! Errors of the core as JavaScript sees them: `Error` objects with fields, from which the package
//! makes its own class.

use fdfs_core::{Error, ErrorKind};
use napi::bindgen_prelude::{JsValue, Object};
use napi::{Env, Status};
use napi_derive::napi;

/// Causes of causes that are told.
const DEPTH_MAX: usize = 8;

/// A kind of error.
#[napi(object)]
pub struct Kind {
    /// Its stable name.
    pub name: String,
    /// Its stable number.
    pub number: i32,
    /// Whether the same call may succeed later or elsewhere.
    pub retryable: bool,
}

/// All kinds of errors, by number.
#[napi(catch_unwind)]
pub fn kinds() -> Vec<Kind> {
    let kind = |kind: &ErrorKind| Kind {
        name: kind.name().to_owned(),
        number: kind.number(),
        retryable: kind.retryable(),
    };
    ErrorKind::ALL.iter().map(kind).collect()
}

/// A complaint about what the script passed.
pub(crate) fn invalid(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, text)
}

/// The error to throw or to reject with.
pub(crate) fn thrown(env: &Env, error: &Error) -> napi::Error {
    match object(env, error, DEPTH_MAX) {
        Ok(object) => object.to_unknown().into(),
        // The environment is ending: nobody will see this.
        Err(failed) => failed,
    }
}

fn object<'env>(
    env: &'env Env,
    error: &(dyn std::error::Error + 'static),
    depth: usize,
) -> napi::Result<Object<'env>> {
    let made = napi::Error::new(Status::GenericFailure, error.to_string());
    let mut object = env.create_error(made)?;
    if let Some(error) = error.downcast_ref::<Error>() {
        object.set("kind", error.kind().name())?;
        object.set("server", error.peer())?;
        object.set("command", error.command().map(|command| u32::from(command.0)))?;
        object.set("fileId", error.file_id())?;
        object.set("errno", error.status().map(|status| u32::from(status.0)))?;
        object.set("retryable", error.retryable())?;
        object.set("outcomeUnknown", error.outcome_unknown())?;
    }
    if let Some(error) = error.downcast_ref::<std::io::Error>() {
        object.set("osError", error.raw_os_error())?;
    }
    if let Some(cause) = error.source().filter(|_| depth > 0) {
        object.set("cause", self::object(env, cause, depth - 1)?)?;
    }
    Ok(object)
}
