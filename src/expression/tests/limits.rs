//! What is too long, too deep or too much.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::super::{
    DEPTH_MAX, EXPRESSION_BYTES_MAX, EvalError, Expression, FUEL_DEFAULT, Scope,
    TEMPLATE_BYTES_MAX, Template,
};

#[test]
fn nothing_is_nested_deeper_than_the_limit() {
    let long = EXPRESSION_BYTES_MAX;
    let deep = [
        "(".repeat(long),
        "!".repeat(long),
        "github[".repeat(long / 7),
        "format(".repeat(long / 7),
        format!("github{}", ".a".repeat(long / 2 - 3)),
        format!("github{}", "[0]".repeat(long / 3 - 2)),
        format!("1{}", "==1".repeat(long / 3 - 1)),
        format!("1{}", "<1".repeat(long / 2 - 1)),
        format!("{}1{}", "(".repeat(DEPTH_MAX + 1), ")".repeat(DEPTH_MAX + 1)),
    ];
    for text in deep {
        let error = Expression::parse(&text).unwrap_err();
        assert_eq!(error.message, "the expression is nested more than 100 levels deep");
    }
    let (open, close) = ("(".repeat(DEPTH_MAX), ")".repeat(DEPTH_MAX));
    assert_eq!(Expression::parse(&format!("{open}1{close}")).unwrap().to_string(), "1");
    // A chain is no deeper than what is in it.
    let chain = format!("1{}", "&&1".repeat(long / 3 - 1));
    assert_eq!(Expression::parse(&chain).unwrap().evaluate(&Scope::new()), Ok(json!(1)));
}

#[test]
fn longer_texts_are_refused() {
    let text = format!("'{}'", "a".repeat(EXPRESSION_BYTES_MAX));
    let error = Expression::parse(&text).unwrap_err();
    assert_eq!(
        error.to_string(),
        "an expression of 65538 bytes is too long, at most 65536 at byte 0"
    );
    assert!(Template::parse(&"a".repeat(TEMPLATE_BYTES_MAX)).is_ok());
    assert!(Template::parse(&"a".repeat(TEMPLATE_BYTES_MAX + 1)).is_err());
}

fn fuel_is_spent(text: &str, scope: &Scope<'_>) {
    let error = Expression::parse(text).unwrap().evaluate(scope).unwrap_err();
    assert!(matches!(error, EvalError::Fuel { .. }), "{error}");
}

#[test]
fn work_ends_where_the_fuel_does() {
    let list = Value::Array(vec![json!("abcdefgh"); 2_000]);
    let object: serde_json::Map<_, _> =
        (0..2_000).map(|it| (format!("k{it}"), json!(it))).collect();
    let github = json!({"list": list, "object": object, "text": "x".repeat(20_000)});
    let scope = Scope::new().with("github", &github).with_fuel(1_000);
    let costly = [
        "join(github.list)",
        "toJSON(github)",
        "toJSON(github.list)",
        "github.list",
        "github.text",
        "github.list.*",
        "github.object.*.a",
        "github.object.nothing",
        "contains(github.list, 'z')",
        "contains(github.text, 'z')",
        "github.text == github.text",
        "format('{0}', github.text)",
        "fromJSON(github.text)",
    ];
    for text in costly {
        fuel_is_spent(text, &scope);
    }
    let cheap = Expression::parse("github.list[1999] == 'ABCDEFGH'").unwrap();
    assert_eq!(cheap.evaluate(&scope), Ok(json!(true)));
}

#[test]
fn a_text_that_grows_with_every_call_stops() {
    // Each level is twenty times as long as the one in it.
    let mut text = "'aaaaaaaaaaaaaaaaaaaa'".to_owned();
    let holes = "{0}".repeat(20);
    for _ in 0..10 {
        text = format!("format('{holes}', {text})");
    }
    fuel_is_spent(&text, &Scope::new());
}

#[test]
fn the_pieces_of_a_text_share_the_fuel() {
    let github = json!({"text": "x".repeat(usize::try_from(FUEL_DEFAULT / 8).unwrap())});
    let mut text = String::new();
    for at in 0..10 {
        write!(text, "{at}${{{{ github.text }}}}").unwrap();
    }
    let scope = Scope::new().with("github", &github);
    let error = Template::parse(&text).unwrap().text(&scope).unwrap_err();
    assert_eq!(error, EvalError::Fuel { fuel: FUEL_DEFAULT });
}

#[test]
fn what_a_condition_adds_counts_as_depth() {
    let text = format!("github{}", ".a".repeat(DEPTH_MAX - 1));
    Expression::parse(&text).unwrap();
    let error = Expression::condition(&text).unwrap_err();
    assert_eq!(error.message, "the expression is nested more than 100 levels deep");
    let less = Expression::condition(&format!("github{}", ".a".repeat(DEPTH_MAX - 2))).unwrap();
    assert_eq!(Expression::parse(&less.to_string()).unwrap(), less);
}

#[test]
fn a_value_that_is_too_deep_is_not_written() {
    let mut value = json!(1);
    for _ in 0..400 {
        value = Value::Array(vec![value]);
    }
    let error =
        Expression::parse("toJSON(github)").unwrap().evaluate(&Scope::new().with("github", &value));
    assert_eq!(
        error.unwrap_err().to_string(),
        "toJSON: the value is nested more than 256 levels deep"
    );
}
