//! What calls take from scripts.

use crate::call::millis;
use crate::failure::{invalid, thrown};
use fdfs_core::Result;
use fdfs_core::client::{self, ClientOptions};
use fdfs_core::file_id::FileId;
use napi::Env;
use napi::bindgen_prelude::FromNapiValue;
use napi_derive::napi;
use std::collections::HashMap;

/// Arguments of which not every value will do. What is wrong with one is thrown as an error of the
/// core.
macro_rules! arguments {
    ($($(#[$doc:meta])* $name:ident($from:ty => $into:ty) = $make:expr;)*) => {$(
        $(#[$doc])*
        pub struct $name(pub(crate) $into);

        impl FromNapiValue for $name {
            unsafe fn from_napi_value(
                env: napi::sys::napi_env,
                value: napi::sys::napi_value,
            ) -> napi::Result<Self> {
                // SAFETY: the caller's promises are passed on.
                let value = unsafe { <$from>::from_napi_value(env, value)? };
                let make: fn($from) -> Result<$into> = $make;
                make(value).map(Self).map_err(|error| thrown(&Env::from_raw(env), &error))
            }
        }
    )*};
}

arguments! {
    /// A file id.
    Id(String => FileId) = |text| text.parse();
    /// A number that may not be negative.
    Natural(i64 => u64) = |number| {
        u64::try_from(number).map_err(|_| invalid(format!("{number} is below 0")))
    };
    /// What a new file is to be.
    Place(NativeUpload => client::UploadOptions) = NativeUpload::into_options;
    /// What a client is to be.
    Settings(NativeOptions => ClientOptions) = NativeOptions::into_options;
}

/// What a client is told.
#[napi(object, object_to_js = false)]
pub struct NativeOptions {
    /// A `client.conf` to begin with.
    pub conf: Option<String>,
    /// `host[:port]` of each tracker.
    pub trackers: Option<Vec<String>>,
    /// Group of uploads that name none.
    pub group: Option<String>,
    /// Time until a connection must stand.
    pub connect_timeout_ms: Option<f64>,
    /// Time without a byte.
    pub io_timeout_ms: Option<f64>,
    /// Time of a whole call.
    pub timeout_ms: Option<f64>,
    /// Connections to one server.
    pub pool_size: Option<u32>,
    /// Time that a call waits for a connection.
    pub pool_wait_ms: Option<f64>,
    /// Time until an unused connection is closed.
    pub pool_idle_ms: Option<f64>,
    /// Attempts after the first.
    pub retries: Option<u32>,
    /// Advertised address to real address.
    pub address_map: Option<HashMap<String, String>>,
    /// Secret of tokens.
    pub token_secret: Option<String>,
}

impl NativeOptions {
    /// The same for the core.
    fn into_options(self) -> Result<ClientOptions> {
        let mut options = match (&self.conf, &self.trackers) {
            (Some(conf), _) => ClientOptions::from_conf(conf)?,
            (None, trackers) => ClientOptions::new(trackers.iter().flatten())?,
        };
        if let (Some(_), Some(trackers)) = (&self.conf, &self.trackers) {
            options.trackers = ClientOptions::new(trackers)?.trackers;
        }
        let times = [
            (self.connect_timeout_ms, &mut options.connect_timeout, "connectTimeoutMs"),
            (self.io_timeout_ms, &mut options.io_timeout, "ioTimeoutMs"),
            (self.pool_wait_ms, &mut options.pool_wait, "poolWaitMs"),
            (self.pool_idle_ms, &mut options.pool_idle, "poolIdleMs"),
        ];
        for (given, time, name) in times {
            if let Some(ms) = given {
                *time = millis(ms, name)?;
            }
        }
        if let Some(ms) = self.timeout_ms {
            options.timeout = Some(millis(ms, "timeoutMs")?);
        }
        if let Some(size) = self.pool_size {
            options.pool_size = usize::try_from(size)
                .ok()
                .filter(|size| *size > 0)
                .ok_or_else(|| invalid("poolSize 0: a client needs at least one connection"))?;
        }
        options.retries = self.retries.unwrap_or(options.retries);
        for (advertised, real) in self.address_map.iter().flatten() {
            options.address_map.insert(advertised, real)?;
        }
        options.group = self.group.or(options.group);
        options.token_secret = self.token_secret.or(options.token_secret);
        Ok(options)
    }
}

/// What an upload is told.
#[napi(object, object_to_js = false)]
pub struct NativeUpload {
    /// Extension without the dot.
    pub ext: Option<String>,
    /// Metadata to set.
    pub metadata: Option<HashMap<String, String>>,
    /// Group to upload to.
    pub group: Option<String>,
    /// Store path to upload to.
    pub store_path_index: Option<u32>,
    /// Whether the file may grow.
    pub appender: Option<bool>,
}

impl NativeUpload {
    /// The same for the core.
    fn into_options(self) -> Result<client::UploadOptions> {
        let index = self.store_path_index.map(|index| {
            u8::try_from(index).map_err(|_| invalid(format!("storePathIndex {index}: 0 to 255")))
        });
        Ok(client::UploadOptions {
            ext: self.ext,
            metadata: self.metadata.unwrap_or_default().into_iter().collect(),
            group: self.group,
            store_path_index: index.transpose()?,
            appender: self.appender.unwrap_or(false),
        })
    }
}
