//! What a supervisor does while its server leads: asks for work, keeps leases, tries again.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;

use super::super::breaker::BreakerState;
use super::super::context::TaskContext;
use super::super::event::{DispatchError, TaskReadyEvent};
use super::Supervisor;
use super::attempt::fault;
use crate::dispatch::{Answer, Command, ExecutorState, Poll, Reply};
use crate::driver::{CommandError, ServerState};
use crate::model::{LeaseRef, RunnerId};
use crate::runner::PollId;

/// How long a poll of an executor is parked at most; then it asks again.
const POLL_WAIT_MS: i64 = 30_000;
/// How often an executor that says by itself that it has no room is asked whether it has.
const ROOM_LOOK: Duration = Duration::from_millis(100);
/// How long an executor may take to say that it can be reached again.
const PROBE_MAX: Duration = Duration::from_secs(10);
/// Polls of executors have numbers of their own, far from those of runners.
static NEXT_POLL: AtomicU64 = AtomicU64::new(1 << 63);

type Polling = Pin<Box<dyn Future<Output = Result<Answer, CommandError>> + Send>>;
/// A probe has a task of its own: leases are kept and attempts are told to stop beside it.
type Probing = AbortOnDropHandle<Result<(), DispatchError>>;

impl Supervisor {
    /// Works until it is stopped.
    pub(in super::super) async fn run(self: Arc<Self>) {
        let own = Arc::clone(&self);
        let _handing_over =
            AbortOnDropHandle::new(tokio::spawn(async move { own.hand_over_to_others().await }));
        let mut state = self.server.handle.views().watch_state();
        while !self.stopping.is_cancelled() {
            let leads = async {
                let _ = state.wait_for(|state| *state == ServerState::Running).await;
            };
            tokio::select! {
                () = self.stopping.cancelled() => return,
                () = leads => {}
            }
            let epoch = self.server.handle.views().epoch();
            let Ok(runner_id) = self.register().await else {
                tokio::time::sleep(ROOM_LOOK).await;
                continue;
            };
            if let Some(standing) = self.standing() {
                let _ = self.say(standing).await;
            }
            let tidying = self.look_after(runner_id).await;
            self.serve(runner_id, epoch).await;
            drop(tidying);
        }
    }

    /// Lets go of everything whenever another server leads, which goes on with what can be gone on with. Beside all
    /// else: a server that steps down is away at first, and whatever waits for it to be back hears of no more.
    async fn hand_over_to_others(&self) {
        let mut state = self.server.handle.views().watch_state();
        while state.wait_for(|state| *state == ServerState::Standby).await.is_ok() {
            self.hand_over();
            if state.wait_for(|state| *state != ServerState::Standby).await.is_err() {
                return;
            }
        }
    }

    /// Goes on with what the scheduler says that it has, and this process knows nothing of.
    async fn look_after(self: &Arc<Self>, runner_id: RunnerId) -> Option<AbortOnDropHandle<()>> {
        let asked = self.server.handle.ask(move |scheduler, _| scheduler.held_by(runner_id));
        let all = asked.await.ok()?;
        let live = all.iter().map(|held| TaskReadyEvent::new(&held.assigned).attempt_key).collect();
        let executor = Arc::clone(&self.executor);
        // Without a hurry: the backend may not answer. Whoever leads next has attempts that are not among these.
        let tidying =
            AbortOnDropHandle::new(tokio::spawn(async move { executor.tidy(&live).await }));
        for held in all {
            let is_known = self.duties().attempts.contains_key(&held.assigned.lease.token);
            // What was not begun with is told again by the next poll.
            if held.is_running && !is_known {
                self.begin(&held.assigned, Some(held.external_ref));
            }
        }
        Some(tidying)
    }

    /// Serves one epoch of the scheduler.
    async fn serve(self: &Arc<Self>, runner_id: RunnerId, epoch: i64) {
        let views = self.server.handle.views();
        let mut state = views.watch_state();
        let mut beat = tokio::time::interval(self.options.heartbeat_interval);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut polling: Option<Polling> = None;
        let mut probing: Option<Probing> = None;
        loop {
            if *state.borrow_and_update() != ServerState::Running || views.epoch() != epoch {
                return;
            }
            let wanted = self.wanted(&mut probing).await;
            match (wanted.jobs_max, &polling) {
                (Some(0), _) => polling = None,
                (jobs_max, None) => polling = Some(self.ask(runner_id, jobs_max)),
                _ => {}
            }
            let answered = async {
                match &mut polling {
                    Some(polling) => polling.await,
                    None => std::future::pending().await,
                }
            };
            let probed = async {
                match &mut probing {
                    Some(probing) => probing.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.stopping.cancelled() => return,
                _ = state.changed() => {}
                probed = probed => {
                    probing = None;
                    self.was_probed(probed).await;
                }
                _ = beat.tick() => self.beat(runner_id).await,
                () = self.changed.notified() => {}
                () = tokio::time::sleep(wanted.look_again) => {}
                answer = answered => {
                    polling = None;
                    match answer {
                        Ok(answer) => self.take(answer),
                        Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                    }
                }
            }
        }
    }

    fn take(self: &Arc<Self>, answer: Answer) {
        self.cancel(&answer.cancel);
        for job in answer.jobs {
            self.begin(&job, None);
        }
    }

    fn ask(&self, runner_id: RunnerId, jobs_max: Option<u32>) -> Polling {
        let poll = Poll {
            runner_id,
            poll_id: PollId(NEXT_POLL.fetch_add(1, Ordering::Relaxed)),
            wait_ms: POLL_WAIT_MS,
            jobs_max,
            known: self.held().iter().map(|held| held.token).collect(),
            capabilities: None,
            current_jobs: None,
        };
        let handle = self.server.handle.clone();
        Box::pin(async move { handle.poll(poll).await })
    }

    async fn beat(&self, runner_id: RunnerId) {
        // What is silent is in no heartbeat, so none says that its lease was lost.
        let views = self.server.handle.views();
        let is_lost = |lease: &LeaseRef| views.lease(*lease).is_none();
        let lost: Vec<_> = self.silent().into_iter().filter(is_lost).map(|it| it.token).collect();
        self.forget(&lost);
        let leases = self.held();
        if leases.is_empty() {
            return;
        }
        let beat = Command::Heartbeat { runner_id, leases, capabilities: None, current_jobs: None };
        if let Ok(Reply::Heartbeat { lost, cancel, .. }) = self.server.handle.send(beat).await {
            self.cancel(&cancel);
            self.forget(&lost);
        }
    }

    /// How many jobs to ask for, and when to ask oneself that again at the latest. When its time is over, it
    /// is asked first whether it can be reached.
    async fn wanted(&self, probing: &mut Option<Probing>) -> Wanted {
        let mono_ms = self.mono_ms();
        let (mut state, is_due, full_until_ms, trial) = {
            let mut duties = self.duties();
            let is_due = duties.breaker.look(mono_ms);
            let trial = duties.trial.and_then(|token| duties.attempts.get(&token));
            let trial = trial.map(|attempt| attempt.ctx.clone());
            (duties.breaker.state(), is_due, duties.full_until_ms, trial)
        };
        if is_due {
            *probing = Some(self.probe());
        } else if state != BreakerState::HalfOpen {
            // Somebody else has found out meanwhile.
            *probing = None;
        }
        if probing.is_some() {
            return Wanted { jobs_max: Some(0), look_again: Wanted::LATEST };
        }
        // It took the work; how that ends is another question.
        if state == BreakerState::HalfOpen && trial.as_ref().is_some_and(TaskContext::was_taken) {
            self.is_there().await;
            state = BreakerState::Closed;
        }
        let none_until = |at_ms: i64| Wanted {
            jobs_max: Some(0),
            look_again: Duration::from_millis((at_ms - mono_ms).clamp(1, 60_000).unsigned_abs()),
        };
        match state {
            BreakerState::Open { until_ms } => none_until(until_ms),
            _ if mono_ms < full_until_ms => none_until(full_until_ms),
            _ if !self.executor.has_capacity() => {
                Wanted { jobs_max: Some(0), look_again: ROOM_LOOK }
            }
            // One job at a time, until one went well.
            BreakerState::HalfOpen if trial.is_some() => none_until(mono_ms + POLL_WAIT_MS),
            BreakerState::HalfOpen => Wanted { jobs_max: Some(1), look_again: Wanted::LATEST },
            BreakerState::Closed => Wanted { jobs_max: None, look_again: Wanted::LATEST },
        }
    }

    /// Asks it whether it can be reached.
    fn probe(&self) -> Probing {
        let executor = Arc::clone(&self.executor);
        AbortOnDropHandle::new(tokio::spawn(async move {
            let silent = |_| Err(DispatchError::unavailable("it does not answer"));
            tokio::time::timeout(PROBE_MAX, executor.probe()).await.unwrap_or_else(silent)
        }))
    }

    /// If it can be reached, it is given a job to see.
    async fn was_probed(&self, probed: Result<Result<(), DispatchError>, JoinError>) {
        if self.duties().breaker.state() != BreakerState::HalfOpen {
            return;
        }
        let answer = probed.unwrap_or_else(|panic| Err(DispatchError::unavailable(fault(&panic))));
        let news = match answer {
            Ok(()) => Some(self.stands(ExecutorState::Trying)),
            Err(error) => self.is_not_there(true, None, &error.to_string()),
        };
        if let Some(news) = news {
            let _ = self.say(news).await;
        }
    }
}

/// What to ask for.
struct Wanted {
    /// So many jobs; `None` for as many as it has room for, 0 for not asking.
    jobs_max: Option<u32>,
    /// When to look again, if nothing happens.
    look_again: Duration,
}

impl Wanted {
    const LATEST: Duration = Duration::from_secs(60);
}
