//! Every way in which a proof can be wrong, for every scheme.

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use super::*;
use crate::webhook::{Encoding, Secret, sign, signed_headers};

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
fn githubs_published_example_verifies() {
    let headers = HeaderMap::from_iter([(
        HeaderName::from_static(SIGNATURE_HEADER),
        HeaderValue::from_static(
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        ),
    )]);
    let secrets = Secrets::new(vec![Secret::new(b"It's a Secret to Everybody").unwrap()]).unwrap();
    assert!(check(Scheme::Github, &headers, b"Hello, World!", &secrets, None).is_ok());
    assert_eq!(headers[SIGNATURE_HEADER], sign(secrets.first(), b"Hello, World!"));
}

#[test]
fn slacks_published_example_verifies() {
    let body = b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow\
        &channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner\
        &command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2F\
        T1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
        &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let mut headers = HeaderMap::new();
    headers.insert("x-slack-request-timestamp", HeaderValue::from_static("1531420618"));
    headers.insert(
        "x-slack-signature",
        HeaderValue::from_static(
            "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        ),
    );
    let key = Secret::new(b"8f742231b10e8888abcd99yyyzzz85a5").unwrap();
    let secrets = Secrets::new(vec![key]).unwrap();
    assert!(check(Scheme::SlackV0, &headers, body, &secrets, Some(1_531_420_618)).is_ok());
    assert!(check(Scheme::SlackV0, &headers, &body[1..], &secrets, Some(1_531_420_618)).is_err());
}

/// The vector of the specification's own libraries, for both names of the scheme.
#[test]
fn the_published_example_of_standard_webhooks_verifies() {
    let headers: HeaderMap = [
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("webhook-timestamp", "1614265330"),
        ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ]
    .into_iter()
    .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
    .collect();
    for key in ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
        let secrets = Secrets::new(vec![Secret::new(key.as_bytes()).unwrap()]).unwrap();
        for scheme in [Scheme::StandardWebhooks, Scheme::GitlabSigning] {
            let body = br#"{"test": 2432232314}"#;
            let now = Some(1_614_265_330);
            assert!(check(scheme, &headers, body, &secrets, now).is_ok(), "{key}");
        }
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
fn a_code_of_the_wrong_form_is_rejected() {
    let prefixed = |scheme: Scheme, prefix: &'static str| {
        let digits = with_proof(scheme, |it| it.strip_prefix(prefix).unwrap().to_owned());
        let digits = digits[scheme.header()].to_str().unwrap().to_owned();
        let wrong = [
            String::new(),
            prefix.to_owned(),
            format!("sha1={digits}"),
            format!("SHA256={digits}"),
            format!("{prefix}{}", digits.to_uppercase()),
            format!("{prefix}{}", &digits[..62]),
            format!("{prefix}{}", &digits[..63]),
            format!("{prefix}{digits}0"),
            format!("{prefix}{digits}00"),
            format!("{prefix} {digits}"),
            format!("{prefix}{digits},{prefix}{digits}"),
            format!("{prefix}0x{}", &digits[2..]),
            format!("{prefix}{}zz", &digits[..62]),
        ];
        let more = if prefix.is_empty() { format!("sha256={digits}") } else { digits };
        for value in wrong.iter().chain([&more]) {
            let refused = outcome(scheme, &with_proof(scheme, |_| value.clone()), BODY);
            assert_eq!(refused.unwrap_err().label(), "malformed", "{scheme} {value}");
        }
    };
    prefixed(Scheme::Github, "sha256=");
    prefixed(Scheme::Gitea, "");
    prefixed(Scheme::Bitbucket, "sha256=");
    prefixed(Scheme::SlackV0, "v0=");
    prefixed(Scheme::RawHmacSha256, "");
}

#[test]
fn a_list_of_codes_is_read_by_its_version() {
    for scheme in [Scheme::StandardWebhooks, Scheme::GitlabSigning] {
        let accepted: [fn(&str) -> String; 3] = [
            |good| format!("v2,AAAA {good}"),
            |good| format!("v1a,AAAA v1,{} {good}", "A".repeat(43) + "="),
            |good| format!("{good} v1,notbase64!"),
        ];
        for change in accepted {
            assert!(outcome(scheme, &with_proof(scheme, change), BODY).is_ok());
        }
        let refused: [fn(&str) -> String; 9] = [
            |_| String::new(),
            |good| good.replacen("v1,", "", 1),
            |good| good.replacen("v1,", "v2,", 1),
            |good| good.replacen("v1,", "v1", 1),
            |good| good.replacen("v1,", "V1,", 1),
            |good| good[..good.len() - 1].to_owned(),
            |good| good[..good.len() - 4].to_owned(),
            |good| format!("{good}="),
            |good| format!("v1,{}", &good[3..].to_lowercase()),
        ];
        for change in refused {
            let headers = with_proof(scheme, change);
            assert!(outcome(scheme, &headers, BODY).is_err(), "{headers:?}");
        }
    }
}

#[test]
fn a_token_is_compared_as_a_whole() {
    for scheme in [Scheme::Gitlab, Scheme::TelegramToken, Scheme::MattermostToken] {
        let wrong: [fn(&str) -> String; 6] = [
            |good| good[..good.len() - 1].to_owned(),
            |good| format!("{good}t"),
            |good| good.replace("current", "Current"),
            |good| good.replace("current", ""),
            |good| format!("{good},{good}"),
            |good| good.replace("current", "c"),
        ];
        for change in wrong {
            assert!(outcome(scheme, &with_proof(scheme, change), BODY).is_err(), "{scheme}");
        }
    }
}

#[test]
fn a_token_in_the_body_is_read_from_forms_and_json_once() {
    let of = |content_type: &str, body: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
        outcome(Scheme::MattermostToken, &headers, body.as_bytes())
    };
    let (json, form) = ("application/json; charset=utf-8", "application/x-www-form-urlencoded");
    assert!(of(json, r#"{"a":{"token":"x"},"token":"current"}"#).is_ok());
    assert!(of(form, "text=a&token=current").is_ok());
    for (kind, body) in [
        (json, r#"{"token":"current","token":"current"}"#),
        (json, r#"{"token":"wrong"}"#),
        (json, r#"{"token":""}"#),
        (json, r#"{"token":["current"]}"#),
        (json, r#"{"a":{"token":"current"}}"#),
        (json, "token=current"),
        (json, "[\"current\"]"),
        (form, "token=current&token=current"),
        (form, "token="),
        (form, "Token=current"),
        (form, r#"{"token":"current"}"#),
        ("text/plain", "token=current"),
    ] {
        assert!(of(kind, body).is_err(), "{kind} {body}");
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
fn a_plain_code_stands_where_and_as_the_source_says() {
    for rule in [
        raw("x-acme-hmac", "", Encoding::Base64),
        raw("x-acme-hmac", "hmac ", Encoding::Hex),
        raw("x-acme-hmac", "sha256=", Encoding::Base64),
    ] {
        let secret = Secret::new(b"current").unwrap();
        let made = signed_headers(&rule, &secret, ID, NOW, BODY).unwrap().unwrap();
        let headers: HeaderMap =
            made.iter().map(|(name, it)| (name.parse().unwrap(), it.parse().unwrap())).collect();
        let secrets = Secrets::new(vec![secret]).unwrap();
        assert!(check_by(rule.clone(), &headers, BODY, &secrets, None).is_ok(), "{headers:?}");
        let mut padded = headers.clone();
        let value = format!("{}=", headers[&rule.header].to_str().unwrap());
        padded.insert(&rule.header, HeaderValue::from_str(&value).unwrap());
        assert!(check_by(rule, &padded, BODY, &secrets, None).is_err(), "{padded:?}");
    }
}

/// Gitea signs the JSON before it puts it into the form; everybody else the form.
#[test]
fn of_a_form_gitea_signs_the_field_and_the_others_the_body() {
    let form: String = form_urlencoded::Serializer::new(String::new())
        .append_pair("payload", "{\"a\": \"é &\"}")
        .finish();
    let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
    let of = |scheme: Scheme, signed: &str, sent: &str| {
        let mut headers = signed_at(scheme, "current", signed.as_bytes(), NOW);
        headers.insert(CONTENT_TYPE, kind.clone());
        outcome(scheme, &headers, sent.as_bytes()).is_ok()
    };
    let json = "{\"a\": \"é &\"}";
    assert!(of(Scheme::Gitea, json, &form) && of(Scheme::Github, &form, &form));
    assert!(!of(Scheme::Gitea, &form, &form) && !of(Scheme::Github, json, &form));
    assert!(!of(Scheme::Gitea, json, &format!("{form}&{form}")));
    assert!(!of(Scheme::Gitea, json, json) && !of(Scheme::Gitea, "", "a=b"));
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
