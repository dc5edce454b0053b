//! Expressions tried out without a workflow: one line of JSON in, one answer out.
//!
//! Reads what `dispatchyard try expression` is given. What an expression means is decided where it is decided
//! for workflows.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{CONTEXTS, Expression, Scope, Status, Template, names};
use crate::model::question;

/// An expression, and the contexts that it sees.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    expr: String,
    #[serde(default)]
    contexts: Map<String, Value>,
}

/// What it comes to.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ExpressionAnswer {
    /// The value; numbers that JSON has not are texts.
    pub value: Value,
}

/// What an expression comes to, or a text with expressions in it.
///
/// `{"expr": "${{ .. }}", "contexts": {"github": {..}, ..}}`
///
/// # Errors
///
/// The line is no such question, the expression is none, or it comes to nothing.
pub fn expression(line: &str) -> Result<ExpressionAnswer, String> {
    let question: Question = question(line)?;
    let mut scope = Scope::new().with_status(status(&question.contexts)?);
    for (name, value) in &question.contexts {
        if names::context(name).is_none() {
            let known = CONTEXTS.join(", ");
            return Err(format!("contexts: `{name}` is not a context; known are {known}"));
        }
        scope = scope.with(name, value);
    }
    let value = match question.expr.contains("${{") {
        true => Template::parse(&question.expr)
            .map_err(|error| error.to_string())?
            .value(&scope)
            .map_err(|error| error.to_string())?,
        false => Expression::parse(&question.expr)
            .map_err(|error| error.to_string())?
            .evaluate(&scope)
            .map_err(|error| error.to_string())?,
    };
    Ok(ExpressionAnswer { value })
}

/// What the status functions say: by `job.status`, as a step sees it, or where that is not given by how those ended
/// that a job needs, as its `if` does.
fn status(contexts: &Map<String, Value>) -> Result<Status, String> {
    let status = contexts.get("job").and_then(|job| job.get("status"));
    let said = match status {
        None | Some(Value::Null) => return Ok(of_needs(contexts.get("needs"))),
        Some(Value::String(text)) => text,
        Some(_) => "",
    };
    let is = |name| said == name;
    match said {
        "success" | "failure" | "cancelled" => Ok(Status {
            success: is("success"),
            failure: is("failure"),
            cancelled: is("cancelled"),
        }),
        _ => Err("contexts.job.status: not `success`, `failure` or `cancelled`".to_owned()),
    }
}

/// The same of the results of what a job needs; without any all went well.
fn of_needs(needs: Option<&Value>) -> Status {
    let needs = needs.and_then(Value::as_object).into_iter().flat_map(Map::values);
    let results: Vec<_> = needs.filter_map(|need| need.get("result")?.as_str()).collect();
    Status {
        success: results.iter().all(|result| *result == "success"),
        failure: results.contains(&"failure"),
        cancelled: results.contains(&"cancelled"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(question: &Value) -> String {
        match expression(&question.to_string()) {
            Ok(answer) => serde_json::to_string(&answer).unwrap(),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn a_whole_expression_keeps_its_type_and_text_around_it_makes_a_text() {
        let github = json!({"github": {"ref": "refs/heads/main", "event": {"number": 7}}});
        let of = |expr: &str| told(&json!({"expr": expr, "contexts": github}));
        let told = [
            of("${{ github.event.number }}"),
            of("github.event.number == '7'"),
            of("pull ${{ github.event.number }} of ${{ github.ref }}"),
            of(" ${{ null }}"),
            of("github.event"),
            of("github.nothing"),
            of("NaN"),
            of("${{ -Infinity }}"),
            of("fromJSON('[1, 2.5, -0.0]')"),
        ];
        insta::assert_snapshot!(told.join("\n"), @r#"
        {"value":7}
        {"value":true}
        {"value":"pull 7 of refs/heads/main"}
        {"value":" "}
        {"value":{"number":7}}
        {"value":null}
        {"value":"NaN"}
        {"value":"-Infinity"}
        {"value":[1,2.5,-0.0]}
        "#);
    }

    #[test]
    fn the_jobs_status_feeds_the_status_functions() {
        let of = |status: Value| {
            let expr = "format('{0} {1} {2} {3}', success(), failure(), cancelled(), always())";
            told(&json!({"expr": expr, "contexts": {"job": {"status": status}}}))
        };
        let told =
            [json!("success"), json!("failure"), json!("cancelled"), json!(null), json!("skipped")];
        insta::assert_snapshot!(told.map(of).join("\n"), @r#"
        {"value":"true false false true"}
        {"value":"false true false true"}
        {"value":"false false true true"}
        {"value":"true false false true"}
        error: contexts.job.status: not `success`, `failure` or `cancelled`
        "#);
    }

    #[test]
    fn the_results_of_needs_feed_them_where_there_is_no_job() {
        let of = |results: &[&str]| {
            let need = |(at, result)| (format!("n{at}"), json!({ "result": result }));
            let needs: Map<_, _> = results.iter().enumerate().map(need).collect();
            let expr = "format('{0} {1} {2}', success(), failure(), cancelled())";
            told(&json!({"expr": expr, "contexts": {"needs": needs}}))
        };
        let told: [&[&str]; 5] = [
            &[],
            &["success", "success"],
            &["success", "failure"],
            &["skipped"],
            &["cancelled", "success"],
        ];
        insta::assert_snapshot!(told.map(of).join("\n"), @r#"
        {"value":"true false false"}
        {"value":"true false false"}
        {"value":"false true false"}
        {"value":"false false false"}
        {"value":"false false true"}
        "#);
    }

    #[test]
    fn a_bad_question_is_an_error_with_its_place() {
        let told = [
            json!({}),
            json!({"expr": 1}),
            json!({"expr": "1", "context": {}}),
            json!({"expr": "1", "contexts": {"git": {}}}),
            json!({"expr": "a ${{ 1 + 1 }}"}),
            json!({"expr": "github.ref"}),
            json!({"expr": "hashFiles('**')"}),
            json!({"expr": "fromJSON('{')"}),
        ]
        .map(|question| told(&question));
        insta::assert_snapshot!(told.join("\n"), @"
        error: missing field `expr` at line 1 column 2
        error: invalid type: integer `1`, expected a string at line 1 column 9
        error: unknown field `context`, expected `expr` or `contexts` at line 1 column 21
        error: contexts: `git` is not a context; known are github, env, vars, secrets, needs, matrix, strategy, job, jobs, steps, runner, inputs
        error: unexpected `+` at byte 8; there is no arithmetic in expressions
        error: the context `github` is not available here
        error: `hashFiles` is not available here; it needs the files of a job's workspace
        error: fromJSON: not valid JSON: EOF while parsing an object at line 1 column 1
        ");
    }
}
