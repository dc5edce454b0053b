//! Where a value was written.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A place in a file, as editors count: from 1, columns in characters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// The file as it was named.
    pub file: Arc<Path>,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// Who says a value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// The file, there.
    File(Place),
    /// The file as a whole.
    WholeFile(PathBuf),
    /// The environment variable of that name.
    Environment(String),
    /// The program that the server is part of.
    Program,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(place) => place.fmt(f),
            Self::WholeFile(path) => path.display().fmt(f),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Program => f.write_str("the program"),
        }
    }
}

/// The file's name and text, kept to turn spans into places.
#[derive(Clone)]
pub struct ConfigFile {
    path: Arc<Path>,
    text: String,
}

impl ConfigFile {
    /// A file and what it says.
    pub fn new(path: &Path, text: String) -> Self {
        Self { path: path.into(), text }
    }

    /// What it says.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The folder that relative paths start from; empty for the current folder.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// The place of a byte; one behind the end is the end's.
    pub fn place(&self, offset: usize) -> Place {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        Place {
            file: self.path.clone(),
            line: before.iter().filter(|byte| **byte == b'\n').count() + 1,
            column: String::from_utf8_lossy(&before[line_start..]).chars().count() + 1,
        }
    }
}

/// Without the text: it is long, and a careless file may hold a secret.
impl fmt::Debug for ConfigFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ConfigFile").field(&self.path).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_characters_and_an_offset_behind_the_end_is_the_end() {
        let file = ConfigFile::new(Path::new("a.toml"), "x = 1\nö = \"y\"\n".to_owned());
        let at = |offset| (file.place(offset).line, file.place(offset).column);
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(6), (2, 1));
        assert_eq!(at(8), (2, 2));
        assert_eq!(at(999), (3, 1));
    }
}
