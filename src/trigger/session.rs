//! Which session of an agent an event starts or joins, and what it says in it. Pure.
//!
//! Without a command every event that the trigger wants says its prompt. With one, what people write must have
//! it (a comment that is made, an issue or pull request that is opened), a label or an assignment says the
//! prompt, and nothing else starts anything: an edit never does.

use std::borrow::Cow;

use serde_json::json;

use super::CallWord;
use crate::event::{Event, EventKind, SubjectKind};

/// How an agent's trigger finds the session.
#[derive(Clone, Debug)]
pub struct SessionStart {
    /// The word by which people call it.
    pub command: Option<CallWord>,
}

/// What an event says to an agent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call<'e> {
    /// The trigger's prompt.
    Prompt,
    /// What somebody wrote.
    Words(&'e str),
}

impl SessionStart {
    /// What the event says.
    ///
    /// # Errors
    ///
    /// Why it says nothing, for people.
    pub fn call<'e>(&self, event: &'e Event) -> Result<Call<'e>, Cow<'static, str>> {
        if event.subject.number.is_none() || event.repository.is_none() {
            return Err("the event is about no issue and no pull request".into());
        }
        let is_bot = event.actor.as_ref().and_then(|actor| actor.account_type.as_deref());
        if is_bot.is_some_and(|kind| kind.eq_ignore_ascii_case("bot")) {
            return Err("bots start no sessions".into());
        }
        let Some(command) = &self.command else { return Ok(Call::Prompt) };
        match event.action.as_deref() {
            Some("labeled" | "assigned") => return Ok(Call::Prompt),
            Some("created" | "opened") => {}
            // Some forges do not say that a comment is new, and none says so of an edited one.
            None if event.kind == EventKind::IssueComment => {}
            _ => {
                return Err(
                    "commands count where something is written, not where it is changed".into()
                );
            }
        }
        let text = event.subject.body.as_ref().map_or("", |body| body.as_data());
        match command.find(text) {
            None => Err(format!("it does not say `{}`", command.as_str()).into()),
            // Called at the end of what is asked, or with nothing.
            Some("")
                if command.as_str().starts_with('@')
                    && text.trim().len() > command.as_str().len() =>
            {
                Ok(Call::Words(text.trim()))
            }
            Some("") => Ok(Call::Prompt),
            Some(words) => Ok(Call::Words(words)),
        }
    }
}

/// The key of the session of what an event is about: `SOURCE:HOST/OWNER/NAME#7`, with `!` for a pull request. The
/// source is part of it, because nobody else vouches for the rest.
pub fn subject_key(event: &Event) -> Option<String> {
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
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Actor, Repository, Subject};

    fn comment(action: Option<&str>, body: &str) -> Event {
        let subject = Subject {
            kind: SubjectKind::Issue,
            number: Some(7),
            url: Some("https://forge.test:8443/o/r/issues/7".into()),
            body: Some(body.into()),
            ..Subject::default()
        };
        let actor =
            Actor { login: "ada".into(), account_type: Some("User".into()), ..Actor::default() };
        let json = serde_json::json!({ "source": "forge", "kind": "issue_comment" });
        Event {
            action: action.map(Into::into),
            repository: Some(Repository { full_name: "o/r".into(), ..Repository::default() }),
            actor: Some(actor),
            subject,
            ..serde_json::from_value(json).unwrap()
        }
    }

    fn session(command: &str) -> SessionStart {
        SessionStart { command: Some(CallWord::parse(command).unwrap()) }
    }

    #[test]
    fn only_what_is_written_anew_can_call() {
        let session = session("/agent");
        let call = |event: &Event| format!("{:?}", session.call(event));
        assert_eq!(call(&comment(Some("created"), "/agent go")), "Ok(Words(\"go\"))");
        assert_eq!(call(&comment(None, "/agent go")), "Ok(Words(\"go\"))");
        assert_eq!(call(&comment(Some("created"), "/agent")), "Ok(Prompt)");
        assert!(call(&comment(Some("edited"), "/agent go")).contains("not where it is changed"));
        assert!(call(&comment(Some("created"), "hello")).contains("it does not say `/agent`"));
        assert_eq!(call(&comment(Some("labeled"), "hello")), "Ok(Prompt)");
    }

    #[test]
    fn bots_and_events_about_nothing_start_no_session() {
        let mut event = comment(Some("created"), "/agent go");
        event.actor.as_mut().unwrap().account_type = Some("Bot".into());
        assert_eq!(session("/agent").call(&event), Err("bots start no sessions".into()));
        let mut event = comment(Some("created"), "/agent go");
        event.subject.number = None;
        assert!(session("/agent").call(&event).is_err());
    }

    #[test]
    fn a_mention_behind_the_words_means_all_of_them() {
        let event = comment(Some("created"), "fix this @bot");
        assert_eq!(session("@bot").call(&event), Ok(Call::Words("fix this @bot")));
    }

    #[test]
    fn an_issue_and_a_pull_request_of_one_number_have_two_keys() {
        let mut event = comment(None, "");
        assert_eq!(subject_key(&event).unwrap(), "forge:forge.test:8443/o/r#7");
        event.subject.kind = SubjectKind::PullRequest;
        event.subject.url = None;
        assert_eq!(subject_key(&event).unwrap(), "forge:o/r!7");
    }
}
