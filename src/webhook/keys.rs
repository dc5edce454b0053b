//! The secrets of a source as the keys of its scheme: read once, when the source is made, so that
//! a secret that cannot be a key is refused at the start and not with each delivery.

use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit as _};
use sha2::{Digest as _, Sha256};

use super::scheme::{Form, Scheme, SignatureRule};
use super::{Secret, Secrets, ed25519};

/// What a secret of Standard Webhooks begins with, before its base64.
const STANDARD_PREFIX: &[u8] = b"whsec_";

/// Secrets are typed and copied by people: padding may be missing.
const SECRET_BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a secret cannot be a key of its scheme. Never repeats the secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeyError {
    /// Of Standard Webhooks: not base64.
    #[error("the secret is not `whsec_` and base64")]
    NotBase64,
    /// Of Standard Webhooks: nothing behind the prefix.
    #[error("the secret is empty behind `whsec_`: an empty secret protects nothing")]
    Empty,
    /// Of Discord: not 64 hex digits.
    #[error("the public key is not 64 hex digits")]
    NotAPublicKey,
    /// Of Discord: a key whose signatures anybody could make.
    #[error("the public key is a weak one: anybody could sign for it")]
    WeakPublicKey,
}

/// A rule with its keys, ready to check requests.
#[derive(Clone)]
pub struct Keys {
    pub(super) rule: SignatureRule,
    pub(super) all: KeySet,
}

#[derive(Clone)]
pub(super) enum KeySet {
    /// Codes that have taken in their key.
    Macs(Vec<Hmac<Sha256>>),
    /// Hashes of tokens: of one length, so that comparing them tells nothing about the tokens'.
    Tokens(Vec<TokenHash>),
    /// Public keys.
    Public(Vec<ed25519::PublicKey>),
}

impl Keys {
    /// Reads the secrets as the rule's scheme wants them.
    ///
    /// # Errors
    ///
    /// [`KeyError`] for the first one that cannot be a key.
    pub fn new(rule: SignatureRule, secrets: &Secrets) -> Result<Self, KeyError> {
        let secrets = secrets.all().iter();
        let all = match rule.scheme.form() {
            Form::Mac(_) => KeySet::Macs(secrets.map(|it| mac(it.bytes())).collect()),
            Form::MacList => KeySet::Macs(
                secrets
                    .map(|it| standard_key(it).map(|key| mac(&key)))
                    .collect::<Result<_, _>>()?,
            ),
            Form::Token | Form::TokenInBody => {
                KeySet::Tokens(secrets.map(|it| TokenHash::of(it.bytes())).collect())
            }
            Form::Ed25519 => KeySet::Public(
                secrets
                    .map(|it| ed25519::PublicKey::from_hex(it.bytes()))
                    .collect::<Result<_, _>>()?,
            ),
        };
        Ok(Self { rule, all })
    }

    /// The rule that they are for.
    pub fn rule(&self) -> &SignatureRule {
        &self.rule
    }

    /// How its requests are signed.
    pub fn scheme(&self) -> Scheme {
        self.rule.scheme
    }

    pub(super) fn count(&self) -> usize {
        match &self.all {
            KeySet::Macs(macs) => macs.len(),
            KeySet::Tokens(tokens) => tokens.len(),
            KeySet::Public(keys) => keys.len(),
        }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({}, {} redacted)", self.rule.scheme, self.count())
    }
}

/// A token's hash: what is compared in place of the token.
#[derive(Clone, Copy)]
pub(super) struct TokenHash([u8; 32]);

impl TokenHash {
    pub(super) fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// In constant time.
    pub(super) fn is(&self, other: &Self) -> bool {
        subtle::ConstantTimeEq::ct_eq(&self.0[..], &other.0[..]).into()
    }
}

pub(super) fn mac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

/// The key of Standard Webhooks: base64, with or without its prefix.
pub(super) fn standard_key(secret: &Secret) -> Result<Vec<u8>, KeyError> {
    let text = secret.bytes();
    let text = text.strip_prefix(STANDARD_PREFIX).unwrap_or(text);
    let key = SECRET_BASE64.decode(text).map_err(|_| KeyError::NotBase64)?;
    if key.is_empty() { Err(KeyError::Empty) } else { Ok(key) }
}
