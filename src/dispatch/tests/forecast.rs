//! Forecasts in situations whose true start is known.

use super::yard::*;
use crate::dispatch::{Command, Forecast, Register, Reply, TenantSettings, Unforeseen};
use crate::model::{
    AssignedJob, GroupTerms, JobId, JobTerms, Pause, PauseScope, PlannedJob, PoolId, RunnerId,
    RunnerRequirements, TenantId,
};
use crate::runner::FinishedRun;

const RUN_MS: i64 = 10_000;

/// Lets the scheduler know that jobs like this one take [`RUN_MS`], always.
pub(super) fn teach(yard: &mut Yard, like: JobId) {
    let class_id = yard.jobs[&like].class_id;
    for _ in 0..300 {
        let runner_id = RunnerId(1);
        let run = FinishedRun { class_id, runner_id, run_ms: RUN_MS, failed: false };
        yard.scheduler.run_times.observe(run);
    }
}

/// A yard in which plain jobs are known to take [`RUN_MS`], and a runner with slots.
fn known(slots_of_runner: u32) -> (Yard, RunnerId) {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(slots_of_runner));
    let id = yard.submit(vec![job("first")])[0];
    let first = yard.run(runner);
    yard.succeed(&first);
    teach(&mut yard, id);
    (yard, runner)
}

/// Starts a job that has run for so long.
fn begun(yard: &mut Yard, runner: RunnerId, ran_ms: i64) -> AssignedJob {
    yard.submit(vec![job("runs")]);
    let running = yard.run(runner);
    yard.pass(ran_ms);
    running
}

fn forecast(yard: &Yard, id: JobId) -> Forecast {
    let forecast = yard.scheduler.forecast(yard.now, id).expect("it waits");
    assert_eq!(yard.scheduler.forecast(yard.now, id), Some(forecast), "asked again");
    forecast
}

/// That the start is expected about then, and that there is little doubt.
fn starts_about(yard: &Yard, id: JobId, ms: i64) {
    let said = forecast(yard, id);
    let start = said.start().unwrap_or_else(|| panic!("{said:?}"));
    let near = |it: i64| (it - ms).abs() <= ms / 10 + 400;
    assert!(near(start.p50_ms) && near(start.p95_ms), "{start:?}, and it is {ms}");
    assert!(start.p50_ms <= start.p95_ms);
    let end = said.end().unwrap();
    assert!(end.p50_ms >= start.p50_ms);
}

#[test]
fn a_job_starts_at_once_where_a_slot_is_free() {
    let (mut yard, _) = known(1);
    let id = yard.submit(vec![job("a")])[0];
    starts_about(&yard, id, 0);
}

#[test]
fn jobs_start_one_after_the_other_when_what_runs_has_ended() {
    let (mut yard, runner) = known(1);
    begun(&mut yard, runner, 4_000);
    let ids = yard.submit(vec![job("a"), job("b")]);
    starts_about(&yard, ids[0], 6_000);
    starts_about(&yard, ids[1], 16_000);
}

#[test]
fn what_was_said_is_what_happens() {
    let (mut yard, runner) = known(2);
    let first = yard.submit((0..7).map(|at| job(&format!("j{at}"))).collect());
    let mut running = yard.take_started(runner);
    let expected: Vec<_> = first[2..].iter().map(|id| forecast(&yard, *id).start()).collect();
    let mut starts = Vec::new();
    while starts.len() < 5 {
        yard.pass(RUN_MS);
        for job in std::mem::take(&mut running) {
            yard.succeed(&job);
        }
        running = yard.take_started(runner);
        starts.extend(running.iter().map(|_| yard.now.wall_ms));
    }
    let began = starts[0] - RUN_MS;
    for (start, expected) in starts.iter().zip(expected) {
        let expected = expected.unwrap();
        let off = (start - began - expected.p50_ms).abs();
        assert!(off <= 1_500, "at {} and said {expected:?}", start - began);
    }
}

#[test]
fn nothing_known_of_run_times_is_much_doubt() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    let ids = yard.submit(vec![job("a"), job("b")]);
    yard.run(runner);
    let start = forecast(&yard, ids[1]).start().unwrap();
    assert!(start.p95_ms > 3 * start.p50_ms, "{start:?}");
}

#[test]
fn a_delay_a_need_and_a_hold_end_when_they_end() {
    let (mut yard, runner) = known(1);
    let not_before_ms = yard.now.wall_ms + 5_000;
    let id = yard.submit(vec![PlannedJob { not_before_ms, ..job("a") }])[0];
    starts_about(&yard, id, 5_000);
    yard.cancel(id).unwrap();
    let ids = yard.submit(vec![job("a"), after("b", &["a"]), after("c", &["b"])]);
    starts_about(&yard, ids[2], 20_000);
    yard.run(runner);
    yard.pass(3_000);
    starts_about(&yard, ids[1], 7_000);
    starts_about(&yard, ids[2], 17_000);
}

#[test]
fn a_group_is_free_when_its_holder_has_ended() {
    let (mut yard, runner) = known(3);
    let grouped = |name: &str| {
        let group = GroupTerms {
            key: "g".into(),
            limit: 1,
            cancel_in_progress: false,
            pending: Default::default(),
        };
        PlannedJob { terms: JobTerms { group: Some(group), ..JobTerms::default() }, ..job(name) }
    };
    let ids = yard.submit(vec![grouped("a"), grouped("b"), grouped("c")]);
    // It is in its group already.
    starts_about(&yard, ids[0], 0);
    yard.run(runner);
    yard.pass(2_000);
    starts_about(&yard, ids[1], 8_000);
    starts_about(&yard, ids[2], 18_000);
}

#[test]
fn quotas_and_maximums_keep_jobs_back_until_others_end() {
    let mut quota = Yard::with(|settings| {
        let own = TenantSettings { running_max: Some(1), ..TenantSettings::default() };
        settings.tenants = [(TenantId::DEFAULT, own)].into();
    });
    let mut full = Yard::with(|settings| settings.max_global_concurrency = 1);
    for yard in [&mut quota, &mut full] {
        let runner = yard.register("r", slots(4));
        let ids = yard.submit(vec![job("a"), job("b"), job("c")]);
        teach(yard, ids[0]);
        yard.run(runner);
        starts_about(yard, ids[1], 10_000);
        starts_about(yard, ids[2], 20_000);
    }
}

/// A job in another pool.
fn far(name: &str) -> PlannedJob {
    let requirements = RunnerRequirements { pool_id: PoolId(9), ..RunnerRequirements::default() };
    PlannedJob { requirements, ..job(name) }
}

/// A runner of that pool.
fn register_far(yard: &mut Yard, slots_of_runner: u32) -> RunnerId {
    let hello = Register { pool_id: PoolId(9), ..Yard::hello("far", slots(slots_of_runner)) };
    match yard.apply(Command::Register(Box::new(hello))) {
        Ok(Reply::Registered(id)) => id,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_runs_elsewhere_does_not_crowd_out_what_matters() {
    /// More than are played.
    const ELSEWHERE: u32 = 400;
    let mut yard = Yard::with(|settings| settings.max_global_concurrency = 10_000);
    let (runner, elsewhere) = (yard.register("r", slots(1)), register_far(&mut yard, ELSEWHERE));
    let ids = yard.submit((0..ELSEWHERE).map(|at| far(&format!("far-{at}"))).collect());
    teach(&mut yard, ids[0]);
    assert_eq!(yard.take_started(elsewhere).len(), ELSEWHERE as usize);
    yard.pass(2_000);
    let first = yard.submit(vec![job("first")])[0];
    teach(&mut yard, first);
    yard.run(runner);
    yard.pass(4_000);
    let id = yard.submit(vec![job("a")])[0];
    starts_about(&yard, id, 6_000);
}

#[test]
fn a_quota_that_is_used_up_in_another_pool_is_free_when_that_job_has_ended() {
    let mut yard = Yard::with(|settings| {
        let own = TenantSettings { running_max: Some(1), ..TenantSettings::default() };
        settings.tenants = [(TenantId::DEFAULT, own)].into();
    });
    yard.register("r", slots(1));
    let runner = register_far(&mut yard, 1);
    let first = yard.submit(vec![far("first")])[0];
    teach(&mut yard, first);
    yard.run(runner);
    yard.pass(4_000);
    let id = yard.submit(vec![job("a")])[0];
    starts_about(&yard, id, 6_000);
}

#[test]
fn a_rival_that_is_more_urgent_goes_first_and_one_of_another_class_does_not_matter() {
    let (mut yard, runner) = known(1);
    yard.register("other", with_label("x"));
    begun(&mut yard, runner, 0);
    let id = yard.submit(vec![job("a")])[0];
    // The other runner could take it as well.
    starts_about(&yard, id, 0);
    yard.submit(vec![urgent("c", crate::model::JobPriority::High)]);
    starts_about(&yard, id, 10_000);
    let other = yard.submit(vec![urgent("d", crate::model::JobPriority::Low)])[0];
    starts_about(&yard, other, 10_000);
    // In another pool nobody is before it.
    let far = yard.submit(vec![far("e")])[0];
    register_far(&mut yard, 1);
    starts_about(&yard, far, 0);
}

#[test]
fn where_the_end_is_nobodys_to_know_there_is_no_figure() {
    let (mut yard, _) = known(1);
    let unknown = |yard: &Yard, id| match forecast(yard, id) {
        Forecast::Unknown(why) => why,
        other => panic!("{other:?}"),
    };
    let id = yard.submit(vec![job("a")])[0];
    let nobody = yard.submit(vec![labelled("b", "nobody")])[0];
    assert_eq!(unknown(&yard, nobody), Unforeseen::NoRunner);
    let (scope, author) = (PauseScope::Everything, "ada");
    let pause = Pause { scope, author: author.into(), reason: "".into(), at_ms: 0, breaker: None };
    yard.apply(Command::Pause(pause)).unwrap();
    assert_eq!(unknown(&yard, id), Unforeseen::Paused);
    let scope = PauseScope::Everything;
    yard.apply(Command::Resume { scope, author: author.into() }).unwrap();
    starts_about(&yard, id, 0);
    yard.patch(RunnerId(1), Some(Some("why")), None);
    assert_eq!(unknown(&yard, id), Unforeseen::Never);
    assert_eq!(yard.scheduler.forecast(yard.now, JobId(99)), None);
}

#[test]
fn a_job_with_too_many_in_front_starts_not_before_the_last_of_those_that_are_played() {
    let (mut yard, _) = known(100);
    for _ in 0..2 {
        yard.submit((0..900).map(|at| job(&format!("j{at}"))).collect());
    }
    let id = yard.submit(vec![job("last")])[0];
    let Forecast::NotBefore { at_least_ms } = forecast(&yard, id) else { panic!("a figure") };
    assert!((85_000..=100_000).contains(&at_least_ms), "{at_least_ms}");
}
