//! Deliveries of forges: from bytes and headers to an [`Event`](crate::event::Event).
//!
//! ```text
//! headers + bytes -> signature::verify -> Verified     who sent it           401
//!         Verified -> Head::read       -> Head         what it claims to be  415, 400
//!  Head + Verified -> Head::payload    -> Payload      the JSON text         400, stored as failed
//!          Payload -> github::parse    -> Parsed       what it says          400, stored as failed
//! ```
//!
//! Each stage's value has a private constructor and is asked for by the next one, so none can be
//! skipped and their order is limit, verify, then parse. One file, or folder, per provider.
//!
//! What is deliberately absent: the HTTP handler with its limits (`api`), storing and
//! deduplicating (`driver`), and what an event starts (`intake`). Nothing here reads a clock or a
//! socket; only [`Secret::read_file`] reads a file, at the start of the server.

mod delivery;
pub mod github;
mod headers;
mod payload;
mod secret;
mod signature;

pub use delivery::{DELIVERY_HEADER, EVENT_HEADER, Head, HeadError, dedupe_key};
pub use payload::{Payload, PayloadError};
pub use secret::{LoadedSecret, SECRET_BYTES_MAX, Secret, SecretError, Secrets};
pub use signature::{
    Proof, REJECTION_ANSWER, Rejection, SIGNATURE_HEADER, SourceAuth, Verification, Verified,
    Verifier, sign, verify,
};
