//! Every way in which a signature can be wrong.

use axum::http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

use super::*;

const BODY: &[u8] = br#"{"zen":"Keep it logically awesome.","n":1}"#;

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes()).unwrap()
}

fn signed_by(texts: &[&str]) -> SourceAuth {
    SourceAuth::Signed(Secrets::new(texts.iter().map(|it| secret(it)).collect()).unwrap())
}

fn headers(name: &'static str, value: &str) -> HeaderMap {
    HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_str(value).unwrap())])
}

fn good() -> String {
    sign(&secret("current"), BODY)
}

fn outcome(headers: &HeaderMap, body: &[u8]) -> Result<Verification, Rejection> {
    verify(headers, body, &signed_by(&["current"])).map(|verified| verified.how())
}

fn with_signature(value: &str) -> Result<Verification, Rejection> {
    outcome(&headers(SIGNATURE_HEADER, value), BODY)
}

#[test]
fn githubs_published_example_verifies() {
    // The values of GitHub's page on validating deliveries.
    let secret = secret("It's a Secret to Everybody");
    let expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert_eq!(sign(&secret, b"Hello, World!"), expected);
    let auth = SourceAuth::Signed(Secrets::new(vec![secret]).unwrap());
    let headers = headers(SIGNATURE_HEADER, expected);
    assert!(verify(&headers, b"Hello, World!", &auth).is_ok());
}

#[test]
fn any_active_secret_is_accepted_during_a_rotation() {
    for key in ["old", "current"] {
        let headers = headers(SIGNATURE_HEADER, &sign(&secret(key), BODY));
        assert!(verify(&headers, BODY, &signed_by(&["current", "old"])).is_ok(), "{key}");
        assert_eq!(
            verify(&headers, BODY, &signed_by(&["newer", "newest"])).map(|it| it.how()),
            Err(Rejection::Mismatch { secrets: 2 })
        );
    }
}

#[test]
fn a_missing_signature_is_rejected() {
    assert_eq!(outcome(&HeaderMap::new(), BODY), Err(Rejection::Missing));
}

#[test]
fn another_providers_signature_is_rejected_and_named() {
    for name in OTHER_SIGNATURES {
        let rejection = outcome(&headers(name, &good()), BODY).unwrap_err();
        assert_eq!(rejection, Rejection::OtherProvider { header: name });
        assert!(rejection.to_string().contains(name));
    }
}

#[test]
fn a_signature_of_the_wrong_form_is_rejected() {
    let good = good();
    let digits = good.strip_prefix("sha256=").unwrap();
    let wrong = [
        String::new(),
        "sha256=".to_owned(),
        digits.to_owned(),
        format!("sha1={digits}"),
        format!("SHA256={digits}"),
        format!("sha256={}", digits.to_uppercase()),
        format!("sha256={}", &digits[..62]),
        format!("sha256={}", &digits[..63]),
        format!("sha256={digits}0"),
        format!("sha256={digits}00"),
        format!("sha256= {digits}"),
        format!("sha256={digits},sha256={digits}"),
        format!("sha256=0x{}", &digits[2..]),
        format!("sha256={}zz", &digits[..62]),
    ];
    for value in wrong {
        let bytes = value.len();
        assert_eq!(with_signature(&value), Err(Rejection::Malformed { bytes }), "{value}");
    }
}

#[test]
fn two_signatures_are_rejected_even_when_both_are_good() {
    let mut headers = headers(SIGNATURE_HEADER, &good());
    headers.append(SIGNATURE_HEADER, good().parse().unwrap());
    assert_eq!(outcome(&headers, BODY), Err(Rejection::Several { count: 2 }));
}

#[test]
fn a_body_that_was_read_and_written_again_is_rejected() {
    let value: serde_json::Value = serde_json::from_slice(BODY).unwrap();
    let rewritten = serde_json::to_vec_pretty(&value).unwrap();
    let headers = headers(SIGNATURE_HEADER, &good());
    assert_eq!(outcome(&headers, &rewritten), Err(Rejection::Mismatch { secrets: 1 }));
    assert!(outcome(&headers, BODY).is_ok());
}

#[test]
fn a_signature_made_with_an_empty_secret_is_rejected() {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"").unwrap();
    mac.update(BODY);
    let value = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    assert_eq!(with_signature(&value), Err(Rejection::Mismatch { secrets: 1 }));
}

#[test]
fn an_insecure_source_takes_anything_and_says_so() {
    let verified = verify(&HeaderMap::new(), BODY, &SourceAuth::Insecure).unwrap();
    assert_eq!(verified.how(), Verification::Insecure);
}

#[test]
fn no_reason_repeats_what_was_sent() {
    let sent = "sha256=deadbeef";
    let rejection = with_signature(sent).unwrap_err();
    assert!(!rejection.to_string().contains("deadbeef"));
    assert!(!format!("{rejection:?}").contains("deadbeef"));
}

#[test]
fn a_streamed_body_is_refused_by_its_headers_before_it_is_read() {
    let verifier = Verifier::new(&HeaderMap::new(), &signed_by(&["current"]));
    assert_eq!(verifier.map(|_| ()), Err(Rejection::Missing));
}

#[test]
fn a_proof_does_not_fit_a_body_of_another_length() {
    let mut verifier =
        Verifier::new(&headers(SIGNATURE_HEADER, &good()), &signed_by(&["current"])).unwrap();
    verifier.update(BODY);
    let proof = verifier.finish().unwrap();
    assert!(proof.over(&BODY[1..]).is_none());
    assert_eq!(proof.over(BODY).unwrap().how(), Verification::Signed);
}

proptest! {
    #[test]
    fn the_verdict_does_not_depend_on_how_a_body_is_cut(
        body in proptest::collection::vec(any::<u8>(), 0..300),
        step in 1_usize..100,
    ) {
        let auth = signed_by(&["old", "current"]);
        let headers = headers(SIGNATURE_HEADER, &sign(&secret("current"), &body));
        let mut verifier = Verifier::new(&headers, &auth).unwrap();
        for chunk in body.chunks(step) {
            verifier.update(chunk);
        }
        prop_assert!(verifier.finish().unwrap().over(&body).is_some());
    }

    #[test]
    fn a_body_with_one_changed_byte_is_rejected(
        at in 0..BODY.len(),
        flip in 1_u8..=255,
    ) {
        let mut body = BODY.to_vec();
        body[at] ^= flip;
        let headers = headers(SIGNATURE_HEADER, &good());
        prop_assert_eq!(outcome(&headers, &body), Err(Rejection::Mismatch { secrets: 1 }));
    }
}
