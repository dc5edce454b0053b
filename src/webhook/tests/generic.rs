//! Standard Webhooks and plain HMAC.

use super::*;
use crate::model::TrustLevel;

fn map() -> FieldMap {
    let at = |pointer: &str| Some(pointer.to_owned());
    FieldMap {
        kind: at("/what"),
        delivery_id: at("/id"),
        repository: at("/repo/name"),
        git_ref: at("/repo/branch"),
        sha: at("/repo/commit"),
        actor: at("/by/name"),
        actor_id: at("/by/id"),
        labels: at("/labels"),
        inputs: at("/more"),
        ..FieldMap::default()
    }
}

#[test]
fn a_mapped_payload_is_an_event_with_those_fields() {
    let (_, _, text) = fixture("hmac/build");
    let reader = Reader { map: map(), ..reader(Provider::Hmac) };
    let said = said(through(&reader, &headers(Provider::Hmac, "", JSON), text).1.unwrap());
    assert_eq!(said.delivery_id.as_deref(), Some("build-31"));
    let event = &said.events[0];
    assert_eq!(outline(event), "build.done - refs/heads/main");
    assert_eq!(event.repository.as_ref().unwrap().full_name, "octo-org/example");
    assert_eq!(event.actor.as_ref().unwrap().id, Some(1001));
    assert_eq!(event.labels, ["nightly"]);
    assert_eq!(event.inputs["result"], "passed");
    assert!(event.sha.is_some());
    assert_eq!(event.trust.level, TrustLevel::Unknown);
}

#[test]
fn what_a_mapping_calls_a_push_is_not_trusted_for_that() {
    let reader = Reader { map: map(), ..reader(Provider::Hmac) };
    let text = r#"{"what":"push","repo":{"branch":"main"},"by":{"id":1}}"#;
    let event = said(through(&reader, &headers(Provider::Hmac, "", JSON), text).1.unwrap());
    assert_eq!(event.events[0].trust.level, TrustLevel::Unknown);
}

#[test]
fn the_kind_can_come_from_a_header_and_is_the_sources_without_any() {
    let reader = Reader {
        event_header: Some(HeaderName::from_static("x-acme-event")),
        delivery_header: Some(HeaderName::from_static("x-acme-id")),
        ..reader(Provider::Hmac)
    };
    let mut headers = headers(Provider::Hmac, "", JSON);
    let (head, parsed) = through(&reader, &headers, "{}");
    assert_eq!(
        (said(parsed.unwrap()).events[0].kind.as_str(), head.delivery_id.len()),
        ("hmac", 64)
    );
    headers.insert("x-acme-event", HeaderValue::from_static("order:paid"));
    headers.insert("x-acme-id", HeaderValue::from_static("7"));
    let (head, parsed) = through(&reader, &headers, "{}");
    assert_eq!(said(parsed.unwrap()).events[0].kind.as_str(), "order:paid");
    assert_eq!(&*head.delivery_id, "7");
}

#[test]
fn standard_webhooks_have_a_type_and_data() {
    let (provider, kind, text) = fixture("standard_webhooks/invoice_paid");
    let (head, parsed) = through(&reader(provider), &headers(provider, kind, JSON), text);
    assert_eq!(&*head.delivery_id, "delivery-1");
    let event = said(parsed.unwrap()).events.remove(0);
    assert_eq!(event.kind.as_str(), "invoice.paid");
    assert_eq!(event.inputs["amount"], 100);
}
