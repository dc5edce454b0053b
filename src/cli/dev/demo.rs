//! The demo: signed deliveries to the server's own address, followed until every job has ended.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::home::Home;
use super::scene::{Scene, summary};
use super::{CliError, Client, Console};
use crate::api::wire::{DeliveryAccepted, List, LogChunk, RecordView, RunnerView, WorkloadDetail};
use crate::cli::follow::Follower;
use crate::cli::sign_like_github;
use crate::clock::{Clock as _, OsEntropy, SystemClock, uuid_v7};
use crate::model::{JobId, JobStateKind, WorkloadId};
use crate::webhook::Secret;

/// How long the runner may take to register, and the demo to end.
const READY_WITHIN: Duration = Duration::from_secs(30);
const OVER_WITHIN: Duration = Duration::from_secs(120);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A delivery of the demo, and what must become of it.
struct Act {
    event: &'static str,
    body: &'static str,
    /// What it is, for people.
    what: &'static str,
    /// How many jobs it must start.
    jobs: usize,
}

const ACTS: [Act; 2] = [
    Act {
        event: "push",
        body: include_str!("../../../fixtures/github/push.json"),
        what: "a push to main",
        jobs: 2,
    },
    Act {
        event: "issues",
        body: include_str!("../../../fixtures/github/issues_labeled.json"),
        what: "an issue that got the label agent:ready",
        jobs: 1,
    },
];

/// Plays it.
pub(super) async fn run(
    home: &Home,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    wait_for_runner(client).await?;
    let played = tokio::time::timeout(OVER_WITHIN, play(home, client, console)).await;
    played.unwrap_or_else(|_| {
        let seconds = OVER_WITHIN.as_secs();
        Err(CliError::Demo(format!("not every job ended within {seconds} s")))
    })
}

async fn wait_for_runner(client: &Client) -> Result<(), CliError> {
    let ready = async {
        loop {
            let runners: List<RunnerView> = client.get(&["runners"], &[]).await?.read()?;
            if runners.items.iter().any(|runner| runner.waiting) {
                return Ok(());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    tokio::time::timeout(READY_WITHIN, ready).await.unwrap_or_else(|_| {
        let what = "the local runner did not register; its log is runner.log in the data folder";
        Err(CliError::Demo(what.to_owned()))
    })
}

async fn play(home: &Home, client: &Client, console: &mut Console) -> Result<(), CliError> {
    let secret = home.secret()?;
    let mut scene = Scene::default();
    // The stream is open before anything happens, so that nothing is missed.
    let mut follower = Follower::new(client, &["stream"], Vec::new());
    let mut deliveries = Vec::new();
    let (lines, mut written) = mpsc::channel(256);
    let mut readers = JoinSet::new();
    let mut open: BTreeSet<WorkloadId> = BTreeSet::new();
    let mut followed: BTreeSet<JobId> = BTreeSet::new();
    let mut ended: BTreeSet<WorkloadId> = BTreeSet::new();
    let mut acts = ACTS.iter();
    follower.connect().await?;
    loop {
        if let Some(act) = acts.next() {
            let accepted = send(client, act, &secret).await?;
            console.line(&scene.delivered(act.what, &accepted))?;
            open.extend(accepted.workloads.iter().copied());
            deliveries.push((act, accepted));
            continue;
        }
        if open.is_subset(&ended) {
            break;
        }
        tokio::select! {
            event = follower.next() => {
                let Ok(record) = serde_json::from_str::<RecordView>(&event?.data) else { continue };
                if let Some(line) = scene.happened(&record) {
                    console.line(&line)?;
                }
                if let Some(id) = record.job_id.filter(|_| record.name == "job.started")
                    && followed.insert(id)
                {
                    readers.spawn(read_log(client.clone(), id, lines.clone()));
                }
                if record.name == "workload.ended" {
                    ended.extend(record.workload_id);
                }
            }
            Some((id, line)) = written.recv() => console.line(&scene.wrote(id, &line))?,
        }
    }
    drop(lines);
    while let Some((id, line)) = written.recv().await {
        console.line(&scene.wrote(id, &line))?;
    }
    readers.join_all().await;
    judge(client, console, &deliveries).await
}

async fn send(client: &Client, act: &Act, secret: &Secret) -> Result<DeliveryAccepted, CliError> {
    let id = uuid_v7(SystemClock::new().now(), &mut OsEntropy).to_string();
    let signed = sign_like_github(act.body.as_bytes().to_vec(), act.event, &id, secret)?;
    client.post_hook(&["hooks", "github"], signed.headers, signed.body).await?.read()
}

/// Follows a job's log and passes its lines on.
async fn read_log(client: Client, id: JobId, lines: mpsc::Sender<(JobId, String)>) {
    let mut follower = Follower::new(&client, &["jobs", &id.to_string(), "logs"], Vec::new());
    let mut rest = String::new();
    while let Ok(event) = follower.next().await {
        if event.event != "log" {
            break;
        }
        let Ok(chunk) = serde_json::from_str::<LogChunk>(&event.data) else { continue };
        rest.push_str(&chunk.text);
        while let Some(end) = rest.find('\n') {
            let line: String = rest.drain(..=end).collect();
            if lines.send((id, line.trim_end().to_owned())).await.is_err() {
                return;
            }
        }
    }
}

/// Prints what became of each delivery, and says whether all of it is as it must be.
async fn judge(
    client: &Client,
    console: &mut Console,
    deliveries: &[(&Act, DeliveryAccepted)],
) -> Result<(), CliError> {
    let mut wrong = Vec::new();
    let mut details: BTreeMap<WorkloadId, WorkloadDetail> = BTreeMap::new();
    for (act, accepted) in deliveries {
        let mut jobs = 0;
        for id in &accepted.workloads {
            let path = ["workloads", &id.to_string()];
            let detail: WorkloadDetail = client.get(&path, &[]).await?.read()?;
            for job in &detail.jobs {
                jobs += 1;
                if job.state != JobStateKind::Completed {
                    wrong.push(format!("job {} ({}) is {}", job.id, job.name, job.state));
                }
            }
            details.insert(*id, detail);
        }
        if jobs != act.jobs {
            wrong.push(format!("{} started {jobs} jobs, {} were expected", act.what, act.jobs));
        }
    }
    let deliveries: Vec<_> =
        deliveries.iter().map(|(act, accepted)| (act.what, accepted)).collect();
    console.line(&summary(&deliveries, &details))?;
    if wrong.is_empty() { Ok(()) } else { Err(CliError::Demo(wrong.join("; "))) }
}
