//! Nothing waits beside a runner that could take it, whatever else waits: cases that the simulator
//! found.

use super::yard::{Yard, job, labelled, names, slots, workload};
use crate::dispatch::{Command, PoolSettings, Reason, Register, Reply};
use crate::model::{
    JobPriority, JobTerms, Pause, PauseScope, Placement, PlannedJob, PlannedWorkload, PoolId,
    RequeueReason, ResourceNeed, RunnerCapabilities, RunnerId, RunnerRequirements, WorkloadTerms,
};

const FAST: PoolId = PoolId(2);

fn two_pools(fast_jobs_max: Option<u64>) -> Yard {
    Yard::with(|settings| {
        let pool = PoolSettings { balance_hold_ms: 0, ..PoolSettings::default() };
        settings.pools.insert(FAST, PoolSettings { jobs_max: fast_jobs_max, ..pool });
        settings.catalogue.pools.insert("fast".into(), FAST);
    })
}

fn register_in(yard: &mut Yard, pool_id: PoolId, name: &str, slots_max: u32) -> RunnerId {
    let register = Register { pool_id, ..Yard::hello(name, slots(slots_max)) };
    match yard.apply(Command::Register(Box::new(register))) {
        Ok(Reply::Registered(id)) => id,
        other => panic!("{other:?}"),
    }
}

/// A job that goes to `FAST`, or else to the default pool.
fn fast_or_any(name: &str) -> PlannedJob {
    let requirements = RunnerRequirements {
        pool_id: FAST,
        fallback_pools: vec![PoolId::DEFAULT],
        ..RunnerRequirements::default()
    };
    PlannedJob { requirements, ..job(name) }
}

fn needing(name: &str, resource: &str, units: u32) -> PlannedJob {
    let resources = vec![ResourceNeed { name: resource.into(), units }];
    let requirements = RunnerRequirements { resources, ..RunnerRequirements::default() };
    PlannedJob { requirements, ..job(name) }
}

fn near(name: &str, affinity_required: bool) -> PlannedJob {
    let placement =
        Placement { affinity: Some("cache".into()), affinity_required, ..Placement::default() };
    PlannedJob { terms: JobTerms { placement, ..JobTerms::default() }, ..job(name) }
}

fn with_db(units: u32, overtake_max: u32) -> Yard {
    Yard::with(|settings| {
        settings.overtake_max = overtake_max;
        settings.catalogue.resources = [("db".into(), units)].into();
    })
}

#[test]
fn a_full_pool_lets_a_job_go_to_the_next_although_its_runners_wait() {
    let mut yard = two_pools(Some(1));
    let fast = register_in(&mut yard, FAST, "fast", 4);
    let general = yard.register("general", slots(4));
    yard.submit(vec![fast_or_any("a")]);
    yard.run(fast);
    let polls = [fast, general].map(|runner| yard.poll(runner));
    yard.submit(vec![fast_or_any("b")]);
    assert_eq!(names(&yard.given(polls[1])), ["b"]);
}

#[test]
fn a_job_that_waited_for_an_earlier_pool_is_not_overtaken_when_that_is_busy() {
    let mut yard = two_pools(None);
    let fast = register_in(&mut yard, FAST, "fast", 1);
    let general = yard.register("general", slots(1));
    yard.submit(vec![fast_or_any("first"), fast_or_any("second"), job("third")]);
    let polls = [general, fast].map(|runner| yard.poll_of(runner));
    yard.batch(polls.clone().map(|poll| Command::Poll(Box::new(poll))));
    assert_eq!(names(&yard.given(polls[1].poll_id)), ["first"]);
    assert_eq!(names(&yard.given(polls[0].poll_id)), ["second"]);
}

#[test]
fn a_key_that_moves_to_a_waiting_runner_brings_who_must_be_near_to_it() {
    let mut yard = Yard::new();
    let [r, s] = ["r", "s"].map(|name| yard.register(name, slots(4)));
    yard.submit(vec![near("before", false)]);
    yard.run(r);
    yard.submit(vec![near("must", true)]);
    let poll = yard.poll(s);
    assert_eq!(yard.answer(poll), None);
    yard.submit(vec![near("may", false)]);
    assert_eq!(names(&yard.given(poll)), ["may", "must"]);
}

#[test]
fn nobody_waits_to_be_near_to_a_runner_that_will_not_have_it() {
    let away: [fn(&mut Yard, RunnerId); 2] = [
        |yard, runner| yard.patch(runner, Some(Some("disk")), None),
        |yard, _| yard.pass(yard.settings.heartbeat_timeout_ms),
    ];
    for leave in away {
        let mut yard = Yard::new();
        let [r, s] = ["r", "s"].map(|name| yard.register(name, slots(4)));
        yard.submit(vec![near("a", true)]);
        let given = yard.run(r);
        yard.succeed(&given);
        leave(&mut yard, r);
        yard.submit(vec![near("b", true)]);
        assert_eq!(names(&yard.take(s)), ["b"]);
    }
    // Lost under the very runner that it must be near to.
    let mut yard = Yard::new();
    let [r, s] = ["r", "s"].map(|name| yard.register(name, slots(4)));
    yard.submit(vec![near("a", true)]);
    let given = yard.run(r);
    let (lease, reason) = (super::yard::lease(&given), RequeueReason::RunnerLost);
    yard.apply(Command::Release { lease, reason, why: None }).unwrap();
    assert_eq!(names(&yard.take(s)), ["a"]);
}

#[test]
fn a_job_that_nobody_can_take_reserves_nothing() {
    let mut yard = with_db(2, 1);
    let runner = yard.register("r", slots(1));
    let mut nobody = labelled("nobody", "none");
    nobody.requirements.resources = vec![ResourceNeed { name: "db".into(), units: 2 }];
    yard.submit(vec![nobody]);
    yard.submit(["a", "b", "c"].map(|name| needing(name, "db", 1)).into());
    assert_eq!(yard.work_off(runner, 3), ["a", "b", "c"]);
}

#[test]
fn a_reservation_falls_when_its_job_has_nobody_any_more_or_others_come_before_it() {
    let reserved = || {
        let mut yard = with_db(2, 1);
        let strong = yard.register("strong", RunnerCapabilities { gpu: 1, ..slots(1) });
        let plain = yard.register("plain", slots(9));
        yard.submit(vec![needing("first", "db", 1)]);
        let first = yard.run(plain);
        let mut big = needing("big", "db", 2);
        big.requirements.gpu = 1;
        yard.submit(vec![big]);
        let small = yard.submit(vec![needing("s1", "db", 1), needing("s2", "db", 1)])[1];
        let s1 = yard.run(plain);
        yard.succeed(&s1);
        yard.succeed(&first);
        let poll = yard.poll(plain);
        assert_eq!(yard.answer(poll), None, "it is kept for the big one");
        (yard, strong, poll, small)
    };
    let (mut yard, strong, poll, _) = reserved();
    yard.patch(strong, Some(Some("disk")), None);
    assert_eq!(names(&yard.given(poll)), ["s2"]);
    let (mut yard, _, poll, job_id) = reserved();
    yard.apply(Command::MoveToFront { job_id, author: "ada".into() }).unwrap();
    assert_eq!(names(&yard.given(poll)), ["s2"]);
}

#[test]
fn what_a_reservation_leaves_is_given_out_with_it() {
    let mut yard = with_db(3, 1);
    let runner = yard.register("r", slots(9));
    yard.submit(vec![needing("first", "db", 2)]);
    let first = yard.run(runner);
    yard.submit(vec![needing("big", "db", 2)]);
    yard.submit(vec![needing("s1", "db", 1)]);
    let s1 = yard.run(runner);
    yard.submit(vec![needing("s2", "db", 1)]);
    yard.succeed(&s1);
    let poll = yard.poll(runner);
    assert_eq!(yard.answer(poll), None);
    yard.succeed(&first);
    assert_eq!(names(&yard.given(poll)), ["big", "s2"]);
}

#[test]
fn an_avoided_runner_that_is_alone_is_not_said_to_be_away() {
    let mut yard = Yard::new();
    let [r, s] = ["r", "s"].map(|name| yard.register(name, slots(1)));
    let id = yard.submit(vec![job("a")])[0];
    let given = yard.run(r);
    let (lease, reason) = (super::yard::lease(&given), RequeueReason::RunnerLost);
    yard.apply(Command::Release { lease, reason, why: None }).unwrap();
    yard.patch(s, Some(Some("disk")), None);
    let reasons = yard.scheduler.explain(yard.now, id).unwrap().reasons;
    assert!(reasons.contains(&Reason::AwaitingPoll { runners: 1 }), "{reasons:?}");
}

#[test]
fn one_paused_pool_and_one_full_one_are_both_said_to_close_the_way() {
    let mut yard = two_pools(Some(1));
    let fast = register_in(&mut yard, FAST, "fast", 4);
    yard.register("general", slots(4));
    yard.submit(vec![fast_or_any("a")]);
    yard.run(fast);
    let scope = PauseScope::Pool(PoolId::DEFAULT);
    let (author, reason, at_ms) = ("ada".into(), "upgrade".into(), yard.now.wall_ms);
    yard.apply(Command::Pause(Pause { scope, author, reason, at_ms, breaker: None })).unwrap();
    let id = yard.submit(vec![fast_or_any("b")])[0];
    let reasons = yard.scheduler.explain(yard.now, id).unwrap().reasons;
    assert!(matches!(
        reasons[..2],
        [Reason::Paused { .. }, Reason::PoolLimit { running: 1, max: 1, .. }]
    ));
}

#[test]
fn a_clock_that_goes_back_does_not_delay_a_job_again() {
    for paused in [false, true] {
        let mut yard = Yard::new();
        let not_before_ms = yard.now.wall_ms + 50;
        let trigger = PauseScope::Trigger(workload(vec![]).trigger.into());
        if paused {
            let (author, reason, at_ms) = ("ada".into(), "upgrade".into(), yard.now.wall_ms);
            let pause = Pause { scope: trigger.clone(), author, reason, at_ms, breaker: None };
            yard.apply(Command::Pause(pause)).unwrap();
        }
        let id = yard.submit(vec![PlannedJob { not_before_ms, ..job("a") }])[0];
        let delayed = |yard: &Yard| {
            let reasons = yard.scheduler.explain(yard.now, id).unwrap().reasons;
            reasons.iter().any(|reason| matches!(reason, Reason::DelayedUntil { .. }))
        };
        assert!(delayed(&yard));
        yard.pass(50);
        yard.now.wall_ms -= 50;
        assert!(!delayed(&yard), "paused: {paused}");
        if paused {
            yard.apply(Command::Resume { scope: trigger, author: "ada".into() }).unwrap();
        }
        let runner = yard.register("r", slots(1));
        assert_eq!(names(&yard.take(runner)), ["a"]);
    }
}

/// The yard compares memory with a load after each batch.
#[test]
fn who_is_offered_at_a_limit_stays_so_when_the_clock_goes_back() {
    let mut yard = Yard::new();
    let not_before_ms = yard.now.wall_ms + 50;
    let urgent = PlannedJob { not_before_ms, priority: JobPriority::High, ..job("urgent") };
    let terms = WorkloadTerms { max_parallel: Some(1), ..WorkloadTerms::default() };
    yard.submit_whole(PlannedWorkload { terms, ..workload(vec![urgent, job("other")]) });
    yard.pass(50);
    yard.now.wall_ms -= 50;
    yard.pass(0);
    yard.restart();
    let runner = yard.register("r", slots(2));
    assert_eq!(names(&yard.take(runner)), ["urgent"]);
}
