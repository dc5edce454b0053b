//! What is next: levels and aging, due starts, fair shares, policies of pools, and people's hands.

use super::yard::{Yard, job, slots, urgent};
use crate::dispatch::{Command, PoolSettings, Refusal, TenantSettings};
use crate::model::{JobPriority, JobTerms, PlannedJob, PoolId, RecordName, TenantId};

const AGING_MS: i64 = 1_000;

fn aging() -> Yard {
    Yard::with(|settings| {
        settings.aging_ms = AGING_MS;
        settings.deadline_raise_ms = 100;
    })
}

fn policy(key: &str) -> Yard {
    Yard::with(|settings| {
        settings.expected_run_ms = 1_000;
        let pool = PoolSettings { scheduling_policy: key.into(), ..PoolSettings::default() };
        settings.pools.insert(PoolId::DEFAULT, PoolSettings { balance_hold_ms: 0, ..pool });
        let heavy = TenantSettings { weight: 3, ..TenantSettings::default() };
        settings.tenants.insert(TenantId(2), heavy);
    })
}

#[test]
fn a_job_that_waited_long_enough_goes_before_a_young_one_of_a_higher_level() {
    let mut yard = aging();
    let runner = yard.register("r", slots(1));
    yard.submit(vec![urgent("old", JobPriority::Low)]);
    yard.pass(AGING_MS);
    yard.submit(vec![job("young")]);
    yard.submit(vec![urgent("high", JobPriority::High)]);
    assert_eq!(yard.work_off(runner, 3), ["high", "old", "young"]);
}

#[test]
fn waiting_never_raises_a_job_above_high() {
    let mut yard = aging();
    let runner = yard.register("r", slots(1));
    yard.submit(vec![urgent("old", JobPriority::Background)]);
    yard.pass(100 * AGING_MS);
    yard.submit(vec![urgent("critical", JobPriority::Critical)]);
    assert_eq!(yard.work_off(runner, 2), ["critical", "old"]);
}

#[test]
fn a_start_that_is_due_soon_raises_a_job_while_it_waits() {
    let mut yard = Yard::with(|settings| {
        settings.aging_ms = 0;
        settings.deadline_raise_ms = 100;
    });
    let runner = yard.register("r", slots(1));
    let terms = JobTerms { max_wait_ms: Some(1_000), ..JobTerms::default() };
    let dated = PlannedJob { terms, ..urgent("dated", JobPriority::Background) };
    yard.submit(vec![urgent("normal", JobPriority::Normal), dated]);
    yard.submit(vec![urgent("normal too", JobPriority::Normal)]);
    assert_eq!(yard.work_off(runner, 1), ["normal"]);
    yard.pass(899);
    assert_eq!(yard.scheduler.next_tick_in_ms(yard.now), Some(1));
    yard.pass(1);
    assert_eq!(yard.work_off(runner, 2), ["dated", "normal too"]);
}

#[test]
fn a_wait_that_was_too_long_and_a_missed_deadline_are_recorded() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    let deadline_ms = Some(yard.now.wall_ms + 2_000);
    let terms = JobTerms { max_wait_ms: Some(1_000), deadline_ms, ..JobTerms::default() };
    yard.submit(vec![PlannedJob { terms, ..job("a") }]);
    yard.pass(1_001);
    let given = yard.run(runner);
    yard.pass(1_000);
    yard.succeed(&given);
    let late = yard.records.iter().filter(|record| record.name == RecordName::JobLate);
    assert_eq!(late.map(|record| &*record.detail).collect::<Vec<_>>(), ["max_wait", "deadline"]);
}

#[test]
fn tenants_share_a_level_by_their_weights() {
    let mut yard = policy("priority");
    let runner = yard.register("r", slots(1));
    for tenant in [1, 2] {
        let jobs = (0..8).map(|at| job(&format!("t{tenant}-{at}"))).collect();
        yard.submit_as(TenantId(tenant), jobs);
    }
    // Jobs that take as long as was expected.
    let mut counts = [0, 0];
    for _ in 0..8 {
        let given = yard.run(runner);
        yard.pass(yard.settings.expected_run_ms);
        yard.succeed(&given);
        counts[usize::from(given.name.starts_with("t2"))] += 1;
    }
    assert_eq!(counts, [2, 6]);
}

#[test]
fn the_policy_of_a_pool_decides_what_is_next() {
    let order = |key: &str| {
        let mut yard = policy(key);
        let runner = yard.register("r", slots(1));
        yard.submit_as(TenantId(1), vec![urgent("one old low", JobPriority::Low)]);
        yard.pass(1);
        yard.submit_as(TenantId(1), vec![urgent("one high", JobPriority::High)]);
        yard.submit_as(TenantId(1), vec![urgent("one high too", JobPriority::High)]);
        yard.submit_as(TenantId(2), vec![urgent("two low", JobPriority::Low)]);
        let mut names = Vec::new();
        for _ in 0..4 {
            let given = yard.run(runner);
            yard.pass(yard.settings.expected_run_ms);
            yard.succeed(&given);
            names.push(given.name.to_string());
        }
        names
    };
    assert_eq!(order("priority"), ["one high", "one high too", "two low", "one old low"]);
    assert_eq!(order("fifo"), ["one old low", "one high", "one high too", "two low"]);
    assert_eq!(order("fair_share"), ["one high", "two low", "one high too", "one old low"]);
}

#[test]
fn people_change_the_priority_of_a_waiting_job_and_move_it_to_the_front() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    let ids = yard.submit(vec![job("a"), job("b"), urgent("c", JobPriority::Low)]);
    let author: Box<str> = "ada".into();
    let (job_id, priority) = (ids[2], JobPriority::High);
    yard.apply(Command::Prioritise { job_id, priority, author: author.clone() }).unwrap();
    yard.apply(Command::MoveToFront { job_id: ids[1], author: author.clone() }).unwrap();
    yard.restart();
    let given = yard.run(runner);
    assert_eq!(&*given.name, "c");
    let refused = yard.refused(Command::MoveToFront { job_id, author });
    let Refusal::WrongState(why) = refused else { panic!("{refused:?}") };
    assert_eq!(&*why, "job 3 is running: only a waiting job has a place in the queue");
    yard.succeed(&given);
    assert_eq!(yard.work_off(runner, 2), ["b", "a"]);
    let names: Vec<_> = yard.records.iter().map(|record| record.name).collect();
    assert!(names.contains(&RecordName::JobPriorityChanged));
    assert!(names.contains(&RecordName::JobMoved));
}

#[test]
fn usage_of_tenants_survives_a_restart() {
    let mut yard = Yard::with(|settings| settings.soft_flush_ms = 1);
    let runner = yard.register("r", slots(1));
    yard.submit_as(TenantId(2), vec![job("a")]);
    let given = yard.run(runner);
    yard.pass(9_000);
    yard.succeed(&given);
    yard.pass(1);
    yard.submit_as(TenantId(3), vec![job("b")]);
    let usage = yard.scheduler.share_usage();
    yard.restart();
    let again = yard.scheduler.share_usage();
    let used = |usage: &[crate::queue::ShareUsage]| {
        usage.iter().map(|it| (it.tenant_id, it.used_ms)).collect::<Vec<_>>()
    };
    assert!(used(&usage).contains(&(TenantId(2), 9_000)), "{usage:?}");
    assert!(used(&again).contains(&(TenantId(2), 9_000)), "{again:?}");
}
