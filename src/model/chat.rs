//! Where in a chat something was said, in one model for all providers.

use serde::{Deserialize, Serialize};

/// The longest id of a team, channel or thread, in bytes; providers' own are far below it.
pub const CHAT_ID_BYTES_MAX: usize = 128;

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

impl ChatPlace {
    /// The place of these ids, as they were sent; `None` where one of them is none: empty, over
    /// [`CHAT_ID_BYTES_MAX`], or with characters that no id has.
    pub fn new(
        team: Option<String>,
        channel: Option<String>,
        thread: Option<String>,
    ) -> Option<Self> {
        let is_id = |id: &str| {
            !id.is_empty()
                && id.len() <= CHAT_ID_BYTES_MAX
                && !id.chars().any(|c| c.is_control() || c.is_whitespace())
        };
        let all = [&team, &channel, &thread];
        if !all.into_iter().flatten().all(|id| is_id(id)) {
            return None;
        }
        let (team, thread) = (team.map(Into::into), thread.map(Into::into));
        Some(Self { team, channel: channel?.into(), thread })
    }

    /// The key of the session of this conversation: `SOURCE:TEAM/CHANNEL/THREAD`, each part empty where there is
    /// none. What is not a plain character of ids is written as `%XX`, so that no two places have one key, and
    /// none that of an issue, which has a `#` or `!`.
    pub fn session_key(&self, source: &str) -> String {
        let parts = [self.team.as_deref(), Some(&*self.channel), self.thread.as_deref()];
        let parts = parts.map(|part| escaped(part.unwrap_or_default()));
        format!("{source}:{}", parts.join("/"))
    }
}

fn escaped(id: &str) -> String {
    use std::fmt::Write as _;

    let mut text = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.:@=+~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(team: &str, channel: &str, thread: &str) -> Option<ChatPlace> {
        let part = |text: &str| Some(text.to_owned()).filter(|text| text != "-");
        ChatPlace::new(part(team), part(channel), part(thread))
    }

    #[test]
    fn a_key_has_a_part_for_each_id() {
        let key = |team, channel, thread| place(team, channel, thread).unwrap().session_key("chat");
        assert_eq!(key("T1", "C1", "1515449522.000016"), "chat:T1/C1/1515449522.000016");
        assert_eq!(key("T1", "C1", "-"), "chat:T1/C1/");
        assert_eq!(key("-", "-100111", "-"), "chat:/-100111/");
        assert_eq!(key("a/b", "c#7", "d%!é"), "chat:a%2Fb/c%237/d%25%21%C3%A9");
    }

    #[test]
    fn what_is_no_id_is_no_place() {
        for (team, channel, thread) in [
            ("T1", "-", "1"),
            ("", "C1", "1"),
            ("T1", "", "1"),
            ("T1", "C 1", "1"),
            ("T1", "C1", "1\n2"),
            ("T1", "C1\0", "1"),
        ] {
            assert_eq!(place(team, channel, thread), None, "{team:?} {channel:?} {thread:?}");
        }
        assert_eq!(place("-", &"x".repeat(CHAT_ID_BYTES_MAX + 1), "-"), None);
    }

    proptest! {
        #[test]
        fn no_two_places_have_one_key(
            one in ("[a/%#]{1,4}", "[a/%#]{1,4}", "[a/%#]{1,4}"),
            two in ("[a/%#]{1,4}", "[a/%#]{1,4}", "[a/%#]{1,4}"),
        ) {
            let key = |(team, channel, thread): &(String, String, String)| {
                place(team, channel, thread).unwrap().session_key("s")
            };
            prop_assert_eq!(key(&one) == key(&two), one == two);
            prop_assert!(!key(&one).contains(['#', '!']));
        }
    }
}
