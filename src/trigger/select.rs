//! The compiled filter of one event kind: which activity types, refs and files it wants.
//!
//! The rules are GitHub's:
//! <https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#onpushbranchestagsbranches-ignoretags-ignore>
//! and the sections behind it.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use toml::Spanned;

use super::error::Faults;
use super::github::{Documented, Types, documented};
use super::{EventFilter, PatternList};
use crate::event::{ChangeSet, Event, EventKind};
use crate::model::Untrusted;

const ALL_HOLD: &str = "no filter refuses it";
/// How much of a name from outside a verdict repeats.
const SHOWN_CHARS_MAX: usize = 100;
const TAGS: &str = "refs/tags/";
const BRANCHES: &str = "refs/heads/";

/// What a filter says: the clause that decided, and whether for the event.
pub(super) type Clause = Result<Cow<'static, str>, String>;

/// The compiled filter of one event kind.
#[derive(Clone, Debug)]
pub(super) struct Select {
    pub(super) kind: EventKind,
    /// Wanted activity types; `None` for all.
    types: Option<Vec<String>>,
    /// Activity types that start workflows, where none are named; forges tell of others, too.
    known: Option<&'static [&'static str]>,
    branches: Option<Names>,
    tags: Option<Names>,
    paths: Option<Names>,
}

/// Names that are wanted, or names that are not.
#[derive(Clone, Debug)]
enum Names {
    Only(PatternList),
    Ignore(PatternList),
}

impl Select {
    /// Compiles the filters of the event kind `name`; what is wrong goes to `faults`, and what is
    /// about no single value at `place`.
    pub(super) fn compile(
        name: &str,
        filter: &EventFilter,
        place: std::ops::Range<usize>,
        faults: &mut Faults<'_>,
    ) -> Self {
        let has = documented(name).unwrap_or(Documented::OWN);
        refuse_foreign(name, has, filter, &place, faults);
        let mut names = |key: &str, only: &Option<Vec<_>>, ignore: &Option<Vec<_>>| {
            if only.is_some() && ignore.is_some() {
                faults.add_with_hint(
                    place.clone(),
                    format!("on.{name} has both `{key}` and `{key}-ignore`"),
                    "keep one of the two; a pattern with `!` takes names out of the first",
                );
            }
            let only = only.as_deref().and_then(|it| list(name, key, it, &place, faults));
            let ignore = ignore.as_deref();
            only.map(Names::Only).or_else(|| {
                let list = list(name, &format!("{key}-ignore"), ignore?, &place, faults)?;
                Some(Names::Ignore(list))
            })
        };
        let branches = names("branches", &filter.branches, &filter.branches_ignore);
        let tags = names("tags", &filter.tags, &filter.tags_ignore);
        let paths = names("paths", &filter.paths, &filter.paths_ignore);
        let types = match &filter.types {
            Some(types) => {
                check_types(name, has.types, types, faults);
                Some(types.iter().map(|it| it.get_ref().clone()).collect())
            }
            None => has.types.default().map(|types| types.map(str::to_owned).into()),
        };
        let known = has.types.known().filter(|_| types.is_none());
        Self { kind: EventKind::from(name.to_owned()), types, known, branches, tags, paths }
    }

    /// Whether an event of this kind is wanted, and the clause that decided.
    pub(super) fn wants(&self, event: &Event) -> Clause {
        if self.kind == EventKind::Push && event.subject.deleted {
            return Err("the push deletes its ref, which runs no push trigger".to_owned());
        }
        self.wants_type(event)?;
        let by_ref = match self.kind.as_str() {
            "pull_request" | "pull_request_target" | "merge_group" => {
                self.wants_branch("base branch", "no base branch", event.base_ref.as_ref())?
            }
            // The branch that the other workflow ran on.
            "workflow_run" => {
                let head = event.head_ref.as_ref().or(event.git_ref.as_ref());
                self.wants_branch("branch", "no branch", head)?
            }
            _ => self.wants_ref(event)?,
        };
        match &self.paths {
            None => Ok(by_ref),
            Some(_) if is_tag(event) => Ok("path filters do not apply to tag pushes".into()),
            Some(paths) => paths.want_files(&event.changes),
        }
    }

    fn wants_ref(&self, event: &Event) -> Clause {
        if self.branches.is_none() && self.tags.is_none() {
            return Ok(ALL_HOLD.into());
        }
        let Some(git_ref) = event.git_ref.as_ref().map(Untrusted::as_data) else {
            return Err("the event names no ref for `branches` or `tags`".to_owned());
        };
        let (what, name, own) = if let Some(name) = git_ref.strip_prefix(TAGS) {
            ("tag", name, &self.tags)
        } else {
            ("branch", git_ref.strip_prefix(BRANCHES).unwrap_or(git_ref), &self.branches)
        };
        own.as_ref().map_or_else(
            || {
                let other = if what == "tag" { "branches" } else { "tags" };
                Err(format!("{what} {}, and only {other} are filtered for", shown(name)))
            },
            |own| own.want_ref(what, name),
        )
    }

    /// Whether an activity type starts something where none are named.
    fn starts_by(&self, action: &str) -> bool {
        self.known.is_none_or(|known| known.contains(&action))
    }

    fn wants_type(&self, event: &Event) -> Result<(), String> {
        let Some(types) = &self.types else {
            let strange = event.action.as_deref().filter(|it| !self.starts_by(it));
            return strange.map_or(Ok(()), |action| {
                Err(format!("activity type {} starts no workflows", shown(action)))
            });
        };
        match event.action.as_deref() {
            Some(action) if types.iter().any(|it| it == action) => Ok(()),
            Some(action) => {
                Err(format!("activity type {} is none of {}", shown(action), types.join(", ")))
            }
            None => Err(format!("the event has no activity type, wanted {}", types.join(", "))),
        }
    }

    fn wants_branch(&self, what: &str, none: &str, name: Option<&Untrusted>) -> Clause {
        let Some(branches) = &self.branches else { return Ok(ALL_HOLD.into()) };
        let Some(name) = name.map(Untrusted::as_data) else {
            return Err(format!("the event names {none} for `branches`"));
        };
        branches.want_ref(what, name.strip_prefix(BRANCHES).unwrap_or(name))
    }
}

fn is_tag(event: &Event) -> bool {
    event.git_ref.as_ref().is_some_and(|it| it.as_data().starts_with(TAGS))
}

impl Names {
    /// Whether a branch or tag of this short name is wanted.
    fn want_ref(&self, what: &str, name: &str) -> Clause {
        let key = if what == "tag" { "tags" } else { "branches" };
        let (list, ignore) = match self {
            Self::Only(list) => (list, ""),
            Self::Ignore(list) => (list, "-ignore"),
        };
        let found = list.last_match(name);
        let clause = match found {
            Some(it) => {
                format!("{what} {} matches `{}` of {key}{ignore}", shown(name), it.as_str())
            }
            None => format!("{what} {} matches none of {key}{ignore}", shown(name)),
        };
        let is_meant = found.is_some_and(|pattern| !pattern.negates());
        if is_meant == ignore.is_empty() { Ok(clause.into()) } else { Err(clause) }
    }

    /// Whether these changes are wanted. In doubt they are: work that runs for nothing is a
    /// lesser evil than work that nobody sees missing.
    fn want_files(&self, changes: &ChangeSet) -> Clause {
        let (files, complete) = match changes {
            ChangeSet::Complete(files) => (files.as_slice(), true),
            ChangeSet::Truncated(files) => (files.as_slice(), false),
            ChangeSet::Unknown => {
                return Ok("changed files are unknown, so path filters let it run".into());
            }
        };
        let mut wanted = files.iter().map(Untrusted::as_data).filter(|file| match self {
            Self::Only(list) => list.means(file),
            Self::Ignore(list) => !list.means(file),
        });
        match (wanted.next(), complete, self) {
            (Some(file), ..) => Ok(format!("changed file {} is wanted", shown(file)).into()),
            (None, false, _) => {
                Ok("the list of changed files is truncated, so path filters let it run".into())
            }
            (None, true, Self::Only(_)) => {
                Err(format!("none of {} changed files matches paths", files.len()))
            }
            (None, true, Self::Ignore(_)) => {
                Err(format!("all of {} changed files match paths-ignore", files.len()))
            }
        }
    }
}

/// Text from outside inside a verdict: quoted, without control characters, and short.
pub(super) fn shown(text: &str) -> impl fmt::Display {
    fmt::from_fn(move |f| {
        if text.len() <= SHOWN_CHARS_MAX && text.bytes().all(|b| b.is_ascii_graphic()) {
            return write!(f, "`{text}`");
        }
        f.write_char('`')?;
        let mut short = text.chars().take(SHOWN_CHARS_MAX).flat_map(char::escape_debug);
        short.try_for_each(|c| f.write_char(c))?;
        f.write_str(if text.chars().nth(SHOWN_CHARS_MAX).is_some() { "...`" } else { "`" })
    })
}

fn list(
    event: &str,
    key: &str,
    texts: &[Spanned<String>],
    place: &std::ops::Range<usize>,
    faults: &mut Faults<'_>,
) -> Option<PatternList> {
    let compiled = PatternList::compile(texts.iter().map(|it| it.get_ref().as_str()));
    compiled
        .map_err(|error| match error.at() {
            Some(at) => faults.add(texts[at].span(), format!("on.{event}.{key}[{at}]: {error}")),
            None => faults.add(place.clone(), format!("on.{event}.{key}: {error}")),
        })
        .ok()
}

/// Refuses activity types that never come.
fn check_types(event: &str, has: Types, types: &[Spanned<String>], faults: &mut Faults<'_>) {
    let Some(known) = has.known() else { return };
    for (at, name) in types.iter().enumerate() {
        if !known.contains(&name.get_ref().as_str()) {
            faults.add_with_hint(
                name.span(),
                format!("on.{event}.types[{at}]: no activity type is {}", shown(name.get_ref())),
                format!("`{event}` has {}", known.join(", ")),
            );
        }
    }
}

/// Refuses filters that the event has not: they would be silently without effect.
fn refuse_foreign(
    name: &str,
    has: Documented,
    filter: &EventFilter,
    place: &std::ops::Range<usize>,
    faults: &mut Faults<'_>,
) {
    let given = [
        ("types", &filter.types),
        ("branches", &filter.branches),
        ("branches-ignore", &filter.branches_ignore),
        ("tags", &filter.tags),
        ("tags-ignore", &filter.tags_ignore),
        ("paths", &filter.paths),
        ("paths-ignore", &filter.paths_ignore),
    ];
    let allowed = |key: &str| match key {
        "types" => has.types != Types::None,
        key => has.filters.contains(&key.trim_end_matches("-ignore")),
    };
    for (key, value) in given {
        let Some(value) = value else { continue };
        if !allowed(key) {
            let span = value.first().map_or(place.clone(), Spanned::span);
            let has: Vec<_> = given.map(|it| it.0).into_iter().filter(|it| allowed(it)).collect();
            let hint = match has.as_slice() {
                [] => "it has no filters".to_owned(),
                has => format!("it has {}", has.join(", ")),
            };
            faults.add_with_hint(span, format!("event `{name}` has no filter `{key}`"), hint);
        } else if key == "types" && value.is_empty() {
            faults.add(place.clone(), format!("on.{name}.types: the list is empty"));
        }
    }
}
