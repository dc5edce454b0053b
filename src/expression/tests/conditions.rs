//! The status of what was before, conditions, and files.

use serde_json::json;

use super::super::{EvalError, Expression, Scope, Status};

/// <https://docs.github.com/en/actions/reference/workflows-and-actions/expressions#status-check-functions>
#[test]
fn status_functions_say_what_the_scope_says_and_nothing_without_one() {
    let failed =
        Scope::new().with_status(Status { success: false, failure: true, cancelled: false });
    let said = ["success()", "failure()", "cancelled()", "always()", "ALWAYS ( )"].map(|text| {
        let expression = Expression::parse(text).unwrap();
        assert_eq!(
            expression.evaluate(&Scope::new()).unwrap_err().to_string().split('(').next(),
            Some(format!("`{}", text.split([' ', '(']).next().unwrap().to_lowercase()).as_str())
        );
        expression.truth(&failed).unwrap()
    });
    assert_eq!(said, [false, true, false, true, true]);
}

/// <https://docs.github.com/en/actions/reference/workflows-and-actions/expressions#hashfiles>
#[test]
fn files_are_hashed_by_whom_the_scope_names() {
    let hash = |patterns: &[String]| match patterns {
        [] => Err("no patterns".to_owned()),
        some if some.iter().any(|it| it.is_empty()) => Err("a pattern is empty".to_owned()),
        some => Ok(some.join("+")),
    };
    let with = Scope::new().with_hash_files(&hash);
    let of = |text: &str, scope: &Scope<'_>| Expression::parse(text).unwrap().evaluate(scope);
    assert_eq!(of("hashFiles('**/a.lock', 1)", &with), Ok(json!("**/a.lock+1")));
    assert_eq!(of("hashFiles('')", &with), Err(EvalError::Files("a pattern is empty".to_owned())));
    assert_eq!(of("hashFiles('a')", &Scope::new()), Err(EvalError::NoFiles));
}

/// <https://docs.github.com/en/actions/reference/workflows-and-actions/expressions#status-check-functions>:
/// "A default status check of `success()` is applied unless you include one of these functions."
#[test]
fn conditions_mean_success_unless_they_ask_for_a_status() {
    let read = |text: &str| Expression::condition(text).unwrap().to_string();
    let told = [
        "",
        "  ",
        "true",
        "${{ github.ref == 'a' || inputs.yes }}",
        " ${{ github.ref && inputs.yes }} ",
        "failure() && steps.demo.conclusion == 'failure'",
        "${{ !cancelled() }}",
        "contains(github.ref, 'success()')",
        "needs.a.result == 'failure' || Always()",
    ]
    .map(read);
    insta::assert_snapshot!(told.join("\n"), @"
    success()
    success()
    success() && true
    success() && (github.ref == 'a' || inputs.yes)
    success() && github.ref && inputs.yes
    failure() && steps.demo.conclusion == 'failure'
    !cancelled()
    success() && contains(github.ref, 'success()')
    needs.a.result == 'failure' || always()
    ");
    let refused =
        ["${{ github.ref }} == 'a'", "!${{ inputs.yes }}", "${{ }}", "${{ 1", "a ==", "${{ a }}"];
    let told = refused.map(|text| Expression::condition(text).unwrap_err().to_string());
    insta::assert_snapshot!(told.join("\n"), @"
    only a part of the condition stands in `${{ }}` at byte 0; the rest would be text, and always true; leave the `${{ }}` out
    only a part of the condition stands in `${{ }}` at byte 1; the rest would be text, and always true; leave the `${{ }}` out
    the expression ends where a value belongs at byte 4
    `${{` is not closed by `}}` at byte 0
    unknown context `a` at byte 0; known are github, env, vars, secrets, needs, matrix, strategy, job, jobs, steps, runner, inputs; a text stands in single quotes
    unknown context `a` at byte 4; known are github, env, vars, secrets, needs, matrix, strategy, job, jobs, steps, runner, inputs; a text stands in single quotes
    ");
    let after =
        Scope::new().with_status(Status { success: false, failure: true, cancelled: false });
    assert!(!Expression::condition("true").unwrap().truth(&after).unwrap());
    assert!(Expression::condition("failure()").unwrap().truth(&after).unwrap());
}
