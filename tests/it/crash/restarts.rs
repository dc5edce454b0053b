//! PostgreSQL itself is restarted, in an orderly way and as by a crash, under three instances and their load.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use dispatchyard::api::wire::StatusView;
use reqwest::Method;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use super::load::Load;
use super::{RUNNERS, WORKFLOW, begin, conclude_at};
use crate::support::wait::{Stopwatch, within};
use crate::support::{ServerProcess, Setup, until};

/// How it is restarted, one after the other.
const MODES: [&str; 3] = ["fast", "immediate", "fast"];
/// Deliveries that have to be acknowledged before each of them, and after the last.
const BETWEEN: usize = 25;
/// How long a cluster may take to be made, on a machine that is busy with other work.
const MADE_WITHIN: Duration = Duration::from_secs(120);

/// A PostgreSQL of this test's own, which others must not be restarted with.
struct Cluster {
    url: String,
    pg_ctl: String,
    script: Child,
    /// It goes away at the end of this.
    stdin: ChildStdin,
}

impl Cluster {
    /// Nothing where the database of the tests is somebody else's: then there may be no programs for one.
    async fn start() -> Option<Self> {
        std::env::var_os("DISPATCHYARD_TEST_PG_CTL")?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/with-postgres");
        let tell = r#"echo "$DATABASE_URL"; echo "$DISPATCHYARD_TEST_PG_CTL"; exec cat"#;
        let mut command = Command::new(script);
        command.args(["bash", "-c", tell]).env_remove("DATABASE_URL");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut line = async || {
            let line = tokio::time::timeout(MADE_WITHIN, lines.next_line()).await;
            line.unwrap_or_else(|_| panic!("no cluster")).unwrap().unwrap()
        };
        let mut url = line().await;
        while !url.starts_with("postgres://") {
            url = line().await;
        }
        Some(Self { url, pg_ctl: line().await, script: child, stdin })
    }

    async fn end(mut self) {
        drop(self.stdin);
        within("the end of a cluster", self.script.wait()).await.unwrap();
    }

    async fn restart(&self, mode: &str) {
        let text = format!("{} restart -m {mode}", self.pg_ctl);
        let mut command = Command::new("sh");
        command.arg("-c").arg(text).stdin(Stdio::null()).stdout(Stdio::null());
        assert!(within("a restart", command.status()).await.unwrap().success(), "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_restarted_under_instances_loses_nothing_and_work_goes_on() {
    let Some(cluster) = Cluster::start().await else {
        println!("left out: the database is not one that a test may restart");
        return;
    };
    let mut setup = Setup::default().database(cluster.url.clone()).workflow("ci", WORKFLOW);
    setup = setup.scheduler("retry_max_attempts", 100);
    let mut servers = Vec::new();
    let mut homes = Vec::new();
    for _ in 0..3 {
        setup = setup.own_port();
        homes.push(setup.build());
        servers.push(ServerProcess::start(&homes[homes.len() - 1]).await);
    }
    let apis: Vec<_> = servers.iter().map(|server| server.api.clone()).collect();
    let load = Arc::new(Load::new(apis.clone()));
    let mut tasks = begin(&load, RUNNERS);
    let more = async |what: &str| {
        let since = load.acknowledged().len();
        until(what, async || (load.acknowledged().len() >= since + BETWEEN).then_some(())).await;
    };
    more("deliveries are acknowledged").await;
    for mode in MODES {
        let watch = Stopwatch::start();
        cluster.restart(mode).await;
        let restarted = watch.elapsed();
        more(&format!("deliveries are acknowledged after {mode}")).await;
        // By whoever it is, and by itself.
        let leads = until("one leads", async || {
            for api in &apis {
                let answer = api.request(Method::GET, "/readyz").send().await.ok()?;
                if answer.text().await.ok()?.trim() == "running" {
                    return Some(api);
                }
            }
            None
        })
        .await;
        let status: StatusView = leads.get("/status").await;
        println!(
            "{mode}: restarted in {} ms, {BETWEEN} deliveries more after {} ms, epoch {}",
            restarted.as_millis(),
            watch.elapsed().as_millis(),
            status.epoch
        );
    }
    let checked = conclude_at(&apis[0], &load, &mut tasks).await;
    println!("{checked}, {}", load.counters());
    assert!(load.acknowledged().len() > BETWEEN * MODES.len());
    drop(servers);
    cluster.end().await;
}
