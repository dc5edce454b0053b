//! Reading what a request offers as its proof. Of each form exactly one spelling is accepted, the
//! one that the provider sends.

use std::borrow::Cow;

use axum::http::{HeaderMap, HeaderName, header::CONTENT_TYPE};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::scheme::{Encoding, Form, SignatureRule};
use super::signature::{MAC_BYTES, Rejection};

/// The field of a body that carries a token.
const TOKEN_FIELD: &str = "token";

/// The value of a header that must be there exactly once: with two of them, we and something in
/// between could each believe another one.
pub(super) fn only<'h>(headers: &'h HeaderMap, header: &HeaderName) -> Result<&'h [u8], Rejection> {
    let mut values = headers.get_all(header).iter();
    let value = values.next().ok_or_else(|| Rejection::Missing { header: header.clone() })?;
    match values.count() {
        0 => Ok(value.as_bytes()),
        more => Err(Rejection::Several { header: header.clone(), count: more + 1 }),
    }
}

/// Whether the signed time, where the scheme has one, is near the present.
pub(super) fn in_time(
    headers: &HeaderMap,
    rule: &SignatureRule,
    now_unix_s: Option<i64>,
) -> Result<(), Rejection> {
    let Some(name) = rule.scheme.time_header() else { return Ok(()) };
    let header = HeaderName::from_static(name);
    let value = only(headers, &header)?;
    let now = now_unix_s.ok_or(Rejection::NoTime(rule.scheme))?;
    let digits = value.iter().all(u8::is_ascii_digit);
    let sent = std::str::from_utf8(value).ok().filter(|_| digits).and_then(|it| it.parse().ok());
    let malformed = || malformed(&header, value, "a time in seconds since 1970");
    let away_s = now.abs_diff(sent.ok_or_else(malformed)?);
    let tolerance_s = rule.timestamp_tolerance_s;
    if away_s > u64::try_from(tolerance_s).unwrap_or(0) {
        return Err(Rejection::Stale { away_s, tolerance_s });
    }
    Ok(())
}

/// The codes that were sent: one, or all of a list that have the version that is read.
pub(super) fn codes(value: &[u8], rule: &SignatureRule) -> Result<Vec<[u8; MAC_BYTES]>, Rejection> {
    let prefix = rule.prefix.as_bytes();
    if rule.scheme.form() == Form::MacList {
        let entries = value.split(|byte| *byte == b' ');
        let mine = entries.filter_map(|it| it.strip_prefix(prefix)?.strip_prefix(b","));
        let codes: Vec<_> = mine.filter_map(base64_code).collect();
        let what = "a list of `v1,` and base64";
        return if codes.is_empty() {
            Err(malformed(&rule.header, value, what))
        } else {
            Ok(codes)
        };
    }
    let code = value.strip_prefix(prefix).and_then(|code| match rule.encoding {
        Encoding::Hex => lower_hex(code),
        Encoding::Base64 => base64_code(code),
    });
    let what = match rule.encoding {
        Encoding::Hex => "its prefix and 64 lower-case hex digits",
        Encoding::Base64 => "its prefix and 44 characters of base64",
    };
    code.map(|code| vec![code]).ok_or_else(|| malformed(&rule.header, value, what))
}

/// The bytes of a signature in hex.
pub(super) fn hex_bytes<const N: usize>(
    value: &[u8],
    rule: &SignatureRule,
) -> Result<[u8; N], Rejection> {
    lower_hex(value).ok_or_else(|| malformed(&rule.header, value, "a signature in lower-case hex"))
}

/// The token of a header.
pub(super) fn token<'v>(value: &'v [u8], rule: &SignatureRule) -> Result<&'v [u8], Rejection> {
    value
        .strip_prefix(rule.prefix.as_bytes())
        .filter(|token| !token.is_empty())
        .ok_or_else(|| malformed(&rule.header, value, "its prefix and a token"))
}

/// Whether the body is a form or JSON; `None` when it is neither.
pub(super) fn is_form(headers: &HeaderMap) -> Option<bool> {
    let value = headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    let essence = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let is = |name: &str| essence.eq_ignore_ascii_case(name.as_bytes());
    let is_form = is("application/x-www-form-urlencoded");
    (is_form || is("application/json")).then_some(is_form)
}

/// The one token in a body. Reads nothing but that field, and refuses a body that has it twice.
pub(super) fn body_token<'b>(
    body: &'b [u8],
    is_form: bool,
    header: &HeaderName,
) -> Result<Cow<'b, str>, Rejection> {
    let found = if is_form { form_field(body, TOKEN_FIELD) } else { json_token(body) };
    let found = found.filter(|token| !token.is_empty());
    found.ok_or_else(|| Rejection::NoToken { header: header.clone() })
}

/// The one field of that name in a form.
pub(super) fn form_field<'b>(body: &'b [u8], wanted: &str) -> Option<Cow<'b, str>> {
    let mut found =
        form_urlencoded::parse(body).filter_map(|(name, value)| (name == wanted).then_some(value));
    let field = found.next()?;
    found.next().is_none().then_some(field)
}

fn json_token(body: &[u8]) -> Option<Cow<'_, str>> {
    /// A second `token` is an error to the reader. A list is not, so it is looked at before.
    #[derive(Deserialize)]
    struct WithToken<'a> {
        #[serde(borrow)]
        token: Cow<'a, str>,
    }
    body.trim_ascii_start().starts_with(b"{").then_some(())?;
    serde_json::from_slice::<WithToken<'_>>(body).ok().map(|it| it.token)
}

fn lower_hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    if digits.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    let mut bytes = [0; N];
    hex::decode_to_slice(digits, &mut bytes).ok()?;
    Some(bytes)
}

fn base64_code(text: &[u8]) -> Option<[u8; MAC_BYTES]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

fn malformed(header: &HeaderName, value: &[u8], expected: &'static str) -> Rejection {
    Rejection::Malformed { header: header.clone(), bytes: value.len(), expected }
}
