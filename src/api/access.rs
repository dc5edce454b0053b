//! Who may call what: one extractor for each kind of caller.
//!
//! A handler of the API says who may call it by its first argument, and [`super::route`] takes no
//! handler without one, so a route that forgot to ask does not compile.
//!
//! Tokens are compared as SHA-256 in constant time; only hashes are kept. They are random and
//! long, so a plain hash cannot be turned back, and none of the slow password hashes is needed.

use std::net::IpAddr;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::error::ApiError;
use super::state::AppState;
use crate::driver::{CommandError, ServerState};
use crate::model::RunnerId;

/// Says who may call a handler.
pub trait Access: FromRequestParts<AppState> {}

/// An operator: an admin token, or anybody on a server that is open on loopback.
#[derive(Clone, Debug)]
pub struct Admin;

impl Admin {
    /// What history calls the caller.
    pub fn author(&self) -> Box<str> {
        "admin".into()
    }
}

/// A process that wants to be a runner: a registration token.
#[derive(Clone, Debug)]
pub struct Registration;

/// A registered runner, by its own token.
#[derive(Clone, Copy, Debug)]
pub struct RunnerCaller(pub RunnerId);

/// The runner itself, or an operator.
#[derive(Clone, Copy, Debug)]
pub enum RunnerOrAdmin {
    /// The runner with this id.
    Runner(RunnerId),
    /// An operator.
    Admin,
}

impl Access for Admin {}
impl Access for Registration {}
impl Access for RunnerCaller {}
impl Access for RunnerOrAdmin {}

impl FromRequestParts<AppState> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        if state.access.is_open() {
            return Ok(Self);
        }
        let token = bearer(parts)?;
        if is_one_of(&state.access.admin_hashes, token) {
            Ok(Self)
        } else if is_known(state, token) {
            Err(ApiError::Forbidden("operators"))
        } else {
            Err(ApiError::Unauthorized)
        }
    }
}

impl FromRequestParts<AppState> for Registration {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        if state.access.runner_hashes.is_empty() && state.access.is_open() {
            return Ok(Self);
        }
        if is_one_of(&state.access.runner_hashes, bearer(parts)?) {
            Ok(Self)
        } else {
            Err(ApiError::Unauthorized)
        }
    }
}

impl FromRequestParts<AppState> for RunnerCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        runner(state, bearer(parts)?)?.map(Self).ok_or(ApiError::Unauthorized)
    }
}

impl FromRequestParts<AppState> for RunnerOrAdmin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        if let Ok(token) = bearer(parts)
            && let Some(id) = runner(state, token)?
        {
            return Ok(Self::Runner(id));
        }
        Admin::from_request_parts(parts, state).await.map(|_| Self::Admin)
    }
}

impl RunnerOrAdmin {
    /// Refuses a runner that speaks of another one.
    ///
    /// # Errors
    ///
    /// [`ApiError::Forbidden`].
    pub fn may_speak_of(self, runner_id: RunnerId) -> Result<(), ApiError> {
        match self {
            Self::Runner(id) if id != runner_id => Err(ApiError::Forbidden("that runner")),
            Self::Runner(_) | Self::Admin => Ok(()),
        }
    }
}

impl RunnerCaller {
    /// Refuses a runner that speaks of another one.
    ///
    /// # Errors
    ///
    /// [`ApiError::Forbidden`].
    pub fn must_be(self, runner_id: RunnerId) -> Result<(), ApiError> {
        RunnerOrAdmin::Runner(self.0).may_speak_of(runner_id)
    }
}

/// Refuses what a web page in a browser on this machine could send to a server that asks nobody
/// for a token: requests under a foreign name (DNS rebinding) and from a foreign page.
pub(super) async fn local_only(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    if state.access.is_open() && !(is_local(headers, HOST) && is_local(headers, ORIGIN)) {
        return ApiError::Forbidden("pages and names of elsewhere: set access.admin_tokens")
            .into_response();
    }
    next.run(request).await
}

/// Whether a header is absent or names this machine.
fn is_local(headers: &HeaderMap, name: HeaderName) -> bool {
    let Some(value) = headers.get(name) else { return true };
    let Ok(text) = value.to_str() else { return false };
    let authority = text.split_once("://").map_or(text, |(_, rest)| rest);
    let Ok(authority) = authority.parse::<Authority>() else { return false };
    let host = authority.host().trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// What is kept of a token.
pub fn hash(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

fn bearer(parts: &Parts) -> Result<&str, ApiError> {
    let mut values = parts.headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(ApiError::Unauthorized);
    };
    let text = value.to_str().map_err(|_| ApiError::Unauthorized)?;
    let (scheme, token) = text.split_once(' ').ok_or(ApiError::Unauthorized)?;
    if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() {
        Ok(token.trim())
    } else {
        Err(ApiError::Unauthorized)
    }
}

/// Compares with each hash, also after one has fitted.
fn is_one_of(hashes: &[String], token: &str) -> bool {
    let sent = hash(token);
    let fits = hashes.iter().map(|known| known.as_bytes().ct_eq(sent.as_bytes()));
    fits.fold(subtle::Choice::from(0), |all, one| all | one).into()
}

fn is_known(state: &AppState, token: &str) -> bool {
    is_one_of(&state.access.runner_hashes, token) || matches!(runner(state, token), Ok(Some(_)))
}

/// The runner whose token this is. It is found by the token's hash, so the time that the look-up
/// takes tells nothing about the token.
fn runner(state: &AppState, token: &str) -> Result<Option<RunnerId>, ApiError> {
    let views = state.handle.views();
    let found = views.runner_by_token_hash(&hash(token));
    // Before the first load nobody is known, and a runner must not take that for a refusal.
    let knows_nobody = views.epoch() == 0 && views.state() != ServerState::Stopping;
    if found.is_none() && knows_nobody {
        return Err(CommandError::Unavailable.into());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_local() {
        let local = |name: HeaderName, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name.clone(), value.parse().unwrap());
            is_local(&headers, name)
        };
        for value in ["localhost:7878", "127.0.0.1", "[::1]:80", "LOCALHOST"] {
            assert!(local(HOST, value), "{value}");
        }
        assert!(local(ORIGIN, "http://127.0.0.1:7878"));
        for value in ["evil.example:7878", "127.0.0.1.evil.example", "10.0.0.1", "null"] {
            assert!(!local(HOST, value) && !local(ORIGIN, value), "{value}");
        }
        assert!(!local(ORIGIN, "https://evil.example"));
    }
}
