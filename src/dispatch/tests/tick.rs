//! What happens by itself as time passes, on which clock, and when to look again.

use super::yard::{Yard, job, retried, slots};
use crate::model::{
    AssignedJob, AttemptOutcome, EndReason, JobStateKind, PlannedJob, RecordName, RunnerId,
    RunnerState,
};

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

/// A runner with a job that runs, one with a job that it has not started, and one that was told to stop its own.
fn three_leases(yard: &mut Yard) -> [(RunnerId, AssignedJob); 3] {
    let jobs = ["running", "claimed", "cancelled"].map(|name| retried(name, 0, 0));
    yard.submit(jobs.into());
    let [running, claimed, cancelled] = ["r", "s", "t"].map(|it| yard.register(it, slots(1)));
    let leases = [
        (running, yard.run(running)),
        (claimed, yard.take(claimed).remove(0)),
        (cancelled, yard.run(cancelled)),
    ];
    yard.cancel(leases[2].1.job_id).unwrap();
    leases
}

#[test]
fn after_a_time_without_ears_every_lease_and_every_runner_has_one_full_term() {
    let mut yard = Yard::with(|settings| settings.heartbeat_timeout_ms = 20_000);
    let leases = three_leases(&mut yard);
    let settings = yard.settings.clone();
    let ids = leases.each_ref().map(|(_, given)| given.job_id);
    let offline = |yard: &Yard| {
        let is_offline = |(id, _): &(RunnerId, AssignedJob)| {
            let state = yard.scheduler.runner(yard.now, *id).unwrap().state;
            state == RunnerState::Offline
        };
        leases.iter().filter(|it| is_offline(it)).count()
    };
    let (before, hour_ms) = (yard.states(&ids), 3_600_000);
    yard.now.mono_ms += hour_ms;
    yard.now.wall_ms += hour_ms;
    yard.scheduler.listen_again(yard.now);
    yard.batch([]);
    assert_eq!((yard.states(&ids), yard.changes.len()), (before, 0), "no row changes");
    assert_eq!(offline(&yard), 0);

    // And no more than one.
    yard.pass(settings.ack_window_ms - 1);
    assert_eq!(yard.state(ids[1]), JobStateKind::Claimed);
    yard.pass(1);
    assert_eq!(yard.state(ids[1]), JobStateKind::Pending, "it was not started");
    yard.pass(settings.heartbeat_timeout_ms - settings.ack_window_ms - 1);
    assert_eq!(offline(&yard), 0);
    yard.pass(1);
    assert_eq!(offline(&yard), 3);
    yard.pass(settings.cancel_grace_ms - settings.heartbeat_timeout_ms - 1);
    assert_eq!(yard.state(ids[2]), JobStateKind::Running);
    yard.pass(1);
    assert_ne!(yard.state(ids[2]), JobStateKind::Running, "it was not stopped");
    yard.pass(settings.lease_ms - settings.cancel_grace_ms - 1);
    assert_eq!(yard.state(ids[0]), JobStateKind::Running);
    yard.pass(1);
    assert_ne!(yard.state(ids[0]), JobStateKind::Running, "it was not heard of");
}

#[test]
fn a_job_whose_time_was_over_meanwhile_can_still_be_reported() {
    let mut yard = Yard::new();
    let id = yard.submit(vec![PlannedJob { timeout_ms: 100_000, ..retried("a", 0, 0) }])[0];
    let runner = yard.register("r", slots(1));
    let given = yard.run(runner);
    yard.now.mono_ms += 3_600_000;
    yard.now.wall_ms += 3_600_000;
    yard.scheduler.listen_again(yard.now);
    yard.pass(yard.settings.timeout_grace_ms);
    assert_eq!(yard.state(id), JobStateKind::Running);
    assert_eq!(yard.succeed(&given), JobStateKind::Completed);
}
