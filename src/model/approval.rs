//! What somebody must approve before it runs.

use serde::{Deserialize, Serialize};

use super::{DeliveryId, DeliveryState, TenantId};

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
    /// Since when it waits (wall milliseconds); absent of rows that are older than this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_at_ms: Option<i64>,
    /// Who approved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Box<str>>,
    /// When (wall milliseconds).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_ms: Option<i64>,
    /// The tenant to which whoever approved it is limited: nothing of another one is started by that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limited_to: Option<TenantId>,
}

impl Approval {
    /// One that waits from now on.
    pub fn of(about: About, now_ms: i64) -> Self {
        Self { about, held_at_ms: Some(now_ms), by: None, at_ms: None, limited_to: None }
    }

    /// Since when the delivery waits: where the row does not say, since its id was made.
    pub fn since_ms(&self, id: DeliveryId) -> i64 {
        let made = || {
            let (seconds, nanos) = id.0.get_timestamp()?.to_unix();
            i64::try_from(seconds)
                .ok()?
                .checked_mul(1_000)?
                .checked_add(i64::from(nanos) / 1_000_000)
        };
        self.held_at_ms.or_else(made).unwrap_or(0)
    }
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
    fn a_row_that_does_not_say_since_when_it_waits_goes_by_its_id() {
        let text = r#"{"subject":"pull 7","sha":"a"}"#;
        let old: Approval = serde_json::from_str(text).unwrap();
        let made = uuid::Uuid::parse_str("01890a5d-ac96-774b-bcce-b302099a8057").unwrap();
        assert_eq!(old.since_ms(DeliveryId(made)), 0x0189_0a5d_ac96);
        assert_eq!(old.since_ms(DeliveryId(uuid::Uuid::from_u128(7))), 0);
        let about = About { subject: "pull 7".into(), sha: None };
        assert_eq!(Approval::of(about, 5).since_ms(DeliveryId(made)), 5);
    }

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
