//! `if` of a job: what can be said of it before anything has run.
//!
//! Whether a job runs is decided at one of three times. The plain forms `success()`, `failure()` and
//! `always()` are the scheduler's own rules. A condition over what the event says is decided when the
//! workload is planned. All else looks at what other jobs did, and is decided when they have ended.

use crate::expression::{Expression, ParseError, Scope, Status, Uses};
use crate::model::RunIf;

/// A condition of a job, checked.
#[derive(Clone, Debug)]
pub struct Condition {
    source: String,
    expression: Expression,
    /// Of what is written, without the `success()` that is meant where nothing is said.
    uses: Uses,
    plain: Option<RunIf>,
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

/// Nothing has run yet.
pub(super) const NOTHING_RAN: Status = Status { success: true, failure: false, cancelled: false };

impl Condition {
    /// Reads the text of an `if`.
    pub(super) fn parse(source: &str) -> Result<Self, ParseError> {
        let expression = Expression::condition(source)?;
        let bare = bare(source);
        let squeezed: String = bare.chars().filter(|c| !c.is_whitespace()).collect();
        let plain = match squeezed.to_ascii_lowercase().as_str() {
            "success()" => Some(RunIf::Success),
            "failure()" => Some(RunIf::Failure),
            "always()" => Some(RunIf::Always),
            _ => None,
        };
        let uses = Expression::parse(bare)?.uses();
        Ok(Self { source: source.to_owned(), expression, uses, plain })
    }

    /// As it is written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What it uses.
    pub(super) fn uses(&self) -> &Uses {
        &self.uses
    }

    /// Whether it can be decided before anything has run; then an event says how.
    pub(super) fn is_known(&self, has_needs: bool) -> bool {
        !(self.uses.context("needs") || self.uses.status && has_needs)
    }

    /// When a job with it runs. `scope` has what is known where it is planned; `None` before an event.
    pub(super) fn run_if(
        &self,
        has_needs: bool,
        scope: Option<&Scope<'_>>,
    ) -> Result<RunIf, String> {
        match (self.plain, has_needs) {
            (Some(RunIf::Failure), false) => return Ok(RunIf::Never),
            (Some(RunIf::Always), false) => return Ok(RunIf::Success),
            (Some(plain), _) => return Ok(plain),
            (None, _) => {}
        }
        if !self.is_known(has_needs) {
            return Ok(RunIf::Decide);
        }
        let scope = match scope {
            Some(scope) => *scope,
            // What reads nothing of an event needs none.
            None if self.uses.paths.is_empty() => Scope::new(),
            None => return Ok(RunIf::Success),
        };
        let holds = self.holds(&scope.with_status(NOTHING_RAN))?;
        Ok(if holds { RunIf::Success } else { RunIf::Never })
    }

    /// Whether it holds.
    pub(super) fn holds(&self, scope: &Scope<'_>) -> Result<bool, String> {
        self.expression.truth(scope).map_err(|error| format!("`{}`: {error}", self.source.trim()))
    }
}

/// The expression alone, without `${{ }}` around all of it.
fn bare(source: &str) -> &str {
    let trimmed = source.trim();
    let inner = trimmed.strip_prefix("${{").and_then(|it| it.strip_suffix("}}"));
    inner.filter(|it| !it.contains("${{")).unwrap_or(trimmed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run_if(source: &str, has_needs: bool) -> RunIf {
        let github = json!({"ref": "refs/heads/main"});
        let scope = Scope::new().with("github", &github);
        Condition::parse(source).unwrap().run_if(has_needs, Some(&scope)).unwrap()
    }

    #[test]
    fn a_condition_is_decided_as_soon_as_it_can_be() {
        for (source, needs, expected) in [
            ("success()", true, RunIf::Success),
            ("${{ always() }}", true, RunIf::Always),
            ("! cancelled()", true, RunIf::Decide),
            ("! cancelled()", false, RunIf::Success),
            ("always()", false, RunIf::Success),
            ("failure()", true, RunIf::Failure),
            ("failure()", false, RunIf::Never),
            ("github.ref == 'refs/heads/main'", true, RunIf::Success),
            ("github.ref == 'refs/heads/x'", true, RunIf::Never),
            ("${{ github.ref == 'refs/heads/x' }}", false, RunIf::Never),
            ("success() && github.ref == 'refs/heads/main'", false, RunIf::Success),
            ("always() && github.ref == 'refs/heads/main'", true, RunIf::Decide),
            ("needs.a.outputs.b == '1'", true, RunIf::Decide),
            ("failure() || github.ref == 'x'", false, RunIf::Never),
            ("false", true, RunIf::Never),
            ("true", true, RunIf::Success),
        ] {
            assert_eq!(run_if(source, needs), expected, "{source} (needs: {needs})");
        }
    }

    #[test]
    fn before_an_event_a_condition_over_it_is_open() {
        let condition = Condition::parse("github.ref == 'x'").unwrap();
        assert!(condition.is_known(true));
        assert_eq!(condition.run_if(true, None), Ok(RunIf::Success));
        let never = Condition::parse("false").unwrap();
        assert_eq!(never.run_if(true, None), Ok(RunIf::Never), "it needs no event");
    }
}
