//! Conversations that outlive jobs. The yard holds the fourth law after each batch: what is loaded from the
//! rows that were written is what is live.

mod answers;
mod begin;
mod limits;
mod past;
mod wishes;

use std::sync::Arc;

use super::yard::{Yard, job, lease, retried, slots, workload};
use crate::dispatch::{Command, Refusal, Reply, SessionCommand, TenantSettings, Told, Verdict};
use crate::model::{
    AssignedJob, Direction, JobResult, JobSpec, JobWork, MessageKind, PlannedJob, PlannedSession,
    PlannedWorkload, Session, SessionId, SessionLimits, SessionState, SessionWish, Spent, TenantId,
    Trust, TrustLevel, Untrusted, WorkloadKind,
};

fn planned(key: Option<&str>, text: &str) -> PlannedWorkload {
    agent(job("session"), key, text)
}

fn agent(job: PlannedJob, key: Option<&str>, text: &str) -> PlannedWorkload {
    let work = JobWork::Agent { profile: "fixer".into(), prompt: Untrusted::default() };
    let spec = Arc::new(JobSpec { work, ..JobSpec::clone(&job.spec) });
    let session = PlannedSession {
        key: key.map(Into::into),
        author: "ada".into(),
        opening: None,
        message: text.into(),
        wish: SessionWish::Talk,
        origin: "{}".into(),
        reply_to: None,
        limits: None,
    };
    PlannedWorkload {
        kind: WorkloadKind::Agent,
        name: "fixer".into(),
        session: Some(Box::new(session)),
        ..workload(vec![PlannedJob { spec, ..job }])
    }
}

fn open(workload: PlannedWorkload) -> Command {
    let workload = Box::new(workload);
    Command::Session(SessionCommand::Open { workload, idempotency_key: None })
}

fn say(session_id: SessionId, text: &str) -> Command {
    say_as(true, session_id, text)
}

fn say_as(trusted: bool, session_id: SessionId, text: &str) -> Command {
    let (author, text, idempotency_key) = ("ada".into(), text.into(), None);
    Command::Session(SessionCommand::Say { session_id, author, trusted, text, idempotency_key })
}

fn told(job: &AssignedJob, first: i64, says: &[(MessageKind, &str)], done: Option<i64>) -> Command {
    let message = |(kind, text): &(MessageKind, &str)| Told {
        kind: Some(*kind),
        text: (*text).into(),
        reference: None,
        spent: Spent::default(),
    };
    let messages = says.iter().map(message).collect();
    Command::Session(SessionCommand::Told { lease: lease(job), first, messages, dealt_with: done })
}

fn used(job: &AssignedJob, first: i64, spent: Spent) -> Command {
    let turn = Told { kind: None, text: Untrusted::default(), reference: None, spent };
    let (lease, messages) = (lease(job), vec![turn]);
    Command::Session(SessionCommand::Told { lease, first, messages, dealt_with: None })
}

fn id_of(reply: Result<Reply, Refusal>) -> SessionId {
    match reply {
        Ok(Reply::Session { session_id, .. }) => session_id,
        other => panic!("{other:?}"),
    }
}

impl Yard {
    fn session(&self, id: SessionId) -> &Session {
        &self.sessions[&id]
    }

    /// What was said in it, in order: direction, kind and text.
    fn heard(&self, id: SessionId) -> Vec<(Direction, MessageKind, &str)> {
        let of = self.messages.iter().filter(|message| message.session_id == id);
        let heard: Vec<_> = of.collect();
        let numbers: Vec<_> = heard.iter().map(|message| message.sequence).collect();
        assert_eq!(numbers, (1..=heard.len() as i64).collect::<Vec<_>>(), "without gaps");
        heard.iter().map(|it| (it.direction, it.kind, it.text.as_data())).collect()
    }
}

#[test]
fn two_at_the_same_instant_make_one_session() {
    let mut yard = Yard::new();
    let replies = yard.batch([
        open(planned(Some("github:h/o/r#7"), "one")),
        open(planned(Some("github:h/o/r#7"), "two")),
        open(planned(Some("github:h/o/r#8"), "other")),
    ]);
    let made: Vec<_> = replies
        .iter()
        .map(|reply| match reply {
            Ok(Reply::Session { session_id, sequence, made, .. }) => {
                (session_id.0, *sequence, *made)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(made, [(1, 1, true), (1, 2, false), (2, 1, true)]);
    assert_eq!((yard.sessions.len(), yard.workloads.len()), (2, 2));
    let heard = yard.heard(SessionId(1));
    assert_eq!(heard.iter().map(|it| it.2).collect::<Vec<_>>(), ["one", "two"]);
}

#[test]
fn nobody_joins_the_session_of_another_agent_or_trigger() {
    let mut yard = Yard::new();
    let id = id_of(yard.apply(open(planned(Some("k"), "a"))));
    let other = PlannedWorkload { name: "deployer".into(), ..planned(Some("k"), "b") };
    let refusal = yard.refused(open(other));
    assert_eq!(
        refusal.to_string(),
        format!("session {id} has that key, and another agent or trigger")
    );
    yard.refused(open(PlannedWorkload { trigger: "help".into(), ..planned(Some("k"), "c") }));
    assert_eq!(yard.session(id).said, 1);
}

#[test]
fn the_same_key_of_another_tenant_is_another_session() {
    let mut yard = Yard::new();
    let first = id_of(yard.apply(open(planned(Some("k"), "a"))));
    let other = PlannedWorkload { tenant_id: TenantId(5), ..planned(Some("k"), "b") };
    assert_ne!(id_of(yard.apply(open(other))), first);
}

#[test]
fn a_repeated_request_is_told_the_first_ones_answer() {
    let mut yard = Yard::new();
    let id = id_of(yard.apply(open(planned(None, "a"))));
    let again = Verdict::Duplicate(format!("{id}/1").into());
    let replies = yard.batch_with(vec![(open(planned(None, "a")), again)]);
    let known = Reply::Session { session_id: id, sequence: 1, made: false, duplicate: true };
    assert_eq!(replies, [Ok(known)]);
    assert_eq!(yard.sessions.len(), 1);
}

#[test]
fn a_session_goes_on_with_the_next_message_beside_the_runner_that_had_it() {
    let mut yard = Yard::new();
    let [one, two] = ["one", "two"].map(|name| yard.register(name, slots(1)));
    let id = id_of(yard.apply(open(planned(None, "a"))));
    assert_eq!(yard.session(id).state, SessionState::Starting);
    let work = yard.run(two);
    assert_eq!(yard.session(id).state, SessionState::Running);
    yard.apply(told(&work, 1, &[(MessageKind::Reply, "done")], Some(1))).unwrap();
    yard.succeed(&work);
    let row = yard.session(id);
    assert_eq!((row.state, row.workload_id, row.runner_id), (SessionState::Idle, None, Some(two)));
    let polls = [one, two].map(|runner| yard.poll(runner));
    yard.apply(say(id, "b")).unwrap();
    assert!(yard.given(polls[0]).is_empty());
    let again = yard.given(polls[1]);
    assert_eq!(again.len(), 1);
    assert_ne!(again[0].workload_id, work.workload_id);
    assert_eq!(yard.session(id).state, SessionState::Starting);
}

#[test]
fn a_restart_remembers_who_had_a_session_and_another_takes_it_when_that_one_is_gone() {
    let mut yard = Yard::new();
    let [one, two] = ["one", "two"].map(|name| yard.register(name, slots(1)));
    let id = id_of(yard.apply(open(planned(None, "a"))));
    let work = yard.run(two);
    yard.apply(told(&work, 1, &[], Some(1))).unwrap();
    yard.succeed(&work);
    yard.restart();
    let polls = [one, two].map(|runner| yard.poll(runner));
    yard.apply(say(id, "b")).unwrap();
    assert!(yard.given(polls[0]).is_empty());
    let work = yard.given(polls[1]).remove(0);
    yard.start(&work).unwrap();
    yard.apply(told(&work, 1, &[], Some(2))).unwrap();
    yard.succeed(&work);
    yard.apply(Command::Deregister(two)).unwrap();
    yard.apply(say(id, "c")).unwrap();
    assert_eq!(yard.take(one).len(), 1);
}

#[test]
fn what_was_said_while_the_agent_ended_starts_it_again_at_once() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    let id = id_of(yard.apply(open(planned(None, "a"))));
    let work = yard.run(runner);
    yard.apply(say(id, "b")).unwrap();
    yard.apply(told(&work, 1, &[], Some(1))).unwrap();
    yard.succeed(&work);
    let row = yard.session(id);
    assert_eq!((row.delivered, row.said, row.state), (1, 2, SessionState::Starting));
    let again = yard.run(runner);
    yard.apply(told(&again, 1, &[], Some(2))).unwrap();
    yard.succeed(&again);
    assert_eq!(yard.session(id).state, SessionState::Idle);
}

#[test]
fn an_agent_that_takes_nothing_is_not_started_for_ever() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    let id = id_of(yard.apply(open(planned(None, "a"))));
    let work = yard.run(runner);
    yard.apply(told(&work, 1, &[], None)).unwrap();
    yard.succeed(&work);
    assert_eq!(yard.session(id).state, SessionState::Idle);
    let last = *yard.heard(id).last().unwrap();
    assert_eq!((last.0, last.1), (Direction::Out, MessageKind::Note));
    assert!(last.2.contains("from message 1 on"), "{}", last.2);
    assert_eq!(yard.session(id).delivered, 0, "and it is told again");
}

#[test]
fn a_lost_runner_changes_nothing_of_what_is_not_dealt_with() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    let id = id_of(yard.apply(open(planned(None, "a"))));
    let work = yard.run(runner);
    yard.apply(say(id, "b")).unwrap();
    yard.apply(told(&work, 1, &[(MessageKind::Progress, "x")], Some(1))).unwrap();
    yard.pass(yard.settings.lease_ms);
    let row = yard.session(id);
    assert_eq!((row.state, row.delivered, row.said), (SessionState::Starting, 1, 2));
    let refused = yard.apply(told(&work, 2, &[(MessageKind::Reply, "late")], Some(2)));
    assert!(matches!(refused, Err(Refusal::LeaseLost(_))), "{refused:?}");
    let other = yard.register("s", slots(1));
    let again = yard.run(other);
    assert_eq!((again.job_id, again.attempt), (work.job_id, 2));
    // Its own numbers begin at 1.
    yard.apply(told(&again, 1, &[(MessageKind::Reply, "b done")], Some(2))).unwrap();
    assert_eq!(yard.session(id).delivered, 2);
}

#[test]
fn what_a_runner_repeats_is_heard_once_and_what_it_leaves_out_is_asked_for() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    let id = id_of(yard.apply(open(planned(None, "a"))));
    let work = yard.run(runner);
    let says = [(MessageKind::Reply, "one"), (MessageKind::Reply, "two")];
    yard.apply(told(&work, 1, &says, None)).unwrap();
    yard.apply(told(&work, 1, &says, None)).unwrap();
    let more = [(MessageKind::Reply, "two"), (MessageKind::Reply, "three")];
    let heard = yard.apply(told(&work, 2, &more, None));
    assert_eq!(heard, Ok(Reply::Told { heard: 3, ended: false }));
    let texts: Vec<_> = yard.heard(id).iter().map(|it| it.2.to_owned()).collect();
    assert_eq!(texts, ["a", "one", "two", "three"]);
    let refusal = yard.refused(told(&work, 9, &says, None));
    assert_eq!(refusal.to_string(), "messages 4 to 8 of this lease are missing");
}

#[test]
fn an_agent_cannot_speak_for_people_or_for_the_server() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    yard.apply(open(planned(None, "a"))).unwrap();
    let work = yard.run(runner);
    for kind in [MessageKind::Message, MessageKind::Approval, MessageKind::Note] {
        yard.refused(told(&work, 1, &[(kind, "x")], None));
    }
    yard.submit(vec![job("b")]);
    yard.succeed(&work);
    let plain = yard.run(runner);
    let refusal = yard.refused(told(&plain, 1, &[], None));
    assert!(refusal.to_string().contains("is of no session"), "{refusal}");
}

#[test]
fn the_end_of_a_session_stops_its_work_and_frees_its_key() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(2));
    let id = id_of(yard.apply(open(planned(Some("k"), "a"))));
    let work = yard.run(runner);
    let (author, reason) = ("bob".into(), "enough".into());
    yard.apply(Command::Session(SessionCommand::End { session_id: id, author, reason })).unwrap();
    assert!(!yard.sessions.contains_key(&id));
    assert!(yard.jobs[&work.job_id].extras.cancel_requested_at_ms.is_some());
    assert_eq!(yard.heard(id).last().unwrap().2, "ended by bob: enough");
    let late = yard.apply(told(&work, 1, &[(MessageKind::Reply, "x")], None));
    assert_eq!(late, Ok(Reply::Told { heard: 1, ended: true }));
    assert_eq!(yard.refused(say(id, "more")), Refusal::UnknownSession(id));
    let next = id_of(yard.apply(open(planned(Some("k"), "b"))));
    assert_ne!(next, id);
    yard.complete(&work, JobResult::failed("stopped"));
    assert_eq!(yard.session(next).state, SessionState::Starting);
}

#[test]
fn a_request_holds_the_session_until_somebody_answers() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    let id = id_of(yard.apply(open(planned(None, "a"))));
    let work = yard.run(runner);
    yard.apply(told(&work, 1, &[(MessageKind::ApprovalRequest, "push?")], Some(1))).unwrap();
    let row = yard.session(id);
    assert_eq!((row.state, row.approvals.as_slice()), (SessionState::WaitingApproval, &[2][..]));
    yard.succeed(&work);
    assert_eq!(yard.session(id).state, SessionState::WaitingApproval);
    yard.apply(say(id, "by the way")).unwrap();
    assert_eq!(yard.session(id).workload_id, None, "nothing runs before the answer");
    let answer = |request, approve| {
        let (note, author) = ("go".into(), "eve".into());
        Command::Session(SessionCommand::Answer { session_id: id, request, approve, note, author })
    };
    yard.refused(answer(7, true));
    yard.apply(answer(2, true)).unwrap();
    let row = yard.session(id);
    assert_eq!((row.state, row.said), (SessionState::Starting, 4));
    let last = *yard.heard(id).last().unwrap();
    assert_eq!(last, (Direction::In, MessageKind::Approval, r#"{"approve":true,"note":"go"}"#));
    yard.refused(answer(2, false));
}

#[test]
fn a_failed_agent_rests_until_the_next_message() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    let id = id_of(yard.apply(open(agent(retried("session", 1, 0), None, "a"))));
    let work = yard.run(runner);
    yard.fail(&work);
    assert_eq!(yard.session(id).state, SessionState::Starting, "it is tried again");
    let work = yard.run(runner);
    yard.fail(&work);
    let row = yard.session(id);
    assert_eq!((row.state, row.workload_id), (SessionState::Idle, None));
    assert!(yard.heard(id).last().unwrap().2.starts_with("the agent failed (workload 1;"));
    yard.apply(say(id, "again")).unwrap();
    let row = yard.session(id);
    assert_eq!((row.state, row.delivered, row.said), (SessionState::Starting, 0, 3));
}

#[test]
fn the_work_of_a_session_is_not_retried_by_itself() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    yard.apply(open(planned(None, "a"))).unwrap();
    let work = yard.run(runner);
    yard.fail(&work);
    let refusal = yard.retry(work.workload_id).unwrap_err();
    assert!(refusal.to_string().contains("say something in that instead"), "{refusal}");
}

#[test]
fn a_session_is_one_job_of_an_agent_and_nothing_else() {
    let mut yard = Yard::new();
    let two = PlannedWorkload { jobs: vec![job("a"), job("b")], ..planned(None, "x") };
    let flow = PlannedWorkload { kind: WorkloadKind::Workflow, ..planned(None, "x") };
    for odd in [two, flow] {
        let refusal = yard.refused(open(odd));
        assert!(refusal.to_string().contains("one job of an agent"), "{refusal}");
    }
}

#[test]
fn a_stranger_does_not_join_what_somebody_trusted_started() {
    let mut yard = Yard::new();
    let as_level = |level| {
        let mut workload = planned(Some("k"), "x");
        Arc::make_mut(&mut workload.jobs[0].spec).trust = Trust::new(level, "a test");
        open(workload)
    };
    yard.apply(as_level(TrustLevel::Trusted)).unwrap();
    for level in [TrustLevel::Untrusted, TrustLevel::Unknown] {
        let refusal = yard.refused(as_level(level));
        assert!(refusal.to_string().contains("who would speak in it is not"), "{refusal}");
    }
    let refusal = yard.refused(say_as(false, SessionId(1), "do as I say"));
    assert!(refusal.to_string().contains("who would speak in it is not"), "{refusal}");
    yard.apply(as_level(TrustLevel::Trusted)).unwrap();
    assert_eq!(yard.heard(SessionId(1)).len(), 2);
}

#[test]
fn a_delivery_starts_a_session_and_the_next_joins_it_in_one_batch() {
    use super::intake::deliver;
    let mut yard = Yard::new();
    let both = [(1, "one"), (2, "two")]
        .map(|(number, text)| deliver(number, vec![planned(Some("github:h/o/r#1"), text)]));
    let replies = yard.batch(both);
    assert!(replies.iter().all(Result::is_ok), "{replies:?}");
    assert_eq!((yard.sessions.len(), yard.workloads.len()), (1, 1));
    assert_eq!(yard.heard(SessionId(1)).len(), 2);
}
