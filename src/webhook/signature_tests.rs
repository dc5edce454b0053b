//! Every way in which a proof can be wrong, for every scheme.

use axum::http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use super::*;
use crate::webhook::{Encoding, Secret, signed_headers};

#[path = "signature_form_tests.rs"]
mod forms;

const BODY: &[u8] = br#"{"zen":"Keep it logically awesome.","n":1,"token":"current"}"#;
const NOW: i64 = 1_700_000_000;
const ID: &str = "msg_1";

/// A secret of that name, as the scheme wants it.
fn secret(scheme: Scheme, name: &str) -> Secret {
    let text = match scheme.form() {
        Form::MacList => {
            use base64::Engine as _;
            format!("whsec_{}", base64::engine::general_purpose::STANDARD.encode(name.repeat(4)))
        }
        Form::Ed25519 => hex::encode(pair(name).public_key()),
        _ => name.to_owned(),
    };
    Secret::new(text.as_bytes()).unwrap()
}

fn secrets(scheme: Scheme, names: &[&str]) -> Secrets {
    Secrets::new(names.iter().map(|name| secret(scheme, name)).collect()).unwrap()
}

fn pair(name: &str) -> Ed25519KeyPair {
    let mut seed = [0; 32];
    seed[..name.len()].copy_from_slice(name.as_bytes());
    Ed25519KeyPair::from_seed_unchecked(&seed).unwrap()
}

/// The headers of a body signed by the secret of that name.
fn signed_at(scheme: Scheme, name: &str, body: &[u8], now: i64) -> HeaderMap {
    let made = signed_headers(&scheme.into(), &secret(scheme, name), ID, now, body).unwrap();
    let made = made.unwrap_or_else(|| {
        let message = [now.to_string().as_bytes(), body].concat();
        let signature = hex::encode(pair(name).sign(&message));
        vec![
            ("x-signature-timestamp".to_owned(), now.to_string()),
            ("x-signature-ed25519".to_owned(), signature),
        ]
    });
    made.into_iter()
        .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(&value).unwrap()))
        .collect()
}

fn signed(scheme: Scheme) -> HeaderMap {
    signed_at(scheme, "current", BODY, NOW)
}

fn outcome(scheme: Scheme, headers: &HeaderMap, body: &[u8]) -> Result<Verification, Rejection> {
    check(scheme, headers, body, &secrets(scheme, &["current"]), Some(NOW)).map(|it| it.how())
}

/// The same headers with another proof.
fn with_proof(scheme: Scheme, change: impl Fn(&str) -> String) -> HeaderMap {
    let mut headers = signed(scheme);
    let value = change(headers[scheme.header()].to_str().unwrap());
    headers.insert(scheme.header(), HeaderValue::from_str(&value).unwrap());
    headers
}

fn raw(header: &'static str, prefix: &str, encoding: Encoding) -> SignatureRule {
    SignatureRule {
        header: HeaderName::from_static(header),
        prefix: prefix.into(),
        encoding,
        ..Scheme::RawHmacSha256.into()
    }
}

#[test]
fn what_is_signed_as_each_scheme_says_is_accepted() {
    for scheme in Scheme::all() {
        assert_eq!(outcome(scheme, &signed(scheme), BODY), Ok(Verification::Signed), "{scheme}");
    }
}

#[test]
fn any_active_secret_is_accepted_during_a_rotation() {
    for scheme in Scheme::all() {
        for key in ["old", "current"] {
            // The token of Mattermost lies in the header here.
            let headers = signed_at(scheme, key, BODY, NOW);
            let of = |names: &[&str]| {
                check(scheme, &headers, BODY, &secrets(scheme, names), Some(NOW)).map(|it| it.how())
            };
            assert_eq!(of(&["current", "old"]), Ok(Verification::Signed), "{scheme}");
            let refused = Err(Rejection::Mismatch { secrets: 2 });
            assert_eq!(of(&["newer", "newest"]), refused, "{scheme}");
        }
    }
}

#[test]
fn a_missing_proof_is_rejected() {
    for scheme in Scheme::all() {
        let refused = outcome(scheme, &HeaderMap::new(), BODY).unwrap_err();
        assert_eq!(refused.label(), "missing", "{scheme}");
    }
}

/// Of a scheme that also signs other headers, each of them.
#[test]
fn a_missing_or_repeated_signed_header_is_rejected() {
    for scheme in Scheme::all() {
        let good = signed(scheme);
        for name in good.keys() {
            let mut without = good.clone();
            without.remove(name);
            let refused = outcome(scheme, &without, BODY).unwrap_err();
            assert_eq!(refused.label(), "missing", "{scheme} {name}");
            let mut twice = good.clone();
            twice.append(name, good[name].clone());
            let refused = outcome(scheme, &twice, BODY);
            assert_eq!(refused, Err(Rejection::Several { header: name.clone(), count: 2 }));
        }
    }
}

#[test]
fn another_providers_proof_is_rejected_and_named() {
    for wanted in Scheme::all().filter(|it| *it != Scheme::MattermostToken) {
        for other in Scheme::all().filter(|it| it.header() != wanted.header()) {
            let refused = outcome(wanted, &signed(other), BODY).unwrap_err();
            assert_eq!(refused.label(), "other_provider", "{other} at {wanted}");
            assert!(refused.to_string().contains(other.header()), "{refused}");
        }
    }
}

#[test]
fn a_signed_time_may_be_five_minutes_away_and_no_second_more() {
    for scheme in Scheme::all().filter(|it| it.needs_time()) {
        for (away, accepted) in
            [(0, true), (300, true), (-300, true), (301, false), (-301, false), (-NOW, false)]
        {
            let headers = signed_at(scheme, "current", BODY, NOW + away);
            let outcome = outcome(scheme, &headers, BODY);
            assert_eq!(outcome.is_ok(), accepted, "{scheme} {away}");
            if let Err(refused) = outcome {
                assert_eq!(refused.label(), "stale");
            }
        }
        let secrets = secrets(scheme, &["current"]);
        let refused = check(scheme, &signed(scheme), BODY, &secrets, None).map(|it| it.how());
        assert_eq!(refused, Err(Rejection::NoTime(scheme)));
    }
}

#[test]
fn a_time_that_is_none_is_rejected_and_so_is_one_that_was_not_signed() {
    for scheme in Scheme::all() {
        let Some(name) = scheme.time_header() else { continue };
        let with_time = |value: &str| {
            let mut headers = signed(scheme);
            headers.insert(name, HeaderValue::from_str(value).unwrap());
            outcome(scheme, &headers, BODY).unwrap_err().label()
        };
        for value in ["", "now", "-1", "+1700000000", "1700000000.0", " 1", "0x1", &"9".repeat(30)]
        {
            assert_eq!(with_time(value), "malformed", "{scheme} {value}");
        }
        assert_eq!(with_time("1700000001"), "mismatch", "{scheme}");
        assert_eq!(with_time("01700000000"), "mismatch", "{scheme}");
    }
}

#[test]
fn an_id_that_was_not_signed_is_rejected() {
    for scheme in [Scheme::StandardWebhooks, Scheme::GitlabSigning] {
        let mut headers = signed(scheme);
        headers.insert("webhook-id", HeaderValue::from_static("msg_2"));
        let refused = outcome(scheme, &headers, BODY);
        assert_eq!(refused, Err(Rejection::Mismatch { secrets: 1 }));
    }
}

#[test]
fn a_body_that_was_read_and_written_again_is_rejected() {
    let value: serde_json::Value = serde_json::from_slice(BODY).unwrap();
    let rewritten = serde_json::to_vec_pretty(&value).unwrap();
    for scheme in Scheme::all() {
        if matches!(scheme.form(), Form::Token | Form::TokenInBody) {
            continue;
        }
        let refused = outcome(scheme, &signed(scheme), &rewritten);
        assert_eq!(refused, Err(Rejection::Mismatch { secrets: 1 }), "{scheme}");
    }
}

#[test]
fn a_code_made_with_an_empty_secret_is_rejected() {
    let mut mac = crate::webhook::keys::mac(b"");
    mac.update(BODY);
    let value = hex::encode(mac.finalize().into_bytes());
    for scheme in [Scheme::Github, Scheme::Gitea, Scheme::Bitbucket, Scheme::RawHmacSha256] {
        let prefix = SignatureRule::from(scheme).prefix;
        let headers = with_proof(scheme, |_| format!("{prefix}{value}"));
        assert_eq!(outcome(scheme, &headers, BODY), Err(Rejection::Mismatch { secrets: 1 }));
    }
}

#[test]
fn a_secret_that_is_no_key_of_its_scheme_is_named_and_fits_nothing() {
    let cases = [
        (Scheme::StandardWebhooks, "whsec_", KeyError::Empty),
        (Scheme::StandardWebhooks, "whsec_*", KeyError::NotBase64),
        (Scheme::GitlabSigning, "two words", KeyError::NotBase64),
        (Scheme::DiscordEd25519, "0badc0de", KeyError::NotAPublicKey),
    ];
    for (scheme, text, error) in cases {
        let secrets = Secrets::new(vec![Secret::new(text.as_bytes()).unwrap()]).unwrap();
        let refused = check(scheme, &signed(scheme), BODY, &secrets, Some(NOW)).unwrap_err();
        assert_eq!(refused, Rejection::Key { scheme, error });
        assert!(!refused.to_string().contains("0badc0de"));
    }
}

#[test]
fn an_insecure_source_takes_anything_and_says_so() {
    let verified = verify(&HeaderMap::new(), BODY, &SourceAuth::Insecure, None).unwrap();
    assert_eq!(verified.how(), Verification::Insecure);
}

#[test]
fn no_reason_repeats_what_was_sent() {
    for scheme in Scheme::all() {
        let refused = outcome(scheme, &with_proof(scheme, |_| "deadbeef".into()), BODY);
        let refused = refused.unwrap_err();
        assert!(!format!("{refused} {refused:?}").contains("deadbeef"), "{scheme}");
    }
}

#[test]
fn keys_do_not_show_themselves() {
    let keys = Keys::new(Scheme::Gitlab.into(), &secrets(Scheme::Gitlab, &["hunter2"])).unwrap();
    assert_eq!(format!("{keys:?}"), "Keys(gitlab, 1 redacted)");
}

fn auth(scheme: Scheme, names: &[&str]) -> SourceAuth {
    SourceAuth::Signed(Keys::new(scheme.into(), &secrets(scheme, names)).unwrap())
}

#[test]
fn a_streamed_body_is_refused_by_its_headers_before_it_is_read() {
    for scheme in Scheme::all() {
        let begun = Verifier::new(&HeaderMap::new(), &auth(scheme, &["current"]), Some(NOW));
        assert_eq!(begun.map(|_| ()).unwrap_err().label(), "missing", "{scheme}");
    }
}

#[test]
fn a_verdict_does_not_fit_a_body_of_another_length() {
    for scheme in Scheme::all() {
        let verifier = || {
            let mut verifier =
                Verifier::new(&signed(scheme), &auth(scheme, &["current"]), Some(NOW)).unwrap();
            verifier.update(BODY);
            verifier
        };
        assert!(verifier().finish(&BODY[1..]).is_err(), "{scheme}");
        assert_eq!(verifier().finish(BODY).unwrap().how(), Verification::Signed);
    }
}

proptest! {
    #[test]
    fn the_verdict_does_not_depend_on_how_a_body_is_cut(
        body in proptest::collection::vec(any::<u8>(), 0..300),
        step in 1_usize..100,
    ) {
        for scheme in Scheme::all() {
            let headers = signed_at(scheme, "current", &body, NOW);
            let mut verifier =
                Verifier::new(&headers, &auth(scheme, &["old", "current"]), Some(NOW)).unwrap();
            for chunk in body.chunks(step) {
                verifier.update(chunk);
            }
            prop_assert!(verifier.finish(&body).is_ok());
        }
    }

    #[test]
    fn a_body_with_one_changed_byte_is_rejected(
        at in 0..BODY.len(),
        flip in 1_u8..=255,
    ) {
        let mut body = BODY.to_vec();
        body[at] ^= flip;
        for scheme in Scheme::all() {
            if matches!(scheme.form(), Form::Token | Form::TokenInBody) {
                continue;
            }
            let refused = outcome(scheme, &signed(scheme), &body);
            prop_assert_eq!(refused, Err(Rejection::Mismatch { secrets: 1 }));
        }
    }
}
