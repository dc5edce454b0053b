//! What the scheduler shows of itself.

use super::yard::{Yard, after, job, labelled, names, slots, urgent, with_label};
use crate::dispatch::{Command, PoolUsage};
use crate::model::{
    Job, JobPriority, JobStateKind, PoolId, RunnerCapabilities, RunnerId, RunnerState, TenantId,
};
use crate::runner::FinishedRun;

#[test]
fn the_waiting_list_is_in_dispatch_order_with_gated_jobs_behind() {
    let mut yard = Yard::new();
    yard.submit(vec![
        urgent("low", JobPriority::Low),
        after("gated", &["low"]),
        urgent("critical", JobPriority::Critical),
        labelled("labelled", "x"),
    ]);
    let list = yard.scheduler.waiting(yard.now, 9);
    let seen: Vec<_> = list.iter().map(|job| (&*job.name, job.position)).collect();
    assert_eq!(
        seen,
        [("critical", Some(1)), ("labelled", Some(2)), ("low", Some(3)), ("gated", None)]
    );
    assert_eq!((list[3].state, &*list[1].labels[0]), (JobStateKind::Blocked, "x"));
    assert_eq!(yard.scheduler.waiting(yard.now, 2).len(), 2);
}

#[test]
fn positions_count_with_what_was_learned_of_run_times_as_the_match_does() {
    let mut yard = Yard::new();
    for (tenant, jobs) in [(1, [labelled("slow", "x"), job("a")]), (2, [job("b"), job("c")])] {
        yard.submit_as(TenantId(tenant), jobs.into());
    }
    let run = |job: &Job| FinishedRun {
        class_id: job.class_id,
        runner_id: RunnerId(7),
        run_ms: if &*job.name == "slow" { 600_000 } else { 1_000 },
        failed: false,
    };
    let runs = yard.jobs.values().map(run).collect();
    yard.apply(Command::TrainModel { runs, author: "ada".into() }).unwrap();
    let list = yard.scheduler.waiting(yard.now, 9);
    let list: Vec<_> = list.iter().map(|job| &*job.name).collect();
    assert_eq!(list, ["slow", "b", "c", "a"], "one slow job is worth many quick ones");
    let runner = yard.register("r", RunnerCapabilities { max_parallel_jobs: 4, ..with_label("x") });
    assert_eq!(names(&yard.take(runner)), list);
}

#[test]
fn the_queue_counts_by_level_and_knows_its_oldest_and_the_mean_wait() {
    let mut yard = Yard::new();
    let first = yard.now.wall_ms;
    yard.submit(vec![urgent("a", JobPriority::High), job("b")]);
    yard.pass(400);
    yard.submit(vec![job("c")]);
    let metrics = yard.scheduler.queue_metrics();
    assert_eq!((metrics.by_level, metrics.total()), ([0, 1, 2, 0, 0], 3));
    assert_eq!(metrics.oldest_queued_at_ms, Some(first));
    let runner = yard.register("r", slots(2));
    yard.take(runner);
    let metrics = yard.scheduler.queue_metrics();
    assert_eq!((metrics.total(), metrics.oldest_queued_at_ms), (1, Some(first + 400)));
    assert!((metrics.average_wait_ms - 400.0).abs() < f64::EPSILON);
}

#[test]
fn the_status_counts_slots_polls_and_what_nobody_can_take() {
    let mut yard = Yard::new();
    yard.submit(vec![job("a"), labelled("b", "nobody")]);
    let [one, two] = ["one", "two"].map(|name| yard.register(name, slots(2)));
    let given = yard.take(one);
    yard.poll(two);
    let status = yard.scheduler.status();
    assert_eq!((status.running_jobs, status.parked_polls, status.unschedulable_jobs), (1, 1, 0));
    let pool = PoolUsage {
        pool_id: PoolId::DEFAULT,
        runners_online: 2,
        runners_total: 2,
        slots_used: 1,
        slots_total: 4,
    };
    assert_eq!(status.pools, [pool]);
    assert_eq!(given.len(), 1);
}

#[test]
fn a_runner_is_shown_with_its_jobs_and_what_it_is_doing() {
    let mut yard = Yard::new();
    let ids = yard.submit(vec![job("a")]);
    let [one, two] = ["one", "two"].map(|name| yard.register(name, slots(1)));
    yard.run(one);
    yard.poll(two);
    yard.pass(7);
    let list = yard.scheduler.runner_list(yard.now, None, 9);
    let seen: Vec<_> = list.iter().map(|it| (it.row.id, it.state, it.used, it.waiting)).collect();
    assert_eq!(seen, [(two, RunnerState::Online, 0, true), (one, RunnerState::Busy, 1, false)]);
    assert_eq!((&list[1].jobs, list[1].last_seen_ms_ago), (&ids, Some(7)));
    let older = yard.scheduler.runner_list(yard.now, Some(two), 9);
    assert_eq!(older.iter().map(|it| it.row.id).collect::<Vec<_>>(), [one]);
    yard.restart();
    assert_eq!(yard.scheduler.runner(yard.now, one).unwrap().last_seen_ms_ago, None);
}
