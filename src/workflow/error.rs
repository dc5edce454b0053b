//! What is wrong with a workflow file, and where.

use std::fmt;

/// One thing that is wrong with a workflow file.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub struct FileError {
    /// The file's name.
    pub file: String,
    /// Its line, from 1; 0 when the place is unknown.
    pub line: u64,
    /// The column in the line, from 1; 0 when the place is unknown.
    pub column: u64,
    /// The path of keys to it, like `jobs.build.steps[0].run`; empty for the file itself.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, "; {hint}"))
    }
}
