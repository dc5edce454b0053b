//! Text with expressions in it, and what is known of an expression without evaluating it.

use serde_json::json;

use super::super::{Expression, Template};
use super::{contexts, scope};

#[test]
fn a_template_has_values_in_its_text() {
    let contexts = contexts();
    let scope = scope(&contexts);
    let of = |text: &str| Template::parse(text).unwrap().value(&scope).map_err(|it| it.to_string());
    let table = [
        ("plain", json!("plain")),
        ("", json!("")),
        ("${{ matrix.node }}", json!(20)),
        ("${{matrix.flags}}", json!(["-a", "-b"])),
        ("v${{ matrix.node }}", json!("v20")),
        ("${{ matrix.os }}-${{ matrix.node }}.x", json!("linux-20.x")),
        ("${{ '}}' }}", json!("}}")),
        ("a${{ 'it''s }} ${{' }}b", json!("ait's }} ${{b")),
        ("${{ inputs.none }}${{ inputs.yes }}", json!("true")),
        ("$ {{ }} }} ${ {", json!("$ {{ }} }} ${ {")),
        ("${{ '${{ github.ref }}' }}!", json!("${{ github.ref }}!")),
    ];
    for (text, expected) in table {
        assert_eq!(of(text), Ok(expected), "{text}");
    }
    assert!(Template::parse("$ {{").unwrap().is_literal());
    assert!(!Template::parse("a ${{ 1 }}").unwrap().is_literal());
    assert_eq!(
        of("${{ 1 }}${{ secrets.a }}").unwrap_err(),
        "the context `secrets` is not available here"
    );
}

#[test]
fn what_is_used_is_told_as_paths() {
    let of = |text: &str| {
        let uses = Template::parse(text).unwrap().uses();
        let paths: Vec<_> = uses.paths.into_iter().collect();
        format!("{} {} {}", paths.join(" "), uses.status, uses.hash_files)
    };
    let told = [
        "${{ GitHub.Event.issue['Title'] }} ${{ env.A }}",
        "${{ github.event.issue.labels.*.name }}",
        "${{ matrix[inputs.key].a[0]['x.y'] }}",
        "${{ always() && hashFiles(vars.pattern) == toJSON(github) }}",
        "${{ (github.event || needs.a.outputs).x[steps.b.outputs.c] }}",
        "none",
    ]
    .map(of);
    insta::assert_snapshot!(told.join("\n"), @"
    env.a github.event.issue.title false false
    github.event.issue.labels.*.name false false
    inputs.key matrix.*.a.0.* false false
    github vars.pattern true true
    github.event needs.a.outputs steps.b.outputs.c false false
     false false
    ");
    let uses = Expression::parse("needs.a.result == inputs.key").unwrap().uses();
    assert_eq!(
        ["needs", "inputs", "need", "github"].map(|it| uses.context(it)),
        [true, true, false, false]
    );
}

#[test]
fn what_can_only_be_plain_is_known_without_evaluating() {
    let plain = |path: &str| matches!(path, "github.sha" | "runner.os");
    let of = |text: &str| Expression::parse(text).unwrap().is_plain(&plain);
    let yes = [
        "github.sha",
        "GITHUB['SHA']",
        "'$(x)'",
        "github.head_ref == 'a'",
        "!github.head_ref",
        "contains(github.head_ref, 'a')",
        "github.head_ref && 'a' || 'b'",
        "github.event && github.sha",
        "format('{0}-{1}', runner.os, 1)",
        "case(github.ref == 'a', 'x', github.sha)",
        "success()",
        "fromJSON('[1]')[0] == 1 && 1",
    ];
    for text in yes {
        assert!(of(text), "{text}");
    }
    let no = [
        "github",
        "github.ref",
        "github.sha || github.ref",
        "true && github.ref",
        "toJSON(github)",
        "format('{0}', github.ref)",
        "case(true, github.ref, 'a')",
        "case(true, 'a', github.ref)",
        "github['sha.x']",
        "github.*",
        "github[inputs.key]",
        "(github).sha.x",
        "hashFiles('a')",
        "join(github.sha, github.ref)",
        "fromJSON(github.ref)",
    ];
    for text in no {
        assert!(!of(text), "{text}");
    }
}
