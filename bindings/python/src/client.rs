//! Every operation of the client, once.

use crate::body::{Pipe, Shared, Sink, Source, Target};
use crate::call::{Call, How, detached, seconds};
use crate::errors::{invalid, raise};
use crate::fork::Owned;
use crate::values::{Id, ToPython, number};
use fdfs_core::client::{Client, ClientOptions, Metadata, Range, UploadOptions};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

type Answer<'py> = PyResult<Bound<'py, PyAny>>;

/// Extension, metadata, group, store path and whether the file can grow.
type Upload<'py> =
    (Option<String>, Option<Metadata>, Option<String>, Option<Bound<'py, PyAny>>, bool);

/// The first byte and the number of bytes.
type Part<'py> = (Bound<'py, PyAny>, Option<Bound<'py, PyAny>>);

fn upload_options(upload: Upload<'_>) -> PyResult<UploadOptions> {
    let (ext, metadata, group, store_path_index, appender) = upload;
    let index = store_path_index.map(|index| number(&index, "store_path_index")).transpose()?;
    Ok(UploadOptions {
        ext,
        metadata: metadata.unwrap_or_default(),
        group,
        store_path_index: index,
        appender,
    })
}

fn range((offset, length): &Part<'_>) -> PyResult<Range> {
    let length = length.as_ref().map(|length| number::<i64>(length, "length"));
    let length = match length.transpose()? {
        Some(length) => Some(
            u64::try_from(length)
                .map_err(|_| invalid(offset.py(), format!("length cannot be {length}")))?,
        ),
        None => None,
    };
    Ok(Range { offset: number(offset, "offset")?, length })
}

/// One client with its connections.
#[pyclass(frozen, module = "fdfs._native")]
pub(crate) struct Core {
    client: Owned<Client>,
}

impl Core {
    fn call<'py>(&self, py: Python<'py>, how: How<'py>) -> PyResult<(Call<'py>, Client)> {
        Call::of(&self.client, py, how)
    }

    /// A call that sends content.
    fn send<'py, T, F, G>(
        &self,
        how: How<'py>,
        (data, size): (&Bound<'py, PyAny>, Option<i64>),
        whole: impl FnOnce(Client, Shared) -> F,
        stream: impl FnOnce(Client, Box<dyn tokio::io::AsyncRead + Send + Unpin>, Option<u64>) -> G,
    ) -> Answer<'py>
    where
        T: ToPython,
        F: Future<Output = fdfs_core::Result<T>> + Send + 'static,
        G: Future<Output = fdfs_core::Result<T>> + Send + 'static,
    {
        let source = Source::of(data, size)?;
        let (mut call, client) = self.call(data.py(), how)?;
        match source {
            Source::Bytes(content) => {
                call.keep(&content);
                call.run(whole(client, content))
            }
            Source::Stream(reader, size) => call.run(stream(client, reader, size)),
        }
    }
}

fn apply(options: &mut ClientOptions, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = value.py();
    match name {
        "trackers" => {
            let lines: Vec<String> = value.extract()?;
            options.trackers =
                ClientOptions::new(lines).map_err(|error| raise(py, &error))?.trackers;
        }
        "group" => options.group = value.extract()?,
        "connect_timeout" => options.connect_timeout = seconds(py, value.extract()?, name)?,
        "io_timeout" => options.io_timeout = seconds(py, value.extract()?, name)?,
        "timeout" => {
            let timeout: Option<f64> = value.extract()?;
            options.timeout = timeout.map(|timeout| seconds(py, timeout, name)).transpose()?;
        }
        "pool_size" => {
            let size: u32 = number(value, name)?;
            if size == 0 {
                return Err(invalid(py, "pool_size must be at least 1"));
            }
            options.pool_size = usize::try_from(size).unwrap_or(usize::MAX);
        }
        "retries" => options.retries = number(value, name)?,
        "address_map" => {
            for (advertised, real) in value.cast::<PyDict>()?.iter() {
                let (advertised, real): (String, String) = (advertised.extract()?, real.extract()?);
                let inserted = options.address_map.insert(&advertised, &real);
                inserted.map_err(|error| raise(py, &error))?;
            }
        }
        "token_secret" => options.token_secret = value.extract()?,
        _ => return Err(PyTypeError::new_err(format!("a client has no option {name:?}"))),
    }
    Ok(())
}

#[pymethods]
impl Core {
    /// A client with the options of a `client.conf`, or of none, and those given by name.
    #[new]
    fn new(py: Python<'_>, conf: Option<PathBuf>, options: &Bound<'_, PyDict>) -> PyResult<Self> {
        let mut all = match conf {
            Some(path) => detached(py, || ClientOptions::from_conf(path))?,
            None => {
                let trackers: Option<Bound<'_, PyAny>> = options.get_item("trackers")?;
                let trackers = trackers.map(|trackers| trackers.extract()).transpose()?;
                let trackers: Vec<String> = trackers.unwrap_or_default();
                ClientOptions::new(trackers).map_err(|error| raise(py, &error))?
            }
        };
        for (name, value) in options.iter() {
            apply(&mut all, &name.extract::<String>()?, &value)?;
        }
        Ok(Self { client: Owned::new(detached(py, || Ok(all.connect()))?) })
    }

    /// The trackers, as configured.
    #[getter]
    fn trackers(&self) -> Vec<String> {
        self.client.options().trackers.iter().map(ToString::to_string).collect()
    }

    fn upload<'py>(
        &self,
        how: How<'py>,
        data: &Bound<'py, PyAny>,
        size: Option<i64>,
        options: Upload<'py>,
    ) -> Answer<'py> {
        let options = upload_options(options)?;
        let again = options.clone();
        self.send(
            how,
            (data, size),
            |client, data| async move { client.upload(data, options).await },
            |client, data, size| async move { client.upload_reader(data, size, again).await },
        )
    }

    fn upload_file<'py>(
        &self,
        py: Python<'py>,
        how: How<'py>,
        path: PathBuf,
        options: Upload<'py>,
    ) -> Answer<'py> {
        let options = upload_options(options)?;
        let (call, client) = self.call(py, how)?;
        call.run(async move { client.upload_file(path, options).await })
    }

    fn upload_slave<'py>(
        &self,
        how: How<'py>,
        master: Id,
        prefix: String,
        data: &Bound<'py, PyAny>,
        size: Option<i64>,
        options: Upload<'py>,
    ) -> Answer<'py> {
        let options = upload_options(options)?;
        let (id, name, again) = (master.0.clone(), prefix.clone(), options.clone());
        self.send(
            how,
            (data, size),
            |client, data| async move {
                client.upload_slave(&master.0, &prefix, data, options).await
            },
            |client, data, size| async move {
                client.upload_slave_reader(&id, &name, data, size, again).await
            },
        )
    }

    fn append<'py>(
        &self,
        how: How<'py>,
        id: Id,
        data: &Bound<'py, PyAny>,
        size: Option<i64>,
    ) -> Answer<'py> {
        let again = id.0.clone();
        self.send(
            how,
            (data, size),
            |client, data| async move { client.append(&id.0, data).await },
            |client, data, size| async move { client.append_reader(&again, data, size).await },
        )
    }

    fn modify<'py>(
        &self,
        how: How<'py>,
        id: Id,
        offset: &Bound<'py, PyAny>,
        data: &Bound<'py, PyAny>,
        size: Option<i64>,
    ) -> Answer<'py> {
        let offset = number(offset, "offset")?;
        let again = id.0.clone();
        self.send(
            how,
            (data, size),
            |client, data| async move { client.modify(&id.0, offset, data).await },
            |client, data, size| async move {
                client.modify_reader(&again, offset, data, size).await
            },
        )
    }

    fn truncate<'py>(&self, how: How<'py>, id: Id, size: &Bound<'py, PyAny>) -> Answer<'py> {
        let py = size.py();
        let size = number(size, "size")?;
        let (call, client) = self.call(py, how)?;
        call.run(async move { client.truncate(&id.0, size).await })
    }

    fn finalize<'py>(&self, py: Python<'py>, how: How<'py>, id: Id) -> Answer<'py> {
        let (call, client) = self.call(py, how)?;
        call.run(async move { client.finalize(&id.0).await })
    }

    fn create<'py>(
        &self,
        py: Python<'py>,
        how: How<'py>,
        options: Upload<'py>,
        finalize: bool,
    ) -> Answer<'py> {
        let options = upload_options(options)?;
        let (call, client) = self.call(py, how)?;
        call.run(async move { client.create(options, finalize).await })
    }

    fn download<'py>(
        &self,
        py: Python<'py>,
        how: How<'py>,
        id: Id,
        part: Part<'py>,
    ) -> Answer<'py> {
        let range = range(&part)?;
        let (call, client) = self.call(py, how)?;
        // Where the id tells the size, content is received where it will stay. What an id says may
        // be wrong: memory that is not there is no reason to fail.
        let known = known_len(&id, range).and_then(|len| Target::bytes(py, len).ok());
        match known {
            Some(mut target) => call.run(async move {
                let read = client.download_into(&id.0, target.memory(), range.offset).await?;
                Ok((target, read))
            }),
            None => call.run(async move { client.download(&id.0, range).await }),
        }
    }

    fn download_into<'py>(
        &self,
        how: How<'py>,
        id: Id,
        buffer: &Bound<'py, PyAny>,
        offset: &Bound<'py, PyAny>,
    ) -> Answer<'py> {
        let offset = number(offset, "offset")?;
        let mut target = Target::buffer(buffer)?;
        let (mut call, client) = self.call(buffer.py(), how)?;
        call.lends();
        call.run(async move {
            let read = client.download_into(&id.0, target.memory(), offset).await?;
            Ok((target, read))
        })
    }

    fn download_file<'py>(
        &self,
        py: Python<'py>,
        how: How<'py>,
        id: Id,
        path: PathBuf,
        part: Part<'py>,
    ) -> Answer<'py> {
        let range = range(&part)?;
        let (call, client) = self.call(py, how)?;
        call.run(async move { client.download_file(&id.0, path, range).await })
    }

    /// To a pipe, or, where the calling thread waits and can write it, a file object.
    fn download_to<'py>(
        &self,
        how: How<'py>,
        id: Id,
        sink: &Bound<'py, PyAny>,
        part: Part<'py>,
    ) -> Answer<'py> {
        let range = range(&part)?;
        let (call, client) = self.call(sink.py(), how)?;
        if let Ok(pipe) = sink.cast::<Pipe>() {
            let mut sink = pipe.get().end(sink.py())?;
            return call.run(async move { client.download_to(&id.0, &mut sink, range).await });
        }
        if !sink.hasattr("write")? {
            return Err(PyTypeError::new_err("a binary file object with write() is needed"));
        }
        let mut sink = Sink(sink.clone().unbind());
        call.run(async move { client.download_to(&id.0, &mut sink, range).await })
    }

    fn open<'py>(&self, py: Python<'py>, how: How<'py>, id: Id, part: Part<'py>) -> Answer<'py> {
        let range = range(&part)?;
        let (call, client) = self.call(py, how)?;
        call.run(async move { client.open(&id.0, range).await })
    }

    fn delete<'py>(&self, py: Python<'py>, how: How<'py>, id: Id, missing_ok: bool) -> Answer<'py> {
        let (call, client) = self.call(py, how)?;
        call.run(async move { client.delete(&id.0, missing_ok).await })
    }

    fn exists<'py>(&self, py: Python<'py>, how: How<'py>, id: Id) -> Answer<'py> {
        let (call, client) = self.call(py, how)?;
        call.run(async move { client.exists(&id.0).await })
    }

    fn stat<'py>(&self, py: Python<'py>, how: How<'py>, id: Id) -> Answer<'py> {
        let (call, client) = self.call(py, how)?;
        call.run(async move { client.stat(&id.0).await })
    }

    fn get_metadata<'py>(&self, py: Python<'py>, how: How<'py>, id: Id) -> Answer<'py> {
        let (call, client) = self.call(py, how)?;
        call.run(async move { client.get_metadata(&id.0).await })
    }

    fn set_metadata<'py>(
        &self,
        py: Python<'py>,
        how: How<'py>,
        id: Id,
        items: Metadata,
        merge: bool,
    ) -> Answer<'py> {
        let (call, client) = self.call(py, how)?;
        call.run(async move { client.set_metadata(&id.0, &items, merge).await })
    }

    fn list_groups<'py>(&self, py: Python<'py>, how: How<'py>) -> Answer<'py> {
        let (call, client) = self.call(py, how)?;
        call.run(async move { client.list_groups().await })
    }

    fn list_storages<'py>(
        &self,
        py: Python<'py>,
        how: How<'py>,
        group: String,
        storage: Option<String>,
    ) -> Answer<'py> {
        let (call, client) = self.call(py, how)?;
        call.run(async move { client.list_storages(&group, storage.as_deref()).await })
    }

    fn list_trackers<'py>(&self, py: Python<'py>, how: How<'py>) -> Answer<'py> {
        let (call, client) = self.call(py, how)?;
        call.run(async move { client.list_trackers().await })
    }

    fn locate<'py>(&self, py: Python<'py>, how: How<'py>, id: Id, all: bool) -> Answer<'py> {
        let (call, client) = self.call(py, how)?;
        call.run(async move { client.locate(&id.0, all).await })
    }

    fn pick_upload<'py>(
        &self,
        py: Python<'py>,
        how: How<'py>,
        group: Option<String>,
    ) -> Answer<'py> {
        let (call, client) = self.call(py, how)?;
        call.run(async move { client.pick_upload(group.as_deref()).await })
    }

    fn ping<'py>(&self, py: Python<'py>, how: How<'py>) -> Answer<'py> {
        let (call, client) = self.call(py, how)?;
        call.run(async move { client.ping().await })
    }

    fn delete_storage<'py>(
        &self,
        py: Python<'py>,
        how: How<'py>,
        group: String,
        storage: String,
    ) -> Answer<'py> {
        let (call, client) = self.call(py, how)?;
        call.run(async move { client.admin().delete_storage(&group, &storage).await })
    }

    fn delete_group<'py>(&self, py: Python<'py>, how: How<'py>, group: String) -> Answer<'py> {
        let (call, client) = self.call(py, how)?;
        call.run(async move { client.admin().delete_group(&group).await })
    }

    fn set_trunk_server<'py>(
        &self,
        py: Python<'py>,
        how: How<'py>,
        group: String,
        storage: Option<String>,
    ) -> Answer<'py> {
        let (call, client) = self.call(py, how)?;
        call.run(async move { client.admin().set_trunk_server(&group, storage.as_deref()).await })
    }

    fn http_url(&self, id: Id, base: &str, filename: Option<&str>, expires: Option<u32>) -> String {
        let expires = expires.map(|secs| UNIX_EPOCH + Duration::from_secs(secs.into()));
        self.client.http_url(&id.0, base, filename, expires)
    }

    fn pool_stats<'py>(&self, py: Python<'py>) -> Answer<'py> {
        self.client.pool_stats().to_python(py)
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        detached(py, || {
            if self.client.is_ours() {
                self.client.close();
            }
            Ok(())
        })
    }
}

/// How many bytes a download will have, where the id tells.
fn known_len(id: &Id, range: Range) -> Option<usize> {
    let (size, offset) = (id.0.size()?, u64::try_from(range.offset).ok()?);
    let left = size.checked_sub(offset)?;
    let len = range.length.map_or(left, |length| length.min(left));
    // Nothing to read means nothing is asked; whether the file is there must be.
    usize::try_from(len).ok().filter(|len| *len > 0)
}
