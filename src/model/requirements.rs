//! What a job requires, what a runner offers, and whether the one fits the other.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{ClassId, PoolId};

/// What a job requires of a runner. Equal requirements are one class, so every field is
/// comparable and normalised: see [`RunnerRequirements::normalised`].
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunnerRequirements {
    /// Labels that the runner must have, all of them.
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
    /// The executors that may carry it out, in order of fallback.
    pub executors: Vec<Box<str>>,
}

impl RunnerRequirements {
    /// The executor that runners which poll are.
    pub const RUNNERS: &'static str = "runners";

    /// Labels in lower case, sorted and without repeats, so that equal needs are equal values.
    /// GitHub compares labels without regard to case:
    /// <https://docs.github.com/actions/hosting-your-own-runners/managing-self-hosted-runners/using-labels-with-self-hosted-runners>.
    pub fn normalised(mut self) -> Self {
        normalise_labels(&mut self.labels);
        for name in [&mut self.architecture, &mut self.os].into_iter().flatten() {
            *name = name.to_lowercase().into();
        }
        self
    }
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
        unless(pool_id == needs.pool_id, || Mismatch::Pool);
        unless(needs.executors.iter().any(|name| **name == *RunnerRequirements::RUNNERS), || {
            Mismatch::Executor
        });
        unless(!needs.requires_docker || self.docker_enabled, || Mismatch::Docker);
        for label in &needs.labels {
            if self.labels.binary_search(label).is_err() {
                found.push(Mismatch::Label(label.clone()));
            }
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

    /// Whether nothing keeps this runner from jobs with these requirements.
    pub fn satisfies(&self, pool_id: PoolId, needs: &RunnerRequirements) -> bool {
        self.mismatches(pool_id, needs).is_empty()
    }
}

/// One thing that a runner lacks.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Mismatch {
    /// It belongs to another pool.
    Pool,
    /// Runners that poll are none of the allowed executors.
    Executor,
    /// It has no containers.
    Docker,
    /// It has not this label.
    Label(Box<str>),
    /// It has not this architecture.
    Architecture(Box<str>),
    /// It has not this operating system.
    Os(Box<str>),
    /// It has too little of something.
    Amount {
        /// The field's name.
        what: &'static str,
        /// What the runner has.
        has: u32,
        /// What the job requires.
        wanted: u32,
    },
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pool => f.write_str("belongs to another pool"),
            Self::Executor => f.write_str("is not an executor that the job allows"),
            Self::Docker => f.write_str("lacks docker_enabled"),
            Self::Label(label) => write!(f, "lacks label `{label}`"),
            Self::Architecture(wanted) => write!(f, "is not of architecture `{wanted}`"),
            Self::Os(wanted) => write!(f, "does not run `{wanted}`"),
            Self::Amount { what, has, wanted } => {
                write!(f, "has {what} {has} where {wanted} is required")
            }
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
            executors: vec!["kubernetes".into()],
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
                "is not of architecture `arm64`",
                "does not run `macos`",
                "has memory_gb 8 where 16 is required",
                "has gpu 0 where 1 is required",
            ]
        );
    }
}
