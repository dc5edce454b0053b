//! `[source.map]`: where the fields of an event are, in payloads of nobody's documented form.

use serde::{Deserialize, Serialize};

use crate::webhook::FieldMap;

/// `[source.map]`: JSON pointers (RFC 6901) into the payload, as `/repository/name`. What has none is
/// absent in the event.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SourceMapConfig {
    /// `kind`: the event's kind, which triggers name. Default of `standard_webhooks`: `/type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Pointer>,
    /// `action`: the activity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Pointer>,
    /// `delivery_id`: the sender's id of the delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery_id: Option<Pointer>,
    /// `repository`: the repository, `owner/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<Pointer>,
    /// `ref`: the full ref, or the short name of a branch.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub git_ref: Option<Pointer>,
    /// `sha`: the commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha: Option<Pointer>,
    /// `actor`: the name of who did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<Pointer>,
    /// `actor_id`: the id of who did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor_id: Option<Pointer>,
    /// `number`: the number of what it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<Pointer>,
    /// `title`: its title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<Pointer>,
    /// `body`: its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Pointer>,
    /// `url`: its page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Pointer>,
    /// `labels`: its labels, a list of texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Pointer>,
    /// `team`: the workspace or team of the chat where it was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<Pointer>,
    /// `channel`: the channel of the chat; with it and `body` the payload is a message, which sessions of agents
    /// can be about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<Pointer>,
    /// `thread`: the thread of the channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<Pointer>,
    /// `inputs`: an object for the jobs. Default of `standard_webhooks`: `/data`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Pointer>,
}

/// A JSON pointer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Pointer(String);

impl TryFrom<String> for Pointer {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.starts_with('/') {
            return Ok(Self(text));
        }
        Err(format!("`{text}` is not a JSON pointer: write `/{}`", text.replace('.', "/")))
    }
}

impl SourceMapConfig {
    /// The pointers, as payloads are read by them.
    pub(super) fn fields(&self) -> FieldMap {
        let text = |pointer: &Option<Pointer>| pointer.as_ref().map(|it| it.0.clone());
        FieldMap {
            kind: text(&self.kind),
            action: text(&self.action),
            delivery_id: text(&self.delivery_id),
            repository: text(&self.repository),
            git_ref: text(&self.git_ref),
            sha: text(&self.sha),
            actor: text(&self.actor),
            actor_id: text(&self.actor_id),
            number: text(&self.number),
            title: text(&self.title),
            body: text(&self.body),
            url: text(&self.url),
            labels: text(&self.labels),
            team: text(&self.team),
            channel: text(&self.channel),
            thread: text(&self.thread),
            inputs: text(&self.inputs),
        }
    }
}
