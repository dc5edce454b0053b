//! The second stage: what a verified request claims to be, by its headers.
//!
//! Signatures cover the body alone. So the kind and the id that are read here are claims: trust
//! is decided only when the body has the shape of the claimed kind (`event::trust`), and the id
//! keeps a repeated delivery from being carried out twice, no more.
//! <https://docs.github.com/en/webhooks/webhook-events-and-payloads#delivery-headers>

use axum::http::{HeaderMap, header::CONTENT_TYPE};

use super::headers;
use super::payload::{Encoding, Payload, PayloadError};
use super::signature::Verified;
use crate::event::is_kind;
use crate::model::{KeyScope, UniqueKey};

/// The header with the event's kind.
pub const EVENT_HEADER: &str = "x-github-event";

/// The header with the delivery's id, the same when GitHub sends the delivery again.
pub const DELIVERY_HEADER: &str = "x-github-delivery";

const DELIVERY_ID_BYTES_MAX: usize = 128;
const SHOWN_CHARS_MAX: usize = 80;

/// Why a request cannot be a delivery. Nothing of it is stored.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HeadError {
    /// Neither JSON nor a form: 415.
    #[error(
        "content type `{got}` cannot be read: set `application/json` or `application/x-www-form-urlencoded` at the forge"
    )]
    UnsupportedMediaType {
        /// What was sent, shortened; empty when nothing was.
        got: String,
    },
    /// A header that every delivery has is absent: 400.
    #[error("the header `{0}` is missing: does this request come from the forge?")]
    Missing(&'static str),
    /// A header that identifies the delivery is there more than once: 400.
    #[error("the header `{0}` is there more than once")]
    Repeated(&'static str),
    /// A header's value cannot be a kind or an id: 400.
    #[error("the header `{name}` has the unusable value `{got}`")]
    Unusable {
        /// Which one.
        name: &'static str,
        /// Its value, shortened.
        got: String,
    },
}

impl HeadError {
    /// Whether the answer is 415; else it is 400.
    pub fn is_media_type(&self) -> bool {
        matches!(self, Self::UnsupportedMediaType { .. })
    }
}

/// What a verified request claims to be, and its headers as they are kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    /// The provider's id of the delivery.
    pub delivery_id: Box<str>,
    /// The event's kind, as the provider calls it.
    pub event_kind: Box<str>,
    /// Headers without those that authenticate, as a JSON object.
    pub headers: Box<str>,
    encoding: Encoding,
}

impl Head {
    /// Reads a GitHub delivery's headers. Takes the verified body only to be sure that there is
    /// one: a stranger is not told what is wrong with a content type.
    ///
    /// # Errors
    ///
    /// [`HeadError`] when the request cannot be a delivery.
    pub fn read(_proof: &Verified<'_>, headers: &HeaderMap) -> Result<Self, HeadError> {
        let encoding = encoding(headers)?;
        let event_kind = only(headers, EVENT_HEADER, is_kind)?;
        let delivery_id = only(headers, DELIVERY_HEADER, is_delivery_id)?;
        Ok(Self { delivery_id, event_kind, headers: headers::kept(headers), encoding })
    }

    /// The third stage: the JSON text inside the body.
    ///
    /// # Errors
    ///
    /// [`PayloadError`], to be stored with the delivery as `failed` and answered 400.
    pub fn payload<'b>(&self, verified: &Verified<'b>) -> Result<Payload<'b>, PayloadError> {
        Payload::read(verified, self.encoding)
    }
}

/// By which a repeated delivery of a source is known. Sources are named in a path segment of the
/// URL, so their names have no `/` and no two pairs give one key.
pub fn dedupe_key(source: &str, delivery_id: &str) -> UniqueKey {
    UniqueKey { scope: KeyScope::Delivery, key: format!("{source}/{delivery_id}").into() }
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, HeadError> {
    let value = headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    let essence = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if essence.eq_ignore_ascii_case(b"application/json") {
        Ok(Encoding::Json)
    } else if essence.eq_ignore_ascii_case(b"application/x-www-form-urlencoded") {
        Ok(Encoding::Form)
    } else {
        Err(HeadError::UnsupportedMediaType { got: shown(value) })
    }
}

/// The value of a header that must be there exactly once: with two of them, we and something in
/// between could each believe another one.
fn only(
    headers: &HeaderMap,
    name: &'static str,
    usable: impl Fn(&str) -> bool,
) -> Result<Box<str>, HeadError> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or(HeadError::Missing(name))?;
    if values.next().is_some() {
        return Err(HeadError::Repeated(name));
    }
    match value.to_str() {
        Ok(text) if usable(text) => Ok(text.into()),
        _ => Err(HeadError::Unusable { name, got: shown(value.as_bytes()) }),
    }
}

/// GitHub sends a GUID; anything short and visible is accepted.
fn is_delivery_id(text: &str) -> bool {
    (1..=DELIVERY_ID_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|it| it.is_ascii_graphic())
}

fn shown(value: &[u8]) -> String {
    String::from_utf8_lossy(value).chars().take(SHOWN_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::{SourceAuth, verify};
    use axum::http::HeaderValue;

    const GUID: &str = "0b989ba4-242f-11e5-81e1-c7b6966d2516";

    fn headers(content_type: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(EVENT_HEADER, HeaderValue::from_static("push"));
        headers.insert(DELIVERY_HEADER, HeaderValue::from_static(GUID));
        headers
    }

    fn read(headers: &HeaderMap) -> Result<Head, HeadError> {
        Head::read(&verify(headers, b"{}", &SourceAuth::Insecure).unwrap(), headers)
    }

    #[test]
    fn a_delivery_has_a_kind_an_id_and_its_headers() {
        let head = read(&headers("application/json")).unwrap();
        assert_eq!((&*head.event_kind, &*head.delivery_id), ("push", GUID));
        assert!(head.headers.contains(GUID));
    }

    #[test]
    fn json_and_forms_are_read_whatever_their_parameters() {
        for content_type in
            ["application/json", "Application/JSON; charset=utf-8", "application/json;x=y"]
        {
            assert_eq!(read(&headers(content_type)).unwrap().encoding, Encoding::Json);
        }
        let form = headers("application/x-www-form-urlencoded; charset=UTF-8");
        assert_eq!(read(&form).unwrap().encoding, Encoding::Form);
    }

    #[test]
    fn another_content_type_is_named() {
        for content_type in ["", "text/json", "application/jsonp", "multipart/form-data"] {
            let error = read(&headers(content_type)).unwrap_err();
            assert!(error.is_media_type());
            assert_eq!(error, HeadError::UnsupportedMediaType { got: content_type.to_owned() });
        }
        let mut none = headers("application/json");
        none.remove(CONTENT_TYPE);
        assert!(read(&none).unwrap_err().is_media_type());
    }

    #[test]
    fn each_missing_or_repeated_header_is_named() {
        for name in [EVENT_HEADER, DELIVERY_HEADER] {
            let mut missing = headers("application/json");
            missing.remove(name);
            assert_eq!(read(&missing), Err(HeadError::Missing(name)));
            let mut repeated = headers("application/json");
            repeated.append(name, HeaderValue::from_static("push"));
            assert_eq!(read(&repeated), Err(HeadError::Repeated(name)));
        }
    }

    #[test]
    fn a_kind_or_an_id_that_cannot_be_one_is_refused() {
        let long = "x".repeat(200);
        for (name, got) in [
            (EVENT_HEADER, ""),
            (EVENT_HEADER, "push\tpush"),
            (EVENT_HEADER, "../push"),
            (DELIVERY_HEADER, ""),
            (DELIVERY_HEADER, "a b"),
            (DELIVERY_HEADER, &long),
        ] {
            let mut headers = headers("application/json");
            headers.insert(name, HeaderValue::from_str(got).unwrap());
            let got = got.chars().take(SHOWN_CHARS_MAX).collect();
            assert_eq!(read(&headers), Err(HeadError::Unusable { name, got }));
        }
    }

    #[test]
    fn a_dedupe_key_begins_with_its_source() {
        let key = dedupe_key("github", GUID);
        assert_eq!(&*key.key, format!("github/{GUID}"));
        assert_eq!(key.scope, KeyScope::Delivery);
        assert_ne!(dedupe_key("github", GUID), dedupe_key("github-2", GUID));
    }
}
