//! What each scheme accepts as its proof, and what its provider publishes of it.

use axum::http::header::CONTENT_TYPE;

use super::*;
use crate::webhook::sign;

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

/// Signed as it should be, with an id that is empty.
#[test]
fn a_delivery_without_an_id_is_rejected() {
    let headers: HeaderMap = [
        ("webhook-id", ""),
        ("webhook-timestamp", "1614265330"),
        ("webhook-signature", "v1,BbrBopkxy1IaPTmLxhGOIjtynRWNh3UqphKDPFaJ1cU="),
    ]
    .into_iter()
    .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
    .collect();
    let secret = Secret::new(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let secrets = Secrets::new(vec![secret]).unwrap();
    let body = br#"{"test": 2432232314}"#;
    for scheme in [Scheme::StandardWebhooks, Scheme::GitlabSigning] {
        let checked = check(scheme, &headers, body, &secrets, Some(1_614_265_330));
        assert!(matches!(checked, Err(Rejection::Missing { .. })), "{checked:?}");
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
