//! What happens by itself as time passes, on which clock, and when to look again.

use super::yard::{Yard, job, retried, slots};
use crate::model::{AttemptOutcome, EndReason, JobStateKind, PlannedJob, RecordName, RunnerState};

#[test]
fn a_job_that_runs_too_long_is_timed_out_although_its_runner_lives() {
    let mut yard = Yard::new();
    let id = yard.submit(vec![PlannedJob { timeout_ms: 100_000, ..retried("a", 1, 0) }])[0];
    let runner = yard.register("r", slots(1));
    for end in [JobStateKind::Pending, JobStateKind::Failed] {
        let given = yard.run(runner);
        for _ in 0..3 {
            yard.pass(34_999);
            yard.beat(runner, &[&given]);
        }
        assert_eq!(yard.state(id), JobStateKind::Running, "the runner may stop it first");
        yard.pass(3);
        assert_eq!(yard.state(id), end, "the timeout is charged to the job");
    }
    assert_eq!(yard.end_of(id), EndReason::TimedOut);
    assert_eq!(yard.attempts[1].outcome, AttemptOutcome::TimedOut);
}

#[test]
fn a_delayed_job_waits_for_the_wall_clock_alone() {
    let mut yard = Yard::new();
    let not_before_ms = yard.now.wall_ms + 3_600_000;
    yard.submit(vec![PlannedJob { not_before_ms, ..job("a") }]);
    let runner = yard.register("r", slots(1));
    let poll = yard.poll(runner);
    let in_ms = yard.scheduler.next_tick_in_ms(yard.now).unwrap();
    assert!(in_ms <= 1_000, "a jump of the wall clock is noticed soon: {in_ms}");
    yard.now.wall_ms += 3_600_000;
    yard.batch([]);
    assert_eq!(yard.given(poll).len(), 1);
}

#[test]
fn a_jump_of_the_wall_clock_ends_no_lease_and_no_poll() {
    let mut yard = Yard::new();
    let id = yard.submit(vec![job("a")])[0];
    let runner = yard.register("r", slots(2));
    yard.run(runner);
    let poll = yard.poll(runner);
    for jump in [86_400_000, -2 * 86_400_000] {
        yard.now.wall_ms += jump;
        yard.batch([]);
    }
    assert_eq!((yard.state(id), yard.answer(poll)), (JobStateKind::Running, None));
}

#[test]
fn a_silent_runner_is_offline_until_it_is_heard_of_again() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    let state = |yard: &Yard| yard.scheduler.runner(yard.now, runner).unwrap().state;
    yard.pass(yard.settings.heartbeat_timeout_ms - 1);
    yard.beat(runner, &[]);
    yard.pass(yard.settings.heartbeat_timeout_ms - 1);
    assert_eq!(state(&yard), RunnerState::Online);
    yard.pass(1);
    assert_eq!(state(&yard), RunnerState::Offline);
    yard.beat(runner, &[]);
    assert_eq!(state(&yard), RunnerState::Online);
    yard.pass(yard.settings.heartbeat_timeout_ms);
    assert_eq!(state(&yard), RunnerState::Offline, "its silence is watched again");
    let names: Vec<_> = yard.records.iter().map(|it| it.name).collect();
    use RecordName::{RunnerOffline, RunnerOnline, RunnerRegistered};
    assert_eq!(names, [RunnerRegistered, RunnerOffline, RunnerOnline, RunnerOffline]);
}

#[test]
fn a_parked_poll_is_a_sign_of_life() {
    let mut yard = Yard::with(|settings| settings.poll_wait_max_ms = 1_000_000);
    let runner = yard.register("r", slots(1));
    let mut poll = yard.poll_of(runner);
    poll.wait_ms = 150_000;
    yard.poll_with(poll);
    yard.pass(140_000);
    assert_eq!(yard.scheduler.runner(yard.now, runner).unwrap().state, RunnerState::Online);
}

#[test]
fn without_jobs_and_runners_nothing_is_ever_due() {
    let mut yard = Yard::new();
    assert_eq!(yard.scheduler.next_tick_in_ms(yard.now), None);
    let runner = yard.register("r", slots(1));
    assert_eq!(yard.scheduler.next_tick_in_ms(yard.now), Some(yard.settings.heartbeat_timeout_ms));
    yard.poll(runner);
    assert_eq!(yard.scheduler.next_tick_in_ms(yard.now), Some(30_000));
}
