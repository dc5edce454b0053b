//! What holds of any expression and of any values.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{Expression, Scope, Template, text_of};
use super::{contexts, scope};

/// Any small expression, as text.
fn expressions() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|it| it.to_string()),
        any::<i32>().prop_map(|it| it.to_string()),
        any::<f64>()
            .prop_filter("JSON has it", |it| it.is_finite())
            .prop_map(|it| format!("{it:e}")),
        Just("NaN".to_owned()),
        Just("-Infinity".to_owned()),
        "[ -~é]{0,6}".prop_map(|it| format!("'{}'", it.replace('\'', "''"))),
        Just("github.event.issue".to_owned()),
        Just("GitHub.ref".to_owned()),
        Just("matrix['node']".to_owned()),
        Just("success( )".to_owned()),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        let signs = prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">=", "&&", "||"]);
        prop_oneof![
            (inner.clone(), signs, inner.clone())
                .prop_map(|(a, sign, b)| format!("({a}){sign}({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} || {b} && {a}")),
            inner.clone().prop_map(|it| format!("!({it})")),
            inner.clone().prop_map(|it| format!("({it}).Name")),
            inner.clone().prop_map(|it| format!("({it})[*]")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})[{b}]")),
            inner.clone().prop_map(|it| format!("toJSON({it})")),
            inner.clone().prop_map(|it| format!("fromjson({it})")),
            prop::collection::vec(inner.clone(), 1..4)
                .prop_map(|it| format!("format('{{0}}', {})", it.join(","))),
            (inner.clone(), inner.clone(), inner)
                .prop_map(|(a, b, c)| format!("case({a}, {b}, {c})")),
        ]
    })
}

/// Any value without a list or an object in it.
fn plain_values() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-20_i32..20).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec![
            "", "0", "1", " 1", "0x1", "true", "A", "a", "é", "É", "1e1", "-0"
        ])
        .prop_map(Value::from),
        "[a-cA-C0-9 {}]{0,8}".prop_map(Value::from),
    ]
}

fn values() -> impl Strategy<Value = Value> {
    plain_values().prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-c]", inner, 0..3)
                .prop_map(|it| Value::Object(it.into_iter().collect())),
        ]
    })
}

/// What a text comes to with two inputs.
fn with(a: &Value, b: &Value, text: &str) -> Value {
    let inputs = json!({"a": a, "b": b});
    let scope = Scope::new().with("inputs", &inputs);
    Expression::parse(text).unwrap().evaluate(&scope).unwrap()
}

fn truth(value: &Value) -> bool {
    with(value, value, "!!inputs.a") == json!(true)
}

/// Texts without case, as far as these tests go.
fn lower(text: &str) -> String {
    text.to_lowercase()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn what_is_printed_reads_as_the_same(text in expressions()) {
        let read = Expression::parse(&text).unwrap();
        let printed = read.to_string();
        let again = Expression::parse(&printed).unwrap();
        prop_assert_eq!(&read, &again, "{} and {}", text, printed);
        prop_assert_eq!(again.to_string(), printed.clone());
        prop_assert_eq!(read.uses(), again.uses());
        let contexts = contexts();
        let scope = scope(&contexts);
        prop_assert_eq!(read.evaluate(&scope), again.evaluate(&scope));
        // A template ends where the expression does, whatever is in its texts.
        let around = format!("a${{{{{printed}}}}}b");
        let template = Template::parse(&around).unwrap();
        prop_assert_eq!(template.pieces().len(), 3);
        prop_assert_eq!(template.uses(), read.uses());
    }

    #[test]
    fn nothing_makes_it_panic(text in "[a-z.()\\[\\]!<>=&|',*0-9 ${}é\"]{0,40}") {
        let contexts = contexts();
        let scope = scope(&contexts);
        for read in [Expression::parse(&text), Expression::condition(&text)] {
            match read {
                Ok(read) => drop(read.evaluate(&scope)),
                Err(error) => prop_assert!(text.is_char_boundary(error.at)),
            }
        }
        match Template::parse(&text) {
            Ok(read) => drop(read.text(&scope)),
            Err(error) => prop_assert!(text.is_char_boundary(error.at)),
        }
    }

    #[test]
    fn equality_is_symmetric_and_its_opposite_is_inequality(a in values(), b in values()) {
        let is = |text| with(&a, &b, text);
        prop_assert_eq!(is("inputs.a == inputs.b"), is("inputs.b == inputs.a"));
        prop_assert_eq!(is("!(inputs.a == inputs.b)"), is("inputs.a != inputs.b"));
        prop_assert_eq!(is("inputs.a == inputs.a"), json!(true));
        prop_assert_eq!(is("inputs.a < inputs.b"), is("inputs.b > inputs.a"));
        prop_assert_eq!(
            is("inputs.a <= inputs.b"),
            is("inputs.a < inputs.b || inputs.a == inputs.b")
        );
        prop_assert_eq!(is("inputs.a < inputs.b && inputs.a >= inputs.b"), json!(false));
    }

    #[test]
    fn and_and_or_return_one_of_their_operands(a in values(), b in values()) {
        let (and, or) = (with(&a, &b, "inputs.a && inputs.b"), with(&a, &b, "inputs.a || inputs.b"));
        prop_assert_eq!(&and, if truth(&a) { &b } else { &a });
        prop_assert_eq!(&or, if truth(&a) { &a } else { &b });
        let not_and = with(&a, &b, "!(inputs.a && inputs.b)");
        prop_assert_eq!(not_and, with(&a, &b, "!inputs.a || !inputs.b"));
    }

    #[test]
    fn a_text_contains_what_a_plain_search_finds(a in plain_values(), b in plain_values()) {
        let (one, other) = (lower(&text_of(&a)), lower(&text_of(&b)));
        let is = |text| with(&a, &b, text) == json!(true);
        prop_assert_eq!(is("contains(inputs.a, inputs.b)"), one.contains(&other));
        prop_assert_eq!(is("startsWith(inputs.a, inputs.b)"), one.starts_with(&other));
        prop_assert_eq!(is("endsWith(inputs.a, inputs.b)"), one.ends_with(&other));
    }

    #[test]
    fn a_list_contains_what_equals_one_of_it(list in prop::collection::vec(values(), 0..5), b in values()) {
        let each = (0..list.len())
            .any(|at| with(&json!(list), &b, &format!("inputs.a[{at}] == inputs.b")) == json!(true));
        prop_assert_eq!(with(&json!(list), &b, "contains(inputs.a, inputs.b)"), json!(each));
    }

    #[test]
    fn a_format_is_its_parts_in_order(
        parts in prop::collection::vec(("[a-z{}' é]{0,5}", prop::option::of(0_usize..3)), 0..6),
        values in prop::collection::vec(plain_values(), 3),
    ) {
        let (mut pattern, mut expected) = (String::new(), String::new());
        for (text, place) in &parts {
            pattern += &text.replace('{', "{{").replace('}', "}}");
            expected += text;
            if let Some(place) = place {
                pattern += &format!("{{{place}}}");
                expected += &text_of(&values[*place]);
            }
        }
        let inputs = json!({"pattern": pattern, "values": values});
        let text = "format(inputs.pattern, inputs.values[0], inputs.values[1], inputs.values[2])";
        let made = Expression::parse(text).unwrap().evaluate(&Scope::new().with("inputs", &inputs));
        prop_assert_eq!(made, Ok(json!(expected)));
    }

    #[test]
    fn json_that_is_written_reads_as_the_same(a in values()) {
        // Written with fifteen digits, a number may be another one; the text is the same.
        let written = with(&a, &a, "toJSON(inputs.a)");
        let again = with(&a, &a, "toJSON(fromJSON(toJSON(inputs.a)))");
        prop_assert_eq!(written, again);
    }
}
