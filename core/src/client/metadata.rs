//! Metadata of files.

use super::Client;
use super::call::{Query, group_of};
use super::options::Metadata;
use crate::error::{Error, ErrorKind, Result};
use crate::file_id::FileId;
use crate::protocol::Command;
use crate::protocol::meta::{
    FIELD_SEPARATOR, ITEM_SEPARATOR, META_NAME_LEN_MAX, META_VALUE_LEN_MAX, pack as pack_items,
    unpack,
};
use crate::protocol::storage::{FileRef, Items, META_MERGE, META_OVERWRITE, SetMetadata};
use crate::wire::Rest;

impl Client {
    /// The metadata of a file; empty when it has none.
    ///
    /// ```no_run
    /// # use fdfs_core::client::{Client, Metadata};
    /// # async fn example(client: Client) -> fdfs_core::Result<()> {
    /// let id = "group1/M00/00/00/wKhHf1S-oryAZCpgAAAE2uRlJkA126.xml".parse()?;
    /// client.set_metadata(&id, &Metadata::from([("a".into(), "1".into())]), true).await?;
    /// assert_eq!(client.get_metadata(&id).await?["a"], "1");
    /// # Ok(()) }
    /// ```
    pub async fn get_metadata(&self, id: &FileId) -> Result<Metadata> {
        let call = self.begin("fdfs.get_metadata")?;
        let request = FileRef { group: group_of(id)?, name: id.name() };
        let command = (Command::GET_METADATA, 0);
        match call.on_storage::<Rest>(Query::Update, id, command, &request).await {
            Ok(items) => {
                let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
                Ok(unpack(&items.0).iter().map(|(name, value)| (text(name), text(value))).collect())
            }
            // A file without metadata and no file are the same answer; only the latter is an error.
            Err(error) if error.kind() == ErrorKind::NotFound && call.exists(id).await? => {
                Ok(Metadata::new())
            }
            Err(error) => Err(error),
        }
    }

    /// Sets the metadata of a file; with `merge`, items it does not name stay.
    pub async fn set_metadata(&self, id: &FileId, items: &Metadata, merge: bool) -> Result<()> {
        let call = self.begin("fdfs.set_metadata")?;
        let flag = if merge { META_MERGE } else { META_OVERWRITE };
        let request = request(id, pack(items)?, flag)?;
        call.on_storage(Query::Update, id, (Command::SET_METADATA, 0), &request).await
    }
}

pub(super) fn request(id: &FileId, items: Vec<u8>, flag: u8) -> Result<SetMetadata> {
    Ok(SetMetadata { name: id.name(), items: Items(Rest(items)), flag, group: group_of(id)? })
}

/// Packs items after checking what servers would cut silently.
pub(super) fn pack(items: &Metadata) -> Result<Vec<u8>> {
    for (name, value) in items {
        let separates = |byte: u8| byte == FIELD_SEPARATOR || byte == ITEM_SEPARATOR || byte == 0;
        let wrong = if name.is_empty() {
            "an empty name"
        } else if name.len() > META_NAME_LEN_MAX || value.len() > META_VALUE_LEN_MAX {
            "a name beyond 64 or a value beyond 256 bytes"
        } else if name.bytes().chain(value.bytes()).any(separates) {
            "a byte 0, 1 or 2"
        } else {
            continue;
        };
        let text = format!("metadata item {name:?} has {wrong}");
        return Err(Error::new(ErrorKind::InvalidArgument, text));
    }
    Ok(pack_items(items.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()))))
}
