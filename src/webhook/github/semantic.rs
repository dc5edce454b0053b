//! What happened, as one key: the same event can arrive twice with two delivery ids, when a hook of
//! the repository and one of an App both send to one address.
//!
//! The key is made of where it happened, of what kind it is, and of which object in which version.
//! Where a payload does not tell a version, there is no key and the delivery id alone counts: an
//! event that is carried out twice is a nuisance, one that is taken for another is lost.

use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::body::Text;
use super::lenient::{Maybe, Wanted, wanted_object};

/// What tells two events apart. All else in a payload may differ between two hooks.
#[derive(Deserialize, Default, Debug)]
#[serde(default)]
struct Body<'a> {
    #[serde(borrow)]
    action: Text<'a>,
    #[serde(borrow)]
    repository: Maybe<Repository<'a>>,
    #[serde(borrow, rename = "ref")]
    git_ref: Text<'a>,
    #[serde(borrow)]
    before: Text<'a>,
    #[serde(borrow)]
    after: Text<'a>,
    #[serde(borrow)]
    pull_request: Maybe<Thing<'a>>,
    #[serde(borrow)]
    issue: Maybe<Thing<'a>>,
    #[serde(borrow)]
    comment: Maybe<Thing<'a>>,
    #[serde(borrow)]
    review: Maybe<Thing<'a>>,
    #[serde(borrow)]
    release: Maybe<Thing<'a>>,
    #[serde(borrow)]
    label: Maybe<Thing<'a>>,
    #[serde(borrow)]
    assignee: Maybe<Thing<'a>>,
    #[serde(borrow)]
    milestone: Maybe<Thing<'a>>,
    #[serde(borrow)]
    requested_reviewer: Maybe<Thing<'a>>,
    #[serde(borrow)]
    requested_team: Maybe<Thing<'a>>,
    #[serde(borrow)]
    changes: Option<&'a RawValue>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
struct Repository<'a> {
    id: Maybe<i64>,
    #[serde(borrow)]
    html_url: Text<'a>,
    /// When the last push was: in a push's own payload a number, in others a text.
    pushed_at: Maybe<Scalar>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
struct Thing<'a> {
    id: Maybe<i64>,
    #[serde(borrow)]
    updated_at: Text<'a>,
    #[serde(borrow)]
    submitted_at: Text<'a>,
}

wanted_object!(Body, Repository, Thing);

/// A text, or a number as text.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Scalar(String);

impl Wanted<'_> for Scalar {
    fn from_borrowed(text: &str) -> Option<Self> {
        Some(Self(text.to_owned()))
    }

    fn from_text(text: &str) -> Option<Self> {
        Some(Self(text.to_owned()))
    }

    fn from_integer(value: i64) -> Option<Self> {
        Some(Self(value.to_string()))
    }
}

/// A name for what happened, the same whichever hook told it; `None` where the payload does not
/// say enough.
pub(in crate::webhook) fn semantic_id(kind: &str, json: &str) -> Option<String> {
    let body: Maybe<Body<'_>> = serde_json::from_str(json).ok()?;
    let body = body.0?;
    let repository = body.repository.as_ref()?;
    let host = repository.html_url.as_str()?.split('/').nth(2)?;
    is_certain(kind, body.action.as_str()).then_some(())?;
    let of = |thing: &Maybe<Thing<'_>>| thing.as_ref().and_then(|thing| thing.id.0);
    let (object, version) = match kind {
        "push" => {
            // A branch can be moved there and back: the time tells these pushes apart.
            body.after.as_str()?;
            (body.git_ref.as_str()?.to_owned(), repository.pushed_at.as_ref()?.0.clone())
        }
        "pull_request" => versioned(&body.pull_request)?,
        "pull_request_review" => versioned(&body.review)?,
        "pull_request_review_comment" | "issue_comment" => versioned(&body.comment)?,
        "issues" => versioned(&body.issue)?,
        "release" => versioned(&body.release)?,
        _ => return None,
    };
    // One delivery for each label, assignee and reviewer, all of one version.
    let changed = [
        of(&body.label),
        of(&body.assignee),
        of(&body.milestone),
        of(&body.requested_reviewer),
        of(&body.requested_team),
    ];
    let parts = (
        host,
        repository.id.0?,
        (kind, body.action.as_str()),
        (object, version),
        changed,
        [body.git_ref.as_str(), body.before.as_str(), body.after.as_str()],
        body.changes.map(RawValue::get),
    );
    // JSON keeps the parts apart, whatever is in them.
    let parts = serde_json::to_vec(&parts).ok()?;
    Some(hex::encode(Sha256::digest(parts)))
}

/// Whether what happened cannot happen again to one version of its object. Of all else one event could be taken for another:
/// versions are whole seconds, and not everything makes a new one.
fn is_certain(kind: &str, action: Option<&str>) -> bool {
    let certain: &[&str] = match kind {
        "push" => return true,
        "pull_request" => &[
            "opened",
            "reopened",
            "closed",
            "synchronize",
            "ready_for_review",
            "labeled",
            "unlabeled",
        ],
        "issues" => &["opened", "reopened", "closed", "labeled", "unlabeled"],
        "issue_comment" | "pull_request_review_comment" => &["created"],
        "pull_request_review" => &["submitted"],
        "release" => &["created", "published", "released"],
        _ => &[],
    };
    action.is_some_and(|action| certain.contains(&action))
}

fn versioned(thing: &Maybe<Thing<'_>>) -> Option<(String, String)> {
    let thing = thing.as_ref()?;
    let version = thing.updated_at.as_str().or(thing.submitted_at.as_str())?;
    Some((thing.id.0?.to_string(), version.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn labeled() -> Value {
        json!({
            "action": "labeled", "label": {"id": 1}, "installation": {"id": 5},
            "repository": {"id": 7, "html_url": "https://github.com/o/r", "stargazers_count": 1},
            "issue": {"id": 70, "updated_at": "2026-01-01T00:00:00Z"},
        })
    }

    fn push() -> Value {
        json!({
            "ref": "refs/heads/main", "before": "a", "after": "b",
            "repository": {"id": 7, "html_url": "https://github.com/o/r", "pushed_at": 1_700_000_000},
        })
    }

    fn id(kind: &str, body: &Value) -> Option<String> {
        semantic_id(kind, &body.to_string())
    }

    fn with(mut body: Value, pointer: &str, value: Value) -> Value {
        *body.pointer_mut(pointer).unwrap() = value;
        body
    }

    #[test]
    fn what_two_hooks_say_differently_makes_no_other_event() {
        let of = |pointer, value| id("issues", &with(labeled(), pointer, value));
        assert!(id("issues", &labeled()).is_some());
        assert_eq!(of("/installation", Value::Null), id("issues", &labeled()));
        assert_eq!(of("/repository/stargazers_count", json!(2)), id("issues", &labeled()));
    }

    #[test]
    fn what_tells_events_apart_is_in_the_key() {
        let of = |pointer, value| id("issues", &with(labeled(), pointer, value));
        for (pointer, value) in [
            ("/action", json!("unlabeled")),
            ("/label/id", json!(2)),
            ("/issue/id", json!(71)),
            ("/issue/updated_at", json!("2026-01-01T00:00:01Z")),
            ("/repository/id", json!(8)),
            ("/repository/html_url", json!("https://example.com/o/r")),
        ] {
            assert_ne!(of(pointer, value), id("issues", &labeled()), "{pointer}");
        }
        for (pointer, value) in [
            ("/before", json!("c")),
            ("/after", json!("c")),
            ("/ref", json!("refs/heads/x")),
            ("/repository/pushed_at", json!(1_700_000_001)),
        ] {
            assert_ne!(id("push", &with(push(), pointer, value)), id("push", &push()));
        }
    }

    #[test]
    fn without_a_version_there_is_no_key() {
        assert_eq!(id("issues", &with(labeled(), "/issue/updated_at", Value::Null)), None);
        assert_eq!(id("push", &with(push(), "/repository/pushed_at", Value::Null)), None);
        assert_eq!(id("star", &labeled()), None);
        assert_eq!(id("issues", &with(labeled(), "/action", json!("typed"))), None);
        assert_eq!(semantic_id("push", "nonsense"), None);
    }
}
