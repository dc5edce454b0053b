//! The second stage: what a verified request claims to be, by its headers.
//!
//! Most signatures cover the body alone. So the kind and the id that are read here are claims:
//! trust is decided only when the body has the shape of the claimed kind (`event::trust`), and the
//! id keeps a repeated delivery from being carried out twice, no more. Where a provider puts them
//! into the body, the last stage reads them there (`parsed::Said`).

use std::borrow::Cow;

use axum::http::{HeaderMap, HeaderName};
use sha2::{Digest as _, Sha256};

use super::payload::{Encoding, Payload, PayloadError};
use super::signature::Verified;
use super::{Provider, Reader, detect, github, headers, proof};
use crate::event::is_kind;
use crate::model::{KeyScope, UniqueKey};

/// The header with the kind of a GitHub event.
pub const EVENT_HEADER: &str = "x-github-event";

/// The header with the id of a GitHub delivery, the same when GitHub sends it again.
pub const DELIVERY_HEADER: &str = "x-github-delivery";

/// The header with the number of the hook that GitHub sends for. GitHub always sends it, people who
/// try something out do not.
const HOOK_HEADER: &str = "x-github-hook-id";

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
    /// It is of another provider than the source: 400.
    #[error(
        "this looks like a delivery of `{looks_like}`, and the source is of the kind `{kind}`: send it to a source of its own kind"
    )]
    OtherKind {
        /// Whose it looks like.
        looks_like: Provider,
        /// Whose deliveries the source takes.
        kind: Provider,
    },
    /// A header that every delivery has is absent: 400.
    #[error("the header `{0}` is missing: does this request come from the forge?")]
    Missing(HeaderName),
    /// A header that identifies the delivery is there more than once: 400.
    #[error("the header `{0}` is there more than once")]
    Repeated(HeaderName),
    /// A header's value cannot be a kind or an id: 400.
    #[error("the header `{name}` has the unusable value `{got}`")]
    Unusable {
        /// Which one.
        name: HeaderName,
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
    /// The provider's id of the delivery; a hash of the body where the headers have none.
    pub delivery_id: Box<str>,
    /// The event's kind, as the provider calls it; the provider's name where the headers have none.
    pub event_kind: Box<str>,
    /// Headers without those that authenticate, as a JSON object.
    pub headers: Box<str>,
    encoding: Encoding,
    /// Whether another hook may tell the same event.
    is_of_a_hook: bool,
}

impl Head {
    /// Reads a delivery's headers. Takes the verified body also to be sure that there is one: a
    /// stranger is not told what is wrong with a content type.
    ///
    /// # Errors
    ///
    /// [`HeadError`] when the request cannot be a delivery of that provider.
    pub fn read(
        reader: &Reader,
        verified: &Verified<'_>,
        headers: &HeaderMap,
    ) -> Result<Self, HeadError> {
        let kind = reader.provider;
        if let Some(looks_like) =
            detect(headers).filter(|it| kind.is_known_by_headers() && *it != kind)
        {
            return Err(HeadError::OtherKind { looks_like, kind });
        }
        Ok(Self {
            encoding: encoding(kind, headers)?,
            event_kind: event_kind(reader, headers)?,
            delivery_id: delivery_id(reader, headers, verified.body())?,
            headers: headers::kept(headers),
            is_of_a_hook: kind == Provider::Github && headers.contains_key(HOOK_HEADER),
        })
    }

    /// The third stage: the JSON text inside the body.
    ///
    /// # Errors
    ///
    /// [`PayloadError`], to be stored with the delivery as `failed` and answered 400.
    pub fn payload<'b>(&self, verified: &Verified<'b>) -> Result<Payload<'b>, PayloadError> {
        Payload::read(verified, self.encoding)
    }

    /// By which this delivery is known when it comes again to the source: by what happened, where
    /// the payload tells that for certain, else by the id.
    pub fn key(&self, source: &str, id: &str, payload: Option<&Payload<'_>>) -> UniqueKey {
        let payload = payload.filter(|_| self.is_of_a_hook);
        match payload.and_then(|it| github::semantic_id(&self.event_kind, it.text())) {
            Some(what) => dedupe_key(source, &format!("happened:{what}")),
            None => dedupe_key(source, id),
        }
    }
}

fn event_kind(reader: &Reader, headers: &HeaderMap) -> Result<Box<str>, HeadError> {
    let own_name = || reader.provider.as_str().into();
    let found = match reader.provider {
        Provider::Github => only(headers, EVENT_HEADER, is_kind).map(Some),
        Provider::Gitea => only(headers, "x-gitea-event", is_kind).map(Some),
        Provider::Forgejo => only(headers, "x-forgejo-event", is_kind).map(Some),
        Provider::Gogs => only(headers, "x-gogs-event", is_kind).map(Some),
        Provider::Bitbucket => only(headers, "x-event-key", is_event_key).map(Some),
        Provider::Gitlab => optional(headers, "x-gitlab-event", is_visible),
        _ => match &reader.event_header {
            Some(name) => one(headers, name, is_event_key),
            None => Ok(None),
        },
    };
    Ok(found?.unwrap_or_else(own_name))
}

fn delivery_id(reader: &Reader, headers: &HeaderMap, body: &[u8]) -> Result<Box<str>, HeadError> {
    let first_of = |names: &[&'static str]| {
        let mut found = names.iter().map(|&name| optional(headers, name, is_delivery_id));
        found.find_map(Result::transpose).transpose()
    };
    let found = match reader.provider {
        Provider::Github => only(headers, DELIVERY_HEADER, is_delivery_id).map(Some),
        Provider::Gitea => only(headers, "x-gitea-delivery", is_delivery_id).map(Some),
        Provider::Forgejo => only(headers, "x-forgejo-delivery", is_delivery_id).map(Some),
        Provider::Gogs => only(headers, "x-gogs-delivery", is_delivery_id).map(Some),
        // The signed one first: GitLab gives both the same value.
        Provider::Gitlab => match first_of(&["webhook-id", "idempotency-key"])? {
            Some(id) => Ok(Some(id)),
            // Several events that one request at GitLab caused share this id.
            None => first_of(&["x-gitlab-event-uuid"])
                .map(|id| id.map(|id| format!("{id}.{}", &hash_of(body)[..16]).into())),
        },
        Provider::Bitbucket => first_of(&["x-request-uuid", "x-request-id"]),
        Provider::StandardWebhooks => first_of(&["webhook-id"]),
        _ => match &reader.delivery_header {
            Some(name) => one(headers, name, is_delivery_id),
            None => Ok(None),
        },
    };
    Ok(found?.unwrap_or_else(|| hash_of(body).into()))
}

fn hash_of(body: &[u8]) -> String {
    hex::encode(Sha256::digest(body))
}

/// An id that a body gives, as short as one must be: what is longer stands in as its hash.
pub fn bounded_id(id: &str) -> Cow<'_, str> {
    if is_delivery_id(id) { id.into() } else { hash_of(id.as_bytes()).into() }
}

/// By which a repeated delivery of a source is known. Sources are named in a path segment of the
/// URL, so their names have no `/` and no two pairs give one key.
pub fn dedupe_key(source: &str, delivery_id: &str) -> UniqueKey {
    UniqueKey { scope: KeyScope::Delivery, key: format!("{source}/{delivery_id}").into() }
}

fn encoding(provider: Provider, headers: &HeaderMap) -> Result<Encoding, HeadError> {
    match (proof::is_form(headers), provider) {
        (Some(false), _) => Ok(Encoding::Json),
        (Some(true), Provider::Github | Provider::Gitea | Provider::Forgejo | Provider::Gogs) => {
            Ok(Encoding::Form)
        }
        (Some(true), Provider::Slack | Provider::Mattermost | Provider::Hmac) => {
            Ok(Encoding::Fields)
        }
        // The others never send one, and the header is not signed: nobody else chooses how signed bytes are read.
        (Some(true) | None, _) => {
            let got = headers.get(axum::http::header::CONTENT_TYPE);
            let got = shown(got.map_or(&b""[..], |value| value.as_bytes()));
            Err(HeadError::UnsupportedMediaType { got })
        }
    }
}

/// The value of a header that must be there exactly once.
fn only(
    headers: &HeaderMap,
    name: &'static str,
    usable: impl Fn(&str) -> bool,
) -> Result<Box<str>, HeadError> {
    optional(headers, name, usable)?
        .ok_or_else(|| HeadError::Missing(HeaderName::from_static(name)))
}

/// The value of a header that may be there once.
fn optional(
    headers: &HeaderMap,
    name: &'static str,
    usable: impl Fn(&str) -> bool,
) -> Result<Option<Box<str>>, HeadError> {
    one(headers, &HeaderName::from_static(name), usable)
}

/// With two of a header, we and something in between could each believe another one.
fn one(
    headers: &HeaderMap,
    name: &HeaderName,
    usable: impl Fn(&str) -> bool,
) -> Result<Option<Box<str>>, HeadError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(HeadError::Repeated(name.clone()));
    }
    match value.to_str() {
        Ok(text) if usable(text) => Ok(Some(text.into())),
        _ => Err(HeadError::Unusable { name: name.clone(), got: shown(value.as_bytes()) }),
    }
}

/// Bitbucket's kinds have colons.
fn is_event_key(text: &str) -> bool {
    is_kind(&text.replace(':', "."))
}

fn is_visible(text: &str) -> bool {
    (1..=DELIVERY_ID_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|it| it == b' ' || it.is_ascii_graphic())
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
#[path = "delivery_tests.rs"]
mod tests;
