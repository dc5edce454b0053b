//! Matrices of GitHub's documentation, and what no matrix may be.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn legs(matrix: &Value) -> Vec<String> {
    let show = |leg: Leg| format!("{} {}", leg.suffix, Value::Object(leg.matrix));
    Axes::read(matrix).unwrap().legs().unwrap().into_iter().map(show).collect()
}

fn refused(matrix: &Value) -> String {
    Axes::read(matrix).and_then(|axes| axes.legs().map(drop)).unwrap_err()
}

/// <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#example-expanding-configurations>
/// and the example of `include` before it.
#[test]
fn includes_expand_and_add_as_githubs_example_says() {
    let matrix = json!({
        "animal": ["cat", "dog"],
        "fruit": ["apple", "pear"],
        "include": [
            {"color": "green"},
            {"color": "pink", "animal": "cat"},
            {"fruit": "apple", "shape": "circle"},
            {"fruit": "banana"},
            {"fruit": "banana", "animal": "cat"},
        ],
    });
    insta::assert_snapshot!(legs(&matrix).join("\n"), @r#"
    (cat, apple) {"animal":"cat","color":"pink","fruit":"apple","shape":"circle"}
    (cat, pear) {"animal":"cat","color":"pink","fruit":"pear"}
    (dog, apple) {"animal":"dog","color":"green","fruit":"apple","shape":"circle"}
    (dog, pear) {"animal":"dog","color":"green","fruit":"pear"}
    (banana) {"fruit":"banana"}
    (cat, banana) {"animal":"cat","fruit":"banana"}
    "#);
}

/// <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstrategymatrixexclude>
#[test]
fn excludes_take_away_what_they_match_in_part() {
    let matrix = json!({
        "os": ["mac", "windows"],
        "version": [12, 14, 16],
        "environment": ["staging", "production"],
        "exclude": [
            {"os": "mac", "version": 12, "environment": "production"},
            {"os": "windows", "version": 16},
        ],
    });
    let found = legs(&matrix);
    assert_eq!(found.len(), 9, "{found:#?}");
    assert!(!found.iter().any(|leg| leg.contains(r#""os":"windows","version":16"#)));
}

#[test]
fn only_includes_make_a_leg_each_and_equal_names_are_told_apart() {
    let matrix = json!({"include": [{"site": "a", "n": 1}, {"site": "b"}, {"site": "b"}]});
    insta::assert_snapshot!(legs(&matrix).join("\n"), @r#"
    (1, a) {"n":1,"site":"a"}
    (b) {"site":"b"}
    (b) #2 {"site":"b"}
    "#);
}

#[test]
fn an_include_never_replaces_a_value_of_the_matrix() {
    let matrix = json!({"v": [1, 2], "include": [{"v": 2, "x": true}, {"v": 3}]});
    insta::assert_snapshot!(legs(&matrix).join("\n"), @r#"
    (1) {"v":1}
    (2) {"v":2,"x":true}
    (3) {"v":3}
    "#);
}

#[test]
fn what_is_no_matrix_is_refused() {
    insta::assert_snapshot!(refused(&json!([1])), @"a list is no matrix: a mapping of names to lists");
    insta::assert_snapshot!(refused(&json!({"v": 3})), @"v: a number is no list of values");
    insta::assert_snapshot!(refused(&json!({"v": []})), @"v: the list is empty");
    insta::assert_snapshot!(refused(&json!({"v": [1], "include": {"a": 1}})), @"include: a mapping is no list of mappings");
    insta::assert_snapshot!(refused(&json!({"v": [1], "exclude": [1]})), @"exclude[0]: a number is no mapping with entries");
    insta::assert_snapshot!(refused(&json!({"v": [1], "exclude": [{"v": 1}]})), @"no combination is left");
    let many: Vec<u32> = (0..17).collect();
    insta::assert_snapshot!(refused(&json!({"a": many, "b": many})), @"289 combinations, at most 256");
    let huge: Vec<u32> = (0..10_000).collect();
    insta::assert_snapshot!(refused(&json!({"a": huge, "b": huge, "c": huge})), @"more combinations, at most 256");
}

proptest! {
    /// Every combination is there once, in the order of nested loops, and names tell all apart.
    #[test]
    fn combinations_are_those_of_nested_loops(a in 1_usize..6, b in 1_usize..6, c in 1_usize..6) {
        let axes = Axes {
            values: [("a", a), ("b", b), ("c", c)]
                .map(|(key, many)| (key.to_owned(), (0..many).map(|it| json!(it)).collect()))
                .into(),
            ..Axes::default()
        };
        let mut expected = Vec::new();
        for a in 0..a {
            for b in 0..b {
                for c in 0..c {
                    expected.push(json!({"a": a, "b": b, "c": c}));
                }
            }
        }
        let legs = axes.legs().unwrap();
        let found: Vec<Value> = legs.iter().map(|leg| Value::Object(leg.matrix.clone())).collect();
        prop_assert_eq!(found, expected);
        let names: std::collections::HashSet<_> = legs.iter().map(|leg| &leg.suffix).collect();
        prop_assert_eq!(names.len(), legs.len());
    }
}
