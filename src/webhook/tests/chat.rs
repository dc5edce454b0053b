//! Slack, Discord, Telegram, Mattermost.

use serde_json::json;

use super::*;
use crate::event::Address;
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

/// The place and address of what a delivery says, as short text.
fn said_at(event: &Event) -> String {
    let Some(place) = &event.chat else { return "nowhere".to_owned() };
    let text = data(event.subject.body.as_ref()).unwrap_or_default();
    let to = match event.address {
        Address::Everybody => "all",
        Address::Us { .. } => "us",
        Address::Mentioned { .. } => "mentioned",
    };
    format!("{} to {to}: {}", place.session_key("s"), event.address.words(text))
}

fn slack(kind: &str, more: &serde_json::Value) -> Event {
    let mut event =
        json!({ "type": kind, "user": "U1", "text": "hello", "ts": "1.2", "channel": "C1" });
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let authorizations = json!([{ "user_id": "U0APP", "is_bot": true }]);
    let body = json!({ "team_id": "T1", "event": event, "authorizations": authorizations });
    said(parse_as(Provider::Slack, "", &body.to_string()).unwrap()).events.remove(0)
}

#[test]
fn a_message_of_slack_is_said_in_its_thread_or_opens_one() {
    let table = [
        ("message", json!({}), "s:T1/C1/1.2 to all: hello"),
        ("message", json!({ "thread_ts": "1.1" }), "s:T1/C1/1.1 to all: hello"),
        ("message", json!({ "channel_type": "im", "channel": "D1" }), "s:T1/D1/ to us: hello"),
        (
            "message",
            json!({ "channel_type": "im", "channel": "D1", "thread_ts": "1.1" }),
            "s:T1/D1/1.1 to us: hello",
        ),
        ("message", json!({ "text": "<@U0APP> fix" }), "s:T1/C1/1.2 to mentioned: fix"),
        (
            "message",
            json!({ "text": "ask <@U0APP|agent>" }),
            "s:T1/C1/1.2 to mentioned: ask <@U0APP|agent>",
        ),
        ("message", json!({ "text": "<@U0APPX> fix" }), "s:T1/C1/1.2 to all: <@U0APPX> fix"),
        ("app_mention", json!({ "text": "<@U0APP> fix" }), "s:T1/C1/1.2 to us: fix"),
        (
            "app_mention",
            json!({ "text": "<@U2> and <@U0APP>" }),
            "s:T1/C1/1.2 to us: <@U2> and <@U0APP>",
        ),
        ("message", json!({ "subtype": "file_share" }), "s:T1/C1/1.2 to all: hello"),
        // As it was typed: Slack writes three characters as entities, and names accounts between two of them.
        (
            "message",
            json!({ "text": "a &lt;b&gt; &amp;amp; &quot;c" }),
            "s:T1/C1/1.2 to all: a <b> &amp; &quot;c",
        ),
        ("message", json!({ "text": "&lt;@U0APP&gt; fix" }), "s:T1/C1/1.2 to all: <@U0APP> fix"),
        ("app_mention", json!({ "text": "<@U0APP|a&amp;b> x &gt; y" }), "s:T1/C1/1.2 to us: x > y"),
        ("message", json!({ "channel": "C/1" }), "s:T1/C%2F1/1.2 to all: hello"),
    ];
    for (kind, more, expected) in table {
        assert_eq!(said_at(&slack(kind, &more)), expected, "{kind} {more}");
    }
}

#[test]
fn what_changes_or_tells_of_a_message_is_said_nowhere() {
    for more in [
        json!({ "subtype": "message_changed", "message": { "text": "<@U0APP> x" } }),
        json!({ "subtype": "message_deleted" }),
        json!({ "subtype": "bot_message", "bot_id": "B1" }),
        json!({ "subtype": "channel_join" }),
        json!({ "subtype": "a_new_one" }),
        json!({ "edited": { "user": "U1", "ts": "1.3" } }),
        json!({ "hidden": true }),
        json!({ "text": "" }),
        json!({ "channel": "" }),
        json!({ "channel": "x".repeat(500) }),
        json!({ "thread_ts": "1\n2" }),
    ] {
        assert_eq!(said_at(&slack("message", &more)), "nowhere", "{more}");
    }
    assert_eq!(said_at(&slack("reaction_added", &json!({}))), "nowhere");
    let slackbot = slack("message", &json!({ "user": "USLACKBOT" }));
    assert_eq!(slackbot.actor.unwrap().account_type.as_deref(), Some("Bot"));
}

#[test]
fn a_slash_command_is_said_in_its_channel() {
    let body = "command=%2Fagent&text=fix+it&team_id=T1&channel_id=C1&user_id=U1&trigger_id=1.2";
    for provider in [Provider::Slack, Provider::Mattermost] {
        assert_eq!(said_at(&form(provider, body).events[0]), "s:T1/C1/ to us: fix it");
    }
}

#[test]
fn a_message_of_telegram_is_said_in_its_chat_or_topic() {
    let message = |kind: &str, more: serde_json::Value| {
        let mut message = json!({ "message_id": 1, "from": { "id": 5, "is_bot": false },
            "chat": { "id": -9, "type": "supergroup" }, "text": "hello" });
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let body = json!({ "update_id": 7, kind: message }).to_string();
        said_at(&said(parse_as(Provider::Telegram, "", &body).unwrap()).events[0])
    };
    assert_eq!(message("message", json!({})), "s:/-9/ to all: hello");
    let topic = json!({ "is_topic_message": true, "message_thread_id": 4 });
    assert_eq!(message("message", topic), "s:/-9/4 to all: hello");
    // A thread of replies in a group without topics is no conversation of its own.
    assert_eq!(message("message", json!({ "message_thread_id": 4 })), "s:/-9/ to all: hello");
    let private = json!({ "chat": { "id": 5, "type": "private" } });
    assert_eq!(message("message", private), "s:/5/ to us: hello");
    for (kind, more) in [
        ("edited_message", json!({})),
        ("channel_post", json!({})),
        ("message", json!({ "edit_date": 1 })),
        ("message", json!({ "text": null, "new_chat_members": [] })),
        ("message", json!({ "sender_chat": { "id": -9 } })),
    ] {
        assert_eq!(message(kind, more.clone()), "nowhere", "{kind} {more}");
    }
}

#[test]
fn a_message_of_mattermost_is_said_behind_its_trigger_word() {
    let message = |pointer: &str, value: &str| {
        said_at(&changed("mattermost/outgoing", pointer, json!(value)))
    };
    assert_eq!(message("/text", "deploy staging"), "s:team1/chan1/ to us: staging");
    assert_eq!(message("/text", "deploy: it"), "s:team1/chan1/ to us: it");
    assert_eq!(message("/text", "deployed it"), "s:team1/chan1/ to us: deployed it");
    assert_eq!(message("/trigger_word", ""), "s:team1/chan1/ to all: deploy staging");
    assert_eq!(message("/text", ""), "nowhere");
    let body = r#"{"team_id":"t","channel_id":"c","root_id":"r","text":"x","user_id":"u"}"#;
    let event = said(parse_as(Provider::Mattermost, "", body).unwrap()).events.remove(0);
    assert_eq!(said_at(&event), "s:t/c/r to all: x");
}

#[test]
fn a_command_of_discord_says_its_options() {
    let command = |options: serde_json::Value| {
        let data = json!({ "name": "agent", "type": 1, "options": options });
        said_at(&changed("discord/command", "/data", data))
    };
    let at = "s:290926798626357999/645027906669510667/ to us: ";
    assert_eq!(command(json!([])), at);
    assert_eq!(
        command(json!([{ "name": "text", "type": 3, "value": "fix it" }])),
        format!("{at}fix it")
    );
    let several = json!([{ "name": "ask", "type": 1, "options": [
        { "name": "text", "type": 3, "value": "fix" }, { "name": "many", "type": 4, "value": 3 },
        { "name": "now", "type": 5, "value": true } ] }]);
    assert_eq!(command(several), format!("{at}text: fix\nmany: 3\nnow: true"));
    let menu = json!({ "name": "agent", "type": 3, "target_id": "1" });
    assert_eq!(said_at(&changed("discord/command", "/data", menu)), "nowhere");
    assert_eq!(said_at(&changed("discord/command", "/type", json!(3))), "nowhere");
}

#[test]
fn a_mapped_payload_with_a_channel_and_a_text_is_a_message() {
    let at = |pointer: &str| Some(pointer.to_owned());
    let map = FieldMap {
        body: at("/text"),
        team: at("/org"),
        channel: at("/room/id"),
        thread: at("/thread"),
        ..FieldMap::default()
    };
    let reader = Reader { map, ..reader(Provider::Hmac) };
    let message = |text: &str| {
        let headers = headers(Provider::Hmac, "", JSON);
        said_at(&said(through(&reader, &headers, text).1.unwrap()).events[0])
    };
    assert_eq!(message(r#"{"text":"hi","room":{"id":7},"thread":"t/1"}"#), "s:/7/t%2F1 to all: hi");
    assert_eq!(message(r#"{"text":"hi","room":{"id":"r"},"org":"o"}"#), "s:o/r/ to all: hi");
    assert_eq!(message(r#"{"text":"hi","org":"o"}"#), "nowhere");
    assert_eq!(message(r#"{"room":{"id":"r"}}"#), "nowhere");
}
