//! What a job requires of a runner.

use serde::{Deserialize, Serialize};

use super::{ClassId, PoolId};

/// What a job requires of a runner. Equal requirements are one class, so every field is
/// comparable and normalised: see [`RunnerRequirements::normalised`].
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunnerRequirements {
    /// What the runner's labels must be, all of it: `linux` and `disk=ssd` must be there,
    /// `disk=*` needs some label `disk=...`, and `!spot` and `!disk=hdd` must not be there.
    pub labels: Vec<Box<str>>,
    /// `x64`, `arm64`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<Box<str>>,
    /// `linux`, `macos`, `windows`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os: Option<Box<str>>,
    /// Gigabytes of memory.
    pub min_memory_gb: u32,
    /// Cores.
    pub min_cpu_cores: u32,
    /// Whether containers must be available.
    pub requires_docker: bool,
    /// Number of graphics processors.
    pub gpu: u32,
    /// The pool whose runners may take it.
    pub pool_id: PoolId,
    /// Further pools, in order, for when no runner of an earlier one waits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fallback_pools: Vec<PoolId>,
    /// Regions, one of which the runner must be in; empty for any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required_regions: Vec<Box<str>>,
    /// Regions in order of preference, for policies that look at places.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub preferred_regions: Vec<Box<str>>,
    /// Labels that a runner had better have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub preferred: Vec<Preference>,
    /// Units of named resources that the job holds while a runner has it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<ResourceNeed>,
    /// The executors that may carry it out, in order of fallback.
    pub executors: Vec<Box<str>>,
    /// Whether what caused it is not trusted: pools that take only trusted work are closed to it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub untrusted: bool,
    /// Of untrusted work the pools that are closed to it, by the present configuration: never stored.
    #[serde(skip)]
    pub trusted_pools: Vec<PoolId>,
}

impl RunnerRequirements {
    /// The executor that runners which poll are, unless an executor started them.
    pub const RUNNERS: &'static str = "runners";

    /// The pools whose runners may take it, in order.
    pub fn pools(&self) -> impl Iterator<Item = PoolId> {
        std::iter::once(self.pool_id).chain(self.fallback_pools.iter().copied())
    }

    /// Labels in lower case, sorted and without repeats, so that equal needs are equal values.
    /// GitHub compares labels without regard to case:
    /// <https://docs.github.com/actions/hosting-your-own-runners/managing-self-hosted-runners/using-labels-with-self-hosted-runners>.
    pub fn normalised(mut self) -> Self {
        normalise_labels(&mut self.labels);
        for name in [&mut self.architecture, &mut self.os].into_iter().flatten() {
            *name = name.to_lowercase().into();
        }
        for region in self.required_regions.iter_mut().chain(&mut self.preferred_regions) {
            *region = region.trim().to_lowercase().into();
        }
        self.required_regions.sort_unstable();
        self.required_regions.dedup();
        for preference in &mut self.preferred {
            preference.label = preference.label.trim().to_lowercase().into();
        }
        self.preferred.sort_unstable();
        self.resources.sort_unstable();
        let first = self.pool_id;
        let mut seen = vec![first];
        self.fallback_pools.retain(|pool| {
            let new = !seen.contains(pool);
            seen.push(*pool);
            new
        });
        self
    }
}

/// A label that a runner had better have, or (a negative weight) had better not have.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preference {
    /// A label term, as in [`RunnerRequirements::labels`].
    pub label: Box<str>,
    /// How much it counts, -100 to 100.
    pub weight: i32,
}

/// Units of a resource.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceNeed {
    /// The resource's name.
    pub name: Box<str>,
    /// How many, at least 1.
    pub units: u32,
}

impl Default for RunnerRequirements {
    fn default() -> Self {
        Self {
            labels: Vec::new(),
            architecture: None,
            os: None,
            min_memory_gb: 0,
            min_cpu_cores: 0,
            requires_docker: false,
            gpu: 0,
            pool_id: PoolId::DEFAULT,
            fallback_pools: Vec::new(),
            required_regions: Vec::new(),
            preferred_regions: Vec::new(),
            preferred: Vec::new(),
            resources: Vec::new(),
            executors: vec![Self::RUNNERS.into()],
            untrusted: false,
            trusted_pools: Vec::new(),
        }
    }
}

/// Interned requirements.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Class {
    /// Its number.
    pub id: ClassId,
    /// The requirements, normalised.
    pub requirements: RunnerRequirements,
}

pub(super) fn normalise_labels(labels: &mut Vec<Box<str>>) {
    for label in labels.iter_mut() {
        *label = label.trim().to_lowercase().into();
    }
    labels.retain(|label| !label.is_empty());
    labels.sort_unstable();
    labels.dedup();
}
