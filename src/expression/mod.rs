//! Workflow expressions: what stands in `${{ }}` and in `if:`.
//!
//! ```text
//! text -> Template (text and ${{ }} in turn) -> Expression (a checked tree) -> a value, within a Scope
//! ```
//!
//! The language is GitHub's: <https://docs.github.com/en/actions/reference/workflows-and-actions/expressions>,
//! with the contexts of <https://docs.github.com/en/actions/reference/workflows-and-actions/contexts>. Where
//! the pages are silent, it does as GitHub's runner does: `'0x10' == 16`, hexadecimal numbers have 32 bits
//! with a sign, `array['0']` is the first element, a text of 16 digits becomes `1.23456789012346E+15`.
//!
//! An unknown function or context is an error when the text is read, with the nearest name that is known.
//! What a [`Scope`] lacks is an error when it is asked for, and never an empty text.
//!
//! Evaluation borrows: of a payload of 25 MB only what an expression comes to is copied. Each node of a tree
//! is evaluated at most once, there are no loops and no variables, and what can be long (a list that is
//! searched, a text that is made) is paid for from the scope's fuel.
//!
//! Not here: where which context may be used, what a step's outputs are, and files, which the caller hashes.

mod dry;
mod error;
mod evaluate;
mod functions;
mod json;
mod names;
mod node;
mod number;
mod parse;
mod print;
mod scope;
mod template;
mod uses;
mod value;
mod words;

pub use dry::{ExpressionAnswer, expression};
pub use error::{EvalError, ParseError};
pub use names::CONTEXTS;
pub use scope::{FUEL_DEFAULT, Scope, Status};
pub use template::{Piece, TEMPLATE_BYTES_MAX, Template};
pub use uses::Uses;
pub use value::{equals, is_name, text_of};

use std::fmt;

use serde_json::Value;

use evaluate::Machine;
use names::Function;
use node::Node;

/// The longest expression, in bytes. GitHub takes 21,000 characters.
pub const EXPRESSION_BYTES_MAX: usize = 65_536;
/// How deep parentheses, arguments, comparisons and properties may stand in each other.
pub const DEPTH_MAX: usize = 100;

/// A checked expression.
///
/// It prints itself in a canonical form: one blank around operators, no parentheses but those that are
/// needed, names as the documentation writes them. That form, where it is not over
/// [`EXPRESSION_BYTES_MAX`], parses to the same expression.
#[derive(Clone, PartialEq, Debug)]
pub struct Expression {
    root: Node,
    /// How many values from `fromJSON` an evaluation may have to keep.
    slots: usize,
}

impl Expression {
    /// Reads an expression without `${{ }}` around it.
    ///
    /// # Errors
    ///
    /// It is none, or over a limit; with the place in the text.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        parse::parse(text).map(|(read, _)| read)
    }

    /// Reads an `if:`, with or without `${{ }}` around all of it. Where it calls none of `success`,
    /// `failure`, `cancelled` and `always`, `success() && (..)` is meant; an empty one means `success()`.
    ///
    /// # Errors
    ///
    /// As of [`Expression::parse`]; and where `${{ }}` is only a part of it, which would be a text and so
    /// always true.
    pub fn condition(text: &str) -> Result<Self, ParseError> {
        let (inner, from) = template::bare(text)?;
        let success = Node::Call(Function::Success, Vec::new());
        if inner.trim().is_empty() && from == 0 {
            return Ok(Self { root: success, slots: 0 });
        }
        let (read, depth) = parse::parse(inner).map_err(|error| error.moved(from))?;
        if read.uses().status {
            return Ok(read);
        }
        let root = match read.root {
            Node::All(mut parts) => {
                parts.insert(0, success);
                Node::All(parts)
            }
            _ if depth >= DEPTH_MAX => return Err(parse::too_deep(from)),
            other => Node::All(vec![success, other]),
        };
        Ok(Self { root, slots: read.slots })
    }

    /// What it comes to. Numbers that JSON has not are told as GitHub prints them, as the texts `NaN`,
    /// `Infinity` and `-Infinity`.
    ///
    /// # Errors
    ///
    /// [`EvalError`].
    pub fn evaluate(&self, scope: &Scope<'_>) -> Result<Value, EvalError> {
        self.within(scope, &scope.fuel(), |machine, value| machine.copied(value))
    }

    /// Whether what it comes to counts as true: all but `false`, `null`, `0`, `-0`, `NaN` and the empty
    /// text does.
    ///
    /// # Errors
    ///
    /// [`EvalError`].
    pub fn truth(&self, scope: &Scope<'_>) -> Result<bool, EvalError> {
        self.within(scope, &scope.fuel(), |_, value| Ok(value.truth()))
    }

    /// What it looks at.
    pub fn uses(&self) -> Uses {
        let mut uses = Uses::default();
        uses::collect(&self.root, &mut uses);
        uses
    }

    /// Whether the text it comes to is certain to be one of: what the expression itself says, `true` or
    /// `false`, nothing, and the values of paths (written as in [`Uses::paths`]) that are `plain`.
    pub fn is_plain(&self, plain: &dyn Fn(&str) -> bool) -> bool {
        uses::is_plain(&self.root, plain)
    }

    /// Appends what it comes to as text.
    fn text_into(
        &self,
        out: &mut String,
        scope: &Scope<'_>,
        fuel: &scope::Fuel,
    ) -> Result<(), EvalError> {
        self.within(scope, fuel, |machine, value| {
            out.push_str(&machine.text(&value)?);
            Ok(())
        })
    }

    fn within<T>(
        &self,
        scope: &Scope<'_>,
        fuel: &scope::Fuel,
        then: impl FnOnce(&Machine<'_>, value::Val<'_>) -> Result<T, EvalError>,
    ) -> Result<T, EvalError> {
        let slots = evaluate::slots(self.slots);
        let machine = Machine::new(scope, &slots, fuel);
        let value = machine.run(&self.root)?;
        then(&machine, value)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print::node(&self.root, f)
    }
}

#[cfg(test)]
mod tests;
