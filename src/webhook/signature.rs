//! The first stage: is the body from somebody who knows a secret of the source?
//!
//! Works on the raw bytes, before anything reads them. [`Verified`] can be made only here, and
//! every later stage asks for one, so that no stage can be skipped:
//!
//! ```text
//! headers + bytes -> Verified -> Head, Payload (delivery.rs) -> Parsed (one folder per provider)
//! ```
//!
//! Pure: the present is an argument. The sender hears the same answer for every [`Rejection`]; the
//! reason is for the operator's log and metrics and never contains what was sent.

use std::fmt;

use axum::http::{HeaderMap, HeaderName};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::ed25519;
use super::keys::{KeyError, KeySet, Keys, TokenHash};
use super::proof;
use super::scheme::{Form, Part, Scheme, SignatureRule};
use super::{Secrets, detect};

/// The header with GitHub's signature.
pub const SIGNATURE_HEADER: &str = "x-hub-signature-256";

/// What a sender is told, whatever was wrong.
pub const REJECTION_ANSWER: &str = "the signature of this request is missing or wrong";

pub(super) const MAC_BYTES: usize = 32;

/// How a source's requests are checked.
#[derive(Clone, Debug)]
pub enum SourceAuth {
    /// By one of these keys.
    Signed(Keys),
    /// Not at all: the configuration says `insecure = true`. What comes in is never trusted.
    Insecure,
}

/// How a body was checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verification {
    /// By a secret of the source.
    Signed,
    /// Not at all, because the configuration says so.
    Insecure,
}

/// A body that passed the check of its source.
#[derive(Clone, Copy, Debug)]
pub struct Verified<'b> {
    body: &'b [u8],
    how: Verification,
}

impl<'b> Verified<'b> {
    /// The raw bytes.
    pub fn body(&self) -> &'b [u8] {
        self.body
    }

    /// How it was checked.
    pub fn how(&self) -> Verification {
        self.how
    }
}

/// Why a request is refused: for the operator, never for the sender.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Rejection {
    /// No proof of any kind. At the provider no secret is set.
    #[error("no `{header}` header: set the secret at the provider")]
    Missing {
        /// The header that should be there.
        header: HeaderName,
    },
    /// Signed, but in another provider's way.
    #[error(
        "no `{header}` header, but `{found}`: the source's `kind` may be wrong, or the sender old"
    )]
    OtherProvider {
        /// The header that should be there.
        header: HeaderName,
        /// The header that is there.
        found: &'static str,
    },
    /// Several headers where there should be one: something between the provider and us merges or
    /// adds them.
    #[error("{count} `{header}` headers, one is expected")]
    Several {
        /// Which header.
        header: HeaderName,
        /// How many.
        count: usize,
    },
    /// A proof, or a part of what is signed, that is not written as its scheme says.
    #[error("the `{header}` header of {bytes} bytes is not {expected}")]
    Malformed {
        /// Which header.
        header: HeaderName,
        /// How long it is.
        bytes: usize,
        /// What it should be.
        expected: &'static str,
    },
    /// Neither the header nor the body has the token.
    #[error("neither a `{header}` header nor a `token` in the body")]
    NoToken {
        /// The header that could be there.
        header: HeaderName,
    },
    /// Well-formed, and made with none of our secrets or over another body.
    #[error(
        "the signature fits none of the {secrets} active secrets: compare the secret at the provider, and look for a proxy that rewrites bodies"
    )]
    Mismatch {
        /// How many secrets were tried.
        secrets: usize,
    },
    /// Signed too long ago, or too far ahead: a repeated request, or a clock that is wrong.
    #[error(
        "the signed time is {away_s} s away from ours, more than {tolerance_s} s: is one of the clocks wrong, or was it sent before?"
    )]
    Stale {
        /// How far away, in seconds.
        away_s: u64,
        /// How far it may be, in seconds.
        tolerance_s: i64,
    },
    /// The scheme signs a time, and nobody said what the time is.
    #[error("the scheme `{0}` signs a time, and no present time was given to compare it with")]
    NoTime(Scheme),
    /// A secret cannot be a key of the scheme.
    #[error("a secret cannot be used with the scheme `{scheme}`: {error}")]
    Key {
        /// The scheme.
        scheme: Scheme,
        /// Why not.
        error: KeyError,
    },
}

impl Rejection {
    /// A short name for a metric's label.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Missing { .. } | Self::NoToken { .. } => "missing",
            Self::OtherProvider { .. } => "other_provider",
            Self::Several { .. } => "several",
            Self::Malformed { .. } => "malformed",
            Self::Mismatch { .. } => "mismatch",
            Self::Stale { .. } => "stale",
            Self::NoTime(_) => "no_time",
            Self::Key { .. } => "key",
        }
    }
}

/// Checks a request by a scheme as its provider uses it. `now_unix_s` is the present in seconds
/// since 1970; a scheme that signs a time ([`Scheme::needs_time`]) refuses everything without it.
///
/// # Errors
///
/// [`Rejection`].
pub fn check<'b>(
    scheme: Scheme,
    headers: &HeaderMap,
    body: &'b [u8],
    secrets: &Secrets,
    now_unix_s: Option<i64>,
) -> Result<Verified<'b>, Rejection> {
    check_by(scheme.into(), headers, body, secrets, now_unix_s)
}

/// [`check`], where a source says something differently than its provider.
///
/// # Errors
///
/// [`Rejection`].
pub fn check_by<'b>(
    rule: SignatureRule,
    headers: &HeaderMap,
    body: &'b [u8],
    secrets: &Secrets,
    now_unix_s: Option<i64>,
) -> Result<Verified<'b>, Rejection> {
    let scheme = rule.scheme;
    let keys = Keys::new(rule, secrets).map_err(|error| Rejection::Key { scheme, error })?;
    verify(headers, body, &SourceAuth::Signed(keys), now_unix_s)
}

/// Checks a body that is in memory.
///
/// # Errors
///
/// [`Rejection`], to be answered 401 with [`REJECTION_ANSWER`].
pub fn verify<'b>(
    headers: &HeaderMap,
    body: &'b [u8],
    auth: &SourceAuth,
    now_unix_s: Option<i64>,
) -> Result<Verified<'b>, Rejection> {
    let mut verifier = Verifier::new(headers, auth, now_unix_s)?;
    verifier.update(body);
    verifier.finish(body)
}

/// Checks a body while it is read. A request whose headers cannot pass is refused before its body
/// is read at all.
pub struct Verifier {
    pending: Pending,
    /// Bytes seen so far.
    bytes: usize,
}

/// What is left to be checked when the headers have been read.
enum Pending {
    /// Nothing: the source is insecure.
    Open,
    /// Nothing: the token was in a header, and is right.
    Proven,
    /// The codes that were sent, and one running code per secret.
    Macs(Vec<[u8; MAC_BYTES]>, Vec<Hmac<Sha256>>),
    /// The same, of the text in the one field of a form.
    FormMacs(Vec<[u8; MAC_BYTES]>, Vec<Hmac<Sha256>>),
    /// The token in the body.
    Token { tokens: Vec<TokenHash>, is_form: bool, header: HeaderName },
    /// The signature, and what stands before the body in its message.
    Ed25519 {
        keys: Vec<ed25519::PublicKey>,
        signature: [u8; ed25519::SIGNATURE_BYTES],
        message: Vec<u8>,
    },
}

impl Verifier {
    /// Begins with the request's headers.
    ///
    /// # Errors
    ///
    /// [`Rejection`] when no body could make these headers right.
    pub fn new(
        headers: &HeaderMap,
        auth: &SourceAuth,
        now_unix_s: Option<i64>,
    ) -> Result<Self, Rejection> {
        let pending = match auth {
            SourceAuth::Insecure => Pending::Open,
            SourceAuth::Signed(keys) => begin(headers, keys, now_unix_s)?,
        };
        Ok(Self { pending, bytes: 0 })
    }

    /// Takes the next bytes of the body.
    pub fn update(&mut self, chunk: &[u8]) {
        self.bytes += chunk.len();
        if let Pending::Macs(_, macs) = &mut self.pending {
            for mac in macs {
                mac.update(chunk);
            }
        }
    }

    /// Ends with the verdict on the whole body, put together again from the chunks.
    ///
    /// # Errors
    ///
    /// [`Rejection`] when no secret fits.
    pub fn finish(self, body: &[u8]) -> Result<Verified<'_>, Rejection> {
        let mismatch = |secrets| Rejection::Mismatch { secrets };
        let (fits, secrets) = match self.pending {
            Pending::Open => return Ok(Verified { body, how: Verification::Insecure }),
            Pending::Proven => (true, 1),
            Pending::Macs(sent, macs) => (one_fits(&sent, &macs), macs.len()),
            Pending::FormMacs(sent, mut macs) => {
                let field = proof::form_field(body, "payload");
                let field = field.ok_or(mismatch(macs.len()))?;
                macs.iter_mut().for_each(|mac| mac.update(field.as_bytes()));
                (one_fits(&sent, &macs), macs.len())
            }
            Pending::Token { tokens, is_form, header } => {
                let sent = proof::body_token(body, is_form, &header)?;
                (one_is(&tokens, sent.as_bytes()), tokens.len())
            }
            Pending::Ed25519 { keys, signature, mut message } => {
                message.extend_from_slice(body);
                let fits = keys.iter().any(|key| key.verifies(&message, &signature));
                (fits, keys.len())
            }
        };
        // Of another length, these are not the bytes that were checked.
        if !fits || body.len() != self.bytes {
            return Err(mismatch(secrets));
        }
        Ok(Verified { body, how: Verification::Signed })
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

fn begin(headers: &HeaderMap, keys: &Keys, now_unix_s: Option<i64>) -> Result<Pending, Rejection> {
    let rule = keys.rule();
    let value = match proof::only(headers, &rule.header) {
        Err(Rejection::Missing { header }) if rule.scheme.form() != Form::TokenInBody => {
            return Err(match other_proof(headers, &header) {
                Some(found) => Rejection::OtherProvider { header, found },
                None => Rejection::Missing { header },
            });
        }
        Err(Rejection::Missing { .. }) => None,
        other => Some(other?),
    };
    proof::in_time(headers, rule, now_unix_s)?;
    let sent = value.unwrap_or_default();
    Ok(match &keys.all {
        KeySet::Macs(macs) => {
            let sent = proof::codes(sent, rule)?;
            let before = before(headers, rule)?;
            let mut macs = macs.clone();
            if rule.scheme.signs_form_field() && proof::is_form(headers) == Some(true) {
                return Ok(Pending::FormMacs(sent, macs));
            }
            macs.iter_mut().for_each(|mac| mac.update(&before));
            Pending::Macs(sent, macs)
        }
        KeySet::Tokens(tokens) if value.is_some() => {
            let token = proof::token(sent, rule)?;
            if !one_is(tokens, token) {
                return Err(Rejection::Mismatch { secrets: tokens.len() });
            }
            Pending::Proven
        }
        KeySet::Tokens(tokens) => Pending::Token {
            tokens: tokens.clone(),
            is_form: proof::is_form(headers)
                .ok_or_else(|| Rejection::NoToken { header: rule.header.clone() })?,
            header: rule.header.clone(),
        },
        KeySet::Public(keys) => Pending::Ed25519 {
            signature: proof::hex_bytes(sent, rule)?,
            keys: keys.clone(),
            message: before(headers, rule)?,
        },
    })
}

/// What is signed before the body.
fn before(headers: &HeaderMap, rule: &SignatureRule) -> Result<Vec<u8>, Rejection> {
    let mut bytes = Vec::new();
    for part in rule.scheme.before() {
        match part {
            Part::Text(text) => bytes.extend_from_slice(text.as_bytes()),
            Part::Header(name) => {
                let header = HeaderName::from_static(name);
                let value = proof::only(headers, &header)?;
                // Without its id a delivery could not be told from another one.
                if value.is_empty() {
                    return Err(Rejection::Missing { header });
                }
                bytes.extend_from_slice(value);
            }
        }
    }
    Ok(bytes)
}

/// A header that proves something to somebody else: its presence explains to the operator why the
/// right one is missing.
fn other_proof(headers: &HeaderMap, wanted: &HeaderName) -> Option<&'static str> {
    let mut others = detect::PROOF_HEADERS.into_iter();
    others.find(|name| *name != wanted.as_str() && headers.contains_key(*name))
}

/// Each secret is tried, also after one has fitted: the time taken must not tell which. Each
/// comparison is constant-time in itself.
fn one_fits(sent: &[[u8; MAC_BYTES]], macs: &[Hmac<Sha256>]) -> bool {
    macs.iter().fold(false, |fits, mac| {
        let sent = sent.iter();
        sent.fold(fits, |fits, code| mac.clone().verify_slice(code).is_ok() | fits)
    })
}

fn one_is(tokens: &[TokenHash], sent: &[u8]) -> bool {
    let sent = TokenHash::of(sent);
    tokens.iter().fold(false, |fits, token| token.is(&sent) | fits)
}

#[cfg(test)]
#[path = "signature_tests.rs"]
mod tests;
