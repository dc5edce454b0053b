//! What a runner offers, and whether that fits what a job requires.

use serde::{Deserialize, Serialize};

use super::requirements::normalise_labels;
use super::{Mismatch, PoolId, RunnerRequirements};

/// What a runner offers. Both sides of a match are normalised where they enter.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunnerCapabilities {
    /// The executor that it is, or belongs to: said by the server, never by the runner.
    #[serde(skip_serializing_if = "is_runners")]
    pub executor: Box<str>,
    /// Its labels; [`RunnerCapabilities::ANY`] among them stands for each that is asked for.
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
            executor: RunnerRequirements::RUNNERS.into(),
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
    /// In the place of a label, an architecture, a system or a region: whatever is asked for. Of an
    /// executor whose backend finds a place that fits, not of a runner that is one.
    pub const ANY: &'static str = "*";

    /// Of an executor that takes whatever its backend can find a place for, so many at once.
    pub fn of_executor(executor: &str, max_parallel_jobs: u32) -> Self {
        Self {
            executor: executor.into(),
            labels: vec![Self::ANY.into()],
            architecture: Self::ANY.into(),
            os: Self::ANY.into(),
            cpu_cores: u32::MAX,
            memory_gb: u32::MAX,
            docker_enabled: true,
            gpu: u32::MAX,
            region: Some(Self::ANY.into()),
            zone: None,
            cost_micros_per_hour: 0,
            max_parallel_jobs,
            current_jobs: 0,
        }
    }

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
        unless(!needs.trusted_pools.contains(&pool_id), || Mismatch::TrustedOnly);
        unless(needs.executors.contains(&self.executor), || Mismatch::Executor);
        unless(!needs.requires_docker || self.docker_enabled, || Mismatch::Docker);
        for term in needs.labels.iter().filter(|term| !self.meets(term)) {
            found.push(match term.strip_prefix('!') {
                Some(label) => Mismatch::ForbiddenLabel(label.into()),
                None => Mismatch::Label(term.clone()),
            });
        }
        let regions = &needs.required_regions;
        let in_region =
            |it: &str| *it == *Self::ANY || regions.iter().any(|wanted| **wanted == *it);
        if !regions.is_empty() && !self.region.as_deref().is_some_and(in_region) {
            found.push(Mismatch::Region(regions.clone()));
        }
        let another = |wanted: &str, own: &str| *own != *Self::ANY && *own != *wanted;
        if let Some(wanted) =
            needs.architecture.as_ref().filter(|it| another(it, &self.architecture))
        {
            found.push(Mismatch::Architecture(wanted.clone()));
        }
        if let Some(wanted) = needs.os.as_ref().filter(|it| another(it, &self.os)) {
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
        let listed = |label: &str| self.labels.binary_search_by(|it| (**it).cmp(label)).is_ok();
        let has = |label: &str| match label.strip_suffix("=*") {
            Some(key) => self.labels.iter().any(|it| {
                it.strip_prefix(key).is_some_and(|rest| rest.len() > 1 && rest.starts_with('='))
            }),
            None => listed(label),
        };
        match term.strip_prefix('!') {
            Some(label) => !has(label),
            None => has(term) || listed(Self::ANY),
        }
    }

    /// Whether nothing keeps this runner from jobs with these requirements.
    pub fn satisfies(&self, pool_id: PoolId, needs: &RunnerRequirements) -> bool {
        self.mismatches(pool_id, needs).is_empty()
    }
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

fn is_runners(executor: &str) -> bool {
    *executor == *RunnerRequirements::RUNNERS
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
    fn an_executor_takes_what_asks_for_it_and_forbids_nothing_that_it_has() {
        let executor = RunnerCapabilities::of_executor("cloud", 10).normalised();
        let needs = RunnerRequirements {
            labels: vec!["gpu".into(), "disk=*".into(), "!spot".into()],
            architecture: Some("arm64".into()),
            os: Some("macos".into()),
            min_memory_gb: 512,
            requires_docker: true,
            required_regions: vec!["eu".into()],
            executors: vec!["runners".into(), "cloud".into()],
            ..RunnerRequirements::default()
        };
        assert!(executor.satisfies(PoolId::DEFAULT, &needs));
        assert!(!capabilities().meets("*"));
        let only = RunnerCapabilities { labels: vec!["x".into()], ..executor };
        assert_eq!(only.mismatches(PoolId::DEFAULT, &needs).len(), 2, "gpu and disk");
        let runners = RunnerRequirements::default();
        assert_eq!(only.mismatches(PoolId::DEFAULT, &runners), [Mismatch::Executor]);
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
                "is of no executor that the job goes to",
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
