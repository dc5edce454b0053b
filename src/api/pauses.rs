//! Pauses, and what is done to whole pools.

use axum::extract::State;

use super::access::{Caller, May, Operate, Read};
use super::body::{Id, Json};
use super::error::ApiError;
use super::runners::unexpected;
use super::show;
use super::state::{AppState, Shared};
use super::wire::{List, PauseRequest, PauseView, PoolChanged, PoolPatch};
use crate::dispatch::{Command, Reply};
use crate::model::{Pause, PauseScope, PoolId, TenantId};

const REASON_CHARS_MAX: usize = 1_000;

/// `GET /pauses`: those that a caller's jobs can meet.
pub(super) async fn list(
    caller: May<Read>,
    State(state): State<AppState>,
) -> Result<axum::Json<List<PauseView>>, ApiError> {
    let mut pauses = state.handle.ask(|scheduler, _| scheduler.pauses()).await?;
    pauses.retain(|pause| state.meets_pause(&caller, &pause.scope));
    let items = pauses.into_iter().map(|pause| show::pause(&state.catalogue, pause)).collect();
    Ok(axum::Json(List { items, next_before: None }))
}

/// `POST /pauses`: a second pause of the same replaces the first.
pub(super) async fn pause(
    caller: May<Operate>,
    State(state): State<AppState>,
    Json(request): Json<PauseRequest>,
) -> Result<axum::Json<PauseView>, ApiError> {
    let pause = Pause {
        scope: state.scope(&caller, &request.scope, Use::Set)?,
        author: caller.author(),
        reason: reason(request.reason)?,
        at_ms: state.clock.now().wall_ms,
        breaker: None,
    };
    answer(&state, Command::Pause(pause)).await
}

/// `DELETE /pauses/{scope}`
pub(super) async fn resume(
    caller: May<Operate>,
    State(state): State<AppState>,
    Id(scope): Id<String>,
) -> Result<axum::Json<PauseView>, ApiError> {
    let scope = state.scope(&caller, &scope, Use::Lift)?;
    answer(&state, Command::Resume { scope, author: caller.author() }).await
}

async fn answer(state: &AppState, command: Command) -> Result<axum::Json<PauseView>, ApiError> {
    match state.handle.send(command).await? {
        Reply::Pause(pause) => Ok(axum::Json(show::pause(&state.catalogue, *pause))),
        other => Err(unexpected(&other)),
    }
}

/// `PATCH /pools/{name}`
pub(super) async fn patch_pool(
    caller: May<Operate>,
    State(state): State<AppState>,
    Id(name): Id<String>,
    Json(request): Json<PoolPatch>,
) -> Result<axum::Json<PoolChanged>, ApiError> {
    let pool_id = state.pool(&caller, &name, Use::Set)?;
    if request.cordoned.is_none() && request.draining.is_none() {
        return Err(ApiError::BadRequest("say `cordoned` or `draining`, or both".to_owned()));
    }
    let why = reason(request.reason)?;
    let command = Command::PatchPool {
        pool_id,
        cordoned: request.cordoned.map(|cordoned| cordoned.then_some(why)),
        draining: request.draining,
        author: caller.author(),
    };
    match state.handle.send(command).await? {
        Reply::Pool { paused, runners } => {
            let paused = paused.map(|pause| show::pause(&state.catalogue, *pause));
            Ok(axum::Json(PoolChanged { pool: name, paused, runners }))
        }
        other => Err(unexpected(&other)),
    }
}

/// What people wrote as a reason, or that they wrote none.
pub(super) fn reason(given: Option<String>) -> Result<Box<str>, ApiError> {
    let reason = given.unwrap_or_else(|| "no reason given".to_owned());
    if reason.chars().count() > REASON_CHARS_MAX || reason.contains('\0') {
        let text = format!("`reason` is at most {REASON_CHARS_MAX} characters, none of them NUL");
        return Err(ApiError::BadRequest(text));
    }
    Ok(reason.into())
}

/// What a scope is named for. Only what there is can be paused; what was paused and is not in the
/// configuration any more can be lifted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Set,
    Lift,
}

impl Shared {
    /// What `everything`, `pool:NAME`, `tenant:NAME` or `trigger:NAME` is, when the caller may
    /// pause it: everything is for admins of all tenants, the rest for whom it belongs to.
    fn scope(&self, caller: &Caller, text: &str, to: Use) -> Result<PauseScope, ApiError> {
        if text == "everything" {
            let what = "pausing everything: that is for an admin without a tenant";
            caller.must_administer_all(what)?;
            return Ok(PauseScope::Everything);
        }
        match text.split_once(':') {
            Some(("pool", name)) => self.pool(caller, name, to).map(PauseScope::Pool),
            Some(("tenant", name)) => self.tenant(caller, name, to).map(PauseScope::Tenant),
            Some(("trigger", name)) => self.trigger(caller, name, to),
            _ => Err(ApiError::BadRequest(format!(
                "`{text}` is no scope: everything, pool:NAME, tenant:NAME or trigger:NAME"
            ))),
        }
    }

    fn pool(&self, caller: &Caller, name: &str, to: Use) -> Result<PoolId, ApiError> {
        let sees = |id: &PoolId| self.sees_pool(caller.limited_to(), *id);
        let known = self.catalogue.pools.get(name).copied();
        let id = known.or_else(|| number(name, to).map(PoolId)).filter(sees).ok_or_else(|| {
            let seen = self.catalogue.pools.iter().filter(|(_, id)| sees(id));
            ApiError::unknown("pool", name, seen.map(|(name, _)| &**name))
        })?;
        self.must_own_pool(caller, id, "pools that all tenants share")?;
        Ok(id)
    }

    fn tenant(&self, caller: &Caller, name: &str, to: Use) -> Result<TenantId, ApiError> {
        let known = self.catalogue.tenants.get(name).copied();
        let id = known.or_else(|| number(name, to).map(TenantId));
        id.filter(|id| caller.sees(*id)).ok_or_else(|| {
            let seen = self.catalogue.tenants.iter().filter(|(_, id)| caller.sees(**id));
            ApiError::unknown("tenant", name, seen.map(|(name, _)| &**name))
        })
    }

    fn trigger(&self, caller: &Caller, name: &str, to: Use) -> Result<PauseScope, ApiError> {
        let rulebook = self.rulebook();
        let mut names = rulebook.rules.trigger_names();
        let is_known = names.any(|known| known == name);
        let may = match caller.limited_to() {
            None => is_known || to == Use::Lift,
            Some(_) => is_known && rulebook.knows_trigger(caller.limited_to(), name),
        };
        if !may {
            let seen = rulebook.rules.trigger_names();
            let seen = seen.filter(|name| rulebook.knows_trigger(caller.limited_to(), name));
            return Err(ApiError::unknown("trigger", name, seen));
        }
        if caller.limited_to().is_some() && !rulebook.trigger_tenants.contains_key(name) {
            return Err(ApiError::Forbidden("triggers that work for all tenants"));
        }
        Ok(PauseScope::Trigger(name.into()))
    }

    /// Whether jobs of whoever calls can meet a pause.
    fn meets_pause(&self, caller: &Caller, scope: &PauseScope) -> bool {
        let limited_to = caller.limited_to();
        match scope {
            PauseScope::Everything => true,
            PauseScope::Pool(id) => self.sees_pool(limited_to, *id),
            PauseScope::Tenant(id) => caller.sees(*id),
            PauseScope::Trigger(name) if limited_to.is_some() => {
                let rulebook = self.rulebook();
                let is_known = rulebook.rules.trigger_names().any(|known| known == &**name);
                is_known && rulebook.knows_trigger(limited_to, name)
            }
            PauseScope::Trigger(_) => true,
        }
    }
}

/// A pool or tenant without a name: `#7`. No name of a configuration has this character.
fn number(name: &str, to: Use) -> Option<i64> {
    name.strip_prefix('#').filter(|_| to == Use::Lift)?.parse().ok()
}
