//! Uploading and changing files.

use super::call::{Call, Query};
use super::content::Content;
use super::options::{Metadata, UploadOptions, ext_of};
use super::{Client, Writer, metadata, wire_number};
use crate::error::{Error, ErrorKind, Result};
use crate::file_id::generate::is_ext;
use crate::file_id::{FileId, Kind};
use crate::net::Pooled;
use crate::protocol::storage::{
    Append, META_OVERWRITE, Modify, StoredAs, Truncate, Upload, UploadSlave,
};
use crate::protocol::{Command, Ext, Prefix};
use crate::wire::{Rest, Wire};
use std::path::Path;
use tokio::fs::File;
use tokio::io::AsyncRead;

impl Client {
    /// Uploads bytes and returns the new file's id.
    ///
    /// ```no_run
    /// # use fdfs_core::client::{Client, Metadata, UploadOptions};
    /// # async fn example(client: Client) -> fdfs_core::Result<()> {
    /// let metadata = Metadata::from([("width".into(), "160".into())]);
    /// let options = UploadOptions { metadata, ..UploadOptions::ext("jpg") };
    /// let id = client.upload(b"...", options).await?;
    /// # Ok(()) }
    /// ```
    pub async fn upload(&self, data: impl AsRef<[u8]>, options: UploadOptions) -> Result<FileId> {
        let call = self.begin("fdfs.upload")?;
        call.upload(Content::Bytes(data.as_ref()), options).await
    }

    /// Uploads what `reader` gives. Without a size it is read to its end first: up to 8 MiB into
    /// memory, more into a temporary file.
    ///
    /// ```no_run
    /// # use fdfs_core::client::{Client, UploadOptions};
    /// # async fn example(client: Client, socket: tokio::net::TcpStream) -> fdfs_core::Result<()> {
    /// let id = client.upload_reader(socket, Some(1 << 30), UploadOptions::ext("bin")).await?;
    /// # Ok(()) }
    /// ```
    pub async fn upload_reader(
        &self,
        reader: impl AsyncRead + Send + Unpin,
        size: Option<u64>,
        options: UploadOptions,
    ) -> Result<FileId> {
        let call = self.begin("fdfs.upload")?;
        let checked = Checked::new(&options)?;
        let content = Content::stream(&call, reader, size).await?;
        call.upload_checked(content, options, checked).await
    }

    /// Uploads a local file; its extension is taken from its name unless given.
    ///
    /// ```no_run
    /// # use fdfs_core::client::{Client, UploadOptions};
    /// # async fn example(client: Client) -> fdfs_core::Result<()> {
    /// let id = client.upload_file("backup.tar.gz", UploadOptions::default()).await?;
    /// assert!(id.path().ends_with(".tar.gz"));
    /// # Ok(()) }
    /// ```
    pub async fn upload_file(
        &self,
        path: impl AsRef<Path>,
        mut options: UploadOptions,
    ) -> Result<FileId> {
        let call = self.begin("fdfs.upload")?;
        if options.ext.is_none() {
            options.ext = ext_of(path.as_ref());
        }
        let content = open_file(&call, path.as_ref()).await?;
        call.upload(content, options).await
    }

    /// Uploads a slave of `master`: a file whose name is the master's with a prefix added.
    /// Group, store path and kind follow from the master; those of the options do not count.
    ///
    /// ```no_run
    /// # use fdfs_core::client::{Client, UploadOptions};
    /// # async fn example(client: Client) -> fdfs_core::Result<()> {
    /// let photo = client.upload_file("photo.jpg", UploadOptions::default()).await?;
    /// let small =
    ///     client.upload_slave(&photo, "_small", b"...", UploadOptions::ext("jpg")).await?;
    /// assert_eq!(small, photo.slave("_small", "jpg")?);
    /// # Ok(()) }
    /// ```
    pub async fn upload_slave(
        &self,
        master: &FileId,
        prefix: &str,
        data: impl AsRef<[u8]>,
        options: UploadOptions,
    ) -> Result<FileId> {
        let call = self.begin("fdfs.upload_slave")?;
        call.upload_slave(master, prefix, Content::Bytes(data.as_ref()), &options).await
    }

    /// Uploads a slave from a stream; see [`Client::upload_reader`].
    pub async fn upload_slave_reader(
        &self,
        master: &FileId,
        prefix: &str,
        reader: impl AsyncRead + Send + Unpin,
        size: Option<u64>,
        options: UploadOptions,
    ) -> Result<FileId> {
        let call = self.begin("fdfs.upload_slave")?;
        let content = Content::stream(&call, reader, size).await?;
        call.upload_slave(master, prefix, content, &options).await
    }

    /// Uploads a local file as a slave; see [`Client::upload_file`].
    pub async fn upload_slave_file(
        &self,
        master: &FileId,
        prefix: &str,
        path: impl AsRef<Path>,
        mut options: UploadOptions,
    ) -> Result<FileId> {
        let call = self.begin("fdfs.upload_slave")?;
        if options.ext.is_none() {
            options.ext = ext_of(path.as_ref());
        }
        let content = open_file(&call, path.as_ref()).await?;
        call.upload_slave(master, prefix, content, &options).await
    }

    /// Adds bytes to the end of an appender file.
    ///
    /// ```no_run
    /// # use fdfs_core::client::{Client, UploadOptions};
    /// # async fn example(client: Client) -> fdfs_core::Result<()> {
    /// let options = UploadOptions { appender: true, ..UploadOptions::ext("log") };
    /// let id = client.upload(b"first line\n", options).await?;
    /// client.append(&id, b"second line\n").await?;
    /// let normal = client.finalize(&id).await?;
    /// # Ok(()) }
    /// ```
    pub async fn append(&self, id: &FileId, data: impl AsRef<[u8]>) -> Result<()> {
        let call = self.begin("fdfs.append")?;
        call.append(id, Content::Bytes(data.as_ref())).await
    }

    /// Adds what `reader` gives to the end of an appender file; see [`Client::upload_reader`].
    pub async fn append_reader(
        &self,
        id: &FileId,
        reader: impl AsyncRead + Send + Unpin,
        size: Option<u64>,
    ) -> Result<()> {
        let call = self.begin("fdfs.append")?;
        let content = Content::stream(&call, reader, size).await?;
        call.append(id, content).await
    }

    /// Adds a local file to the end of an appender file.
    pub async fn append_file(&self, id: &FileId, path: impl AsRef<Path>) -> Result<()> {
        let call = self.begin("fdfs.append")?;
        let content = open_file(&call, path.as_ref()).await?;
        call.append(id, content).await
    }

    /// Overwrites part of an appender file; `offset` is at most its size.
    pub async fn modify(&self, id: &FileId, offset: u64, data: impl AsRef<[u8]>) -> Result<()> {
        let call = self.begin("fdfs.modify")?;
        call.modify(id, offset, Content::Bytes(data.as_ref())).await
    }

    /// Overwrites part of an appender file with what `reader` gives; see
    /// [`Client::upload_reader`].
    pub async fn modify_reader(
        &self,
        id: &FileId,
        offset: u64,
        reader: impl AsyncRead + Send + Unpin,
        size: Option<u64>,
    ) -> Result<()> {
        let call = self.begin("fdfs.modify")?;
        let content = Content::stream(&call, reader, size).await?;
        call.modify(id, offset, content).await
    }

    /// Sets the size of an appender file; a larger one extends it with zero bytes.
    pub async fn truncate(&self, id: &FileId, size: u64) -> Result<()> {
        let call = self.begin("fdfs.truncate")?;
        let head = Truncate { name: id.name(), size: wire_number(size, "size")? };
        // The original echoes the request when there is nothing to do (spec 01 Q4).
        let command = (Command::TRUNCATE_FILE, 0);
        call.on_storage::<Rest>(Query::Update, id, command, &head).await.map(|_| ())
    }

    /// Turns an appender file into a normal one and returns its new id; the old one is gone. Its
    /// metadata stays behind under the old name: set it again.
    pub async fn finalize(&self, id: &FileId) -> Result<FileId> {
        self.begin("fdfs.finalize")?.finalize(id).await
    }

    /// Begins a file that is written piece by piece. With `finalize` it becomes a normal file at
    /// the end, otherwise it stays an appender file.
    ///
    /// ```no_run
    /// # use fdfs_core::client::{Client, UploadOptions};
    /// # async fn example(client: Client) -> fdfs_core::Result<()> {
    /// let mut writer = client.create(UploadOptions::ext("csv"), true).await?;
    /// for line in 0..1_000_000 {
    ///     writer.write(format!("{line}\n").as_bytes()).await?;
    /// }
    /// let id = writer.finish().await?;
    /// # Ok(()) }
    /// ```
    pub async fn create(&self, mut options: UploadOptions, finalize: bool) -> Result<Writer> {
        options.appender = true;
        // What a finalized file is to have is set under its final name.
        let metadata = match finalize {
            true => std::mem::take(&mut options.metadata),
            false => Metadata::new(),
        };
        metadata::pack(&metadata)?;
        let id = self.begin("fdfs.create")?.upload(Content::Bytes(b""), options).await?;
        Ok(Writer::new(self.clone(), id, finalize, metadata))
    }
}

/// Options whose texts have been found to fit.
struct Checked {
    ext: Ext,
    items: Vec<u8>,
}

impl Checked {
    fn new(options: &UploadOptions) -> Result<Self> {
        if let Some(name) = &options.group {
            super::group(name)?;
        }
        let ext = check_ext(options.ext.as_deref())?;
        Ok(Self { ext, items: metadata::pack(&options.metadata)? })
    }
}

impl Call<'_> {
    async fn upload(&self, content: Content<'_>, options: UploadOptions) -> Result<FileId> {
        let checked = Checked::new(&options)?;
        self.upload_checked(content, options, checked).await
    }

    async fn upload_checked(
        &self,
        content: Content<'_>,
        options: UploadOptions,
        checked: Checked,
    ) -> Result<FileId> {
        let content_len = content.wire_size()?;
        let (mut conn, target) = self.reach_for_upload(options.group.as_deref()).await?;
        let command = match options.appender {
            true => Command::UPLOAD_APPENDER_FILE,
            false => Command::UPLOAD_FILE,
        };
        let store_path = options.store_path_index.unwrap_or(target.store_path_index);
        let head = Upload { store_path, content_len, ext: checked.ext };
        let stored: StoredAs = self.send(&mut conn, command, &head, content).await?;
        self.complete(&mut conn, &stored, checked.items).await
    }

    /// Sets the metadata of a new file on the connection that stored it. The file is there
    /// whatever comes of this; the error must say under which id.
    async fn complete(
        &self,
        conn: &mut Pooled,
        stored: &StoredAs,
        items: Vec<u8>,
    ) -> Result<FileId> {
        let id = stored_id(stored)?;
        if !items.is_empty() {
            let request = metadata::request(&id, items, META_OVERWRITE)?;
            let set = self.exchange::<()>(conn, (Command::SET_METADATA, 0), &request).await;
            set.map_err(|error| error.with_file_id(id.as_str()))?;
        }
        Ok(id)
    }

    async fn upload_slave(
        &self,
        master: &FileId,
        prefix: &str,
        content: Content<'_>,
        options: &UploadOptions,
    ) -> Result<FileId> {
        let Checked { ext, items } = Checked::new(options)?;
        // A prefix that makes no name is refused here, where the reason can be told.
        master.slave(prefix, options.ext.as_deref().unwrap_or_default())?;
        let prefix = Prefix::try_from(prefix).ok().filter(|prefix| !prefix.is_empty());
        let prefix = prefix.ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, "a slave's prefix has 1 to 16 characters")
        })?;
        let head =
            UploadSlave { master: master.name(), content_len: content.wire_size()?, prefix, ext };
        let mut conn = self.reach(Query::Update, master).await?;
        let sent = self.send(&mut conn, Command::UPLOAD_SLAVE_FILE, &head, content).await;
        let stored: StoredAs = sent.map_err(|error| error.with_file_id(master.as_str()))?;
        self.complete(&mut conn, &stored, items).await
    }

    async fn append(&self, id: &FileId, content: Content<'_>) -> Result<()> {
        let head = Append { name: id.name(), content_len: content.wire_size()? };
        self.change(id, Command::APPEND_FILE, &head, content).await
    }

    async fn modify(&self, id: &FileId, offset: u64, content: Content<'_>) -> Result<()> {
        let offset = wire_number(offset, "offset")?;
        let head = Modify { name: id.name(), offset, content_len: content.wire_size()? };
        self.change(id, Command::MODIFY_FILE, &head, content).await
    }

    async fn change(
        &self,
        id: &FileId,
        command: Command,
        head: &impl Wire,
        content: Content<'_>,
    ) -> Result<()> {
        let mut conn = self.reach(Query::Update, id).await?;
        // The original echoes the request when there is nothing to do (spec 01 Q4).
        let changed = self.send::<Rest>(&mut conn, command, head, content).await;
        changed.map(|_| ()).map_err(|error| error.with_file_id(id.as_str()))
    }

    async fn finalize(&self, id: &FileId) -> Result<FileId> {
        let command = (Command::REGENERATE_APPENDER_FILENAME, 0);
        let done = self.on_storage::<StoredAs>(Query::Update, id, command, &id.name()).await;
        let stored = done.map_err(|error| match error.kind() {
            // Nothing can be wrong with the request: this server does not know the command.
            ErrorKind::InvalidArgument if id.kind() == Kind::Appender => {
                let text = "this server cannot turn appender files into normal ones";
                error.with_kind(ErrorKind::Unsupported, text)
            }
            _ => error,
        })?;
        stored_id(&stored)
    }
}

fn stored_id(stored: &StoredAs) -> Result<FileId> {
    FileId::new(&stored.group.to_string(), &stored.name.to_string()).map_err(|error| {
        Error::new(ErrorKind::Protocol, "the server stored the file under a name that is none")
            .with_source(error)
            .with_outcome_unknown()
    })
}

async fn open_file(call: &Call<'_>, path: &Path) -> Result<Content<'static>> {
    let what = format!("opening {}", path.display());
    let file = call.local(&what, File::open(path)).await?;
    let meta = call.local(&what, file.metadata()).await?;
    if !meta.is_file() {
        let text = format!("{} is not a regular file", path.display());
        return Err(Error::new(ErrorKind::InvalidArgument, text));
    }
    Content::stream(call, file, Some(meta.len())).await
}

fn check_ext(ext: Option<&str>) -> Result<Ext> {
    let ext = ext.unwrap_or_default();
    let checked = Ext::try_from(ext).ok().filter(|_| is_ext(ext.as_bytes()));
    checked.filter(|_| !ext.starts_with('.')).ok_or_else(|| {
        let text = format!("extension {ext:?}: up to 6 letters, digits, - _ or ., without the dot");
        Error::new(ErrorKind::InvalidArgument, text)
    })
}
