//! Who leads the trackers (spec 03 §B1, §B3 to §B5). A tracker that is alone in its list leads
//! itself; several follow what the election among them announces.

use super::{ClusterState, Outcome, Session, decode};
use bytes::BytesMut;
use fdfs_core::config::TrackerAddr;
use fdfs_core::protocol::cluster::{GroupStorage, JoinLeader, PingLeader};
use fdfs_core::protocol::tracker::TrackerStat;
use fdfs_core::protocol::{COMPATIBLE_VERSION, Command, HostPort, Status, Version};
use fdfs_core::wire::{Text, Wire};

/// Silence after which a follower is shown as inactive.
const FOLLOWER_SILENCE_SECS: i64 = 3;

/// Who leads the trackers, and who is announced to.
#[derive(Debug, Clone)]
pub(super) struct Leadership {
    /// The leader.
    pub(super) leader: Option<TrackerAddr>,
    /// Whether that is this tracker.
    pub(super) is_me: bool,
    /// The tracker announced as the next leader.
    next: Option<TrackerAddr>,
    /// Raised by every change, so that each connection is told once.
    pub(super) changes: u64,
    /// Raised by every change of a trunk server, so that each follower is told once.
    pub(super) trunk_changes: u64,
    /// What the followers said of themselves, by their place in the list of trackers.
    followers: Vec<Follower>,
    /// This tracker's own connections.
    own: PingLeader,
}

/// What a follower said of itself.
#[derive(Debug, Clone, Default)]
struct Follower {
    up_time: i64,
    version: Version,
    last_heart_beat_time: i64,
    connections: Option<PingLeader>,
}

impl Default for Leadership {
    fn default() -> Self {
        Self {
            leader: None,
            is_me: false,
            next: None,
            changes: 0,
            // Connections start at 0: each new follower is told once.
            trunk_changes: 1,
            followers: Vec::new(),
            own: PingLeader {
                connection_alloc_count: 0,
                connection_current_count: 0,
                connection_max_count: 0,
            },
        }
    }
}

impl Leadership {
    fn set(&mut self, leader: Option<TrackerAddr>, is_me: bool) {
        (self.leader, self.is_me, self.next) = (leader, is_me, None);
        self.changes += 1;
    }
}

impl ClusterState {
    /// Whether this tracker leads.
    pub fn is_leader(&self) -> bool {
        self.leadership.is_me
    }

    /// All trackers, as storages reported them.
    pub fn trackers(&self) -> &[TrackerAddr] {
        &self.trackers
    }

    /// Takes note of this tracker's own connections, which the list of trackers shows.
    pub fn set_connections(&mut self, current: usize, max: usize) {
        let count = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
        self.leadership.own = PingLeader {
            connection_alloc_count: count(max),
            connection_current_count: count(current),
            connection_max_count: count(max),
        };
    }

    /// Whether an entry of the list is this tracker.
    pub(super) fn is_me(&self, tracker: &TrackerAddr) -> bool {
        tracker.port == self.port && self.local_ips.iter().any(|ip| tracker.has_ip(*ip))
    }

    /// Without others there is nobody to ask (spec 03 §B4 with one candidate).
    pub(super) fn lead_alone(&mut self) {
        if let ([me], None) = (self.trackers.as_slice(), &self.leadership.leader) {
            self.leadership.set(Some(me.clone()), true);
            self.took_over();
        }
    }

    /// A new leader looks for the trunk servers that are missing, and tells all followers.
    fn took_over(&mut self) {
        self.leadership.trunk_changes += 1;
        self.groups.iter_mut().for_each(|group| group.trunk_retry_at = 0);
    }

    pub(super) fn agree(
        &mut self,
        now: i64,
        session: &mut Session,
        command: Command,
        body: &[u8],
        out: &mut BytesMut,
    ) -> Outcome {
        match command {
            Command::TRACKER_JOIN_LEADER => self.follower_joins(session, body),
            Command::PING_LEADER => self.follower_pings(now, session, body, out),
            Command::NOTIFY_NEXT_LEADER => {
                let next = self.announced(body)?;
                if self.leadership.is_me && !self.is_me(&next) {
                    self.leadership.set(None, false);
                    return Err(Status::EINVAL);
                }
                self.leadership.next = Some(next);
                Ok(())
            }
            Command::COMMIT_NEXT_LEADER => {
                let next = self.announced(body)?;
                if self.leadership.next.as_ref() != Some(&next) {
                    return Err(Status::EINVAL);
                }
                let is_me = self.is_me(&next);
                self.leadership.set(Some(next), is_me);
                if is_me {
                    self.took_over();
                }
                Ok(())
            }
            _ => {
                decode::<()>(body)?;
                if !self.leadership.is_me {
                    return Err(Status::EOPNOTSUPP);
                }
                self.leadership.set(None, false);
                Ok(())
            }
        }
    }

    /// The entry of the list that an announcement names.
    fn announced(&self, body: &[u8]) -> Result<TrackerAddr, Status> {
        let text = decode::<Text<52>>(body)?;
        let text = text.as_str().filter(|text| !text.is_empty()).ok_or(Status::EINVAL)?;
        let named: TrackerAddr = text.parse().map_err(|_| Status::EINVAL)?;
        let known = self.trackers.iter().find(|known| known.is_same(&named));
        known.cloned().ok_or(Status::ENOENT)
    }

    fn follower_joins(&mut self, session: &mut Session, body: &[u8]) -> Outcome {
        let join = decode::<JoinLeader>(body)?;
        if !self.leadership.is_me {
            return Err(Status::EOPNOTSUPP);
        }
        if session.follower.is_some() {
            return Err(Status::EEXIST);
        }
        let is_peer =
            |known: &TrackerAddr| i64::from(known.port) == join.port && known.has_ip(session.peer);
        let at = self.trackers.iter().position(is_peer).ok_or(Status::ENOENT)?;
        let followers = &mut self.leadership.followers;
        followers.resize_with(followers.len().max(at + 1), Follower::default);
        if let Some(follower) = followers.get_mut(at) {
            (follower.up_time, follower.version) = (join.up_time, join.version);
        }
        session.follower = Some(at);
        Ok(())
    }

    fn follower_pings(
        &mut self,
        now: i64,
        session: &mut Session,
        body: &[u8],
        out: &mut BytesMut,
    ) -> Outcome {
        let ping = decode::<PingLeader>(body)?;
        if !self.leadership.is_me {
            return Err(Status::EOPNOTSUPP);
        }
        let follower = session.follower.and_then(|at| self.leadership.followers.get_mut(at));
        let follower = follower.ok_or(Status::EINVAL)?;
        follower.connections = Some(ping);
        follower.last_heart_beat_time = now;
        if session.seen_trunk_changes != self.leadership.trunk_changes {
            session.seen_trunk_changes = self.leadership.trunk_changes;
            for group in &self.groups {
                let id = group.trunk_server.unwrap_or_default();
                GroupStorage { group: group.name, id }.write(out);
            }
        }
        Ok(())
    }

    /// One tracker as the leader lists it.
    pub(super) fn tracker_stat(&self, now: i64, at: usize, tracker: &TrackerAddr) -> TrackerStat {
        let leadership = &self.leadership;
        let is_leader = leadership.leader.as_ref() == Some(tracker);
        let follower = leadership.followers.get(at).cloned().unwrap_or_default();
        let (version, up_time, last_heart_beat_time) = match is_leader {
            true => (Version::truncated(COMPATIBLE_VERSION.as_bytes()), self.up_time, now),
            false => (follower.version, follower.up_time, follower.last_heart_beat_time),
        };
        let connections = match is_leader {
            true => Some(&leadership.own),
            false => follower.connections.as_ref(),
        };
        let count = |of: fn(&PingLeader) -> i32| connections.map_or(0, of);
        TrackerStat {
            address: HostPort::truncated(tracker.to_string().as_bytes()),
            is_leader: u8::from(is_leader),
            is_active: u8::from(is_leader || now - last_heart_beat_time <= FOLLOWER_SILENCE_SECS),
            connection_alloc_count: count(|c| c.connection_alloc_count),
            connection_current_count: count(|c| c.connection_current_count),
            connection_max_count: count(|c| c.connection_max_count),
            version,
            up_time,
            last_heart_beat_time,
        }
    }
}
