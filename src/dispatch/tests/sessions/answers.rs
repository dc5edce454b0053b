//! What is told of a session where it was started, as entries of the batch in which it was said.

use super::*;
use crate::model::{
    Change, OutboxPayload, OutboxTarget, ReplyOn, ReplyTo, SessionSays, WorkloadId,
};

fn answering(on: ReplyOn, units_max: u32) -> PlannedWorkload {
    let mut planned = planned(Some("k"), "hello");
    let target = OutboxTarget::Callback { url: "https://x.test".into() };
    if let Some(session) = &mut planned.session {
        session.reply_to = Some(ReplyTo { target, on, units_max });
    }
    planned
}

/// What the last batch added: what it is, the message's number, the part and the text.
fn told_now(yard: &Yard) -> Vec<(SessionSays, i64, (u32, u32), String)> {
    let added = yard.changes.iter().filter_map(|change| match change {
        Change::OutboxAdded(entry) => Some(&**entry),
        _ => None,
    });
    let row = |entry: &crate::model::OutboxEntry| match &entry.payload {
        OutboxPayload::Session { says, sequence, part, text } => {
            assert_eq!(entry.session_id, Some(SessionId(1)));
            (*says, *sequence, *part, text.to_string())
        }
        other => panic!("{other:?}"),
    };
    added.map(row).collect()
}

#[test]
fn what_is_said_is_told_in_the_batch_in_which_it_was_said_and_progress_is_not() {
    use MessageKind::{ApprovalRequest, Progress, Reply as Answer};
    use SessionSays::{ApprovalRequest as Asks, Ended, Reply, Started};
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    let id = id_of(yard.apply(open(answering(ReplyOn::All, 100))));
    assert_eq!(told_now(&yard), []);
    let work = yard.run(runner);
    assert_eq!(told_now(&yard), [(Started, 1, (1, 1), String::new())]);
    let says = [(Answer, "a"), (Progress, "hm"), (Answer, "b"), (ApprovalRequest, "may I?")];
    yard.apply(told(&work, 1, &says, None)).unwrap();
    let one = (1, 1);
    assert_eq!(
        told_now(&yard),
        [(Reply, 4, one, "a\n\nb".into()), (Asks, 5, one, "may I?".into())]
    );
    // What was heard before is told no second time.
    yard.apply(told(&work, 1, &says, None)).unwrap();
    assert_eq!(told_now(&yard), []);
    let reason = "enough".into();
    let end = SessionCommand::End { session_id: id, author: "ada".into(), reason };
    yard.apply(Command::Session(end)).unwrap();
    assert_eq!(told_now(&yard), [(Ended, 6, one, "ended by ada: enough".into())]);
}

#[test]
fn a_request_without_words_is_told_and_an_answer_without_any_is_not() {
    use MessageKind::{ApprovalRequest, Reply as Answer};
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    yard.apply(open(answering(ReplyOn::Replies, 100))).unwrap();
    let work = yard.run(runner);
    // What moves a cursor is no word.
    let says = [(Answer, "\u{1b}\u{7}"), (ApprovalRequest, " ")];
    yard.apply(told(&work, 1, &says, None)).unwrap();
    assert_eq!(told_now(&yard), [(SessionSays::ApprovalRequest, 3, (1, 1), String::new())]);
}

#[test]
fn a_long_text_is_told_in_numbered_parts_and_the_start_only_to_who_wants_it() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    yard.apply(open(answering(ReplyOn::Replies, 5))).unwrap();
    let work = yard.run(runner);
    assert_eq!(told_now(&yard), []);
    yard.apply(told(&work, 1, &[(MessageKind::Reply, "one\ntwo\nlonger")], None)).unwrap();
    let parts: Vec<_> =
        told_now(&yard).into_iter().map(|(_, _, part, text)| (part, text)).collect();
    let wanted = [((1, 4), "one"), ((2, 4), "two"), ((3, 4), "longe"), ((4, 4), "r")];
    assert_eq!(parts, wanted.map(|(part, text)| (part, text.to_owned())));
}

#[test]
fn an_agent_that_failed_is_a_note_and_a_session_that_rests_is_of_no_workload() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    let id = id_of(yard.apply(open(answering(ReplyOn::Replies, 500))));
    let work = yard.run(runner);
    yard.fail(&work);
    let notes = told_now(&yard);
    assert_eq!((notes.len(), notes[0].0), (1, SessionSays::Note), "{notes:?}");
    assert!(notes[0].3.starts_with("the agent failed (workload 1;"), "{notes:?}");
    let end = SessionCommand::End { session_id: id, author: "ada".into(), reason: "".into() };
    yard.apply(Command::Session(end)).unwrap();
    let of: Vec<Option<WorkloadId>> = yard
        .changes
        .iter()
        .filter_map(|change| match change {
            Change::OutboxAdded(entry) => Some(entry.workload_id),
            _ => None,
        })
        .collect();
    assert_eq!(of, [None]);
}
