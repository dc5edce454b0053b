//! Which session of an agent an event starts or joins, and what it says in it. Pure.
//!
//! Without a command every event about an issue or pull request that the trigger wants says its prompt, and in a
//! chat the message is what is said. With one, what people write must have
//! it (a comment that is made, an issue or pull request that is opened, a message), a label or an assignment says
//! the prompt, and nothing else starts anything: an edit never does. What is meant for us in a chat, as a slash command
//! or a mention, needs no other command. With `follow`, what people write without calling joins a live session.

use std::borrow::Cow;

use serde_json::json;

use super::{CallWord, Order};
use crate::event::{Address, Event, EventKind, SubjectKind};
use crate::model::COMMENT_MARK;

/// The kind of events by which Slack tells of a mention, beside the message that it stands in.
pub(super) const MENTION: &str = "app_mention";

/// How an agent's trigger finds the session.
#[derive(Clone, Debug)]
pub struct SessionStart {
    /// The word by which people call it.
    pub command: Option<CallWord>,
    /// Whether what is written without calling joins a live session.
    pub follow: bool,
}

/// What an event says to an agent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call<'e> {
    /// The trigger's prompt.
    Prompt,
    /// What somebody wrote.
    Words(&'e str),
    /// What somebody wrote without calling: for a live session, and starting none.
    Overheard(&'e str),
    /// What is to be done to a live session.
    Order(Order<'e>),
}

impl SessionStart {
    /// What the event says.
    ///
    /// # Errors
    ///
    /// Why it says nothing, for people.
    pub fn call<'e>(&self, event: &'e Event) -> Result<Call<'e>, Cow<'static, str>> {
        let is_subject = event.subject.number.is_some() && event.repository.is_some();
        if !is_subject && event.chat.is_none() {
            return Err(
                "the event is about no issue, no pull request, and nothing that was newly \
                        said in a chat"
                    .into(),
            );
        }
        let is_bot = event.actor.as_ref().and_then(|actor| actor.account_type.as_deref());
        if is_bot.is_some_and(|kind| kind.eq_ignore_ascii_case("bot")) {
            return Err("bots start no sessions".into());
        }
        let text = event.subject.body.as_ref().map_or("", |body| body.as_data());
        // By the token of a person they are a person's, and would be answered again.
        if text.contains(COMMENT_MARK) {
            return Err("it is a comment of our own".into());
        }
        let call = match &event.chat {
            Some(_) => self.in_chat(event.address, text),
            None => self.of_subject(event, text),
        }?;
        Ok(match call {
            Call::Words(words) => Order::read(words).map_or(call, Call::Order),
            call => call,
        })
    }

    /// What a message says.
    fn in_chat<'e>(&self, address: Address, text: &'e str) -> Result<Call<'e>, Cow<'static, str>> {
        let words = address.words(text);
        let called = self.command.as_ref().and_then(|command| called(command, words));
        match (called, &self.command) {
            (Some(call), _) => Ok(call),
            _ if !address.is_everybody() && words.is_empty() => Ok(Call::Prompt),
            _ if !address.is_everybody() => Ok(Call::Words(words)),
            _ if words.is_empty() => Err("it says nothing".into()),
            _ if self.follow => Ok(Call::Overheard(words)),
            (None, None) => Ok(Call::Words(words)),
            (None, Some(command)) => Err(not_said(command)),
        }
    }

    /// What an event about an issue or a pull request says.
    fn of_subject<'e>(&self, event: &Event, text: &'e str) -> Result<Call<'e>, Cow<'static, str>> {
        let is_comment = event.kind == EventKind::IssueComment;
        let overheard = match event.action.as_deref() {
            Some("created") => self.follow,
            None => self.follow && is_comment,
            Some(_) => false,
        };
        let overheard = Some(text.trim()).filter(|words| overheard && !words.is_empty());
        let Some(command) = &self.command else {
            return Ok(overheard.map_or(Call::Prompt, Call::Overheard));
        };
        match event.action.as_deref() {
            Some("labeled" | "assigned") => return Ok(Call::Prompt),
            Some("created" | "opened") => {}
            // Some forges do not say that a comment is new, and none says so of an edited one.
            None if is_comment => {}
            _ => {
                return Err(
                    "commands count where something is written, not where it is changed".into()
                );
            }
        }
        called(command, text).or(overheard.map(Call::Overheard)).ok_or_else(|| not_said(command))
    }
}

/// What is said by the command in a text; `None` where nobody calls.
fn called<'t>(command: &CallWord, text: &'t str) -> Option<Call<'t>> {
    let is_mention = command.as_str().starts_with('@');
    Some(match command.find(text)? {
        // Called at the end of what is asked, or with nothing.
        "" if is_mention && text.trim().len() > command.as_str().len() => Call::Words(text.trim()),
        "" => Call::Prompt,
        words => Call::Words(words),
    })
}

fn not_said(command: &CallWord) -> Cow<'static, str> {
    format!("it does not say `{}`", command.as_str()).into()
}

/// The key of the session of what an event is about: `SOURCE:HOST/OWNER/NAME#7`, with `!` for a pull request. The
/// source is part of it, because nobody else vouches for the rest. Of a conversation in a chat it is
/// [`ChatPlace::session_key`](crate::model::ChatPlace::session_key).
pub fn subject_key(event: &Event) -> Option<String> {
    if let Some(place) = &event.chat {
        return Some(place.session_key(&event.source));
    }
    let (repository, number) = (event.repository.as_ref()?, event.subject.number?);
    let address = event.subject.url.as_deref().or(repository.clone_url.as_deref());
    let host = address.and_then(host_of).map(|host| format!("{host}/")).unwrap_or_default();
    let mark = if event.subject.kind == SubjectKind::PullRequest { '!' } else { '#' };
    Some(format!("{}:{host}{}{mark}{number}", event.source, repository.full_name))
}

fn host_of(address: &str) -> Option<&str> {
    let rest = address.split_once("://")?.1;
    let host = rest.split(['/', '?', '#']).next()?.rsplit('@').next()?;
    (!host.is_empty()).then_some(host)
}

/// Where a session was started, for whoever answers there.
pub fn origin(event: &Event, trigger: &str) -> String {
    let actor = event.actor.as_ref();
    json!({
        "kind": "event",
        "source": event.source,
        "trigger": trigger,
        "event": event.kind.as_str(),
        "action": event.action,
        "repository": event.repository.as_ref().map(|it| &it.full_name),
        "repository_id": event.repository.as_ref().and_then(|it| it.id),
        "subject": event.subject.kind,
        "number": event.subject.number,
        "url": event.subject.url,
        "sha": event.sha,
        "actor": actor.map(|it| &it.login),
        "actor_id": actor.and_then(|it| it.id),
        "chat": event.chat,
    })
    .to_string()
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
