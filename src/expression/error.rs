//! What is wrong with an expression, or with its evaluation.

use std::fmt;

use super::names::Function;

/// Why a text is no expression.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub struct ParseError {
    /// What is wrong, with the wrong piece in it.
    pub message: String,
    /// Where, in bytes from the start of the text.
    pub at: usize,
    /// What to do about it.
    pub hint: Option<String>,
}

impl ParseError {
    pub(super) fn new(at: usize, message: impl Into<String>) -> Self {
        Self { message: message.into(), at, hint: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same of a text in which the one it is about begins `by` bytes later.
    pub(super) fn moved(mut self, by: usize) -> Self {
        self.at += by;
        self
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.message, self.at)?;
        self.hint.iter().try_for_each(|hint| write!(f, "; {hint}"))
    }
}

/// Why an expression comes to nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EvalError {
    /// The scope has no such context.
    #[error("the context `{0}` is not available here")]
    NoContext(&'static str),
    /// A status function outside of conditions.
    #[error("`{0}()` is not available here; it is about the jobs or steps before, in an `if`")]
    NoStatus(&'static str),
    /// `hashFiles` where there is no workspace.
    #[error("`hashFiles` is not available here; it needs the files of a job's workspace")]
    NoFiles,
    /// `hashFiles` failed.
    #[error("hashFiles: {0}")]
    Files(String),
    /// `fromJSON` of what is none.
    #[error("fromJSON: not valid JSON: {0}")]
    NotJson(String),
    /// A wrong argument.
    #[error("{function}: {message}")]
    Argument {
        /// Whose.
        function: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// It looks at, or makes, more than the scope's fuel is for.
    #[error("it takes more than {fuel} steps, counting every byte that is made; make it smaller")]
    Fuel {
        /// How much there was.
        fuel: u64,
    },
    /// A value that is nested too deep to be written as JSON.
    #[error("toJSON: the value is nested more than {0} levels deep")]
    Deep(usize),
}

impl EvalError {
    pub(super) fn argument(function: Function, message: impl Into<String>) -> Self {
        Self::Argument { function: function.name(), message: message.into() }
    }
}
