//! Which headers of a request are kept beside its body.

use axum::http::HeaderMap;
use serde_json::{Map, Value};

/// A header whose name contains one of these proves who sent the request, or might: it is dropped,
/// because what is stored is shown to everybody who may see deliveries. Better one too many than
/// one too few: the body and the delivery's own columns hold what is needed.
const AUTHENTICATES: [&str; 9] =
    ["signature", "token", "auth", "cookie", "secret", "password", "key", "session", "credential"];

/// All headers but those that authenticate, as the text of one JSON object. Repeated headers are
/// joined by `, ` as HTTP defines; bytes that are no UTF-8 are replaced.
pub(super) fn kept(headers: &HeaderMap) -> Box<str> {
    let mut object = Map::new();
    for name in headers.keys() {
        if authenticates(name.as_str()) {
            continue;
        }
        let values = headers.get_all(name).iter().filter(|value| !value.is_sensitive());
        let values: Vec<_> =
            values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        if !values.is_empty() {
            object.insert(name.as_str().to_owned(), Value::String(values.join(", ")));
        }
    }
    Value::Object(object).to_string().into()
}

/// Names are lower-case already: `http` sees to that.
fn authenticates(name: &str) -> bool {
    AUTHENTICATES.into_iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn headers_that_authenticate_are_not_kept() {
        let mut headers = HeaderMap::new();
        for name in [
            "x-hub-signature",
            "x-hub-signature-256",
            "authorization",
            "proxy-authorization",
            "cookie",
            "x-gitlab-token",
            "webhook-signature",
            "x-api-key",
            "x-amz-security-token",
        ] {
            headers.insert(name, HeaderValue::from_static("s3cr3t"));
        }
        headers.insert("x-github-event", HeaderValue::from_static("push"));
        assert_eq!(&*kept(&headers), r#"{"x-github-event":"push"}"#);
    }

    #[test]
    fn repeated_headers_are_joined_and_odd_bytes_replaced() {
        let mut headers = HeaderMap::new();
        headers.append("accept", HeaderValue::from_static("a"));
        headers.append("accept", HeaderValue::from_bytes(b"b\xff").unwrap());
        assert_eq!(&*kept(&headers), "{\"accept\":\"a, b\u{fffd}\"}");
    }
}
