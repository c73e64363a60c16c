//! Writing a file piece by piece.

use super::{CallOptions, Client, Metadata};
use crate::error::{Error, ErrorKind, Result};
use crate::file_id::FileId;
use crate::net::CHUNK_LEN;

/// A file that grows: an appender file, to which pieces are added in requests of 256 KiB.
///
/// Without [`Writer::finish`], what has been sent stays on the servers as an appender file;
/// [`Writer::abort`] removes it.
#[derive(Debug)]
pub struct Writer {
    client: Client,
    id: FileId,
    finalize: bool,
    /// What the finalized file gets.
    metadata: Metadata,
    pending: Vec<u8>,
    /// A failed append may have had its effect: what follows would not stand where it should.
    failed: bool,
}

impl Writer {
    pub(super) fn new(client: Client, id: FileId, finalize: bool, metadata: Metadata) -> Self {
        Self { client, id, finalize, metadata, pending: Vec::new(), failed: false }
    }

    /// The file under way. It is the final id only when the file is not finalized.
    pub fn id(&self) -> &FileId {
        &self.id
    }

    /// Adds bytes.
    pub async fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let room = (CHUNK_LEN - self.pending.len()).min(bytes.len());
            let (now, later) = bytes.split_at(room);
            self.pending.extend_from_slice(now);
            bytes = later;
            if self.pending.len() == CHUNK_LEN {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Sends what has been collected.
    pub async fn flush(&mut self) -> Result<()> {
        if self.failed {
            let text = "an earlier write failed; abort the file and begin again";
            return Err(Error::new(ErrorKind::Closed, text).with_file_id(self.id.as_str()));
        }
        if self.pending.is_empty() {
            return Ok(());
        }
        // Set first: a future dropped midway leaves it set.
        self.failed = true;
        self.client.append(&self.id, &self.pending).await?;
        self.pending.clear();
        self.failed = false;
        Ok(())
    }

    /// Sends the rest and returns the id of the whole file.
    pub async fn finish(mut self) -> Result<FileId> {
        self.flush().await?;
        if !self.finalize {
            return Ok(self.id);
        }
        let id = self.client.finalize(&self.id).await?;
        if !self.metadata.is_empty() {
            let set = self.client.set_metadata(&id, &self.metadata, false).await;
            set.map_err(|error| error.with_file_id(id.as_str()))?;
        }
        Ok(id)
    }

    /// Gives the file up and deletes what has been sent: also after its calls were cancelled, which
    /// is one reason to do so.
    pub async fn abort(self) -> Result<()> {
        self.client.with(CallOptions::default()).delete(&self.id, true).await.map(|_| ())
    }
}
