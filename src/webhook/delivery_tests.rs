//! What headers must be there, and how deliveries are told apart.

use super::*;
use crate::webhook::{SourceAuth, verify};
use axum::http::{HeaderValue, header::CONTENT_TYPE};

const GUID: &str = "0b989ba4-242f-11e5-81e1-c7b6966d2516";

fn headers(content_type: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(EVENT_HEADER, HeaderValue::from_static("push"));
    headers.insert(DELIVERY_HEADER, HeaderValue::from_static(GUID));
    headers
}

fn read(headers: &HeaderMap) -> Result<Head, HeadError> {
    read_as(Provider::Github, headers)
}

fn read_as(provider: Provider, headers: &HeaderMap) -> Result<Head, HeadError> {
    let reader = Reader { provider, ..Reader::default() };
    let verified = verify(headers, b"{}", &SourceAuth::Insecure, None).unwrap();
    Head::read(&reader, &verified, headers)
}

fn with(more: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.extend(
        more.iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))),
    );
    headers
}

fn id_of(provider: Provider, more: &[(&'static str, &'static str)]) -> String {
    read_as(provider, &with(more)).unwrap().delivery_id.into()
}

#[test]
fn each_provider_has_its_own_id_and_without_one_the_body_is_it() {
    use Provider::{Bitbucket, Gitlab, Slack, StandardWebhooks};
    let hash = hash_of(b"{}");
    let event = ("x-event-key", "repo:push");
    assert_eq!(id_of(Bitbucket, &[event, ("x-request-uuid", "u")]), "u");
    assert_eq!(id_of(Bitbucket, &[event, ("x-request-id", "i")]), "i");
    assert_eq!(id_of(Bitbucket, &[event]), hash);
    assert_eq!(id_of(StandardWebhooks, &[("webhook-id", "msg_1")]), "msg_1");
    assert_eq!(id_of(Gitlab, &[("idempotency-key", "k"), ("x-gitlab-event-uuid", "e")]), "k");
    let shared = id_of(Gitlab, &[("x-gitlab-event-uuid", "e")]);
    assert_eq!(shared, format!("e.{}", &hash[..16]));
    assert_eq!(id_of(Slack, &[]), hash);
}

#[test]
fn a_delivery_of_another_provider_is_refused_by_its_name() {
    let forgejo = with(&[("x-github-event", "push"), ("x-forgejo-event", "push")]);
    let error = read_as(Provider::Github, &forgejo).unwrap_err();
    let (looks_like, kind) = (Provider::Forgejo, Provider::Github);
    assert_eq!(error, HeadError::OtherKind { looks_like, kind });
    assert!(error.to_string().contains("of `forgejo`"), "{error}");
    assert!(!error.is_media_type());
    assert!(read_as(Provider::Hmac, &forgejo).is_ok());
}

#[test]
fn two_hooks_that_tell_one_event_have_one_key() {
    let body = br#"{"action":"opened","issue":{"id":1,"updated_at":"2026-01-01T00:00:00Z"},
        "repository":{"id":2,"html_url":"https://github.com/o/r"}}"#;
    let key = |id: &'static str, hook: Option<&'static str>| {
        let mut headers = with(&[(EVENT_HEADER, "issues"), (DELIVERY_HEADER, id)]);
        headers.extend(
            hook.map(|hook| (HeaderName::from_static(HOOK_HEADER), HeaderValue::from_static(hook))),
        );
        let verified = verify(&headers, body, &SourceAuth::Insecure, None).unwrap();
        let head = Head::read(&Reader::default(), &verified, &headers).unwrap();
        let payload = head.payload(&verified).unwrap();
        head.key("github", &head.delivery_id, Some(&payload))
    };
    assert_eq!(key("a", Some("1")), key("b", Some("2")));
    assert_ne!(key("a", None), key("b", None));
    assert_eq!(key("a", None), dedupe_key("github", "a"));
}

#[test]
fn an_id_of_a_body_is_bounded() {
    assert_eq!(bounded_id("Ev0123"), "Ev0123");
    assert_eq!(bounded_id(&"x".repeat(129)).len(), 64);
    assert_eq!(bounded_id("a b").len(), 64);
}

#[test]
fn a_delivery_has_a_kind_an_id_and_its_headers() {
    let head = read(&headers("application/json")).unwrap();
    assert_eq!((&*head.event_kind, &*head.delivery_id), ("push", GUID));
    assert!(head.headers.contains(GUID));
}

#[test]
fn json_and_forms_are_read_whatever_their_parameters() {
    for content_type in
        ["application/json", "Application/JSON; charset=utf-8", "application/json;x=y"]
    {
        assert_eq!(read(&headers(content_type)).unwrap().encoding, Encoding::Json);
    }
    let form = headers("application/x-www-form-urlencoded; charset=UTF-8");
    assert_eq!(read(&form).unwrap().encoding, Encoding::Form);
}

#[test]
fn another_content_type_is_named() {
    for content_type in ["", "text/json", "application/jsonp", "multipart/form-data"] {
        let error = read(&headers(content_type)).unwrap_err();
        assert!(error.is_media_type());
        assert_eq!(error, HeadError::UnsupportedMediaType { got: content_type.to_owned() });
    }
    let mut none = headers("application/json");
    none.remove(CONTENT_TYPE);
    assert!(read(&none).unwrap_err().is_media_type());
}

#[test]
fn each_missing_or_repeated_header_is_named() {
    for name in [EVENT_HEADER, DELIVERY_HEADER] {
        let mut missing = headers("application/json");
        missing.remove(name);
        assert_eq!(read(&missing), Err(HeadError::Missing(HeaderName::from_static(name))));
        let mut repeated = headers("application/json");
        repeated.append(name, HeaderValue::from_static("push"));
        assert_eq!(read(&repeated), Err(HeadError::Repeated(HeaderName::from_static(name))));
    }
}

#[test]
fn a_kind_or_an_id_that_cannot_be_one_is_refused() {
    let long = "x".repeat(200);
    for (name, got) in [
        (EVENT_HEADER, ""),
        (EVENT_HEADER, "push\tpush"),
        (EVENT_HEADER, "../push"),
        (DELIVERY_HEADER, ""),
        (DELIVERY_HEADER, "a b"),
        (DELIVERY_HEADER, &long),
    ] {
        let mut headers = headers("application/json");
        headers.insert(name, HeaderValue::from_str(got).unwrap());
        let got = got.chars().take(SHOWN_CHARS_MAX).collect();
        let name = HeaderName::from_static(name);
        assert_eq!(read(&headers), Err(HeadError::Unusable { name, got }));
    }
}

#[test]
fn a_dedupe_key_begins_with_its_source() {
    let key = dedupe_key("github", GUID);
    assert_eq!(&*key.key, format!("github/{GUID}"));
    assert_eq!(key.scope, KeyScope::Delivery);
    assert_ne!(dedupe_key("github", GUID), dedupe_key("github-2", GUID));
}
