//! `GET /instances`: the servers that share the database, the leader first.

use axum::extract::State;

use super::access::{May, Read};
use super::error::ApiError;
use super::state::{AppState, Shared};
use super::wire::{InstanceView, List, StandingView};
use crate::store::InstanceRow;

/// `GET /instances`. Who is limited to a tenant is not told where they are.
pub(super) async fn list(
    caller: May<Read>,
    State(state): State<AppState>,
) -> Result<axum::Json<List<InstanceView>>, ApiError> {
    let is_limited = caller.limited_to().is_some();
    let rows = state.store.instances().await?;
    let mut items: Vec<_> = rows.into_iter().map(|row| view(&state, row)).collect();
    if state.instance.is_none() {
        items.push(alone(&state));
    }
    if is_limited {
        items.iter_mut().for_each(|item| item.advertised_url = None);
    }
    Ok(axum::Json(List { items, next_before: None }))
}

fn view(state: &Shared, row: InstanceRow) -> InstanceView {
    let InstanceRow { instance, started_at_ms, silent_ms, leads } = row;
    let own = state.instance.as_ref();
    let differs = own.is_some_and(|own| {
        (&own.config_hash, &own.version) != (&instance.config_hash, &instance.version)
    });
    let is_gone = silent_ms > state.gone_after_ms;
    let role = if is_gone { "gone" } else { role(leads) };
    InstanceView {
        name: instance.name.into(),
        role: role.to_owned(),
        advertised_url: instance.advertised_url.map(Into::into),
        version: instance.version.into(),
        config_hash: Some(instance.config_hash.into()),
        differs,
        started_at_ms: Some(started_at_ms),
        silent_ms: silent_ms.max(0),
    }
}

/// A server that shares with nobody.
fn alone(state: &Shared) -> InstanceView {
    InstanceView {
        name: state.address.to_string(),
        role: role(true).to_owned(),
        advertised_url: None,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        config_hash: None,
        differs: false,
        started_at_ms: None,
        silent_ms: 0,
    }
}

/// Who leads, for a status; nothing where there is one server only.
pub(super) fn standing(state: &Shared) -> Option<StandingView> {
    let own = state.instance.as_ref()?;
    let standing = state.handle.views().standing();
    Some(StandingView {
        name: own.name.to_string(),
        role: role(standing.leads).to_owned(),
        leader_since_ms: standing.leader.as_ref().map(|leader| leader.since_ms),
        leader: standing.leader.map(|leader| leader.name.into()),
    })
}

fn role(leads: bool) -> &'static str {
    if leads { "leader" } else { "standby" }
}
