//! New work: deliveries, submissions, keys, and the order in which they come out.

use bytes::Bytes;

use super::yard::{Yard, after, job, labelled, names, slots, urgent, workload};
use crate::dispatch::{Command, Deliver, Refusal, Reply, Verdict};
use crate::model::{
    Body, Change, Delivery, DeliveryId, DeliveryState, JobPriority, JobStateKind, KeyScope, Plan,
    PlannedWorkload, RecordName, TenantId, TriggerVerdict, Trust, UniqueKey, WorkloadId,
};

pub(crate) fn deliver(number: u128, workloads: Vec<PlannedWorkload>) -> Command {
    let verdict = |it: &PlannedWorkload| TriggerVerdict {
        trigger: it.trigger.clone(),
        matched: true,
        why: "it is a push".into(),
        workload_id: None,
    };
    let delivery = Delivery {
        id: DeliveryId(uuid::Uuid::from_u128(number)),
        source: "github".into(),
        external_id: Some("guid".into()),
        event_kind: "push".into(),
        action: None,
        state: DeliveryState::Dispatched,
        reason: None,
        verdicts: workloads.iter().map(verdict).collect(),
        trust: Trust::default(),
        tenant_id: TenantId::DEFAULT,
        replay_of: None,
        attempts: 1,
        received_at_ms: 1,
        headers: "{}".into(),
        event: None,
        traceparent: None,
        approval: None,
        body: Body::Inline(Bytes::from_static(b"{}")),
    };
    let key = Some(UniqueKey { scope: KeyScope::Delivery, key: "github guid".into() });
    Command::Deliver(Box::new(Deliver {
        delivery,
        plan: Plan { workloads, ..Plan::default() },
        key,
        ended: Vec::new(),
        adopted: false,
        about: None,
    }))
}

#[test]
fn a_delivery_starts_its_workloads_and_each_verdict_names_its_own() {
    let mut yard = Yard::new();
    let two = vec![workload(vec![job("a")]), workload(vec![job("b"), after("c", &["b"])])];
    let reply = yard.apply(deliver(1, two)).unwrap();
    let Reply::Delivered { duplicate: false, state, verdicts, .. } = reply else {
        panic!("{reply:?}")
    };
    assert_eq!(state, DeliveryState::Dispatched);
    let started: Vec<_> = verdicts.iter().filter_map(|it| it.workload_id).collect();
    assert_eq!(started, [WorkloadId(1), WorkloadId(2)]);
    let stored = yard.changes.iter().find_map(|change| match change {
        Change::DeliveryInserted(delivery) => Some(delivery.verdicts.clone()),
        _ => None,
    });
    assert_eq!(stored, Some(verdicts), "the row says the same");
    assert!(yard.workloads.values().all(|row| row.delivery_id.is_some()));
    assert_eq!(yard.scheduler.queue_metrics().total(), 3);
}

#[test]
fn an_adopted_delivery_starts_the_same_and_its_row_is_not_written_twice() {
    let mut yard = Yard::new();
    let Command::Deliver(mut command) = deliver(1, vec![workload(vec![job("a")])]) else {
        panic!("a delivery")
    };
    command.adopted = true;
    let reply = yard.apply(Command::Deliver(command)).unwrap();
    let Reply::Delivered { verdicts, .. } = reply else { panic!("{reply:?}") };
    let decided: Vec<_> = yard
        .changes
        .iter()
        .filter_map(|change| match change {
            Change::DeliveryDecided(delivery) => Some(delivery.verdicts.clone()),
            Change::DeliveryInserted(delivery) => panic!("{delivery:?}"),
            _ => None,
        })
        .collect();
    assert_eq!(decided, [verdicts]);
    assert_eq!(yard.scheduler.queue_metrics().total(), 1);
}

#[test]
fn a_duplicate_delivery_is_told_of_the_first_and_starts_nothing() {
    let mut yard = Yard::new();
    let first = DeliveryId(uuid::Uuid::from_u128(1));
    let verdict = Verdict::Duplicate(first.to_string().into());
    let command = deliver(2, vec![workload(vec![job("a")])]);
    let reply = yard.batch_with(vec![(command, verdict)]).remove(0).unwrap();
    let Reply::Delivered { delivery_id, duplicate, .. } = reply else { panic!("{reply:?}") };
    assert_eq!((delivery_id, duplicate), (first, true));
    assert_eq!(yard.changes, []);
}

#[test]
fn a_delivery_that_finds_its_own_id_was_committed_after_all_and_is_no_duplicate() {
    let mut yard = Yard::new();
    let own = DeliveryId(uuid::Uuid::from_u128(1)).to_string();
    let command = deliver(1, vec![workload(vec![job("a")])]);
    let reply = yard.batch_with(vec![(command, Verdict::Duplicate(own.into()))]).remove(0);
    assert!(matches!(reply, Ok(Reply::Delivered { duplicate: false, .. })), "{reply:?}");
    assert_eq!(yard.changes, []);
}

#[test]
fn a_plan_over_a_limit_is_stored_as_a_failed_delivery_and_starts_nothing() {
    let mut yard = Yard::with(|settings| settings.workload_jobs_max = 1);
    let plan = vec![workload(vec![job("good")]), workload(vec![job("a"), job("b")])];
    let reply = yard.apply(deliver(1, plan));
    let Ok(Reply::Delivered { state: DeliveryState::Failed, .. }) = reply else {
        panic!("{reply:?}")
    };
    let [Change::DeliveryInserted(row)] = &yard.changes[..] else { panic!("{:?}", yard.changes) };
    assert_eq!(row.reason.as_deref(), Some("2 jobs in one workload, workload_jobs_max is 1"));
    assert!(yard.scheduler.durable().workloads.is_empty());
}

#[test]
fn a_cycle_is_refused_with_its_path() {
    let cycle = workload(vec![after("a", &["b"]), after("b", &["a"])]);
    let command = Yard::submission(cycle);
    let refusal = Yard::new().refused(command);
    assert_eq!(refusal.to_string(), "jobs wait for each other: a -> b -> a");
}

#[test]
fn a_second_submission_with_a_key_is_answered_with_the_first() {
    let mut yard = Yard::new();
    let submit = || Command::Submit {
        workload: Box::new(workload(vec![job("a")])),
        idempotency_key: Some("once".into()),
        ended: Vec::new(),
    };
    let first = yard.apply(submit());
    assert_eq!(
        first,
        Ok(Reply::Submitted { workload_id: WorkloadId(1), duplicate: false, outlooks: vec![] })
    );
    let key = UniqueKey { scope: KeyScope::Submission, key: "once".into() };
    assert!(yard.changes.contains(&Change::KeyAnswered(key, "1".into())));
    let again = yard.batch_with(vec![(submit(), Verdict::Duplicate("1".into()))]).remove(0);
    assert_eq!(
        again,
        Ok(Reply::Submitted { workload_id: WorkloadId(1), duplicate: true, outlooks: vec![] })
    );
    assert_eq!(yard.changes, []);
}

#[test]
fn a_key_whose_first_use_was_refused_can_be_used_again() {
    // The refused one shared its batch with others, so that its claim was committed with them; no
    // workload answered it.
    let mut yard = Yard::new();
    let command = Command::Submit {
        workload: Box::new(workload(vec![job("a")])),
        idempotency_key: Some("once".into()),
        ended: Vec::new(),
    };
    let reply = yard.batch_with(vec![(command, Verdict::Duplicate("".into()))]).remove(0);
    assert_eq!(
        reply,
        Ok(Reply::Submitted { workload_id: WorkloadId(1), duplicate: false, outlooks: vec![] })
    );
    assert!(yard.changes.iter().any(|change| matches!(change, Change::KeyAnswered(..))));
}

#[test]
fn jobs_come_out_by_priority_and_in_the_order_of_arrival_within_one() {
    let mut yard = Yard::new();
    let levels = [JobPriority::Low, JobPriority::Normal, JobPriority::Critical];
    for round in ["1", "2"] {
        for level in levels {
            yard.submit(vec![urgent(&format!("{level}-{round}"), level)]);
            yard.pass(1);
        }
    }
    let runner = yard.register("r", slots(9));
    assert_eq!(
        names(&yard.take(runner)),
        ["critical-1", "critical-2", "normal-1", "normal-2", "low-1", "low-2"]
    );
}

#[test]
fn a_blocked_job_waits_behind_its_needs_whatever_its_priority() {
    let mut yard = Yard::new();
    let last = JobPriority::Background;
    let deploy = crate::model::PlannedJob {
        priority: JobPriority::Critical,
        ..after("deploy", &["build", "test"])
    };
    let ids = yard.submit(vec![urgent("build", last), urgent("test", last), deploy]);
    assert_eq!(yard.state(ids[2]), JobStateKind::Blocked);
    let runner = yard.register("r", slots(1));
    for name in ["build", "test", "deploy"] {
        let job = yard.run(runner);
        assert_eq!(&*job.name, name);
        yard.succeed(&job);
    }
    let queued = yard.records.iter().filter(|it| it.name == RecordName::JobQueued);
    assert_eq!(queued.filter_map(|it| it.job_id).collect::<Vec<_>>(), ids);
}

#[test]
fn jobs_of_equal_requirements_share_a_class() {
    let mut yard = Yard::new();
    let ids = yard.submit(vec![labelled("a", "x"), labelled("b", "y"), labelled("c", "x")]);
    let class = |at: usize| yard.jobs[&ids[at]].class_id;
    assert_eq!(class(0), class(2));
    assert_ne!(class(0), class(1));
    assert_eq!(yard.classes.len(), 2);
}

#[test]
fn a_key_of_which_nobody_knows_what_it_stands_for_is_refused() {
    let mut yard = Yard::new();
    let command = deliver(1, Vec::new());
    let reply = yard.batch_with(vec![(command, Verdict::Duplicate("?".into()))]).remove(0);
    assert!(matches!(reply, Err(Refusal::Invalid(_))), "{reply:?}");
}
