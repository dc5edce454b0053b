//! Rules tried out without a configuration: one line of JSON in, one answer out.
//!
//! Reads what `dispatchyard try route --jsonl` is given. Unlike the rules of a configuration, which
//! are about jobs, these may be about names of any number of segments.

use serde::{Deserialize, Serialize};

use super::{Namespace, Pattern};
use crate::model::question;

/// Rules, in order, and a name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    /// Pattern and executor of each.
    rules: Vec<(String, String)>,
    default: String,
    name: String,
}

/// Who would carry it out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct RouteAnswer {
    /// The executor.
    pub executor: String,
    /// The place of the rule that decided, from 0; `None` for the default.
    pub rule: Option<usize>,
}

/// Which of the rules decides about a name: the first whose pattern matches it.
///
/// `{"rules": [[pattern, executor], ..], "default": .., "name": ..}`
///
/// # Errors
///
/// The line is no such question, or any of the patterns is none.
pub fn route(line: &str) -> Result<RouteAnswer, String> {
    let question: Question = question(line)?;
    let mut patterns = Vec::with_capacity(question.rules.len());
    for (at, (pattern, _)) in question.rules.iter().enumerate() {
        let read = Pattern::of_any_name(pattern);
        patterns.push(read.map_err(|error| format!("rules[{at}]: {error}"))?);
    }
    let name = Namespace::of_any(&question.name);
    let rule = patterns.iter().position(|pattern| pattern.matches(&name));
    let executor = rule.map_or(&question.default, |at| &question.rules[at].1);
    Ok(RouteAnswer { executor: executor.clone(), rule })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn routed(name: &str) -> String {
        let rules = json!([
            ["**::gpu::**", "gpu"],
            ["a::*", "pair"],
            ["build-*", "one"],
            ["*::*::x", "three"]
        ]);
        let line = json!({ "rules": rules, "default": "runners", "name": name }).to_string();
        serde_json::to_string(&route(&line).unwrap()).unwrap()
    }

    #[test]
    fn the_first_rule_that_matches_decides_about_names_of_any_length() {
        let names =
            ["gpu", "t::workflow::gpu::train", "a::gpu", "a::b", "build-x", "a::b::x", "a", ""];
        insta::assert_snapshot!(names.map(routed).join("\n"), @r#"
        {"executor":"gpu","rule":0}
        {"executor":"gpu","rule":0}
        {"executor":"gpu","rule":0}
        {"executor":"pair","rule":1}
        {"executor":"one","rule":2}
        {"executor":"three","rule":3}
        {"executor":"runners","rule":null}
        {"executor":"runners","rule":null}
        "#);
    }

    #[test]
    fn a_bad_question_is_an_error() {
        let told = [
            r#"{"rules": [], "default": "r"}"#,
            r#"{"rules": [["a"]], "default": "r", "name": "a"}"#,
            r#"{"rules": [["a", "x"], ["a::::b", "x"]], "default": "r", "name": "a"}"#,
            r#"{"rules": [["", "x"]], "default": "r", "name": "a"}"#,
        ]
        .map(|line| route(line).unwrap_err());
        insta::assert_snapshot!(told.join("\n"), @"
        missing field `name` at line 1 column 29
        invalid length 1, expected a tuple of size 2 at line 1 column 16
        rules[1]: `a::::b` has an empty segment
        rules[0]: `` has an empty segment
        ");
    }

    #[test]
    fn a_rule_of_the_configuration_is_about_jobs() {
        assert!(Pattern::of_any_name("*::ml::*").is_ok());
        assert!(Pattern::parse("*::ml::*").is_err());
    }
}
