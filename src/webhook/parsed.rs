//! The last stage: what a verified payload says, whoever sent it.

use axum::http::HeaderName;
use serde_json::{Value, json};

use super::generic::FieldMap;
use super::{Head, Payload, PayloadError, Provider};
use super::{bitbucket, discord, generic, gitea, github, gitlab, mattermost, slack, telegram};
use crate::event::Event;

/// What a delivery says.
#[derive(Clone, PartialEq, Debug)]
#[must_use]
pub enum Parsed {
    /// The hook was set up; there is nothing to do but to answer.
    Ping {
        /// The provider's number of the hook.
        hook_id: Option<i64>,
    },
    /// The provider asks whether this is the address of the source. Answered at once with this,
    /// and not stored: nothing happened.
    Challenge(Answer),
    /// Something happened.
    Events(Said),
}

/// What happened, as the provider tells it.
#[derive(Clone, PartialEq, Debug)]
pub struct Said {
    /// The kind in the provider's own words, where the headers do not say it.
    pub kind: Option<Box<str>>,
    /// The provider's id of the delivery, where the headers do not say it.
    pub delivery_id: Option<Box<str>>,
    /// One or several things that happened, in the provider's order.
    pub events: Vec<Event>,
    /// What the provider wants to hear, where that is not ours to choose.
    pub answer: Option<Answer>,
}

impl Said {
    /// What happened, where the headers say all the rest and any answer does.
    pub(super) fn plain(events: Vec<Event>) -> Self {
        Self { kind: None, delivery_id: None, events, answer: None }
    }
}

/// An answer in a provider's own form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// 200 with this.
    Json(Value),
    /// 204: nothing.
    Empty,
}

impl Answer {
    /// A sentence that only the person who asked sees: the form of Slack and Mattermost.
    pub(super) fn to_asker(text: &str) -> Self {
        Self::Json(json!({"response_type": "ephemeral", "text": text}))
    }
}

/// What somebody is told who asked for something.
pub(super) const TAKEN: &str = "Accepted.";

/// How a source's payloads are read.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Reader {
    /// Who sends.
    pub provider: Provider,
    /// The bots that may start trusted work, each by its account's number or full login.
    pub trusted_bots: Vec<String>,
    /// The header with the event's kind, of [`Provider::Hmac`].
    pub event_header: Option<HeaderName>,
    /// The header with the delivery's id, of [`Provider::Hmac`].
    pub delivery_header: Option<HeaderName>,
    /// Where the fields of an event are, in payloads of nobody's documented form.
    pub map: FieldMap,
}

impl Reader {
    /// Reads a verified payload for the source of that name.
    ///
    /// # Errors
    ///
    /// [`PayloadError`] when the text is not a JSON object or inputs pass their limits; to be
    /// stored with the delivery as `failed`.
    pub fn parse(
        &self,
        source: &str,
        head: &Head,
        payload: &Payload<'_>,
    ) -> Result<Parsed, PayloadError> {
        let bots = &self.trusted_bots[..];
        match self.provider {
            Provider::Github => github::parse(source, head, payload, bots),
            Provider::Gitea | Provider::Forgejo | Provider::Gogs => {
                gitea::parse(source, head, payload, bots)
            }
            Provider::Gitlab => gitlab::parse(source, payload, bots),
            Provider::Bitbucket => bitbucket::parse(source, head, payload, bots),
            Provider::StandardWebhooks => generic::parse_standard(source, payload, &self.map),
            Provider::Hmac => generic::parse_mapped(source, head, payload, &self.map),
            Provider::Slack => slack::parse(source, payload),
            Provider::Discord => discord::parse(source, payload),
            Provider::Telegram => telegram::parse(source, payload),
            Provider::Mattermost => mattermost::parse(source, payload),
        }
    }
}
