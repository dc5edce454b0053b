//! A runner that does only what a test tells it, over the same API as a real one.

use dispatchyard::api::wire::{
    Assignment, CompleteResponse, HeartbeatResponse, JobContext, PollResponse, RegisterResponse,
    StreamHello,
};
use dispatchyard::model::{AttemptOutcome, RunnerId};
use reqwest::Method;
use serde_json::{Value, json};

use super::sse::Stream;
use super::wait::within;
use super::{Answer, Api};

/// A registered runner.
#[derive(Clone)]
pub(crate) struct FakeRunner {
    pub(crate) id: RunnerId,
    pub(crate) token: String,
    /// With its own token.
    pub(crate) api: Api,
}

impl FakeRunner {
    /// Registers under a name, with labels and one slot.
    pub(crate) async fn register(api: &Api, name: &str, labels: &[&str]) -> Self {
        Self::with_slots(api, name, labels, 1).await
    }

    pub(crate) async fn with_slots(api: &Api, name: &str, labels: &[&str], slots: u32) -> Self {
        Self::with_request(api, registration(name, labels, slots)).await
    }

    /// Registers with these words.
    pub(crate) async fn with_request(api: &Api, request: Value) -> Self {
        let answer: RegisterResponse = api.done("/runners/register", request).await;
        let api = api.with_token(&answer.token);
        Self { id: answer.runner_id, token: answer.token, api }
    }

    /// Asks for work with these words.
    pub(crate) async fn ask(&self, request: Value) -> PollResponse {
        self.api.done(&format!("/runners/{}/poll", self.id), request).await
    }

    /// Asks for work and waits for it.
    pub(crate) async fn poll(&self) -> PollResponse {
        self.ask(json!({ "wait_ms": 20_000 })).await
    }

    /// The one job that a poll brings.
    pub(crate) async fn take(&self) -> Assignment {
        let mut jobs = self.poll().await.jobs;
        assert_eq!(jobs.len(), 1, "{jobs:?}");
        jobs.remove(0)
    }

    /// What a poll brings that does not wait.
    pub(crate) async fn look(&self) -> Vec<Assignment> {
        self.ask(json!({ "wait_ms": 0 })).await.jobs
    }

    pub(crate) async fn start(&self, job: &Assignment) -> JobContext {
        self.api.done(&lease(job, "start"), json!({ "nonce": job.nonce })).await
    }

    /// Takes the next job and starts it.
    pub(crate) async fn begin(&self) -> Assignment {
        let job = self.take().await;
        self.start(&job).await;
        job
    }

    pub(crate) async fn heartbeat(&self, jobs: &[&Assignment]) -> HeartbeatResponse {
        let held = jobs.iter().map(|job| json!({ "lease": job.lease, "nonce": job.nonce }));
        let request = json!({ "leases": held.collect::<Vec<_>>() });
        self.api.done(&format!("/runners/{}/heartbeat", self.id), request).await
    }

    /// Opens its stream, as one that knows these leases.
    pub(crate) async fn stream(&self, known: &[&Assignment]) -> WorkStream {
        let leases: Vec<_> = known.iter().map(|job| job.lease).collect();
        let path = format!("/api/v1/runners/{}/stream", self.id);
        let request = self.api.request(Method::POST, &path).json(&json!({ "leases": leases }));
        let mut events = Stream::of(within("the stream opens", request.send()).await.unwrap());
        let hello = events.next().await.unwrap();
        assert_eq!(hello.event, "hello");
        let hello = serde_json::from_str(&hello.data).unwrap();
        WorkStream { hello, events }
    }

    /// Completes, whatever the answer.
    pub(crate) async fn end(&self, job: &Assignment, outcome: AttemptOutcome) -> Answer {
        let request = json!({ "nonce": job.nonce, "outcome": outcome });
        self.api.post(&lease(job, "complete"), request).await
    }

    pub(crate) async fn complete(&self, job: &Assignment) -> CompleteResponse {
        let answer = self.end(job, AttemptOutcome::Completed).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    pub(crate) async fn fail(&self, job: &Assignment) -> CompleteResponse {
        let answer = self.end(job, AttemptOutcome::Failed).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// Sends a piece of the job's log.
    pub(crate) async fn write(&self, job: &Assignment, offset: usize, text: &str) -> Answer {
        let path = format!("/api/v1{}?offset={offset}&nonce={}", lease(job, "logs"), job.nonce);
        let request = self.api.request(Method::POST, &path).body(text.to_owned());
        Answer::of(request.send().await.unwrap()).await.unwrap()
    }
}

/// An open stream of work.
pub(crate) struct WorkStream {
    pub(crate) hello: StreamHello,
    events: Stream,
}

impl WorkStream {
    /// The next event's name and data; nothing when the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<(String, Value)> {
        let event = self.events.next().await?;
        Some((event.event, serde_json::from_str(&event.data).unwrap()))
    }

    /// The next job, which must be what comes next.
    pub(crate) async fn job(&mut self) -> Assignment {
        match self.next().await {
            Some((name, data)) if name == "assignment" => serde_json::from_value(data).unwrap(),
            other => panic!("no job but {other:?}"),
        }
    }

    /// What comes next, about a lease.
    pub(crate) async fn about(&mut self, job: &Assignment) -> String {
        let (name, data) = self.next().await.expect("more");
        assert_eq!(data, json!({ "lease": job.lease }), "{name}");
        name
    }
}

/// The path of one call about a lease.
pub(crate) fn lease(job: &Assignment, call: &str) -> String {
    format!("/leases/{}/{call}", job.lease)
}

/// What a runner says of itself when it registers.
pub(crate) fn registration(name: &str, labels: &[&str], slots: u32) -> Value {
    json!({
        "name": name,
        "instance_id": format!("instance-of-{name}"),
        "boot_id": "first",
        "capabilities": { "labels": labels, "max_parallel_jobs": slots },
    })
}

/// A job of a submission that any runner with the label `x` may have.
pub(crate) fn job(name: &str) -> Value {
    json!({
        "name": name,
        "requirements": { "labels": ["x"] },
        "work": { "steps": [{ "run": "true" }] },
    })
}

/// The same with further keys.
pub(crate) fn job_with(name: &str, more: Value) -> Value {
    let mut job = job(name);
    let (Value::Object(fields), Value::Object(more)) = (&mut job, more) else {
        panic!("a job is an object");
    };
    fields.extend(more);
    job
}
