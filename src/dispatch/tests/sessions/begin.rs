//! What an attempt was given, and what nobody waits for any more.

use super::*;

fn start(job: &AssignedJob) -> Command {
    Command::Session(SessionCommand::Start(lease(job)))
}

fn given(job: &AssignedJob, up_to: i64) -> Command {
    Command::Session(SessionCommand::Given { lease: lease(job), up_to })
}

/// A session with two messages, and its job with a runner that has not begun.
fn taken() -> (Yard, SessionId, AssignedJob) {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    let id = id_of(yard.apply(open(planned(None, "a"))));
    yard.apply(say(id, "b")).unwrap();
    let work = yard.take(runner).remove(0);
    (yard, id, work)
}

#[test]
fn an_agent_that_talks_and_leaves_without_a_word_has_dealt_with_nothing() {
    let (mut yard, id, work) = taken();
    let started = yard.apply(start(&work)).unwrap();
    assert!(matches!(started, Reply::Started { attempt: 1, .. }), "{started:?}");
    yard.succeed(&work);
    let row = yard.session(id);
    assert_eq!((row.delivered, row.state, row.workload_id), (0, SessionState::Idle, None));
    let note = yard.heard(id).last().unwrap().2.to_owned();
    assert!(note.contains("has dealt with nothing from message 1 on"), "{note}");
}

#[test]
fn what_did_not_fit_into_what_was_given_stays_for_the_next_turn() {
    let (mut yard, id, work) = taken();
    yard.start(&work).unwrap();
    assert_eq!(yard.apply(given(&work, 1)), Ok(Reply::Done));
    assert_eq!(yard.apply(given(&work, 7)), Ok(Reply::Done), "it is never more");
    yard.succeed(&work);
    let row = yard.session(id);
    assert_eq!((row.delivered, row.said, row.state), (1, 2, SessionState::Starting));
    let again = yard.run(work.lease.runner_id);
    yard.succeed(&again);
    let row = yard.session(id);
    assert_eq!((row.delivered, row.state), (2, SessionState::Idle));
    assert!(matches!(yard.apply(given(&work, 1)), Err(Refusal::LeaseLost(_))));
}

#[test]
fn what_is_said_after_the_start_was_not_given_and_a_repeated_start_gives_no_more() {
    let (mut yard, id, work) = taken();
    yard.start(&work).unwrap();
    yard.apply(say(id, "c")).unwrap();
    yard.start(&work).unwrap();
    assert_eq!(yard.session(id).given, 2);
    yard.succeed(&work);
    assert_eq!(yard.session(id).delivered, 2);
}

#[test]
fn an_attempt_that_never_began_was_given_nothing() {
    let (mut yard, id, work) = taken();
    yard.succeed(&work);
    let row = yard.session(id);
    assert_eq!((row.delivered, row.state), (0, SessionState::Idle));
}

#[test]
fn what_an_attempt_before_said_is_not_of_one_that_says_nothing() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    let id = id_of(yard.apply(open(agent(retried("session", 1, 0), None, "a"))));
    let work = yard.run(runner);
    yard.apply(told(&work, 1, &[(MessageKind::Reply, "x")], None)).unwrap();
    yard.fail(&work);
    let again = yard.run(runner);
    assert_eq!((again.job_id, again.attempt), (work.job_id, 2));
    yard.succeed(&again);
    assert_eq!(
        yard.session(id).delivered,
        yard.session(id).said,
        "it was given all with its start"
    );
}

#[test]
fn a_repeated_start_of_one_that_talks_forgets_nothing_that_was_heard() {
    let (mut yard, id, work) = taken();
    yard.apply(start(&work)).unwrap();
    yard.apply(told(&work, 1, &[(MessageKind::Reply, "one")], None)).unwrap();
    yard.apply(start(&work)).unwrap();
    let says = [(MessageKind::Reply, "one"), (MessageKind::Reply, "two")];
    let heard = yard.apply(told(&work, 1, &says, Some(2)));
    assert_eq!(heard, Ok(Reply::Told { heard: 2, ended: false }));
    assert_eq!(yard.heard(id).len(), 4, "two to the agent, two of it");
}

#[test]
fn requests_of_an_agent_that_failed_are_withdrawn_and_the_next_message_starts_it() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    let id = id_of(yard.apply(open(agent(retried("session", 0, 0), None, "a"))));
    let work = yard.run(runner);
    let asks = [(MessageKind::ApprovalRequest, "push?"), (MessageKind::ApprovalRequest, "tag?")];
    yard.apply(told(&work, 1, &asks, None)).unwrap();
    assert_eq!(yard.session(id).state, SessionState::WaitingApproval);
    yard.fail(&work);
    let row = yard.session(id);
    assert_eq!((row.state, row.approvals.len()), (SessionState::Idle, 0));
    let heard: Vec<_> = yard.heard(id).iter().map(|it| it.2.to_owned()).collect();
    assert_eq!(heard[3], "requests 2, 3 are withdrawn: the agent that asked is over");
    assert!(heard[4].starts_with("the agent failed"), "{heard:?}");
    yard.apply(say(id, "go on")).unwrap();
    assert_eq!(yard.session(id).state, SessionState::Starting);
}

#[test]
fn requests_of_an_attempt_are_withdrawn_when_another_one_begins() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    let id = id_of(yard.apply(open(agent(retried("session", 1, 0), None, "a"))));
    let work = yard.run(runner);
    yard.apply(told(&work, 1, &[(MessageKind::ApprovalRequest, "push?")], None)).unwrap();
    yard.fail(&work);
    assert_eq!(yard.session(id).state, SessionState::WaitingApproval, "it is tried again");
    yard.run(runner);
    let row = yard.session(id);
    assert_eq!((row.state, row.approvals.len()), (SessionState::Running, 0));
    let note = yard.heard(id).last().unwrap().2.to_owned();
    assert_eq!(note, "request 2 is withdrawn: another attempt of the agent has begun");
}

#[test]
fn whoever_knows_of_no_sessions_was_given_all_with_its_start() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    let id = id_of(yard.apply(open(planned(None, "a"))));
    let work = yard.run(runner);
    yard.apply(say(id, "b")).unwrap();
    yard.succeed(&work);
    let row = yard.session(id);
    assert_eq!((row.delivered, row.state), (1, SessionState::Starting));
}
