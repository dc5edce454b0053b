//! Senders and runners that do not mind crashes, and remember what they were told.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use dispatchyard::api::wire::{
    Assignment, AttemptView, DeliveryAccepted, LogAck, PollResponse, RegisterResponse,
};
use dispatchyard::model::{AttemptOutcome, DeliveryId, JobId, LeaseToken, RunnerId};
use rand::RngExt as _;
use rand::rngs::StdRng;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::fake_runner::{lease, registration};
use crate::support::hook::{fixture, try_answer};
use crate::support::{Answer, Api, Hook};

/// Between two tries while the server is away.
const PAUSE: Duration = Duration::from_millis(20);
/// Deliveries of one sender that are kept from flooding a debug build.
const BETWEEN_DELIVERIES: Duration = Duration::from_millis(15);

/// What all senders and runners share.
pub(super) struct Load {
    /// Any of them will do for any call.
    apis: Vec<Api>,
    next: AtomicUsize,
    sending: AtomicBool,
    working: AtomicBool,
    /// Senders wait: there is enough to do.
    held_back: AtomicBool,
    senders_left: AtomicU64,
    /// Deliveries that were answered with a 2xx, by their provider's id.
    acknowledged: Mutex<BTreeMap<String, DeliveryId>>,
    /// Completions that were answered with a 200.
    told: Mutex<BTreeMap<LeaseToken, JobId>>,
    /// What of logs was answered with a 200, by job and attempt.
    logged: Mutex<BTreeMap<(JobId, u32), String>>,
    duplicates: AtomicU64,
    unanswered: AtomicU64,
    repeated: AtomicU64,
    lost: AtomicU64,
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Load {
    pub(super) fn new(apis: Vec<Api>) -> Self {
        Self {
            apis,
            next: AtomicUsize::new(0),
            sending: AtomicBool::new(true),
            working: AtomicBool::new(true),
            held_back: AtomicBool::new(false),
            senders_left: AtomicU64::new(super::SENDERS),
            acknowledged: Mutex::default(),
            told: Mutex::default(),
            logged: Mutex::default(),
            duplicates: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            repeated: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        }
    }

    /// The next one, so that each is used for everything.
    fn api(&self) -> &Api {
        &self.apis[self.next.fetch_add(1, Ordering::Relaxed) % self.apis.len()]
    }

    pub(super) fn stop_sending(&self) {
        self.sending.store(false, Ordering::Relaxed);
    }

    pub(super) fn hold_back(&self, whether: bool) {
        self.held_back.store(whether, Ordering::Relaxed);
    }

    pub(super) fn is_sending(&self) -> bool {
        self.sending.load(Ordering::Relaxed)
    }

    pub(super) fn stop_working(&self) {
        self.working.store(false, Ordering::Relaxed);
    }

    pub(super) fn all_sent(&self) -> bool {
        self.senders_left.load(Ordering::Relaxed) == 0
    }

    pub(super) fn acknowledged(&self) -> BTreeMap<String, DeliveryId> {
        self.acknowledged.lock().unwrap().clone()
    }

    /// Sends deliveries, each one until it is acknowledged.
    pub(super) async fn send(self: std::sync::Arc<Self>, sender: u64) {
        for number in 0.. {
            if !self.sending.load(Ordering::Relaxed) {
                break;
            }
            if self.held_back.load(Ordering::Relaxed) {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            let name = format!("{sender}-{number}");
            let accepted = self.deliver(&name).await;
            if accepted.duplicate {
                add(&self.duplicates);
            }
            self.acknowledged.lock().unwrap().insert(name, accepted.delivery_id);
            tokio::time::sleep(BETWEEN_DELIVERIES).await;
        }
        self.senders_left.fetch_sub(1, Ordering::Relaxed);
    }

    async fn deliver(&self, name: &str) -> DeliveryAccepted {
        loop {
            let hook = Hook::new(self.api());
            if let Some(answer) = try_answer(hook.signed("push", name, fixture("push"))).await {
                match answer.status {
                    200 | 202 => return answer.json(),
                    503 => {}
                    _ => panic!("{answer:?}"),
                }
            }
            add(&self.unanswered);
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Takes jobs until it is told to stop; forgets one now and then.
    pub(super) async fn work(self: std::sync::Arc<Self>, runner: u64, mut random: StdRng) {
        let (id, token) = self.register(runner).await;
        while self.working.load(Ordering::Relaxed) {
            let request = json!({ "wait_ms": 200 });
            let poll = format!("/runners/{id}/poll");
            let api = self.api().with_token(&token);
            let Some(answer) = api.try_ask(Method::POST, &poll, Some(&request)).await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            if answer.status == 503 {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            assert_eq!(answer.status, 200, "{answer:?}");
            for job in answer.json::<PollResponse>().jobs {
                // Sometimes it never starts, sometimes it dies in the middle.
                match random.random_range(0..20) {
                    0 => {}
                    1 => drop(self.say(&token, &job, "start", json!({})).await),
                    _ => self.carry_out(&token, &job, random.random_range(0..4) == 0).await,
                }
            }
        }
    }

    async fn register(&self, runner: u64) -> (RunnerId, String) {
        let request = registration(&format!("fake-{runner}"), &["x"], 2);
        loop {
            let answer =
                self.api().try_ask(Method::POST, "/runners/register", Some(&request)).await;
            if let Some(answer) = answer.filter(|answer| answer.status == 200) {
                let registered: RegisterResponse = answer.json();
                return (registered.runner_id, registered.token);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn carry_out(&self, token: &str, job: &Assignment, twice: bool) {
        if self.say(token, job, "start", json!({})).await.status == 409 {
            return add(&self.lost);
        }
        self.write(token, job, twice).await;
        let outcome = json!({ "outcome": AttemptOutcome::Completed });
        let answer = self.say(token, job, "complete", outcome.clone()).await;
        if answer.status == 409 {
            return add(&self.lost);
        }
        assert_eq!(answer.status, 200, "{answer:?}");
        self.told.lock().unwrap().insert(job.lease, job.job_id);
        if twice {
            let again = self.say(token, job, "complete", outcome).await;
            assert_eq!((again.status, &again.text), (200, &answer.text), "the same answer twice");
            add(&self.repeated);
        }
    }

    /// Writes to the log, one piece after the other, each until it is answered.
    async fn write(&self, token: &str, job: &Assignment, twice: bool) {
        let mut text = String::new();
        for number in 0..1 + u8::from(twice) {
            let piece = format!("piece {number} of lease {}\n", job.lease);
            let query = format!("?offset={}&nonce={}", text.len(), job.nonce);
            let path = format!("/api/v1{}{query}", lease(job, "logs"));
            let answer = loop {
                let api = self.api().with_token(token);
                let answer = try_answer(api.request(Method::POST, &path).body(piece.clone())).await;
                if let Some(answer) = answer.filter(|answer| answer.status != 503) {
                    break answer;
                }
                add(&self.unanswered);
                tokio::time::sleep(PAUSE).await;
            };
            if answer.status == 409 {
                return add(&self.lost);
            }
            text += &piece;
            let acknowledged: LogAck = answer.json();
            assert_eq!(acknowledged.next_offset, text.len() as u64, "{answer:?}");
            self.logged.lock().unwrap().insert((job.job_id, job.attempt), text.clone());
        }
    }

    /// One call about a lease, until it is answered.
    async fn say(&self, token: &str, job: &Assignment, call: &str, mut body: Value) -> Answer {
        body["nonce"] = json!(job.nonce);
        loop {
            let api = self.api().with_token(token);
            let answer = api.try_ask(Method::POST, &lease(job, call), Some(&body)).await;
            if let Some(answer) = answer.filter(|answer| answer.status != 503) {
                return answer;
            }
            add(&self.unanswered);
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// A completion that was answered is the job's one completed attempt.
    pub(super) fn assert_told(&self, job: JobId, attempts: &[AttemptView]) {
        let told = self.told.lock().unwrap();
        for (lease, _) in told.iter().filter(|(_, owner)| **owner == job) {
            let attempt = attempts.iter().find(|attempt| attempt.lease == *lease);
            let outcome = attempt.map(|attempt| attempt.outcome);
            assert_eq!(outcome, Some(AttemptOutcome::Completed), "lease {lease} of job {job}");
        }
    }

    /// What was answered of the log of an attempt is there.
    pub(super) async fn assert_logged(&self, api: &Api, job: JobId, attempt: u32) {
        let logged = self.logged.lock().unwrap().get(&(job, attempt)).cloned();
        let Some(logged) = logged else { return };
        let path = format!("/jobs/{job}/logs?attempt={attempt}");
        let there = api.try_ask(Method::GET, &path, None).await.unwrap();
        // More than that where the answer to the last piece was lost, and then the lease.
        let is_there = there.status == 200 && there.text.starts_with(&logged);
        assert!(is_there, "attempt {attempt} of job {job}: {logged:?} was answered, and {there:?}");
    }

    pub(super) fn counters(&self) -> String {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        format!(
            "acknowledged {}, duplicates {}, completions answered {}, repeated {}, logs of {} \
             attempts, calls without an answer {}, leases lost {}",
            self.acknowledged.lock().unwrap().len(),
            get(&self.duplicates),
            self.told.lock().unwrap().len(),
            get(&self.repeated),
            self.logged.lock().unwrap().len(),
            get(&self.unanswered),
            get(&self.lost)
        )
    }

    /// A crash test that met nothing rare would say nothing.
    pub(super) fn assert_reached(&self) {
        let reached = [&self.unanswered, &self.repeated];
        assert!(reached.iter().all(|it| it.load(Ordering::Relaxed) > 0), "{}", self.counters());
        assert!(self.acknowledged.lock().unwrap().len() > 50, "{}", self.counters());
    }
}
