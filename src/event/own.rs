//! An event that no forge sent: one of the API, of a run by hand, or of the command line.
//!
//! Takes plain values, so that the event room knows nothing of the wire. Unlike a forge's payload,
//! where an odd field counts as absent, a caller of ours is told what is wrong with it.

use serde_json::{Map, Value};

use super::inputs::{self, InputsError};
use super::text;
use super::{Actor, Address, ChangeSet, Event, EventKind, Repository, Subject, SubjectKind};
use crate::model::{Trust, Untrusted};

/// The plain values of an event.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct OwnEvent {
    /// The source's name: `api`, `cli`.
    pub source: String,
    /// The event's kind, matched by triggers as a forge's would be.
    pub kind: String,
    /// The activity type.
    pub action: Option<String>,
    /// `owner/name`.
    pub repository: Option<String>,
    /// Who asks: the account behind the token, where it is known.
    pub actor: Option<Actor>,
    /// The full ref: `refs/heads/main`.
    pub git_ref: Option<String>,
    /// The commit.
    pub sha: Option<String>,
    /// Changed files, where known.
    pub changed_files: Option<Vec<String>>,
    /// Labels of the subject.
    pub labels: Vec<String>,
    /// Title of the subject.
    pub title: Option<String>,
    /// Text of the subject.
    pub body: Option<String>,
    /// Anything else, for the jobs.
    pub inputs: Map<String, Value>,
    /// How far the caller is trusted; the caller's token decides, not the event.
    pub trust: Trust,
    /// How many events stand before it that work caused.
    pub causation_depth: u32,
}

/// What is wrong with an event of one's own.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OwnEventError {
    /// The kind is not a name.
    #[error(
        "event kind `{0}` is not a name: use 1 to 64 letters, digits, `_`, `-` or `.`, as in `nightly_build`"
    )]
    Kind(String),
    /// The ref is not a full one.
    #[error("ref `{0}` is not a full ref: write `refs/heads/{0}` or `refs/tags/{0}`")]
    Ref(String),
    /// The commit is not a commit's name.
    #[error("sha `{0}` is not a commit: give all 40 (or 64) lower-case hex digits")]
    Sha(String),
    /// The repository is not `owner/name`.
    #[error("repository `{0}` is not of the form `owner/name`")]
    Repository(String),
    /// Inputs pass a limit.
    #[error(transparent)]
    Inputs(#[from] InputsError),
}

impl OwnEvent {
    /// The event.
    ///
    /// # Errors
    ///
    /// [`OwnEventError`] names the first value that cannot stand; it is shortened for the message.
    pub fn into_event(self) -> Result<Event, OwnEventError> {
        if !is_kind(&self.kind) {
            return Err(OwnEventError::Kind(shown(&self.kind)));
        }
        let subject = Subject {
            kind: subject_kind(self.git_ref.as_deref()),
            title: self.title.as_deref().map(text::untrusted_name),
            body: self.body.as_deref().map(text::untrusted_body),
            ..Subject::default()
        };
        Ok(Event {
            source: self.source,
            kind: EventKind::from(self.kind),
            action: self.action.as_deref().map(text::name),
            repository: self.repository.as_deref().map(repository).transpose()?,
            actor: self.actor,
            subject,
            chat: None,
            address: Address::Everybody,
            git_ref: self.git_ref.as_deref().map(full_ref).transpose()?,
            base_ref: None,
            head_ref: None,
            sha: self.sha.as_deref().map(commit).transpose()?,
            changes: ChangeSet::of(self.changed_files.as_deref()),
            labels: self.labels.iter().take(text::LABELS_MAX).map(|it| text::name(it)).collect(),
            label: None,
            inputs: inputs::from_map(self.inputs)?,
            trust: self.trust,
            causation_depth: self.causation_depth,
        })
    }
}

/// Whether text can be an event's kind: 1 to 64 letters, digits, `_`, `-` or `.`.
pub fn is_kind(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-' | b'.'))
}

fn subject_kind(git_ref: Option<&str>) -> SubjectKind {
    match git_ref {
        Some(name) if name.starts_with("refs/heads/") => SubjectKind::Branch,
        Some(name) if name.starts_with("refs/tags/") => SubjectKind::Tag,
        _ => SubjectKind::None,
    }
}

fn full_ref(name: &str) -> Result<Untrusted, OwnEventError> {
    let whole = name.strip_prefix("refs/").is_some_and(|rest| !rest.is_empty());
    if whole && name.len() <= text::NAME_BYTES_MAX && !name.contains('\0') {
        Ok(Untrusted::new(name))
    } else {
        Err(OwnEventError::Ref(shown(name)))
    }
}

fn commit(sha: &str) -> Result<String, OwnEventError> {
    text::commit(sha).ok_or_else(|| OwnEventError::Sha(shown(sha)))
}

fn repository(full_name: &str) -> Result<Repository, OwnEventError> {
    let parts = full_name.split_once('/');
    let named = parts.is_some_and(|(owner, name)| !owner.is_empty() && !name.is_empty());
    if named && full_name.len() <= text::NAME_BYTES_MAX && !full_name.contains('\0') {
        Ok(Repository { full_name: full_name.to_owned(), ..Repository::default() })
    } else {
        Err(OwnEventError::Repository(shown(full_name)))
    }
}

/// A wrong value as an error message shows it.
fn shown(value: &str) -> String {
    text::clean(value, 80)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TrustLevel;

    fn own() -> OwnEvent {
        OwnEvent { source: "api".to_owned(), kind: "nightly".to_owned(), ..OwnEvent::default() }
    }

    #[test]
    fn an_event_of_ones_own_keeps_its_values() {
        let event = OwnEvent {
            git_ref: Some("refs/heads/main".to_owned()),
            repository: Some("octo-org/example".to_owned()),
            changed_files: Some(vec!["src/lib.rs".to_owned()]),
            trust: Trust::new(TrustLevel::Trusted, "an API token"),
            ..own()
        }
        .into_event()
        .unwrap();
        assert_eq!(event.kind, EventKind::Other("nightly".to_owned()));
        assert_eq!(event.subject.kind, SubjectKind::Branch);
        assert_eq!(event.changes, ChangeSet::Complete(vec!["src/lib.rs".into()]));
        assert_eq!(event.trust.level, TrustLevel::Trusted);
    }

    #[test]
    fn absent_files_are_unknown_and_no_files_are_complete() {
        assert_eq!(own().into_event().unwrap().changes, ChangeSet::Unknown);
        let none = OwnEvent { changed_files: Some(Vec::new()), ..own() };
        assert_eq!(none.into_event().unwrap().changes, ChangeSet::Complete(Vec::new()));
    }

    #[test]
    fn a_wrong_value_is_named_with_what_would_be_right() {
        let error = |own: OwnEvent| own.into_event().unwrap_err().to_string();
        let kind = OwnEvent { kind: "two words".to_owned(), ..own() };
        assert!(error(kind).contains("`two words` is not a name"));
        let git_ref = OwnEvent { git_ref: Some("main".to_owned()), ..own() };
        assert!(error(git_ref).contains("write `refs/heads/main`"));
        let sha = OwnEvent { sha: Some("abc".to_owned()), ..own() };
        assert!(error(sha).contains("`abc` is not a commit"));
        let repository = OwnEvent { repository: Some("example".to_owned()), ..own() };
        assert!(error(repository).contains("`example` is not of the form"));
    }

    #[test]
    fn a_long_wrong_value_is_shortened_in_its_message() {
        let sha = OwnEvent { sha: Some("a".repeat(100_000)), ..own() };
        assert!(sha.into_event().unwrap_err().to_string().len() < 200);
    }
}
