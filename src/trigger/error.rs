//! What is wrong with a configured trigger.

use std::fmt;
use std::ops::Range;

/// One thing that is wrong with a trigger, for the person who edits the config.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub struct RuleError {
    /// The trigger's name.
    pub trigger: String,
    /// Which bytes of the config text it is about, from which the config room makes line and
    /// column. `None` when nothing better than the trigger is known.
    pub span: Option<Range<usize>>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "trigger `{}`: {}", self.trigger, self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, "; {hint}"))
    }
}

/// Collects what is wrong with one trigger, so that all of it is shown at once.
pub(super) struct Faults<'a> {
    pub(super) trigger: &'a str,
    pub(super) found: Vec<RuleError>,
}

impl Faults<'_> {
    /// Notes a fault at `span`.
    pub(super) fn add(&mut self, span: Range<usize>, message: impl Into<String>) {
        let (trigger, message) = (self.trigger.to_owned(), message.into());
        self.found.push(RuleError { trigger, span: Some(span), message, hint: None });
    }

    /// Notes a fault at `span`, and what to do.
    pub(super) fn add_with_hint(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.add(span, message);
        if let Some(last) = self.found.last_mut() {
            last.hint = Some(hint.into());
        }
    }
}
