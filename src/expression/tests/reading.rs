//! What is read, what is refused, and the canonical form.

use super::super::{Expression, Template};

#[test]
fn the_canonical_form_has_no_needless_parentheses() {
    let table = [
        ("  1==1 ", "1 == 1"),
        ("(a)", ""),
        ("((github.ref))", "github.ref"),
        ("GITHUB['Event']['a-b']['a b'][0][*].*", "github.Event.a-b['a b'][0].*.*"),
        ("(1==2)==(3<4)", "1 == 2 == 3 < 4"),
        ("1==(2==3)", "1 == (2 == 3)"),
        ("(1<2)<3", "1 < 2 < 3"),
        ("1<(2<3)", "1 < (2 < 3)"),
        ("a", ""),
        ("!(1==2)", "!(1 == 2)"),
        ("!!1", "!!1"),
        ("(!1)==2", "!1 == 2"),
        ("1&&(2&&3)&&4", "1 && 2 && 3 && 4"),
        ("1||(2&&3)||(4||5)", "1 || 2 && 3 || 4 || 5"),
        ("1&&(2||3)", "1 && (2 || 3)"),
        ("TOJSON(github)", "toJSON(github)"),
        ("contains( 'a' ,'b' )", "contains('a', 'b')"),
        ("('a').b", "('a').b"),
        ("(github.a||env).b", "(github.a || env).b"),
        ("fromjson('{}').a", "fromJSON('{}').a"),
        ("'it''s'", "'it''s'"),
        ("0xff + 1", ""),
        ("0xff", "255"),
        ("1e300", "1e300"),
        ("-0", "-0"),
        ("0.10", "0.1"),
        ("1 == -Infinity", "1 == -Infinity"),
        ("NaN", "NaN"),
    ];
    for (text, expected) in table {
        let read = Expression::parse(text);
        assert_eq!(read.map(|it| it.to_string()).unwrap_or_default(), expected, "{text}");
    }
}

#[test]
fn what_is_no_expression_is_refused_with_its_place_and_a_hint() {
    let told = [
        "",
        " ",
        "gihub.ref",
        "github.ref == main",
        "secret.TOKEN",
        "contain('a', 'b')",
        "lower('a')",
        "success",
        "github.ref = 'a'",
        "github.ref == \"a\"",
        "1 & 2",
        "1 | 2",
        "1 + 2",
        "1+2",
        "1 2",
        "github.ref ? 1 : 2",
        "'a",
        "'a'.b",
        "1[0]",
        "true.x",
        "github.",
        "github.1",
        "github.'a'",
        "github[",
        "github['a'",
        "github[]",
        "(1",
        "1)",
        "()",
        "[1]",
        "*",
        "contains('a')",
        "contains('a', 'b', 'c')",
        "contains('a',)",
        "contains(,)",
        "format()",
        "case(1, 2)",
        "case(1, 2, 3, 4)",
        "success(1)",
        "!",
        "1 ==",
        "== 1",
        "0x",
        "1a",
        "0x1ffffffff",
        "github.ref\u{7f}",
        "é",
        "${{ github.ref }}",
        "a_name_that_is_much_longer_than_any_message_should_be_long",
        "secrets.a && , 1",
    ]
    .map(|text| match Expression::parse(text) {
        Ok(read) => format!("{text} is {read}"),
        Err(error) => {
            assert!(text.is_char_boundary(error.at), "{text}");
            error.to_string()
        }
    });
    insta::assert_snapshot!(told.join("\n"), @r#"
    the expression ends where a value belongs at byte 0
    the expression ends where a value belongs at byte 1
    unknown context `gihub` at byte 0; did you mean `github`?
    unknown context `main` at byte 14; known are github, env, vars, secrets, needs, matrix, strategy, job, jobs, steps, runner, inputs; a text stands in single quotes
    unknown context `secret` at byte 0; did you mean `secrets`?
    unknown function `contain` at byte 0; did you mean `contains`?
    unknown function `lower` at byte 0; known are contains, startsWith, endsWith, format, join, toJSON, fromJSON, hashFiles, case, success, failure, always, cancelled
    unknown context `success` at byte 0; to call the function, write `success(..)`
    unexpected `=` at byte 11; to compare, write `==`
    unexpected `"` at byte 14; write texts in single quotes: 'text'
    unexpected `&` at byte 2; write `&&`
    unexpected `|` at byte 2; write `||`
    unexpected `+` at byte 2; there is no arithmetic in expressions
    `1+2` is not a number at byte 0; there is no arithmetic in expressions
    unexpected `2` at byte 2
    unexpected `?` at byte 11; write `case(condition, value, otherwise)`
    the text is not closed by `'` at byte 0; a `'` in a text is written `''`
    unexpected `.` at byte 3
    unexpected `[` at byte 1
    unexpected `.` at byte 4
    a name or `*` belongs behind `.` at byte 7; write other names in brackets, as `['a name']`
    a name or `*` belongs behind `.` at byte 7; write other names in brackets, as `['a name']`
    a name or `*` belongs behind `.` at byte 7; write other names in brackets, as `['a name']`
    the expression ends where a value belongs at byte 7
    `[` is not closed by `]` at byte 6
    unexpected `]` at byte 7
    `(` is not closed by `)` at byte 0
    unexpected `)` at byte 1
    unexpected `)` at byte 1
    unexpected `[` at byte 0
    unexpected `*` at byte 0; there is no arithmetic in expressions
    `contains` takes 2 arguments, not 1 at byte 0
    `contains` takes 2 arguments, not 3 at byte 0
    unexpected `)` at byte 13
    unexpected `,` at byte 9
    `format` takes at least 1 argument, not 0 at byte 0
    `case` takes at least 3 arguments, not 2 at byte 0
    `case` has 4 arguments; it takes pairs of a condition and a value, and a last value for when none holds at byte 0
    `success` takes 0 arguments, not 1 at byte 0
    the expression ends where a value belongs at byte 1
    the expression ends where a value belongs at byte 4
    unexpected `=` at byte 0; to compare, write `==`
    `0x` is not a number at byte 0
    `1a` is not a number at byte 0
    `0x1ffffffff` is not a number at byte 0
    unexpected `\u{7f}` at byte 10
    unexpected `é` at byte 0
    unexpected `$` at byte 0; `${{ }}` cannot stand in an expression
    unknown context `a_name_that_is_much_longer_than_any_mess..` at byte 0; known are github, env, vars, secrets, needs, matrix, strategy, job, jobs, steps, runner, inputs; a text stands in single quotes
    unexpected `,` at byte 13
    "#);
}

#[test]
fn a_place_in_a_template_is_one_of_the_whole_text() {
    let told = [
        "a ${{ 1 == }} b",
        "é ${{ gihub }}",
        "${{ 1 }} ${{",
        "${{ 'a }}",
        "x ${{ }}",
        "${{ 1 } }",
        "${{ insert }}",
    ]
    .map(|text| Template::parse(text).unwrap_err().to_string());
    insta::assert_snapshot!(told.join("\n"), @"
    the expression ends where a value belongs at byte 11
    unknown context `gihub` at byte 7; did you mean `github`?
    `${{` is not closed by `}}` at byte 9
    `${{` is not closed by `}}` at byte 0; a text in it is not closed by `'`
    `${{ }}` has no expression in it at byte 2
    `${{` is not closed by `}}` at byte 0
    unknown context `insert` at byte 4; known are github, env, vars, secrets, needs, matrix, strategy, job, jobs, steps, runner, inputs; a text stands in single quotes
    ");
}
