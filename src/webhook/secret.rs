//! The secrets of a source: loaded from a file or the environment, never from the configuration's
//! text, and never shown.
//!
//! Several are active at once, so that a secret can be replaced without losing a delivery: add
//! the new one, change it at the forge, remove the old one.

use std::fmt;
use std::path::{Path, PathBuf};

/// Why a secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// No bytes but line ends.
    #[error("the secret is empty: an empty secret protects nothing")]
    Empty,
    /// No secret at all.
    #[error("no secret is given: name one, or say `insecure = true` if anybody may send")]
    None,
    /// The file cannot be read.
    #[error("cannot read the secret file {path}: {error}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The file is too large to be a secret.
    #[error(
        "the secret file {path} holds {bytes} bytes, more than {SECRET_BYTES_MAX}: is it the right file?"
    )]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// How many it holds.
        bytes: usize,
    },
    /// It cannot be a key of its source's scheme.
    #[error(transparent)]
    Key(#[from] super::KeyError),
}

/// Most bytes of a secret.
pub const SECRET_BYTES_MAX: usize = 4_096;

/// One secret, of a source or a token. Its bytes reach the one place that computes with them, and
/// no log.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<[u8]>);

/// A secret and what had to be done to read it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoadedSecret {
    /// The secret.
    pub secret: Secret,
    /// Whether line ends were cut off its end: worth one line in the log, because a secret whose
    /// newline is meant is rare and one whose newline an editor added is common.
    pub trimmed: bool,
}

impl Secret {
    /// A secret of exactly these bytes.
    ///
    /// # Errors
    ///
    /// [`SecretError::Empty`] without bytes.
    pub fn new(bytes: &[u8]) -> Result<Self, SecretError> {
        if bytes.is_empty() { Err(SecretError::Empty) } else { Ok(Self(bytes.into())) }
    }

    /// A secret as an editor or a shell left it: line ends at its end are cut off.
    ///
    /// # Errors
    ///
    /// [`SecretError::Empty`] when nothing else is there.
    pub fn from_text(text: &[u8]) -> Result<LoadedSecret, SecretError> {
        let is_line_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let bytes = text.iter().rposition(|byte| !is_line_end(byte)).map_or(0, |last| last + 1);
        let secret = Self::new(&text[..bytes])?;
        Ok(LoadedSecret { secret, trimmed: bytes < text.len() })
    }

    /// Reads a secret's file; blocks, meant for the start of the server.
    ///
    /// # Errors
    ///
    /// [`SecretError`] when it cannot be read, is empty, or is too large to be a secret.
    pub fn read_file(path: &Path) -> Result<LoadedSecret, SecretError> {
        let text = std::fs::read(path)
            .map_err(|error| SecretError::File { path: path.to_owned(), error })?;
        if text.len() > SECRET_BYTES_MAX {
            return Err(SecretError::TooLarge { path: path.to_owned(), bytes: text.len() });
        }
        Self::from_text(&text)
    }

    /// The bytes, for the one place that computes with them.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// All active secrets of a source, at least one.
#[derive(Clone, Debug)]
pub struct Secrets(Vec<Secret>);

impl Secrets {
    /// These secrets, the newest first by convention: it signs what we send ourselves.
    ///
    /// # Errors
    ///
    /// [`SecretError::None`] without any.
    pub fn new(secrets: Vec<Secret>) -> Result<Self, SecretError> {
        if secrets.is_empty() { Err(SecretError::None) } else { Ok(Self(secrets)) }
    }

    /// The secret that signs what we send ourselves.
    pub fn first(&self) -> &Secret {
        &self.0[0]
    }

    pub(super) fn all(&self) -> &[Secret] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_at_the_end_are_cut_off_and_reported() {
        for text in ["secret\n", "secret\r\n", "secret\n\n"] {
            let loaded = Secret::from_text(text.as_bytes()).unwrap();
            assert_eq!(loaded.secret.bytes(), b"secret");
            assert!(loaded.trimmed);
        }
        let loaded = Secret::from_text(b" se\ncret ").unwrap();
        assert_eq!(loaded.secret.bytes(), b" se\ncret ");
        assert!(!loaded.trimmed);
    }

    #[test]
    fn an_empty_secret_is_refused_wherever_it_comes_from() {
        assert!(matches!(Secret::new(b""), Err(SecretError::Empty)));
        for text in ["", "\n", "\r\n"] {
            assert!(matches!(Secret::from_text(text.as_bytes()), Err(SecretError::Empty)));
        }
        assert!(matches!(Secrets::new(Vec::new()), Err(SecretError::None)));
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        let secrets = Secrets::new(vec![Secret::new(b"hunter2").unwrap()]).unwrap();
        assert_eq!(format!("{secrets:?}"), "Secrets([Secret(redacted)])");
    }

    #[test]
    fn a_secret_file_is_read_and_a_missing_or_huge_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hook.secret");
        let missing = Secret::read_file(&path).unwrap_err().to_string();
        assert!(missing.contains("hook.secret"), "{missing}");
        std::fs::write(&path, "secret\n").unwrap();
        assert!(Secret::read_file(&path).unwrap().trimmed);
        std::fs::write(&path, vec![b'x'; SECRET_BYTES_MAX + 1]).unwrap();
        assert!(matches!(Secret::read_file(&path), Err(SecretError::TooLarge { .. })));
    }
}
