//! Runners under which jobs are lost get nothing for a while, then one job as a probe; what was
//! learned of run times decides where the pool wants that.

use super::yard::{Yard, job, names, retried, slots};
use crate::dispatch::{PoolSettings, Reason, Settings};
use crate::model::{PoolId, RecordName, RunnerId};

const COOL_OFF_MS: i64 = 60_000;

fn pool(settings: &mut Settings, change: impl FnOnce(&mut PoolSettings)) {
    let mut pool = PoolSettings { balance_hold_ms: 0, ..PoolSettings::default() };
    pool.health_cool_off_ms = COOL_OFF_MS;
    change(&mut pool);
    settings.pools.insert(PoolId::DEFAULT, pool);
}

/// Lets a runner not start what it is given, until it is closed.
fn wear_out(yard: &mut Yard, runner: RunnerId) {
    for _ in 0..20 {
        if yard.records.iter().any(|record| record.name == RecordName::RunnerHealth) {
            return;
        }
        yard.submit(vec![job("lost")]);
        yard.take(runner);
        yard.pass(yard.settings.ack_window_ms);
    }
    panic!("its health never fell below the minimum");
}

#[test]
fn a_runner_that_loses_jobs_gets_nothing_until_its_probe_went_well() {
    let mut yard = Yard::with(|settings| {
        settings.infra_retries_max = 0;
        pool(settings, |_| {});
    });
    let runner = yard.register("r", slots(4));
    wear_out(&mut yard, runner);
    let ids = yard.submit(["a", "b"].map(job).into());
    let poll = yard.poll(runner);
    assert_eq!(yard.answer(poll), None);
    let reasons = yard.scheduler.explain(yard.now, ids[0]).unwrap().reasons;
    let away =
        Reason::NoneAvailable { offline: 0, cordoned: 0, cordon: None, draining: 0, unhealthy: 1 };
    assert_eq!(reasons[0], away);
    yard.pass(COOL_OFF_MS / 2);
    let poll = yard.poll(runner);
    yard.pass(COOL_OFF_MS / 2);
    let probe = yard.given(poll);
    assert_eq!(names(&probe), ["a"], "one job, whatever room there is");
    yard.start(&probe[0]).unwrap();
    let poll = yard.poll(runner);
    assert_eq!(yard.answer(poll), None);
    yard.succeed(&probe[0]);
    assert_eq!(names(&yard.given(poll)), ["b"]);
}

#[test]
fn a_closed_runner_is_closed_after_a_restart() {
    let mut yard = Yard::with(|settings| {
        settings.infra_retries_max = 0;
        settings.soft_flush_ms = 1;
        pool(settings, |_| {});
    });
    let runner = yard.register("r", slots(4));
    wear_out(&mut yard, runner);
    yard.pass(1);
    yard.submit(vec![job("a")]);
    yard.restart();
    assert_eq!(yard.take(runner), []);
}

#[test]
fn a_pool_can_do_without_health() {
    let mut yard = Yard::with(|settings| {
        settings.infra_retries_max = 0;
        pool(settings, |pool| pool.health_min_percent = 0);
    });
    let runner = yard.register("r", slots(4));
    for _ in 0..10 {
        yard.submit(vec![job("lost")]);
        assert_eq!(yard.take(runner).len(), 1);
        yard.pass(yard.settings.ack_window_ms);
    }
}

#[test]
fn a_pool_that_learns_prefers_the_runner_that_was_faster() {
    let mut yard = Yard::with(|settings| {
        settings.soft_flush_ms = 1;
        pool(settings, |pool| pool.selection_policy = "learned".into());
    });
    let [slow, fast] = ["slow", "fast"].map(|name| yard.register(name, slots(1)));
    for _ in 0..30 {
        for (runner, ms) in [(slow, 9_000), (fast, 1_000)] {
            yard.submit(vec![retried("a", 0, 0)]);
            let given = yard.run(runner);
            yard.pass(ms);
            yard.succeed(&given);
        }
    }
    yard.pass(1);
    yard.submit(vec![job("flush")]);
    let given = yard.run(fast);
    yard.succeed(&given);
    yard.restart();
    // The slow one has waited longer, which is what would decide otherwise.
    let polls = [slow, fast].map(|runner| yard.poll(runner));
    yard.submit(vec![job("b")]);
    assert_eq!(names(&yard.given(polls[1])), ["b"]);
    assert_eq!(yard.answer(polls[0]), None);
    let class = yard.scheduler.learned(None, 1).classes[0][0].class_id;
    assert_eq!(yard.scheduler.predicted_run(class).runs, 60);
}

#[test]
fn a_policy_that_nobody_knows_is_refused() {
    let mut settings = Settings::default();
    pool(&mut settings, |pool| pool.selection_policy = "coin".into());
    let error = settings.check().unwrap_err().to_string();
    assert!(error.contains("`coin`") && error.contains("least_loaded"), "{error}");
    pool(&mut settings, |pool| pool.scheduling_policy = "lottery".into());
    assert!(settings.check().unwrap_err().to_string().contains("`lottery`"));
    pool(&mut settings, |_| {});
    assert_eq!(settings.check(), Ok(()));
}
