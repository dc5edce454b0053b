//! One change that an operator could make, and what it is in a copy.

use std::fmt;

use crate::dispatch::settings::{Settings, TenantSettings};
use crate::model::{
    GroupTerms, JobTerms, PauseScope, PoolId, Runner, RunnerId, Snapshot, TenantId,
};

/// Something that might shorten waits. Names are those of the configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Suggestion {
    /// Lift a pause.
    Resume {
        /// Of what.
        scope: PauseScope,
        /// What people call that.
        what: Box<str>,
    },
    /// Let a runner take new jobs again.
    Uncordon {
        /// Which.
        runner_id: RunnerId,
        /// Its name.
        name: Box<str>,
    },
    /// Raise `max_global_concurrency`.
    RaiseGlobal {
        /// What it is.
        from: u64,
        /// What was tried.
        to: u64,
    },
    /// Raise `jobs_max` of a pool.
    RaisePool {
        /// Which.
        pool_id: PoolId,
        /// Its name.
        name: Box<str>,
        /// What it is.
        from: u64,
        /// What was tried.
        to: u64,
    },
    /// Raise a quota of a tenant.
    RaiseQuota {
        /// Whose.
        tenant_id: TenantId,
        /// Its name.
        name: Box<str>,
        /// The key of the quota.
        quota: &'static str,
        /// What it is.
        from: u64,
        /// What was tried.
        to: u64,
    },
    /// Let more members of a group run at once.
    RaiseGroup {
        /// Whose group.
        tenant_id: TenantId,
        /// Its key.
        key: Box<str>,
        /// What the limit is.
        from: u32,
        /// What was tried.
        to: u32,
    },
    /// More units of a resource.
    RaiseResource {
        /// Its name in the configuration.
        name: Box<str>,
        /// How many there are.
        from: u32,
        /// What was tried.
        to: u32,
    },
    /// Give a runner labels that it lacks.
    AddLabels {
        /// Which runner.
        runner_id: RunnerId,
        /// Its name.
        name: Box<str>,
        /// Which labels.
        labels: Vec<Box<str>>,
    },
    /// One more runner.
    AddRunner {
        /// What it offers; its name and ids mean nothing.
        runner: Box<Runner>,
        /// A runner that offers the same.
        like: Option<Box<str>>,
        /// The name of its pool.
        pool: Box<str>,
    },
}

impl Suggestion {
    /// The name that programs compare.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Resume { .. } => "resume",
            Self::Uncordon { .. } => "uncordon",
            Self::RaiseGlobal { .. } => "raise_max_global_concurrency",
            Self::RaisePool { .. } => "raise_pool_jobs_max",
            Self::RaiseQuota { .. } => "raise_quota",
            Self::RaiseGroup { .. } => "raise_group_limit",
            Self::RaiseResource { .. } => "raise_resource_units",
            Self::AddLabels { .. } => "add_labels",
            Self::AddRunner { .. } => "add_runner",
        }
    }

    /// The runner that it is about, if it is about one that there is.
    pub fn runner_id(&self) -> Option<RunnerId> {
        match self {
            Self::Uncordon { runner_id, .. } | Self::AddLabels { runner_id, .. } => {
                Some(*runner_id)
            }
            _ => None,
        }
    }

    /// Makes the change in a copy.
    pub(super) fn apply(&self, snapshot: &mut Snapshot, settings: &mut Settings) {
        match self {
            Self::Resume { scope, .. } => snapshot.pauses.retain(|pause| pause.scope != *scope),
            Self::Uncordon { runner_id, .. } => {
                edit_runner(snapshot, *runner_id, |runner| runner.cordoned = None);
            }
            Self::RaiseGlobal { to, .. } => settings.max_global_concurrency = *to,
            Self::RaisePool { pool_id, to, .. } => {
                settings.pools.entry(*pool_id).or_default().jobs_max = Some(*to);
            }
            Self::RaiseQuota { tenant_id, quota, to, .. } => {
                raise_quota(settings.tenants.entry(*tenant_id).or_default(), quota, *to);
            }
            Self::RaiseGroup { tenant_id, key, to, .. } => {
                raise_group(snapshot, *tenant_id, key, *to);
            }
            Self::RaiseResource { name, to, .. } => {
                settings.catalogue.resources.insert(name.clone(), *to);
            }
            Self::AddLabels { runner_id, labels, .. } => {
                edit_runner(snapshot, *runner_id, |runner| {
                    runner.capabilities.labels.extend(labels.iter().cloned());
                    let capabilities = std::mem::take(&mut runner.capabilities);
                    runner.capabilities = capabilities.normalised();
                });
            }
            Self::AddRunner { runner, .. } => snapshot.runners.push((**runner).clone()),
        }
    }
}

fn edit_runner(snapshot: &mut Snapshot, id: RunnerId, edit: impl FnOnce(&mut Runner)) {
    if let Some(runner) = snapshot.runners.iter_mut().find(|runner| runner.id == id) {
        edit(runner);
    }
}

fn raise_quota(tenant: &mut TenantSettings, quota: &str, to: u64) {
    match quota {
        "running_max" => tenant.running_max = Some(to),
        "critical_running_max" => tenant.critical_running_max = Some(to),
        "cpu_cores_max" => tenant.cpu_cores_max = Some(to),
        "memory_gb_max" => tenant.memory_gb_max = Some(to),
        "gpu_max" => tenant.gpu_max = Some(to),
        _ => tenant.starts_per_minute_max = Some(u32::try_from(to).unwrap_or(u32::MAX)),
    }
}

/// The limit of a group is what its members say.
fn raise_group(snapshot: &mut Snapshot, tenant: TenantId, key: &str, to: u32) {
    let raise = |group: &mut Option<GroupTerms>| {
        if let Some(group) = group.as_mut().filter(|group| &*group.key == key) {
            group.limit = to;
        }
    };
    for job in snapshot.jobs.iter_mut().filter(|job| job.tenant_id == tenant) {
        if let Some(JobTerms { group, .. }) = job.terms.as_deref_mut() {
            raise(group);
        }
    }
    for workload in snapshot.workloads.iter_mut().filter(|it| it.tenant_id == tenant) {
        if let Some(terms) = workload.terms.as_deref_mut() {
            raise(&mut terms.group);
        }
    }
}

impl fmt::Display for Suggestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resume { what, .. } => write!(f, "resume {what}"),
            Self::Uncordon { name, .. } => write!(f, "uncordon runner {name}"),
            Self::RaiseGlobal { from, to } => {
                write!(f, "raise max_global_concurrency from {from} to {to}")
            }
            Self::RaisePool { name, from, to, .. } => {
                write!(f, "raise jobs_max of pool {name} from {from} to {to}")
            }
            Self::RaiseQuota { name, quota, from, to, .. } => {
                write!(f, "raise {quota} of tenant {name} from {from} to {to}")
            }
            Self::RaiseGroup { key, from, to, .. } => {
                write!(f, "raise the limit of group `{key}` from {from} to {to}")
            }
            Self::RaiseResource { name, from, to } => {
                write!(f, "raise the units of resource `{name}` from {from} to {to}")
            }
            Self::AddLabels { name, labels, .. } => {
                let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
                write!(f, "give runner {name} the label {}", labels.join(" and "))
            }
            Self::AddRunner { runner, like, pool } => {
                let slots = runner.capabilities.max_parallel_jobs;
                write!(f, "add a runner to pool {pool}, ")?;
                match like {
                    Some(like) => write!(f, "like {like}, with {slots} slots"),
                    None => {
                        let labels = runner.capabilities.labels.join(", ");
                        write!(f, "with labels {labels}")
                    }
                }
            }
        }
    }
}
