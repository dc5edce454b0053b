//! A runner's stream, as the driver feeds it: assignments and what becomes of leases, as they are
//! committed.

use std::collections::VecDeque;

use tokio::sync::mpsc;

use super::handle::{Control, leave};
use crate::dispatch::{Answer, Command};
use crate::model::{AssignedJob, LeaseToken};
use crate::runner::PollId;

/// Answers that may wait for a reader; one that is slower is taken for gone.
pub(super) const ANSWERS_MAX: usize = 64;

/// One thing that a runner is told.
#[derive(Clone, PartialEq, Debug)]
pub enum Told {
    /// A lease is no longer its own.
    Lost(LeaseToken),
    /// The work of a lease is to be stopped.
    Cancel(LeaseToken),
    /// A job to start.
    Job(Box<AssignedJob>),
    /// It is to finish what it has and leave.
    Drain,
}

/// The reader's end of a stream. Dropping it ends the stream at once; what was given and not taken
/// out goes back.
#[derive(Debug)]
pub struct WorkStream {
    /// `None` once the driver has ended the stream.
    control: Option<mpsc::Sender<Control>>,
    poll_id: PollId,
    answers: mpsc::Receiver<Box<Answer>>,
    /// The rest of the last answer.
    ready: VecDeque<Told>,
}

impl WorkStream {
    pub(super) fn new(
        control: mpsc::Sender<Control>,
        poll_id: PollId,
        answers: mpsc::Receiver<Box<Answer>>,
    ) -> Self {
        Self { control: Some(control), poll_id, answers, ready: VecDeque::new() }
    }

    /// There is no such stream: it was refused.
    pub(super) fn never_was(&mut self) {
        self.control = None;
    }

    /// The next thing; `None` when the stream is over. What is taken out counts as delivered.
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Told> {
        while self.ready.is_empty() {
            let Some(answer) = self.answers.recv().await else {
                self.control = None;
                return None;
            };
            let Answer { jobs, cancel, lost, drain, .. } = *answer;
            // A lease that ends frees a slot, so it comes before what may take that.
            self.ready.extend(lost.into_iter().map(Told::Lost));
            self.ready.extend(cancel.into_iter().map(Told::Cancel));
            self.ready.extend(jobs.into_iter().map(|job| Told::Job(Box::new(job))));
            self.ready.extend(drain.then_some(Told::Drain));
        }
        self.ready.pop_front()
    }
}

impl Drop for WorkStream {
    fn drop(&mut self) {
        self.answers.close();
        let mut leases: Vec<_> = Vec::new();
        while let Ok(answer) = self.answers.try_recv() {
            leases.extend(answer.leases());
        }
        leases.extend(self.ready.drain(..).filter_map(|told| match told {
            Told::Job(job) => Some(job.lease.token),
            Told::Lost(_) | Told::Cancel(_) | Told::Drain => None,
        }));
        if let Some(control) = self.control.take() {
            // First: what goes back must not be given to it again.
            leave(&control, Command::PollGone(self.poll_id));
            if !leases.is_empty() {
                leave(&control, Command::Undelivered(leases));
            }
        }
    }
}
