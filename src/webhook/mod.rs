//! Deliveries: from bytes and headers to an [`Event`](crate::event::Event).
//!
//! ```text
//! headers + bytes -> signature::Verifier -> Verified     who sent it           401
//!        Verified -> Head::read          -> Head         what it claims to be  415, 400
//! Head + Verified -> Head::payload       -> Payload      the JSON text         400, stored as failed
//!         Payload -> Reader::parse       -> Parsed       what it says          400, stored as failed
//! ```
//!
//! Each stage's value has a private constructor and is asked for by the next one, so none can be
//! skipped and their order is limit, verify, then parse. Ways of signing are rows of one table
//! (`scheme`); payloads have one file, or folder, per provider.
//!
//! What is deliberately absent: the HTTP handler with its limits (`api`), storing and
//! deduplicating (`driver`), and what an event starts (`intake`). Nothing here reads a clock or a
//! socket; only [`Secret::read_file`] reads a file, at the start of the server.

mod bitbucket;
mod delivery;
mod detect;
mod discord;
pub mod dry;
mod ed25519;
mod generic;
mod gitea;
pub mod github;
mod gitlab;
mod headers;
mod keys;
mod mattermost;
mod parsed;
mod payload;
mod proof;
mod scheme;
mod secret;
mod signature;
mod signing;
mod slack;
mod telegram;
mod tree;

pub use delivery::{DELIVERY_HEADER, EVENT_HEADER, Head, HeadError, bounded_id, dedupe_key};
pub use detect::{Provider, UnknownProvider, detect};
pub use generic::FieldMap;
pub use keys::{KeyError, Keys};
pub use parsed::{Answer, Parsed, Reader, Said};
pub use payload::{Payload, PayloadError, stored_json};
pub use scheme::{Encoding, Scheme, SignatureRule, TIMESTAMP_TOLERANCE_S, UnknownScheme};
pub use secret::{LoadedSecret, SECRET_BYTES_MAX, Secret, SecretError, Secrets};
pub use signature::{
    REJECTION_ANSWER, Rejection, SIGNATURE_HEADER, SourceAuth, Verification, Verified, Verifier,
    check, check_by, verify,
};
pub use signing::{sign, signed_headers};

#[cfg(test)]
mod tests;
