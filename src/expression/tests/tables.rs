//! The cases of GitHub's pages.

use serde_json::{Value, json};

use super::super::text_of;
use super::{told, value};

fn check(table: &[(&str, Value)]) {
    for (text, expected) in table {
        assert_eq!(&value(text), expected, "{text}");
    }
}

/// <https://docs.github.com/en/actions/reference/workflows-and-actions/expressions#literals>
#[test]
fn literals() {
    check(&[
        ("null", json!(null)),
        ("false", json!(false)),
        ("711", json!(711)),
        ("-9.2", json!(-9.2)),
        ("0xff", json!(255)),
        ("0o17", json!(15)),
        ("-2.99e-2", json!(-0.0299)),
        ("'It''s open source!'", json!("It's open source!")),
        ("''", json!("")),
        ("+1", json!(1)),
        (".5", json!(0.5)),
        ("NaN", json!("NaN")),
        ("Infinity", json!("Infinity")),
        ("-Infinity", json!("-Infinity")),
    ]);
}

/// <https://docs.github.com/en/actions/reference/workflows-and-actions/expressions#operators>
#[test]
fn loose_equality_makes_numbers_of_unlike_kinds() {
    let equal = [
        "null == 0",
        "true == 1",
        "false == 0",
        "false == null",
        "'' == 0",
        "'' == null",
        "'' == false",
        "'1' == 1",
        "'0xff' == 255",
        "' 12 ' == 12",
        "'1e3' == 1000",
        "'true' != true",
        "'Main' == 'mAIN'",
        "'STRASSE' != 'straße'",
        "'ÄÖ' == 'äö'",
        "'abc' != 0",
        "null == null",
        "NaN != NaN",
        "'NaN' != NaN",
        "github.event == github.event",
        "github.event.commits == github.event.commits",
        "fromJSON('[]') != fromJSON('[]')",
        "fromJSON('{}') != fromJSON('{}')",
        "github.event != 'Object'",
        "github.event.commits != null",
        "github.event.commits.* != github.event.commits.*",
    ];
    for text in equal {
        assert_eq!(value(text), json!(true), "{text}");
    }
}

/// <https://docs.github.com/en/actions/reference/workflows-and-actions/expressions#operators>
#[test]
fn relations_compare_numbers_or_texts_without_case() {
    let hold = [
        "1 < 2",
        "2 >= 2",
        "'a' < 'B'",
        "'B' > 'a'",
        "'a' <= 'A'",
        "'10' < '9'",
        "'10' > 9",
        "true > false",
        "null <= 0",
        "null >= null",
        "github.event >= github.event",
        "-1 < '0'",
    ];
    for text in hold {
        assert_eq!(value(text), json!(true), "{text}");
    }
    let fail = [
        "NaN < 1",
        "NaN > 1",
        "NaN <= NaN",
        "'a' < 1",
        "'a' >= 1",
        "null < null",
        "github.event < 1",
        "github.event >= github.event.issue",
        "fromJSON('[]') <= 0",
    ];
    for text in fail {
        assert_eq!(value(text), json!(false), "{text}");
    }
}

/// <https://docs.github.com/en/actions/reference/workflows-and-actions/expressions#literals>
#[test]
fn what_is_empty_or_zero_counts_as_false() {
    for text in ["false", "0", "-0", "''", "null", "NaN", "0x0", "github.nothing"] {
        assert_eq!(value(&format!("!({text})")), json!(true), "{text}");
        assert_eq!(value(&format!("!!({text})")), json!(false), "{text}");
    }
    for text in ["true", "1", "-1", "' '", "'false'", "'0'", "Infinity", "github", "fromJSON('[]')"]
    {
        assert_eq!(value(&format!("!{text}")), json!(false), "{text}");
    }
}

/// <https://docs.github.com/en/actions/reference/workflows-and-actions/expressions#operators>
#[test]
fn and_and_or_return_the_operand_that_decides() {
    check(&[
        ("'a' && 'b'", json!("b")),
        ("'' && 'b'", json!("")),
        ("0 || 'b'", json!("b")),
        ("'a' || 'b'", json!("a")),
        ("null || 0 || ''", json!("")),
        ("github.ref == 'refs/heads/main' && 'yes' || 'no'", json!("yes")),
        ("github.ref == 'x' && 'yes' || 'no'", json!("no")),
        ("false && true || true", json!(true)),
        ("true || secrets.none", json!(true)),
        ("!true || 1 == 1 && 2 < 1", json!(false)),
        ("1 < 2 == true", json!(true)),
        ("1 == 1 == 1", json!(true)),
        ("3 > 2 > 1", json!(false)),
        ("!'' == true", json!(true)),
    ]);
}

/// <https://docs.github.com/en/actions/reference/workflows-and-actions/contexts#about-contexts>
#[test]
fn properties_are_found_without_case_and_missing_ones_are_null() {
    check(&[
        ("github.ref", json!("refs/heads/main")),
        ("GitHub.REF", json!("refs/heads/main")),
        ("github.actor", json!("mona")),
        ("github['event_name']", json!("push")),
        ("github . event . issue [ 'number' ]", json!(7)),
        ("github.event.issue.labels[1].name", json!("help wanted")),
        ("github.event.issue.labels['1'].name", json!("help wanted")),
        ("github.event.issue.labels[1.9].name", json!("help wanted")),
        ("github.event.issue.labels[9]", json!(null)),
        ("github.event.issue.labels[-1]", json!(null)),
        ("github.event.issue.labels.name", json!(null)),
        ("github.event.nothing.at.all", json!(null)),
        ("github.ref.length", json!(null)),
        ("matrix[inputs.key]", json!("linux")),
        ("matrix[github.event]", json!(null)),
        ("fromJSON('{\"a\": [10, {\"b\": 2}]}').a[1].b", json!(2)),
        ("(github.nothing || github.event).issue.number", json!(7)),
        ("('text').name", json!(null)),
    ]);
}

/// <https://docs.github.com/en/actions/reference/workflows-and-actions/expressions#object-filters>
#[test]
fn filters_take_all_of_a_list_or_an_object() {
    check(&[
        ("github.event.fruits.*.name", json!(["apple", "orange", "pear"])),
        ("github.event.fruits[*].quantity", json!([1, 2, 1])),
        (
            "github.event.vegetables.*.ediblePortions",
            json!([
                ["hearts", "stems", "leaves"],
                ["roots", "stems", "leaves"],
                ["roots", "stalks"]
            ]),
        ),
        ("github.event.vegetables.*.ediblePortions.*", {
            json!(["hearts", "stems", "leaves", "roots", "stems", "leaves", "roots", "stalks"])
        }),
        ("github.event.issue.labels.*.name", json!(["bug", "help wanted"])),
        ("github.event.issue.labels.*.colors[0]", json!(["red"])),
        ("github.event.vegetables.*.ediblePortions[2]", json!(["leaves", "leaves"])),
        ("github.event.nothing.*", json!([])),
        ("github.event.nothing.*.name", json!([])),
        ("github.ref.*", json!([])),
        ("fromJSON('[[1, 2], [3]]').*.*", json!([1, 2, 3])),
        ("join(github.event.issue.labels.*.name, ', ')", json!("bug, help wanted")),
        ("contains(github.event.issue.labels.*.name, 'Bug')", json!(true)),
    ]);
}

/// <https://docs.github.com/en/actions/reference/workflows-and-actions/expressions#contains>,
/// <https://docs.github.com/en/actions/reference/workflows-and-actions/expressions#startswith>,
/// <https://docs.github.com/en/actions/reference/workflows-and-actions/expressions#endswith>
#[test]
fn searches_ignore_case_and_make_texts() {
    check(&[
        ("contains('Hello world', 'llo')", json!(true)),
        ("contains('Hello world', 'LLO')", json!(true)),
        ("contains('Hello world', 'xyz')", json!(false)),
        ("contains('', '')", json!(true)),
        ("contains(1234, 23)", json!(true)),
        ("contains(null, 'a')", json!(false)),
        ("contains(true, 'RU')", json!(true)),
        ("contains(fromJSON('[\"push\", \"pull_request\"]'), github.event_name)", json!(true)),
        ("contains(fromJSON('[1, null, \"\"]'), false)", json!(true)),
        ("contains(fromJSON('[\"1\"]'), 1)", json!(true)),
        ("contains(fromJSON('[\"ab\"]'), 'a')", json!(false)),
        ("contains(github.event.commits, github.event.commits[0])", json!(true)),
        ("contains(fromJSON('{\"a\": 1}'), 'a')", json!(false)),
        ("contains('Object', fromJSON('{}'))", json!(false)),
        ("StartsWith('Hello world', 'he')", json!(true)),
        ("startsWith('Hello world', 'ello')", json!(false)),
        ("startsWith(github.ref, 'refs/heads/')", json!(true)),
        ("endsWith('Hello world', 'LD')", json!(true)),
        ("ENDSWITH('Hello world', 'l')", json!(false)),
        ("startsWith(fromJSON('[]'), '')", json!(false)),
    ]);
}

/// <https://docs.github.com/en/actions/reference/workflows-and-actions/expressions#format>
#[test]
fn formats() {
    check(&[
        ("format('Hello {0} {1} {2}', 'Mona', 'the', 'Octocat')", json!("Hello Mona the Octocat")),
        (
            "format('{{Hello {0} {1} {2}!}}', 'Mona', 'the', 'Octocat')",
            json!("{Hello Mona the Octocat!}"),
        ),
        ("format('{1}{0}{1}', 1, null)", json!("1")),
        ("format('{0}', '{1}')", json!("{1}")),
        ("format('{{{0}}}', true)", json!("{true}")),
        ("format('{0} {1}', github.event, github.event.commits)", json!("Object Array")),
        ("format('')", json!("")),
        ("format(12)", json!("12")),
        ("format('é{0}ö', '}')", json!("é}ö")),
    ]);
    let wrong =
        ["'{'", "'}'", "'{}'", "'{0'", "'{a}', 1", "'{0:x}', 1", "'{1}', 1", "'{256}', 1", "'{0}'"];
    let told = wrong.map(|arguments| told(&format!("format({arguments})")).unwrap_err());
    insta::assert_snapshot!(told.join("\n"), @"
    format: a single brace; write `{{` or `}}` for the character itself
    format: a single brace; write `{{` or `}}` for the character itself
    format: `{}` is not the number of a value, 0 to 255
    format: a single brace; write `{{` or `}}` for the character itself
    format: `{a}` is not the number of a value, 0 to 255
    format: `{0:x}` is not the number of a value, 0 to 255
    format: `{1}` stands for a value that is not given; there are 1
    format: `{256}` is not the number of a value, 0 to 255
    format: `{0}` stands for a value that is not given; there are 0
    ");
}

/// <https://docs.github.com/en/actions/reference/workflows-and-actions/expressions#join>
#[test]
fn joins() {
    check(&[
        ("join(matrix.flags)", json!("-a,-b")),
        ("join(matrix.flags, ' ')", json!("-a -b")),
        ("join(matrix.flags, 0)", json!("-a0-b")),
        ("join(matrix.flags, github)", json!("-a,-b")),
        ("join('text', '-')", json!("text")),
        ("join(null)", json!("")),
        ("join(fromJSON('[]'), '-')", json!("")),
        (
            "join(fromJSON('[1, null, true, [2], {}, 1.50]'), '|')",
            json!("1||true|Array|Object|1.5"),
        ),
        ("join(github)", json!("")),
    ]);
}

/// <https://docs.github.com/en/actions/reference/workflows-and-actions/expressions#tojson>
#[test]
fn json_is_written_on_many_lines() {
    let text = r#"toJSON(fromJSON('{"a": [1, -0.5, 1e20, "x\ny\u2028\""], "b": {}, "c": [], "d": {"e": null}}'))"#;
    insta::assert_snapshot!(value(text).as_str().unwrap(), @r#"
    {
      "a": [
        1,
        -0.5,
        1E+20,
        "x\ny\u2028\""
      ],
      "b": {},
      "c": [],
      "d": {
        "e": null
      }
    }
    "#);
    check(&[
        ("toJSON('a')", json!("\"a\"")),
        ("toJSON(null)", json!("null")),
        ("toJSON(github.event.commits.*.id)", json!("[\n  \"a\",\n  \"b\"\n]")),
        ("fromJSON(toJSON(matrix)).flags[1]", json!("-b")),
        ("tojson(fromjson('[ ]'))", json!("[]")),
    ]);
}

/// <https://docs.github.com/en/actions/reference/workflows-and-actions/expressions#fromjson>
#[test]
fn json_is_read() {
    check(&[
        ("fromJSON(env.continue)", json!(true)),
        ("fromJSON(env.time)", json!(3)),
        ("fromJSON('\"a\"')", json!("a")),
        ("fromJSON('null')", json!(null)),
        ("fromJSON('12345678901234567890')", json!(12_345_678_901_234_567_890_u64)),
    ]);
    for text in ["''", "'{'", "'[1,]'", "github", "'a'", "'1 2'"] {
        let error = told(&format!("fromJSON({text})")).unwrap_err();
        assert!(error.starts_with("fromJSON: not valid JSON: "), "{error}");
    }
}

/// <https://docs.github.com/en/actions/reference/workflows-and-actions/expressions#case>
#[test]
fn cases() {
    check(&[
        ("case(github.ref == 'refs/heads/main', 'production', 'development')", json!("production")),
        ("case(false, 1, startsWith(github.ref, 'refs/heads/'), 2, 3)", json!(2)),
        ("case(false, 1, false, 2, 3)", json!(3)),
        ("case(true, 1, secrets.not_asked)", json!(1)),
    ]);
    let error = told("case('true', 1, 2)").unwrap_err();
    assert_eq!(error, "case: a condition is a text where true or false belongs");
}

/// <https://docs.github.com/en/actions/reference/workflows-and-actions/expressions#functions>: "casts data types
/// to a string using these conversions".
#[test]
fn values_become_text() {
    let table = [
        (json!(null), ""),
        (json!(true), "true"),
        (json!(1.0), "1"),
        (json!(1_234_567_890_123_456_i64), "1.23456789012346E+15"),
        (json!(0.1), "0.1"),
        (json!("a"), "a"),
        (json!([1]), "Array"),
        (json!({}), "Object"),
    ];
    for (value, text) in table {
        assert_eq!(text_of(&value), text);
    }
}
