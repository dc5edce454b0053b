//! `[source.chat]`: how sessions answer in the chat of a source.

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::ConfigError;
use super::report::SessionsOn;
use super::repository_workflows::url;
use super::secret::SecretRef;
use super::section::Reading;
use super::source::SourceConfig;
use crate::webhook::Provider;

/// How sessions answer where something was said.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceChatConfig {
    /// `kind`: whose API it is: `slack`, `discord`, `telegram`, `mattermost`, or `generic` (a URL of your own). Default
    /// as the source's, and `generic` of `hmac` and `standard_webhooks`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ChatApi>,
    /// `api_url`: where that is. Default the public one of Slack, Discord and Telegram; of `generic` what is posted to.
    #[serde(default, deserialize_with = "url", skip_serializing_if = "Option::is_none")]
    pub api_url: Option<String>,
    /// `token`: the bot's token, and of `generic` what calls are signed by (`whsec_` and base64): `{ env = "NAME" }` or
    /// `{ file = "path" }`. No default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<SecretRef>,
    /// `sessions`: what is told of sessions: `off`, `replies` (what the agent answers and asks, what goes wrong, and the
    /// end), or `all` (also that the agent works on it). Default `replies`.
    #[serde(default)]
    pub sessions: SessionsOn,
}

/// Whose API it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChatApi {
    /// <https://docs.slack.dev/reference/methods/chat.postMessage>
    Slack,
    /// <https://discord.com/developers/docs/resources/message#create-message>
    Discord,
    /// <https://core.telegram.org/bots/api#sendmessage>
    Telegram,
    /// <https://developers.mattermost.com/api-documentation/#/operations/CreatePost>
    Mattermost,
    /// Whoever takes a signed call.
    Generic,
}

impl SourceChatConfig {
    /// Whose API the chat of such a source has.
    pub fn api(&self, source: &SourceConfig) -> ChatApi {
        self.kind.unwrap_or(match source.kind {
            Provider::Slack => ChatApi::Slack,
            Provider::Discord => ChatApi::Discord,
            Provider::Telegram => ChatApi::Telegram,
            Provider::Mattermost => ChatApi::Mattermost,
            _ => ChatApi::Generic,
        })
    }

    /// Where it is; `None` where that is said nowhere.
    pub fn url<'a>(&'a self, source: &SourceConfig) -> Option<&'a str> {
        let public = match self.api(source) {
            ChatApi::Slack => Some("https://slack.com/api"),
            ChatApi::Discord => Some("https://discord.com/api/v10"),
            ChatApi::Telegram => Some("https://api.telegram.org"),
            ChatApi::Mattermost | ChatApi::Generic => None,
        };
        self.api_url.as_deref().or(public)
    }
}

/// Whether something is said in chats to a source of that kind.
pub(super) fn is_for(kind: Provider) -> bool {
    use Provider::{Discord, Hmac, Mattermost, Slack, StandardWebhooks, Telegram};
    matches!(kind, Slack | Discord | Telegram | Mattermost | Hmac | StandardWebhooks)
}

/// Reports what is missing.
pub(super) fn check(source: &SourceConfig, reading: &mut Reading<'_>) {
    let Some(spanned) = source.chat.as_ref().filter(|_| is_for(source.kind)) else { return };
    let (chat, at, name) = (spanned.get_ref(), Spanned::span(spanned).start, &source.name);
    let mut wrong = |key: &str, message: String, hint: &str| {
        let error = ConfigError::at(reading.file.place(at), format!("source.chat.{key}"), message);
        reading.errors.push(error.hint(hint));
    };
    if chat.url(source).is_none() {
        let message = format!("where the chat of the source `{name}` is must be said");
        wrong("api_url", message, "write `api_url = \"https://HOST/api/v4\"`, or the URL to call");
    }
    if chat.token.is_none() {
        let message =
            format!("by whose right the source `{name}` answers in its chat must be said");
        wrong("token", message, "write `token = { env = \"NAME\" }`");
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, ConfigErrors};
    use super::*;
    use crate::model::ReplyOn;

    fn read(kind: &str, more: &str) -> Result<Config, ConfigErrors> {
        let text = format!(
            "[[source]]\nname = 'x'\ninsecure = true\nkind = '{kind}'\n[source.chat]\n{more}"
        );
        Config::from_text("d.toml".as_ref(), &text, [])
    }

    #[test]
    fn a_chat_is_that_of_its_source_and_answers_unless_told_otherwise() {
        for (kind, more, api, url) in [
            ("slack", "", ChatApi::Slack, "https://slack.com/api"),
            ("discord", "", ChatApi::Discord, "https://discord.com/api/v10"),
            ("telegram", "", ChatApi::Telegram, "https://api.telegram.org"),
            ("mattermost", "api_url = 'https://m/api/v4'", ChatApi::Mattermost, "https://m/api/v4"),
            ("hmac", "api_url = 'https://x/y'", ChatApi::Generic, "https://x/y"),
            ("hmac", "kind = 'slack'", ChatApi::Slack, "https://slack.com/api"),
        ] {
            let config = read(kind, &format!("token = {{ env = 'T' }}\n{more}")).unwrap();
            let source = &config.sources[0];
            let chat = source.chat.as_ref().unwrap().get_ref();
            assert_eq!((chat.api(source), chat.url(source)), (api, Some(url)), "{kind} {more}");
            assert_eq!(chat.sessions.told(), Some(ReplyOn::Replies));
            let again = Config::from_text("d.toml".as_ref(), config.effective(), []).unwrap();
            let of = |config: &Config| config.sources[0].chat.clone().unwrap().into_inner();
            assert_eq!(of(&config), of(&again));
        }
        let off = read("slack", "token = { env = 'T' }\nsessions = 'off'").unwrap();
        assert_eq!(off.sources[0].chat.as_ref().unwrap().get_ref().sessions.told(), None);
    }

    #[test]
    fn a_chat_without_what_it_needs_is_refused_with_its_line() {
        for (kind, more, why) in [
            ("slack", "", "by whose right"),
            ("mattermost", "token = { env = 'T' }", "where the chat"),
            ("standard_webhooks", "token = { env = 'T' }", "where the chat"),
            ("github", "token = { env = 'T' }", "has no `chat`"),
            ("slack", "token = 'xoxb-1'", "does not belong in the configuration"),
            ("slack", "token = { env = 'T' }\nsessions = 'some'", "expected one of `off`"),
        ] {
            let told = read(kind, more).expect_err("wrong").to_string();
            assert!(told.contains("d.toml:") && told.contains(why), "{kind} {more}: {told}");
        }
    }
}
