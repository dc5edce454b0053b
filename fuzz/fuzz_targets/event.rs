//! Bodies of all providers: whatever they hold, reading ends, without a panic, in events that can be stored and read
//! again as they were.
//!
//! Input: a byte for the provider, a line with the event's kind, the body.

#![no_main]

use dispatchyard::event::Event;
use dispatchyard::webhook::{Head, Parsed, Provider, Reader, SourceAuth, verify};
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((which, rest)) = data.split_first() else { return };
    let provider = Provider::SOURCES[usize::from(*which) % Provider::SOURCES.len()];
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let body = rest.get(end + 1..).unwrap_or_default();
    let Ok(kind) = HeaderValue::from_bytes(&rest[..end]) else { return };
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    for name in ["x-github-event", "x-gitea-event", "x-forgejo-event", "x-gitlab-event", "x-event-key"] {
        headers.insert(name, kind.clone());
    }
    for name in ["x-github-delivery", "x-gitea-delivery", "x-forgejo-delivery", "webhook-id"] {
        headers.insert(name, HeaderValue::from_static("0b989ba4"));
    }
    let reader = Reader { provider, ..Reader::default() };
    let verified = verify(&headers, body, &SourceAuth::Insecure, None).expect("nothing to verify");
    let Ok(head) = Head::read(&reader, &verified, &headers) else { return };
    let Ok(payload) = head.payload(&verified) else { return };
    let _ = head.key("s", "id", Some(&payload));
    let Ok(Parsed::Events(said)) = reader.parse("s", &head, &payload) else { return };
    for event in said.events {
        let text = serde_json::to_string(&event).expect("an event can be written");
        let again: Event = serde_json::from_str(&text).expect("and read");
        assert_eq!(again, event);
        assert!(!text.contains("\\u0000"), "PostgreSQL has no text with U+0000");
    }
});
