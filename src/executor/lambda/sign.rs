//! Signatures of requests to AWS, version 4:
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.
//!
//! Written here, and not taken from `aws-sigv4`: that brings 21 crates for one kind of request, and one of
//! them (`bytes-utils`) adds a comparison to `Box<str>` which makes `== "a".into()` ambiguous in all of
//! this crate.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// A key. Of its parts only the name is shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) id: String,
    pub(super) secret: String,
    /// What goes with keys that end.
    pub(super) session: Option<String>,
    /// When it ends (wall milliseconds); `None` for never.
    pub(super) ends_at_ms: Option<i64>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({}, ends {:?})", self.id, self.ends_at_ms)
    }
}

/// What a signature is good for.
pub(super) struct Scope {
    pub(super) region: String,
    pub(super) service: &'static str,
}

impl Scope {
    /// The headers that a request needs besides, sent at that time (wall milliseconds). All those that it
    /// has are signed.
    pub(super) fn sign(
        &self,
        credentials: &Credentials,
        wall_ms: i64,
        method: &str,
        url: &Url,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<HeaderMap, String> {
        let time = Timestamp::from_millisecond(wall_ms)
            .map_err(|error| format!("the clock shows no time that can be signed: {error}"))?;
        let time = time.strftime("%Y%m%dT%H%M%SZ").to_string();
        let day = &time[..8];
        let mut added = vec![("x-amz-date", time.clone())];
        added.extend(credentials.session.clone().map(|it| ("x-amz-security-token", it)));

        let mut signed: Vec<(&str, String)> = added.clone();
        signed.push(("host", host(url)));
        for (name, value) in headers {
            let text = value.to_str().map_err(|_| format!("the header {name} is no text"))?;
            signed.push((name.as_str(), text.split_whitespace().collect::<Vec<_>>().join(" ")));
        }
        signed.sort();
        let names: Vec<&str> = signed.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let lines: String =
            signed.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        // The path is escaped already, and once more for the signature.
        let (path, query) = (escaped(url.path(), "/"), query(url));
        let request = format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{}", hash(body));

        let Self { region, service } = self;
        let place = format!("{day}/{region}/{service}/aws4_request");
        let text = format!("{ALGORITHM}\n{time}\n{place}\n{}", hash(request.as_bytes()));
        let parts = [day, region, service, "aws4_request"];
        let secret = format!("AWS4{}", credentials.secret).into_bytes();
        let key = parts.iter().fold(secret, |key, part| mac(&key, part));
        let signature = hex::encode(mac(&key, &text));
        let Credentials { id, .. } = credentials;
        added.push((
            "authorization",
            format!(
                "{ALGORITHM} Credential={id}/{place}, SignedHeaders={names}, Signature={signature}"
            ),
        ));
        let header = |(name, text): (&'static str, String)| {
            let value = HeaderValue::from_str(&text);
            let mut value = value.map_err(|_| "its key cannot stand in a header".to_owned())?;
            value.set_sensitive(true);
            Ok((HeaderName::from_static(name), value))
        };
        added.into_iter().map(header).collect()
    }
}

/// As the client sends it: with the port, unless that is the scheme's own.
fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The query's pairs, in order.
fn query(url: &Url) -> String {
    let pairs = url.query_pairs().map(|(key, value)| (escaped(&key, ""), escaped(&value, "")));
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort();
    let pairs = pairs.into_iter().map(|(key, value)| format!("{key}={value}"));
    pairs.collect::<Vec<_>>().join("&")
}

/// With everything escaped but the letters that RFC 3986 does not reserve, and those that are kept.
fn escaped(text: &str, kept: &str) -> String {
    let one = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ if kept.as_bytes().contains(&byte) => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What all vectors have in common.
    const AT: &str = "2015-08-30T12:36:00Z";
    const SHORT_TOKEN: &str = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
    const TOKEN: &str = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";

    fn signature(
        token: Option<&str>,
        (method, target): (&str, &str),
        headers: &[(&'static str, &'static str)],
        body: &str,
    ) -> String {
        let token = token.map(str::to_owned);
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        let credentials = Credentials {
            id: "AKIDEXAMPLE".to_owned(),
            secret: secret.to_owned(),
            session: token,
            ends_at_ms: None,
        };
        let scope = Scope { region: "us-east-1".to_owned(), service: "service" };
        let at_ms = AT.parse::<jiff::Timestamp>().unwrap().as_millisecond();
        let url = format!("https://example.amazonaws.com{target}").parse().unwrap();
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let headers = headers.collect();
        let signed =
            scope.sign(&credentials, at_ms, method, &url, &headers, body.as_bytes()).unwrap();
        assert_eq!(signed["x-amz-date"], "20150830T123600Z");
        let authorization = signed["authorization"].to_str().unwrap();
        let (scope, signature) = authorization.split_once("Signature=").unwrap();
        let wanted =
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, ";
        assert!(scope.starts_with(wanted), "{authorization}");
        signature.to_owned()
    }

    /// The vectors that AWS has published as its test suite of Signature Version 4, of the names that
    /// stand behind them: <https://github.com/awslabs/aws-c-auth/tree/v0.9.0/tests/aws-signing-test-suite>.
    #[test]
    fn requests_are_signed_as_the_published_vectors_are() {
        let sorted = [("my-header1", "value1")];
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let unreserved = "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let vectors = [
            // get-vanilla
            (
                signature(None, ("GET", "/"), &[], ""),
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            // get-vanilla-query-order-key-case
            (
                signature(None, ("GET", "/?Param2=value2&Param1=value1"), &[], ""),
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            // get-unreserved
            (
                signature(None, ("GET", unreserved), &[], ""),
                "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
            ),
            // get-vanilla-with-session-token
            (
                signature(Some(SHORT_TOKEN), ("GET", "/"), &[], ""),
                "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
            ),
            // post-vanilla
            (
                signature(None, ("POST", "/"), &[], ""),
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            // post-vanilla-query
            (
                signature(None, ("POST", "/?Param1=value1"), &[], ""),
                "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
            ),
            // post-header-key-sort
            (
                signature(None, ("POST", "/"), &sorted, ""),
                "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
            ),
            // post-sts-header-before
            (
                signature(Some(TOKEN), ("POST", "/"), &[], ""),
                "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
            ),
            // post-x-www-form-urlencoded, as it was before the body's hash became a header in it
            (
                signature(None, ("POST", "/"), &form, "Param1=value1"),
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
        ];
        for (at, (made, published)) in vectors.iter().enumerate() {
            assert_eq!(made, published, "vector {at}");
        }
    }

    #[test]
    fn a_path_is_escaped_twice_and_a_query_once() {
        let url: Url = "https://a.example/x%3Ay/z?b=%24L&a=1%202&a=1".parse().unwrap();
        assert_eq!(escaped(url.path(), "/"), "/x%253Ay/z");
        assert_eq!(query(&url), "a=1&a=1%202&b=%24L");
        assert_eq!(escaped("\u{1234}", "/"), "%E1%88%B4");
        assert_eq!(host(&"http://[::1]:8080/".parse().unwrap()), "[::1]:8080");
        assert_eq!(host(&"https://a.example:443/".parse().unwrap()), "a.example");
    }

    #[test]
    fn a_secret_is_not_shown() {
        let (secret, session) = ("hunter2".to_owned(), Some("hunter2".to_owned()));
        let keys = Credentials { id: "AKID".to_owned(), secret, session, ends_at_ms: None };
        assert_eq!(format!("{keys:?}"), "Credentials(AKID, ends None)");
    }
}
