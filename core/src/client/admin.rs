//! Looking at the cluster and changing it.

use super::types::{GroupInfo, StorageInfo, TrackerInfo};
use super::{Client, ServerAddress, group};
use crate::error::{Error, ErrorKind, Result};
use crate::net::Refusal;
use crate::protocol::replication::ReplicationStatus;
use crate::protocol::tracker::{GroupList, GroupMember, StorageList, TrunkServer};
use crate::protocol::{Command, Status, StorageStatus};
use crate::route::may_ask_another;
use crate::wire::Text;

/// Longest storage id (spec 01 §2).
const STORAGE_ID_LEN_MAX: usize = 15;

fn member(name: &str, id: &str) -> Result<GroupMember> {
    let fits = Text::new(id.as_bytes()).filter(|text| text.len() <= STORAGE_ID_LEN_MAX);
    let id = fits.ok_or_else(|| {
        Error::new(ErrorKind::InvalidArgument, format!("storage id {id}: at most 15 characters"))
    })?;
    Ok(GroupMember { group: group(name)?, id })
}

impl Client {
    /// All groups.
    ///
    /// ```no_run
    /// # async fn example(client: fdfs_core::client::Client) -> fdfs_core::Result<()> {
    /// for group in client.list_groups().await? {
    ///     for storage in client.list_storages(&group.name, None).await? {
    ///         println!("{} {} {}", group.name, storage.address, storage.status);
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn list_groups(&self) -> Result<Vec<GroupInfo>> {
        let call = self.begin("fdfs.list_groups")?;
        let groups: GroupList = call.on_tracker(Command::LIST_ALL_GROUPS, &()).await?;
        Ok(groups.0.into_iter().map(GroupInfo::from).collect())
    }

    /// The storages of a group, or the one with this id.
    pub async fn list_storages(
        &self,
        group: &str,
        storage: Option<&str>,
    ) -> Result<Vec<StorageInfo>> {
        let request = member(group, storage.unwrap_or_default())?;
        let call = self.begin("fdfs.list_storages")?;
        let list: StorageList = call.on_tracker(Command::LIST_STORAGES, &request).await?;
        Ok(list.storages.into_iter().map(StorageInfo::from).collect())
    }

    /// The configured trackers, asked one by one.
    pub async fn list_trackers(&self) -> Result<Vec<TrackerInfo>> {
        let call = self.begin("fdfs.list_trackers")?;
        let mut trackers = Vec::new();
        for (index, tracker) in self.options().trackers.iter().enumerate() {
            let alive = match call.ask_tracker::<()>(index, Command::ACTIVE_TEST, &()).await {
                Err(error) if call.limits.is_over() => return Err(error),
                answer => answer.is_ok(),
            };
            let leader = match alive {
                true => call.ask_tracker::<Text<52>>(index, Command::GET_LEADER, &()).await.ok(),
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

    /// How far a storage has brought its peers; `None` when it is one of the original, which does
    /// not tell.
    pub async fn replication_status(
        &self,
        storage: &ServerAddress,
    ) -> Result<Option<ReplicationStatus>> {
        let call = self.begin("fdfs.replication_status")?;
        let mut conn = match call.lend(storage).await {
            Ok(conn) => conn,
            Err(Refusal::Pool(error) | Refusal::Connect(error)) => return Err(error),
        };
        match call.exchange(&mut conn, (Command::REPLICATION_STATUS, 0), &()).await {
            Err(error) if error.status() == Some(Status::EINVAL) => Ok(None),
            told => told.map(Some),
        }
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
        let call = self.0.begin("fdfs.delete_storage")?;
        let request = member(group, id)?;
        if id.is_empty() {
            return Err(Error::new(ErrorKind::InvalidArgument, "which storage?"));
        }
        let trackers = self.0.options().trackers.len();
        let mut known = false;
        for index in 0..trackers {
            let list = call.ask_tracker::<StorageList>(index, Command::LIST_STORAGES, &request);
            let list = match list.await {
                Err(error) if call.limits.is_over() => return Err(error),
                Err(_) => continue,
                Ok(list) => list,
            };
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
        // Every tracker keeps its own list: one that fails is no reason to leave out the others.
        let mut deleted = Ok(());
        for index in 0..trackers {
            match call.ask_tracker::<()>(index, Command::DELETE_STORAGE, &request).await {
                Err(error) if matches!(error.status(), Some(Status::ENOENT | Status::EALREADY)) => {
                }
                done => deleted = deleted.and(done),
            }
        }
        deleted
    }

    /// Removes an empty group, at every tracker.
    pub async fn delete_group(&self, name: &str) -> Result<()> {
        let call = self.0.begin("fdfs.delete_group")?;
        let request = group(name)?;
        for index in 0..self.0.options().trackers.len() {
            call.ask_tracker::<()>(index, Command::DELETE_GROUP, &request).await?;
        }
        Ok(())
    }

    /// Chooses the trunk server of a group, or has one chosen; returns its id.
    pub async fn set_trunk_server(&self, group: &str, id: Option<&str>) -> Result<String> {
        let call = self.0.begin("fdfs.set_trunk_server")?;
        let request = member(group, id.unwrap_or_default())?;
        let mut last = Error::new(ErrorKind::Unsupported, "no tracker leads");
        for index in 0..self.0.options().trackers.len() {
            let set = call.ask_tracker::<TrunkServer>(index, Command::SET_TRUNK_SERVER, &request);
            match set.await {
                Ok(server) => return Ok(server.0.to_string()),
                Err(error)
                    if error.kind() == ErrorKind::Unsupported
                        || may_ask_another(&error) && !call.limits.is_over() =>
                {
                    // What a tracker said tells more than that another cannot be reached.
                    if last.status().is_none() {
                        last = error;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }
}
