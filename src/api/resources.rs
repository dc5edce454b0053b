//! Who holds what: resources with their units, and concurrency groups.

use std::cmp::Reverse;

use axum::extract::State;

use super::access::{May, Read};
use super::body::{Id, Params};
use super::error::ApiError;
use super::list::PageParams;
use super::state::AppState;
use super::wire::{Glance, GroupMember, GroupView, HeldUnit, Holder, ResourceView};
use crate::dispatch::{GroupSnapshot, ResourceSnapshot, Scheduler};
use crate::model::{Catalogue, JobId, TenantId};
use crate::queue::Member;

/// Of those that wait for a group, so many are named.
const WAITING_SHOWN_MAX: usize = 20;

/// `GET /resources`: all that the configuration names, and those that a pattern of it allows and a
/// job needs or holds; for who is limited to a tenant, a job of that tenant.
pub(super) async fn list(
    caller: May<Read>,
    State(state): State<AppState>,
    Params(params): Params<PageParams>,
) -> Result<axum::Json<Glance<ResourceView>>, ApiError> {
    let (limit, limited_to) = (params.limit(&state), caller.limited_to());
    let shared = state.clone();
    let glance = state.handle.ask(move |scheduler, _| {
        let configured = &shared.catalogue.resources;
        let named = configured.iter().map(|(name, units)| of_name(scheduler, name, *units));
        let mut found: Vec<_> = named.collect();
        let live = scheduler.resources(limited_to).into_iter();
        found.extend(live.filter(|it| !configured.contains_key(&it.name)));
        found.sort_by(|a, b| (Reverse(a.waiting), &a.name).cmp(&(Reverse(b.waiting), &b.name)));
        let (total, first) = (found.len() as u64, found.into_iter().take(limit));
        Glance { items: first.map(|it| resource(scheduler, limited_to, it)).collect(), total }
    });
    Ok(axum::Json(glance.await?))
}

/// `GET /resources/{name}`
pub(super) async fn get(
    caller: May<Read>,
    State(state): State<AppState>,
    Id(name): Id<String>,
) -> Result<axum::Json<ResourceView>, ApiError> {
    let limited_to = caller.limited_to();
    let (shared, wanted) = (state.clone(), name.clone());
    let view = state.handle.ask(move |scheduler, _| {
        let catalogue = &shared.catalogue;
        let found = match catalogue.resources.get(wanted.as_str()) {
            Some(units) => Some(of_name(scheduler, &wanted, *units)),
            // A name that a pattern allows says whose it is: `repo:owner/name`.
            None if limited_to.is_some() => scheduler.resource(&wanted, limited_to),
            None => {
                let units = catalogue.resource_units(&wanted);
                units.map(|units| of_name(scheduler, &wanted, units))
            }
        };
        found.map(|found| resource(scheduler, limited_to, found))
    });
    let known = || state.catalogue.resources.keys().map(|name| &**name);
    view.await?.map(axum::Json).ok_or_else(|| ApiError::unknown("resource", &name, known()))
}

/// What is held of a resource, also when nobody needs it now.
fn of_name(scheduler: &Scheduler, name: &str, units: u32) -> ResourceSnapshot {
    scheduler.resource(name, None).unwrap_or_else(|| ResourceSnapshot {
        name: name.into(),
        units,
        held: Vec::new(),
        waiting: 0,
        reserved_for: None,
    })
}

/// As it is shown: of another tenant's jobs only that they are there.
fn resource(
    scheduler: &Scheduler,
    limited_to: Option<TenantId>,
    snapshot: ResourceSnapshot,
) -> ResourceView {
    let own = |id: &JobId| {
        let job = scheduler.job(*id)?;
        limited_to.is_none_or(|tenant| tenant == job.tenant_id).then_some(job)
    };
    let holder = |id: JobId| {
        let job = own(&id)?;
        let workload = scheduler.workload(job.workload_id);
        Some(Holder {
            job_id: id,
            job: job.name.to_string(),
            workload_id: job.workload_id,
            workload: workload.map_or_else(String::new, |it| it.name.to_string()),
            runner_id: job.lease().map(|lease| lease.runner_id),
        })
    };
    let since = |id: JobId| scheduler.job(id)?.lease().map(|lease| lease.assigned_at_ms);
    let held = snapshot.held.into_iter().map(|(index, id)| HeldUnit {
        index,
        since_ms: since(id).unwrap_or_default(),
        holder: holder(id),
    });
    ResourceView {
        name: snapshot.name.into(),
        units: snapshot.units,
        held: held.collect(),
        waiting: snapshot.waiting as u64,
        reserved: snapshot.reserved_for.is_some(),
        reserved_for: snapshot.reserved_for.filter(|id| own(id).is_some()),
    }
}

/// `GET /groups`: a group is one tenant's, and so is everyone in it.
pub(super) async fn groups(
    caller: May<Read>,
    State(state): State<AppState>,
    Params(params): Params<PageParams>,
) -> Result<axum::Json<Glance<GroupView>>, ApiError> {
    let (limit, limited_to) = (params.limit(&state), caller.limited_to());
    let groups = state
        .handle
        .ask(move |scheduler, _| scheduler.groups(limited_to, limit, WAITING_SHOWN_MAX));
    let (total, groups) = groups.await?;
    let items = groups.into_iter().map(|it| group(&state.catalogue, it)).collect();
    Ok(axum::Json(Glance { items, total: total as u64 }))
}

fn group(catalogue: &Catalogue, snapshot: GroupSnapshot) -> GroupView {
    let member = |(member, name): (Member, Box<str>)| GroupMember {
        workload_id: member.workload_id,
        job_id: member.job_id,
        name: name.into(),
    };
    GroupView {
        tenant: catalogue.tenant_name(snapshot.key.tenant_id).to_owned(),
        key: snapshot.key.key.into(),
        limit: snapshot.limit as u64,
        holders: snapshot.holders.into_iter().map(member).collect(),
        waiting: snapshot.waiting.into_iter().map(member).collect(),
        waiting_total: snapshot.waiting_len as u64,
    }
}
