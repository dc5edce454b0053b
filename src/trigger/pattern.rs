//! Patterns over branch, tag and file names.
//!
//! GitHub's patterns are a language of their own, not shell globs:
//! <https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#filter-pattern-cheat-sheet>.
//! A pattern matches the whole name, with regard to case:
//!
//! - `*`: any characters but `/`, also none;
//! - `**`: any characters, also none;
//! - `**/` at the start of a path segment: any number of whole folders, also none, which is why
//!   `docs/**/*.md` matches `docs/README.md`; in `**/?` and `**/+` the quantifier is about the `/`;
//! - `?`: the character before, or nothing; `+`: the character before, once or more often. The
//!   character may be a `[]`;
//! - `[]`: one of the letters and digits in it, or in its ranges, as `[0-9a-f]`;
//! - `!` as the first character: what matches is not meant, whatever patterns before it say. It is
//!   an ordinary character elsewhere;
//! - `\`: the special character behind it is an ordinary one.
//!
//! What the page gives no meaning is refused rather than guessed: `?` and `+` with nothing to
//! repeat or behind `*`, other than letters and digits in `[]`, ranges across their kinds, `\d`.
//!
//! Here is how a pattern is read; [`automaton`] matches it, and [`list`] says which pattern of
//! several decides.

mod automaton;
mod list;

use automaton::{Automaton, Token};

pub use list::{ListError, PATTERNS_MAX, PatternList};

/// The longest pattern, in bytes.
pub const PATTERN_BYTES_MAX: usize = 1_024;
/// What has a meaning of its own, and can be had as itself behind `\`.
const SPECIAL: &str = r"`*`, `?`, `+`, `[`, `]`, `!` and `\`";

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
    /// `!` and nothing behind it.
    #[error("pattern `!` negates nothing; write what is not meant behind the `!`")]
    NegatesNothing,
    /// `?` or `+` at the start, or behind what is no single character.
    #[error(
        r"pattern `{pattern}` has a `{found}` without a character before it to repeat; for the character itself write `\{found}`"
    )]
    NothingToRepeat {
        /// The pattern.
        pattern: String,
        /// `?` or `+`.
        found: char,
    },
    /// `[` without `]`.
    #[error(r"pattern `{0}` has a `[` without a `]`; for the character itself write `\[`")]
    Open(String),
    /// `[]`.
    #[error("pattern `{0}` has `[]`, which no character is in")]
    EmptyClass(String),
    /// Something in `[]` that is no ASCII letter and no digit.
    #[error(
        "pattern `{pattern}` has `{found}` in `[]`, where only letters a-z, A-Z and digits may stand"
    )]
    NotInClass {
        /// The pattern.
        pattern: String,
        /// What stands there.
        found: char,
    },
    /// A range in `[]` that is not one of a-z, A-Z, 0-9, or runs backwards.
    #[error(
        "pattern `{pattern}` has the range `{from}-{to}`; ranges run upwards within a-z, A-Z or 0-9"
    )]
    Range {
        /// The pattern.
        pattern: String,
        /// Its first character.
        from: char,
        /// Its last one.
        to: char,
    },
    /// `\` before what it cannot escape, or at the end.
    #[error(r"pattern `{pattern}` has a `\` that escapes nothing; it stands before {SPECIAL}")]
    EscapesNothing {
        /// The pattern.
        pattern: String,
    },
}

/// One compiled pattern: literal text, then what is wild, then literal text. Most names are
/// refused by the literal ends alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern {
    text: String,
    negates: bool,
    prefix: String,
    /// `None` for a pattern that is all `prefix`.
    wild: Option<Automaton>,
    suffix: String,
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    ///
    /// It is empty or over-long, or says what has no meaning.
    pub fn compile(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if text.len() > PATTERN_BYTES_MAX {
            let start = text.chars().take(40).collect();
            return Err(PatternError::TooLong { bytes: text.len(), start });
        }
        let (negates, body) = match text.strip_prefix('!') {
            Some("") => return Err(PatternError::NegatesNothing),
            Some(body) => (true, body),
            None => (false, text),
        };
        let mut tokens = tokens(text, body)?;
        let letters = |tokens: &[Token]| tokens.iter().filter_map(Token::letter).collect();
        let is_wild = |token: &Token| token.letter().is_none();
        let text = text.to_owned();
        let Some(first) = tokens.iter().position(is_wild) else {
            let prefix = letters(&tokens);
            return Ok(Self { text, negates, prefix, wild: None, suffix: String::new() });
        };
        let end = tokens.iter().rposition(is_wild).map_or(first, |last| last + 1);
        let suffix = letters(&tokens[end..]);
        tokens.truncate(end);
        let prefix = letters(&tokens[..first]);
        let wild = Some(Automaton::new(&tokens[first..]));
        Ok(Self { text, negates, prefix, wild, suffix })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it says with `!` what is not meant.
    pub fn negates(&self) -> bool {
        self.negates
    }

    /// What stands behind the `!`, if there is one.
    fn body(&self) -> &str {
        self.text.strip_prefix('!').filter(|_| self.negates).unwrap_or(&self.text)
    }

    /// Whether it matches all that another one matches, as far as that is easily seen.
    fn covers(&self, other: &Self) -> bool {
        let is_plain = other.wild.is_none();
        matches!(self.body(), "**")
            || self.body() == other.body()
            || is_plain && self.matches(&other.prefix)
    }

    /// Whether the whole of `name` matches; of a pattern with `!`, what stands behind it.
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

/// Reads what stands behind a `!`, if there is one; `whole` is for messages.
fn tokens(whole: &str, text: &str) -> Result<Vec<Token>, PatternError> {
    let pattern = || whole.to_owned();
    let mut found: Vec<Token> = Vec::new();
    // Behind `/`, or at the start: where `**/` means folders.
    let mut at_segment_start = true;
    // Whether the last token is one character, which `?` and `+` can be about.
    let mut is_one = false;
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        rest = &rest[next.len_utf8()..];
        let token = match next {
            '*' if at_segment_start
                && rest.starts_with("*/")
                && !rest[2..].starts_with(['?', '+']) =>
            {
                rest = &rest[2..];
                is_one = false;
                found.push(Token::Folders);
                continue;
            }
            '*' => match rest.strip_prefix('*') {
                Some(behind) => {
                    rest = behind;
                    Token::AnyStar
                }
                None => Token::Star,
            },
            '?' | '+' => {
                let last = found.last_mut().filter(|_| is_one);
                let Some(last) = last else {
                    return Err(PatternError::NothingToRepeat { pattern: pattern(), found: next });
                };
                let chars = last.chars();
                *last = if next == '?' { Token::Maybe(chars) } else { Token::Repeated(chars) };
                (is_one, at_segment_start) = (false, false);
                continue;
            }
            '[' => {
                let (inside, behind) =
                    rest.split_once(']').ok_or_else(|| PatternError::Open(pattern()))?;
                rest = behind;
                Token::One(class(whole, inside)?)
            }
            '\\' => {
                // Letters and digits have no other meaning that could be taken from them: whoever
                // writes `\d` means something else.
                let escaped = rest.chars().next().filter(char::is_ascii_punctuation);
                let escaped =
                    escaped.ok_or_else(|| PatternError::EscapesNothing { pattern: pattern() })?;
                rest = &rest[1..];
                Token::Literal(escaped)
            }
            letter => Token::Literal(letter),
        };
        is_one = matches!(token, Token::Literal(_) | Token::One(_));
        at_segment_start = token == Token::Literal('/');
        found.push(token);
    }
    Ok(found)
}

/// The characters of a `[]`, each once and in order.
fn class(whole: &str, inside: &str) -> Result<Vec<char>, PatternError> {
    let pattern = || whole.to_owned();
    let mut chars = Vec::new();
    let mut rest: Vec<char> = inside.chars().rev().collect();
    while let Some(from) = rest.pop() {
        if !from.is_ascii_alphanumeric() {
            return Err(PatternError::NotInClass { pattern: pattern(), found: from });
        }
        // A `-` at the end is no range, and is refused as what may not stand there.
        let is_range = rest.last() == Some(&'-') && rest.len() > 1;
        let to = if is_range { rest.swap_remove(rest.len() - 2) } else { from };
        if is_range {
            rest.pop();
        }
        let kinds = [char::is_ascii_lowercase, char::is_ascii_uppercase, char::is_ascii_digit];
        if from > to || !kinds.iter().any(|kind| kind(&from) && kind(&to)) {
            return Err(PatternError::Range { pattern: pattern(), from, to });
        }
        chars.extend(from..=to);
    }
    if chars.is_empty() {
        return Err(PatternError::EmptyClass(pattern()));
    }
    chars.sort_unstable();
    chars.dedup();
    Ok(chars)
}

#[cfg(test)]
mod tests;
