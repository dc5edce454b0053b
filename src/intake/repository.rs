//! The workflow files of the repository that an event is about: which commit's, and what they start.
//!
//! Nobody may change what runs by changing what is proposed: of a push it is the pushed commit's files, because who can
//! push may change them anyway, unless nobody knows who pushed; of a pull request it is those of the branch that it would be merged into, wherever it
//! comes from; of everything else those of the default branch.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::Rules;
use crate::event::{Event, EventKind, SubjectKind};
use crate::model::TrustLevel;
use crate::trigger::RuleConfig;
use crate::workflow;

/// How much of a name people are shown.
const SHOWN_CHARS_MAX: usize = 100;

/// What must be looked up before an event can be decided: the workflow files of its repository.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Lookup {
    /// The source, whose forge is asked.
    pub source: String,
    /// `owner/name`.
    pub repository: String,
    /// At which commit.
    pub at: Commit,
}

/// Which commit is meant.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Commit {
    /// This one.
    Id(String),
    /// The newest of a branch, by its short name.
    Of(String),
    /// The newest of the default branch.
    OfDefault,
}

impl fmt::Display for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text: &str| -> String { text.chars().take(SHOWN_CHARS_MAX).collect() };
        write!(f, "the workflow files of {} at ", shown(&self.repository))?;
        match &self.at {
            Commit::Id(id) => write!(f, "the commit {}", shown(id)),
            Commit::Of(branch) => write!(f, "the branch `{}`", shown(branch)),
            Commit::OfDefault => f.write_str("its default branch"),
        }
    }
}

impl Lookup {
    /// The repository of an event and the commit whose files say what it starts; `None` where it names no repository.
    pub fn of(event: &Event) -> Option<Self> {
        let repository = event.repository.as_ref()?;
        let at = commit(event).unwrap_or_else(|| match &repository.default_branch {
            Some(branch) => Commit::Of(branch.clone()),
            None => Commit::OfDefault,
        });
        let (source, repository) = (event.source.clone(), repository.full_name.clone());
        Some(Self { source, repository, at })
    }
}

/// The commit, where it is not that of the default branch.
fn commit(event: &Event) -> Option<Commit> {
    let subject = &event.subject;
    let is_proposed = event.kind == EventKind::PullRequest
        || subject.kind == SubjectKind::PullRequest
        || subject.from_fork.is_some()
        || event.base_ref.is_some();
    if is_proposed {
        let base = event.base_ref.as_ref()?.as_data();
        return Some(Commit::Of(base.strip_prefix("refs/heads/").unwrap_or(base).to_owned()));
    }
    // Of a push that nobody signed the commit may be anybody's: forges show commits of forks by the name of the
    // repository, too.
    let is_known = event.trust.level != TrustLevel::Unknown;
    if event.kind != EventKind::Push || subject.deleted || !is_known {
        return None;
    }
    // A push to any other ref may hold what somebody only proposes.
    let git_ref = event.git_ref.as_ref()?.as_data();
    let is_own = git_ref.starts_with("refs/heads/") || git_ref.starts_with("refs/tags/");
    event.sha.clone().filter(|_| is_own).map(Commit::Id)
}

/// The workflow files of a repository at one commit, compiled.
#[derive(Clone, Debug)]
pub struct RepositoryFiles {
    /// A trigger for each file with `on`, and the files, by their paths.
    pub(super) rules: Rules,
    /// Files that start nothing, each with why, and whether that is a fault of it.
    pub(super) others: Vec<Unusable>,
    /// What people are told when no file is there.
    pub(super) none: Option<String>,
}

/// A file that starts nothing.
#[derive(Clone, Debug)]
pub(super) struct Unusable {
    /// Its path, which would be its trigger's name.
    pub(super) path: String,
    pub(super) why: String,
    pub(super) is_wrong: bool,
}

impl RepositoryFiles {
    /// Compiles files of `folder` as they were read at `commit`: each with its name, and its text or why there is none.
    /// `rules` are those of the configuration, whose names and defaults hold for them too. A file that is wrong does
    /// not keep the others from running.
    pub fn compile(
        rules: &Rules,
        folder: &str,
        commit: &str,
        files: &[(String, Result<String, String>)],
    ) -> Self {
        let commit: String = commit.chars().take(12).collect();
        let mut own = rules.without_triggers();
        let mut others = Vec::new();
        for (name, text) in files {
            let path = format!("{folder}/{name}");
            if let Err((why, is_wrong)) = add(&mut own, rules, &path, name, text) {
                others.push(Unusable { path, why, is_wrong });
            }
        }
        let none = files
            .is_empty()
            .then(|| format!("the repository has no workflow files in `{folder}` at {commit}"));
        Self { rules: own, others, none }
    }

    /// Whether some file looks at the bodies of deliveries before its jobs run.
    pub fn reads_payloads(&self) -> bool {
        self.rules.reads_payloads()
    }
}

/// Adds the trigger of a file; else why it has none, and whether the file is wrong.
fn add(
    own: &mut Rules,
    rules: &Rules,
    path: &str,
    name: &str,
    text: &Result<String, String>,
) -> Result<(), (String, bool)> {
    let wrong = |why: String| (why, true);
    let all = |found: Vec<workflow::FileError>| {
        let told: Vec<_> = found.iter().map(ToString::to_string).collect();
        wrong(format!("the file is wrong: {}", told.join("; ")))
    };
    if rules.trigger_names().any(|known| known == path) {
        return Err(wrong("a trigger of the configuration has its name".to_owned()));
    }
    let text = text.as_ref().map_err(|why| wrong(format!("the file cannot be used: {why}")))?;
    let file = workflow::File::parse(name, text, rules.defaults.policy).map_err(all)?;
    file.check(&rules.catalogue).map_err(all)?;
    let Some(on) = file.on.as_ref().filter(|on| !on.events.is_empty()) else {
        return Err(("the file says no `on` that an event could be".to_owned(), false));
    };
    let config = RuleConfig::of_file(path.to_owned(), path.to_owned(), on.events.clone());
    let workflows = BTreeMap::from([(path.to_owned(), file)]);
    let added = Rules::compile(
        std::slice::from_ref(&config),
        workflows,
        workflow::Defaults { start_by_on: false, ..own.defaults },
        Arc::clone(&own.catalogue),
    );
    let added = added.map_err(|found| {
        let told: Vec<_> = found.into_iter().map(|fault| fault.message).collect();
        wrong(format!("the file cannot be started: {}", told.join("; ")))
    })?;
    own.rules.extend(added.rules);
    own.workflows.extend(added.workflows);
    Ok(())
}

#[cfg(test)]
mod tests;
