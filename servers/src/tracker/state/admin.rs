//! Changing the cluster by an operator's command, and handing the state files to another tracker
//! (spec 01 §7.6, §7.7, 03 §B7).

use super::{ClusterState, Outcome, Session, decode};
use bytes::BytesMut;
use fdfs_core::protocol::cluster::{GetSysFile, SysFilePiece};
use fdfs_core::protocol::tracker::GroupMember;
use fdfs_core::protocol::{Command, Group as GroupName, Status, StorageStatus};
use fdfs_core::wire::{Rest, Wire};

use super::model::Storage;
use crate::tracker::persist;

/// Bytes of a state file sent at once (spec 03 §B7).
const SYS_FILE_PIECE: usize = 8173;

impl ClusterState {
    pub(super) fn administrate(
        &mut self,
        now: i64,
        session: &mut Session,
        command: Command,
        body: &[u8],
        out: &mut BytesMut,
    ) -> Outcome {
        match command {
            Command::DELETE_STORAGE => self.delete_storage(now, body),
            Command::DELETE_GROUP => self.delete_group(body),
            Command::SET_TRUNK_SERVER => self.set_trunk_server(body, out),
            Command::GET_SYS_FILES_START => self.copy_start(session, body),
            Command::GET_ONE_SYS_FILE => self.copy_piece(session, body, out),
            Command::GET_SYS_FILES_END => {
                decode::<()>(body)?;
                self.copying.take_if(|(copier, _)| *copier == session.id);
                Ok(())
            }
            Command::TRACKER_JOIN_LEADER
            | Command::PING_LEADER
            | Command::NOTIFY_NEXT_LEADER
            | Command::COMMIT_NEXT_LEADER
            | Command::NOTIFY_RESELECT_LEADER => self.agree(now, session, command, body, out),
            _ => Err(Status::EINVAL),
        }
    }

    fn delete_storage(&mut self, now: i64, body: &[u8]) -> Outcome {
        let request = decode::<GroupMember>(body)?;
        if !(1..=15).contains(&request.id.len()) {
            return Err(Status::EINVAL);
        }
        let rule = self.rule();
        let group = self.group_mut(&request.group).ok_or(Status::ENOENT)?;
        let at = group.index_of(request.id.as_bytes()).ok_or(Status::ENOENT)?;
        let storage = group.storages.get_mut(at).ok_or(Status::ENOENT)?;
        match storage.status {
            StorageStatus::IP_CHANGED => return Err(Status::ENOENT),
            StorageStatus::DELETED => return Err(Status::EALREADY),
            StorageStatus::ONLINE | StorageStatus::ACTIVE | StorageStatus::RECOVERY => {
                return Err(Status::EBUSY);
            }
            _ => {}
        }
        let (id, port) = (storage.id, storage.port);
        *storage = Storage::new(id, storage.ips.clone(), storage.rw);
        storage.port = port;
        storage.status = StorageStatus::DELETED;
        for other in &mut group.storages {
            if other.sync_source == Some(id) {
                other.sync_source = None;
            }
        }
        group.changes += 1;
        group.refresh(rule);
        self.log_change(now, &request.group, &id.to_string(), StorageStatus::DELETED, "");
        // All three files together: the original saves them one by one and cannot start from the
        // mixture that a crash in between leaves (spec 04 Part D 9).
        self.save_all();
        Ok(())
    }

    fn delete_group(&mut self, body: &[u8]) -> Outcome {
        let name = decode::<GroupName>(body)?;
        let at = self.group_at(&name).ok_or(Status::ENOENT)?;
        if self.groups.get(at).is_some_and(|group| !group.storages.is_empty()) {
            return Err(Status::EBUSY);
        }
        self.groups.remove(at);
        tracing::info!(group = %name, "group deleted");
        self.save_all();
        Ok(())
    }

    /// A tracker that knows less copies our state files; one at a time (spec 03 §B7).
    fn copy_start(&mut self, session: &Session, body: &[u8]) -> Outcome {
        decode::<()>(body)?;
        if self.groups.is_empty() {
            return Err(Status::ENOENT);
        }
        if self.copying.as_ref().is_some_and(|(copier, _)| *copier != session.id) {
            return Err(Status::EBUSY);
        }
        let use_ids = self.params().use_storage_id;
        let files = [
            persist::groups_text(&self.groups).into_bytes(),
            persist::servers_text(&self.groups, use_ids).into_bytes(),
            persist::sync_times_text(&self.groups).into_bytes(),
            self.changelog.clone(),
        ];
        self.copying = Some((session.id, files));
        Ok(())
    }

    fn copy_piece(&self, session: &Session, body: &[u8], out: &mut BytesMut) -> Outcome {
        let request = decode::<GetSysFile>(body)?;
        let files = self.copying.as_ref().filter(|(copier, _)| *copier == session.id);
        let (_, files) = files.ok_or(Status::EINVAL)?;
        let file = files.get(usize::from(request.index)).ok_or(Status::EINVAL)?;
        let offset = usize::try_from(request.offset).map_err(|_| Status::EINVAL)?;
        let rest = file.get(offset..).ok_or(Status::EINVAL)?;
        let data = Rest(rest.get(..SYS_FILE_PIECE).unwrap_or(rest).to_vec());
        SysFilePiece { size: i64::try_from(file.len()).unwrap_or(i64::MAX), data }.write(out);
        Ok(())
    }
}
