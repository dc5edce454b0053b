//! The patterns of GitHub's page as tables, and all others against a slow reference.
//!
//! The page is
//! <https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#filter-pattern-cheat-sheet>.

use proptest::prelude::*;

use super::*;

fn check(table: &[(&str, &[&str], &[&str])]) {
    for (text, yes, no) in table {
        let pattern = Pattern::compile(text).unwrap();
        for name in *yes {
            assert!(pattern.matches(name), "`{text}` matches `{name}`");
        }
        for name in *no {
            assert!(!pattern.matches(name), "`{text}` does not match `{name}`");
        }
    }
}

/// The section "Patterns to match branches and tags".
#[test]
fn branches_and_tags_match_what_the_page_says() {
    check(&[
        ("feature/*", &["feature/my-branch", "feature/your-branch"], &["feature/a/b", "feature"]),
        (
            "feature/**",
            &["feature/beta-a/my-branch", "feature/your-branch", "feature/mona/the/octocat"],
            &["feature", "features/a"],
        ),
        ("main", &["main"], &["Main", "main2", "a/main", "", "mai", "refs/heads/main"]),
        ("releases/mona-the-octocat", &["releases/mona-the-octocat"], &["mona-the-octocat"]),
        ("*", &["main", "releases", "v1.0"], &["all/the/branches", "release/1"]),
        ("**", &["all/the/branches", "every/tag", "main", ""], &[]),
        ("*feature", &["mona-feature", "feature", "ver-10-feature"], &["feature-2", "a/feature"]),
        ("v2*", &["v2", "v2.0", "v2.9"], &["v1", "xv2", "v2/a"]),
        (
            "v[12].[0-9]+.[0-9]+",
            &["v1.10.1", "v2.0.0"],
            &["v3.0.0", "v1..1", "v1.0", "v1.a.0", "v1x0x0", "V1.0.0", "v1.0.0-rc"],
        ),
    ]);
}

/// The section "Patterns to match file paths", and the examples above it.
#[test]
fn file_paths_match_what_the_page_says() {
    check(&[
        ("*", &["README.md", "server.rb"], &["docs/README.md"]),
        ("*.jsx?", &["page.js", "page.jsx"], &["page.jsxx", "page.j", "js/page.js"]),
        ("**", &["all/the/files.md"], &[]),
        ("*.js", &["app.js", "index.js"], &["js/app.js", "app.jsx"]),
        ("**.js", &["index.js", "js/index.js", "src/js/app.js"], &["index.ts"]),
        ("docs/*", &["docs/README.md", "docs/file.txt"], &["docs/a/b.md", "README.md"]),
        ("docs/**", &["docs/README.md", "docs/mona/octocat.txt"], &["doc/x", "a/docs/x"]),
        (
            "docs/**/*.md",
            &["docs/README.md", "docs/mona/hello-world.md", "docs/a/markdown/file.md"],
            &["docs/a.txt", "docsx/a.md"],
        ),
        (
            "**/docs/**",
            &["docs/hello.md", "dir/docs/my-file.txt", "space/docs/plan/space.doc"],
            &["mydocs/a", "docs"],
        ),
        ("**/README.md", &["README.md", "js/README.md"], &["MY-README.md", "a/XREADME.md"]),
        ("**/*src/**", &["a/src/app.js", "my-src/code/js/app.js", "src/x"], &["src", "srcs/a"]),
        ("**/*-post.md", &["my-post.md", "path/their-post.md"], &["post.md", "a/b-post.md/c"]),
        (
            "**/migrate-*.sql",
            &["migrate-10909.sql", "db/migrate-v1.0.sql", "db/sept/migrate-v1.sql"],
            &["db/migrate-a/b.sql", "xmigrate-1.sql"],
        ),
        ("Octo*", &["Octocat", "Octo"], &["octocat", "Octo/cat"]),
        ("[CB]at", &["Cat", "Bat"], &["Rat", "cat", "at", "CBat"]),
        ("[1-2]00", &["100", "200"], &["000", "300", "1-200"]),
        ("[0-9a-z]", &["7", "f"], &["F", "-", "", "77"]),
    ]);
}

/// What the page's words mean beside its examples.
#[test]
fn quantifiers_are_about_the_character_before() {
    check(&[
        ("ab?c", &["abc", "ac"], &["abbc", "axc", "a?c"]),
        ("ab+c", &["abc", "abbbc"], &["ac", "ab+c"]),
        ("[ab]?c", &["ac", "bc", "c"], &["abc", "xc"]),
        ("[ab]+c", &["ac", "ababc"], &["c", "axc"]),
        ("a?b?c?", &["", "a", "b", "c", "ac", "abc"], &["ba", "aa"]),
        ("a+b+", &["ab", "aabb"], &["a", "b", "ba"]),
        ("a/?b", &["ab", "a/b"], &["a//b"]),
        ("*a?", &["", "x", "xa"], &["x/a"]),
        ("**/a+", &["a", "aa", "x/y/aaa"], &["xa"]),
        ("**/?a", &["a", "/a", "xa", "x/a"], &["x"]),
        (r"a\+?", &["a", "a+"], &["aa", "a++"]),
        ("ü?x", &["x", "üx"], &["üüx"]),
    ]);
}

#[test]
fn a_backslash_takes_a_special_character_as_itself() {
    check(&[
        (r"v2\*", &["v2*"], &["v2", "v2.0"]),
        (r"\!main", &["!main"], &["main"]),
        (r"a\?b\+c\[d\]", &["a?b+c[d]"], &["abc"]),
        (r"a\\b", &[r"a\b"], &["ab", r"a\\b"]),
        ("rel-1!", &["rel-1!"], &["rel-1"]),
        ("a]b", &["a]b"], &["ab"]),
    ]);
    assert!(!Pattern::compile(r"\!main").unwrap().negates());
}

#[test]
fn folders_are_whole_or_absent() {
    check(&[
        ("a**b", &["ab", "a/b", "axxb"], &["a", "ba", "abc"]),
        ("a*a", &["aa", "aba"], &["a"]),
        ("a*b*c", &["abc", "aXbYc", "abbcc"], &["ab", "a/bc", "acb"]),
        ("**/**/x", &["x", "a/x", "a/b/x"], &["ax", "x/a"]),
        ("a/**/b", &["a/b", "a/x/b", "a/x/y/b"], &["ab", "a/xb"]),
        ("a**/b", &["a/b", "ax/b", "a/x/b"], &["ab"]),
        ("größe/*", &["größe/ü"], &["grösse/a"]),
    ]);
}

#[test]
fn only_the_first_character_negates() {
    let of = |text| {
        let pattern = Pattern::compile(text).unwrap();
        (pattern.negates(), pattern.matches("main"))
    };
    assert_eq!(of("!main"), (true, true));
    assert_eq!(of("main!"), (false, false));
    assert_eq!(of("!!main"), (true, false));
    assert!(Pattern::compile("!!main").unwrap().matches("!main"));
}

/// The last rows of "Patterns to match file paths", and the order of the section "Example: including
/// and excluding branches and tags".
#[test]
fn the_last_pattern_that_matches_decides() {
    let table: &[(&[&str], &[&str], &[&str])] = &[
        (&["*.md", "!README.md"], &["hello.md"], &["README.md", "docs/hello.md"]),
        (
            &["*.md", "!README.md", "README*"],
            &["hello.md", "README.md", "README.doc"],
            &["docs/README.md"],
        ),
        (
            &["releases/**", "!releases/**-alpha"],
            &["releases/10", "releases/beta/mona"],
            &["releases/10-alpha", "releases/beta/3-alpha", "main"],
        ),
        (
            &["sub-project/**", "!sub-project/docs/**"],
            &["sub-project/index.js", "sub-project/src/index.js"],
            &["sub-project/docs/readme.md", "index.js"],
        ),
        // A positive pattern behind the negated one takes it back; before it, it does not.
        (&["!a", "**"], &["a", "b"], &[]),
        (&["**", "!a"], &["b"], &["a"]),
    ];
    for (texts, yes, no) in table {
        let list = PatternList::compile(texts.iter().copied()).unwrap();
        yes.iter().for_each(|name| assert!(list.means(name), "{texts:?} {name}"));
        no.iter().for_each(|name| assert!(!list.means(name), "{texts:?} {name}"));
    }
}

#[test]
fn what_has_no_meaning_is_refused_by_name() {
    let told = |text: &str| Pattern::compile(text).unwrap_err().to_string();
    insta::assert_snapshot!(told("?a"), @r"pattern `?a` has a `?` without a character before it to repeat; for the character itself write `\?`");
    insta::assert_snapshot!(told("a*+"), @r"pattern `a*+` has a `+` without a character before it to repeat; for the character itself write `\+`");
    insta::assert_snapshot!(told("!"), @"pattern `!` negates nothing; write what is not meant behind the `!`");
    insta::assert_snapshot!(told("v[12"), @r"pattern `v[12` has a `[` without a `]`; for the character itself write `\[`");
    insta::assert_snapshot!(told("v[]"), @"pattern `v[]` has `[]`, which no character is in");
    insta::assert_snapshot!(told("v[!1]"), @"pattern `v[!1]` has `!` in `[]`, where only letters a-z, A-Z and digits may stand");
    insta::assert_snapshot!(told("v[9-0]"), @"pattern `v[9-0]` has the range `9-0`; ranges run upwards within a-z, A-Z or 0-9");
    insta::assert_snapshot!(told(r"v\d"), @r"pattern `v\d` has a `\` that escapes nothing; it stands before `*`, `?`, `+`, `[`, `]`, `!` and `\`");
    for text in ["+", "a??", "a?+", "a++", "**?", "*?", "!?", r"a\", "[a-]", "[-a]", "[A-z]"] {
        assert!(Pattern::compile(text).is_err(), "{text}");
    }
}

#[test]
fn patterns_and_lists_are_bounded() {
    assert_eq!(Pattern::compile(""), Err(PatternError::Empty));
    let long = "a".repeat(PATTERN_BYTES_MAX + 1);
    assert!(matches!(Pattern::compile(&long), Err(PatternError::TooLong { bytes: 1025, .. })));
    let list = |texts: &[&str]| PatternList::compile(texts.iter().copied()).unwrap_err();
    assert_eq!(list(&[]), ListError::Empty);
    assert_eq!(list(&["a"; PATTERNS_MAX + 1]), ListError::TooMany(257));
    assert_eq!(list(&["a", "?"]).at(), Some(1));
    for negated in [&["!main"][..], &["!a", "!b/**"]] {
        assert_eq!(list(negated), ListError::OnlyNegated);
    }
}

/// The longest pattern of each kind, over all its words.
#[test]
fn the_longest_patterns_match() {
    for (part, name) in [("a?", ""), ("a?", "aaaa"), ("*a", "xaxaxaxa"), ("[a]", "aaaa")] {
        let many = PATTERN_BYTES_MAX / part.len();
        let pattern = Pattern::compile(&part.repeat(many)).unwrap();
        let fits = name.repeat(many / 4);
        assert!(pattern.matches(&fits) || !many.is_multiple_of(4), "{part}");
        assert!(!pattern.matches(&format!("{fits}b")), "{part}");
    }
    // A skip that runs from the first word to the last.
    let pattern = Pattern::compile(&format!("x{}y", "a?".repeat(511))).unwrap();
    assert!(pattern.matches("xy") && pattern.matches("xaay") && !pattern.matches("xa"));
    assert!(pattern.matches(&format!("x{}y", "a".repeat(511))));
    assert!(!pattern.matches(&format!("x{}y", "a".repeat(512))));
}

/// Cost is counted and not timed: a word of the pattern for each character of the name.
#[test]
fn a_hostile_pattern_costs_only_in_proportion() {
    let name = format!("{}b", "a".repeat(4_096));
    for part in ["*a", "**a", "a?", "a+", "**/", "**/*a", "[a-z]?", "*a?a+"] {
        let text = format!("*{}*c*", part.repeat(1_000 / part.len()));
        let pattern = Pattern::compile(&text).unwrap();
        assert!(!pattern.matches(&name), "{text}");
        let (_, words) = pattern.wild.as_ref().unwrap().run(&name);
        assert!(words <= 9 * (name.len() + 1), "{part}: {words} words");
    }
}

/// Says the same as the automaton, by trying every way: exponential, and obviously right. It
/// reads the pattern's characters themselves.
fn naive(pattern: &[char], name: &[char], segment_start: bool) -> bool {
    let (is_meant, one): (Box<dyn Fn(char) -> bool>, usize) = match pattern {
        [] => return name.is_empty(),
        ['*', '*', '/', rest @ ..] if segment_start && !matches!(rest.first(), Some('?' | '+')) => {
            return naive(rest, name, true)
                || (0..name.len()).any(|at| name[at] == '/' && naive(rest, &name[at + 1..], true));
        }
        ['*', '*', rest @ ..] => {
            return (0..=name.len()).any(|at| naive(rest, &name[at..], false));
        }
        ['*', rest @ ..] => {
            return (0..=name.len())
                .take_while(|&at| at == 0 || name[at - 1] != '/')
                .any(|at| naive(rest, &name[at..], false));
        }
        ['\\', c, ..] => (Box::new(move |it| it == *c), 2),
        ['[', low, '-', high, ']', ..] => (Box::new(move |it| (low..=high).contains(&&it)), 5),
        ['[', first, second, ']', ..] => (Box::new(move |it| it == *first || it == *second), 4),
        [c, ..] => (Box::new(move |it| it == *c), 1),
    };
    let ends_segment = pattern[one - 1] == '/';
    let begins = |name: &[char]| name.first().is_some_and(|c| is_meant(*c));
    match pattern.get(one) {
        Some('?') => {
            naive(&pattern[one + 1..], name, false)
                || begins(name) && naive(&pattern[one + 1..], &name[1..], false)
        }
        Some('+') => (0..name.len())
            .take_while(|at| begins(&name[*at..]))
            .any(|at| naive(&pattern[one + 1..], &name[at + 1..], false)),
        _ => begins(name) && naive(&pattern[one..], &name[1..], ends_segment),
    }
}

fn chars(text: &str) -> Vec<char> {
    text.chars().collect()
}

/// Patterns that mean something: what can be repeated, with or without a quantifier, and wild cards.
fn some_pattern() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => r"(a|b|/|c|\\\*|\\!|\[ab\]|\[a-c\])[?+]?",
        2 => r"\*|\*\*|\*\*/",
    ];
    prop::collection::vec(part, 1..7).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_automaton_agrees_with_trying_every_way(
        pattern in some_pattern(), name in "[abc/*!]{0,9}",
    ) {
        let wanted = naive(&chars(&pattern), &chars(&name), true);
        let compiled = Pattern::compile(&pattern).unwrap();
        prop_assert_eq!(compiled.matches(&name), wanted, "{} {}", pattern, name);
    }

    /// The same, shifted over the edges of words by a row of places in front.
    #[test]
    fn long_patterns_agree_as_well(
        pattern in some_pattern(), name in "[abc/]{0,6}", row in 120_usize..140,
    ) {
        let wanted = naive(&chars(&pattern), &chars(&name), false);
        let text = format!("{}{pattern}", "[x]".repeat(row));
        // Behind another character `**/` means no folders.
        prop_assert_eq!(
            Pattern::compile(&text).unwrap().matches(&format!("{}{name}", "x".repeat(row))),
            wanted
        );
    }

    #[test]
    fn a_list_is_decided_by_its_last_match(
        patterns in prop::collection::vec((any::<bool>(), some_pattern()), 1..5),
        name in "[ab/]{0,6}",
    ) {
        let texts: Vec<_> = patterns.iter().map(|(negates, pattern)| {
            format!("{}{pattern}", if *negates { "!" } else { "" })
        }).collect();
        let compiled = PatternList::compile(texts.iter().map(String::as_str));
        if patterns.iter().all(|(negates, _)| *negates) {
            prop_assert_eq!(compiled, Err(ListError::OnlyNegated));
        } else {
            let mut wanted = false;
            for (negates, pattern) in &patterns {
                if naive(&chars(pattern), &chars(&name), true) {
                    wanted = !negates;
                }
            }
            prop_assert_eq!(compiled.unwrap().means(&name), wanted);
        }
    }
}
