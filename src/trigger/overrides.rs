//! What a trigger may decide about the jobs it starts.

use serde::{Deserialize, Serialize};

use crate::ask::{Ask, Fault, Level};

/// Values that outrank the workflow file's, which in turn outrank the configured defaults.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Overrides {
    /// Minutes that one attempt of a job may run.
    pub timeout_minutes: Option<u32>,
    /// All else that can be asked, for the workload and for its jobs.
    pub ask: Ask,
}

impl Overrides {
    /// Thirty days: longer than any job GitHub would run.
    pub const TIMEOUT_MINUTES_MAX: u32 = 43_200;

    /// What is wrong with `timeout_minutes`, if anything is.
    pub fn timeout_fault(minutes: u32) -> Option<String> {
        let max = Self::TIMEOUT_MINUTES_MAX;
        (minutes == 0 || minutes > max).then(|| format!("{minutes} minutes is not from 1 to {max}"))
    }

    /// Everything that is wrong with it, with its key.
    pub fn faults(&self) -> Vec<Fault> {
        let timeout = self.timeout_minutes.and_then(Self::timeout_fault);
        let timeout = timeout.map(|message| Fault { key: "timeout_minutes", message });
        timeout.into_iter().chain(self.ask.faults(Level::Workload)).collect()
    }
}
