//! The ways of signing, as one table: which header carries the proof, how it is written, and what
//! is signed. What checks them is `signature.rs`.
//!
//! Sources of the rows: GitHub <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>,
//! Gitea <https://docs.gitea.com/usage/webhooks>, GitLab <https://docs.gitlab.com/user/project/integrations/webhooks/>,
//! Bitbucket <https://support.atlassian.com/bitbucket-cloud/docs/manage-webhooks/>,
//! Slack <https://docs.slack.dev/authentication/verifying-requests-from-slack>,
//! Standard Webhooks <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>,
//! Telegram <https://core.telegram.org/bots/api#setwebhook>,
//! Mattermost <https://developers.mattermost.com/integrate/webhooks/outgoing/>,
//! Discord <https://discord.com/developers/docs/interactions/overview>.

use std::fmt;
use std::str::FromStr;

use axum::http::HeaderName;

/// How far a signed time may be from ours, both ways and inclusive, in seconds, where nothing else
/// is said. Slack and Standard Webhooks both say five minutes.
pub const TIMESTAMP_TOLERANCE_S: i64 = 300;

/// A way of signing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Scheme {
    /// HMAC-SHA256 of the body, `sha256=` and hex in `X-Hub-Signature-256`.
    Github,
    /// HMAC-SHA256 of the body, hex without a prefix in `X-Gitea-Signature`; also Forgejo's.
    Gitea,
    /// The secret itself in `X-Gitlab-Token`.
    Gitlab,
    /// GitLab's signing tokens: as [`Self::StandardWebhooks`].
    GitlabSigning,
    /// HMAC-SHA256 of the body, `sha256=` and hex in `X-Hub-Signature`.
    Bitbucket,
    /// HMAC-SHA256 of `v0:time:body`, `v0=` and hex in `X-Slack-Signature`.
    SlackV0,
    /// HMAC-SHA256 of `id.time.body`, a list of `v1,` and base64 in `webhook-signature`.
    StandardWebhooks,
    /// HMAC-SHA256 of the body, in a header and an encoding that the source names.
    RawHmacSha256,
    /// The secret itself in `X-Telegram-Bot-Api-Secret-Token`.
    TelegramToken,
    /// The secret itself in the body's `token`, or behind `Token` in `Authorization`.
    MattermostToken,
    /// Ed25519 over time and body, hex in `X-Signature-Ed25519`. The secret is the public key.
    DiscordEd25519,
}

/// One row of the table.
struct Row {
    scheme: Scheme,
    name: &'static str,
    header: &'static str,
    prefix: &'static str,
    form: Form,
    before: &'static [Part],
    /// The header with the signed time, where it has to be a recent one.
    time: Option<&'static str>,
    /// Whether of a form not the body is signed, but the text of its field `payload`.
    signs_form_field: bool,
}

/// What proves who sent a request, as it is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// One code, in this encoding, after the rule's prefix.
    Mac(Encoding),
    /// Several codes, separated by spaces, each with its version before a comma.
    MacList,
    /// The secret.
    Token,
    /// The secret, in the body unless the header is there.
    TokenInBody,
    /// A signature by a private key.
    Ed25519,
}

/// How the bytes of a code are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Encoding {
    /// Lower-case hex digits.
    #[default]
    Hex,
    /// Base64 of the standard alphabet, with padding (RFC 4648, section 4).
    Base64,
}

/// What is signed before the body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    /// This text.
    Text(&'static str),
    /// The value of this header, which must be there once.
    Header(&'static str),
}

use Part::{Header, Text};

const STANDARD_BEFORE: &[Part] =
    &[Header("webhook-id"), Text("."), Header("webhook-timestamp"), Text(".")];
const SLACK_TIME: &str = "x-slack-request-timestamp";
const HEX: Form = Form::Mac(Encoding::Hex);

#[rustfmt::skip]
static TABLE: [Row; 11] = [
    row(Scheme::Github, "github", "x-hub-signature-256", "sha256=", HEX),
    Row { signs_form_field: true, ..row(Scheme::Gitea, "gitea", "x-gitea-signature", "", HEX) },
    row(Scheme::Gitlab, "gitlab", "x-gitlab-token", "", Form::Token),
    standard(Scheme::GitlabSigning, "gitlab_signing"),
    row(Scheme::Bitbucket, "bitbucket", "x-hub-signature", "sha256=", HEX),
    Row {
        before: &[Text("v0:"), Header(SLACK_TIME), Text(":")],
        time: Some(SLACK_TIME),
        ..row(Scheme::SlackV0, "slack_v0", "x-slack-signature", "v0=", HEX)
    },
    standard(Scheme::StandardWebhooks, "standard_webhooks"),
    row(Scheme::RawHmacSha256, "raw_hmac_sha256", "x-signature", "", HEX),
    row(Scheme::TelegramToken, "telegram_token", "x-telegram-bot-api-secret-token", "", Form::Token),
    row(Scheme::MattermostToken, "mattermost_token", "authorization", "Token ", Form::TokenInBody),
    Row {
        before: &[Header("x-signature-timestamp")],
        ..row(Scheme::DiscordEd25519, "discord_ed25519", "x-signature-ed25519", "", Form::Ed25519)
    },
];

const fn row(
    scheme: Scheme,
    name: &'static str,
    header: &'static str,
    prefix: &'static str,
    form: Form,
) -> Row {
    Row { scheme, name, header, prefix, form, before: &[], time: None, signs_form_field: false }
}

const fn standard(scheme: Scheme, name: &'static str) -> Row {
    Row {
        before: STANDARD_BEFORE,
        time: Some("webhook-timestamp"),
        ..row(scheme, name, "webhook-signature", "v1", Form::MacList)
    }
}

impl Scheme {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.scheme)
    }

    /// The name in configurations and on the command line.
    pub fn as_str(self) -> &'static str {
        self.row().name
    }

    /// The header that carries the proof, unless a source names another one.
    pub fn header(self) -> &'static str {
        self.row().header
    }

    /// Whether a signed time must be near the present, which is then needed to check a request.
    pub fn needs_time(self) -> bool {
        self.row().time.is_some()
    }

    pub(super) fn form(self) -> Form {
        self.row().form
    }

    pub(super) fn before(self) -> &'static [Part] {
        self.row().before
    }

    pub(super) fn time_header(self) -> Option<&'static str> {
        self.row().time
    }

    /// Whether of a form not the body is signed, but the text of its field `payload`: Gitea signs
    /// the JSON before it puts it into the form.
    pub(super) fn signs_form_field(self) -> bool {
        self.row().signs_form_field
    }

    fn row(self) -> &'static Row {
        // The table has the variants in their order, which a test holds.
        &TABLE[self as usize]
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that no scheme has.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("unknown scheme `{got}`, known are {}", names())]
pub struct UnknownScheme {
    /// The name.
    pub got: String,
}

fn names() -> String {
    TABLE.each_ref().map(|row| row.name).join(", ")
}

impl FromStr for Scheme {
    type Err = UnknownScheme;

    fn from_str(name: &str) -> Result<Self, UnknownScheme> {
        let row = TABLE.iter().find(|row| row.name == name);
        row.map(|row| row.scheme).ok_or_else(|| UnknownScheme { got: name.to_owned() })
    }
}

/// A scheme with what a source may say differently.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignatureRule {
    /// The scheme.
    pub scheme: Scheme,
    /// The header that carries the proof.
    pub header: HeaderName,
    /// What stands before a code. Of [`Scheme::StandardWebhooks`] the version that is read.
    pub prefix: Box<str>,
    /// How a code is written, where the scheme has one code.
    pub encoding: Encoding,
    /// How far a signed time may be from ours, both ways and inclusive, in seconds.
    pub timestamp_tolerance_s: i64,
}

impl From<Scheme> for SignatureRule {
    fn from(scheme: Scheme) -> Self {
        let row = scheme.row();
        Self {
            scheme,
            header: HeaderName::from_static(row.header),
            prefix: row.prefix.into(),
            encoding: match row.form {
                Form::Mac(encoding) => encoding,
                _ => Encoding::default(),
            },
            timestamp_tolerance_s: TIMESTAMP_TOLERANCE_S,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scheme_finds_its_own_row_by_value_and_by_name() {
        for scheme in Scheme::all() {
            assert_eq!(scheme.row().scheme, scheme);
            assert_eq!(scheme.as_str().parse(), Ok(scheme));
        }
    }

    #[test]
    fn the_names_are_the_promised_ones() {
        assert_eq!(
            names(),
            "github, gitea, gitlab, gitlab_signing, bitbucket, slack_v0, standard_webhooks, \
             raw_hmac_sha256, telegram_token, mattermost_token, discord_ed25519"
        );
        for name in ["", "Github", "slack", "raw_hmac_sha1"] {
            assert!(name.parse::<Scheme>().unwrap_err().to_string().contains("discord_ed25519"));
        }
    }

    #[test]
    fn only_the_schemes_that_ask_for_a_recent_time_need_a_clock() {
        let with_time: Vec<_> =
            Scheme::all().filter(|it| it.needs_time()).map(Scheme::as_str).collect();
        assert_eq!(with_time, ["gitlab_signing", "slack_v0", "standard_webhooks"]);
    }
}
