//! A real runner: a process of the program that executes steps.

use std::path::PathBuf;
use std::process::ExitStatus;

use dispatchyard::api::wire::{List, RunnerView};
use dispatchyard::model::RunnerId;
use rustix::process::Signal;

use super::process::Logged;
use super::{Api, Home, until};

/// What a runner is started with.
#[derive(Clone)]
pub(crate) struct RunnerSetup {
    name: String,
    slots: u32,
    labels: String,
    agents: Vec<String>,
    more: Vec<String>,
}

impl RunnerSetup {
    pub(crate) fn new(name: &str) -> Self {
        let (labels, agents, more) = ("x".to_owned(), Vec::new(), Vec::new());
        Self { name: name.to_owned(), slots: 1, labels, agents, more }
    }

    pub(crate) fn slots(mut self, slots: u32) -> Self {
        self.slots = slots;
        self
    }

    pub(crate) fn agent(mut self, agent: &str) -> Self {
        self.agents.push(agent.to_owned());
        self
    }

    pub(crate) fn arguments(mut self, more: &[&str]) -> Self {
        self.more.extend(more.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// Starts it, whatever becomes of it.
    pub(crate) fn spawn(&self, home: &Home, api: &Api) -> Logged {
        Logged::spawn(|command| {
            command.arg("--server").arg(api.base());
            command.arg("--token-file").arg(home.file("registration-token"));
            command.args(["runner", "--name", &self.name, "--labels", &self.labels]);
            command.args(["--slots", &self.slots.to_string()]);
            command.arg("--work-dir").arg(self.work_dir(home));
            for agent in &self.agents {
                command.args(["--agent", agent]);
            }
            command.args(&self.more);
        })
    }

    /// Starts it, and waits until it waits for work.
    pub(crate) async fn start(&self, home: &Home, api: &Api) -> RunnerProcess {
        let process = self.spawn(home, api);
        let id = until(&format!("runner {} waits for work", self.name), async || {
            let runners: List<RunnerView> = api.get("/runners").await;
            let mut waiting = runners.items.into_iter().filter(|runner| runner.waiting);
            waiting.find(|runner| runner.name == self.name).map(|runner| runner.id)
        })
        .await;
        RunnerProcess { id, work_dir: self.work_dir(home), process }
    }

    fn work_dir(&self, home: &Home) -> PathBuf {
        home.file(&format!("runner-{}", self.name))
    }
}

/// A running one. It is killed when the value goes away.
pub(crate) struct RunnerProcess {
    pub(crate) id: RunnerId,
    pub(crate) work_dir: PathBuf,
    process: Logged,
}

impl RunnerProcess {
    pub(crate) async fn start(home: &Home, api: &Api, name: &str) -> Self {
        RunnerSetup::new(name).start(home, api).await
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    pub(crate) fn told(&self) -> String {
        self.process.told()
    }

    pub(crate) async fn ended(&mut self) -> ExitStatus {
        self.process.ended().await
    }

    /// SIGKILL, and waits until the process is gone. What it started is not.
    pub(crate) async fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.ended().await;
    }
}
