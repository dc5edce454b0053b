//! `[access]`: who may call the API.

use serde::{Deserialize, Serialize};

use super::secret::{self, SecretRef};
use super::section::Section;

/// The section `[access]`. Several tokens at once make it possible to change them without a gap.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccessConfig {
    /// `admin_tokens`: where the tokens are that may do everything. Default none: on loopback
    /// everybody may, on any other address the server does not start.
    #[serde(deserialize_with = "secret::references")]
    pub admin_tokens: Vec<SecretRef>,
    /// `runner_tokens`: where the tokens are that may register runners, and nothing else. Default
    /// none.
    #[serde(deserialize_with = "secret::references")]
    pub runner_tokens: Vec<SecretRef>,
}

impl Section for AccessConfig {
    const NAME: &'static str = "access";
}
