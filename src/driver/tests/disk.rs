//! A disk that takes nothing more: nothing is acknowledged that is not durable, and nothing that
//! was acknowledged is lost.
//!
//! The limit on file sizes is a process's own, so the test carries itself out in a child, in which
//! the signal of a write beyond the limit is ignored and the write fails instead.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::rig::{Rig, bounded, submission, until};
use crate::dispatch::tests::yard::job;
use crate::dispatch::{Command, Reply};
use crate::driver::{CommandError, ServerState};
use crate::model::JobStateKind;

const CHILD: &str = "DISPATCHYARD_TEST_FULL_DISK";

#[tokio::test]
async fn a_full_disk_is_ridden_over_and_nothing_acknowledged_is_lost() {
    if std::env::var_os(CHILD).is_some() {
        return full_disk().await;
    }
    let name = std::thread::current().name().unwrap().to_owned();
    let child = tokio::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--nocapture"])
        .env(CHILD, "1")
        .output();
    let output = bounded(child).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{output:?}");
}

fn take_file_bytes_max(bytes: Option<u64>) {
    let maximum = getrlimit(Resource::Fsize).maximum;
    setrlimit(Resource::Fsize, Rlimit { current: bytes.or(maximum), maximum }).unwrap();
}

async fn full_disk() {
    let rig = Rig::new().await;
    let [runner, idle] = [rig.register("r", 2).await, rig.register("idle", 1).await];
    rig.submit(vec![job("a"), job("b")]).await.unwrap();
    let given = rig.poll(runner).await.unwrap().jobs.remove(0);
    rig.send(Command::Start(super::rig::lease(&given))).await.unwrap();
    let parked = rig.park(idle).await;
    let ask = || rig.handle.ask(|scheduler, _| scheduler.durable());
    let before = bounded(ask()).await.unwrap();

    take_file_bytes_max(Some(1));
    assert_eq!(rig.submit(vec![job("c")]).await, Err(CommandError::Unavailable));
    assert_eq!(bounded(parked).await.unwrap(), Err(CommandError::Unavailable));
    assert_eq!(rig.complete(&given).await, Err(CommandError::Unavailable));
    assert_eq!(bounded(ask()).await, Err(CommandError::Unavailable));
    assert_eq!(rig.handle.views().state(), ServerState::StoreUnavailable);
    // Work with a key can be tried again safely, so its sender goes on waiting.
    let patient = rig.handle.send(submission(vec![job("d")], Some("once")));
    let space = async {
        assert_eq!(rig.complete(&given).await, Err(CommandError::Unavailable));
        take_file_bytes_max(None);
    };
    let (patient, ()) = bounded(async { tokio::join!(patient, space) }).await;
    assert!(matches!(patient, Ok(Reply::Submitted { duplicate: false, .. })), "{patient:?}");
    until("it runs again", || rig.handle.views().state() == ServerState::Running).await;

    let after = bounded(ask()).await.unwrap();
    assert!(before.jobs.iter().all(|(id, row)| after.jobs.get(id) == Some(row)));
    assert_eq!(after.leases, before.leases);
    assert_eq!(after.workloads.len(), before.workloads.len() + 1, "only the patient one's");
    assert_eq!(rig.complete(&given).await, Ok(JobStateKind::Completed));
    let rig = rig.restart().await;
    let last = bounded(rig.handle.ask(|scheduler, _| scheduler.durable())).await.unwrap();
    assert_eq!(last.jobs[&given.job_id].kind(), JobStateKind::Completed);
}
