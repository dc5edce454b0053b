//! Events about issues and in chats, and what they say.

use super::*;
use crate::event::{Actor, Repository, Subject};
use crate::model::ChatPlace;

fn comment(action: Option<&str>, body: &str) -> Event {
    let subject = Subject {
        kind: SubjectKind::Issue,
        number: Some(7),
        url: Some("https://forge.test:8443/o/r/issues/7".into()),
        body: Some(body.into()),
        ..Subject::default()
    };
    let actor =
        Actor { login: "ada".into(), account_type: Some("User".into()), ..Actor::default() };
    let json = serde_json::json!({ "source": "forge", "kind": "issue_comment" });
    Event {
        action: action.map(Into::into),
        repository: Some(Repository { full_name: "o/r".into(), ..Repository::default() }),
        actor: Some(actor),
        subject,
        ..serde_json::from_value(json).unwrap()
    }
}

fn session(command: &str) -> SessionStart {
    SessionStart { command: Some(CallWord::parse(command).unwrap()), follow: false }
}

#[test]
fn only_what_is_written_anew_can_call() {
    let session = session("/agent");
    let call = |event: &Event| format!("{:?}", session.call(event));
    assert_eq!(call(&comment(Some("created"), "/agent go")), "Ok(Words(\"go\"))");
    assert_eq!(call(&comment(None, "/agent go")), "Ok(Words(\"go\"))");
    assert_eq!(call(&comment(Some("created"), "/agent")), "Ok(Prompt)");
    assert!(call(&comment(Some("edited"), "/agent go")).contains("not where it is changed"));
    assert!(call(&comment(Some("created"), "hello")).contains("it does not say `/agent`"));
    assert_eq!(call(&comment(Some("labeled"), "hello")), "Ok(Prompt)");
}

#[test]
fn bots_and_events_about_nothing_start_no_session() {
    let mut event = comment(Some("created"), "/agent go");
    event.actor.as_mut().unwrap().account_type = Some("Bot".into());
    assert_eq!(session("/agent").call(&event), Err("bots start no sessions".into()));
    let mut event = comment(Some("created"), "/agent go");
    event.subject.number = None;
    assert!(session("/agent").call(&event).is_err());
}

#[test]
fn a_comment_of_our_own_says_nothing_whoever_wrote_it() {
    let own = "<!-- dispatchyard 17 4 -->\n/agent go";
    for session in [session("/agent"), SessionStart { command: None, follow: true }] {
        let said = session.call(&comment(Some("created"), own)).unwrap_err();
        assert_eq!(said, "it is a comment of our own");
    }
}

#[test]
fn a_mention_behind_the_words_means_all_of_them() {
    let event = comment(Some("created"), "fix this @bot");
    assert_eq!(session("@bot").call(&event), Ok(Call::Words("fix this @bot")));
}

#[test]
fn an_issue_and_a_pull_request_of_one_number_have_two_keys() {
    let mut event = comment(None, "");
    assert_eq!(subject_key(&event).unwrap(), "forge:forge.test:8443/o/r#7");
    event.subject.kind = SubjectKind::PullRequest;
    event.subject.url = None;
    assert_eq!(subject_key(&event).unwrap(), "forge:o/r!7");
}

/// A message at a place in a chat.
fn message(address: Address, text: &str) -> Event {
    let chat = ChatPlace::new(Some("T1".into()), Some("C1".into()), Some("1.2".into()));
    let subject = Subject { body: Some(text.into()), ..Subject::default() };
    let kind = EventKind::Other("message".into());
    Event { kind, subject, repository: None, chat, address, ..comment(None, "") }
}

fn says(session: &SessionStart, event: &Event) -> String {
    session.call(event).map_or_else(|why| format!("no: {why}"), |call| format!("{call:?}"))
}

#[test]
fn in_a_chat_the_message_is_what_is_said() {
    let every = SessionStart { command: None, follow: false };
    let us = Address::Us { words_at: 5 };
    let table = [
        (Address::Everybody, "fix it", "Words(\"fix it\")"),
        (us, "<@U1> fix it", "Words(\"fix it\")"),
        (us, "<@U1>", "Prompt"),
        (us, "<@U1> approve 3", "Order(Answer { request: Some(3), approve: true, note: \"\" })"),
        (us, "<@U1> stop", "Order(Stop)"),
        (Address::Everybody, "  ", "no: it says nothing"),
    ];
    for (address, text, said) in table {
        assert_eq!(says(&every, &message(address, text)), said, "{text}");
    }
}

#[test]
fn with_a_command_a_message_has_it_or_is_meant_for_us() {
    let session = session("/agent");
    let us = Address::Us { words_at: 0 };
    let everybody = Address::Everybody;
    let table = [
        (everybody, "fix it", "no: it does not say `/agent`"),
        (everybody, "/agent fix it", "Words(\"fix it\")"),
        (everybody, "/agent", "Prompt"),
        (us, "fix it", "Words(\"fix it\")"),
        (us, "/agent stop", "Order(Stop)"),
    ];
    for (address, text, said) in table {
        assert_eq!(says(&session, &message(address, text)), said, "{text}");
    }
}

#[test]
fn what_follows_without_calling_joins_and_gives_no_orders() {
    let follow = SessionStart { follow: true, ..session("/agent") };
    let everybody = |text| says(&follow, &message(Address::Everybody, text));
    assert_eq!(everybody("and this too"), "Overheard(\"and this too\")");
    assert_eq!(everybody("approve 3"), "Overheard(\"approve 3\")");
    assert_eq!(
        everybody("/agent approve"),
        "Order(Answer { request: None, approve: true, note: \"\" })"
    );
    let written = |action, text| says(&follow, &comment(action, text));
    assert_eq!(written(Some("created"), "and this too"), "Overheard(\"and this too\")");
    assert_eq!(written(None, "and this too"), "Overheard(\"and this too\")");
    assert_eq!(written(Some("created"), "/agent go"), "Words(\"go\")");
    assert!(written(Some("edited"), "and this too").starts_with("no: "));
    assert!(written(Some("opened"), "an issue").starts_with("no: "));
    let without = SessionStart { command: None, follow: true };
    assert_eq!(says(&without, &comment(Some("created"), "x")), "Overheard(\"x\")");
    assert_eq!(says(&without, &comment(Some("labeled"), "x")), "Prompt");
    assert_eq!(says(&without, &message(Address::Everybody, "x")), "Overheard(\"x\")");
}

#[test]
fn bots_say_nothing_in_a_chat() {
    let mut event = message(Address::Us { words_at: 0 }, "hello");
    event.actor.as_mut().unwrap().account_type = Some("Bot".into());
    let every = SessionStart { command: None, follow: true };
    assert_eq!(says(&every, &event), "no: bots start no sessions");
}

#[test]
fn a_conversation_has_a_key_that_no_issue_has() {
    let event = message(Address::Everybody, "x");
    assert_eq!(subject_key(&event).unwrap(), "forge:T1/C1/1.2");
    let origin: serde_json::Value = serde_json::from_str(&origin(&event, "t")).unwrap();
    let place = serde_json::json!({ "team": "T1", "channel": "C1", "thread": "1.2" });
    assert_eq!(origin["chat"], place);
}
