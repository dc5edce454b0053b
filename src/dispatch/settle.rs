//! What follows a batch: the match, and the answers to polls.

use super::output::Answer;
use super::scheduler::Scheduler;
use crate::model::{Entropy, LeaseToken, Now};

impl Scheduler {
    /// Matches, and answers the polls that were given something or asked not to wait.
    pub fn settle(&mut self, now: Now, entropy: &mut dyn Entropy) {
        self.drain(now);
        self.match_jobs(now, entropy);
        for slot in std::mem::take(&mut self.to_answer) {
            let Some(runner) = self.runners.at(slot) else { continue };
            let Some(parked) = runner.parked else { continue };
            let drain = runner.row.draining;
            let has_news = !runner.given.is_empty() || !runner.cancels.is_empty() || drain;
            if !has_news && parked.until_ms > now.mono_ms {
                continue;
            }
            let ends = !parked.stays;
            let told = if ends { self.runners.unpark(slot) } else { self.runners.tell(slot) };
            let Some((poll_id, jobs, cancel)) = told else { continue };
            // A poll has one word for both: whoever asked by it learns the rest by a heartbeat.
            let stops = |token: &LeaseToken| !parked.stays || self.leases.get(*token).is_some();
            let (cancel, lost) = cancel.into_iter().partition(stops);
            self.out.answers.push(Answer { poll_id, jobs, cancel, lost, drain, ends });
        }
        self.flush_soft(now);
        self.trim_queue_timeouts();
        let jobs = &self.jobs;
        self.waits.trim(|id| jobs.get(&id).and_then(|job| super::view::waits(&job.row)));
    }
}
