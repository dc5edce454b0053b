//! The loop: load, then batch after batch, each decided, committed and only then spoken of.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;
use tokio::sync::{mpsc, oneshot};

use super::batch::{Envelope, Inbox, Limits};
use super::decide::{Decided, Failure, not_loaded, tell};
use super::handle::{CommandError, Control, Handle, Question};
use super::views::{ServerState, Views};
use crate::clock::Clock;
use crate::dispatch::{Answer, Command, LeaseChange, LeaseOwner, Refusal, Scheduler, Settings};
use crate::model::{DeliveryState, Entropy, Now, Plan};
use crate::runner::PollId;
use crate::store::Writer;
use crate::telemetry::Metrics;

/// Looks at each command before it is applied, inside the same guard against panics: how tests
/// plant a fault in the scheduler.
pub type Probe = Arc<dyn Fn(&Command) + Send + Sync>;

/// What the driver is made of.
pub struct DriverOptions {
    /// The one connection that writes.
    pub writer: Writer,
    /// Limits and times of the scheduler.
    pub settings: Settings,
    /// Sizes of channels and batches.
    pub limits: Limits,
    /// Most records that streams can go back.
    pub records_max: usize,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Draws nonces and jitter.
    pub entropy: Box<dyn Entropy>,
    /// What this process is called in the leader row.
    pub holder: String,
    /// Counts what the driver does.
    pub metrics: Arc<Metrics>,
    /// Where ended attempts are told, for whoever finishes what belongs to them (their logs). A
    /// full channel loses the news and nothing else.
    pub ended: Option<mpsc::Sender<LeaseOwner>>,
    /// A fault to plant, in tests.
    pub probe: Option<Probe>,
}

/// How long one round of questions may keep the next batch waiting.
const QUESTIONS_BUDGET_MS: i64 = 5;
/// How long the driver waits before it tries a store again that failed: doubled up to the last.
const RELOAD_WAIT_MS: (u64, u64) = (20, 1_000);

/// Starts the driver on a thread of its own, so that no other task delays a decision. The
/// receiver resolves when it has ended.
///
/// # Errors
///
/// When the thread cannot be started.
pub fn spawn(options: DriverOptions) -> std::io::Result<(Handle, oneshot::Receiver<()>)> {
    let (control, control_receiver) = mpsc::channel(options.limits.control_queue_max);
    let (intake, intake_receiver) = mpsc::channel(options.limits.intake_queue_max);
    let (questions, question_receiver) = mpsc::channel(1_024);
    let views = Arc::new(Views::new(options.records_max));
    let handle = Handle { control, intake, questions, views: Arc::clone(&views) };
    // No sockets here: without them the thread parks on a futex, which wakes faster than epoll.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let (ended, has_ended) = oneshot::channel();
    let inbox = Inbox {
        control: control_receiver,
        intake: intake_receiver,
        first: VecDeque::new(),
        stopping: false,
    };
    let driver = Driver {
        options,
        inbox,
        questions: question_receiver,
        views,
        scheduler: None,
        parked: FxHashMap::default(),
        failures: 0,
    };
    std::thread::Builder::new().name("driver".into()).spawn(move || {
        let views = Arc::clone(&driver.views);
        let run = AssertUnwindSafe(|| runtime.block_on(driver.run()));
        if std::panic::catch_unwind(run).is_err() {
            tracing::error!("a fault ended the driver: nothing can be decided any more");
            views.set_state(ServerState::Stopping);
        }
        let _ = ended.send(());
    })?;
    Ok((handle, has_ended))
}

pub(super) struct Driver {
    pub(super) options: DriverOptions,
    inbox: Inbox,
    questions: mpsc::Receiver<Question>,
    pub(super) views: Arc<Views>,
    /// `None` until loaded, and again from a failed commit to the next load.
    pub(super) scheduler: Option<Scheduler>,
    /// Who waits for the answers of parked polls.
    parked: FxHashMap<PollId, oneshot::Sender<Answer>>,
    /// Loads and commits that failed since the last commit.
    pub(super) failures: u32,
}

impl Driver {
    async fn run(mut self) {
        while !self.inbox.stopping {
            if self.scheduler.is_none() {
                if self.failures > 0 {
                    self.refuse_while_away().await;
                }
                self.load().await;
                continue;
            }
            self.wait().await;
            let batch = self.inbox.take(self.options.limits.batch_commands_max);
            self.carry_out(batch).await;
            self.answer_questions();
        }
        self.stop().await;
    }

    pub(super) fn now(&self) -> Now {
        self.options.clock.now()
    }

    /// Reads the rows again. Until that succeeds control commands are told so; new work waits in
    /// its channel for as long as its sender has patience.
    async fn load(&mut self) {
        let now = self.now();
        match self.options.writer.load(&self.options.holder, now.wall_ms).await {
            Ok(snapshot) => {
                let jobs = snapshot.jobs.len();
                let mut scheduler =
                    Scheduler::load(snapshot, self.options.settings.clone(), self.now());
                let output = scheduler.take_output();
                self.views.begin_epoch(scheduler.epoch(), output);
                if self.inbox.stopping {
                    self.views.set_state(ServerState::Stopping);
                }
                // The new scheduler knows none of the parked polls: whoever polls asks again.
                self.parked.clear();
                self.options.metrics.polls_parked.set(0);
                tracing::info!(epoch = scheduler.epoch(), jobs, "loaded the live jobs");
                self.options.metrics.store_reloads.inc();
                self.scheduler = Some(scheduler);
            }
            Err(error) => {
                self.failures += 1;
                if self.failures == 1 || self.failures.is_multiple_of(30) {
                    tracing::error!(%error, tries = self.failures, "failed to load the live jobs");
                }
                self.views.set_state(ServerState::StoreUnavailable);
            }
        }
    }

    /// Tells control commands, and whoever asks something, that the store is away, for a while. New
    /// work is kept for as long as its sender waits for it.
    async fn refuse_while_away(&mut self) {
        let (first, last) = RELOAD_WAIT_MS;
        let wait_ms = (first << self.failures.min(10)).min(last);
        let over = tokio::time::sleep(Duration::from_millis(wait_ms));
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = &mut over => return,
                // Unanswered: whoever asked is told by that.
                Some(question) = self.questions.recv() => drop(question),
                Some(envelope) = self.inbox.intake.recv(), if self.inbox.has_room() => {
                    self.inbox.put_off(envelope);
                }
                control = self.inbox.control.recv() => match control {
                    Some(Control::Command(envelope)) => {
                        envelope.answer(Err(CommandError::Unavailable));
                    }
                    Some(Control::Stop) | None => {
                        self.inbox.stopping = true;
                        return;
                    }
                },
            }
        }
    }

    /// Waits until there is something to do.
    async fn wait(&mut self) {
        if !self.inbox.first.is_empty() {
            return;
        }
        let now = self.now();
        let tick = self.scheduler.as_ref().and_then(|it| it.next_tick_in_ms(now));
        let tick = tick.map_or(u64::MAX, |ms| u64::try_from(ms).unwrap_or(0));
        tokio::select! {
            biased;
            control = self.inbox.control.recv() => match control {
                Some(Control::Command(envelope)) => self.inbox.first.push_back(envelope),
                Some(Control::Stop) | None => self.inbox.stopping = true,
            },
            Some(envelope) = self.inbox.intake.recv() => self.inbox.first.push_back(envelope),
            Some(question) = self.questions.recv() => self.answer(question),
            () = tokio::time::sleep(Duration::from_millis(tick.min(3_600_000))) => {}
        }
    }

    /// Carries out one batch; when something in it is wrong, one command after the other.
    async fn carry_out(&mut self, batch: Vec<Envelope>) {
        // After a second failure in a row one of the commands may be the reason, such as a row
        // for which the disk has no room: then the others are not kept from theirs.
        if self.failures > 1 && batch.len() > 1 {
            return self.one_by_one(batch).await;
        }
        let commands = batch.iter().map(|envelope| envelope.command.clone()).collect();
        match self.decide_and_commit(commands).await {
            Ok(decided) => self.speak(batch, decided),
            Err(Failure::Store(error)) => self.not_done(batch, &error),
            Err(Failure::Own(error)) => self.not_done(batch, &error),
            Err(Failure::Culprit(why)) => {
                tracing::error!(why, commands = batch.len(), "carrying out a batch one by one");
                self.scheduler = None;
                self.one_by_one(batch).await;
            }
        }
    }

    /// Law 12: one bad command hurts only itself. Loads once, then gives each command a
    /// transaction of its own.
    async fn one_by_one(&mut self, batch: Vec<Envelope>) {
        let mut rest = VecDeque::from(batch);
        while let Some(mut envelope) = rest.pop_front() {
            if self.scheduler.is_none() {
                self.load().await;
            }
            if self.scheduler.is_none() {
                rest.push_front(envelope);
                return self.not_done(rest.into(), &not_loaded());
            }
            let failed = match self.decide_and_commit(vec![envelope.command.clone()]).await {
                Ok(decided) => {
                    self.speak(vec![envelope], decided);
                    continue;
                }
                Err(failed) => failed,
            };
            self.scheduler = None;
            match failed {
                Failure::Store(error) => {
                    rest.push_front(envelope);
                    return self.not_done(rest.into(), &error);
                }
                Failure::Own(error) => {
                    rest.push_front(envelope);
                    return self.not_done(rest.into(), &error);
                }
                Failure::Culprit(why) => match as_failed(&mut envelope.command, &why) {
                    true => rest.push_front(envelope),
                    false => {
                        let refusal = Refusal::Panicked(why.into());
                        envelope.answer(Err(CommandError::Refused(refusal)));
                    }
                },
            }
        }
    }

    /// The batch is not durable, or it is not known whether it is, and none of its commands is to
    /// blame. Work that has a key can safely be tried again after the load, so its sender goes on
    /// waiting; everybody else is told to ask again.
    fn not_done(&mut self, batch: Vec<Envelope>, error: &dyn std::fmt::Display) {
        tracing::error!(%error, commands = batch.len(), "a batch was not committed");
        self.scheduler = None;
        self.failures = self.failures.saturating_add(1);
        self.views.set_state(ServerState::StoreUnavailable);
        // Whoever polls asks again and is then told what it was given.
        self.parked.clear();
        self.options.metrics.polls_parked.set(0);
        for envelope in batch {
            if envelope.command.is_intake() && envelope.command.unique_key().is_some() {
                self.inbox.put_off(envelope);
            } else {
                envelope.answer(Err(CommandError::Unavailable));
            }
        }
    }

    /// Everything is durable: tells everyone who waits.
    fn speak(&mut self, batch: Vec<Envelope>, decided: Decided) {
        let Decided { replies, output } = decided;
        self.views.apply_leases(&output.leases);
        if let Some(ended) = &self.options.ended {
            for change in &output.leases {
                if let LeaseChange::Ended(_, owner) = change {
                    let _ = ended.try_send(*owner);
                }
            }
        }
        self.views.apply_credentials(output.credentials);
        tell(&self.options.metrics, &output.records);
        self.views.records.push(output.records);
        for (mut envelope, reply) in batch.into_iter().zip(replies) {
            match (&envelope.command, envelope.poll.take()) {
                (Command::Poll(poll), Some(waiter)) if reply.is_ok() => {
                    self.parked.insert(poll.poll_id, waiter);
                }
                (Command::PollGone(poll_id), _) => drop(self.parked.remove(poll_id)),
                _ => {}
            }
            envelope.answer(reply.map_err(CommandError::Refused));
        }
        let mut undelivered = Vec::new();
        for answer in output.answers {
            let Some(waiter) = self.parked.remove(&answer.poll_id) else {
                undelivered.extend(answer.jobs.iter().map(|job| job.lease.token));
                continue;
            };
            if let Err(answer) = waiter.send(answer) {
                undelivered.extend(answer.jobs.iter().map(|job| job.lease.token));
            }
        }
        self.options.metrics.polls_parked.set(self.parked.len() as i64);
        if !undelivered.is_empty() {
            let command = Command::Undelivered(undelivered);
            self.inbox.first.push_back(Envelope { command, reply: None, poll: None });
        }
    }

    fn answer(&mut self, question: Question) {
        let now = self.now();
        if let Some(scheduler) = &mut self.scheduler {
            let asked = AssertUnwindSafe(|| question(scheduler, now));
            if std::panic::catch_unwind(asked).is_err() {
                tracing::error!("a question to the scheduler failed");
            }
        }
    }

    /// Answers questions that wait, for a while.
    fn answer_questions(&mut self) {
        let until = self.now().mono_ms + QUESTIONS_BUDGET_MS;
        while let Ok(question) = self.questions.try_recv() {
            self.answer(question);
            if self.now().mono_ms >= until {
                return;
            }
        }
    }

    /// Finishes what has arrived, lets parked polls go and closes the store.
    async fn stop(mut self) {
        self.views.set_state(ServerState::Stopping);
        self.inbox.control.close();
        self.inbox.intake.close();
        while self.scheduler.is_some() {
            let batch = self.inbox.take(self.options.limits.batch_commands_max);
            if batch.is_empty() {
                break;
            }
            self.carry_out(batch).await;
        }
        for (poll_id, waiter) in self.parked.drain() {
            let _ = waiter.send(Answer { poll_id, jobs: vec![], cancel: vec![], drain: false });
        }
        if let Err(error) = self.options.writer.close().await {
            tracing::warn!(%error, "the store was not closed cleanly");
        }
    }
}

/// A delivery that our own code fails on is stored as failed, to be replayed once that is mended.
/// Whether the command was one.
fn as_failed(command: &mut Command, why: &str) -> bool {
    let Command::Deliver(deliver) = command else { return false };
    if deliver.delivery.state == DeliveryState::Failed {
        return false;
    }
    deliver.plan = Plan::default();
    deliver.delivery.state = DeliveryState::Failed;
    deliver.delivery.reason = Some(why.into());
    true
}
