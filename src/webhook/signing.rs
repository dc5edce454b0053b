//! Signing what we send ourselves to a source: the `send` command, the demo, dry runs, tests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::Mac as _;

use super::Secret;
use super::keys::{KeyError, mac, standard_key};
use super::scheme::{Encoding, Form, Part, SignatureRule};

/// The value of [`SIGNATURE_HEADER`](super::SIGNATURE_HEADER) for a body.
pub fn sign(secret: &Secret, body: &[u8]) -> String {
    let mut mac = mac(secret.bytes());
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// The headers with which a body passes the check of a rule, names in lower case: the proof, and
/// of the schemes that sign them `id` and the time. `None` for
/// [`Scheme::DiscordEd25519`](super::Scheme::DiscordEd25519): whoever
/// checks a signature cannot make one.
///
/// # Errors
///
/// [`KeyError`] when the secret cannot be a key of the scheme.
pub fn signed_headers(
    rule: &SignatureRule,
    secret: &Secret,
    id: &str,
    now_unix_s: i64,
    body: &[u8],
) -> Result<Option<Vec<(String, String)>>, KeyError> {
    let key = match rule.scheme.form() {
        Form::Ed25519 => return Ok(None),
        Form::Token | Form::TokenInBody => {
            let token = String::from_utf8_lossy(secret.bytes());
            let value = format!("{}{token}", rule.prefix);
            return Ok(Some(vec![(rule.header.as_str().to_owned(), value)]));
        }
        Form::Mac(_) => secret.bytes().to_vec(),
        Form::MacList => standard_key(secret)?,
    };
    let mut mac = mac(&key);
    let mut headers = Vec::new();
    for part in rule.scheme.before() {
        match part {
            Part::Text(text) => mac.update(text.as_bytes()),
            Part::Header(name) => {
                let is_time = rule.scheme.time_header() == Some(name);
                let value = if is_time { now_unix_s.to_string() } else { id.to_owned() };
                mac.update(value.as_bytes());
                headers.push(((*name).to_owned(), value));
            }
        }
    }
    mac.update(body);
    let code = mac.finalize().into_bytes();
    let value = match (rule.scheme.form(), rule.encoding) {
        (Form::MacList, _) => format!("{},{}", rule.prefix, STANDARD.encode(code)),
        (_, Encoding::Base64) => format!("{}{}", rule.prefix, STANDARD.encode(code)),
        (_, Encoding::Hex) => format!("{}{}", rule.prefix, hex::encode(code)),
    };
    headers.push((rule.header.as_str().to_owned(), value));
    Ok(Some(headers))
}
