//! `[access]`: who may call the API.

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::name;
use super::secret::{self, SecretRef};
use super::section::Section;

/// The section `[access]`. Several secrets at once make it possible to change them without a gap.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccessConfig {
    /// `admin_tokens`: where the tokens are that may do everything. Default none: on loopback
    /// everybody may, on any other address the server does not start.
    #[serde(deserialize_with = "secret::references")]
    pub admin_tokens: Vec<SecretRef>,
    /// `runner_tokens`: where the tokens are that may register runners in every pool, and nothing
    /// else. Default none.
    #[serde(deserialize_with = "secret::references")]
    pub runner_tokens: Vec<SecretRef>,
    /// `[[access.token]]`: further tokens, each with a name and a role. Default none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub token: Vec<Spanned<TokenConfig>>,
}

impl AccessConfig {
    /// Whether nobody has to log in to the API: no token for it is configured.
    pub fn is_open(&self) -> bool {
        let opens = |token: &Spanned<TokenConfig>| token.get_ref().role != Role::Runner;
        self.admin_tokens.is_empty() && !self.token.iter().any(opens)
    }
}

/// One `[[access.token]]`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenConfig {
    /// `name`: what history calls its holder; unique. No default.
    #[serde(deserialize_with = "own_name")]
    pub name: Spanned<String>,
    /// `role`: what it may do. No default.
    pub role: Role,
    /// `tenant`: the only tenant whose things it sees and touches. Default none: all of them, but
    /// for the role `submit`, whose default is `default`. Not for the role `runner`, whose pools
    /// say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Spanned<String>>,
    /// `critical`: whether it may use the priority `critical`. Admins and operators always may.
    /// Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub critical: bool,
    /// `pools`: for the role `runner`, the pools that it may join; a runner that names none joins
    /// the first. Default none: every pool.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<Spanned<String>>,
    /// `secrets`: where its texts are, each of which is good. No default.
    #[serde(deserialize_with = "secret::references")]
    pub secrets: Vec<SecretRef>,
}

/// What a token may do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything.
    Admin,
    /// Everything but taking runners out of the list.
    Operator,
    /// Look.
    Viewer,
    /// Look, and start work.
    Submit,
    /// Register runners, and nothing else.
    Runner,
}

/// What history calls whoever used `admin_tokens`, or nobody's token on an open server.
pub const ADMIN_NAME: &str = "admin";

fn own_name<'de, D: Deserializer<'de>>(from: D) -> Result<Spanned<String>, D::Error> {
    let name = Spanned::<String>::deserialize(from)?;
    name::plain(name.get_ref()).map_err(D::Error::custom)?;
    if name.get_ref() == ADMIN_NAME {
        let message = format!("the name `{ADMIN_NAME}` is that of the admin_tokens");
        return Err(D::Error::custom(message));
    }
    Ok(name)
}

impl Section for AccessConfig {
    const NAME: &'static str = "access";
}
