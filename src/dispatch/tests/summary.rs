//! All waiting jobs by what they wait for, and what a tenant is told of it and of single jobs.

use super::group::{group, grouped, whole};
use super::yard::{Yard, after, job, labelled, slots, urgent, with_label, workload};
use crate::dispatch::{
    Command, GateCount, PoolSettings, Reason, Seen, TenantSettings, WaitSummary,
};
use crate::model::{
    JobPriority, JobTerms, MatrixTerms, Pause, PauseScope, PlannedJob, PlannedWorkload, PoolId,
    ResourceNeed, RunnerRequirements, TenantId, WorkloadId, WorkloadState,
};

const T: TenantId = TenantId(2);
const POOL: PoolId = PoolId(7);

fn yard() -> Yard {
    Yard::with(|settings| {
        settings.catalogue.resources = [("db".into(), 1)].into();
        let tenant = TenantSettings { running_max: Some(1), ..TenantSettings::default() };
        settings.tenants.insert(T, tenant);
        settings.catalogue.tenants.insert("acme".into(), T);
        let own = PoolSettings {
            tenant_id: Some(TenantId::DEFAULT),
            balance_hold_ms: 0,
            ..PoolSettings::default()
        };
        settings.pools.insert(POOL, own);
        settings.catalogue.pools.insert("own".into(), POOL);
    })
}

fn all(yard: &Yard, limited_to: Option<TenantId>) -> WaitSummary {
    yard.scheduler.explain_all(yard.now, limited_to, 100)
}

/// `code key: jobs` of each gate.
fn gates(summary: &WaitSummary) -> Vec<String> {
    let said = |gate: &GateCount| {
        let key = gate.key.as_deref().unwrap_or("-");
        format!("{} {key}: {}", gate.code, gate.jobs)
    };
    let mut gates: Vec<_> = summary.gates.iter().map(said).collect();
    gates.sort_unstable();
    gates
}

fn database(name: &str) -> PlannedJob {
    let resources = vec![ResourceNeed { name: "db".into(), units: 1 }];
    let requirements = RunnerRequirements { resources, ..RunnerRequirements::default() };
    PlannedJob { requirements, ..job(name) }
}

#[test]
fn each_gate_before_the_lanes_has_its_count() {
    let mut yard = yard();
    let not_before_ms = yard.now.wall_ms + 1_000;
    yard.submit(vec![job("a"), after("b", &["a"]), PlannedJob { not_before_ms, ..job("later") }]);
    yard.submit_whole(whole(vec![job("in")], group("g")));
    yard.submit_whole(whole(vec![job("c"), after("d", &["c"])], group("g")));
    yard.submit(vec![grouped(job("e"), group("h")), grouped(job("f"), group("h"))]);
    let matrix = Some(MatrixTerms { key: "m".into(), max_parallel: Some(1), fail_fast: false });
    let of = |name: &str| PlannedJob {
        terms: JobTerms { matrix: matrix.clone(), ..JobTerms::default() },
        ..job(name)
    };
    yard.submit(vec![of("m1"), of("m2"), of("m3")]);
    let (scope, at_ms) = (PauseScope::Trigger("nightly".into()), yard.now.wall_ms);
    let (author, reason) = ("ada".into(), "why".into());
    yard.apply(Command::Pause(Pause { scope, author, reason, at_ms, breaker: None })).unwrap();
    let trigger = "nightly".to_owned();
    yard.submit_whole(PlannedWorkload { trigger, ..workload(vec![job("p")]) });

    let summary = all(&yard, None);
    assert_eq!((summary.waiting, summary.ready, summary.truncated), (12, 4, false));
    assert_eq!(
        gates(&summary),
        [
            "blocked_by -: 2",
            "delayed_until -: 1",
            "group_held g: 2",
            "group_held h: 1",
            "matrix_limit workload 5, matrix m: 2",
            "no_compatible_runner -: 4",
            "paused trigger nightly: 1",
        ]
    );
    let lane = &summary.lanes[0];
    assert_eq!((lane.jobs, lane.first_job_id.0, lane.level), (4, 1, JobPriority::Normal));
    assert_eq!(lane.first_queued_at_ms, yard.now.wall_ms);
    yard.restart();
    assert_eq!(gates(&all(&yard, None)), gates(&summary), "a load counts the same");
}

#[test]
fn a_lane_counts_at_everything_that_closes_it() {
    let mut yard = yard();
    let runner = yard.register("r", slots(9));
    yard.submit_as(T, vec![database("first"), job("t1"), job("t2")]);
    yard.take_started(runner);
    yard.submit(vec![database("d1"), database("d2"), labelled("x", "x")]);
    yard.submit(vec![urgent("up", JobPriority::High)]);
    let summary = all(&yard, None);
    assert_eq!(
        gates(&summary),
        [
            "awaiting_poll -: 5",
            "no_compatible_runner -: 1",
            "quota running_max: 2",
            "resource db: 2",
        ]
    );
    let quota = summary.gates.iter().find(|gate| gate.code == "quota").unwrap();
    assert_eq!(quota.tenant_id, Some(T));
    let lanes: Vec<_> = summary.lanes.iter().map(|lane| (lane.jobs, lane.level)).collect();
    use JobPriority::{High, Normal};
    assert_eq!(lanes, [(2, Normal), (2, Normal), (1, High), (1, Normal)]);
    // A list has an end, the counts do not feel it.
    let short = yard.scheduler.explain_all(yard.now, None, 1);
    assert_eq!((short.lanes.len(), short.gates.len(), short.ready), (1, 1, summary.ready));
}

#[test]
fn a_job_beside_its_lane_counts_in_it() {
    let mut yard = yard();
    let mut apart = job("b");
    apart.terms.placement.anti_affinity = Some("k".into());
    yard.submit(vec![job("a"), apart]);
    let summary = all(&yard, None);
    let lanes: Vec<_> = summary.lanes.iter().map(|lane| (lane.jobs, lane.first_job_id.0)).collect();
    assert_eq!((lanes, summary.ready), (vec![(2, 1)], 2));
}

#[test]
fn a_tenant_counts_its_own_jobs_alone() {
    let mut yard = yard();
    let not_before_ms = yard.now.wall_ms + 1_000;
    for tenant in [T, TenantId::DEFAULT] {
        let delayed = PlannedJob { not_before_ms, ..job("later") };
        let jobs = vec![job("a"), after("b", &["a"]), delayed, grouped(job("c"), group("g"))];
        yard.submit_as(tenant, jobs);
        yard.submit_as(tenant, vec![grouped(job("d"), group("g"))]);
    }
    let own = all(&yard, Some(T));
    assert_eq!((own.waiting, own.ready), (5, 2));
    assert_eq!(
        gates(&own),
        ["blocked_by -: 1", "delayed_until -: 1", "group_held g: 1", "no_compatible_runner -: 2"]
    );
    assert_eq!(all(&yard, None).waiting, 10);
    assert_eq!(all(&yard, Some(TenantId(99))).waiting, 0);
}

#[test]
fn what_is_too_much_for_one_question_is_cut_short_and_says_so() {
    let mut yard = Yard::with(|settings| settings.workload_jobs_max = 30_000);
    yard.settings.changes_per_command_max = 100_000;
    yard.restart();
    let jobs = (0..20_001).map(|at| match at {
        0 => job("0"),
        _ => after(&at.to_string(), &["0"]),
    });
    yard.submit_as(T, jobs.collect());
    let of_one = all(&yard, Some(T));
    assert!(of_one.truncated);
    assert_eq!(gates(&of_one), ["blocked_by -: 20000"]);
    // Who sees everything needs no look at each.
    let of_all = all(&yard, None);
    assert_eq!((of_all.truncated, of_all.waiting), (false, 20_001));
}

#[test]
fn an_explanation_names_nothing_of_another_tenant() {
    let mut yard = yard();
    let runner = yard.register("r", slots(1));
    let other = yard.submit(vec![database("other")])[0];
    yard.take_started(runner);
    let needs = WorkloadId(1);
    let terms = JobTerms { needs_workloads: vec![needs], ..JobTerms::default() };
    let ids = yard.submit_as(T, vec![database("mine"), PlannedJob { terms, ..job("waits") }]);
    let told = |id, limited_to| {
        let explained = yard.scheduler.explain_to(yard.now, id, limited_to).unwrap();
        explained.reasons
    };
    let resource = |reasons: Vec<Reason>| match reasons.into_iter().next().unwrap() {
        reason @ Reason::Resource { .. } => reason.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        resource(told(ids[0], Some(T))),
        "needs 1 of 1 units of db; held: 0 by another tenant's job"
    );
    assert_eq!(resource(told(ids[0], None)), "needs 1 of 1 units of db; held: 0 by job 1");
    assert_eq!(told(ids[1], Some(T))[0].to_string(), "blocked by another tenant's workload");
    let this = Seen::This((needs, "build".into(), WorkloadState::Running));
    assert_eq!(told(ids[1], None), [Reason::BlockedByWorkloads(vec![this])]);
    assert_eq!(told(other, Some(T)), [Reason::RunningOn(runner)], "access is asked elsewhere");
}

#[test]
fn the_nearest_runner_is_one_that_the_tenant_sees() {
    let mut yard = yard();
    let id = yard.submit_as(T, vec![labelled("a", "x")])[0];
    let mut hello = Yard::hello("secret", with_label("x"));
    hello.pool_id = POOL;
    yard.apply(Command::Register(Box::new(hello))).unwrap();
    let said = |limited_to| {
        let explained = yard.scheduler.explain_to(yard.now, id, limited_to).unwrap();
        explained.reasons[0].to_string()
    };
    assert_eq!(said(Some(T)), "no runner is registered");
    assert_eq!(
        said(None),
        "none of 1 runners can take it; the nearest, secret, belongs to another pool"
    );
}
