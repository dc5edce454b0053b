//! Executors: where jobs go when one is away, what is remembered of a backend, and what people are told.

use super::explain::said;
use super::yard::{Yard, job, lease, names, retried, slots};
use crate::dispatch::{Absence, Command, ExecutorState};
use crate::executor::router::{RoutingConfig, RoutingRule};
use crate::model::{JobStateKind, RecordName, RequeueReason, RunnerCapabilities};

/// Jobs whose names begin with `a` go to `first`, then to `second`; all others to runners.
fn yard() -> Yard {
    let both = RoutingRule::new("**::a*", "first").or("second");
    let one = RoutingRule::new("**::only*", "first");
    let router = RoutingConfig::default().with_rule(both).with_rule(one).compile();
    Yard::with(|settings| {
        settings.router = router.unwrap();
        settings.executors = ["first".into(), "second".into()].into();
    })
}

fn executor(name: &str) -> RunnerCapabilities {
    RunnerCapabilities::of_executor(name, 10)
}

fn stands(yard: &mut Yard, name: &str, state: ExecutorState) {
    let executor = name.into();
    yard.apply(Command::ExecutorStands { executor, state }).unwrap();
}

fn away(yard: &Yard) -> ExecutorState {
    let until_ms = yard.now.wall_ms + 1_000;
    ExecutorState::Away(Absence { until_ms, why: "connection refused".into() })
}

#[test]
fn an_executor_gets_the_jobs_that_its_routes_send_whatever_they_require() {
    let mut yard = yard();
    let first = yard.register("first", executor("first"));
    let runner = yard.register("runner", slots(10));
    let mut big = job("a-big");
    big.requirements.labels = vec!["gpu".into()];
    big.requirements.min_memory_gb = 900;
    yard.submit(vec![big, job("a"), job("build")]);
    assert_eq!(names(&yard.take(runner)), ["build"]);
    assert_eq!(names(&yard.take(first)), ["a-big", "a"]);
    yard.restart();
}

#[test]
fn a_job_that_its_executor_gives_back_because_it_is_away_goes_to_the_next_one_in_the_same_batch() {
    let mut yard = yard();
    let [first, second] = ["first", "second"].map(|name| yard.register(name, executor(name)));
    let id = yard.submit(vec![job("a")])[0];
    let waits = yard.poll(second);
    let given = yard.take_started(first).remove(0);
    let release = Command::Release {
        lease: lease(&given),
        reason: RequeueReason::ExecutorUnavailable,
        why: Some("connection refused".into()),
    };
    let state = away(&yard);
    yard.batch([Command::ExecutorStands { executor: "first".into(), state }, release]);
    let again = yard.given(waits).remove(0);
    assert_eq!((again.job_id, again.attempt), (id, 2));
    let ended = &yard.attempts[0];
    assert_eq!(ended.requeue_reason, Some(RequeueReason::ExecutorUnavailable));
    assert_eq!(ended.error.as_deref(), Some("connection refused"));
    assert_eq!(yard.jobs[&id].extras.infra_failures, 0, "the work is not to blame");
    let told = yard.records.iter().find(|it| it.name == RecordName::ExecutorChanged).unwrap();
    assert_eq!(&*told.detail, "first is away: connection refused");
    yard.restart();
}

/// Else the job would be given to a poll that nobody waits for any more, and that would be one attempt more.
#[test]
fn who_goes_away_is_given_nothing_by_what_it_asked_before() {
    let mut yard = yard();
    let first = yard.register("first", executor("first"));
    let id = yard.submit(vec![job("only")])[0];
    let given = yard.take_started(first).remove(0);
    let waits = yard.poll(first);
    let release = Command::Release {
        lease: lease(&given),
        reason: RequeueReason::ExecutorUnavailable,
        why: None,
    };
    let state = away(&yard);
    yard.batch([Command::ExecutorStands { executor: "first".into(), state }, release]);
    assert_eq!(yard.answer(waits).map(|answer| answer.jobs), Some(vec![]));
    assert_eq!((yard.state(id), yard.jobs[&id].attempt), (JobStateKind::Pending, 1));
    stands(&mut yard, "first", ExecutorState::There);
    assert_eq!(names(&yard.take(first)), ["only"]);
}

#[test]
fn it_gets_one_job_while_it_is_tried_and_all_when_it_is_back() {
    let mut yard = yard();
    let [first, second] = ["first", "second"].map(|name| yard.register(name, executor(name)));
    let state = away(&yard);
    stands(&mut yard, "first", state);
    yard.submit((1..=4).map(|at| job(&format!("a{at}"))).collect());
    let waits = yard.poll(first);
    assert!(yard.given(waits).is_empty(), "nothing goes to one that is away, even if it asks");
    yard.apply(Command::PollGone(waits)).unwrap();
    stands(&mut yard, "first", ExecutorState::Trying);
    let mut one = yard.poll_of(first);
    one.jobs_max = Some(1);
    let tried = yard.poll_with(one);
    let given = yard.given(tried);
    assert_eq!(given.len(), 1);
    yard.start(&given[0]).unwrap();
    assert_eq!(yard.take_started(second).len(), 3, "the others do not wait for what becomes of it");
    stands(&mut yard, "first", ExecutorState::There);
    yard.submit(vec![job("a5")]);
    let poll = yard.poll(second);
    assert_eq!(names(&yard.take(first)), ["a5"]);
    assert!(yard.given(poll).is_empty());
}

#[test]
fn work_for_one_executor_alone_waits_for_it_and_says_so() {
    let mut yard = yard();
    yard.register("first", executor("first"));
    yard.register("runner", slots(10));
    let id = yard.submit(vec![job("only")])[0];
    let state = away(&yard);
    stands(&mut yard, "first", state);
    assert_eq!(said(&yard, id)[0], "executor first is unavailable: connection refused");
    assert_eq!(yard.state(id), JobStateKind::Pending);
}

#[test]
fn work_whose_executor_is_not_configured_any_more_says_so_and_stays() {
    let mut yard = yard();
    let id = yard.submit(vec![job("only")])[0];
    yard.settings.executors.clear();
    yard.restart();
    let said = said(&yard, id);
    assert!(said[0].starts_with("no executor first is configured"), "{said:?}");
    yard.settings.executors.insert("first".into());
    yard.restart();
    let first = yard.register("first", executor("first"));
    assert_eq!(names(&yard.take(first)), ["only"]);
}

#[test]
fn what_a_backend_calls_an_attempt_is_kept_until_it_ends() {
    let mut yard = yard();
    let first = yard.register("first", executor("first"));
    let id = yard.submit(vec![retried("a", 1, 0)])[0];
    let given = yard.take_started(first).remove(0);
    let refer = |name: &str| Command::Refer { lease: lease(&given), external_ref: name.into() };
    yard.apply(refer("pod/7")).unwrap();
    yard.apply(refer("pod/7")).unwrap();
    assert!(yard.changes.is_empty(), "said twice, written once");
    yard.restart();
    assert_eq!(yard.jobs[&id].extras.external_ref.as_deref(), Some("pod/7"));
    yard.apply(refer(&"x".repeat(2_000))).unwrap_err();
    yard.fail(&given);
    assert_eq!(yard.jobs[&id].extras.external_ref, None);
    yard.apply(refer("pod/8")).unwrap_err();
}

#[test]
fn a_runner_cannot_become_an_executor() {
    let mut yard = yard();
    let runner = yard.register("runner", slots(10));
    yard.submit(vec![job("a")]);
    let mut poll = yard.poll_of(runner);
    poll.capabilities = Some(Box::new(executor("first")));
    let poll = yard.poll_with(poll);
    assert!(yard.given(poll).is_empty());
}

/// What is lost with a server that ends is no fault of the backend, which has its breaker.
#[test]
fn an_executor_is_not_left_alone_because_attempts_were_lost() {
    let mut yard = yard();
    yard.settings.infra_retries_max = 0;
    yard.restart();
    let first = yard.register("first", executor("first"));
    for _ in 0..20 {
        yard.submit(vec![job("only")]);
        assert_eq!(names(&yard.take(first)), ["only"]);
        yard.pass(yard.settings.ack_window_ms);
    }
    assert!(yard.records.iter().all(|record| record.name != RecordName::RunnerHealth));
}
