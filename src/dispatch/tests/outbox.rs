//! What is to be told to others outside, as rows of the batch in which it became true.

use super::yard::{Yard, job, slots, workload};
use crate::dispatch::{Command, Refusal};
use crate::model::{
    Change, OutboxId, OutboxPayload, OutboxProgress, OutboxState, OutboxTarget, OutboxTold,
    ReportOn, ReportPhase, ReportTo, WorkloadState, WorkloadTerms,
};

use ReportPhase::{Ended, Made, Started};

fn callback(url: &str, on: ReportOn) -> ReportTo {
    ReportTo { target: OutboxTarget::Callback { url: url.into() }, on }
}

/// What the last batch added: to whom, of which phase, run and state.
fn added(yard: &Yard) -> Vec<(String, ReportPhase, u32, WorkloadState)> {
    let told = yard.changes.iter().filter_map(|change| match change {
        Change::OutboxAdded(entry) => Some(&**entry),
        _ => None,
    });
    let row = |entry: &crate::model::OutboxEntry| match (&entry.target, &entry.payload) {
        (OutboxTarget::Callback { url }, OutboxPayload::Phase { phase, run, state }) => {
            (url.to_string(), *phase, *run, *state)
        }
        other => panic!("{other:?}"),
    };
    told.map(row).collect()
}

#[test]
fn each_phase_is_a_row_of_the_batch_in_which_it_became_true() {
    use WorkloadState::{Failed, Pending, Running};
    let mut yard = Yard::new();
    let report = vec![callback("all", ReportOn::All), callback("bad", ReportOn::Failures)];
    let terms = WorkloadTerms { report, ..WorkloadTerms::default() };
    let mut planned = workload(vec![job("a")]);
    planned.terms = terms;
    let submit =
        Command::Submit { workload: Box::new(planned), idempotency_key: None, ended: Vec::new() };
    yard.apply(submit).unwrap();
    assert_eq!(added(&yard), [("all".to_owned(), Made, 1, Pending)]);
    let runner = yard.register("r", slots(1));
    let given = yard.take_started(runner).remove(0);
    assert_eq!(added(&yard), [("all".to_owned(), Started, 1, Running)]);
    yard.fail(&given);
    let wanted = [("all".to_owned(), Ended, 1, Failed), ("bad".to_owned(), Ended, 1, Failed)];
    assert_eq!(added(&yard), wanted);
}

#[test]
fn without_terms_nothing_is_told() {
    let mut yard = Yard::new();
    yard.submit(vec![job("a")]);
    let runner = yard.register("r", slots(1));
    let given = yard.take_started(runner).remove(0);
    yard.succeed(&given);
    assert_eq!(added(&yard), []);
}

#[test]
fn progress_and_a_retry_are_written_and_remembered_by_nobody() {
    let mut yard = Yard::new();
    let progress = OutboxProgress {
        state: OutboxState::Sent,
        attempts: 1,
        next_at_ms: 5,
        unsure: false,
        reference: None,
        note: None,
    };
    let told = OutboxTold { id: OutboxId(7), attempts: 0, progress };
    let before = yard.scheduler.durable();
    yard.apply(Command::OutboxTold(Box::new(told.clone()))).unwrap();
    assert_eq!(yard.changes, [Change::OutboxTold(Box::new(told))]);
    yard.apply(Command::RetryOutbox(vec![OutboxId(7)])).unwrap();
    let retried = Change::OutboxRetried(vec![OutboxId(7)], yard.now.wall_ms);
    assert_eq!(yard.changes, [retried]);
    assert_eq!(yard.scheduler.durable(), before);
    let many = (0..20_000).map(OutboxId).collect();
    let refusal = yard.apply(Command::RetryOutbox(many)).unwrap_err();
    assert!(matches!(refusal, Refusal::TooMany { .. }));
}
