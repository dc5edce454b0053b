//! What can be seen without a chat.

use super::*;
use crate::clock::SystemClock;

fn chat(kind: ChatKind, token: &str) -> Result<Chat, ChatError> {
    let options = ChatOptions {
        kind,
        api_url: "http://127.0.0.1:1/api/".parse().unwrap(),
        token: Secret::new(token.as_bytes()).unwrap(),
        timeout: Duration::from_secs(1),
    };
    Chat::new(&options, Arc::new(SystemClock::new()))
}

#[test]
fn an_address_is_below_the_api_whatever_a_place_is_called() {
    let chat = chat(ChatKind::Discord, "t").unwrap();
    let url = chat.url(&["channels", "../../x?y#z", "messages"]);
    assert_eq!(url.as_str(), "http://127.0.0.1:1/api/channels/..%2F..%2Fx%3Fy%23z/messages");
}

#[test]
fn a_token_that_cannot_be_one_is_refused_and_not_repeated() {
    for (kind, token) in [(ChatKind::Slack, "hunter 2"), (ChatKind::Generic, "hunter2")] {
        let error = chat(kind, token).err().unwrap().to_string();
        assert!(!error.contains("hunter"), "{error}");
    }
}

#[tokio::test]
async fn nobody_there_is_another_try_and_no_note_has_the_token() {
    let chat = chat(ChatKind::Telegram, "12:hunter2").unwrap();
    let place = ChatPlace { team: None, channel: "5".into(), thread: None };
    let saying = Saying { place: &place, text: "x", mark: "m", since_ms: 0, body: Value::Null };
    let fault = chat.say(&saying).await.unwrap_err();
    assert!(matches!(fault, Fault::NotYet(_)), "{fault:?}");
    assert!(!format!("{fault:?}").contains("hunter"), "{fault:?}");
}
