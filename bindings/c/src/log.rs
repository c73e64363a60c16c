//! What the library has to say, for a callback of the application. Nothing is ever printed.

use crate::boundary::{invalid, quietly, run};
use crate::call::Context;
use crate::texts::c_text;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::fmt::Write as _;
use std::sync::{PoisonError, RwLock};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context as LayerContext, Layer, SubscriberExt as _};

/// How much a log callback is told.
#[repr(C)]
pub enum fdfs_log_level {
    /// What needs someone's attention.
    FDFS_LOG_ERROR = 1,
    /// What may.
    FDFS_LOG_WARNING = 2,
    /// What happens.
    FDFS_LOG_INFO = 3,
    /// Everything.
    FDFS_LOG_DEBUG = 4,
}

/// Takes one line. Called on any thread, but on one at a time; must not call this library.
pub type fdfs_log_cb =
    Option<unsafe extern "C" fn(ctx: *mut c_void, level: c_int, message: *const c_char)>;

#[derive(Clone, Copy)]
struct Target {
    callback: unsafe extern "C" fn(*mut c_void, c_int, *const c_char),
    context: Context,
    level: c_int,
}

static TARGET: RwLock<Option<Target>> = RwLock::new(None);

fn number(level: Level) -> c_int {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        _ => 4,
    }
}

struct ToCallback;

impl<S: Subscriber> Layer<S> for ToCallback {
    fn enabled(&self, event: &Metadata<'_>, _: LayerContext<'_, S>) -> bool {
        let target = TARGET.read().unwrap_or_else(PoisonError::into_inner);
        target.is_some_and(|target| number(*event.level()) <= target.level)
    }

    fn on_event(&self, event: &Event<'_>, _: LayerContext<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        let level = number(*event.metadata().level());
        tell(level, &c_text(&format!("{}{}", line.message, line.fields)));
    }
}

fn tell(level: c_int, message: &CStr) {
    let target = TARGET.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(target) = *target {
        // SAFETY: the rules of the header.
        unsafe { (target.callback)(target.context.pointer(), level, message.as_ptr()) };
    }
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a text cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

/// From now on `callback` is told what happens, up to `level` (`FDFS_LOG_…`); NULL ends that. There
/// is one for the process.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdfs_set_log_callback(
    callback: fdfs_log_cb,
    ctx: *mut c_void,
    level: c_int,
) -> c_int {
    run(|| {
        if !(1..=4).contains(&level) {
            return Err(invalid("the level is 1 to 4"));
        }
        let target = callback.map(|callback| Target { callback, context: Context(ctx), level });
        *TARGET.write().unwrap_or_else(PoisonError::into_inner) = target;
        // A second time there is one already, ours or that of a program in Rust.
        let _ = tracing::subscriber::set_global_default(
            tracing_subscriber::registry().with(ToCallback),
        );
        tracing::callsite::rebuild_interest_cache();
        Ok(())
    })
}

/// Version of the library, such as `"0.1.0"`.
#[unsafe(no_mangle)]
pub extern "C" fn fdfs_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// Name of a code, such as `"not_found"`; `"ok"` for 0 and `"unknown"` for what is none.
#[unsafe(no_mangle)]
pub extern "C" fn fdfs_code_name(code: c_int) -> *const c_char {
    use fdfs_core::ErrorKind;
    static NAMES: std::sync::OnceLock<Vec<std::ffi::CString>> = std::sync::OnceLock::new();
    quietly(c"unknown".as_ptr(), || {
        if code == 0 {
            return c"ok".as_ptr();
        }
        let names =
            NAMES.get_or_init(|| ErrorKind::ALL.iter().map(|kind| c_text(kind.name())).collect());
        let at = ErrorKind::ALL.iter().position(|kind| kind.number() == code);
        at.and_then(|at| names.get(at)).map_or(c"unknown".as_ptr(), |name| name.as_ptr())
    })
}
