//! Several patterns: the last one that matches decides.

use super::{Pattern, PatternError};

/// The most patterns in one list.
pub const PATTERNS_MAX: usize = 256;

/// Why a list of patterns is refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ListError {
    /// It matches nothing.
    #[error("a list of patterns is empty")]
    Empty,
    /// It is over [`PATTERNS_MAX`].
    #[error("{0} patterns in one list, at most {PATTERNS_MAX}")]
    TooMany(usize),
    /// It says only what is not meant.
    #[error(
        "all its patterns start with `!`, so it matches nothing; add one without, as `**` for all the rest"
    )]
    OnlyNegated,
    /// One of its patterns is refused.
    #[error("{error}")]
    Pattern {
        /// Its place in the list, from 0.
        at: usize,
        /// Why.
        #[source]
        error: PatternError,
    },
}

impl ListError {
    /// The place of the pattern that it is about, where it is about one.
    pub fn at(&self) -> Option<usize> {
        if let Self::Pattern { at, .. } = self { Some(*at) } else { None }
    }
}

/// A list of patterns, at least one of them without `!`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PatternList(Vec<Pattern>);

impl PatternList {
    /// Compiles each pattern.
    ///
    /// # Errors
    ///
    /// The first pattern that is refused, or what is wrong with the list as a whole. Whoever
    /// writes one with `!` must write one without as well:
    /// <https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#example-including-and-excluding-branches-and-tags>.
    pub fn compile<'a>(texts: impl ExactSizeIterator<Item = &'a str>) -> Result<Self, ListError> {
        match texts.len() {
            0 => return Err(ListError::Empty),
            many if many > PATTERNS_MAX => return Err(ListError::TooMany(many)),
            _ => {}
        }
        let compile =
            |(at, text)| Pattern::compile(text).map_err(|error| ListError::Pattern { at, error });
        let list: Vec<_> = texts.enumerate().map(compile).collect::<Result<_, _>>()?;
        if list.iter().all(Pattern::negates) {
            return Err(ListError::OnlyNegated);
        }
        Ok(Self(list))
    }

    /// The pattern that decides about `name`: the last one that matches.
    pub fn last_match(&self, name: &str) -> Option<&Pattern> {
        self.0.iter().rev().find(|pattern| pattern.matches(name))
    }

    /// Whether `name` is meant.
    pub fn means(&self, name: &str) -> bool {
        self.last_match(name).is_some_and(|pattern| !pattern.negates())
    }

    /// Whether each pattern without `!` is taken back by one behind it. When this says no it may be
    /// so all the same.
    pub fn takes_all_back(&self) -> bool {
        self.0.iter().enumerate().filter(|(_, pattern)| !pattern.negates()).all(|(at, pattern)| {
            self.0[at..].iter().any(|later| later.negates() && later.covers(pattern))
        })
    }

    /// Whether every name is meant, because one pattern says so that no later one takes back.
    pub fn means_all(&self) -> bool {
        let last = self.0.iter().rposition(|pattern| pattern.negates());
        self.0[last.map_or(0, |at| at + 1)..].iter().any(|pattern| pattern.body() == "**")
    }
}
