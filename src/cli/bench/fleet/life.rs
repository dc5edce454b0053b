//! A runner of the fleet: as long as it lives it polls, starts, sends heartbeats and completes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::book::Book;
use crate::api::wire::{
    Assignment, HeartbeatRequest, HeartbeatResponse, HeldLease, JobDetail, PollRequest,
};
use crate::cli::bench::wire::{Registered, Wire};
use crate::model::{JobStateKind, LeaseToken, Nonce};

/// How long a poll waits.
const POLL_WAIT_MS: i64 = 20_000;

/// What all runners of a fleet share.
pub(super) struct Crew {
    pub(super) wire: Wire,
    pub(super) token: String,
    pub(super) pool: Option<String>,
    pub(super) slots: u32,
    pub(super) run_ms: u64,
    pub(super) book: Arc<Book>,
}

/// What a runner has; both halves of each lease.
type Leases = Arc<Mutex<BTreeMap<LeaseToken, Nonce>>>;

fn with<R>(leases: &Leases, look: impl FnOnce(&mut BTreeMap<LeaseToken, Nonce>) -> R) -> R {
    look(&mut leases.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A runner, through all its lives.
pub(super) struct Hand {
    crew: Arc<Crew>,
    number: usize,
    lives: u32,
    stop: CancellationToken,
    life: JoinHandle<()>,
    /// Leases of the present life; `None` inside while it is dead.
    leases: Arc<Mutex<Option<Leases>>>,
}

impl Hand {
    /// Registers it and lets it live. `None` when it may not register.
    pub(super) async fn begin(crew: Arc<Crew>, number: usize) -> Option<Self> {
        let runner = crew.hello(number, 1).await?;
        let stop = CancellationToken::new();
        let leases = Leases::default();
        let life = tokio::spawn(live(runner, Arc::clone(&crew), Arc::clone(&leases), stop.clone()));
        let leases = Arc::new(Mutex::new(Some(leases)));
        Some(Self { crew, number, lives: 1, stop, life, leases })
    }

    /// How many leases it has; `None` while it is dead.
    pub(super) fn live(&self) -> Option<usize> {
        let leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        leases.as_ref().map(|leases| with(leases, |leases| leases.len()))
    }

    /// Ends its process with all that it has, and after a while begins another.
    pub(super) fn die_and_return(&mut self, away: Duration) {
        self.stop.cancel();
        self.stop = CancellationToken::new();
        self.lives += 1;
        let (crew, number, lives) = (Arc::clone(&self.crew), self.number, self.lives);
        let (stop, shown) = (self.stop.clone(), Arc::clone(&self.leases));
        *shown.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.life = tokio::spawn(async move {
            let back = async {
                tokio::time::sleep(away).await;
                loop {
                    if let Some(runner) = crew.hello(number, lives).await {
                        return runner;
                    }
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            };
            tokio::select! {
                // It dies again before it is back.
                () = stop.cancelled() => {}
                runner = back => {
                    let leases = Leases::default();
                    *shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&leases));
                    live(runner, Arc::clone(&crew), leases, stop.clone()).await;
                }
            }
        });
    }

    /// Ends it for good.
    pub(super) async fn end(self) {
        self.stop.cancel();
        let _ = self.life.await;
    }
}

impl Crew {
    /// Asks the server what became of completions whose answers died with their runners.
    pub(super) async fn ask_after_the_unheard(&self) {
        for (job, lease) in self.book.take_unheard() {
            let saying = self.book.say(job, lease);
            let path = format!("jobs/{job}");
            let state = self.wire.get::<JobDetail>(&path, &self.token).await.map(|it| it.job.state);
            if state == Some(JobStateKind::Completed) {
                saying.heard(true);
            }
            // Otherwise it is asked after again: another attempt will end it.
        }
    }

    async fn hello(&self, number: usize, life: u32) -> Option<Registered> {
        let pool = self.pool.as_deref();
        Registered::hello(&self.wire, &self.token, pool, (number, life), self.slots).await
    }
}

/// One life: until it is cancelled, when everything that it does stops where it stands.
async fn live(runner: Registered, crew: Arc<Crew>, leases: Leases, stop: CancellationToken) {
    let mut work = JoinSet::new();
    work.spawn(heartbeats(runner.clone(), Arc::clone(&leases)));
    let polls = async {
        loop {
            let known = with(&leases, |leases| leases.keys().copied().collect());
            let poll = PollRequest { wait_ms: POLL_WAIT_MS, leases: known, ..Default::default() };
            let Some(answer) = runner.poll(&poll).await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            for job in answer.jobs {
                with(&leases, |leases| leases.insert(job.lease, job.nonce));
                let (runner, crew) = (runner.clone(), Arc::clone(&crew));
                work.spawn(carry_out(runner, crew, Arc::clone(&leases), job));
            }
            while work.try_join_next().is_some() {}
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = polls => {}
    }
    // What is left of its work goes away with the set.
}

async fn carry_out(runner: Registered, crew: Arc<Crew>, leases: Leases, job: Assignment) {
    if runner.start(&job).await {
        // Spread without a generator: from half to half as much again, by the job's number.
        let share = job.job_id.0.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54;
        let run_ms = crew.run_ms / 2 + crew.run_ms * share / 1_024;
        tokio::time::sleep(Duration::from_millis(run_ms)).await;
        let saying = crew.book.say(job.job_id, job.lease);
        let done = runner.complete(&job).await;
        saying.heard(done.is_some_and(|done| done.state == JobStateKind::Completed));
    }
    with(&leases, |leases| leases.remove(&job.lease));
}

async fn heartbeats(runner: Registered, leases: Leases) {
    loop {
        tokio::time::sleep(runner.heartbeat_interval()).await;
        let held = |(&lease, &nonce): (&LeaseToken, &Nonce)| HeldLease { lease, nonce };
        let held = with(&leases, |leases| leases.iter().map(held).collect());
        let beat = HeartbeatRequest { leases: held, ..HeartbeatRequest::default() };
        // A lost one is followed by the next.
        let _: Option<HeartbeatResponse> = runner.call("heartbeat", &beat).await;
    }
}
