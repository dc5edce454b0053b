//! What new work is told, what is refused for it, and how far that came true.

use super::forecast::teach;
use super::intake::deliver;
use super::yard::*;
use crate::dispatch::{
    Command, Forecast, MaxWaitPolicy, Outlook, Promise, Refusal, Reply, TenantSettings, Unforeseen,
    Verdict,
};
use crate::model::{
    DeliveryState, JobTerms, PlannedJob, PlannedWorkload, RecordName, RunnerId, TenantId,
    WorkloadId,
};

fn within(name: &str, max_wait_ms: i64) -> PlannedJob {
    let terms = JobTerms { max_wait_ms: Some(max_wait_ms), ..JobTerms::default() };
    PlannedJob { terms, ..job(name) }
}

fn by(name: &str, deadline_ms: i64) -> PlannedJob {
    let terms = JobTerms { deadline_ms: Some(deadline_ms), ..JobTerms::default() };
    PlannedJob { terms, ..job(name) }
}

/// A runner of one slot that works on a job which is known to take 10 s.
fn busy(policy: MaxWaitPolicy) -> (Yard, RunnerId) {
    let mut yard = Yard::with(|settings| {
        let own = TenantSettings { max_wait_policy: policy, ..TenantSettings::default() };
        settings.tenants = [(TenantId::DEFAULT, own)].into();
    });
    let runner = yard.register("r", slots(1));
    let first = yard.submit(vec![job("first")])[0];
    teach(&mut yard, first);
    yard.run(runner);
    (yard, runner)
}

fn told(yard: &mut Yard, jobs: Vec<PlannedJob>) -> Vec<Outlook> {
    match yard.apply(Yard::submission(workload(jobs))) {
        Ok(Reply::Submitted { outlooks, .. }) => outlooks,
        other => panic!("{other:?}"),
    }
}

fn promises(outlooks: &[Outlook]) -> Vec<(&str, Promise)> {
    outlooks.iter().map(|outlook| (&*outlook.job, outlook.promise)).collect()
}

#[test]
fn a_submission_is_told_what_is_met_and_what_cannot_be() {
    let (mut yard, _) = busy(MaxWaitPolicy::Admit);
    let later = yard.now.wall_ms + 60_000;
    let jobs = vec![within("a", 15_000), job("b"), within("c", 15_000), by("d", later)];
    let outlooks = told(&mut yard, jobs);
    let all = [("a", Promise::Met), ("c", Promise::Cannot), ("d", Promise::Met)];
    assert_eq!(promises(&outlooks), all);
    // b, which is not urgent, comes last.
    let start = outlooks[1].forecast.start().unwrap();
    assert!((19_000..22_000).contains(&start.p50_ms), "after a: {start:?}");
    let end = outlooks[2].forecast.end().unwrap();
    assert!((38_000..43_000).contains(&end.p95_ms), "{end:?}");
    assert!(yard.records.iter().all(|record| record.name != RecordName::JobAtRisk));
}

#[test]
fn a_job_waits_for_what_it_needs_and_nobody_can_promise_what_is_unknown() {
    let (mut yard, _) = busy(MaxWaitPolicy::Admit);
    let soon = yard.now.wall_ms + 25_000;
    let needy = PlannedJob { needs: vec!["a".into()], ..by("b", soon) };
    let outlooks = told(&mut yard, vec![job("a"), needy]);
    assert_eq!(promises(&outlooks), [("b", Promise::Cannot)], "10 s each, and 10 s for what runs");
    let nobody =
        PlannedJob { requirements: labelled("x", "nobody").requirements, ..within("x", 9) };
    assert_eq!(promises(&told(&mut yard, vec![nobody])), [("x", Promise::Cannot)]);
}

#[test]
fn who_wants_it_refused_gets_a_refusal_with_the_figures_and_nothing_is_stored() {
    let (mut yard, _) = busy(MaxWaitPolicy::Refuse);
    let refusal = yard.refused(Yard::submission(workload(vec![job("a"), within("b", 5_000)])));
    let Refusal::CannotMeet(why) = &refusal else { panic!("{refusal}") };
    assert!(why.starts_with("job `b`: cannot: start p50 "), "{why}");
    assert_eq!(promises(&told(&mut yard, vec![within("c", 15_000)])), [("c", Promise::Met)]);
}

#[test]
fn who_joins_is_told_the_same_and_refused_for_the_same() {
    let (mut yard, _) = busy(MaxWaitPolicy::Refuse);
    let open = PlannedWorkload { open: true, ..workload(vec![job("a")]) };
    yard.submit_whole(open);
    let join = |jobs| Command::Join {
        workload_id: WorkloadId(2),
        jobs,
        idempotency_key: None,
        ended: Vec::new(),
    };
    let refusal = yard.refused(join(vec![within("b", 5_000)]));
    assert!(refusal.to_string().contains("job `b`: cannot: start p50 "), "{refusal}");
    let needy = PlannedJob { needs: vec!["a".into()], ..within("d", 50_000) };
    let reply = yard.apply(join(vec![within("c", 15_000), needy]));
    let Ok(Reply::Joined { jobs, outlooks, .. }) = reply else { panic!("{reply:?}") };
    let all = [("c", Promise::Met), ("d", Promise::AtRisk)];
    assert_eq!((jobs.len(), promises(&outlooks)), (2, all.to_vec()));
    assert_eq!(outlooks[1].forecast, Forecast::Unknown(Unforeseen::Jobs), "`a` has not ended");
}

#[test]
fn a_delivery_whose_work_is_refused_stays_and_says_why() {
    let (mut yard, _) = busy(MaxWaitPolicy::Refuse);
    let reply = yard.apply(deliver(1, vec![workload(vec![within("a", 5_000)])]));
    let Ok(Reply::Delivered { state, verdicts, .. }) = reply else { panic!("{reply:?}") };
    assert_eq!((state, verdicts[0].workload_id), (DeliveryState::Failed, None));
    assert!(verdicts[0].why.contains("not started: it cannot be met"), "{}", verdicts[0].why);
    assert_eq!(yard.workloads.len(), 1, "only the one before");
    // Where something else is started the delivery is dispatched.
    let both = vec![workload(vec![within("a", 5_000)]), workload(vec![job("b")])];
    let reply = yard.apply(deliver(2, both));
    let Ok(Reply::Delivered { state, verdicts, .. }) = reply else { panic!("{reply:?}") };
    assert_eq!(state, DeliveryState::Dispatched);
    let started: Vec<_> = verdicts.iter().map(|it| it.workload_id.is_some()).collect();
    assert_eq!(started, [false, true]);
}

#[test]
fn who_wants_a_warning_finds_it_in_the_history() {
    let (mut yard, _) = busy(MaxWaitPolicy::Warn);
    told(&mut yard, vec![within("a", 15_000), within("b", 5_000)]);
    let warned = yard.records.iter().filter(|record| record.name == RecordName::JobAtRisk);
    let warned: Vec<_> = warned.map(|record| &*record.detail).collect();
    assert_eq!(warned.len(), 1);
    assert!(warned[0].starts_with("job `b`: cannot: start p50"), "{warned:?}");
}

#[test]
fn what_was_said_is_compared_with_what_happened() {
    let (mut yard, runner) = busy(MaxWaitPolicy::Admit);
    let soon = yard.now.wall_ms + 25_000;
    told(&mut yard, vec![within("a", 15_000), by("b", soon)]);
    yard.pass(30_000);
    let running = yard.scheduler.job(crate::model::JobId(1)).unwrap().lease().copied().unwrap();
    let lease = crate::model::LeaseRef {
        token: running.token,
        nonce: running.nonce,
        runner_id: running.runner_id,
    };
    let result = Box::new(crate::model::JobResult::success());
    yard.apply(Command::Complete { lease, result }).unwrap();
    let a = yard.run(runner);
    let score = yard.scheduler.prediction_score();
    assert_eq!(score.starts, [0, 0, 1], "it was said to be three times as soon");
    assert_eq!((score.kept, score.missed), ([0; 3], [1, 0, 0]));
    yard.succeed(&a);
    let b = yard.run(runner);
    yard.succeed(&b);
    let score = yard.scheduler.prediction_score();
    assert_eq!(score.missed, [1, 0, 1], "`cannot` was said of b, and it was late");
    // The counts are kept over a restart.
    yard.scheduler.save_soft(yard.now);
    yard.batch([]);
    yard.restart();
    assert_eq!(yard.scheduler.prediction_score(), score);
}

#[test]
fn a_repeated_submission_is_told_nothing_anew() {
    let (mut yard, _) = busy(MaxWaitPolicy::Refuse);
    let command = Yard::submission(workload(vec![within("b", 5_000)]));
    let replies = yard.batch_with(vec![(command, Verdict::Duplicate("1".into()))]);
    let Ok(Reply::Submitted { duplicate: true, outlooks, .. }) = &replies[0] else {
        panic!("{replies:?}")
    };
    assert!(outlooks.is_empty());
}
