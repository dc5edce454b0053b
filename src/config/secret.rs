//! Secrets: the configuration says where they are, never what they are.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};

use crate::webhook::{LoadedSecret, Secret};

use super::backfill::BackfillRight;
use super::{Config, ConfigError, ConfigErrors, Origin};

/// Where a secret is: `{ env = "NAME" }` or `{ file = "path" }`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretRef {
    /// The environment variable of that name.
    Env(String),
    /// The file of that path, relative to the configuration file; one newline at its end is no
    /// part of the secret.
    File(PathBuf),
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
        }
    }
}

const HOW_TO_REFER: &str = "write `{ env = \"NAME\" }` or `{ file = \"path\" }`";

const NO_TEXT: &str = "the text of a secret does not belong in the configuration";

/// Reads a list of references. No message repeats what was written: it may be a secret.
pub(super) fn references<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<SecretRef>, D::Error> {
    let refuse = |what: &str| D::Error::custom(format!("{what}; {HOW_TO_REFER}"));
    let list = match toml::Value::deserialize(from)? {
        toml::Value::Array(list) => list,
        toml::Value::Table(_) => {
            return Err(refuse("expected a list of references in `[` and `]`"));
        }
        _ => return Err(refuse(NO_TEXT)),
    };
    list.into_iter().map(|item| one(item).map_err(refuse)).collect()
}

fn one(item: toml::Value) -> Result<SecretRef, &'static str> {
    let toml::Value::Table(table) = item else { return Err(NO_TEXT) };
    let mut pairs = table.into_iter();
    match (pairs.next(), pairs.next()) {
        (Some((key, toml::Value::String(name))), None) if key == "env" => Ok(SecretRef::Env(name)),
        (Some((key, toml::Value::String(path))), None) if key == "file" => {
            Ok(SecretRef::File(path.into()))
        }
        _ => Err("a reference has the one key `env` or `file`"),
    }
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let refuse = |what: &str| D::Error::custom(format!("{what}; {HOW_TO_REFER}"));
        one(toml::Value::deserialize(from)?).map_err(refuse)
    }
}

/// Every secret of the configuration.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    /// Tokens that may do everything.
    pub admin_tokens: Vec<Secret>,
    /// Tokens that may register runners.
    pub runner_tokens: Vec<Secret>,
    /// Texts of the tokens with names, by these.
    pub tokens: BTreeMap<String, Vec<Secret>>,
    /// Secrets of the sources, by their names; a source without any is not in it.
    pub sources: BTreeMap<String, Vec<Secret>>,
    /// What is shown to forges that are asked for deliveries again, or the key that signs it, by the names of the
    /// sources.
    pub backfills: BTreeMap<String, Secret>,
    /// What is shown to forges whose repositories are read, by the names of the sources; a source without any is not
    /// in it.
    pub repositories: BTreeMap<String, Secret>,
    /// What is shown to forges that are told, by the names of the sources.
    pub report_tokens: BTreeMap<String, Secret>,
    /// Private keys of Apps, by the names of the sources.
    pub report_keys: BTreeMap<String, Secret>,
    /// By whose right sessions answer in chats, by the names of the sources.
    pub chats: BTreeMap<String, Secret>,
    /// By which callbacks are signed.
    pub callback: Option<Secret>,
    /// What is shown to forges that are asked for permissions, by the names of the sources; a source without any is not
    /// in it.
    pub forges: BTreeMap<String, Secret>,
    /// What executors show their backends, by their names; one without any is not in it.
    pub executors: BTreeMap<String, Secret>,
    /// What provisioners show their backends, by their names; one without any is not in it.
    pub provisioners: BTreeMap<String, Secret>,
    /// What an operator should know about them.
    pub warnings: Vec<String>,
}

impl Config {
    /// Fetches every secret that the configuration refers to; `variable` looks up the environment.
    ///
    /// # Errors
    /// Each one that is missing, unreadable or empty.
    pub fn load_secrets(
        &self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Secrets, ConfigErrors> {
        let mut loading = Loading { config: self, variable, warnings: vec![], errors: vec![] };
        let admin_tokens = loading.all("access.admin_tokens", &self.access.admin_tokens);
        let runner_tokens = loading.all("access.runner_tokens", &self.access.runner_tokens);
        let mut tokens = BTreeMap::new();
        for token in self.access.token.iter().map(toml::Spanned::get_ref) {
            let name = token.name.get_ref();
            let key = format!("access.token.{name}.secrets");
            tokens.insert(name.clone(), loading.all(&key, &token.secrets));
        }
        let mut sources = BTreeMap::new();
        for source in self.sources.iter().filter(|source| !source.secrets.is_empty()) {
            let key = format!("source.{}.secrets", source.name);
            sources.insert(source.name.clone(), loading.all(&key, &source.secrets));
        }
        let mut backfills = BTreeMap::new();
        for source in &self.sources {
            let right = source.backfill.as_ref().and_then(|it| it.get_ref().right(source));
            let Some(right) = right else { continue };
            let (key, secret) = match right {
                BackfillRight::Token(token) => ("token", token),
                BackfillRight::App(_, key) => ("private_key", key),
            };
            let secret = loading.one(&format!("source.{}.backfill.{key}", source.name), secret);
            backfills.extend(secret.map(|secret| (source.name.clone(), secret)));
        }
        let mut repositories = BTreeMap::new();
        for source in &self.sources {
            let token = source.workflows.as_ref().and_then(|it| it.get_ref().token.as_ref());
            let key = format!("source.{}.workflows.token", source.name);
            let token = token.and_then(|token| loading.one(&key, token));
            repositories.extend(token.map(|token| (source.name.clone(), token)));
        }
        let (mut report_tokens, mut report_keys) = (BTreeMap::new(), BTreeMap::new());
        for source in &self.sources {
            let Some(report) = source.report.as_ref().map(toml::Spanned::get_ref) else { continue };
            let key = |what: &str| format!("source.{}.report.{what}", source.name);
            let token = report.token(source).and_then(|it| loading.one(&key("token"), it));
            report_tokens.extend(token.map(|token| (source.name.clone(), token)));
            let private = report.private_key.as_ref();
            let private = private.and_then(|it| loading.one(&key("private_key"), it));
            report_keys.extend(private.map(|private| (source.name.clone(), private)));
        }
        let mut chats = BTreeMap::new();
        for source in &self.sources {
            let token = source.chat.as_ref().and_then(|it| it.get_ref().token.as_ref());
            let key = format!("source.{}.chat.token", source.name);
            let token = token.and_then(|token| loading.one(&key, token));
            chats.extend(token.map(|token| (source.name.clone(), token)));
        }
        let callback = self.reports.callback_secret.as_ref();
        let callback = callback.and_then(|it| loading.one("reports.callback_secret", it));
        let mut forges = BTreeMap::new();
        for source in &self.sources {
            let token = source.forge.as_ref().and_then(|it| it.get_ref().token.as_ref());
            let key = format!("source.{}.forge.token", source.name);
            let token = token.and_then(|token| loading.one(&key, token));
            forges.extend(token.map(|token| (source.name.clone(), token)));
        }
        let mut executors = BTreeMap::new();
        for executor in &self.executors {
            let key = format!("executor.{}.auth", executor.name);
            let secret = executor.secret().and_then(|secret| loading.one(&key, secret));
            executors.extend(secret.map(|secret| (executor.name.clone(), secret)));
        }
        let mut provisioners = BTreeMap::new();
        for provisioner in &self.provisioners {
            let key = format!("provisioner.{}.auth", provisioner.name);
            let secret = provisioner.secret().and_then(|secret| loading.one(&key, secret));
            provisioners.extend(secret.map(|secret| (provisioner.name.clone(), secret)));
        }
        let Loading { warnings, errors, .. } = loading;
        ConfigErrors::check(errors)?;
        Ok(Secrets {
            admin_tokens,
            runner_tokens,
            tokens,
            sources,
            backfills,
            repositories,
            report_tokens,
            report_keys,
            chats,
            callback,
            forges,
            executors,
            provisioners,
            warnings,
        })
    }
}

struct Loading<'a, F> {
    config: &'a Config,
    variable: F,
    warnings: Vec<String>,
    errors: Vec<ConfigError>,
}

impl<F: Fn(&str) -> Option<String>> Loading<'_, F> {
    fn all(&mut self, key: &str, references: &[SecretRef]) -> Vec<Secret> {
        references.iter().filter_map(|reference| self.one(key, reference)).collect()
    }

    fn one(&mut self, key: &str, reference: &SecretRef) -> Option<Secret> {
        let (origin, found) = match reference {
            SecretRef::Env(name) => {
                let set = (self.variable)(name).ok_or_else(|| "it is not set".to_owned());
                let read = |text: String| Secret::from_text(text.as_bytes());
                let found = set.and_then(|text| read(text).map_err(|error| error.to_string()));
                (Origin::Environment(name.clone()), found)
            }
            SecretRef::File(path) => {
                let path = self.config.resolve(path);
                let found = Secret::read_file(&path).map_err(|error| error.to_string());
                (Origin::WholeFile(path), found)
            }
        };
        match found {
            Ok(LoadedSecret { secret, trimmed }) => {
                if trimmed {
                    self.warnings.push(format!(
                        "the newline at the end of {origin} was taken off: it is no part of the \
                         secret"
                    ));
                }
                Some(secret)
            }
            Err(why) => {
                self.errors.push(ConfigError::new(origin, key, why));
                None
            }
        }
    }
}
