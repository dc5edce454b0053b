//! Matrices of GitHub's documentation, and what no matrix may be.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn legs(matrix: &Value) -> Vec<String> {
    let show = |leg: Leg| format!("{} {}", leg.name, Value::Object(leg.matrix));
    Axes::read(matrix).unwrap().legs("a").unwrap().into_iter().map(show).collect()
}

fn refused(matrix: &Value) -> String {
    Axes::read(matrix).and_then(|axes| axes.legs("a").map(drop)).unwrap_err()
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
    a (cat, apple) {"animal":"cat","fruit":"apple","color":"pink","shape":"circle"}
    a (cat, pear) {"animal":"cat","fruit":"pear","color":"pink"}
    a (dog, apple) {"animal":"dog","fruit":"apple","color":"green","shape":"circle"}
    a (dog, pear) {"animal":"dog","fruit":"pear","color":"green"}
    a (banana) {"fruit":"banana"}
    a (banana, cat) {"fruit":"banana","animal":"cat"}
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
    a (a, 1) {"site":"a","n":1}
    a (b) {"site":"b"}
    a (b) #2 {"site":"b"}
    "#);
}

#[test]
fn an_include_never_replaces_a_value_of_the_matrix() {
    let matrix = json!({"v": [1, 2], "include": [{"v": 2, "x": true}, {"v": 3}]});
    insta::assert_snapshot!(legs(&matrix).join("\n"), @r#"
    a (1) {"v":1}
    a (2) {"v":2,"x":true}
    a (3) {"v":3}
    "#);
}

/// As GitHub's planner: what an `exclude` or `include` says is compared as `==` does, and keys have no case.
#[test]
fn values_are_compared_as_expressions_do() {
    let excluded = |values: Value, exclude: Value| {
        legs(&json!({ "v": values, "exclude": [{ "V": exclude }] })).join("; ")
    };
    insta::assert_snapshot!(excluded(json!([14, 16]), json!("16")), @r#"a (14) {"v":14}"#);
    insta::assert_snapshot!(excluded(json!(["14", "16"]), json!(16)), @r#"a (14) {"v":"14"}"#);
    insta::assert_snapshot!(excluded(json!(["Ubuntu", "win"]), json!("ubuntu")), @r#"a (win) {"v":"win"}"#);
    insta::assert_snapshot!(excluded(json!([{"n": 1, "m": "z"}, {"n": 2}]), json!({"N": "1"})), @r#"a (2) {"v":{"n":2}}"#);
    insta::assert_snapshot!(excluded(json!([["a", "b"], ["c"]]), json!(["a"])), @r#"a (c) {"v":["c"]}"#);
    let included = |matrix: Value| legs(&matrix).join("; ");
    insta::assert_snapshot!(included(json!({"node": [16], "include": [{"node": "16", "npm": 6}]})), @r#"a (16) {"node":16,"npm":6}"#);
    insta::assert_snapshot!(
        included(json!({"os": ["linux", "win"], "include": [{"OS": "Linux", "npm": 6}]})), @r#"a (linux) {"os":"linux","npm":6}; a (win) {"os":"win"}"#);
    insta::assert_snapshot!(
        included(json!({"x": ["A", {"n": 1, "m": "z"}], "include": [{"x": {"n": 1}, "y": "L"}]})), @r#"a (A) {"x":"A"}; a (1, z) {"x":{"n":1,"m":"z"},"y":"L"}"#);
}

/// As GitHub's planner: all values of a row of `include`, those of the matrix first, and no empty ones.
#[test]
fn names_say_the_values_in_their_order() {
    let of = |matrix: Value| {
        let legs = Axes::read(&matrix).unwrap().legs("build").unwrap();
        legs.into_iter().map(|leg| leg.name).collect::<Vec<_>>().join("; ")
    };
    insta::assert_snapshot!(of(json!({"include": [{"os": "win", "arch": "x64"}]})), @"build (win, x64)");
    insta::assert_snapshot!(
        of(json!({"os": ["l"], "include": [{"os": "m", "to": "a"}, {"os": "m", "to": "b"}]})), @"build (l); build (m, a); build (m, b)");
    insta::assert_snapshot!(
        of(json!({"arch": [3], "os": ["a"], "include": [{"zed": true, "os": 3, "arch": 1.5}]})), @"build (3, a); build (3, 1.5, true)");
    insta::assert_snapshot!(of(json!({"v": [{"n": 2, "m": "z"}]})), @"build (2, z)");
    insta::assert_snapshot!(of(json!({"flag": ["", "--x", null], "os": ["l"]})), @"build (l); build (--x, l); build (l) #2");
    insta::assert_snapshot!(of(json!({"flag": [null, ""]})), @"build; build #2");
    insta::assert_snapshot!(of(json!({"v": ["x".repeat(100), "x".repeat(101)]})), @"build (xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...; build (xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx... #2");
}

#[test]
fn what_is_no_matrix_is_refused() {
    insta::assert_snapshot!(refused(&json!([1])), @"a list is no matrix: a mapping of names to lists");
    insta::assert_snapshot!(refused(&json!({"v": 3})), @"v: a number is no list of values");
    insta::assert_snapshot!(refused(&json!({"v": []})), @"v: the list is empty");
    insta::assert_snapshot!(refused(&json!({"v": [1], "include": {"a": 1}})), @"include: a mapping is no list of mappings");
    insta::assert_snapshot!(refused(&json!({"v": [1], "exclude": [1]})), @"exclude[0]: a number is no mapping with entries");
    insta::assert_snapshot!(refused(&json!({"v": [1], "exclude": [{"v": 1}]})), @"no combination is left");
    insta::assert_snapshot!(refused(&json!({"v": [1], "exclude": [{"w": 1}]})), @"exclude[0]: `w` is no key of the matrix");
    insta::assert_snapshot!(refused(&json!({"v": [1], "V": [2]})), @"V: the key is there already, as `v`");
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
        let legs = axes.legs("a").unwrap();
        let found: Vec<Value> = legs.iter().map(|leg| Value::Object(leg.matrix.clone())).collect();
        prop_assert_eq!(found, expected);
        let names: std::collections::HashSet<_> = legs.iter().map(|leg| &leg.name).collect();
        prop_assert_eq!(names.len(), legs.len());
    }
}
