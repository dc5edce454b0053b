//! `[[source]]`: an origin of deliveries.

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::backfill::BackfillConfig;
use super::name;
use super::secret::{self, SecretRef};

/// One `[[source]]`: what is posted to `/hooks/{name}`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// `name`: the last part of its address; letters, digits, `-` and `_`. No default.
    #[serde(deserialize_with = "own_name")]
    pub name: String,
    /// `kind`: how its deliveries are signed and read. Default `github`.
    #[serde(default)]
    pub kind: SourceKind,
    /// `secrets`: where the secrets are, any of which may have signed a delivery. Default none,
    /// which needs `insecure = true`.
    #[serde(default, deserialize_with = "secret::references")]
    pub secrets: Vec<SecretRef>,
    /// `insecure`: accept deliveries that nobody signed. Default false.
    #[serde(default)]
    pub insecure: bool,
    /// `trusted_bots`: logins of the bots whose events may start trusted work. Default none.
    #[serde(default)]
    pub trusted_bots: Vec<String>,
    /// `tenant`: whose deliveries these are, and whose work they start where a trigger does not
    /// say. Default `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Spanned<String>>,
    /// `backfill`: how deliveries that never arrived are asked for again. Default not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backfill: Option<BackfillConfig>,
}

/// Which provider sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// GitHub, github.com or a server of one's own.
    #[default]
    Github,
}

impl SourceKind {
    /// The name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Github => "github",
        }
    }
}

/// Origins that every server has: events by the API and runs by hand.
pub(super) const BUILT_IN: [&str; 2] = ["api", "cli"];

/// It becomes part of an address, a metric's label and a key of the database.
fn own_name<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let name = String::deserialize(from)?;
    name::plain(&name).map_err(D::Error::custom)?;
    if BUILT_IN.contains(&name.as_str()) {
        return Err(D::Error::custom(format!("the name `{name}` is taken by a built-in source")));
    }
    Ok(name)
}
