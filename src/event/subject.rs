//! What an event is about, and which files it changed.

use serde::{Deserialize, Serialize};

use super::text;
use crate::model::Untrusted;

/// What an event is about.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Subject {
    /// What kind of thing it is.
    #[serde(default)]
    pub kind: SubjectKind,
    /// The number of the issue or pull request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
    /// The page where people read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Its title; of a push the first line of the head commit's message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Untrusted>,
    /// Its text: of a comment event the comment's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Untrusted>,
    /// Of a pull request: whether it comes from another repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_fork: Option<bool>,
    /// Whether the event deleted the ref it is about.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

/// What kind of thing an event is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKind {
    /// Nothing that has a kind of its own.
    #[default]
    None,
    /// A branch.
    Branch,
    /// A tag.
    Tag,
    /// An issue.
    Issue,
    /// A pull request.
    PullRequest,
    /// A release.
    Release,
}

/// Which files an event changed. Truncated or unknown means that path filters run the work, and
/// say so.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(tag = "known", content = "files", rename_all = "snake_case")]
pub enum ChangeSet {
    /// These files and no others; a file that was changed and changed back may be among them.
    Complete(Vec<Untrusted>),
    /// At least these files.
    Truncated(Vec<Untrusted>),
    /// The event does not say.
    #[default]
    Unknown,
}

impl ChangeSet {
    /// The files that somebody listed; `None` when nobody did. A list over
    /// [`text::FILES_MAX`] or [`text::FILES_BYTES_MAX`] is kept up to there and truncated.
    pub fn of<S: AsRef<str>>(files: Option<&[S]>) -> Self {
        let Some(files) = files else { return Self::Unknown };
        let mut bytes = 0;
        let kept: Vec<_> = files
            .iter()
            .map(AsRef::as_ref)
            .take(text::FILES_MAX)
            .take_while(|file: &&str| {
                bytes += file.len();
                bytes <= text::FILES_BYTES_MAX
            })
            .map(text::untrusted_name)
            .collect();
        if kept.len() == files.len() { Self::Complete(kept) } else { Self::Truncated(kept) }
    }

    /// The same files, as a list that may lack some.
    #[must_use]
    pub fn truncated(self) -> Self {
        match self {
            Self::Complete(files) | Self::Truncated(files) => Self::Truncated(files),
            Self::Unknown => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_over_the_limit_is_truncated_and_never_complete() {
        let many = vec!["a"; text::FILES_MAX + 1];
        let ChangeSet::Truncated(kept) = ChangeSet::of(Some(&many)) else { panic!("complete") };
        assert_eq!(kept.len(), text::FILES_MAX);
        let long = vec!["x".repeat(4_000); 100];
        let ChangeSet::Truncated(kept) = ChangeSet::of(Some(&long)) else { panic!("complete") };
        assert_eq!(kept.len(), text::FILES_BYTES_MAX / 4_000);
    }
}
