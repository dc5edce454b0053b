//! The first stage: is the body from somebody who knows a secret of the source?
//!
//! Works on the raw bytes, before anything reads them. [`Verified`] can be made only here, and
//! every later stage asks for one, so that no stage can be skipped:
//!
//! ```text
//! headers + bytes -> Verified -> Payload (delivery.rs) -> Event (github/)
//! ```
//!
//! Pure. The sender hears the same answer for every [`Rejection`]; the reason is for the
//! operator's log and metrics and never contains a signature.
//! <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>

use axum::http::HeaderMap;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::{Secret, Secrets};

/// The header with GitHub's signature.
pub const SIGNATURE_HEADER: &str = "x-hub-signature-256";

/// What a sender is told, whatever was wrong.
pub const REJECTION_ANSWER: &str = "the signature of this request is missing or wrong";

const PREFIX: &[u8] = b"sha256=";
const MAC_BYTES: usize = 32;

/// Signature headers of other providers, and GitHub's older one: their presence explains to the
/// operator why the right one is missing.
const OTHER_SIGNATURES: [&str; 9] = [
    "x-hub-signature",
    "x-forgejo-signature",
    "x-gitea-signature",
    "x-gogs-signature",
    "x-gitlab-token",
    "webhook-signature",
    "x-slack-signature",
    "x-signature",
    "authorization",
];

/// How a source's requests are checked.
#[derive(Clone, Debug)]
pub enum SourceAuth {
    /// By one of these secrets.
    Signed(Secrets),
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
    /// No signature of any kind. At the forge no secret is set.
    #[error("no `{SIGNATURE_HEADER}` header: set the secret at the forge")]
    Missing,
    /// Signed, but in another provider's way.
    #[error(
        "no `{SIGNATURE_HEADER}` header, but `{header}`: the source's `provider` may be wrong, or the sender old"
    )]
    OtherProvider {
        /// The header that is there.
        header: &'static str,
    },
    /// Several signatures: something between the forge and us merges or adds headers.
    #[error("{count} `{SIGNATURE_HEADER}` headers, one is expected")]
    Several {
        /// How many.
        count: usize,
    },
    /// Not `sha256=` and 64 lower-case hex digits.
    #[error(
        "the `{SIGNATURE_HEADER}` header of {bytes} bytes is not `sha256=` and 64 lower-case hex digits"
    )]
    Malformed {
        /// How long it is.
        bytes: usize,
    },
    /// Well-formed, and made with none of our secrets or over another body.
    #[error(
        "the signature fits none of the {secrets} active secrets: compare the secret at the forge, and look for a proxy that rewrites bodies"
    )]
    Mismatch {
        /// How many secrets were tried.
        secrets: usize,
    },
}

impl Rejection {
    /// A short name for a metric's label.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::OtherProvider { .. } => "other_provider",
            Self::Several { .. } => "several",
            Self::Malformed { .. } => "malformed",
            Self::Mismatch { .. } => "mismatch",
        }
    }
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
) -> Result<Verified<'b>, Rejection> {
    let mut verifier = Verifier::new(headers, auth)?;
    verifier.update(body);
    Ok(Verified { body, how: verifier.finish()?.how })
}

/// Checks a body while it is read. A request whose headers cannot pass is refused before its body
/// is read at all.
pub struct Verifier {
    /// The signature that was sent and one running code per secret; `None` when insecure.
    signed: Option<([u8; MAC_BYTES], Vec<Hmac<Sha256>>)>,
    /// Bytes seen so far.
    bytes: u64,
}

impl Verifier {
    /// Begins with the request's headers.
    ///
    /// # Errors
    ///
    /// [`Rejection`] when no body could make these headers right.
    pub fn new(headers: &HeaderMap, auth: &SourceAuth) -> Result<Self, Rejection> {
        let signed = match auth {
            SourceAuth::Insecure => None,
            SourceAuth::Signed(secrets) => {
                Some((sent_signature(headers)?, secrets.all().iter().map(mac).collect()))
            }
        };
        Ok(Self { signed, bytes: 0 })
    }

    /// Takes the next bytes of the body.
    pub fn update(&mut self, chunk: &[u8]) {
        self.bytes += chunk.len() as u64;
        for mac in self.signed.iter_mut().flat_map(|(_, macs)| macs) {
            mac.update(chunk);
        }
    }

    /// Ends with the verdict on all bytes taken.
    ///
    /// # Errors
    ///
    /// [`Rejection::Mismatch`] when no secret fits.
    pub fn finish(self) -> Result<Proof, Rejection> {
        let how = match self.signed {
            None => Verification::Insecure,
            Some((sent, macs)) => {
                let secrets = macs.len();
                // Each secret is tried, also after one has fitted: the time taken must not tell
                // which. Each comparison is constant-time in itself.
                let fits = macs
                    .into_iter()
                    .fold(false, |fits, mac| mac.verify_slice(&sent).is_ok() | fits);
                if !fits {
                    return Err(Rejection::Mismatch { secrets });
                }
                Verification::Signed
            }
        };
        Ok(Proof { bytes: self.bytes, how })
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// That a streamed body passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "a body without its proof cannot be parsed"]
pub struct Proof {
    bytes: u64,
    how: Verification,
}

impl Proof {
    /// The body that was streamed, put together again, or read back from where it was spilled to.
    /// `None` when the length differs: then these are not the bytes that were checked.
    pub fn over<'b>(&self, body: &'b [u8]) -> Option<Verified<'b>> {
        (body.len() as u64 == self.bytes).then_some(Verified { body, how: self.how })
    }
}

/// The value of [`SIGNATURE_HEADER`] for a body of our own: the `send` command, the demo, tests.
pub fn sign(secret: &Secret, body: &[u8]) -> String {
    let mut mac = mac(secret);
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

fn mac(secret: &Secret) -> Hmac<Sha256> {
    Hmac::new_from_slice(secret.bytes()).expect("HMAC takes a key of any length")
}

fn sent_signature(headers: &HeaderMap) -> Result<[u8; MAC_BYTES], Rejection> {
    let mut sent = headers.get_all(SIGNATURE_HEADER).iter();
    let Some(value) = sent.next() else {
        let other = OTHER_SIGNATURES.into_iter().find(|name| headers.contains_key(*name));
        return Err(other.map_or(Rejection::Missing, |header| Rejection::OtherProvider { header }));
    };
    match sent.count() {
        0 => {}
        more => return Err(Rejection::Several { count: more + 1 }),
    }
    let value = value.as_bytes();
    decode(value).ok_or(Rejection::Malformed { bytes: value.len() })
}

/// Exactly one spelling is accepted, the one that GitHub sends.
fn decode(value: &[u8]) -> Option<[u8; MAC_BYTES]> {
    let digits = value.strip_prefix(PREFIX)?;
    if digits.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    let mut mac = [0; MAC_BYTES];
    hex::decode_to_slice(digits, &mut mac).ok()?;
    Some(mac)
}

#[cfg(test)]
#[path = "signature_tests.rs"]
mod tests;
