//! GitHub's events: which activity types and which filters each of them has.
//!
//! Types:
//! <https://docs.github.com/actions/reference/workflows-and-actions/events-that-trigger-workflows>;
//! filters:
//! <https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#on>.
//! A name that is not here is an event of somebody's own: it has whatever types it likes and no
//! other filter.

/// What one event has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Documented {
    /// Its activity types.
    pub(super) types: Types,
    /// Its filters beside `types`, without their `-ignore` forms.
    pub(super) filters: &'static [&'static str],
    /// What else may stand under it in a workflow file, and is no filter of ours.
    pub(super) others: &'static [&'static str],
}

/// The activity types of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Types {
    /// None, and so no filter `types`.
    None,
    /// These; without a filter all of them run, and none of the others that webhooks tell of (`check_suite` is
    /// `requested` at each push).
    All(&'static [&'static str]),
    /// These, of which without a filter only [`PULL_REQUEST_DEFAULT`] run.
    PullRequest(&'static [&'static str]),
    /// Whatever the sender calls them.
    Free,
}

/// The activity types of a pull request that run when none are named, also when other filters are:
/// <https://docs.github.com/actions/reference/workflows-and-actions/events-that-trigger-workflows#pull_request>.
pub(super) const PULL_REQUEST_DEFAULT: [&str; 3] = ["opened", "synchronize", "reopened"];

const CHANGED: &[&str] = &["created", "edited", "deleted"];
const PULL_REQUEST: &[&str] = &[
    "assigned",
    "unassigned",
    "labeled",
    "unlabeled",
    "opened",
    "edited",
    "closed",
    "reopened",
    "synchronize",
    "converted_to_draft",
    "locked",
    "unlocked",
    "enqueued",
    "dequeued",
    "milestoned",
    "demilestoned",
    "ready_for_review",
    "review_requested",
    "review_request_removed",
    "auto_merge_enabled",
    "auto_merge_disabled",
    "stacked",
];
const ISSUES: &[&str] = &[
    "opened",
    "edited",
    "deleted",
    "transferred",
    "pinned",
    "unpinned",
    "closed",
    "reopened",
    "assigned",
    "unassigned",
    "labeled",
    "unlabeled",
    "locked",
    "unlocked",
    "milestoned",
    "demilestoned",
    "field_added",
    "field_removed",
    "typed",
    "untyped",
];
const DISCUSSION: &[&str] = &[
    "created",
    "edited",
    "deleted",
    "transferred",
    "pinned",
    "unpinned",
    "labeled",
    "unlabeled",
    "locked",
    "unlocked",
    "category_changed",
    "answered",
    "unanswered",
];
const RELEASE: &[&str] =
    &["published", "unpublished", "created", "edited", "deleted", "prereleased", "released"];

/// What the event of that name has; `None` for one that GitHub does not know.
pub(super) fn documented(event: &str) -> Option<Documented> {
    let types = match event {
        "pull_request" | "pull_request_target" => Types::PullRequest(PULL_REQUEST),
        "issues" => Types::All(ISSUES),
        "discussion" => Types::All(DISCUSSION),
        "release" => Types::All(RELEASE),
        "issue_comment"
        | "pull_request_comment"
        | "pull_request_review_comment"
        | "discussion_comment"
        | "label"
        | "branch_protection_rule" => Types::All(CHANGED),
        "pull_request_review" => Types::All(&["submitted", "edited", "dismissed"]),
        "check_run" => Types::All(&["created", "rerequested", "completed", "requested_action"]),
        "check_suite" => Types::All(&["completed"]),
        "image_version" => Types::All(&["created", "ready", "deleted"]),
        "merge_group" => Types::All(&["checks_requested"]),
        "milestone" => Types::All(&["created", "closed", "opened", "edited", "deleted"]),
        "project" => Types::All(&["created", "closed", "reopened", "edited", "deleted"]),
        "project_card" => Types::All(&["created", "moved", "converted", "edited", "deleted"]),
        "project_column" => Types::All(&["created", "updated", "moved", "deleted"]),
        "registry_package" => Types::All(&["published", "updated"]),
        "watch" => Types::All(&["started"]),
        "workflow_run" => Types::All(&["completed", "requested", "in_progress"]),
        "repository_dispatch" => Types::Free,
        "push" | "create" | "delete" | "deployment" | "deployment_status" | "fork" | "gollum"
        | "page_build" | "public" | "schedule" | "status" | "workflow_call"
        | "workflow_dispatch" => Types::None,
        _ => return None,
    };
    let filters: &[_] = match event {
        "push" => &["branches", "tags", "paths"],
        "pull_request" | "pull_request_target" => &["branches", "paths"],
        "merge_group" | "workflow_run" => &["branches"],
        _ => &[],
    };
    let others: &[_] = match event {
        "workflow_run" => &["workflows"],
        "workflow_dispatch" => &["inputs"],
        "workflow_call" => &["inputs", "outputs", "secrets"],
        "image_version" => &["names", "versions"],
        _ => &[],
    };
    Some(Documented { types, filters, others })
}

impl Documented {
    /// What an event of somebody's own has.
    pub(super) const OWN: Self = Self { types: Types::Free, filters: &[], others: &[] };
}

impl Types {
    /// All of them, where they are known.
    pub(super) fn known(self) -> Option<&'static [&'static str]> {
        match self {
            Self::All(types) | Self::PullRequest(types) => Some(types),
            Self::None | Self::Free => None,
        }
    }

    /// Those that run when none are named; `None` for all.
    pub(super) fn default(self) -> Option<[&'static str; 3]> {
        matches!(self, Self::PullRequest(_)).then_some(PULL_REQUEST_DEFAULT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the page on events: all activity types run by default, but for pull requests.
    #[test]
    fn only_pull_requests_have_a_default_that_is_not_all() {
        for event in ["pull_request", "pull_request_target"] {
            let default = documented(event).unwrap().types.default();
            assert_eq!(default, Some(["opened", "synchronize", "reopened"]), "{event}");
        }
        for event in [
            "branch_protection_rule",
            "check_run",
            "check_suite",
            "discussion",
            "discussion_comment",
            "issue_comment",
            "issues",
            "label",
            "merge_group",
            "milestone",
            "pull_request_review",
            "pull_request_review_comment",
            "registry_package",
            "release",
            "repository_dispatch",
            "watch",
            "workflow_run",
        ] {
            assert_eq!(documented(event).unwrap().types.default(), None, "{event}");
        }
    }

    #[test]
    fn the_default_types_are_types() {
        let known = documented("pull_request").unwrap().types.known().unwrap();
        assert!(PULL_REQUEST_DEFAULT.iter().all(|it| known.contains(it)));
        assert_eq!(documented("nightly"), None);
    }
}
