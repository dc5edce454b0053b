//! Payloads of nobody's documented form: the source says where the fields of an event are.
//!
//! What is deliberately absent: trust. A mapping says where a field is, not who was able to cause
//! the event, so it is unknown.

use serde_json::Value;

use super::parsed::{Parsed, Said};
use super::tree::{self, Tree, blank};
use super::{Head, Payload, PayloadError};
use crate::event::{Actor, Event, Repository, Subject, SubjectKind, inputs, text};
use crate::model::{ChatPlace, Untrusted};

/// Where the fields of an event are: JSON pointers (RFC 6901). A field without one is absent.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FieldMap {
    /// The event's kind.
    pub kind: Option<String>,
    /// The activity.
    pub action: Option<String>,
    /// The provider's id of the delivery.
    pub delivery_id: Option<String>,
    /// The repository, `owner/name`.
    pub repository: Option<String>,
    /// The ref: a full one, or a branch's short name.
    pub git_ref: Option<String>,
    /// The commit.
    pub sha: Option<String>,
    /// The name of who did it.
    pub actor: Option<String>,
    /// The id of who did it.
    pub actor_id: Option<String>,
    /// The number of what it is about.
    pub number: Option<String>,
    /// Its title.
    pub title: Option<String>,
    /// Its text.
    pub body: Option<String>,
    /// Its page.
    pub url: Option<String>,
    /// Its labels: a list of texts.
    pub labels: Option<String>,
    /// The workspace or team of a chat.
    pub team: Option<String>,
    /// The channel of a chat.
    pub channel: Option<String>,
    /// The thread of the channel.
    pub thread: Option<String>,
    /// An object for the jobs.
    pub inputs: Option<String>,
}

/// The pointers of Standard Webhooks, which are what its specification recommends of a payload.
fn standard() -> FieldMap {
    FieldMap { kind: Some("/type".into()), inputs: Some("/data".into()), ..FieldMap::default() }
}

/// A payload of Standard Webhooks: what the source does not map is where the specification says.
pub(super) fn parse_standard(
    source: &str,
    payload: &Payload<'_>,
    map: &FieldMap,
) -> Result<Parsed, PayloadError> {
    let standard = standard();
    let map = FieldMap {
        kind: map.kind.clone().or(standard.kind),
        inputs: map.inputs.clone().or(standard.inputs),
        ..map.clone()
    };
    parse(source, None, payload, &map)
}

/// A payload that a source maps. Where the map has no kind, it is what the headers say.
pub(super) fn parse_mapped(
    source: &str,
    head: &Head,
    payload: &Payload<'_>,
    map: &FieldMap,
) -> Result<Parsed, PayloadError> {
    parse(source, Some(&head.event_kind), payload, map)
}

fn parse(
    source: &str,
    kind: Option<&str>,
    payload: &Payload<'_>,
    map: &FieldMap,
) -> Result<Parsed, PayloadError> {
    let value = tree::read(payload.text())?;
    let fields = Fields { body: Tree(Some(&value)) };
    let kind = fields.id(&map.kind).or(kind.map(str::to_owned));
    let kind = tree::kind(kind.as_deref().unwrap_or("webhook"));
    let event = Event {
        action: fields.id(&map.action),
        repository: fields
            .id(&map.repository)
            .map(|full_name| Repository { full_name, ..Repository::default() }),
        actor: actor(fields, map),
        git_ref: fields.git_ref(&map.git_ref),
        sha: fields.text(&map.sha).and_then(text::commit),
        subject: Subject {
            kind: SubjectKind::None,
            number: fields.at(&map.number).int(""),
            url: fields.id(&map.url),
            title: fields.text(&map.title).map(text::untrusted_name),
            body: fields.text(&map.body).map(text::untrusted_body),
            ..Subject::default()
        },
        chat: fields.text(&map.body).and_then(|_| {
            let ids = [&map.team, &map.channel, &map.thread].map(|it| fields.id(it));
            let [team, channel, thread] = ids;
            ChatPlace::new(team, channel, thread)
        }),
        labels: fields
            .at(&map.labels)
            .items("")
            .filter_map(|it| it.name(""))
            .take(text::LABELS_MAX)
            .collect(),
        inputs: match fields.at(&map.inputs).0 {
            Some(Value::Object(object)) => inputs::from_map(object.clone())?,
            _ => serde_json::Map::new(),
        },
        ..blank(source, kind)
    };
    Ok(Parsed::Events(Said {
        kind: Some(event.kind.as_str().into()),
        delivery_id: fields.id(&map.delivery_id).map(Into::into),
        events: vec![event],
        answer: None,
    }))
}

fn actor(fields: Fields<'_>, map: &FieldMap) -> Option<Actor> {
    let (uid, login) = (fields.id(&map.actor_id), fields.id(&map.actor));
    let id = fields.at(&map.actor_id).int("");
    (uid.is_some() || login.is_some()).then(|| Actor {
        uid: uid.filter(|_| id.is_none()),
        id,
        login: login.unwrap_or_default(),
        ..Actor::default()
    })
}

#[derive(Clone, Copy)]
struct Fields<'v> {
    body: Tree<'v>,
}

impl<'v> Fields<'v> {
    fn at(self, pointer: &Option<String>) -> Tree<'v> {
        pointer.as_ref().map_or(Tree(None), |pointer| self.body.at(pointer))
    }

    fn text(self, pointer: &Option<String>) -> Option<&'v str> {
        self.at(pointer).text("")
    }

    fn id(self, pointer: &Option<String>) -> Option<String> {
        self.at(pointer).id("")
    }

    fn git_ref(self, pointer: &Option<String>) -> Option<Untrusted> {
        let name = self.text(pointer)?;
        let prefix = if name.starts_with("refs/") { "" } else { "refs/heads/" };
        Some(text::untrusted_name(&format!("{prefix}{name}")))
    }
}
