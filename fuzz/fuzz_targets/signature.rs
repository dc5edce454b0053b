//! Headers and bodies of strangers against every scheme: nobody who does not know the secret is believed.
//!
//! Input: a byte for the scheme, lines `name: value` up to an empty one, the body.

#![no_main]

use dispatchyard::webhook::{Scheme, Secret, Secrets, check, detect};
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;

const SCHEMES: [&str; 11] = [
    "github",
    "gitea",
    "gitlab",
    "gitlab_signing",
    "bitbucket",
    "slack_v0",
    "standard_webhooks",
    "raw_hmac_sha256",
    "telegram_token",
    "mattermost_token",
    "discord_ed25519",
];
const NOW_UNIX_S: i64 = 1_763_712_000;
/// Nobody finds this one by chance.
const HMAC_KEY: &[u8] = b"3f0a1c97b2e84d65a0f1c2d3e4b59687";
/// A public key whose private half is not kept anywhere (the point of RFC 8032, section 7.1, test 1).
const PUBLIC_KEY: &[u8] = b"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

fuzz_target!(|data: &[u8]| {
    let Some((which, rest)) = data.split_first() else { return };
    let name = SCHEMES[usize::from(*which) % SCHEMES.len()];
    let scheme: Scheme = name.parse().expect("one of the table");
    let end = rest.windows(2).position(|two| two == b"\n\n").unwrap_or(rest.len());
    let body = rest.get(end + 2..).unwrap_or_default();
    let mut headers = HeaderMap::new();
    for line in rest[..end].split(|byte| *byte == b'\n').take(50) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let value = line[colon + 1..].trim_ascii();
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(&line[..colon]), HeaderValue::from_bytes(value))
        {
            headers.append(name, value);
        }
    }
    let _ = detect(&headers);
    let text = if name == "discord_ed25519" { PUBLIC_KEY } else { HMAC_KEY };
    let secrets = Secrets::new(vec![Secret::new(text).expect("a secret")]).expect("secrets");
    let verdict = check(scheme, &headers, body, &secrets, Some(NOW_UNIX_S));
    assert!(verdict.is_err(), "{name} believed a stranger: {headers:?}");
});
