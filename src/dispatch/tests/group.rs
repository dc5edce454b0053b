//! Concurrency groups of workloads and of jobs.

use super::yard::{Yard, after, job, lease, retried, slots, urgent, workload};
use crate::dispatch::{Command, Reason};
use crate::model::{
    EndReason, GroupTerms, JobId, JobPriority, JobStateKind, JobTerms, PendingPolicy, PlannedJob,
    PlannedWorkload, RecordName, RequeueReason, TenantId, WorkloadState, WorkloadTerms,
};

use JobStateKind::{Blocked, Cancelled, Claimed, Completed, Pending, Running, Skipped};

pub(crate) fn group(key: &str) -> GroupTerms {
    GroupTerms {
        key: key.into(),
        limit: 1,
        cancel_in_progress: false,
        pending: PendingPolicy::default(),
    }
}

/// A job of a group.
pub(crate) fn grouped(job: PlannedJob, group: GroupTerms) -> PlannedJob {
    PlannedJob { terms: JobTerms { group: Some(group), ..job.terms }, ..job }
}

/// A workload of a group.
pub(crate) fn whole(jobs: Vec<PlannedJob>, group: GroupTerms) -> PlannedWorkload {
    let terms = WorkloadTerms { group: Some(group), ..WorkloadTerms::default() };
    PlannedWorkload { terms, ..workload(jobs) }
}

fn group_reason(yard: &Yard, id: JobId) -> Option<(usize, usize)> {
    let reasons = yard.scheduler.explain(yard.now, id).expect("a live job").reasons;
    reasons.iter().find_map(|reason| match reason {
        Reason::GroupHeld { holders, position, .. } => Some((holders.len(), *position)),
        _ => None,
    })
}

#[test]
fn a_workload_keeps_its_jobs_back_until_it_is_in_its_group_and_leaves_when_it_ends() {
    let mut yard = Yard::new();
    let first = yard.submit_whole(whole(vec![job("a"), after("b", &["a"])], group("g")));
    let second = yard.submit_whole(whole(vec![job("c"), after("d", &["c"])], group("g")));
    assert!(yard.workload_of(first[0]).in_group && !yard.workload_of(second[0]).in_group);
    assert_eq!(yard.states(&second), [Pending, Blocked]);
    assert_eq!(
        yard.said(second[0])[0],
        "group `g` is held by build (workload 1) (limit 1); its workload is number 1 of those \
         that wait"
    );
    let runner = yard.register("r", slots(4));
    for name in ["a", "b", "c", "d"] {
        let given = yard.run(runner);
        assert_eq!(&*given.name, name);
        yard.restart();
        yard.beat(runner, &[&given]);
        yard.succeed(&given);
    }
    assert_eq!(yard.workload_of(second[0]).state, WorkloadState::Completed);
    assert!(yard.workloads.values().all(|row| !row.in_group));
    assert!(yard.scheduler.durable().groups.is_empty());
}

#[test]
fn a_job_enters_its_group_when_its_needs_are_met_and_stays_over_retries() {
    let mut yard = Yard::new();
    let ids = yard.submit(vec![
        job("need"),
        grouped(after("a", &["need"]), group("g")),
        grouped(retried("b", 1, 1_000), group("g")),
        grouped(job("c"), group("g")),
    ]);
    let in_group = |yard: &Yard| ids.iter().map(|id| yard.jobs[id].in_group).collect::<Vec<_>>();
    assert_eq!(in_group(&yard), [false, false, true, false]);
    let runner = yard.register("r", slots(4));
    let given = yard.take(runner);
    assert_eq!(given.len(), 2, "need and b");
    yard.succeed(&given[0]);
    assert_eq!(group_reason(&yard, ids[1]), Some((1, 1)), "by its id before c");
    assert_eq!(group_reason(&yard, ids[3]), Some((1, 2)));
    yard.fail(&given[1]);
    assert_eq!(in_group(&yard), [false, false, true, false], "it waits for its next try");
    yard.restart();
    yard.pass(2_000);
    let given = yard.run(runner);
    assert_eq!(&*given.name, "b");
    let release =
        Command::Release { lease: lease(&given), reason: RequeueReason::Drained, why: None };
    yard.apply(release).unwrap();
    assert_eq!(in_group(&yard), [false, false, true, false], "nor does a loss let others in");
    let given = yard.run(runner);
    yard.succeed(&given);
    assert_eq!(in_group(&yard), [false, true, false, false]);
}

#[test]
fn those_that_wait_enter_by_priority_then_age() {
    let mut yard = Yard::new();
    let mut ids = Vec::new();
    for (name, level) in [
        ("in", JobPriority::Low),
        ("low", JobPriority::Low),
        ("old", JobPriority::Normal),
        ("young", JobPriority::Normal),
        ("high", JobPriority::High),
    ] {
        ids.extend(yard.submit_whole(whole(vec![urgent(name, level)], group("g"))));
        yard.pass(1);
    }
    yard.restart();
    let runner = yard.register("r", slots(4));
    for name in ["in", "high", "old", "young", "low"] {
        let given = yard.run(runner);
        assert_eq!(&*given.name, name);
        yard.succeed(&given);
    }
}

#[test]
fn groups_of_two_tenants_are_two_groups() {
    let mut yard = Yard::new();
    let mine = whole(vec![job("a")], group("g"));
    let theirs = PlannedWorkload { tenant_id: TenantId(2), ..mine.clone() };
    yard.submit_whole(mine);
    yard.submit_whole(theirs);
    let runner = yard.register("r", slots(4));
    assert_eq!(yard.take(runner).len(), 2);
}

#[test]
fn the_newest_member_decides_how_many_may_be_in() {
    let mut yard = Yard::new();
    let with = |limit| GroupTerms { limit, ..group("g") };
    let ids: Vec<_> = [1, 1, 3, 1]
        .into_iter()
        .map(|limit| yard.submit_whole(whole(vec![job("a")], with(limit)))[0])
        .collect();
    let inside =
        |yard: &Yard| -> Vec<_> { ids.iter().map(|id| yard.workload_of(*id).in_group).collect() };
    assert_eq!(inside(&yard), [true, true, true, false], "nobody is put out by a lower limit");
    yard.cancel(ids[0]).unwrap();
    assert_eq!(inside(&yard), [false, true, true, false], "two are more than one");
    yard.cancel(ids[3]).unwrap();
    assert_eq!(inside(&yard), [false, true, true, false]);
}

#[test]
fn a_newcomer_that_cancels_waits_for_the_end_of_what_is_in() {
    let mut yard = Yard::new();
    let replacing = GroupTerms { cancel_in_progress: true, ..group("g") };
    let old = yard.submit_whole(whole(vec![job("a"), after("b", &["a"])], group("g")));
    let runner = yard.register("r", slots(4));
    let given = yard.run(runner);
    let new = yard.submit_whole(whole(vec![job("c")], replacing))[0];
    assert_eq!(yard.states(&[old[0], old[1], new]), [Running, Cancelled, Pending]);
    assert!(!yard.workload_of(new).in_group);
    let asked = yard.records.iter().find(|it| it.name == RecordName::JobCancelRequested).unwrap();
    assert_eq!(asked.author.as_deref(), Some("group"));
    assert_eq!(&*asked.detail, "build (workload 2) came to group `g`");
    assert_eq!(yard.beat(runner, &[&given]).1, [given.lease.token], "it is told to stop");
    assert_eq!(yard.fail(&given), Cancelled);
    assert!(yard.workload_of(new).in_group);
    assert_eq!(yard.run(runner).job_id, new);
}

#[test]
fn a_member_that_was_not_started_makes_room_at_once() {
    let mut yard = Yard::new();
    let replacing = GroupTerms { cancel_in_progress: true, ..group("g") };
    let ids = yard.submit(vec![
        grouped(job("a"), replacing.clone()),
        grouped(job("b"), replacing.clone()),
        grouped(job("c"), replacing),
    ]);
    assert_eq!(yard.states(&ids), [Cancelled, Cancelled, Pending]);
    assert_eq!(yard.end_of(ids[0]), EndReason::CancelRequested);
    assert!(yard.jobs[&ids[2]].in_group);
}

#[test]
fn a_newcomer_that_finds_room_cancels_nobody() {
    let mut yard = Yard::new();
    let two = GroupTerms { limit: 2, cancel_in_progress: true, ..group("g") };
    let ids: Vec<_> =
        (0..2).map(|_| yard.submit_whole(whole(vec![job("a")], two.clone()))[0]).collect();
    assert_eq!(yard.states(&ids), [Pending, Pending]);
}

#[test]
fn latest_leaves_only_the_newcomer_waiting() {
    let mut yard = Yard::new();
    let latest = GroupTerms { pending: PendingPolicy::Latest, ..group("g") };
    let ids: Vec<_> = ["a", "b", "c"]
        .into_iter()
        .map(|name| {
            let jobs = vec![job(name), after("then", &[name])];
            yard.submit_whole(whole(jobs, latest.clone()))[0]
        })
        .collect();
    assert_eq!(yard.states(&ids), [Pending, Cancelled, Pending]);
    assert_eq!(yard.end_of(ids[1]), EndReason::GroupReplaced);
    assert_eq!(yard.workload_of(ids[1]).state, WorkloadState::Cancelled);
    assert!(!yard.workload_of(ids[2]).in_group);
    yard.restart();
    let fourth = yard.submit_whole(whole(vec![job("d")], latest))[0];
    assert_eq!(yard.states(&[ids[0], ids[2], fourth]), [Pending, Cancelled, Pending]);
}

#[test]
fn what_needs_a_replaced_job_goes_by_its_condition() {
    let mut yard = Yard::new();
    let latest = GroupTerms { pending: PendingPolicy::Latest, ..group("g") };
    let ids = yard.submit(vec![
        grouped(job("in"), latest.clone()),
        grouped(job("replaced"), latest.clone()),
        after("child", &["replaced"]),
        grouped(job("newest"), latest),
    ]);
    assert_eq!(yard.states(&ids), [Pending, Cancelled, Skipped, Pending]);
}

#[test]
fn a_newcomer_over_the_queue_maximum_is_cancelled() {
    let mut yard = Yard::new();
    let short = GroupTerms { pending: PendingPolicy::Queue { max: 1 }, ..group("g") };
    let ids = yard.submit(
        ["a", "b", "c"].into_iter().map(|name| grouped(job(name), short.clone())).collect(),
    );
    assert_eq!(yard.states(&ids), [Pending, Pending, Cancelled]);
    assert_eq!(yard.end_of(ids[2]), EndReason::GroupReplaced);
    let none = GroupTerms { pending: PendingPolicy::Queue { max: 0 }, ..group("h") };
    let jobs = ["d", "e"].map(|name| grouped(job(name), none.clone()));
    let ids = yard.submit(jobs.to_vec());
    assert_eq!(yard.states(&ids), [Pending, Cancelled]);
}

#[test]
fn one_batch_of_commands_comes_to_the_same_as_one_after_the_other() {
    // The member in the group ends in the batch in which the next one comes: who waited enters,
    // and is not replaced.
    let latest = GroupTerms { pending: PendingPolicy::Latest, ..group("g") };
    let mut yard = Yard::new();
    let ids: Vec<_> = ["a", "b"]
        .into_iter()
        .map(|name| yard.submit_whole(whole(vec![job(name)], latest.clone()))[0])
        .collect();
    let runner = yard.register("r", slots(1));
    let given = yard.run(runner);
    let done = crate::model::JobResult::success();
    let replies = yard.batch([
        Command::Complete { lease: lease(&given), result: Box::new(done) },
        Yard::submission(whole(vec![job("c")], latest)),
    ]);
    assert!(replies.iter().all(Result::is_ok));
    assert_eq!(yard.states(&ids), [Completed, Pending]);
    assert!(yard.workload_of(ids[1]).in_group);
}

#[test]
fn a_waiting_member_that_is_cancelled_waits_no_longer() {
    let mut yard = Yard::new();
    let ids = yard
        .submit(["a", "b", "c"].into_iter().map(|name| grouped(job(name), group("g"))).collect());
    yard.cancel(ids[1]).unwrap();
    assert_eq!(group_reason(&yard, ids[2]), Some((1, 1)));
    yard.cancel(ids[0]).unwrap();
    assert!(yard.jobs[&ids[2]].in_group);
}

#[test]
fn a_delayed_job_asks_its_group_when_its_time_has_come() {
    let mut yard = Yard::new();
    let latest = GroupTerms { pending: PendingPolicy::Latest, ..group("g") };
    let not_before_ms = yard.now.wall_ms + 1_000;
    let later = PlannedJob { not_before_ms, ..grouped(job("later"), latest.clone()) };
    let ids =
        yard.submit(vec![grouped(job("in"), latest.clone()), later, grouped(job("now"), latest)]);
    assert_eq!(yard.states(&ids), [Pending; 3], "a delayed job waits for its time alone");
    yard.now.wall_ms += 1_000;
    yard.now.mono_ms += 1_000;
    // A load after its time came, and before a tick: it still comes as a newcomer.
    yard.restart();
    yard.batch([]);
    assert_eq!(yard.states(&ids), [Pending, Pending, Cancelled]);
    assert_eq!(group_reason(&yard, ids[1]), Some((1, 1)));
    assert_eq!(yard.jobs[&ids[1]].ready_at_ms, not_before_ms);
}

#[test]
fn a_job_whose_time_comes_as_its_workload_enters_is_offered_once() {
    let mut yard = Yard::new();
    let not_before_ms = yard.now.wall_ms + 1_000;
    let impatient = |name| {
        let terms = JobTerms { queue_timeout_ms: Some(1), ..JobTerms::default() };
        PlannedJob { terms, not_before_ms: not_before_ms - 1, ..job(name) }
    };
    // When `b` asks, which is first, there is room for two: the waiting workload enters.
    let two = GroupTerms { limit: 2, ..group("g") };
    let first = yard.submit_whole(whole(vec![impatient("a")], group("g")))[0];
    let later = PlannedJob { not_before_ms, ..job("later") };
    let second = yard.submit_whole(whole(vec![later], group("g")))[0];
    let early = PlannedJob { not_before_ms: not_before_ms - 1, ..grouped(job("b"), two) };
    yard.submit(vec![early]);
    yard.pass(1_000);
    assert_eq!(yard.state(first), JobStateKind::Failed);
    assert!(yard.workload_of(second).in_group);
    let runner = yard.register("r", slots(4));
    assert_eq!(yard.take(runner).len(), 2);
}

#[test]
fn a_retry_asks_the_group_again() {
    let mut yard = Yard::new();
    let first = yard.submit_whole(whole(vec![job("a")], group("g")))[0];
    yard.cancel(first).unwrap();
    let second = yard.submit_whole(whole(vec![job("b")], group("g")))[0];
    yard.retry(yard.jobs[&first].workload_id).unwrap();
    assert!(!yard.workload_of(first).in_group && yard.workload_of(second).in_group);
    let runner = yard.register("r", slots(2));
    assert_eq!(yard.take(runner).len(), 1);
    assert_eq!(yard.states(&[first, second]), [Pending, Claimed]);
}

#[test]
fn a_retry_that_the_group_refuses_is_answered_with_its_end() {
    let mut yard = Yard::new();
    let short = GroupTerms { pending: PendingPolicy::Queue { max: 0 }, ..group("g") };
    let first = yard.submit_whole(whole(vec![job("a")], short.clone()))[0];
    yard.cancel(first).unwrap();
    yard.submit_whole(whole(vec![job("b")], short));
    let reply = yard.retry(yard.jobs[&first].workload_id).unwrap();
    let crate::dispatch::Reply::Workload(row) = reply else { panic!("{reply:?}") };
    assert_eq!((row.state, row.run), (WorkloadState::Cancelled, 2));
    assert_eq!(yard.end_of(first), EndReason::GroupReplaced);
}

#[test]
fn people_see_who_is_in_a_group_and_the_first_of_those_that_wait() {
    let mut yard = Yard::new();
    for _ in 0..3 {
        yard.submit_whole(whole(vec![job("a")], group("busy")));
    }
    yard.submit(vec![grouped(job("b"), group("idle"))]);
    let (total, groups) = yard.scheduler.groups(None, 1, 1);
    let found = groups.iter().map(|it| (&*it.key.key, it.limit, it.waiting_len));
    assert_eq!((total, found.collect::<Vec<_>>()), (2, vec![("busy", 1, 2)]));
    assert_eq!(&*groups[0].holders[0].1, "build (workload 1)");
    assert_eq!(groups[0].waiting.len(), 1, "no more than was asked for");
    assert_eq!(&*groups[0].waiting[0].1, "build (workload 2)");
    assert_eq!(&*yard.scheduler.groups(None, 9, 1).1[1].holders[0].1, "b (job 4)");
    assert_eq!(yard.scheduler.groups(Some(TenantId(2)), 9, 9).0, 0);
}
