//! Jobs that wait for a decision from outside, until somebody takes them up.
//!
//! Not a channel: none of them may be lost for want of room, and there are never more than live jobs. After
//! a load all that wait are there again, so whoever took one up and ended before its decision was committed
//! need not give it back.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};

use tokio::sync::Notify;

use crate::model::JobId;

/// Jobs that wait for a decision. Written by the driver, and only after a commit.
#[derive(Debug, Default)]
pub struct Undecided {
    jobs: Mutex<BTreeSet<JobId>>,
    bell: Notify,
}

impl Undecided {
    /// Takes up the oldest ones, at most so many and at least one, as soon as there is one. For one caller:
    /// a second one may wait in vain.
    pub async fn take(&self, most: usize) -> Vec<JobId> {
        loop {
            // Of what is added from here on the bell tells.
            let rung = self.bell.notified();
            let taken = self.take_now(most);
            if !taken.is_empty() {
                return taken;
            }
            rung.await;
        }
    }

    fn take_now(&self, most: usize) -> Vec<JobId> {
        let mut jobs = self.lock();
        let taken: Vec<_> = jobs.iter().take(most).copied().collect();
        for id in &taken {
            jobs.remove(id);
        }
        taken
    }

    /// These wait from now on.
    pub(super) fn add(&self, jobs: &[JobId]) {
        if jobs.is_empty() {
            return;
        }
        self.lock().extend(jobs);
        self.bell.notify_one();
    }

    /// These are all that wait.
    pub(super) fn begin_epoch(&self, jobs: &[JobId]) {
        self.clear();
        self.add(jobs);
    }

    /// This instance does not know any more who waits.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<JobId>> {
        self.jobs.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_is_taken_up_once_and_after_a_load_again() {
        let undecided = Undecided::default();
        let jobs = [1, 2, 3].map(JobId);
        undecided.add(&jobs);
        assert_eq!(undecided.take(2).await, jobs[..2]);
        assert_eq!(undecided.take(2).await, jobs[2..]);
        undecided.begin_epoch(&jobs[1..]);
        assert_eq!(undecided.take(9).await, jobs[1..]);
        undecided.add(&jobs);
        undecided.clear();
        assert_eq!(undecided.take_now(9), []);
    }

    #[tokio::test]
    async fn whoever_waits_hears_of_the_first_one() {
        let undecided = std::sync::Arc::new(Undecided::default());
        let waiting = std::sync::Arc::clone(&undecided);
        let taken = tokio::spawn(async move { waiting.take(1).await });
        tokio::task::yield_now().await;
        undecided.add(&[JobId(7)]);
        assert_eq!(taken.await.unwrap(), [JobId(7)]);
    }
}
