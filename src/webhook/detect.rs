//! Who sends, and whose request one looks like.
//!
//! For the operator's hint, never for trust: headers that say who somebody is are not signed.

use std::fmt;
use std::str::FromStr;

use axum::http::HeaderMap;

use super::Scheme;

/// Who sends deliveries.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Provider {
    /// GitHub, github.com or a server of one's own.
    #[default]
    Github,
    /// Gitea.
    Gitea,
    /// Forgejo, also codeberg.org.
    Forgejo,
    /// GitLab, gitlab.com or a server of one's own.
    Gitlab,
    /// Bitbucket, Cloud and Data Center.
    Bitbucket,
    /// Anybody who signs as Standard Webhooks says.
    StandardWebhooks,
    /// Anybody who signs the body with HMAC-SHA256.
    Hmac,
    /// Slack.
    Slack,
    /// Discord's interactions.
    Discord,
    /// A bot of Telegram.
    Telegram,
    /// Mattermost.
    Mattermost,
    /// Gogs: known by its headers, and not a source.
    Gogs,
}

impl Provider {
    /// Those that a source can be of.
    pub const SOURCES: [Self; 11] = [
        Self::Github,
        Self::Gitea,
        Self::Forgejo,
        Self::Gitlab,
        Self::Bitbucket,
        Self::StandardWebhooks,
        Self::Hmac,
        Self::Slack,
        Self::Discord,
        Self::Telegram,
        Self::Mattermost,
    ];

    /// The header in which it says what kind of event a delivery tells of, where it has one.
    pub fn event_header(self) -> Option<&'static str> {
        match self {
            Self::Github => Some("x-github-event"),
            Self::Gitea => Some("x-gitea-event"),
            Self::Forgejo => Some("x-forgejo-event"),
            Self::Gitlab => Some("x-gitlab-event"),
            Self::Bitbucket => Some("x-event-key"),
            _ => None,
        }
    }

    /// The name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitea => "gitea",
            Self::Forgejo => "forgejo",
            Self::Gitlab => "gitlab",
            Self::Bitbucket => "bitbucket",
            Self::StandardWebhooks => "standard_webhooks",
            Self::Hmac => "hmac",
            Self::Slack => "slack",
            Self::Discord => "discord",
            Self::Telegram => "telegram",
            Self::Mattermost => "mattermost",
            Self::Gogs => "gogs",
        }
    }

    /// Whether its deliveries have headers of their own, so that another one's are known.
    pub(super) fn is_known_by_headers(self) -> bool {
        !matches!(self, Self::StandardWebhooks | Self::Hmac | Self::Mattermost)
    }

    /// How its requests are signed, unless a source says otherwise.
    pub fn scheme(self) -> Scheme {
        match self {
            Self::Github => Scheme::Github,
            Self::Gitea | Self::Forgejo | Self::Gogs => Scheme::Gitea,
            Self::Gitlab => Scheme::Gitlab,
            Self::Bitbucket => Scheme::Bitbucket,
            Self::StandardWebhooks => Scheme::StandardWebhooks,
            Self::Hmac => Scheme::RawHmacSha256,
            Self::Slack => Scheme::SlackV0,
            Self::Discord => Scheme::DiscordEd25519,
            Self::Telegram => Scheme::TelegramToken,
            Self::Mattermost => Scheme::MattermostToken,
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that no kind of source has.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("unknown kind `{got}`, known are {}", Provider::SOURCES.map(Provider::as_str).join(", "))]
pub struct UnknownProvider {
    /// The name.
    pub got: String,
}

impl FromStr for Provider {
    type Err = UnknownProvider;

    fn from_str(name: &str) -> Result<Self, UnknownProvider> {
        let mut known = Self::SOURCES.into_iter();
        known.find(|it| it.as_str() == name).ok_or_else(|| UnknownProvider { got: name.to_owned() })
    }
}

/// Headers that only one provider sends, in the order in which they are asked: Forgejo also sends
/// Gitea's, both send those of Gogs, and all three send GitHub's.
const SIGNS: [(&str, Provider); 11] = [
    ("x-forgejo-event", Provider::Forgejo),
    ("x-gitea-event", Provider::Gitea),
    ("x-gogs-event", Provider::Gogs),
    ("x-github-event", Provider::Github),
    ("x-gitlab-event", Provider::Gitlab),
    ("x-event-key", Provider::Bitbucket),
    ("x-slack-signature", Provider::Slack),
    ("x-slack-request-timestamp", Provider::Slack),
    ("x-signature-ed25519", Provider::Discord),
    ("x-telegram-bot-api-secret-token", Provider::Telegram),
    ("webhook-signature", Provider::StandardWebhooks),
];

/// Headers that prove who sent a request, of every provider, and GitHub's older one.
pub(super) const PROOF_HEADERS: [&str; 13] = [
    "x-forgejo-signature",
    "x-gitea-signature",
    "x-gogs-signature",
    "x-hub-signature-256",
    "x-hub-signature",
    "x-gitlab-token",
    "webhook-signature",
    "x-slack-signature",
    "x-signature-ed25519",
    "x-telegram-bot-api-secret-token",
    "x-signature-256",
    "x-signature",
    "authorization",
];

/// Whose request it looks like, by its headers. `None` for those that have none of their own, as
/// Mattermost's.
pub fn detect(headers: &HeaderMap) -> Option<Provider> {
    SIGNS.into_iter().find(|(name, _)| headers.contains_key(*name)).map(|(_, provider)| provider)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn with(names: &[&'static str]) -> HeaderMap {
        names.iter().map(|name| (name.parse().unwrap(), HeaderValue::from_static("x"))).collect()
    }

    #[test]
    fn forges_that_send_the_headers_of_others_are_told_apart() {
        let github = ["x-github-event", "x-github-delivery", "x-hub-signature-256"];
        let cases: [(&[&str], Provider); 4] = [
            (&["x-forgejo-event", "x-gitea-event", "x-gogs-event"], Provider::Forgejo),
            (&["x-gitea-event", "x-gogs-event"], Provider::Gitea),
            (&["x-gogs-event"], Provider::Gogs),
            (&[], Provider::Github),
        ];
        for (own, provider) in cases {
            assert_eq!(detect(&with(&[own, &github].concat())), Some(provider));
        }
    }

    #[test]
    fn every_provider_with_headers_of_its_own_is_known_by_them() {
        for (name, provider) in SIGNS {
            assert_eq!(detect(&with(&[name])), Some(provider), "{name}");
        }
        assert_eq!(detect(&with(&["content-type", "authorization"])), None);
    }

    #[test]
    fn names_are_read_back_and_gogs_is_no_source() {
        for provider in Provider::SOURCES {
            assert_eq!(provider.as_str().parse(), Ok(provider));
        }
        assert!("gogs".parse::<Provider>().is_err());
    }
}
