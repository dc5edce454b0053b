//! What expressions come to: `tables.rs` has the cases of the pages, `conditions.rs` those of `if`, `texts.rs`
//! those of text around them, `reading.rs` what is refused and how it is printed, `limits.rs` what is too much,
//! `laws.rs` what holds of any.

mod conditions;
mod laws;
mod limits;
mod reading;
mod tables;
mod texts;

use serde_json::{Value, json};

use super::{Expression, Scope, Status};

/// What the scopes of the tests hold.
fn contexts() -> Value {
    json!({
        "github": {
            "ref": "refs/heads/main",
            "event_name": "push",
            "sha": "0123abcd",
            "Actor": "mona",
            "event": {
                "issue": {
                    "number": 7,
                    "labels": [
                        {"name": "bug", "colors": ["red", "pink"]},
                        {"name": "help wanted"},
                        {"id": 3},
                    ],
                },
                "commits": [{"id": "a"}, {"id": "b"}],
                "fruits": [
                    {"name": "apple", "quantity": 1},
                    {"name": "orange", "quantity": 2},
                    {"name": "pear", "quantity": 1},
                ],
                "vegetables": {
                    "artichokes": {"ediblePortions": ["hearts", "stems", "leaves"]},
                    "beets": {"ediblePortions": ["roots", "stems", "leaves"]},
                    "scallions": {"ediblePortions": ["roots", "stalks"]},
                },
            },
        },
        "env": {"continue": "true", "time": "3"},
        "matrix": {"os": "linux", "node": 20, "flags": ["-a", "-b"]},
        "inputs": {"key": "os", "none": null, "yes": true},
    })
}

const RUNNING: Status = Status { success: true, failure: false, cancelled: false };

/// The scope of [`contexts`].
fn scope(contexts: &Value) -> Scope<'_> {
    let names = ["github", "env", "matrix", "inputs"];
    names
        .iter()
        .fold(Scope::new().with_status(RUNNING), |scope, name| scope.with(name, &contexts[name]))
}

/// What an expression comes to, or its error.
fn told(text: &str) -> Result<Value, String> {
    let contexts = contexts();
    let expression = Expression::parse(text).map_err(|error| error.to_string())?;
    expression.evaluate(&scope(&contexts)).map_err(|error| error.to_string())
}

/// What an expression certainly comes to.
fn value(text: &str) -> Value {
    told(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}
