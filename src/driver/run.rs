//! The loop: load, then round after round, each decided, committed and only then spoken of.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::absence::Absence;
use super::batch::{Inbox, Limits};
use super::decide::{Failure, Round, guarded};
use super::flight::Flight;
use super::handle::{CommandError, Control, Handle, Question};
use super::seat::{self, Leaving};
use super::term::Term;
use super::views::{ServerState, Views};
use super::waiters::Waiters;
use crate::clock::Clock;
use crate::dispatch::{Command, LeaseOwner, Output, Scheduler, Settings};
use crate::model::{Entropy, Now};
use crate::store::{Seat, StoreError, Writer};
use crate::telemetry::{Meter, Metrics};

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
    /// Where several servers share the database: the seat, and how long its holder is believed.
    pub seat: Option<(Seat, Term)>,
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
/// How long the driver waits before it tries a store again that failed: doubled up to the last. With
/// that and a load, writes are accepted again within a second of the end of the trouble.
const RELOAD_WAIT_MS: (u64, u64) = (20, 500);
/// How long the end of a driver may wait for soft state to be written: whoever leads next waits too.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How often an instance that does not lead makes sure that it missed no news of that.
const STANDBY_LOOK: Duration = Duration::from_millis(250);

/// Starts the driver on a thread of its own, so that no other task delays a decision. The
/// receiver resolves when it has ended.
///
/// # Errors
///
/// When the thread cannot be started.
///
/// # Panics
///
/// With a seat, outside of a runtime: its keeper is a task there.
pub fn spawn(mut options: DriverOptions) -> std::io::Result<(Handle, oneshot::Receiver<()>)> {
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
    let leaving = options.seat.take().map(|(seat, term)| {
        views.share();
        seat::keep(seat, term, Arc::clone(&views), Arc::clone(&options.clock))
    });
    let meter = Meter::new(Arc::clone(&options.metrics), options.settings.catalogue.clone());
    let absence = Absence::of(&options.settings);
    let driver = Driver {
        options,
        absence,
        inbox,
        questions: question_receiver,
        meter,
        views,
        scheduler: None,
        ticked_at: None,
        round: Round::default(),
        ahead_failed: None,
        flight: None,
        unsaid: None,
        asked: None,
        parked: Waiters::default(),
        failures: 0,
        leaving,
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
    /// How long it may be away before terms begin anew.
    pub(super) absence: Absence,
    pub(super) inbox: Inbox,
    pub(super) questions: mpsc::Receiver<Question>,
    /// Counts what is spoken of.
    pub(super) meter: Meter,
    pub(super) views: Arc<Views>,
    /// `None` until loaded, and again from a failed commit to the next load.
    pub(super) scheduler: Option<Scheduler>,
    /// Until when time has passed in it.
    pub(super) ticked_at: Option<Now>,
    /// What is decided for the next commit. Until it is sent off the scheduler is ahead of the
    /// rows, so nobody may ask it anything.
    pub(super) round: Round,
    /// What went wrong while the round was decided beside a commit.
    pub(super) ahead_failed: Option<Failure>,
    /// What is being committed.
    pub(super) flight: Option<Flight>,
    /// What was committed before that, and not spoken of.
    pub(super) unsaid: Option<Flight>,
    /// A question that waits until the scheduler says what the rows say.
    pub(super) asked: Option<Question>,
    /// Who waits for the answers of parked polls, and of streams.
    pub(super) parked: Waiters,
    /// Loads and commits that failed since the last commit.
    pub(super) failures: u32,
    /// Keeps the seat until it is told to leave; `None` where there is one server only.
    leaving: Option<Leaving>,
}

impl Driver {
    async fn run(mut self) {
        while !self.inbox.stopping {
            if self.scheduler.is_none() {
                if !self.views.may_speak(self.now()) {
                    self.stand_by().await;
                    continue;
                }
                if self.failures > 0 {
                    self.refuse_while_away().await;
                }
                self.load().await;
                continue;
            }
            if self.flight.is_none() {
                self.wait().await;
                if self.scheduler.is_none() {
                    continue;
                }
            }
            self.turn().await;
        }
        self.stop().await;
    }

    pub(super) fn now(&self) -> Now {
        self.options.clock.now()
    }

    /// Reads the rows again. Until that succeeds control commands are told so; new work waits in
    /// its channel for as long as its sender has patience.
    pub(super) async fn load(&mut self) {
        let now = self.now();
        self.ticked_at = None;
        if self.views.state() == ServerState::Standby {
            self.views.set_state(ServerState::Loading);
        }
        let (views, clock) = (Arc::clone(&self.views), Arc::clone(&self.options.clock));
        let loading = self.options.writer.load(&self.options.holder, now.wall_ms);
        match seat::while_seated(views, clock, loading).await {
            // Another one may have loaded since.
            Ok(_) if !self.views.may_speak(self.now()) => {}
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
                self.parked.count(&self.options.metrics);
                tracing::info!(epoch = scheduler.epoch(), jobs, "loaded the live jobs");
                self.options.metrics.store_reloads.inc();
                self.scheduler = Some(scheduler);
            }
            Err(StoreError::NotLeading) => self.failures += 1,
            Err(error) => {
                self.failures += 1;
                if self.failures == 1 || self.failures.is_multiple_of(30) {
                    tracing::error!(%error, tries = self.failures, "failed to load the live jobs");
                }
                self.views.set_state(ServerState::StoreUnavailable);
            }
        }
    }

    /// Decides nothing until this instance leads. Whoever asks is told so: what a standby can do is done
    /// elsewhere.
    async fn stand_by(&mut self) {
        self.views.step_down();
        self.failures = 0;
        for envelope in self.inbox.first.drain(..) {
            envelope.answer(Err(CommandError::Unavailable));
        }
        let mut standing = self.views.watch_standing();
        while !self.inbox.stopping && !self.views.may_speak(self.now()) {
            tokio::select! {
                _ = standing.changed() => {}
                // A term that was renewed after all changes nothing that could be waited for.
                () = tokio::time::sleep(STANDBY_LOOK) => {}
                // Unanswered: whoever asked is told by that.
                Some(question) = self.questions.recv() => drop(question),
                Some(envelope) = self.inbox.intake.recv() => {
                    envelope.answer(Err(CommandError::Unavailable));
                }
                control = self.inbox.control.recv() => self.refuse(control),
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
        while !self.inbox.stopping {
            tokio::select! {
                () = &mut over => return,
                // Unanswered: whoever asked is told by that.
                Some(question) = self.questions.recv() => drop(question),
                Some(envelope) = self.inbox.intake.recv(), if self.inbox.has_room() => {
                    self.inbox.put_off(envelope);
                }
                control = self.inbox.control.recv() => self.refuse(control),
            }
        }
    }

    /// Nothing can be decided now: a command is told so, a stop is taken note of.
    fn refuse(&mut self, control: Option<Control>) {
        match control {
            Some(Control::Command(envelope)) => envelope.answer(Err(CommandError::Unavailable)),
            Some(Control::Stop) | None => self.inbox.stopping = true,
        }
    }

    /// Waits until there is something to do.
    async fn wait(&mut self) {
        if !self.inbox.first.is_empty() {
            return;
        }
        let now = self.now();
        let tick = self.scheduler.as_ref().and_then(|it| it.next_tick_in_ms(now));
        // Never for longer than that, so that a longer time without a look is an absence.
        let rest_ms = self.absence.rest_ms();
        let rest_ms = tick.map_or(rest_ms, |ms| ms.min(rest_ms));
        let rest = Duration::from_millis(u64::try_from(rest_ms).unwrap_or(0));
        let unseated = seat::unseated(Arc::clone(&self.views), Arc::clone(&self.options.clock));
        tokio::select! {
            biased;
            control = self.inbox.control.recv() => match control {
                Some(Control::Command(envelope)) => self.inbox.first.push_back(envelope),
                Some(Control::Stop) | None => self.inbox.stopping = true,
            },
            Some(envelope) = self.inbox.intake.recv() => self.inbox.first.push_back(envelope),
            Some(question) = self.questions.recv() => self.answer(question),
            () = unseated => self.step_down(),
            () = tokio::time::sleep(rest) => {}
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

    /// Answers questions that wait, for a while. Nothing may be decided that is not committed.
    pub(super) fn answer_questions(&mut self) {
        let until = self.now().mono_ms + QUESTIONS_BUDGET_MS;
        if let Some(question) = self.asked.take() {
            self.answer(question);
        }
        while let Ok(question) = self.questions.try_recv() {
            self.answer(question);
            if self.now().mono_ms >= until {
                return;
            }
        }
    }

    /// Writes soft state once more (law 4), for whoever loads next. No safety depends on it, so what
    /// cannot be written in a moment is not.
    async fn save_soft(&mut self) {
        let now = self.now();
        let wanted = self.views.may_speak(now) && self.options.settings.soft_flush_ms > 0;
        let Some(scheduler) = self.scheduler.as_mut().filter(|_| wanted) else { return };
        let kept = guarded(|| {
            scheduler.save_soft(now);
            scheduler.take_output()
        });
        let (epoch, writer) = (self.views.epoch(), &mut self.options.writer);
        let saved = async {
            let Output { changes, marks, .. } = kept?;
            let written = async {
                let batch = writer.lend()?.begin().await?;
                batch.commit(epoch, &changes, marks, now.wall_ms).await
            };
            written.await.map_err(|error: StoreError| error.to_string())
        };
        let error = match tokio::time::timeout(LAST_WORDS, saved).await {
            Ok(Ok(lent)) => return self.options.writer.take_back(lent),
            Ok(Err(error)) => error,
            Err(_) => format!("not done within {} ms", LAST_WORDS.as_millis()),
        };
        tracing::warn!(error, "usage, health and what was learned are as old as their last write");
    }

    /// Finishes what has arrived, lets parked polls go and closes the store.
    async fn stop(mut self) {
        self.views.set_state(ServerState::Stopping);
        self.inbox.control.close();
        self.inbox.intake.close();
        while self.scheduler.is_some() && (self.flight.is_some() || self.inbox.has_more()) {
            self.turn().await;
        }
        self.parked.let_go();
        self.save_soft().await;
        if let Err(error) = self.options.writer.close().await {
            tracing::warn!(%error, "the store was not closed cleanly");
        }
        // Only now, when nothing is written any more: the next one leads in a moment.
        if let Some(leaving) = self.leaving.take() {
            leaving.leave().await;
        }
    }
}
