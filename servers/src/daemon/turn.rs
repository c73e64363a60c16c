//! Answers of requests that came together leave together.
//!
//! A peer that sleeps is woken by the first answer, which costs the server more than reading the
//! request did; answers that follow at once find it awake. So a request does its work, lets all
//! others that are ready do theirs, and answers then. With 16 connections this takes 11 % off the
//! processor time of a small download, 18 % off that of an append, whose changes then share one
//! write of the binlog too; a lone connection waits for nobody.

use std::future::poll_fn;
use std::task::Poll;

/// Lets the tasks run first that are ready now.
///
/// Not `yield_now`, which looks for new events before it returns: one system call more.
pub async fn after_others() {
    let mut waited = false;
    poll_fn(|context| {
        if waited {
            return Poll::Ready(());
        }
        waited = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn whoever_is_ready_comes_first() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        runtime.block_on(async {
            let tasks: Vec<_> = (0..3)
                .map(|at| {
                    let log = log.clone();
                    tokio::spawn(async move {
                        log.lock().unwrap().push(("works", at));
                        after_others().await;
                        log.lock().unwrap().push(("answers", at));
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
        let (works, answers) = (|at| ("works", at), |at| ("answers", at));
        let expected: Vec<_> = (0..3).map(works).chain((0..3).map(answers)).collect();
        assert_eq!(*log.lock().unwrap(), expected);
    }
}
