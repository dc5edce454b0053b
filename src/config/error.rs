//! What can be wrong with a configuration: all of it at once, each with its place.

use std::fmt;
use std::path::Path;

use super::{Origin, Place};

/// One thing that is wrong.
///
/// No message quotes a value of a key that holds secrets, and none quotes a line of the file.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub struct ConfigError {
    /// Who says it.
    pub origin: Origin,
    /// `section.key`; a section's name where the whole section is meant; empty for the file.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl ConfigError {
    /// An error without a hint.
    pub fn new(origin: Origin, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { origin, key: key.into(), message: message.into(), hint: None }
    }

    /// An error at a place of the file: what later rooms report about triggers.
    pub fn at(place: Place, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Origin::File(place), key, message)
    }

    /// Says what to write instead.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        Self::new(Origin::WholeFile(path.into()), "", format!("cannot be read: {error}"))
            .hint("name another file, or write one from config/dispatchyard.toml of the project")
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        if !self.key.is_empty() {
            write!(f, "`{}`: ", self.key)?;
        }
        f.write_str(&self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, "\n  hint: {hint}"))
    }
}

/// Everything that is wrong; at least one error, in the order of the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// All errors that were found; `Ok` when there are none. Of use to rooms that check more.
    ///
    /// # Errors
    /// There is at least one.
    pub fn check(errors: Vec<ConfigError>) -> Result<(), Self> {
        if errors.is_empty() { Ok(()) } else { Err(Self::all(errors)) }
    }

    /// These errors, of which there is at least one, in the order of the file.
    pub fn all(mut errors: Vec<ConfigError>) -> Self {
        debug_assert!(!errors.is_empty(), "no errors are no failure");
        errors.sort_by_key(|error| match &error.origin {
            Origin::File(place) => (0, place.line, place.column),
            Origin::WholeFile(_) | Origin::Environment(_) | Origin::Program => (1, 0, 0),
        });
        Self(errors)
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }
}

impl std::error::Error for ConfigErrors {}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}
