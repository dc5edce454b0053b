//! What a job requires, what a runner offers, and whether the one fits the other.

use serde::{Deserialize, Serialize};

use super::{ClassId, Mismatch, PoolId};

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
}

impl RunnerRequirements {
    /// The executor that runners which poll are.
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
        }
    }
}

/// What a runner offers. Both sides of a match are normalised where they enter.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunnerCapabilities {
    /// Its labels.
    pub labels: Vec<Box<str>>,
    /// `x64`, `arm64`, ...
    pub architecture: Box<str>,
    /// `linux`, `macos`, `windows`.
    pub os: Box<str>,
    /// Cores.
    pub cpu_cores: u32,
    /// Gigabytes of memory.
    pub memory_gb: u32,
    /// Whether containers are available.
    pub docker_enabled: bool,
    /// Number of graphics processors.
    pub gpu: u32,
    /// Where it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<Box<str>>,
    /// Where in the region it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<Box<str>>,
    /// What an hour of it costs, in millionths of whatever the operator counts in; 0 when unknown.
    #[serde(skip_serializing_if = "is_zero")]
    pub cost_micros_per_hour: u64,
    /// Jobs that it runs at the same time, at least 1.
    pub max_parallel_jobs: u32,
    /// Jobs that it has now, ours and others.
    pub current_jobs: u32,
}

impl Default for RunnerCapabilities {
    fn default() -> Self {
        Self {
            labels: Vec::new(),
            architecture: "x64".into(),
            os: "linux".into(),
            cpu_cores: 1,
            memory_gb: 1,
            docker_enabled: false,
            gpu: 0,
            region: None,
            zone: None,
            cost_micros_per_hour: 0,
            max_parallel_jobs: 1,
            current_jobs: 0,
        }
    }
}

impl RunnerCapabilities {
    /// The most jobs that a runner may say it runs at once.
    pub const PARALLEL_JOBS_MAX: u32 = 1_000;

    /// As [`RunnerRequirements::normalised`]; `max_parallel_jobs` between 1 and the maximum.
    pub fn normalised(mut self) -> Self {
        normalise_labels(&mut self.labels);
        self.architecture = self.architecture.to_lowercase().into();
        self.os = self.os.to_lowercase().into();
        for place in [&mut self.region, &mut self.zone].into_iter().flatten() {
            *place = place.trim().to_lowercase().into();
        }
        self.max_parallel_jobs = self.max_parallel_jobs.clamp(1, Self::PARALLEL_JOBS_MAX);
        self
    }

    /// Everything that keeps this runner, of `pool_id`, from jobs with these requirements; none
    /// when it fits. How busy it is plays no part.
    pub fn mismatches(&self, pool_id: PoolId, needs: &RunnerRequirements) -> Vec<Mismatch> {
        let mut found = Vec::new();
        let mut unless = |fits: bool, what: fn() -> Mismatch| {
            if !fits {
                found.push(what());
            }
        };
        unless(needs.pools().any(|pool| pool == pool_id), || Mismatch::Pool);
        unless(needs.executors.iter().any(|name| **name == *RunnerRequirements::RUNNERS), || {
            Mismatch::Executor
        });
        unless(!needs.requires_docker || self.docker_enabled, || Mismatch::Docker);
        for term in needs.labels.iter().filter(|term| !self.meets(term)) {
            found.push(match term.strip_prefix('!') {
                Some(label) => Mismatch::ForbiddenLabel(label.into()),
                None => Mismatch::Label(term.clone()),
            });
        }
        let regions = &needs.required_regions;
        if !regions.is_empty() && !self.region.as_ref().is_some_and(|it| regions.contains(it)) {
            found.push(Mismatch::Region(regions.clone()));
        }
        if let Some(wanted) = needs.architecture.as_ref().filter(|it| **it != self.architecture) {
            found.push(Mismatch::Architecture(wanted.clone()));
        }
        if let Some(wanted) = needs.os.as_ref().filter(|it| **it != self.os) {
            found.push(Mismatch::Os(wanted.clone()));
        }
        let amounts = [
            ("memory_gb", self.memory_gb, needs.min_memory_gb),
            ("cpu_cores", self.cpu_cores, needs.min_cpu_cores),
            ("gpu", self.gpu, needs.gpu),
        ];
        for (what, has, wanted) in amounts.into_iter().filter(|(_, has, wanted)| has < wanted) {
            found.push(Mismatch::Amount { what, has, wanted });
        }
        found
    }

    /// Whether the runner's labels are as a term of [`RunnerRequirements::labels`] says.
    pub fn meets(&self, term: &str) -> bool {
        let has = |label: &str| match label.strip_suffix("=*") {
            Some(key) => self.labels.iter().any(|it| {
                it.strip_prefix(key).is_some_and(|rest| rest.len() > 1 && rest.starts_with('='))
            }),
            None => self.labels.binary_search_by(|it| (**it).cmp(label)).is_ok(),
        };
        match term.strip_prefix('!') {
            Some(label) => !has(label),
            None => has(term),
        }
    }

    /// Whether nothing keeps this runner from jobs with these requirements.
    pub fn satisfies(&self, pool_id: PoolId, needs: &RunnerRequirements) -> bool {
        self.mismatches(pool_id, needs).is_empty()
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

fn is_zero(value: &u64) -> bool {
    *value == 0
}

fn normalise_labels(labels: &mut Vec<Box<str>>) {
    for label in labels.iter_mut() {
        *label = label.trim().to_lowercase().into();
    }
    labels.retain(|label| !label.is_empty());
    labels.sort_unstable();
    labels.dedup();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capabilities() -> RunnerCapabilities {
        RunnerCapabilities {
            labels: vec!["Linux".into(), "self-hosted".into()],
            memory_gb: 8,
            cpu_cores: 4,
            ..RunnerCapabilities::default()
        }
        .normalised()
    }

    #[test]
    fn labels_match_without_regard_to_case_and_order() {
        let needs = RunnerRequirements {
            labels: vec!["SELF-hosted".into(), "linux".into(), "LINUX".into()],
            ..RunnerRequirements::default()
        }
        .normalised();
        assert_eq!(needs.labels.len(), 2);
        assert!(capabilities().satisfies(PoolId::DEFAULT, &needs));
    }

    #[test]
    fn label_terms_ask_for_values_any_value_and_absence() {
        let runner = RunnerCapabilities {
            labels: vec!["disk=ssd".into(), "linux".into(), "zone=".into()],
            ..RunnerCapabilities::default()
        }
        .normalised();
        for met in ["disk=ssd", "disk=*", "linux", "!spot", "!disk=hdd", "!gpu=*", "!zone=*"] {
            assert!(runner.meets(met), "{met}");
        }
        for unmet in ["disk=hdd", "!disk=*", "!linux", "lin=*", "disk", "zone=*"] {
            assert!(!runner.meets(unmet), "{unmet}");
        }
    }

    #[test]
    fn every_lack_is_named() {
        let needs = RunnerRequirements {
            labels: vec!["gpu".into()],
            architecture: Some("arm64".into()),
            os: Some("macos".into()),
            min_memory_gb: 16,
            min_cpu_cores: 4,
            requires_docker: true,
            gpu: 1,
            pool_id: PoolId(2),
            required_regions: vec!["eu".into()],
            executors: vec!["kubernetes".into()],
            ..RunnerRequirements::default()
        };
        let lacks = capabilities().mismatches(PoolId::DEFAULT, &needs);
        let text: Vec<_> = lacks.iter().map(ToString::to_string).collect();
        assert_eq!(
            text,
            [
                "belongs to another pool",
                "is not an executor that the job allows",
                "lacks docker_enabled",
                "lacks label `gpu`",
                "is not in region eu",
                "is not of architecture `arm64`",
                "does not run `macos`",
                "has memory_gb 8 where 16 is required",
                "has gpu 0 where 1 is required",
            ]
        );
    }
}
