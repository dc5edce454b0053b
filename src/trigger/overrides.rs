//! What a trigger may decide about the jobs it starts, and the bounds of those numbers.

use crate::model::JobPriority;

/// Values that outrank the workflow file's, which in turn outrank the configured defaults.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Overrides {
    /// How urgent the jobs are.
    pub priority: Option<JobPriority>,
    /// Minutes that one attempt of a job may run.
    pub timeout_minutes: Option<u32>,
    /// Charged failures that may be followed by another try.
    pub max_retries: Option<u32>,
    /// The first backoff in milliseconds; 0 for a retry by the next poll.
    pub backoff_ms: Option<u32>,
}

impl Overrides {
    /// Thirty days: longer than any job GitHub would run.
    pub const TIMEOUT_MINUTES_MAX: u32 = 43_200;
    /// The most retries of a job.
    pub const RETRIES_MAX: u32 = 100;
    /// One day.
    pub const BACKOFF_MS_MAX: u32 = 86_400_000;

    /// What is wrong with `timeout_minutes`, if anything is.
    pub fn timeout_fault(minutes: u32) -> Option<String> {
        let max = Self::TIMEOUT_MINUTES_MAX;
        (minutes == 0 || minutes > max).then(|| format!("{minutes} minutes is not from 1 to {max}"))
    }

    /// What is wrong with `max_retries`, if anything is.
    pub fn retries_fault(retries: u32) -> Option<String> {
        let max = Self::RETRIES_MAX;
        (retries > max).then(|| format!("{retries} retries is over {max}"))
    }

    /// What is wrong with `backoff_ms`, if anything is.
    pub fn backoff_fault(backoff_ms: u32) -> Option<String> {
        let max = Self::BACKOFF_MS_MAX;
        (backoff_ms > max).then(|| format!("{backoff_ms} ms is over {max}"))
    }

    /// Everything that is out of bounds, with its key.
    pub fn faults(&self) -> impl Iterator<Item = (&'static str, String)> {
        [
            ("timeout_minutes", self.timeout_minutes.and_then(Self::timeout_fault)),
            ("max_retries", self.max_retries.and_then(Self::retries_fault)),
            ("backoff_ms", self.backoff_ms.and_then(Self::backoff_fault)),
        ]
        .into_iter()
        .filter_map(|(key, fault)| Some((key, fault?)))
    }
}
