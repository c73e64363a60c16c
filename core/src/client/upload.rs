//! Uploading and changing files.

use super::exchange::Query;
use super::options::{CallOptions, UploadOptions, ext_of};
use super::source::{Content, local};
use super::types::UploadTarget;
use super::{Client, Writer, group_of, metadata};
use crate::error::{Error, ErrorKind, Result};
use crate::file_id::FileId;
use crate::file_id::generate::is_ext;
use crate::net::Pooled;
use crate::protocol::storage::{
    Append, META_OVERWRITE, Modify, StoredAs, Truncate, Upload, UploadSlave,
};
use crate::protocol::{Command, Ext, Prefix};
use crate::route::pause;
use crate::wire::Wire;
use std::path::Path;
use tokio::io::AsyncRead;

impl Client {
    /// Uploads bytes and returns the new file's id.
    pub async fn upload(&self, data: impl AsRef<[u8]>, options: UploadOptions) -> Result<FileId> {
        self.upload_content(Content::Bytes(data.as_ref()), options).await
    }

    /// Uploads what `reader` gives. Without a size it is read to its end first: up to 8 MiB into
    /// memory, more into a temporary file.
    pub async fn upload_reader(
        &self,
        reader: impl AsyncRead + Send + Unpin,
        size: Option<u64>,
        options: UploadOptions,
    ) -> Result<FileId> {
        let content = Content::stream(reader, size).await?;
        self.upload_content(content, options).await
    }

    /// Uploads a local file; its extension is taken from its name unless given.
    pub async fn upload_file(
        &self,
        path: impl AsRef<Path>,
        mut options: UploadOptions,
    ) -> Result<FileId> {
        let path = path.as_ref();
        let what = || format!("opening {}", path.display());
        let file = tokio::fs::File::open(path).await.map_err(|error| local(&what(), error))?;
        let meta = file.metadata().await.map_err(|error| local(&what(), error))?;
        if !meta.is_file() {
            let text = format!("{} is not a regular file", path.display());
            return Err(Error::new(ErrorKind::InvalidArgument, text));
        }
        if options.ext.is_none() {
            options.ext = ext_of(path);
        }
        self.upload_reader(file, Some(meta.len()), options).await
    }

    async fn upload_content(&self, content: Content<'_>, options: UploadOptions) -> Result<FileId> {
        let ext = check_ext(options.ext.as_deref())?;
        let items = metadata::pack(&options.metadata)?;
        let call = options.call.clone();
        let work = async {
            let (mut conn, target) = self.reach_for_upload(&options).await?;
            let command = match options.appender {
                true => Command::UPLOAD_APPENDER_FILE,
                false => Command::UPLOAD_FILE,
            };
            let content_len = i64::try_from(content.size()).unwrap_or(i64::MAX);
            let store_path = options.store_path_index.unwrap_or(target.store_path_index);
            let head = Upload { store_path, content_len, ext };
            let stored: StoredAs = send(&mut conn, command, &head, content, &options.call).await?;
            let id = FileId::new(&stored.group.to_string(), &stored.name.to_string())?;
            if !items.is_empty() {
                let request = metadata::request(&id, items, META_OVERWRITE)?;
                // The file is stored whatever comes of this; the error must say where.
                conn.call::<()>(Command::SET_METADATA, &request)
                    .await
                    .map_err(|error| error.with_file_id(id.as_str()))?;
            }
            Ok(id)
        };
        self.bounded(&call, true, work).await
    }

    /// Lends a connection to a storage that takes uploads, asking for another while storages
    /// cannot be reached.
    async fn reach_for_upload(&self, options: &UploadOptions) -> Result<(Pooled, UploadTarget)> {
        for attempt in 0.. {
            let target = self.target(options.group.as_deref()).await?;
            match self.0.pool.get(&target.server.host, target.server.port, false).await {
                Ok(conn) => return Ok((conn, target)),
                Err(error)
                    if error.kind() == ErrorKind::Connect && attempt < self.options().retries =>
                {
                    tracing::debug!(%error, "storage cannot be reached, asking for another");
                    tokio::time::sleep(pause(self.chance())).await;
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::new(ErrorKind::NoServer, "no storage takes uploads"))
    }

    /// Uploads a slave of `master`: a file whose name is the master's with a prefix added.
    pub async fn upload_slave(
        &self,
        master: &FileId,
        prefix: &str,
        data: impl AsRef<[u8]>,
        options: UploadOptions,
    ) -> Result<FileId> {
        let ext = check_ext(options.ext.as_deref())?;
        let prefix = Prefix::try_from(prefix).ok().filter(|prefix| !prefix.is_empty());
        let prefix = prefix.ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, "a slave's prefix has 1 to 16 characters")
        })?;
        let items = metadata::pack(&options.metadata)?;
        let content = Content::Bytes(data.as_ref());
        let work = async {
            let mut conn = self.reach(Query::Update, master).await?;
            let content_len = i64::try_from(content.size()).unwrap_or(i64::MAX);
            let head = UploadSlave { master: master.name(), content_len, prefix, ext };
            let command = Command::UPLOAD_SLAVE_FILE;
            let stored: StoredAs = send(&mut conn, command, &head, content, &options.call)
                .await
                .map_err(|error| error.with_file_id(master.as_str()))?;
            let id = FileId::new(&stored.group.to_string(), &stored.name.to_string())?;
            if !items.is_empty() {
                let request = metadata::request(&id, items, META_OVERWRITE)?;
                conn.call::<()>(Command::SET_METADATA, &request)
                    .await
                    .map_err(|error| error.with_file_id(id.as_str()))?;
            }
            Ok(id)
        };
        self.bounded(&options.call, true, work).await
    }

    /// Adds bytes to the end of an appender file.
    pub async fn append(&self, id: &FileId, data: impl AsRef<[u8]>) -> Result<()> {
        self.append_content(id, Content::Bytes(data.as_ref())).await
    }

    /// Adds what `reader` gives to the end of an appender file.
    pub async fn append_reader(
        &self,
        id: &FileId,
        reader: impl AsyncRead + Send + Unpin,
        size: Option<u64>,
    ) -> Result<()> {
        let content = Content::stream(reader, size).await?;
        self.append_content(id, content).await
    }

    async fn append_content(&self, id: &FileId, content: Content<'_>) -> Result<()> {
        let content_len = i64::try_from(content.size()).unwrap_or(i64::MAX);
        // Some servers answer an append of nothing with the request itself (spec 01 Q4).
        if content_len == 0 {
            return Ok(());
        }
        let head = Append { name: id.name(), content_len };
        self.change(id, Command::APPEND_FILE, &head, content).await
    }

    /// Overwrites part of an appender file; `offset` is at most its size.
    pub async fn modify(&self, id: &FileId, offset: u64, data: impl AsRef<[u8]>) -> Result<()> {
        let content = Content::Bytes(data.as_ref());
        let content_len = i64::try_from(content.size()).unwrap_or(i64::MAX);
        if content_len == 0 {
            return Ok(());
        }
        let offset = i64::try_from(offset)
            .map_err(|_| Error::new(ErrorKind::InvalidArgument, "offset beyond all files"))?;
        let head = Modify { name: id.name(), offset, content_len };
        self.change(id, Command::MODIFY_FILE, &head, content).await
    }

    async fn change(
        &self,
        id: &FileId,
        command: Command,
        head: &impl Wire,
        content: Content<'_>,
    ) -> Result<()> {
        let call = CallOptions::default();
        let work = async {
            let mut conn = self.reach(Query::Update, id).await?;
            send::<()>(&mut conn, command, head, content, &call)
                .await
                .map_err(|error| error.with_file_id(id.as_str()))
        };
        self.bounded(&call, true, work).await
    }

    /// Sets the size of an appender file; a larger one extends it with zero bytes.
    pub async fn truncate(&self, id: &FileId, size: u64) -> Result<()> {
        let size = i64::try_from(size)
            .map_err(|_| Error::new(ErrorKind::InvalidArgument, "size beyond all files"))?;
        let head = Truncate { name: id.name(), size };
        // The original echoes the request when there is nothing to do (spec 01 Q4).
        let command = (Command::TRUNCATE_FILE, 0);
        let work = self.on_storage::<crate::wire::Rest>(Query::Update, id, command, &head);
        self.bounded(&CallOptions::default(), true, work).await.map(|_| ())
    }

    /// Turns an appender file into a normal one and returns its new id; the old one is gone.
    pub async fn finalize(&self, id: &FileId) -> Result<FileId> {
        let name = id.name();
        let command = (Command::REGENERATE_APPENDER_FILENAME, 0);
        let work = self.on_storage(Query::Update, id, command, &name);
        let stored: StoredAs = self.bounded(&CallOptions::default(), true, work).await?;
        FileId::new(&stored.group.to_string(), &stored.name.to_string())
    }

    /// Begins a file that is written piece by piece. With `finalize` it becomes a normal file at
    /// the end, otherwise it stays an appender file.
    pub async fn create(&self, mut options: UploadOptions, finalize: bool) -> Result<Writer> {
        options.appender = true;
        let id = self.upload(b"", options).await?;
        Ok(Writer::new(self.clone(), id, finalize))
    }

    /// The storage the tracker would send an upload to.
    pub async fn pick_upload(&self, group: Option<&str>) -> Result<UploadTarget> {
        self.target(group).await
    }

    /// Storages that hold a file: one, or all of them.
    pub async fn locate(&self, id: &FileId, all: bool) -> Result<Vec<super::ServerAddress>> {
        group_of(id)?;
        self.find(if all { Command::QUERY_FETCH_ALL } else { Command::QUERY_FETCH }, id).await
    }
}

/// One exchange with content. Nothing of it is repeated: the content may have had its effect.
async fn send<R: Wire>(
    conn: &mut Pooled,
    command: Command,
    head: &impl Wire,
    content: Content<'_>,
    call: &CallOptions,
) -> Result<R> {
    let exchange = async {
        conn.start(command, 0, &head.encode(), content.size()).await?;
        match content.send(conn, command, call).await {
            // Whether all was sent or the server answered early: its answer counts.
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::LocalIo => return Err(error),
            Err(error) => {
                // A server that refuses closes its side; what it said may still be readable.
                let said = conn.read_header(command).await;
                return Err(said.err().filter(|said| said.status().is_some()).unwrap_or(error));
            }
        }
        let body = conn.read_message(command).await?;
        R::decode(&body).map_err(|error| {
            let broken = Error::new(ErrorKind::Protocol, "the reply breaks the protocol");
            broken.with_command(command).with_source(error)
        })
    };
    exchange.await.map_err(|error| match error.status() {
        None if error.kind() != ErrorKind::LocalIo => error.with_outcome_unknown(),
        _ => error,
    })
}

fn check_ext(ext: Option<&str>) -> Result<Ext> {
    let ext = ext.unwrap_or_default();
    let checked = Ext::try_from(ext).ok().filter(|_| is_ext(ext.as_bytes()));
    checked.ok_or_else(|| {
        let text = format!("extension {ext:?}: up to 6 letters, digits, - _ or ., without the dot");
        Error::new(ErrorKind::InvalidArgument, text)
    })
}
