//! Runners that the server orders: from the row before the runner to the row that is gone.

use super::yard::{Yard, job, labelled, slots, with_label};
use crate::dispatch::{Absence, Command, Refusal, Register, Reply};
use crate::model::{
    AssignedJob, Change, JobStateKind, PoolId, RequeueReason, RunnerCapabilities, RunnerId,
    RunnerState,
};
use crate::runner::{FleetSettings, MemberState};

fn fleet(min_idle: u32, max: u32) -> FleetSettings {
    FleetSettings {
        pool_id: PoolId::DEFAULT,
        offers: RunnerCapabilities { labels: vec!["warm".into()], ..slots(1) },
        min_idle,
        min: 0,
        max,
        idle_ttl_ms: 60_000,
        max_age_ms: None,
        start_timeout_ms: 30_000,
        cost_micros_per_hour: 0,
    }
}

fn yard(min_idle: u32, max: u32) -> Yard {
    Yard::with(|settings| {
        settings.installation = "cafe".into();
        settings.fleets = [("pool a".into(), fleet(min_idle, max))].into();
    })
}

fn order(yard: &mut Yard) -> (RunnerId, Box<str>) {
    let command = Command::OrderRunner { fleet: "pool a".into(), token_hash: "t".into() };
    match yard.apply(command) {
        Ok(Reply::Ordered { runner_id, name }) => (runner_id, name),
        other => panic!("{other:?}"),
    }
}

/// The runner that was ordered says hello.
fn comes(yard: &mut Yard, id: RunnerId, instance: &str) -> Result<Reply, Refusal> {
    let hello = Yard::hello(instance, with_label("warm"));
    yard.apply(Command::Register(Box::new(Register { ordered: Some(id), ..hello })))
}

/// One that stands by.
fn standing(yard: &mut Yard) -> RunnerId {
    let (id, _) = order(yard);
    assert_eq!(comes(yard, id, "i"), Ok(Reply::Registered(id)));
    id
}

fn retire(yard: &mut Yard, runner_id: RunnerId, dead: bool) -> Result<Reply, Refusal> {
    yard.apply(Command::RetireRunner { runner_id, why: "it is old".into(), dead })
}

fn states(yard: &Yard) -> Vec<MemberState> {
    let plan = yard.scheduler.plan_fleets(yard.now);
    plan.ordered.iter().map(|runner| runner.state).collect()
}

fn wanted(yard: &Yard) -> u32 {
    yard.scheduler.plan_fleets(yard.now).fleets["pool a"].order
}

#[test]
fn a_runner_has_its_row_before_it_is_there_and_registers_once() {
    let mut yard = yard(1, 2);
    assert_eq!(wanted(&yard), 1);
    let (id, name) = order(&mut yard);
    assert_eq!(&*name, format!("warm-cafe-{id}"));
    assert!(matches!(&yard.changes[..], [Change::RunnerInserted(row)] if row.is_starting()));
    assert_eq!((states(&yard), wanted(&yard)), (vec![MemberState::Starting], 0));
    let shown = yard.scheduler.runner(yard.now, id).unwrap();
    assert_eq!((shown.state, shown.last_seen_ms_ago), (RunnerState::Offline, None));

    assert_eq!(comes(&mut yard, id, "i"), Ok(Reply::Registered(id)));
    assert_eq!(comes(&mut yard, id, "i"), Ok(Reply::Registered(id)), "its answer was lost");
    let another = comes(&mut yard, id, "j").unwrap_err();
    assert_eq!(another.to_string(), "this token has registered a runner already");
    let shown = yard.scheduler.runner(yard.now, id).unwrap();
    assert_eq!((shown.row.name, shown.state), (name, RunnerState::Online));
    assert_eq!(states(&yard), [MemberState::Idle { for_ms: 0, asks: false }]);
}

#[test]
fn no_more_are_ordered_than_may_be_whoever_asks() {
    let mut yard = yard(5, 2);
    assert_eq!(wanted(&yard), 2);
    order(&mut yard);
    order(&mut yard);
    let more = Command::OrderRunner { fleet: "pool a".into(), token_hash: "t".into() };
    assert_eq!(yard.refused(more).to_string(), "the fleet is complete: max is 2");
    let none = Command::OrderRunner { fleet: "pool b".into(), token_hash: "t".into() };
    assert_eq!(yard.refused(none).to_string(), "there is no fleet `pool b`");
}

#[test]
fn jobs_that_wait_for_a_runner_are_told_that_one_is_started_or_why_not() {
    let mut yard = yard(0, 2);
    let ids =
        yard.submit(vec![labelled("a", "warm"), labelled("b", "warm"), labelled("c", "warm")]);
    assert_eq!(wanted(&yard), 2, "as many as may be");
    order(&mut yard);
    assert_eq!(yard.said(ids[0])[0], "a runner that fits is being started");
    let trouble = Absence { until_ms: yard.now.wall_ms + 5_000, why: "no such image".into() };
    let stands = |trouble| Command::FleetStands { fleet: "pool a".into(), trouble };
    yard.apply(stands(Some(trouble))).unwrap();
    let said =
        "a runner that fits is being started; the last start of pool a failed: no such image";
    assert_eq!((&*yard.said(ids[0])[0], wanted(&yard)), (said, 0), "held back");
    yard.pass(5_000);
    assert_eq!(wanted(&yard), 1);
    yard.apply(stands(None)).unwrap();
    assert_eq!(yard.said(ids[0])[0], "a runner that fits is being started");
    // What nothing gates but a tenant's pause, starts nothing.
    let other = yard.submit(vec![labelled("d", "elsewhere")]);
    assert_eq!(wanted(&yard), 1);
    assert!(yard.said(other[0])[0].contains("lacks"), "{:?}", yard.said(other[0]));
}

#[test]
fn one_that_has_a_job_is_not_taken_down_and_one_that_goes_gets_none() {
    let mut yard = yard(1, 2);
    let id = standing(&mut yard);
    yard.submit(vec![job("a")]);
    let given = yard.run(id);
    assert_eq!(states(&yard), [MemberState::Busy]);
    assert_eq!(wanted(&yard), 1, "the claimed one is replaced");
    let refused = retire(&mut yard, id, false).unwrap_err();
    assert_eq!(refused.to_string(), format!("runner {id} has jobs"));
    assert_eq!(yard.succeed(&given), JobStateKind::Completed);
    let poll = yard.poll(id);
    retire(&mut yard, id, false).unwrap();
    let told = yard.answer(poll).unwrap();
    assert!(told.drain && told.jobs.is_empty());
    yard.submit(vec![job("b")]);
    assert_eq!(yard.take(id), Vec::<AssignedJob>::new());
    assert_eq!(states(&yard), [MemberState::Leaving]);
    assert_eq!(yard.apply(Command::RunnerGone(id)), Ok(Reply::Done));
    assert!(states(&yard).is_empty() && yard.scheduler.runner(yard.now, id).is_none());
    assert_eq!(yard.apply(Command::RunnerGone(id)), Ok(Reply::Done), "said twice");
}

#[test]
fn one_that_died_loses_its_jobs_at_once_and_nobody_comes_in_its_place() {
    let mut yard = yard(1, 2);
    let id = standing(&mut yard);
    let jobs = yard.submit(vec![job("a")]);
    yard.run(id);
    retire(&mut yard, id, true).unwrap();
    assert_eq!(yard.state(jobs[0]), JobStateKind::Pending);
    assert_eq!(yard.attempts[0].requeue_reason, Some(RequeueReason::RunnerLost));
    let back = comes(&mut yard, id, "i").unwrap_err();
    assert_eq!(back.to_string(), "this runner is to leave: it is old");
}

#[test]
fn one_that_leaves_by_itself_is_known_until_it_is_taken_down() {
    let mut yard = yard(0, 2);
    let id = standing(&mut yard);
    let refused = yard.apply(Command::RunnerGone(id)).unwrap_err();
    assert_eq!(refused.to_string(), format!("runner {id} is not to leave"));
    yard.apply(Command::Deregister(id)).unwrap();
    assert_eq!(states(&yard), [MemberState::Leaving]);
    let row = yard.scheduler.runner(yard.now, id).unwrap();
    assert_eq!((row.row.leaving(), row.state), (Some("it left"), RunnerState::Offline));
    yard.apply(Command::RunnerGone(id)).unwrap();
    assert!(states(&yard).is_empty());
}

#[test]
fn after_a_restart_each_is_what_it_was() {
    let mut yard = yard(0, 4);
    let (starting, _) = order(&mut yard);
    let idle = standing(&mut yard);
    let leaving = standing(&mut yard);
    retire(&mut yard, leaving, false).unwrap();
    yard.restart();
    let idle_again = MemberState::Idle { for_ms: 0, asks: false };
    assert_eq!(states(&yard), [MemberState::Starting, idle_again, MemberState::Leaving]);
    assert_eq!(yard.scheduler.runner(yard.now, starting).unwrap().state, RunnerState::Offline);
    assert_eq!(comes(&mut yard, starting, "s"), Ok(Reply::Registered(starting)));
    assert_eq!(comes(&mut yard, idle, "i"), Ok(Reply::Registered(idle)));
}

#[test]
fn what_runners_of_a_fleet_offer_is_known_after_a_restart_while_it_is_configured_the_same() {
    let mut yard = yard(0, 4);
    let any = RunnerCapabilities::ANY;
    let offers = RunnerCapabilities { architecture: any.into(), ..slots(1) };
    yard.settings.fleets.get_mut("pool a").unwrap().offers = offers.clone();
    yard.restart();
    let id = standing(&mut yard);
    yard.apply(Command::Deregister(id)).unwrap();
    yard.apply(Command::RunnerGone(id)).unwrap();
    let now = yard.now;
    yard.scheduler.save_soft(now);
    // No runner of it is left that could say it. Before there was one, it was thought to have every architecture.
    let mut foreign = job("a");
    foreign.requirements.architecture = Some("riscv64".into());
    yard.submit(vec![foreign]);
    assert_eq!(wanted(&yard), 0);
    yard.restart();
    assert_eq!(wanted(&yard), 0, "it is still known");
    yard.settings.fleets.get_mut("pool a").unwrap().offers.memory_gb += 1;
    yard.restart();
    assert_eq!(wanted(&yard), 1, "another machine may be it");
}

#[test]
fn jobs_whose_runner_never_comes_are_marked() {
    let mut yard = yard(0, 4);
    yard.submit(vec![labelled("a", "warm")]);
    let marked = |yard: &mut Yard| yard.scheduler.status().unschedulable_jobs;
    let trouble = |yard: &mut Yard, why: Option<&str>| {
        let until_ms = yard.now.wall_ms;
        let trouble = why.map(|why| Absence { until_ms, why: why.into() });
        let stands = Command::FleetStands { fleet: "pool a".into(), trouble };
        yard.apply(stands).unwrap();
    };
    let after_ms = yard.settings.unschedulable_after_ms;
    let (id, _) = order(&mut yard);
    yard.pass(after_ms);
    assert_eq!(marked(&mut yard), 0, "it is on its way");
    trouble(&mut yard, Some("no such image"));
    retire(&mut yard, id, false).unwrap();
    yard.apply(Command::RunnerGone(id)).unwrap();
    let (id, _) = order(&mut yard);
    yard.pass(after_ms - 1);
    assert_eq!(marked(&mut yard), 0);
    yard.pass(1);
    assert_eq!(marked(&mut yard), 1, "nobody may ever come");
    comes(&mut yard, id, "i").unwrap();
    yard.pass(0);
    assert_eq!(marked(&mut yard), 0);
}

#[test]
fn standby_ends_when_its_time_is_over_and_what_never_came_is_given_up() {
    let mut yard = yard(0, 4);
    let idle = standing(&mut yard);
    let (late, _) = order(&mut yard);
    let retired = |yard: &Yard| {
        let plan = yard.scheduler.plan_fleets(yard.now);
        plan.fleets["pool a"].retire.iter().map(|(id, _)| *id).collect::<Vec<_>>()
    };
    assert!(retired(&yard).is_empty());
    yard.pass(30_000);
    assert_eq!(retired(&yard), [late]);
    yard.beat(idle, &[]);
    yard.pass(30_000);
    assert_eq!(retired(&yard), [late, idle]);
    // A fleet that is not configured any more.
    yard.settings.fleets.clear();
    yard.restart();
    assert_eq!(yard.scheduler.plan_fleets(yard.now).strays, [idle, late]);
}

#[test]
fn a_pool_says_how_large_it_should_be() {
    let mut yard = yard(1, 3);
    let id = standing(&mut yard);
    let scale = |yard: &mut Yard| {
        let now = yard.now;
        let scale = yard.scheduler.pool_scales(now).remove(&PoolId::DEFAULT).unwrap();
        (scale.waiting, scale.running, scale.runners, scale.idle, scale.starting, scale.desired)
    };
    assert_eq!(scale(&mut yard), (0, 0, 1, 1, 0, 1));
    yard.submit(vec![job("a")]);
    yard.run(id);
    order(&mut yard);
    yard.submit(vec![job("b"), job("c"), job("d")]);
    yard.pass(7_000);
    assert_eq!(scale(&mut yard), (3, 1, 1, 0, 1, 3), "no more than `max`");
    let now = yard.now;
    assert_eq!(yard.scheduler.pool_scales(now)[&PoolId::DEFAULT].oldest_waiting_ms, 7_000);
}

#[test]
fn a_pool_that_is_cordoned_is_not_filled_again() {
    let mut yard = yard(1, 2);
    assert_eq!(wanted(&yard), 1);
    let (pool_id, author): (_, Box<str>) = (PoolId::DEFAULT, "ops".into());
    let cordoned = Some(Some("it is to be emptied".into()));
    let patch =
        |cordoned| Command::PatchPool { pool_id, cordoned, draining: None, author: author.clone() };
    yard.apply(patch(cordoned)).unwrap();
    assert_eq!(wanted(&yard), 0);
    yard.apply(patch(Some(None))).unwrap();
    assert_eq!(wanted(&yard), 1);
}

#[test]
fn one_that_loses_jobs_is_replaced() {
    let mut yard = yard(1, 2);
    let id = standing(&mut yard);
    for _ in 0..20 {
        yard.submit(vec![job("lost")]);
        if yard.take(id).is_empty() {
            break;
        }
        yard.pass(yard.settings.ack_window_ms);
    }
    assert_eq!(states(&yard), [MemberState::Away]);
    let plan = yard.scheduler.plan_fleets(yard.now);
    assert_eq!(plan.fleets["pool a"].retire[0].0, id);
    assert!(plan.fleets["pool a"].order >= 1, "{plan:?}");
}
