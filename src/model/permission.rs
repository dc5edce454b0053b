//! What an account may do with a repository, as forges rank it.

use serde::{Deserialize, Serialize};

/// What an account may do with a repository, in the words of GitHub:
/// <https://docs.github.com/en/organizations/managing-user-access-to-your-organizations-repositories/managing-repository-roles/repository-roles-for-an-organization>.
/// Each may do what those before it may.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// Nothing that a stranger may not.
    None,
    /// Read.
    Read,
    /// Sort issues and pull requests.
    Triage,
    /// Push.
    Write,
    /// Manage the repository, but for what could destroy it.
    Maintain,
    /// Everything.
    Admin,
}

impl Permission {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Triage => "triage",
            Self::Write => "write",
            Self::Maintain => "maintain",
            Self::Admin => "admin",
        }
    }
}
