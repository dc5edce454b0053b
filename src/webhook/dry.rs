//! Requests tried out without a configuration: one line of JSON in, one answer out.
//!
//! Reads what `dispatchyard try signature` and `try event` are given; who is believed and what a
//! payload says is decided where it is decided for deliveries.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Answer, Head, Parsed, Provider, Reader, Scheme, Secret, Secrets, SourceAuth, Verified, check,
    sign, verify,
};
use crate::event::Event;
use crate::model::question;

/// The source of events that were only tried.
const SOURCE: &str = "try";
/// What dry runs sign with, where no signature is asked for.
const OWN_SECRET: &[u8] = b"dry run";

/// A request, and the secrets of whom it may be from.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureQuestion {
    scheme: String,
    headers: Vec<TriedHeader>,
    body_b64: String,
    secrets: Vec<String>,
    #[serde(default)]
    now: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TriedHeader {
    name: String,
    #[serde(default)]
    value: Option<String>,
    #[serde(default)]
    value_b64: Option<String>,
}

/// Whether a request is accepted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct SignatureAnswer {
    /// Whether it is.
    pub accept: bool,
    /// Why, or why not: what an operator would be told.
    pub reason: String,
}

/// A delivery.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventQuestion {
    source_kind: String,
    headers: BTreeMap<String, Value>,
    body_b64: String,
}

/// Whether a request is accepted by a source of that scheme with these secrets. `now_unix_s` is
/// the present where the line does not say.
///
/// `{"scheme": .., "headers": [{"name": .., "value": .. | "value_b64": ..}], "body_b64": ..,
/// "secrets": [..], "now": seconds}`
///
/// # Errors
///
/// The line is no such question.
pub fn signature(line: &str, now_unix_s: i64) -> Result<SignatureAnswer, String> {
    let question: SignatureQuestion = question(line)?;
    let scheme: Scheme = question.scheme.parse().map_err(|error| format!("scheme: {error}"))?;
    let body = bytes("body_b64", &question.body_b64)?;
    let refused = |reason: String| Ok(SignatureAnswer { accept: false, reason });
    let mut headers = HeaderMap::new();
    for (at, header) in question.headers.into_iter().enumerate() {
        let value = match (header.value, header.value_b64) {
            (Some(text), None) => text.into_bytes(),
            (None, Some(text)) => bytes(&format!("headers[{at}].value_b64"), &text)?,
            _ => return Err(format!("headers[{at}]: give one of `value` and `value_b64`")),
        };
        let name = HeaderName::try_from(&header.name);
        match (name, HeaderValue::from_bytes(&value)) {
            (Ok(name), Ok(value)) => drop(headers.append(name, value)),
            _ => return refused(format!("no request can have the header headers[{at}]")),
        }
    }
    let secrets = question.secrets.iter().map(|secret| Secret::new(secret.as_bytes()));
    let secrets = secrets.collect::<Result<Vec<_>, _>>().and_then(Secrets::new);
    let secrets = match secrets {
        Ok(secrets) => secrets,
        Err(error) => return refused(error.to_string()),
    };
    let now = question.now.unwrap_or(now_unix_s);
    match check(scheme, &headers, &body, &secrets, Some(now)) {
        Ok(_) => Ok(SignatureAnswer { accept: true, reason: "a secret of the source fits".into() }),
        Err(rejection) => refused(rejection.to_string()),
    }
}

/// What a delivery says: the event, or what it is instead.
///
/// `{"source_kind": .., "headers": {..}, "body_b64": ..}`
///
/// # Errors
///
/// The line is no such question, or the delivery is none that such a source understands.
pub fn event(line: &str) -> Result<Value, String> {
    let question: EventQuestion = question(line)?;
    let provider: Provider =
        question.source_kind.parse().map_err(|error| format!("source_kind: {error}"))?;
    let body = bytes("body_b64", &question.body_b64)?;
    let mut headers = HeaderMap::new();
    for (name, value) in &question.headers {
        let values = match value {
            Value::Array(values) => values.iter().collect(),
            value => vec![value],
        };
        for value in values {
            let Value::String(value) = value else {
                return Err(format!("headers.{name}: it is no text"));
            };
            add(&mut headers, name, value)?;
        }
    }
    let reader = Reader { provider, ..Reader::default() };
    let value = |event: &Event| serde_json::to_value(event).map_err(|error| error.to_string());
    match read(SOURCE, &reader, &SourceSays::Signed, headers, &body)? {
        Understood::Events(events) => match &events[..] {
            [one] => value(one),
            all => Ok(json!({ "events": all.iter().map(value).collect::<Result<Vec<_>, _>>()? })),
        },
        Understood::Ping => Ok(json!({ "ping": true })),
        Understood::Challenge(answer) => Ok(json!({ "challenge": answer })),
    }
}

/// What a delivery is.
#[derive(Clone, PartialEq, Debug)]
pub enum Understood {
    /// It tells of these; of none, where nothing happened.
    Events(Vec<Event>),
    /// The hook was set up.
    Ping,
    /// The provider asks for our address, and is told this; nothing for an empty answer.
    Challenge(Option<Value>),
}

/// How far the senders of a source are believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SourceSays {
    /// Each delivery is signed: this one is taken as if it were.
    Signed,
    /// Anybody may send: what comes in is never trusted.
    Insecure,
}

/// Reads a delivery as the source `name` would, if its signature were right. Headers that every
/// delivery has and that say nothing of the event need not be there.
///
/// # Errors
///
/// What keeps it from being understood.
pub fn read(
    name: &str,
    reader: &Reader,
    says: &SourceSays,
    mut headers: HeaderMap,
    body: &[u8],
) -> Result<Understood, String> {
    if !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    let id = match reader.provider {
        Provider::Github => Some("x-github-delivery"),
        Provider::Gitea => Some("x-gitea-delivery"),
        Provider::Forgejo => Some("x-forgejo-delivery"),
        _ => None,
    };
    if let Some(id) = id.filter(|id| !headers.contains_key(*id)) {
        headers.insert(id, HeaderValue::from_static(SOURCE));
    }
    let verified = verified(says, body)?;
    let head = Head::read(reader, &verified, &headers).map_err(|error| error.to_string())?;
    let payload = head.payload(&verified).map_err(|error| error.to_string())?;
    match reader.parse(name, &head, &payload).map_err(|error| error.to_string())? {
        Parsed::Ping { .. } => Ok(Understood::Ping),
        Parsed::Challenge(Answer::Json(answer)) => Ok(Understood::Challenge(Some(answer))),
        Parsed::Challenge(Answer::Empty) => Ok(Understood::Challenge(None)),
        Parsed::Events(said) => Ok(Understood::Events(said.events)),
    }
}

/// The body as one that was checked: with a signature of our own, where there is to be one.
fn verified<'b>(says: &SourceSays, body: &'b [u8]) -> Result<Verified<'b>, String> {
    let told = match says {
        SourceSays::Insecure => verify(&HeaderMap::new(), body, &SourceAuth::Insecure, None),
        SourceSays::Signed => {
            let secret = Secret::new(OWN_SECRET).map_err(|error| error.to_string())?;
            let mut headers = HeaderMap::new();
            add(&mut headers, Scheme::Github.header(), &sign(&secret, body))?;
            let secrets = Secrets::new(vec![secret]).map_err(|error| error.to_string())?;
            check(Scheme::Github, &headers, body, &secrets, None)
        }
    };
    told.map_err(|error| error.to_string())
}

/// Adds a header that somebody wrote.
///
/// # Errors
///
/// It cannot be one.
pub fn add(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), String> {
    let named = HeaderName::try_from(name).map_err(|_| format!("`{name}` is no header's name"))?;
    let value = HeaderValue::try_from(value)
        .map_err(|_| format!("the header `{name}` cannot have that value"))?;
    headers.append(named, value);
    Ok(())
}

fn bytes(key: &str, text: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(text).map_err(|error| format!("{key}: it is no base64: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::signed_headers;

    const NOW: i64 = 1_700_000_000;

    fn asked(scheme: &str, headers: &Value, body: &[u8], secrets: &Value) -> Value {
        let body_b64 = STANDARD.encode(body);
        json!({ "scheme": scheme, "headers": headers, "body_b64": body_b64, "secrets": secrets })
    }

    fn accepts(question: &Value) -> bool {
        signature(&question.to_string(), NOW).unwrap().accept
    }

    /// Secrets that can be a key of every scheme that we can sign by.
    const SECRET: &str = "whsec_c2VjcmV0IG9mIHRoZSB0ZXN0cyBmb3IgZHJ5IHJ1bnM=";

    #[test]
    fn what_is_signed_by_any_of_the_secrets_is_accepted() {
        for scheme in Scheme::all() {
            let secret = Secret::new(SECRET.as_bytes()).unwrap();
            let body = b"{\"a\":1}";
            let rule = scheme.into();
            let Some(headers) = signed_headers(&rule, &secret, "id-1", NOW, body).unwrap() else {
                continue;
            };
            let list: Vec<_> = headers
                .iter()
                .map(|(name, value)| json!({"name": name.to_uppercase(), "value": value}))
                .collect();
            let other = "whsec_b3RoZXI=";
            let name = scheme.as_str();
            let ask = |body: &[u8], secrets: Value| asked(name, &json!(list), body, &secrets);
            assert!(accepts(&ask(body, json!([other, SECRET]))), "{name}");
            assert!(!accepts(&ask(body, json!([other]))), "{name}: another secret");
            if !name.contains("token") && name != "gitlab" {
                assert!(!accepts(&ask(b"{\"a\":2}", json!([SECRET]))), "{name}: another body");
            }
            assert!(!accepts(&ask(body, json!([]))), "{name}: no secret");
            assert!(!accepts(&ask(body, json!([""]))), "{name}: an empty secret");
            let unsigned = asked(name, &json!([]), body, &json!([SECRET]));
            assert!(!accepts(&unsigned), "{name}: unsigned");
            let mut late = ask(body, json!([SECRET]));
            late["now"] = json!(NOW + 3_600);
            assert_eq!(accepts(&late), !scheme.needs_time(), "{name}");
        }
    }

    #[test]
    fn header_values_may_be_bytes_and_some_no_request_can_have() {
        let secret = Secret::new(b"s").unwrap();
        let value = sign(&secret, b"{}");
        let with = |header: Value| asked("github", &json!([header]), b"{}", &json!(["s"]));
        let name = "X-Hub-Signature-256";
        assert!(accepts(&with(json!({"name": name, "value": value}))));
        assert!(accepts(&with(json!({"name": name, "value_b64": STANDARD.encode(&value)}))));
        assert!(!accepts(&with(
            json!({"name": name, "value_b64": STANDARD.encode(b"sha256=\xff")})
        )));
        assert!(!accepts(&with(json!({"name": name, "value": format!("{value}\n")}))));
        assert!(!accepts(&with(json!({"name": "a b", "value": value}))));
        let twice = json!([{"name": name, "value": value}, {"name": name, "value": value}]);
        assert!(!accepts(&asked("github", &twice, b"{}", &json!(["s"]))));
    }

    #[test]
    fn a_bad_question_is_an_error() {
        let mut bad = asked("github", &json!([{"name": "a"}]), b"{}", &json!(["s"]));
        let told = |question: &Value| signature(&question.to_string(), NOW).unwrap_err();
        assert!(told(&bad).contains("one of `value` and `value_b64`"));
        bad["body_b64"] = json!("*");
        assert!(told(&bad).starts_with("body_b64: it is no base64"));
        bad["scheme"] = json!("md5");
        assert!(told(&bad).contains("unknown scheme `md5`, known are github"));
        let event = |question: Value| event(&question.to_string()).unwrap_err();
        let told = event(json!({"source_kind": "svn", "headers": {}, "body_b64": ""}));
        assert!(told.contains("unknown kind `svn`"), "{told}");
        let told = event(json!({"source_kind": "github", "headers": {}, "body_b64": "e30="}));
        assert!(told.contains("x-github-event"), "{told}");
        let told = event(
            json!({"source_kind": "github", "headers": {"X-GitHub-Event": "push"}, "body_b64": "ew=="}),
        );
        assert!(told.contains("JSON"), "{told}");
    }

    fn said(kind: &str, headers: &Value, body: &str) -> Value {
        let question =
            json!({ "source_kind": kind, "headers": headers, "body_b64": STANDARD.encode(body) });
        event(&question.to_string()).unwrap()
    }

    #[test]
    fn a_delivery_is_read_as_if_it_were_signed() {
        let body = include_str!("../../fixtures/github/push.json");
        let event = said("github", &json!({"X-GitHub-Event": "push"}), body);
        assert_eq!((&event["kind"], &event["source"]), (&json!("push"), &json!("try")));
        assert_eq!(event["trust"]["level"], "trusted", "{event}");
        let body = include_str!("../../fixtures/gitlab/merge_request.json");
        let event = said("gitlab", &json!({"X-Gitlab-Event": "Merge Request Hook"}), body);
        assert_eq!(event["kind"], "pull_request", "{event}");
    }

    #[test]
    fn what_is_no_single_event_says_so() {
        let ping = said("github", &json!({"X-GitHub-Event": "ping"}), r#"{"hook_id": 1}"#);
        assert_eq!(ping, json!({"ping": true}));
        let body = include_str!("../../fixtures/slack/url_verification.json");
        let challenge = said("slack", &json!({}), body);
        assert!(challenge["challenge"].is_object(), "{challenge}");
        let body = include_str!("../../fixtures/gitlab/merge_request_labels.json");
        let several = said("gitlab", &json!({"X-Gitlab-Event": "Merge Request Hook"}), body);
        assert!(several["events"].as_array().is_some_and(|it| it.len() > 1), "{several}");
    }
}
