//! What kind of event it is.

use serde::{Deserialize, Serialize};

/// What kind of event it is: those whose fields the triggers know, and every other by its name.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum EventKind {
    /// Commits or a tag were pushed, or a ref was deleted by a push.
    Push,
    /// A pull request changed.
    PullRequest,
    /// An issue changed.
    Issues,
    /// A comment on an issue or a pull request.
    IssueComment,
    /// Somebody started a workflow by hand.
    WorkflowDispatch,
    /// A program started workflows by an event of its own.
    RepositoryDispatch,
    /// A release changed.
    Release,
    /// A branch or tag was made.
    Create,
    /// A branch or tag was deleted.
    Delete,
    /// Anything else, by the provider's name.
    Other(String),
}

impl EventKind {
    /// The provider's name of the kind.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Push => "push",
            Self::PullRequest => "pull_request",
            Self::Issues => "issues",
            Self::IssueComment => "issue_comment",
            Self::WorkflowDispatch => "workflow_dispatch",
            Self::RepositoryDispatch => "repository_dispatch",
            Self::Release => "release",
            Self::Create => "create",
            Self::Delete => "delete",
            Self::Other(name) => name,
        }
    }
}

impl From<String> for EventKind {
    fn from(name: String) -> Self {
        match name.as_str() {
            "push" => Self::Push,
            "pull_request" => Self::PullRequest,
            "issues" => Self::Issues,
            "issue_comment" => Self::IssueComment,
            "workflow_dispatch" => Self::WorkflowDispatch,
            "repository_dispatch" => Self::RepositoryDispatch,
            "release" => Self::Release,
            "create" => Self::Create,
            "delete" => Self::Delete,
            _ => Self::Other(name),
        }
    }
}

impl From<EventKind> for String {
    fn from(kind: EventKind) -> Self {
        kind.as_str().to_owned()
    }
}
