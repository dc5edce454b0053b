//! Which commands go together.

use std::collections::{HashSet, VecDeque};

use tokio::sync::{mpsc, oneshot};

use super::handle::{CommandError, Control};
use super::waiters::Waiter;
use crate::dispatch::{Command, Reply};

/// A command with where its reply goes.
#[derive(Debug)]
pub struct Envelope {
    /// What to decide.
    pub command: Command,
    /// Who waits for it; `None` when nobody does.
    pub reply: Option<oneshot::Sender<Result<Reply, CommandError>>>,
    /// Of a poll or a stream: who waits for its answers.
    pub poll: Option<Waiter>,
}

impl Envelope {
    /// Answers whoever waits.
    pub(super) fn answer(self, reply: Result<Reply, CommandError>) {
        if let Some(sender) = self.reply {
            let _ = sender.send(reply);
        }
    }

    /// Whether it is new work that nobody waits for any more.
    pub(super) fn is_unwanted(&self) -> bool {
        self.command.is_intake() && self.is_abandoned()
    }

    /// Whether somebody waited and no longer does.
    fn is_abandoned(&self) -> bool {
        self.reply.as_ref().is_some_and(oneshot::Sender::is_closed)
    }
}

/// Sizes of channels and batches.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most commands in one transaction.
    pub batch_commands_max: usize,
    /// Most commands of each kind that may wait.
    pub control_queue_max: usize,
    /// Most commands of each kind that may wait.
    pub intake_queue_max: usize,
}

/// Most new work that is kept outside its channel while the store is away.
const KEPT_MAX: usize = 1_000;

/// The driver's ends of the channels, and what was put off.
pub(super) struct Inbox {
    pub(super) control: mpsc::Receiver<Control>,
    pub(super) intake: mpsc::Receiver<Envelope>,
    /// To be done before anything else: leases that found nobody, work whose commit failed, and
    /// second uses of a key in one batch.
    pub(super) first: VecDeque<Envelope>,
    pub(super) stopping: bool,
}

impl Inbox {
    /// Keeps a command for the next batch, unless nobody waits for it any more.
    pub(super) fn put_off(&mut self, envelope: Envelope) {
        self.first.retain(|envelope| !envelope.is_abandoned());
        if !envelope.is_abandoned() {
            self.first.push_back(envelope);
        }
    }

    /// Whether more can be kept while nothing can be decided.
    pub(super) fn has_room(&self) -> bool {
        self.first.len() < KEPT_MAX
    }

    /// Whether anything waits to be decided.
    pub(super) fn has_more(&self) -> bool {
        !(self.first.is_empty() && self.control.is_empty() && self.intake.is_empty())
    }

    /// Takes the next batch without waiting: what was put off, then control, then intake, with at
    /// least a quarter of the room left for intake.
    pub(super) fn take(&mut self, max: usize) -> Vec<Envelope> {
        let mut batch = Vec::new();
        let mut keys = HashSet::new();
        let mut put_off = VecDeque::new();
        let mut add = |envelope: Envelope, batch: &mut Vec<Envelope>| {
            if envelope.is_unwanted() {
                return;
            }
            // The second of two equal keys needs the first one's answer.
            let again = envelope.command.unique_key().is_some_and(|(key, _)| !keys.insert(key));
            if again {
                put_off.push_back(envelope);
            } else {
                batch.push(envelope);
            }
        };
        while batch.len() < max
            && let Some(envelope) = self.first.pop_front()
        {
            add(envelope, &mut batch);
        }
        while batch.len() < max - max / 4 {
            match self.control.try_recv() {
                Ok(Control::Command(envelope)) => add(envelope, &mut batch),
                Ok(Control::Stop) => self.stopping = true,
                Err(_) => break,
            }
        }
        while batch.len() < max
            && let Ok(envelope) = self.intake.try_recv()
        {
            add(envelope, &mut batch);
        }
        self.first.extend(put_off);
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PlannedWorkload, RunnerId, TenantId, WorkloadKind};

    fn submit(key: Option<&str>) -> Envelope {
        let workload = PlannedWorkload {
            kind: WorkloadKind::Workflow,
            name: "w".into(),
            trigger: String::new(),
            tenant_id: TenantId::DEFAULT,
            session: None,
            terms: Default::default(),
            open: false,
            jobs: Vec::new(),
        };
        let command = Command::Submit {
            workload: Box::new(workload),
            idempotency_key: key.map(Into::into),
            ended: Vec::new(),
        };
        Envelope { command, reply: None, poll: None }
    }

    fn control() -> Control {
        let command = Command::Deregister(RunnerId(1));
        Control::Command(Envelope { command, reply: None, poll: None })
    }

    fn inbox() -> (mpsc::Sender<Control>, mpsc::Sender<Envelope>, Inbox) {
        let (control, control_receiver) = mpsc::channel(100);
        let (intake, intake_receiver) = mpsc::channel(100);
        let inbox = Inbox {
            control: control_receiver,
            intake: intake_receiver,
            first: VecDeque::new(),
            stopping: false,
        };
        (control, intake, inbox)
    }

    #[test]
    fn control_goes_first_and_intake_keeps_a_quarter() {
        let (control_sender, intake, mut inbox) = inbox();
        for _ in 0..20 {
            control_sender.try_send(control()).unwrap();
            intake.try_send(submit(None)).unwrap();
        }
        let batch = inbox.take(8);
        let intake = batch.iter().filter(|envelope| envelope.command.is_intake()).count();
        assert_eq!((batch.len(), intake), (8, 2));
        assert!(!batch[5].command.is_intake());
    }

    #[test]
    fn the_second_use_of_a_key_waits_for_the_next_batch() {
        let (_control, intake, mut inbox) = inbox();
        for key in [Some("a"), Some("b"), Some("a"), None] {
            intake.try_send(submit(key)).unwrap();
        }
        assert_eq!(inbox.take(8).len(), 3);
        let next = inbox.take(8);
        assert_eq!(next.len(), 1);
        assert_eq!(next[0].command.unique_key().unwrap().0.key, "a".into());
    }

    #[test]
    fn new_work_that_nobody_waits_for_any_more_is_dropped() {
        let (_control, intake, mut inbox) = inbox();
        let mut envelope = submit(None);
        let (reply, answer) = oneshot::channel();
        envelope.reply = Some(reply);
        intake.try_send(envelope).unwrap();
        drop(answer);
        assert!(inbox.take(8).is_empty());
    }
}
