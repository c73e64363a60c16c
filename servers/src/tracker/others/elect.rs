//! Finding a leader as the original does it (spec 03 §B3, §B4), while an original is in the list:
//! whoever leads, or has run longest, is announced in two steps.

use super::link::connect;
use crate::tracker::shared::{Shared, unix_now};
use fdfs_core::config::TrackerAddr;
use fdfs_core::net::world::chance;
use fdfs_core::protocol::tracker::TrackerStatus;
use fdfs_core::protocol::{Command, Status};
use fdfs_core::wire::Text;
use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Pause after a look that found nothing to do, or found a leader.
const PAUSE: Duration = Duration::from_secs(1);
/// Longest pause after an election that failed, in seconds; it is drawn, so that two trackers do
/// not get in each other's way for ever.
const FAILED_PAUSE_SECS_MAX: u64 = 10;

/// Looks for a leader whenever there is none and the old rule is followed.
pub(in crate::tracker) async fn elect_when_needed(shared: Arc<Shared>) {
    let mut pause = PAUSE;
    loop {
        sleep(pause).await;
        pause = PAUSE;
        if !shared.others.follows_old_rule() || shared.lock().leader().is_some() {
            continue;
        }
        let Some((me, list)) = shared.lock().several_trackers() else { continue };
        if let Err(status) = elect(&shared, &me, &list).await {
            tracing::debug!(%status, "no leader of the trackers yet");
            pause = PAUSE * draw();
        }
    }
}

/// Seconds to wait.
fn draw() -> u32 {
    1 + u32::try_from(chance() % FAILED_PAUSE_SECS_MAX).unwrap_or(0)
}

/// How a tracker stands in an election: the greatest wins.
fn standing(addr: &TrackerAddr, status: &TrackerStatus) -> impl Ord + use<> {
    let host = addr.hosts.first().cloned().unwrap_or_default();
    (status.is_leader, status.running_secs, Reverse(status.restart_interval_secs), host, addr.port)
}

/// The tracker that should lead, among those that answered.
fn best(answers: Vec<(TrackerAddr, TrackerStatus)>) -> Option<(TrackerAddr, TrackerStatus)> {
    answers.into_iter().max_by_key(|(addr, status)| standing(addr, status))
}

async fn elect(shared: &Shared, me: &TrackerAddr, list: &[TrackerAddr]) -> Result<(), Status> {
    let mut answers = Vec::new();
    for addr in list {
        let status = match addr == me {
            true => Ok(shared.lock().own_status(unix_now())),
            false => ask(shared, addr, Command::TRACKER_STATUS, &()).await,
        };
        answers.extend(status.ok().map(|status| (addr.clone(), status)));
    }
    let (leader, status) = best(answers).ok_or(Status::ENOENT)?;
    if leader == *me {
        announce(shared, me, list).await
    } else if status.is_leader != 0 {
        shared.lock().follow(Some(leader));
        Ok(())
    } else {
        // Wait for its announcement.
        Err(Status::EAGAIN)
    }
}

async fn ask<R: fdfs_core::wire::Wire>(
    shared: &Shared,
    addr: &TrackerAddr,
    command: Command,
    request: &impl fdfs_core::wire::Wire,
) -> Result<R, Status> {
    let mut conn = connect(shared, addr).await.map_err(|_| Status::ECONNREFUSED)?;
    conn.call(command, request).await.map_err(|error| error.status().unwrap_or(Status::EIO))
}

/// Announces this tracker to all, itself included, then has all follow. Who cannot be reached is
/// left out; who refuses ends the election.
async fn announce(shared: &Shared, me: &TrackerAddr, list: &[TrackerAddr]) -> Result<(), Status> {
    let first = TrackerAddr { hosts: me.hosts.iter().take(1).cloned().collect(), port: me.port };
    let text = Text::<52>::new(first.to_string().as_bytes()).ok_or(Status::ENAMETOOLONG)?;
    for command in [Command::NOTIFY_NEXT_LEADER, Command::COMMIT_NEXT_LEADER] {
        for addr in list {
            let outcome = match addr == me {
                true => shared.lock().announced_here(command, me),
                false => ask(shared, addr, command, &text).await,
            };
            match outcome {
                Ok(()) | Err(Status::ECONNREFUSED) => {}
                Err(status) => return Err(status),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracker(
        addr: &str,
        is_leader: u8,
        running_secs: i64,
        restart_interval_secs: i64,
    ) -> (TrackerAddr, TrackerStatus) {
        let status = TrackerStatus { is_leader, running_secs, restart_interval_secs };
        (addr.parse().unwrap(), status)
    }

    #[test]
    fn who_leads_or_ran_longest_or_was_away_shortest_or_stands_last_wins() {
        let winner = |answers| best(answers).unwrap().0.to_string();
        let (a, b) = ("10.0.0.9:1", "10.0.0.10:1");
        assert_eq!(winner(vec![tracker(a, 0, 900, 0), tracker(b, 1, 0, 900)]), b);
        assert_eq!(winner(vec![tracker(a, 0, 300, 900), tracker(b, 0, 600, 0)]), b);
        assert_eq!(winner(vec![tracker(a, 0, 300, 900), tracker(b, 0, 300, 600)]), b);
        // As texts, not as numbers.
        assert_eq!(winner(vec![tracker(a, 0, 0, 0), tracker(b, 0, 0, 0)]), a);
        assert_eq!(winner(vec![tracker(a, 0, 0, 0), tracker("10.0.0.9:2", 0, 0, 0)]), "10.0.0.9:2");
        assert!(best(Vec::new()).is_none());
    }
}
