//! Who leads the trackers (spec 03 §B1, §B3 to §B5). A tracker that is alone in its list leads
//! itself; several follow what the election among them announces.

use super::{ClusterState, Outcome, Session, decode};
use bytes::BytesMut;
use fdfs_core::config::TrackerAddr;
use fdfs_core::protocol::cluster::{GroupStorage, Join, JoinLeader, PingLeader};
use fdfs_core::protocol::tracker::TrackerStat;
use fdfs_core::protocol::{COMPATIBLE_VERSION, Command, HostPort, Status, Version};
use fdfs_core::wire::{Text, Wire};
use std::net::IpAddr;

/// Time without a leader after which every tracker tells storages of changes.
const CARETAKER_AFTER_SECS: i64 = 10;
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
    /// Whether the trackers agree by consensus, not by announcements.
    pub(super) is_agreed: bool,
    /// Since when there has been no leader.
    leaderless_since: i64,
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
            is_agreed: false,
            leaderless_since: i64::MAX,
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

    /// This tracker's own connections, as a follower tells them.
    pub fn own_connections(&self) -> PingLeader {
        self.leadership.own.clone()
    }

    /// Unix seconds of this start.
    pub fn up_time(&self) -> i64 {
        self.up_time
    }

    /// Whether an entry of the list that a joining storage sends is this tracker: it may not know
    /// its own addresses yet.
    pub fn would_be_me(&self, tracker: &TrackerAddr, session: &Session, join: &Join) -> bool {
        let dialled = join.tracker_ip.as_str().and_then(|ip| ip.parse::<IpAddr>().ok());
        let told = [Some(session.local), dialled].into_iter().flatten();
        self.is_me(tracker)
            || (tracker.port == self.port && told.into_iter().any(|ip| tracker.has_ip(ip)))
    }

    /// A step of this tracker's own announcement (spec 03 §B4): nobody else may have been announced
    /// in between.
    pub fn announced_here(&mut self, command: Command, me: &TrackerAddr) -> Result<(), Status> {
        if command == Command::NOTIFY_NEXT_LEADER {
            self.leadership.next = Some(me.clone());
        } else if self.leadership.next.as_ref() == Some(me) {
            self.leadership.set(Some(me.clone()), true);
            self.took_over();
        } else {
            return Err(Status::EBUSY);
        }
        Ok(())
    }

    /// What the leader told of trunk servers (spec 03 §B1, 65).
    pub fn copy_trunk_servers(&mut self, told: &[GroupStorage]) {
        for GroupStorage { group, id } in told {
            let Some(group) = self.group_mut(group) else { continue };
            let known = group.storage(id.as_bytes()).map(|storage| storage.id);
            if group.trunk_server != known {
                group.set_trunk_server(known);
            }
            group.last_trunk_server = *id;
        }
        self.effects.groups = true;
    }

    /// Whether an entry of the list is this tracker.
    pub(super) fn is_me(&self, tracker: &TrackerAddr) -> bool {
        tracker.port == self.port && self.local_ips.iter().any(|ip| tracker.has_ip(*ip))
    }

    /// How the leader is found: by consensus, or by announcements as in the original. With the
    /// rule, the leader goes.
    pub fn agree_by_consensus(&mut self, is_agreed: bool) {
        if self.leadership.is_agreed != is_agreed {
            self.leadership.is_agreed = is_agreed;
            self.follow(None);
        }
    }

    /// Whether the leader is found by consensus.
    pub fn agrees_by_consensus(&self) -> bool {
        self.leadership.is_agreed
    }

    /// This tracker and all that it knows, itself included, once there are several.
    pub fn several_trackers(&self) -> Option<(TrackerAddr, Vec<TrackerAddr>)> {
        let me = self.trackers.iter().find(|tracker| self.is_me(tracker))?;
        (self.trackers.len() > 1).then(|| (me.clone(), self.trackers.clone()))
    }

    /// The leader, if there is one.
    pub fn leader(&self) -> Option<&TrackerAddr> {
        self.leadership.leader.as_ref()
    }

    /// Takes note of who leads, this tracker or another.
    pub fn follow(&mut self, leader: Option<TrackerAddr>) {
        if self.leadership.leader == leader {
            return;
        }
        let is_me = leader.as_ref().is_some_and(|leader| self.is_me(leader));
        match &leader {
            Some(leader) => tracing::info!(%leader, is_me, "a new leader of the trackers"),
            None => tracing::warn!("the trackers have no leader"),
        }
        self.leadership.set(leader, is_me);
        if is_me {
            self.took_over();
        }
    }

    /// Gives up a leader that does not answer, unless another one has taken its place.
    pub fn lose_leader(&mut self, silent: &TrackerAddr) {
        if self.leadership.leader.as_ref() == Some(silent) {
            self.follow(None);
        }
    }

    /// Whether storages are told of changes here: by the leader, and when there has been none for a
    /// while by everyone, so that no group stands still because trackers are missing.
    pub(super) fn tells_changes(&self) -> bool {
        self.leadership.is_me
            || (self.leadership.leader.is_none()
                && self.now - self.leadership.leaderless_since >= CARETAKER_AFTER_SECS)
    }

    /// Takes note of the time, and of whether there is a leader.
    pub(super) fn watch_leader(&mut self, now: i64) {
        let leadership = &mut self.leadership;
        leadership.leaderless_since = match leadership.leader {
            Some(_) => i64::MAX,
            None => leadership.leaderless_since.min(now),
        };
        self.now = now;
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
            // The storages' word is not needed where two leaders cannot be.
            Command::NOTIFY_RESELECT_LEADER if self.leadership.is_agreed => {
                decode::<()>(body)?;
                if self.leadership.is_me { Ok(()) } else { Err(Status::EOPNOTSUPP) }
            }
            _ if self.leadership.is_agreed => Err(Status::EINVAL),
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
