//! A server: in this process, or as a process that can be killed.

use std::net::SocketAddr;
use std::process::ExitStatus;

use dispatchyard::app::{App, AppOptions};
use dispatchyard::dispatch::{Command, HeldJob};
use dispatchyard::driver::Handle;
use dispatchyard::model::{JobId, LeaseRef, RequeueReason, RunnerId};
use dispatchyard::telemetry::{self, LogFormat};

use super::process::Logged;
use super::{Api, Home, Hook, Setup, until};

/// A server in this process.
pub(crate) struct Server {
    pub(crate) home: Home,
    pub(crate) api: Api,
    app: App,
}

impl Server {
    pub(crate) async fn start(setup: &Setup) -> Self {
        Self::with(setup, AppOptions::default()).await
    }

    /// With faults planted.
    pub(crate) async fn with(setup: &Setup, options: AppOptions) -> Self {
        Self::of(setup.build(), options).await
    }

    /// In a folder that an earlier one has left.
    pub(crate) async fn again(home: Home) -> Self {
        Self::again_with(home, AppOptions::default()).await
    }

    /// The same, with faults planted or executors of the test's own.
    pub(crate) async fn again_with(home: Home, options: AppOptions) -> Self {
        Self::of(home, options).await
    }

    async fn of(home: Home, options: AppOptions) -> Self {
        // What it logs is shown with a test that fails. Another server of the test may have begun it.
        let _ = telemetry::init(LogFormat::Text);
        let config = home.config();
        let secrets = config.load_secrets(|_| None).unwrap_or_else(|error| panic!("{error}"));
        let app = App::start(config, secrets, options).await.unwrap();
        let api = Api::new(app.address());
        is_ready(&api).await;
        Self { home, api, app }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.app.address()
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.app.handle()
    }

    /// What it answers with, without a network.
    pub(crate) fn router(&self) -> axum::Router {
        self.app.router()
    }

    pub(crate) fn hook(&self) -> Hook {
        Hook::new(&self.api)
    }

    /// What executors have of a job, or had when it was asked.
    pub(crate) async fn held(&self, job_id: JobId) -> HeldJob {
        until("an executor has it", async || {
            let all = self.handle().ask(|scheduler, _| {
                (1..20).flat_map(|id| scheduler.held_by(RunnerId(id))).collect::<Vec<_>>()
            });
            all.await.ok()?.into_iter().find(|held| held.assigned.job_id == job_id)
        })
        .await
    }

    /// A job's attempt loses its lease, and the job is queued again: as when its runner was not heard of.
    pub(crate) async fn loses(&self, job_id: JobId) {
        let lease = lease_of(&self.held(job_id).await);
        let why = Some("lost".into());
        let reason = RequeueReason::RunnerLost;
        self.handle().send(Command::Release { lease, reason, why }).await.unwrap();
    }

    /// A job's attempt is called so from now on.
    pub(crate) async fn refers(&self, job_id: JobId, external_ref: &str) {
        let (lease, external_ref) = (lease_of(&self.held(job_id).await), external_ref.into());
        self.handle().send(Command::Refer { lease, external_ref }).await.unwrap();
    }

    /// Stops it in an orderly way; its data stays.
    pub(crate) async fn stop(self) -> Home {
        self.app.stop().await;
        self.home
    }
}

fn lease_of(held: &HeldJob) -> LeaseRef {
    let lease = &held.assigned.lease;
    LeaseRef { token: lease.token, nonce: lease.nonce, runner_id: lease.runner_id }
}

/// A server as a process of its own.
pub(crate) struct ServerProcess {
    pub(crate) api: Api,
    pub(crate) address: SocketAddr,
    process: Logged,
}

impl ServerProcess {
    /// Starts `serve` and waits until it is ready.
    pub(crate) async fn start(home: &Home) -> Self {
        let mut process = Self::launch(home);
        let address = process.line_with("listening", "address").await.parse().unwrap();
        let api = Api::new(address);
        is_ready(&api).await;
        Self { api, address, process }
    }

    /// Starts `serve`, which may not come far.
    pub(crate) fn launch(home: &Home) -> Logged {
        Logged::spawn(|command| {
            command.arg("serve").arg("--config").arg(home.config_file());
        })
    }

    pub(crate) fn hook(&self) -> Hook {
        Hook::new(&self.api)
    }

    pub(crate) fn pid(&self) -> i32 {
        self.process.pid().as_raw_pid()
    }

    pub(crate) fn told(&self) -> String {
        self.process.told()
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        self.process.signal(signal);
    }

    /// Waits for the end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        self.process.ended().await
    }

    /// SIGKILL, and waits until the kernel has taken the process away.
    pub(crate) async fn kill(&mut self) {
        self.signal(rustix::process::Signal::KILL);
        self.ended().await;
    }
}

async fn is_ready(api: &Api) {
    until("the server is ready", async || {
        let answer = api.request(reqwest::Method::GET, "/readyz").send().await.ok()?;
        answer.status().is_success().then_some(())
    })
    .await;
}
