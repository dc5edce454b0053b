//! A client of the API that shows status and body as they came.

use std::net::SocketAddr;

use dispatchyard::api::wire::{
    DeliveryView, JobDetail, JobView, List, Problem, RunnerView, SubmitResponse, WorkloadDetail,
};
use dispatchyard::model::{DeliveryId, JobId, JobStateKind, RunnerId, WorkloadId, WorkloadState};
use reqwest::{Method, header::HeaderMap};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::until;
use super::wait::within;

/// Asks one server, perhaps with a token.
#[derive(Clone)]
pub(crate) struct Api {
    base: String,
    http: reqwest::Client,
    token: Option<String>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) async fn of(response: reqwest::Response) -> reqwest::Result<Self> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Self { status, headers, text: response.text().await? })
    }

    /// The body, which must have this form.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The status and the code of a problem.
    pub(crate) fn problem(&self) -> (u16, String) {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        let problem: Problem = self.json();
        assert_eq!(problem.status, self.status);
        (self.status, problem.code().to_owned())
    }
}

impl Api {
    pub(crate) fn new(address: SocketAddr) -> Self {
        // Only a second installation fails, and any is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { base: format!("http://{address}"), http, token: None }
    }

    pub(crate) fn with_token(&self, token: impl Into<String>) -> Self {
        Self { token: Some(token.into()), ..self.clone() }
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// A request to any path of the server, with the token.
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Asks below `/api/v1`; nothing when there was no answer.
    pub(crate) async fn try_ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Option<Answer> {
        let mut request = self.request(method.clone(), &format!("/api/v1{path}"));
        if let Some(body) = body {
            request = request.json(body);
        }
        let what = format!("{method} {path}");
        within(&what, async { Answer::of(request.send().await.ok()?).await.ok() }).await
    }

    /// Asks below `/api/v1`.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let answer = self.try_ask(method.clone(), path, body).await;
        answer.unwrap_or_else(|| panic!("{method} {path}: no answer"))
    }

    /// What is there; any other answer than 200 is a failed test.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        let answer = self.ask(Method::GET, path, None).await;
        assert_eq!(answer.status, 200, "GET {path}: {answer:?}");
        answer.json()
    }

    /// Posts, whatever the answer.
    pub(crate) async fn post(&self, path: &str, body: impl Serialize) -> Answer {
        self.ask(Method::POST, path, Some(&serde_json::to_value(body).unwrap())).await
    }

    /// Posts; any answer but a 2xx is a failed test.
    pub(crate) async fn done<T: DeserializeOwned>(&self, path: &str, body: impl Serialize) -> T {
        let answer = self.post(path, body).await;
        assert!((200..300).contains(&answer.status), "POST {path}: {answer:?}");
        answer.json()
    }

    /// Submits a workload and gives its jobs, in the order of the submission.
    pub(crate) async fn submit(&self, jobs: Value) -> (WorkloadId, Vec<JobId>) {
        let request = serde_json::json!({ "name": "submitted", "jobs": jobs });
        let submitted: SubmitResponse = self.done("/workloads", request).await;
        let detail = self.workload(submitted.workload_id).await;
        (submitted.workload_id, detail.jobs.iter().map(|job| job.id).collect())
    }

    pub(crate) async fn workload(&self, id: WorkloadId) -> WorkloadDetail {
        self.get(&format!("/workloads/{id}")).await
    }

    pub(crate) async fn job(&self, id: JobId) -> JobDetail {
        self.get(&format!("/jobs/{id}")).await
    }

    pub(crate) async fn runner(&self, id: RunnerId) -> RunnerView {
        self.get(&format!("/runners/{id}")).await
    }

    pub(crate) async fn delivery(&self, id: DeliveryId) -> DeliveryView {
        self.get(&format!("/deliveries/{id}")).await
    }

    pub(crate) async fn jobs(&self) -> Vec<JobView> {
        self.get::<List<JobView>>("/jobs").await.items
    }

    pub(crate) async fn deliveries(&self) -> Vec<DeliveryView> {
        self.get::<List<DeliveryView>>("/deliveries").await.items
    }

    /// The job, once it has this state.
    pub(crate) async fn job_is(&self, id: JobId, state: JobStateKind) -> JobDetail {
        until(&format!("job {id} is {state}"), async || {
            let answer = self.try_ask(Method::GET, &format!("/jobs/{id}"), None).await?;
            let job: JobDetail = (answer.status == 200).then(|| answer.json())?;
            (job.job.state == state).then_some(job)
        })
        .await
    }

    /// Waits until what was tried for the job has a line with that.
    pub(crate) async fn is_told(&self, id: JobId, what: &str) {
        until(&format!("its history tells of `{what}`"), async || {
            let job: JobDetail = self.get(&format!("/jobs/{id}")).await;
            let mut told = job.records.iter().filter(|it| it.name == "job.tried");
            told.any(|it| it.detail.contains(what)).then_some(())
        })
        .await;
    }

    /// Waits until a job has the mark that nobody could take it.
    pub(crate) async fn job_is_marked(&self, id: JobId) {
        until(&format!("job {id} is marked"), async || {
            self.job(id).await.job.unschedulable.then_some(())
        })
        .await;
    }

    /// The workload, once it has this state.
    pub(crate) async fn workload_is(&self, id: WorkloadId, state: WorkloadState) -> WorkloadDetail {
        until(&format!("workload {id} is {}", state.as_str()), async || {
            let answer = self.try_ask(Method::GET, &format!("/workloads/{id}"), None).await?;
            let workload: WorkloadDetail = (answer.status == 200).then(|| answer.json())?;
            (workload.workload.state == state).then_some(workload)
        })
        .await
    }

    /// What a job wrote in its last attempt.
    pub(crate) async fn log(&self, id: JobId) -> String {
        let answer = self.ask(Method::GET, &format!("/jobs/{id}/logs"), None).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.text
    }

    /// Waits until so many polls are parked.
    pub(crate) async fn polls_parked(&self, many: usize) {
        until(&format!("{many} polls are parked"), async || {
            let runners: List<RunnerView> = self.get("/runners").await;
            (runners.items.iter().filter(|runner| runner.waiting).count() == many).then_some(())
        })
        .await;
    }
}
