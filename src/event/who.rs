//! Where it happened and who did it.

use serde::{Deserialize, Serialize};

/// A repository, as far as the event names it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Repository {
    /// The forge's number of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<i64>,
    /// `owner/name`.
    pub full_name: String,
    /// Where it can be cloned from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clone_url: Option<String>,
    /// The branch that people get when they clone it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_branch: Option<String>,
    /// Whether strangers can read it, where the event says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private: Option<bool>,
}

/// Who did it: the forge's authenticated account, never a name out of a commit.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Actor {
    /// The forge's number of the account: what identity is decided by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<i64>,
    /// The provider's own id of the account where that is no number, as with Bitbucket and Slack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// The account's present name.
    pub login: String,
    /// Whether that is what its holder likes to be called, as in chats: no rule lets anybody in by it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_nickname: bool,
    /// `User`, `Bot`, `Organization`, as the forge says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_type: Option<String>,
    /// The forge's hint of how the account stands to the repository: `OWNER`, `MEMBER`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub association: Option<String>,
}
