//! A checked `on`: which events start something, by GitHub's rules.

use std::borrow::Cow;
use std::ops::Range;

use super::error::Faults;
use super::select::{Select, shown};
use super::{On, RuleError};
use crate::event::Event;

/// The checked filters of an `on`.
#[derive(Clone, Debug)]
pub struct Filters(Vec<Select>);

/// Whether an event is wanted, and the clause that decided.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub struct Verdict {
    /// Whether it is.
    pub matched: bool,
    /// The clause that decided, for people. Text from outside in it is quoted, escaped and short.
    pub why: Cow<'static, str>,
}

impl From<Result<Cow<'static, str>, Cow<'static, str>>> for Verdict {
    fn from(said: Result<Cow<'static, str>, Cow<'static, str>>) -> Self {
        let matched = said.is_ok();
        let (Ok(why) | Err(why)) = said;
        Self { matched, why }
    }
}

impl Filters {
    /// Checks the filters of an `on` that is nobody's yet: `owner` is for messages.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, each with its place under `on`.
    pub fn compile(on: &On, owner: &str) -> Result<Self, Vec<RuleError>> {
        let mut faults = Faults { trigger: owner, found: Vec::new() };
        let filters = Self::read(on, &(0..0), &mut faults);
        if faults.found.is_empty() { Ok(filters) } else { Err(faults.found) }
    }

    /// The same, for a trigger at `place`.
    pub(super) fn read(on: &On, place: &Range<usize>, faults: &mut Faults<'_>) -> Self {
        if on.0.is_empty() {
            faults.add_with_hint(
                place.clone(),
                "it wants no event",
                "name one under `on`, in the trigger or in its workflow's file",
            );
        }
        let compile =
            |(name, filter): &(String, _)| Select::compile(name, filter, place.clone(), faults);
        Self(on.0.iter().map(compile).collect())
    }

    /// Whether `event` is wanted.
    pub fn decide(&self, event: &Event) -> Verdict {
        self.of(event).and_then(|select| select.wants(event).map_err(Cow::from)).into()
    }

    /// Whether some event of that kind is wanted.
    pub(super) fn want(&self, kind: &str) -> bool {
        self.0.iter().any(|it| it.kind.as_str() == kind)
    }

    /// The filter of the event's kind.
    pub(super) fn of(&self, event: &Event) -> Result<&Select, Cow<'static, str>> {
        let found = self.0.iter().find(|it| it.kind == event.kind);
        found.ok_or_else(|| format!("event {} is not wanted", shown(event.kind.as_str())).into())
    }
}

#[cfg(test)]
#[path = "filters_tests.rs"]
mod tests;
