//! Looking at the cluster and changing it.

use super::types::{GroupInfo, StorageInfo, TrackerInfo};
use super::{Client, ServerAddress};
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::tracker::{GroupMember, GroupStat, StorageList, TrunkServer};
use crate::protocol::{Command, Group, Status, StorageStatus};
use crate::wire::Text;

fn group(name: &str) -> Result<Group> {
    Group::try_from(name).map_err(|error| {
        Error::new(ErrorKind::InvalidArgument, format!("group {name}")).with_source(error)
    })
}

fn member(group_name: &str, id: &str) -> Result<GroupMember> {
    let id = Text::new(id.as_bytes()).ok_or_else(|| {
        Error::new(ErrorKind::InvalidArgument, format!("storage id {id}: at most 15 characters"))
    })?;
    Ok(GroupMember { group: group(group_name)?, id })
}

impl Client {
    /// All groups.
    pub async fn list_groups(&self) -> Result<Vec<GroupInfo>> {
        let groups: Vec<GroupStat> = self.on_tracker(Command::LIST_ALL_GROUPS, &()).await?;
        Ok(groups.into_iter().map(GroupInfo::from).collect())
    }

    /// The storages of a group, or the one with this id.
    pub async fn list_storages(
        &self,
        group: &str,
        storage: Option<&str>,
    ) -> Result<Vec<StorageInfo>> {
        let request = member(group, storage.unwrap_or_default())?;
        let list: StorageList = self.on_tracker(Command::LIST_STORAGES, &request).await?;
        Ok(list.storages.into_iter().map(StorageInfo::from).collect())
    }

    /// The configured trackers, asked one by one.
    pub async fn list_trackers(&self) -> Result<Vec<TrackerInfo>> {
        let mut trackers = Vec::new();
        for (index, tracker) in self.options().trackers.iter().enumerate() {
            let alive = self.ask_tracker::<()>(index, Command::ACTIVE_TEST, &()).await.is_ok();
            let leader = match alive {
                true => self.ask_tracker::<Text<52>>(index, Command::GET_LEADER, &()).await.ok(),
                false => None,
            };
            let is_leader = leader.is_some_and(|leader| {
                let at = |host: &String| {
                    let address = ServerAddress { host: host.clone(), port: tracker.port };
                    address.to_string() == leader.to_string()
                };
                tracker.hosts.iter().any(at)
            });
            trackers.push(TrackerInfo { address: tracker.to_string(), alive, is_leader });
        }
        Ok(trackers)
    }

    /// Commands that change the cluster.
    pub fn admin(&self) -> Admin<'_> {
        Admin(self)
    }
}

/// Commands that change the cluster.
#[derive(Debug)]
pub struct Admin<'c>(&'c Client);

impl Admin<'_> {
    /// Removes a storage that is offline, at every tracker (spec 01 §9.1).
    pub async fn delete_storage(&self, group: &str, id: &str) -> Result<()> {
        let request = member(group, id)?;
        let trackers = self.0.options().trackers.len();
        let mut known = false;
        for index in 0..trackers {
            let list = self.0.ask_tracker::<StorageList>(index, Command::LIST_STORAGES, &request);
            let Ok(list) = list.await else { continue };
            let Some(storage) = list.storages.first() else { continue };
            known = true;
            let status = StorageStatus(storage.status);
            if matches!(status, StorageStatus::ONLINE | StorageStatus::ACTIVE) {
                let text = format!("storage {id} is {status}; stop it first");
                return Err(Error::new(ErrorKind::Busy, text).with_status(Status::EBUSY));
            }
        }
        if !known {
            let text = format!("no tracker knows storage {id} of {group}");
            return Err(Error::new(ErrorKind::NotFound, text).with_status(Status::ENOENT));
        }
        for index in 0..trackers {
            let deleted = self.0.ask_tracker::<()>(index, Command::DELETE_STORAGE, &request).await;
            match deleted {
                Err(error) if matches!(error.status(), Some(Status::ENOENT | Status::EALREADY)) => {
                }
                done => done?,
            }
        }
        Ok(())
    }

    /// Removes an empty group, at every tracker.
    pub async fn delete_group(&self, name: &str) -> Result<()> {
        let request = group(name)?;
        for index in 0..self.0.options().trackers.len() {
            self.0.ask_tracker::<()>(index, Command::DELETE_GROUP, &request).await?;
        }
        Ok(())
    }

    /// Chooses the trunk server of a group, or has one chosen; returns its id.
    pub async fn set_trunk_server(&self, group: &str, id: Option<&str>) -> Result<String> {
        let request = member(group, id.unwrap_or_default())?;
        let mut last = Error::new(ErrorKind::Unsupported, "no tracker leads");
        for index in 0..self.0.options().trackers.len() {
            let set = self.0.ask_tracker::<TrunkServer>(index, Command::SET_TRUNK_SERVER, &request);
            match set.await {
                Ok(server) => return Ok(server.0.to_string()),
                Err(error) if error.kind() == ErrorKind::Unsupported => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }
}
