//! Where in a chat something was said, in one model for all providers.

use serde::{Deserialize, Serialize};

/// A conversation of a chat: a channel, or a thread of it. Ids are the provider's own, as text: none of them is
/// a number to reckon with (a `ts` of Slack is a decimal text, an id of Discord does not fit a double).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChatPlace {
    /// The workspace, team or guild, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<Box<str>>,
    /// The channel, group or direct conversation.
    pub channel: Box<str>,
    /// The thread of it that an answer belongs to; absent where the channel itself is the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<Box<str>>,
}
