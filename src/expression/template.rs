//! Text with expressions in it.
//!
//! `${{` begins one and the next `}}` that stands in no text of it ends it. What an expression comes to is put
//! in its place, and never looked at again.

use std::ops::Range;

use serde_json::Value;

use super::Expression;
use super::error::{EvalError, ParseError};
use super::scope::Scope;
use super::uses::Uses;

/// The longest text with expressions, in bytes.
pub const TEMPLATE_BYTES_MAX: usize = 1_048_576;

const OPEN: &str = "${{";
const CLOSE: &str = "}}";

/// Text with any number of `${{ }}` in it.
#[derive(Clone, PartialEq, Debug)]
pub struct Template {
    pieces: Vec<Piece>,
}

/// A part of a [`Template`].
#[derive(Clone, PartialEq, Debug)]
pub enum Piece {
    /// Text that stays as it is; not empty.
    Text(String),
    /// A `${{ }}`.
    Expression {
        /// What stands in it.
        expression: Expression,
        /// Where it stands in the text, from `$` to behind the last `}`, in bytes.
        at: Range<usize>,
    },
}

impl Template {
    /// Cuts a text into its pieces.
    ///
    /// # Errors
    ///
    /// A `${{` without `}}`, what is no expression, or too much text; with the place in the text.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        if text.len() > TEMPLATE_BYTES_MAX {
            let message =
                format!("a text of {} bytes is too long, at most {TEMPLATE_BYTES_MAX}", text.len());
            return Err(ParseError::new(0, message));
        }
        let mut pieces = Vec::new();
        let mut from = 0;
        while let Some(open) = text[from..].find(OPEN).map(|at| from + at) {
            if open > from {
                pieces.push(Piece::Text(text[from..open].to_owned()));
            }
            let inner = inner(text, open)?;
            let read = &text[inner.clone()];
            if read.trim().is_empty() {
                return Err(ParseError::new(open, "`${{ }}` has no expression in it"));
            }
            let expression = Expression::parse(read).map_err(|error| error.moved(inner.start))?;
            from = inner.end + CLOSE.len();
            pieces.push(Piece::Expression { expression, at: open..from });
        }
        if from < text.len() {
            pieces.push(Piece::Text(text[from..].to_owned()));
        }
        Ok(Self { pieces })
    }

    /// Whether there is no expression in it.
    pub fn is_literal(&self) -> bool {
        self.pieces.iter().all(|piece| matches!(piece, Piece::Text(_)))
    }

    /// The text with the values in it, each as [`super::text_of`] writes it.
    ///
    /// # Errors
    ///
    /// [`EvalError`] of the first expression that has one.
    pub fn text(&self, scope: &Scope<'_>) -> Result<String, EvalError> {
        let fuel = scope.fuel();
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Expression { expression, .. } => {
                    expression.text_into(&mut out, scope, &fuel)?;
                }
            }
        }
        Ok(out)
    }

    /// The value: where the whole text is one `${{ }}`, what that comes to, and a text otherwise.
    ///
    /// # Errors
    ///
    /// As of [`Template::text`].
    pub fn value(&self, scope: &Scope<'_>) -> Result<Value, EvalError> {
        match self.pieces.as_slice() {
            [Piece::Expression { expression, .. }] => expression.evaluate(scope),
            _ => self.text(scope).map(Value::String),
        }
    }

    /// What its expressions look at.
    pub fn uses(&self) -> Uses {
        let mut uses = Uses::default();
        for piece in &self.pieces {
            if let Piece::Expression { expression, .. } = piece {
                uses.merge(expression.uses());
            }
        }
        uses
    }

    /// Text and expressions, in their order.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }
}

/// What stands in the `${{ }}` that opens here.
fn inner(text: &str, open: usize) -> Result<Range<usize>, ParseError> {
    let from = open + OPEN.len();
    let bytes = text.as_bytes();
    let mut in_text = false;
    for at in from..bytes.len() {
        match bytes[at] {
            // `''` in a text closes and opens it.
            b'\'' => in_text = !in_text,
            b'}' if !in_text && bytes.get(at + 1) == Some(&b'}') => return Ok(from..at),
            _ => {}
        }
    }
    let error = ParseError::new(open, "`${{` is not closed by `}}`");
    Err(if in_text { error.hint("a text in it is not closed by `'`") } else { error })
}

/// The expression of a condition without the `${{ }}` that may stand around it, and where it begins.
pub(super) fn bare(text: &str) -> Result<(&str, usize), ParseError> {
    let Some(open) = text.find(OPEN) else { return Ok((text, 0)) };
    let inner = inner(text, open)?;
    let around = [&text[..open], &text[inner.end + CLOSE.len()..]];
    match around.iter().all(|it| it.trim().is_empty()) {
        true => Ok((&text[inner.clone()], inner.start)),
        false => Err(ParseError::new(open, "only a part of the condition stands in `${{ }}`")
            .hint("the rest would be text, and always true; leave the `${{ }}` out")),
    }
}
