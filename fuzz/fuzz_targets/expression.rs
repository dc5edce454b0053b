//! Expressions and texts with expressions: reading and evaluating ends, and what is printed reads as the same.
//!
//! Input: a text, which is tried as an expression, as a condition and as a text with `${{ }}`.

#![no_main]

use std::sync::LazyLock;

use dispatchyard::expression::{EXPRESSION_BYTES_MAX, Expression, Scope, Status, Template};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

static GITHUB: LazyLock<Value> = LazyLock::new(|| {
    json!({
        "ref": "refs/heads/main",
        "event": {"number": 7, "labels": [{"name": "a"}, {"name": "b"}, [1, null]], "Text": "é{0}'\u{2028}"},
    })
});
static MATRIX: LazyLock<Value> = LazyLock::new(|| json!({"os": "linux", "n": -0.5, "list": ["a", "b"]}));

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let status = Status { success: true, failure: false, cancelled: false };
    let hash = |patterns: &[String]| Ok(patterns.join(","));
    let scope = Scope::new()
        .with("github", &GITHUB)
        .with("matrix", &MATRIX)
        .with_status(status)
        .with_hash_files(&hash)
        .with_fuel(100_000);
    for read in [Expression::parse(text), Expression::condition(text)] {
        match read {
            Err(error) => assert!(text.is_char_boundary(error.at)),
            Ok(read) => {
                let printed = read.to_string();
                if printed.len() <= EXPRESSION_BYTES_MAX {
                    let again = Expression::parse(&printed).expect("what is printed is an expression");
                    assert_eq!(again, read);
                    assert_eq!(again.evaluate(&scope), read.evaluate(&scope));
                }
                if let Ok(value) = read.evaluate(&scope) {
                    assert!(value.to_string().len() < 10_000_000);
                }
            }
        }
    }
    match Template::parse(text) {
        Err(error) => assert!(text.is_char_boundary(error.at)),
        Ok(read) => {
            let made = read.text(&scope);
            if read.is_literal() {
                assert_eq!(made.as_deref(), Ok(text));
            }
        }
    }
});
