//! Patterns over branch, tag and file names.
//!
//! GitHub's patterns are a language of their own, not shell globs:
//! <https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#filter-pattern-cheat-sheet>.
//! A pattern matches the whole name, case-sensitively. Understood today are
//!
//! - `*`: any characters but `/`, also none;
//! - `**`: any characters, also none;
//! - `**/` at the start of a path segment: any number of whole folders, also none, which is why
//!   `docs/**/*.md` matches `docs/README.md`.
//!
//! The other metacharacters, `? + [ ] !` and the escape `\`, are refused rather than taken
//! literally, so that no rule changes its meaning when they are added to [`Token`].
//!
//! Matching follows all alternatives side by side, each a bit of one word, so its cost is in
//! proportion to the length of the name: no pattern makes it explode.

/// The longest pattern, in bytes.
pub const PATTERN_BYTES_MAX: usize = 1_024;
/// The most characters from the first to the last wildcard of a pattern: one bit each, and one for
/// the end.
pub const WILD_TOKENS_MAX: usize = 127;
/// The most patterns in one list.
pub const PATTERNS_MAX: usize = 256;

/// Why a pattern is refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PatternError {
    /// It matches nothing.
    #[error("a pattern is empty")]
    Empty,
    /// It is over [`PATTERN_BYTES_MAX`].
    #[error("pattern of {bytes} bytes is too long, at most {PATTERN_BYTES_MAX}: `{start}...`")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// Its first characters.
        start: String,
    },
    /// It uses a part of the language that is not understood yet.
    #[error("pattern `{pattern}` uses `{found}`, which is not supported yet")]
    Unsupported {
        /// The pattern.
        pattern: String,
        /// The metacharacter.
        found: char,
    },
    /// It does not fit [`WILD_TOKENS_MAX`].
    #[error(
        "pattern `{pattern}` has {tokens} characters from its first to its last `*`, \
         at most {WILD_TOKENS_MAX}"
    )]
    TooWild {
        /// The pattern.
        pattern: String,
        /// Its places that the automaton would need.
        tokens: usize,
    },
    /// A list that matches nothing.
    #[error("a list of patterns is empty")]
    EmptyList,
    /// A list is over [`PATTERNS_MAX`].
    #[error("{0} patterns in one list, at most {PATTERNS_MAX}")]
    TooMany(usize),
}

/// One compiled pattern: literal text, then what is wild, then literal text. Most names are
/// refused by the literal ends alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern {
    text: String,
    prefix: String,
    /// `None` for a pattern that is all `prefix`.
    wild: Option<Automaton>,
    suffix: String,
}

/// One place of the automaton.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Token {
    /// Exactly this character.
    Literal(char),
    /// Any characters but `/`.
    Star,
    /// Any characters.
    AnyStar,
    /// Entry of `**/`: goes on behind the next token, or into it.
    Folders,
    /// Inside `**/`: any characters; each `/` may end it.
    InFolders,
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    ///
    /// An empty or over-long pattern, or one with a metacharacter that is not understood yet.
    pub fn compile(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if text.len() > PATTERN_BYTES_MAX {
            let start = text.chars().take(40).collect();
            return Err(PatternError::TooLong { bytes: text.len(), start });
        }
        // `!` negates only at the start and is an ordinary character elsewhere.
        let bang = text.starts_with('!').then_some('!');
        if let Some(found) = bang.or_else(|| text.chars().find(|c| "?+[]\\".contains(*c))) {
            return Err(PatternError::Unsupported { pattern: text.to_owned(), found });
        }
        let whole = || Self {
            text: text.to_owned(),
            prefix: text.to_owned(),
            wild: None,
            suffix: String::new(),
        };
        let Some(first) = text.find('*') else { return Ok(whole()) };
        let (prefix, rest) = text.split_at(first);
        let mut tokens = tokens(rest, prefix.chars().next_back());
        let literal = |token: &Token| matches!(token, Token::Literal(_));
        let wild = tokens.iter().rposition(|token| !literal(token)).map_or(0, |at| at + 1);
        let letter = |token| if let Token::Literal(c) = token { Some(c) } else { None };
        let suffix = tokens.drain(wild..).filter_map(letter).collect();
        if tokens.len() > WILD_TOKENS_MAX {
            return Err(PatternError::TooWild { pattern: text.to_owned(), tokens: tokens.len() });
        }
        let wild = Some(Automaton::new(&tokens));
        Ok(Self { prefix: prefix.to_owned(), wild, suffix, ..whole() })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the whole of `name` matches.
    pub fn matches(&self, name: &str) -> bool {
        let Some(rest) = name.strip_prefix(self.prefix.as_str()) else { return false };
        match &self.wild {
            None => rest.is_empty(),
            Some(wild) => {
                rest.strip_suffix(self.suffix.as_str()).is_some_and(|middle| wild.matches(middle))
            }
        }
    }
}

/// Translates what follows the literal prefix, whose last character is `before`.
fn tokens(text: &str, mut before: Option<char>) -> Vec<Token> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let at_segment_start = before.is_none_or(|c| c == '/');
        let taken = if at_segment_start && rest.starts_with("**/") {
            found.extend([Token::Folders, Token::InFolders]);
            "**/"
        } else if rest.starts_with("**") {
            found.push(Token::AnyStar);
            "**"
        } else if next == '*' {
            found.push(Token::Star);
            "*"
        } else {
            found.push(Token::Literal(next));
            &rest[..next.len_utf8()]
        };
        before = taken.chars().next_back();
        rest = &rest[taken.len()..];
    }
    found
}

/// Tokens as bits: bit n of each word speaks of token n, and the bit after the last of the end.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Automaton {
    /// Which tokens each literal character is.
    literals: Vec<(char, u128)>,
    star: u128,
    any_star: u128,
    folders: u128,
    in_folders: u128,
    end: u128,
}

impl Automaton {
    fn new(tokens: &[Token]) -> Self {
        let of = |wanted: Token| {
            let bits = tokens.iter().enumerate().filter(|(_, token)| **token == wanted);
            bits.fold(0, |bits, (at, _)| bits | 1 << at)
        };
        let mut literals: Vec<(char, u128)> = Vec::new();
        for token in tokens {
            if let Token::Literal(c) = *token
                && literals.iter().all(|(known, _)| *known != c)
            {
                literals.push((c, of(*token)));
            }
        }
        Self {
            literals,
            star: of(Token::Star),
            any_star: of(Token::AnyStar),
            folders: of(Token::Folders),
            in_folders: of(Token::InFolders),
            end: 1 << tokens.len(),
        }
    }

    fn matches(&self, name: &str) -> bool {
        let mut now = self.closure(1);
        for c in name.chars() {
            let literal = self.literals.iter().find(|(known, _)| *known == c);
            let mut next = (now & literal.map_or(0, |(_, bits)| *bits)) << 1;
            next |= now & (self.any_star | self.in_folders);
            next |= if c == '/' { (now & self.in_folders) << 1 } else { now & self.star };
            if next == 0 {
                return false;
            }
            now = self.closure(next);
        }
        now & self.end != 0
    }

    /// All places that can be reached from these without a character.
    fn closure(&self, mut places: u128) -> u128 {
        loop {
            let skipped = (places & (self.star | self.any_star | self.folders)) << 1;
            let grown = places | skipped | (places & self.folders) << 2;
            if grown == places {
                return places;
            }
            places = grown;
        }
    }
}

/// A list of patterns, at least one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PatternList(Vec<Pattern>);

impl PatternList {
    /// Compiles each pattern.
    ///
    /// # Errors
    ///
    /// The first pattern that is refused, with its place in the list where it has one.
    pub fn compile<'a>(
        texts: impl ExactSizeIterator<Item = &'a str>,
    ) -> Result<Self, (Option<usize>, PatternError)> {
        match texts.len() {
            0 => return Err((None, PatternError::EmptyList)),
            many if many > PATTERNS_MAX => return Err((None, PatternError::TooMany(many))),
            _ => {}
        }
        let compile = |(at, text)| Pattern::compile(text).map_err(|error| (Some(at), error));
        texts.enumerate().map(compile).collect::<Result<_, _>>().map(Self)
    }

    /// The pattern that decides that `name` is in the list. The first one, while none negates;
    /// with `!` it becomes the last.
    pub fn find(&self, name: &str) -> Option<&Pattern> {
        self.0.iter().find(|pattern| pattern.matches(name))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_match_what_the_cheat_sheet_says() {
        let table: &[(&str, &[&str], &[&str])] = &[
            ("main", &["main"], &["Main", "main2", "a/main", ""]),
            ("feature/*", &["feature/a", "feature/"], &["feature/a/b", "feature"]),
            ("feature/**", &["feature/a", "feature/a/b/c", "feature/"], &["feature", "features/a"]),
            ("*", &["main", "v1.0"], &["a/b", "release/1"]),
            ("**", &["main", "a/b", "a/b/c.txt", ""], &[]),
            ("*feature", &["feature", "my-feature"], &["feature-2", "a/feature"]),
            ("v2*", &["v2", "v2.0"], &["v1", "xv2", "v2/a"]),
            ("*.js", &["app.js"], &["js/app.js", "app.jsx"]),
            ("**.js", &["index.js", "js/index.js", "src/js/app.js"], &["index.ts"]),
            ("docs/*", &["docs/README.md"], &["docs/a/b.md", "README.md"]),
            ("docs/**", &["docs/README.md", "docs/mona/octocat.txt"], &["doc/x", "a/docs/x"]),
            ("docs/**/*.md", &["docs/a.md", "docs/a/b.md", "docs/a/b/c.md"], &["docs/a.txt"]),
            ("**/docs/**", &["docs/a.md", "dir/docs/a", "a/b/docs/c/d"], &["mydocs/a", "docs"]),
            ("**/README.md", &["README.md", "js/README.md"], &["MY-README.md", "a/XREADME.md"]),
            ("**/*src/**", &["a/src/app.js", "my-src/code/app.js", "src/x"], &["src", "srcs/a"]),
            ("**/*-post.md", &["my-post.md", "a/b-post.md"], &["post.md", "a/b-post.md/c"]),
            ("a**b", &["ab", "a/b", "axxb"], &["a", "ba", "abc"]),
            ("a*a", &["aa", "aba"], &["a"]),
            ("a*b*c", &["abc", "aXbYc", "abbcc"], &["ab", "a/bc", "acb"]),
            ("**/**/x", &["x", "a/x", "a/b/x"], &["ax", "x/a"]),
            ("a/**/b", &["a/b", "a/x/b", "a/x/y/b"], &["ab", "a/xb"]),
            ("rel-1!", &["rel-1!"], &["rel-1"]),
            ("größe/*", &["größe/ü"], &["grösse/a"]),
        ];
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

    #[test]
    fn metacharacters_that_are_not_understood_are_refused_by_name() {
        for (text, found) in [
            ("v1?", '?'),
            ("v1+", '+'),
            ("v[12]", '['),
            ("v]", ']'),
            ("!main", '!'),
            (r"v2\*", '\\'),
        ] {
            let error = Pattern::compile(text).unwrap_err();
            let wanted = PatternError::Unsupported { pattern: text.to_owned(), found };
            assert_eq!(error, wanted);
        }
        insta::assert_snapshot!(
            Pattern::compile("v[12]").unwrap_err(),
            @"pattern `v[12]` uses `[`, which is not supported yet"
        );
    }

    #[test]
    fn patterns_and_lists_are_bounded() {
        assert_eq!(Pattern::compile(""), Err(PatternError::Empty));
        let long = "a".repeat(PATTERN_BYTES_MAX + 1);
        assert!(matches!(Pattern::compile(&long), Err(PatternError::TooLong { bytes: 1025, .. })));
        let wild = format!("*{}*", "a".repeat(WILD_TOKENS_MAX - 2));
        assert!(Pattern::compile(&wild).unwrap().matches(&"a".repeat(WILD_TOKENS_MAX)));
        let error = Pattern::compile(&format!("*b{wild}")).unwrap_err();
        assert!(matches!(error, PatternError::TooWild { tokens: 127.., .. }), "{error}");
        let none: [&str; 0] = [];
        let empty = PatternList::compile(none.into_iter());
        assert_eq!(empty, Err((None, PatternError::EmptyList)));
        let many = vec!["a"; PATTERNS_MAX + 1];
        let error = PatternList::compile(many.into_iter()).unwrap_err();
        assert_eq!(error, (None, PatternError::TooMany(257)));
        let second = PatternList::compile(["a", "b?"].into_iter()).unwrap_err();
        assert_eq!(second.0, Some(1));
    }

    #[test]
    fn a_hostile_pattern_takes_time_only_in_proportion() {
        let name = format!("{}b", "a".repeat(100_000));
        for part in ["*a", "**a", "**/*a"] {
            let text = format!("{}*c*", part.repeat(24));
            assert!(!Pattern::compile(&text).unwrap().matches(&name), "{text}");
        }
    }

    /// Says the same as the automaton, by trying every split: exponential, and obviously right.
    fn naive(pattern: &[char], name: &[char], segment_start: bool) -> bool {
        match pattern {
            [] => name.is_empty(),
            ['*', '*', '/', rest @ ..] if segment_start => {
                naive(rest, name, true)
                    || (0..name.len())
                        .any(|at| name[at] == '/' && naive(rest, &name[at + 1..], true))
            }
            ['*', '*', rest @ ..] => (0..=name.len()).any(|at| naive(rest, &name[at..], false)),
            ['*', rest @ ..] => (0..=name.len())
                .take_while(|&at| at == 0 || name[at - 1] != '/')
                .any(|at| naive(rest, &name[at..], false)),
            [c, rest @ ..] => name.first() == Some(c) && naive(rest, &name[1..], *c == '/'),
        }
    }

    proptest! {
        #[test]
        fn the_automaton_agrees_with_trying_every_split(
            pattern in "[ab/*]{1,8}", name in "[ab/]{0,10}",
        ) {
            let split = |text: &str| text.chars().collect::<Vec<_>>();
            let wanted = naive(&split(&pattern), &split(&name), true);
            prop_assert_eq!(Pattern::compile(&pattern).unwrap().matches(&name), wanted);
        }
    }
}
