//! The environment over the file: `DISPATCHYARD_<SECTION>__<KEY>`.
//!
//! Two underscores part section and key, so variables of the program itself (`DISPATCHYARD_LOG`,
//! `DISPATCHYARD_SERVER`, `DISPATCHYARD_TOKEN`) are none of these.

use toml::Spanned;
use toml::de::DeValue;

use super::Origin;
use super::entry::{Entry, EntryValue};

const PREFIX: &str = "DISPATCHYARD_";

/// One variable.
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) section: String,
    pub(super) key: String,
    text: String,
}

impl Variable {
    /// Reads a variable's name; `None` when it is not about the configuration.
    pub(super) fn parse(name: String, text: String) -> Option<Self> {
        let (section, key) = name.strip_prefix(PREFIX)?.split_once("__")?;
        let (section, key) = (section.to_ascii_lowercase(), key.to_ascii_lowercase());
        Some(Self { name, section, key, text })
    }

    /// The entry with its text read as a TOML value, where it is one: `1000`, `true`,
    /// `[{ env = "TOKEN" }]`.
    pub(super) fn entry(&self) -> Entry<'_> {
        DeValue::parse(&self.text).map_or_else(|_| self.text_entry(), |value| self.with(value))
    }

    /// The entry with its text as it is, for keys that want text: `127.0.0.1:80` is none of TOML's
    /// values, and a folder may well be called `1000`.
    pub(super) fn text_entry(&self) -> Entry<'_> {
        self.with(Spanned::new(0..0, DeValue::String(self.text.as_str().into())))
    }

    fn with<'i>(&'i self, value: Spanned<DeValue<'i>>) -> Entry<'i> {
        Entry {
            key: self.key.clone(),
            value: EntryValue::Toml(Spanned::new(0..0, value.into_inner())),
            origin: Origin::Environment(self.name.clone()),
        }
    }
}

/// The process's variables that are about the configuration and are text.
pub fn environment() -> Vec<(String, String)> {
    let pairs = std::env::vars_os();
    let text = pairs
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    text.filter(|(name, _)| name.starts_with(PREFIX)).collect()
}
