//! What a runner finds and refuses when it starts.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use crate::model::JobId;

use super::super::attempt_folder::{AttemptFolder, MARKER};
use super::super::procfs::Process;
use super::super::{RunnerError, RunnerStop, TokenSource, run};
use super::fake::Fake;
use super::{Runner, options};

#[tokio::test]
async fn a_starting_runner_kills_what_a_killed_one_left_and_cleans_its_folders() {
    let fake = Fake::start();
    let folder = tempfile::tempdir().expect("tempdir");
    let options = options(&fake, folder.path());
    let jobs = options.work_dir.join("jobs");
    std::fs::create_dir_all(&jobs).expect("made");
    let key = format!("crash-test-{}", std::process::id());
    let left = AttemptFolder::create(&jobs, JobId(5), 1, key.clone(), None).await.expect("made");
    // Deaf to TERM, as only KILL is sure.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' TERM; sleep 600 & wait; sleep 600"]).process_group(0);
    command.env(MARKER, &key).stdin(Stdio::null());
    let mut orphan = command.spawn().expect("sh starts");
    let leader = Process::find(i32::try_from(orphan.id()).expect("a pid")).expect("it runs");
    left.record_members(&[leader]).expect("noted");

    let stop = RunnerStop::new();
    let runner = tokio::spawn(run(options, stop.clone()));
    fake.wait("it is registered", |world| world.registrations.first().map(drop)).await;
    let status = orphan.wait().expect("it was killed");
    assert!(!status.success());
    assert!(!jobs.join("5-1").exists());
    stop.drain();
    runner.await.expect("no panic").expect("no error");
}

#[tokio::test]
async fn a_runner_that_is_dropped_kills_its_work_at_once() {
    let fake = Fake::start();
    let runner = Runner::start(&fake, |_| {});
    let lease = fake.submit(&["echo $$; echo up; sleep 600"]);
    fake.logged(lease, "up").await;
    let pid = fake.world().leases[&lease].lines()[1].parse().expect("a pid");
    runner.task.abort();
    let gone = async {
        while Process::find(pid).is_some_and(|process| !process.dead) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(super::BOUND, gone).await.expect("it is killed");
}

#[tokio::test]
async fn a_runner_is_the_same_after_a_restart_and_keeps_others_out_of_its_folder() {
    let fake = Fake::start();
    let folder = tempfile::tempdir().expect("tempdir");
    for _ in 0..2 {
        let stop = RunnerStop::new();
        let before = fake.world().polls.len();
        let runner = tokio::spawn(run(options(&fake, folder.path()), stop.clone()));
        fake.wait("a poll", |world| (world.polls.len() > before).then_some(())).await;
        let second = run(options(&fake, folder.path()), RunnerStop::new()).await;
        assert!(matches!(second, Err(RunnerError::WorkFolderTaken { .. })), "{second:?}");
        stop.drain();
        runner.await.expect("no panic").expect("no error");
    }
    let world = fake.world();
    let [first, second] = &world.registrations[..] else { panic!("two registrations") };
    assert_eq!(first.instance_id, second.instance_id);
    assert_ne!(first.boot_id, second.boot_id);
    let kept = std::fs::read_to_string(folder.path().join("work/runner.json")).expect("kept");
    assert!(kept.contains(&world.runner_token), "the newest token is kept");
}

#[tokio::test]
async fn a_refused_or_missing_registration_token_is_told() {
    let fake = Fake::start();
    let folder = tempfile::tempdir().expect("tempdir");
    let mut wrong = options(&fake, folder.path());
    wrong.token = TokenSource::Value("wrong".into());
    let refused = run(wrong.clone(), RunnerStop::new()).await.expect_err("refused");
    assert!(matches!(refused, RunnerError::Refused(_)), "{refused}");
    wrong.token = TokenSource::File(folder.path().join("absent"));
    let absent = run(wrong, RunnerStop::new()).await.expect_err("absent");
    assert!(absent.to_string().contains("absent"), "{absent}");
}
