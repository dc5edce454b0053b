//! A small server that speaks the runner's wire, with planted faults.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tokio::sync::watch;

use crate::api::wire::*;
use crate::clock::SystemClock;
use crate::model::*;

use super::BOUND;

pub(super) const REGISTRATION_TOKEN: &str = "registration-secret";

/// What the server knows; tests read and write it.
#[derive(Default)]
pub(super) struct World {
    pub(super) queue: VecDeque<LeaseToken>,
    pub(super) leases: BTreeMap<LeaseToken, Lease>,
    pub(super) cancel: BTreeSet<LeaseToken>,
    pub(super) lost: BTreeSet<LeaseToken>,
    pub(super) drain: bool,
    /// Answer polls at once, as a broken server does.
    pub(super) never_park: bool,
    /// Say nothing of cancels to polls, so that a heartbeat must.
    pub(super) cancel_by_heartbeat: bool,
    /// How many calls of that name are answered 503 before anything is done.
    pub(super) refuse: BTreeMap<&'static str, u32>,
    /// How many answers of that name are lost after everything was done.
    pub(super) lose_answer: BTreeMap<&'static str, u32>,
    pub(super) runner_token: String,
    /// Nobody registers any more.
    pub(super) is_closed: bool,
    pub(super) registrations: Vec<RegisterRequest>,
    pub(super) polls: Vec<PollRequest>,
    /// When each poll came, in seconds of the server's clock.
    pub(super) polled_at: Vec<f64>,
    /// There is a route for streams.
    pub(super) has_streams: bool,
    /// Requests for streams, answered or not.
    pub(super) streams: Vec<StreamRequest>,
    /// So many of the first streams are over.
    pub(super) streams_cut: usize,
    /// Streams say nothing, not even that they are alive.
    pub(super) streams_are_mute: bool,
    pub(super) heartbeats: usize,
    /// 50 ms when 0.
    pub(super) heartbeat_interval_ms: i64,
    /// Logs are full from the start.
    pub(super) truncate_logs: bool,
    pub(super) deregistered: bool,
}

/// One job with its attempt.
#[derive(Clone)]
pub(super) struct Lease {
    pub(super) assignment: Assignment,
    pub(super) context: JobContext,
    pub(super) payload: Bytes,
    pub(super) assigned: bool,
    pub(super) starts: u32,
    pub(super) log: Vec<u8>,
    pub(super) completions: Vec<CompleteRequest>,
    pub(super) released: Option<RequeueReason>,
}

impl Lease {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.log).into_owned()
    }

    /// The log without its times.
    pub(super) fn lines(&self) -> Vec<String> {
        let text = self.text();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let unstamped = |line: &str| line.split_once(' ').map_or(line, |it| it.1).to_owned();
        whole.lines().map(unstamped).collect()
    }
}

/// The server; it can be killed and started again with what it knows.
pub(super) struct Fake {
    world: Mutex<World>,
    pub(super) clock: SystemClock,
    pub(super) changed: watch::Sender<u64>,
    port: Mutex<u16>,
    runtime: Mutex<Option<tokio::runtime::Runtime>>,
}

impl Fake {
    pub(super) fn start() -> Arc<Self> {
        let fake = Self::stopped();
        fake.serve();
        fake
    }

    /// With a port that nobody listens on yet.
    pub(super) fn stopped() -> Arc<Self> {
        let probe = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = probe.local_addr().expect("bound").port();
        Arc::new(Self {
            world: Mutex::default(),
            clock: SystemClock::new(),
            changed: watch::Sender::new(0),
            port: Mutex::new(port),
            runtime: Mutex::default(),
        })
    }

    pub(super) fn address(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port.lock().expect("lock"))
    }

    /// Listens, on a runtime of its own, so that killing it cuts every connection.
    pub(super) fn serve(self: &Arc<Self>) {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().expect("a runtime");
        let address = ("127.0.0.1", *self.port.lock().expect("lock"));
        let app = super::fake_routes::router(Arc::clone(self));
        let (sender, ready) = std::sync::mpsc::channel();
        runtime.spawn(async move {
            let listener = loop {
                match tokio::net::TcpListener::bind(address).await {
                    Ok(listener) => break listener,
                    // The killed predecessor's socket is closed in the background.
                    Err(_) => tokio::task::yield_now().await,
                }
            };
            sender.send(()).expect("waited for");
            axum::serve(listener, app).await.expect("serves");
        });
        ready.recv_timeout(BOUND).expect("it listens");
        *self.runtime.lock().expect("lock") = Some(runtime);
    }

    pub(super) fn kill(&self) {
        let runtime = self.runtime.lock().expect("lock").take();
        runtime.expect("it runs").shutdown_background();
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("lock")
    }

    /// Changes what the server knows and wakes whoever waits for it.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let result = change(&mut self.world());
        self.changed.send_modify(|version| *version += 1);
        result
    }

    /// Waits until the server knows something.
    pub(super) async fn wait<T>(&self, what: &str, ask: impl Fn(&World) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        let wait = async {
            loop {
                changed.borrow_and_update();
                let found = ask(&self.world());
                match found {
                    Some(found) => return found,
                    None => changed.changed().await.expect("the sender lives"),
                }
            }
        };
        let found = tokio::time::timeout(BOUND, wait).await;
        found.unwrap_or_else(|_| panic!("not in time: {what}"))
    }

    /// Waits for a whole line in a job's log: a step's header tells its script, too.
    pub(super) async fn logged(&self, lease: LeaseToken, line: &str) {
        let what = format!("log of {lease} has `{line}`");
        let has = |world: &World| world.leases[&lease].lines().iter().any(|have| have == line);
        self.wait(&what, |world| has(world).then_some(())).await;
    }

    /// Waits for the job's end.
    pub(super) async fn completed(&self, lease: LeaseToken) -> (CompleteRequest, Lease) {
        let end = |world: &World| {
            let lease = &world.leases[&lease];
            Some((lease.completions.first()?.clone(), lease.clone()))
        };
        self.wait(&format!("completion of {lease}"), end).await
    }

    /// Queues a job of shell steps.
    pub(super) fn submit(&self, scripts: &[&str]) -> LeaseToken {
        let step = |run: &&str| Step { run: (*run).to_owned(), ..Step::default() };
        self.submit_with(JobWork::Steps(scripts.iter().map(step).collect()), |_| {})
    }

    pub(super) fn submit_with(&self, work: JobWork, edit: impl FnOnce(&mut Lease)) -> LeaseToken {
        self.change(|world| {
            let number = i64::try_from(world.leases.len()).expect("few") + 1;
            let token = LeaseToken::new(1, number);
            let mut lease = new_lease(number, token, work);
            edit(&mut lease);
            world.leases.insert(token, lease);
            world.queue.push_back(token);
            token
        })
    }

    /// Checks the token and plays the faults; `act` answers for a lease or a runner.
    pub(super) fn answer(
        &self,
        name: &'static str,
        headers: &HeaderMap,
        act: impl FnOnce(&mut World) -> Response,
    ) -> Response {
        self.change(|world| {
            if take(&mut world.refuse, name) {
                return (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "0")]).into_response();
            }
            let bearer = headers.get("authorization").and_then(|value| value.to_str().ok());
            if bearer != Some(format!("Bearer {}", world.runner_token).as_str()) {
                return StatusCode::UNAUTHORIZED.into_response();
            }
            let answer = act(world);
            if take(&mut world.lose_answer, name) {
                return StatusCode::BAD_GATEWAY.into_response();
            }
            answer
        })
    }
}

pub(super) fn take(faults: &mut BTreeMap<&'static str, u32>, name: &str) -> bool {
    match faults.get_mut(name) {
        Some(left) if *left > 0 => {
            *left -= 1;
            true
        }
        _ => false,
    }
}

fn new_lease(number: i64, token: LeaseToken, work: JobWork) -> Lease {
    Lease {
        assignment: Assignment {
            job_id: JobId(number),
            workload_id: WorkloadId(70),
            run: 1,
            kind: WorkloadKind::Workflow,
            name: "build".into(),
            namespace: "default::workflow::ci::build".into(),
            priority: JobPriority::Normal,
            attempt: 1,
            retry_count: 0,
            max_retries: 0,
            timeout_ms: 60_000,
            lease: token,
            nonce: Nonce(0xabcd + u64::try_from(number).expect("positive")),
            ack_window_ms: 10_000,
            units: Default::default(),
        },
        context: JobContext {
            job_id: JobId(number),
            attempt: 1,
            idempotency_key: format!("job-{number}"),
            work,
            env: BTreeMap::new(),
            trust: Trust::default(),
            event: None,
            has_payload: false,
            needs: BTreeMap::new(),
            traceparent: None,
            workflow: None,
            session: None,
        },
        payload: Bytes::new(),
        assigned: false,
        starts: 0,
        log: Vec::new(),
        completions: Vec::new(),
        released: None,
    }
}
