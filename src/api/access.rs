//! Who may call what: one extractor for each kind of caller.
//!
//! A handler of the API says who may call it by its first argument, and [`super::route`] takes no
//! handler without one, so a route that forgot to ask does not compile.
//!
//! Tokens are compared as SHA-256 in constant time; only hashes are kept. They are random and
//! long, so a plain hash cannot be turned back, and none of the slow password hashes is needed.

use std::marker::PhantomData;
use std::net::IpAddr;
use std::ops::Deref;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

pub use super::caller::{Caller, Right};
use super::error::ApiError;
use super::state::AppState;
pub use crate::clock::token_hash as hash;
use crate::driver::{CommandError, ServerState};
use crate::model::{Catalogue, Nonce, PoolId, RunnerId};

/// Who may call a route.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Who {
    /// Callers whose role has this right.
    Caller(Right),
    /// Processes that want to be runners.
    Registration,
    /// Registered runners, about themselves and their leases.
    Runner,
    /// A runner about itself, or a caller whose role has this right.
    RunnerOr(Right),
    /// Whoever knows both halves of a lease.
    Callback,
}

/// Says who may call a handler.
pub trait Access: FromRequestParts<AppState> {
    /// The same, for the table of all routes.
    const WHO: Who;
}

/// A right as a type, for handlers to name.
pub trait Named {
    /// Which right.
    const RIGHT: Right;
}

macro_rules! rights {
    ($($name:ident),*) => {
        $(
            #[doc = concat!("See [`Right::", stringify!($name), "`].")]
            #[derive(Clone, Copy, Debug)]
            pub struct $name;

            impl Named for $name {
                const RIGHT: Right = Right::$name;
            }
        )*
    };
}

rights!(Read, Submit, Operate, Administer);

/// A caller whose role has the right `R`; or anybody, on a server that is open on loopback. Which
/// tenant's things it may see is the handler's to ask: [`Caller::sees`].
#[derive(Clone, Debug)]
pub struct May<R> {
    caller: Caller,
    right: PhantomData<R>,
}

impl<R> Deref for May<R> {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

/// A process that wants to be a runner: a registration token.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Registration {
    /// The pools that it may join; empty for all.
    pub pools: Vec<PoolId>,
    /// The runner that this server ordered with that token: what it joins was decided then.
    pub ordered: Option<RunnerId>,
}

impl Registration {
    /// The pool that it joins: the one that it names, or its token's first, or the default one.
    ///
    /// # Errors
    ///
    /// [`ApiError::NotFound`] when there is no such pool, [`ApiError::Forbidden`] when the token is
    /// for others.
    pub fn pool(&self, named: Option<&str>, catalogue: &Catalogue) -> Result<PoolId, ApiError> {
        let named = named.filter(|_| self.ordered.is_none());
        let Some(name) = named else {
            return Ok(self.pools.first().copied().unwrap_or(PoolId::DEFAULT));
        };
        let pool = catalogue.pools.get(name).copied();
        let pool = pool.ok_or_else(|| ApiError::not_found("pool", name))?;
        if self.pools.is_empty() || self.pools.contains(&pool) {
            Ok(pool)
        } else {
            Err(ApiError::Forbidden("runners of that pool"))
        }
    }
}

/// What tokens begin with by which runners register that the server ordered.
pub const ORDERED_PREFIX: &str = "dyo_";

/// A registered runner, by its own token.
#[derive(Clone, Copy, Debug)]
pub struct RunnerCaller(pub RunnerId);

/// Whoever calls back about an attempt: the unguessable half of its lease is the token. A handler holds it
/// against the lease that it is about.
#[derive(Clone, Copy, Debug)]
pub struct CallbackCaller(pub Nonce);

/// The runner itself, or a caller whose role has the right `R`.
#[derive(Clone, Debug)]
pub enum RunnerOr<R> {
    /// The runner with this id.
    Runner(RunnerId),
    /// Somebody else.
    Caller(May<R>),
}

/// Whose tokens open what: SHA-256 in hex with whom it stands for, never the tokens.
#[derive(Debug, Default)]
pub struct AccessRules {
    /// Tokens of the API.
    pub callers: Vec<(String, Caller)>,
    /// Tokens with which runners register.
    pub registrations: Vec<(String, Registration)>,
}

impl AccessRules {
    /// Whether nobody has to log in: no token of the API is configured, which is allowed on
    /// loopback alone.
    pub fn is_open(&self) -> bool {
        self.callers.is_empty()
    }
}

impl<R: Named> Access for May<R> {
    const WHO: Who = Who::Caller(R::RIGHT);
}
impl Access for Registration {
    const WHO: Who = Who::Registration;
}
impl Access for RunnerCaller {
    const WHO: Who = Who::Runner;
}
impl Access for CallbackCaller {
    const WHO: Who = Who::Callback;
}
impl<R: Named + Send> Access for RunnerOr<R> {
    const WHO: Who = Who::RunnerOr(R::RIGHT);
}

impl<R: Named> FromRequestParts<AppState> for May<R> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let caller = caller(parts, state, R::RIGHT)?;
        Ok(Self { caller, right: PhantomData })
    }
}

/// Who calls, if the caller's role has the right.
fn caller(parts: &Parts, state: &AppState, right: Right) -> Result<Caller, ApiError> {
    let rulebook = state.rulebook();
    let access = &rulebook.access;
    if access.is_open() {
        return Ok(Caller::anybody());
    }
    let token = bearer(parts)?;
    match known(&access.callers, token) {
        Some(caller) if caller.may(right) => Ok(caller.clone()),
        Some(_) => Err(ApiError::Forbidden(right.what())),
        None if known(&access.registrations, token).is_some() => {
            Err(ApiError::Forbidden(right.what()))
        }
        // One that does not lead knows no runners: their calls are passed on before this is asked.
        None if matches!(runner(state, token), Ok(Some(_))) => {
            Err(ApiError::Forbidden(right.what()))
        }
        None => Err(ApiError::Unauthorized),
    }
}

impl FromRequestParts<AppState> for Registration {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let token = bearer(parts);
        let rulebook = state.rulebook();
        let access = &rulebook.access;
        let views = state.handle.views();
        if let Ok(token) = token {
            if let Some(known) = known(&access.registrations, token) {
                return Ok(known.clone());
            }
            if let Some(id) = views.ordered_by_token_hash(&hash(token)) {
                return Ok(Self { ordered: Some(id), ..Self::default() });
            }
            // It may be one that was ordered by the server that leads, or led.
            if token.starts_with(ORDERED_PREFIX) {
                let error =
                    not_known_here(views.state()).map_or(ApiError::Unauthorized, Into::into);
                return Err(error);
            }
        }
        match access.registrations.is_empty() && access.is_open() {
            true => Ok(Self::default()),
            false => token.and(Err(ApiError::Unauthorized)),
        }
    }
}

impl FromRequestParts<AppState> for RunnerCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        runner(state, bearer(parts)?)?.map(Self).ok_or(ApiError::Unauthorized)
    }
}

impl FromRequestParts<AppState> for CallbackCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, ApiError> {
        let token = bearer(parts)?;
        let nonce = (token.len() == 16).then(|| u64::from_str_radix(token, 16).ok()).flatten();
        nonce.map(|nonce| Self(Nonce(nonce))).ok_or(ApiError::Unauthorized)
    }
}

impl<R: Named + Send> FromRequestParts<AppState> for RunnerOr<R> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        if let Ok(token) = bearer(parts)
            && let Some(id) = runner(state, token)?
        {
            return Ok(Self::Runner(id));
        }
        May::from_request_parts(parts, state).await.map(Self::Caller)
    }
}

impl RunnerCaller {
    /// The runner whose token is shown, where one is; otherwise this one.
    ///
    /// # Errors
    ///
    /// [`ApiError::Unauthorized`] for a token that is no runner's.
    pub(super) fn or_of(self, state: &AppState, token: Option<&str>) -> Result<Self, ApiError> {
        let Some(token) = token else { return Ok(self) };
        runner(state, token)?.map(Self).ok_or(ApiError::Unauthorized)
    }

    /// Refuses a runner that speaks of another one.
    ///
    /// # Errors
    ///
    /// [`ApiError::Forbidden`].
    pub fn must_be(self, runner_id: RunnerId) -> Result<(), ApiError> {
        if self.0 == runner_id { Ok(()) } else { Err(ApiError::Forbidden("that runner")) }
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
    if state.rulebook().access.is_open() && !(is_local(headers, HOST) && is_local(headers, ORIGIN))
    {
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

/// Whom a token stands for. Compares with each hash, also after one has fitted.
fn known<'a, T>(tokens: &'a [(String, T)], token: &str) -> Option<&'a T> {
    let sent = hash(token);
    let mut found = None;
    for (known, stands_for) in tokens {
        if bool::from(known.as_bytes().ct_eq(sent.as_bytes())) {
            found = found.or(Some(stands_for));
        }
    }
    found
}

/// The runner whose token this is. It is found by the token's hash, so the time that the look-up
/// takes tells nothing about the token.
fn runner(state: &AppState, token: &str) -> Result<Option<RunnerId>, ApiError> {
    let views = state.handle.views();
    let found = views.runner_by_token_hash(&hash(token));
    match not_known_here(views.state()).filter(|_| found.is_none()) {
        Some(error) => Err(error.into()),
        None => Ok(found),
    }
}

/// Why an instance in that state does not know every runner. It may never have loaded, or another one may
/// lead with which the runner has registered since; and a runner must not take that for a refusal.
fn not_known_here(state: ServerState) -> Option<CommandError> {
    match state {
        ServerState::Running => None,
        ServerState::Stopping => Some(CommandError::Stopping),
        ServerState::Loading | ServerState::StoreUnavailable | ServerState::Standby => {
            Some(CommandError::Unavailable)
        }
    }
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

    #[test]
    fn only_who_runs_knows_that_a_token_is_nobodys() {
        assert_eq!(not_known_here(ServerState::Running), None);
        assert_eq!(not_known_here(ServerState::Stopping), Some(CommandError::Stopping));
        for state in [ServerState::Loading, ServerState::StoreUnavailable, ServerState::Standby] {
            assert_eq!(not_known_here(state), Some(CommandError::Unavailable));
        }
    }
}
