//! What patterns match, and that none is slow.

use proptest::prelude::*;

use super::*;

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn matches(text: &str, name: &str) -> bool {
    pattern(text).matches(&Namespace::parse(name).unwrap())
}

#[test]
fn stars_stay_in_their_segment_and_double_stars_span_whole_ones() {
    for (text, name, expected) in [
        ("acme::workflow::build::test", "acme::workflow::build::test", true),
        ("acme::workflow::build::test", "acme::workflow::build::Test", false),
        ("*::*::*::*", "acme::workflow::build::test", true),
        ("*::*::*::*", "acme::workflow::ml::build::test", false),
        ("**", "acme::workflow::build::test", true),
        ("**::gpu::**", "acme::workflow::build::gpu", true),
        ("**::gpu::**", "gpu::workflow::build::test", true),
        ("**::gpu::**", "acme::workflow::gpu-build::test", false),
        ("acme::**::deploy*", "acme::workflow::release::deploy-eu", true),
        ("acme::**::deploy*", "acme::workflow::release::redeploy", false),
        ("**::a*a", "x::agent::y::a", false),
        ("**::a*a", "x::agent::y::aa", true),
        ("**::a*b*c", "x::agent::y::a-b-b-c", true),
        ("**::a*b*c", "x::agent::y::acb", false),
        ("**::ml::**::train", "x::agent::ml::a::ml::train", true),
        ("**::?", "x::agent::y::z", false),
        ("**::ab**", "x::agent::y::abc", true),
    ] {
        assert_eq!(matches(text, name), expected, "{text} {name}");
    }
}

#[test]
fn a_pattern_that_can_never_match_is_refused_with_one_that_can() {
    for (text, message, hint) in [
        (
            "*::ml::*",
            "`*::ml::*` matches no job: it has fewer segments (3) than every name (4 or more)",
            "write `**::ml::**`",
        ),
        (
            "gpu",
            "`gpu` matches no job: it has fewer segments (1) than every name (4 or more)",
            "write `**::gpu::**`",
        ),
        (
            "acme::build::**",
            "`acme::build::**` matches no job: the second segment of every name is workflow or agent",
            "write `**::acme::build::**`",
        ),
    ] {
        let error = Pattern::parse(text).unwrap_err();
        assert_eq!((&*error.message, error.hint.as_deref()), (message, Some(hint)));
        assert!(Pattern::parse(hint.split('`').nth(1).unwrap()).is_ok(), "{hint}");
    }
    assert!(Pattern::parse("a::::b::c").unwrap_err().message.contains("empty segment"));
    assert!(Pattern::parse("").unwrap_err().message.contains("empty segment"));
    assert!(Pattern::parse(&"a".repeat(2_000)).unwrap_err().message.contains("2000 letters"));
}

#[test]
fn what_of_a_pattern_a_name_lacks_is_told() {
    let name = Namespace::parse("acme::workflow::build::test").unwrap();
    let miss = |text: &str| pattern(text).miss(&name).map(|miss| miss.to_string());
    assert_eq!(miss("acme::**"), None);
    assert_eq!(miss("**::gpu::**").unwrap(), "`gpu` finds no place in it");
    assert_eq!(miss("acme::agent::**").unwrap(), "`agent` finds no place in it");
    assert_eq!(miss("**::build::x").unwrap(), "`x` finds no place in it");
    let longer = Namespace::parse("acme::workflow::ml::build::test").unwrap();
    let miss = pattern("*::*::*::*").miss(&longer).unwrap();
    assert_eq!(miss.to_string(), "the name has more segments");
}

#[test]
fn one_pattern_covers_another() {
    for (one, other, expected) in [
        ("**", "**::gpu::**", true),
        ("**::gpu::**", "**", false),
        ("acme::**", "acme::workflow::**::test", true),
        ("acme::workflow::*::*", "acme::workflow::**", false),
        ("**::a*", "**::ab*c", true),
        ("**::ab*", "**::a*", false),
        ("**::*", "**::a*b", true),
    ] {
        assert_eq!(pattern(one).covers(&pattern(other)), expected, "{one} {other}");
    }
}

#[test]
fn no_pattern_is_slow() {
    let name = Namespace::new("a", "agent", ["a"; 200], &"a".repeat(900), &"a".repeat(900));
    let stars = format!("**::{}", "a*".repeat(400) + "b");
    let segments = format!("{}::b", vec!["**::a"; 140].join("::"));
    for text in [stars, segments] {
        // Steps, counted as comparisons of segments, are bounded by both lengths: were it not so
        // this would not end.
        assert!(!pattern(&text).matches(&name));
    }
}

/// As the rules are written down, without regard to how long it takes.
fn naive(pattern: &[&str], name: &[&str]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((&"**", rest)), _) => (0..=name.len()).any(|skipped| naive(rest, &name[skipped..])),
        (Some((glob, rest)), Some((segment, others))) => {
            naive_segment(glob.as_bytes(), segment.as_bytes()) && naive(rest, others)
        }
        _ => false,
    }
}

fn naive_segment(glob: &[u8], name: &[u8]) -> bool {
    match (glob.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            (0..=name.len()).any(|skipped| naive_segment(rest, &name[skipped..]))
        }
        (Some((letter, rest)), Some((other, others))) => {
            letter == other && naive_segment(rest, others)
        }
        _ => false,
    }
}

fn a_pattern() -> impl Strategy<Value = String> {
    let segment = prop_oneof![2 => Just("**".to_owned()), 5 => "[ab*]{1,4}"];
    prop::collection::vec(segment, 1..6).prop_map(|parts| format!("**::{}", parts.join("::")))
}

fn a_name() -> impl Strategy<Value = String> {
    prop::collection::vec("[ab]{0,4}", 4..8).prop_map(|parts| parts.join("::"))
}

proptest! {
    #[test]
    fn it_matches_what_a_naive_one_matches(text in a_pattern(), name in a_name()) {
        let parts: Vec<_> = text.split(SEPARATOR).collect();
        let segments: Vec<_> = name.split(SEPARATOR).collect();
        prop_assert_eq!(matches(&text, &name), naive(&parts, &segments));
    }

    #[test]
    fn what_covers_another_matches_all_that_it_matches(
        one in a_pattern(), other in a_pattern(), name in a_name()
    ) {
        if pattern(&one).covers(&pattern(&other)) && matches(&other, &name) {
            prop_assert!(matches(&one, &name));
        }
    }

    #[test]
    fn a_pattern_with_stars_for_some_of_its_segments_covers_it(
        text in a_pattern(), stars in prop::collection::vec(prop::option::of(0..2), 6)
    ) {
        let parts = text.split(SEPARATOR).zip(stars);
        let wider = parts.map(|(part, star)| match star {
            Some(0) => "**",
            Some(_) if part != "**" => "*",
            _ => part,
        });
        let wider = wider.collect::<Vec<_>>().join(SEPARATOR);
        prop_assert!(pattern(&wider).covers(&pattern(&text)), "{} {}", wider, text);
    }
}
