//! What somebody must approve before it runs.

use serde::{Deserialize, Serialize};

use super::{DeliveryId, DeliveryState};

/// What an event is about, and at which commit.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct About {
    /// The pull request, issue or ref of a repository of a source, as one key.
    pub subject: Box<str>,
    /// The commit, where the event names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha: Option<Box<str>>,
}

impl About {
    /// Whether a later event about that says that this one is no longer the newest: another commit of the same. An
    /// event without a commit takes nobody's place, and nobody takes its place.
    pub fn is_replaced_by(&self, later: &Self) -> bool {
        let (Some(own), Some(new)) = (&self.sha, &later.sha) else { return false };
        self.subject == later.subject && own != new
    }
}

/// A delivery that waits, or has waited, for somebody's approval.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Approval {
    /// What is approved: nothing but this commit.
    #[serde(flatten)]
    pub about: About,
    /// Who approved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Box<str>>,
}

/// A held delivery's row, as far as it was answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answered {
    /// Which.
    pub id: DeliveryId,
    /// Where it stands now.
    pub state: DeliveryState,
    /// Why, for people.
    pub reason: Box<str>,
    /// With who approved it, if somebody did.
    pub approval: Approval,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_commit_of_the_same_takes_its_place() {
        let about = |subject: &str, sha: Option<&str>| About {
            subject: subject.into(),
            sha: sha.map(Into::into),
        };
        let first = about("pull 7", Some("a"));
        assert!(first.is_replaced_by(&about("pull 7", Some("b"))));
        assert!(!first.is_replaced_by(&about("pull 7", Some("a"))));
        assert!(!first.is_replaced_by(&about("pull 8", Some("b"))));
        assert!(!first.is_replaced_by(&about("pull 7", None)));
        assert!(!about("pull 7", None).is_replaced_by(&first));
    }
}
