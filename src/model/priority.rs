//! The five levels of priority.

use serde::{Deserialize, Serialize};

/// How urgent a job is; the first is taken first.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum JobPriority {
    /// Ahead of everything; a permission and a quota guard it.
    Critical = 0,
    /// Ahead of ordinary work, and the ceiling of aging.
    High = 1,
    /// What a job is when nothing is said.
    #[default]
    Normal = 2,
    /// Behind ordinary work.
    Low = 3,
    /// When nothing else wants the runner.
    Background = 4,
}

impl JobPriority {
    /// All levels, most urgent first.
    pub const ALL: [Self; 5] =
        [Self::Critical, Self::High, Self::Normal, Self::Low, Self::Background];

    /// The number of the level, 0 for critical to 4 for background: as stored.
    pub fn level(self) -> usize {
        self as usize
    }

    /// The level with that number.
    pub fn from_level(level: i64) -> Option<Self> {
        usize::try_from(level).ok().and_then(|at| Self::ALL.get(at).copied())
    }

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
            Self::Background => "background",
        }
    }
}

impl std::fmt::Display for JobPriority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for JobPriority {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|level| level.as_str() == text).ok_or_else(|| {
            format!("no priority `{text}`: critical, high, normal, low or background")
        })
    }
}
