//! What keeps a runner from jobs with given requirements, for people.

use std::fmt;

/// One thing that a runner lacks.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Mismatch {
    /// It belongs to another pool.
    Pool,
    /// It belongs to a pool that takes only trusted work.
    TrustedOnly,
    /// Its executor is none of those that the job may go to.
    Executor,
    /// It has no containers.
    Docker,
    /// It has not this label.
    Label(Box<str>),
    /// It has this label, or one of this form.
    ForbiddenLabel(Box<str>),
    /// It is in none of these regions.
    Region(Vec<Box<str>>),
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
            Self::TrustedOnly => f.write_str("is of a pool that takes only trusted work"),
            Self::Executor => f.write_str("is of no executor that the job goes to"),
            Self::Docker => f.write_str("lacks docker_enabled"),
            Self::Label(label) => write!(f, "lacks label `{label}`"),
            Self::ForbiddenLabel(label) => write!(f, "has label `{label}`"),
            Self::Region(regions) => write!(f, "is not in region {}", regions.join(" or ")),
            Self::Architecture(wanted) => write!(f, "is not of architecture `{wanted}`"),
            Self::Os(wanted) => write!(f, "does not run `{wanted}`"),
            Self::Amount { what, has, wanted } => {
                write!(f, "has {what} {has} where {wanted} is required")
            }
        }
    }
}
