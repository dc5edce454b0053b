//! Payloads that no documentation promises.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::model::TrustLevel;

#[test]
fn every_event_survives_as_stored_json() {
    for (provider, name, kind, text) in FIXTURES {
        if let Parsed::Events(said) = parse_as(*provider, kind, text).unwrap() {
            for event in said.events {
                let stored = serde_json::to_string(&event).unwrap();
                assert_eq!(serde_json::from_str::<Event>(&stored).unwrap(), event, "{name}");
            }
        }
    }
}

#[test]
fn nothing_of_an_insecure_source_is_trusted() {
    for (provider, name, kind, text) in FIXTURES {
        let (reader, headers) = (reader(*provider), headers(*provider, kind, JSON));
        let verified = verify(&headers, text.as_bytes(), &SourceAuth::Insecure, None).unwrap();
        let head = Head::read(&reader, &verified, &headers).unwrap();
        let payload = head.payload(&verified).unwrap();
        if let Parsed::Events(said) = reader.parse("source", &head, &payload).unwrap() {
            for event in said.events {
                assert_ne!(event.trust.level, TrustLevel::Trusted, "{name}");
            }
        }
    }
}

#[test]
fn what_is_no_object_is_an_error_with_its_place() {
    for provider in Provider::SOURCES {
        for text in ["", "{", "{} {}", "nonsense"] {
            let error = parse_as(provider, "push", &text.replace("{} {}", "{} x"));
            assert!(matches!(error, Err(PayloadError::Json(_))), "{provider} {text}");
        }
        for text in ["[]", "null", "3"] {
            let error = parse_as(provider, "push", text);
            assert!(matches!(error, Err(PayloadError::NotAnObject)), "{provider} {text}");
        }
        assert!(parse_as(provider, "push", "{}").is_ok(), "{provider}");
    }
}

/// Any JSON value, small.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(json!("refs/heads/a\0b")),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec(("[a-z_]{1,8}", inner), 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// All values of a payload, each by its pointer.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(key, it)| (key.replace('/', "~1"), it)).collect(),
        Value::Array(items) => {
            items.iter().enumerate().map(|(index, it)| (index.to_string(), it)).collect()
        }
        _ => Vec::new(),
    };
    for (key, child) in children {
        let pointer = format!("{at}/{key}");
        pointers(child, &pointer, found);
        found.push(pointer);
    }
}

proptest! {
    #[test]
    fn a_field_of_any_type_anywhere_is_never_an_error(
        fixture in 0..FIXTURES.len(),
        as_fixture in 0..FIXTURES.len(),
        mutations in proptest::collection::vec((any::<prop::sample::Index>(), any_value()), 1..6),
    ) {
        let mut payload: Value = serde_json::from_str(FIXTURES[fixture].3).unwrap();
        for (index, value) in mutations {
            let mut all = Vec::new();
            pointers(&payload, "", &mut all);
            if let Some(place) = payload.pointer_mut(index.get::<String>(&all)) {
                *place = value;
            }
        }
        let (provider, _, kind, _) = FIXTURES[as_fixture];
        let kind = if kind.is_empty() { "push" } else { kind };
        let parsed = parse_as(provider, kind, &payload.to_string());
        prop_assert!(parsed.is_ok(), "{:?}", parsed);
        if let Ok(Parsed::Events(said)) = parsed {
            for event in said.events {
                prop_assert!(!serde_json::to_string(&event).unwrap().contains("\\u0000"));
            }
        }
    }

    #[test]
    fn any_json_at_all_is_read_without_a_panic(provider in 0..11_usize, value in any_value()) {
        let provider = Provider::SOURCES[provider];
        for kind in ["push", "repo:push", "pr:opened", "pullrequest:created", "diagnostics:ping"] {
            if provider == Provider::Bitbucket || !kind.contains(':') {
                let _ = parse_as(provider, kind, &value.to_string());
            }
        }
    }
}
