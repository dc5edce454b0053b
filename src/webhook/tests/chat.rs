//! Slack, Discord, Telegram, Mattermost.

use serde_json::json;

use super::*;
use crate::model::TrustLevel;

fn parsed(name: &str) -> Parsed {
    let (provider, kind, text) = fixture(name);
    parse_as(provider, kind, text).unwrap()
}

fn form(provider: Provider, body: &str) -> Said {
    said(through(&reader(provider), &headers(provider, "", FORM), body).1.unwrap())
}

#[test]
fn a_providers_question_is_answered_in_its_form() {
    let challenge = "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P";
    let answer = |json| Parsed::Challenge(Answer::Json(json));
    assert_eq!(parsed("slack/url_verification"), answer(json!({"challenge": challenge})));
    assert_eq!(parsed("discord/ping"), answer(json!({"type": 1})));
    let event_ping = parse_as(Provider::Discord, "", r#"{"version":1,"type":0}"#).unwrap();
    assert_eq!(event_ping, Parsed::Challenge(Answer::Empty));
}

#[test]
fn messages_are_events_with_text_author_and_place() {
    for (name, kind, id, text) in [
        ("slack/app_mention", "app_mention", "Ev0PV52K21", "<@U0LAN0Z89> fix the failing test"),
        ("telegram/message", "message", "10000", "/deploy staging"),
        ("mattermost/outgoing", "message", "post1", "deploy staging"),
    ] {
        let said = said(parsed(name));
        assert_eq!((said.kind.as_deref(), said.delivery_id.as_deref()), (Some(kind), Some(id)));
        let event = &said.events[0];
        assert_eq!(data(event.subject.body.as_ref()), Some(text), "{name}");
        assert_eq!(event.inputs["text"], text);
        let actor = event.actor.as_ref().unwrap();
        assert!(actor.id.is_some() || actor.uid.is_some());
        assert_eq!(event.trust.level, TrustLevel::Unknown);
    }
    let slack = event("slack/app_mention");
    assert_eq!(slack.inputs["channel"], "C123ABC456");
    assert_eq!(slack.inputs["ts"], "1515449522.000016", "a time of Slack is no number");
}

#[test]
fn a_message_of_slack_without_an_event_id_is_known_by_its_place() {
    let text = r#"{"team_id":"T1","event":{"type":"message","channel":"C1","ts":"1.2"}}"#;
    let said = said(parse_as(Provider::Slack, "", text).unwrap());
    assert_eq!(said.delivery_id.as_deref(), Some("T1.C1.1.2"));
}

#[test]
fn a_bots_message_is_known_as_one() {
    let text = r#"{"event":{"type":"message","subtype":"bot_message","bot_id":"B1"}}"#;
    let event = said(parse_as(Provider::Slack, "", text).unwrap()).events.remove(0);
    assert_eq!(event.action.as_deref(), Some("bot_message"));
    assert_eq!(event.actor.unwrap().account_type.as_deref(), Some("Bot"));
}

#[test]
fn slash_commands_come_as_forms_and_want_an_answer() {
    let body = "token=x&team_id=T1&channel_id=C1&user_id=U1&user_name=dev&command=%2Fdeploy\
        &text=to+staging&trigger_id=13345224609.1";
    for provider in [Provider::Slack, Provider::Mattermost] {
        let said = form(provider, body);
        let event = &said.events[0];
        assert_eq!(outline(event), "slash_command /deploy -");
        assert_eq!(said.delivery_id.as_deref(), Some("13345224609.1"));
        assert_eq!(event.inputs["text"], "to staging");
        assert!(!event.inputs.contains_key("token"), "what proves who sent it is no input");
        assert!(matches!(said.answer, Some(Answer::Json(_))));
    }
}

#[test]
fn a_pressed_button_of_slack_comes_in_the_form_payload() {
    let body = "payload=%7B%22type%22%3A%22block_actions%22%2C%22user%22%3A%7B%22id%22%3A%22U1%22%7D\
        %2C%22actions%22%3A%5B%7B%22action_id%22%3A%22retry%22%7D%5D%7D";
    let said = form(Provider::Slack, body);
    assert_eq!(outline(&said.events[0]), "block_actions retry -");
    assert_eq!(said.answer, Some(Answer::Empty));
}

#[test]
fn an_interaction_of_discord_is_answered_as_it_must_be() {
    let said = said(parsed("discord/command"));
    assert_eq!(said.delivery_id.as_deref(), Some("1000000000000000002"));
    assert_eq!(outline(&said.events[0]), "application_command deploy -");
    assert_eq!(said.events[0].actor.as_ref().unwrap().id, Some(53_908_232_506_183_680));
    for (number, answer) in [(2, 4), (3, 6), (4, 8), (5, 4)] {
        let text = json!({"id": "1", "type": number, "token": "secret"}).to_string();
        let said = super::said(parse_as(Provider::Discord, "", &text).unwrap());
        let Some(Answer::Json(given)) = said.answer else { panic!("no answer to {number}") };
        assert_eq!(given["type"], answer);
        assert!(!serde_json::to_string(&said.events[0]).unwrap().contains("secret"));
    }
}

#[test]
fn a_button_of_telegram_carries_its_data_and_its_chat() {
    let text = r#"{"update_id":7,"callback_query":{"id":"1","from":{"id":5,"is_bot":false},
        "data":"retry","message":{"message_id":3,"chat":{"id":-9}}}}"#;
    let event = said(parse_as(Provider::Telegram, "", text).unwrap()).events.remove(0);
    assert_eq!(event.kind.as_str(), "callback_query");
    assert_eq!(data(event.subject.body.as_ref()), Some("retry"));
    assert_eq!(event.inputs["chat"], -9);
}
