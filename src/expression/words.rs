//! The words, numbers and texts of an expression, one after the other.

use super::error::ParseError;
use super::node::is_in_name;
use super::number;
use super::parse::Parser;

impl<'t> Parser<'t> {
    pub(super) fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The next character that is no blank.
    pub(super) fn peek(&mut self) -> Option<char> {
        let rest = self.rest();
        let trimmed = rest.trim_start();
        self.at += rest.len() - trimmed.len();
        trimmed.chars().next()
    }

    /// Takes a sign, if it is the next.
    pub(super) fn take(&mut self, sign: &str) -> bool {
        self.peek();
        let found = self.rest().starts_with(sign);
        if found {
            self.at += sign.len();
        }
        found
    }

    pub(super) fn word(&mut self) -> &'t str {
        let rest = self.rest();
        let word = &rest[..rest.find(|c| !is_in_name(c)).unwrap_or(rest.len())];
        self.at += word.len();
        word
    }

    pub(super) fn number(&mut self) -> Result<f64, ParseError> {
        let rest = self.rest();
        let ends = |c: char| c.is_whitespace() || "()[],!<>=&|".contains(c);
        let word = &rest[..rest.find(ends).unwrap_or(rest.len())];
        let number = number::parsed(word);
        if number.is_nan() {
            let error = ParseError::new(self.at, format!("`{}` is not a number", start_of(word)));
            return Err(match word.trim_start_matches(['-', '+']).contains(['-', '+', '*', '/']) {
                true => error.hint("there is no arithmetic in expressions"),
                false => error,
            });
        }
        self.at += word.len();
        Ok(number)
    }

    /// A text in single quotes, in which `''` is one.
    pub(super) fn string(&mut self) -> Result<Box<str>, ParseError> {
        let open = self.at;
        let mut text = String::new();
        self.at += 1;
        loop {
            let rest = self.rest();
            let Some(end) = rest.find('\'') else {
                return Err(ParseError::new(open, "the text is not closed by `'`")
                    .hint("a `'` in a text is written `''`"));
            };
            text.push_str(&rest[..end]);
            self.at += end + 1;
            if !self.rest().starts_with('\'') {
                return Ok(text.into());
            }
            text.push('\'');
            self.at += 1;
        }
    }

    /// What to say of what stands where nothing of its kind may.
    pub(super) fn unexpected(&mut self) -> ParseError {
        let Some(found) = self.peek() else {
            return ParseError::new(self.at, "the expression ends too early");
        };
        let shown = match found.is_control() {
            true => found.escape_default().to_string(),
            false => found.to_string(),
        };
        let error = ParseError::new(self.at, format!("unexpected `{shown}`"));
        match found {
            '"' => error.hint("write texts in single quotes: 'text'"),
            '=' => error.hint("to compare, write `==`"),
            '&' => error.hint("write `&&`"),
            '|' => error.hint("write `||`"),
            '?' | ':' => error.hint("write `case(condition, value, otherwise)`"),
            '$' | '{' | '}' => error.hint("`${{ }}` cannot stand in an expression"),
            '+' | '-' | '*' | '/' | '%' => error.hint("there is no arithmetic in expressions"),
            _ => error,
        }
    }
}

/// As much of a word as a message needs.
pub(super) fn start_of(word: &str) -> String {
    /// Characters.
    const SHOWN_MAX: usize = 40;
    match word.chars().nth(SHOWN_MAX) {
        Some(_) => word.chars().take(SHOWN_MAX).chain("..".chars()).collect(),
        None => word.to_owned(),
    }
}
