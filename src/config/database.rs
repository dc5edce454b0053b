//! `[database]`: which database keeps everything.

use std::fmt;
use std::path::Path;

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize, Serializer};

use super::section::Section;
use super::{ConfigError, ConfigErrors, Origin};

/// The section `[database]`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `url`: `sqlite:PATH`, a path as others in the file, or `postgres://USER@HOST/DATABASE`. A
    /// password may also come from PGPASSWORD or a password file. Default: a SQLite file in
    /// `data_dir`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<DatabaseUrl>,
}

impl Section for DatabaseConfig {
    const NAME: &'static str = "database";
}

/// Where a database is. Shown without its password, wherever it is shown.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The path of a SQLite file, as it was written; `None` for a server.
    pub fn file(&self) -> Option<&Path> {
        let path = self.0.strip_prefix("sqlite:")?;
        Some(Path::new(path.strip_prefix("//").unwrap_or(path)))
    }

    /// The whole text, with its password: for the one who connects.
    pub fn secret_text(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.0))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

impl Serialize for DatabaseUrl {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl DatabaseUrl {
    /// Reads one. No message repeats what was written: a password may be in it.
    fn read(text: String) -> Result<Self, &'static str> {
        let server = ["postgres://", "postgresql://"].iter().any(|it| text.starts_with(it));
        let url = Self(text);
        let file = url.file().is_some_and(|path| !path.as_os_str().is_empty());
        if server || file {
            return Ok(url);
        }
        Err("expected `sqlite:PATH` or `postgres://USER@HOST/DATABASE`")
    }
}

impl<'de> Deserialize<'de> for DatabaseUrl {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::read(String::deserialize(from)?).map_err(D::Error::custom)
    }
}

impl std::str::FromStr for DatabaseUrl {
    type Err = ConfigErrors;

    fn from_str(text: &str) -> Result<Self, ConfigErrors> {
        let wrong =
            |why: &str| ConfigErrors::from(ConfigError::new(Origin::Program, "database.url", why));
        Self::read(text.to_owned()).map_err(wrong)
    }
}

/// An address without what may be a password: all that stands between the first `:` after `//` and
/// the last `@`, and the values of parameters that are called so.
fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (user, rest) = match rest.rsplit_once('@') {
        None => (String::new(), rest),
        Some((user, rest)) => match user.split_once(':') {
            None => (format!("{user}@"), rest),
            Some((name, _)) => (format!("{name}:***@"), rest),
        },
    };
    let rest = match rest.split_once('?') {
        None => rest.to_owned(),
        Some((path, parameters)) => {
            let shown = parameters.split('&').map(|pair| match pair.split_once('=') {
                Some((key, _)) if key.contains("password") => format!("{key}=***"),
                _ => pair.to_owned(),
            });
            format!("{path}?{}", shown.collect::<Vec<_>>().join("&"))
        }
    };
    format!("{scheme}://{user}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let cases = [
            ("postgres://me:secret@db:5432/yard", "postgres://me:***@db:5432/yard"),
            ("postgres://me:se/cr?et@x@db/yard", "postgres://me:***@db/yard"),
            ("postgres://me@db/yard?sslmode=require", "postgres://me@db/yard?sslmode=require"),
            (
                "postgres:///yard?host=/run&password=secret",
                "postgres:///yard?host=/run&password=***",
            ),
            ("sqlite:data/d.db", "sqlite:data/d.db"),
        ];
        for (text, wanted) in cases {
            let url = DatabaseUrl(text.to_owned());
            assert_eq!(url.to_string(), wanted);
            assert_eq!(format!("{url:?}"), format!("DatabaseUrl({wanted})"));
            assert_eq!(serde_json::to_value(&url).unwrap(), wanted);
        }
    }

    #[test]
    fn a_file_is_named_with_or_without_slashes() {
        let file = |text: &str| DatabaseUrl(text.to_owned()).file().map(Path::to_owned);
        assert_eq!(file("sqlite:data/d.db").unwrap(), Path::new("data/d.db"));
        assert_eq!(file("sqlite:///var/d.db").unwrap(), Path::new("/var/d.db"));
        assert_eq!(file("postgres://db/yard"), None);
    }
}
