//! What the core logs, on its way to Java.

use crate::java;
use jni::objects::JClass;
use jni::sys::jint;
use jni::{EnvUnowned, jni_mangle};
use std::fmt::{self, Write as _};
use std::sync::Once;
use std::sync::atomic::{AtomicI32, Ordering};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Levels in the order of their numbers on both sides; 0 is off.
const LEVELS: [LevelFilter; 6] = [
    LevelFilter::OFF,
    LevelFilter::ERROR,
    LevelFilter::WARN,
    LevelFilter::INFO,
    LevelFilter::DEBUG,
    LevelFilter::TRACE,
];

static LEVEL: AtomicI32 = AtomicI32::new(0);

fn filter() -> LevelFilter {
    let level = usize::try_from(LEVEL.load(Ordering::Relaxed)).unwrap_or(0);
    LEVELS.get(level).copied().unwrap_or(LevelFilter::TRACE)
}

fn number(level: Level) -> jint {
    LEVELS
        .iter()
        .position(|filter| *filter == level)
        .map_or(0, |at| jint::try_from(at).unwrap_or(0))
}

/// Sets how much is logged: 0 nothing, 1 errors, … 5 everything.
#[jni_mangle("io.github.fdfs.Native")]
pub fn log_level<'l>(_env: EnvUnowned<'l>, _class: JClass<'l>, level: jint) {
    static INSTALLED: Once = Once::new();
    LEVEL.store(level, Ordering::Relaxed);
    INSTALLED.call_once(|| {
        // Nobody else sets one: this library has its own copy of the `tracing` crate.
        let _ = tracing::subscriber::set_global_default(ToJava);
    });
    tracing::callsite::rebuild_interest_cache();
}

/// Hands events to Java as lines. Spans are not kept: the events say what matters.
struct ToJava;

impl Subscriber for ToJava {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= filter()
    }
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(filter())
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        java::log(number(*event.metadata().level()), &line.0);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// The message of an event, and its fields behind it.
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => {
                let rest = std::mem::take(&mut self.0);
                write!(self.0, "{value:?}{rest}")
            }
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}
