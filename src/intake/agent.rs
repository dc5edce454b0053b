//! What the work of an agent is asked: its prompt, or what somebody says in a session.

use std::borrow::Cow;
use std::sync::Arc;

use super::rules::Rule;
use crate::event::Event;
use crate::model::{
    JobWork, PlannedSession, PlannedWorkload, SessionWish, Untrusted, WorkloadKind,
};
use crate::trigger::{AgentStart, Call, Order, SessionStart, Start, Template, origin, subject_key};

/// Gives the work of an agent what the event says; any other work is left as it is.
///
/// # Errors
///
/// The event has no session.
pub(super) fn ask(
    workload: &mut PlannedWorkload,
    rule: &Rule,
    event: &Event,
) -> Result<(), String> {
    let Some(prompt) = &rule.prompt else { return Ok(()) };
    debug_assert_eq!(workload.kind, WorkloadKind::Agent);
    if let Start::Agent(AgentStart { session: Some(session), .. }) = &rule.trigger.start {
        let joined = joined(session, prompt, event, &rule.trigger.name)?;
        workload.session = Some(Box::new(joined));
        return Ok(());
    }
    for job in &mut workload.jobs {
        if let JobWork::Agent { prompt: asked, .. } = &mut Arc::make_mut(&mut job.spec).work {
            *asked = prompt.fill(event);
        }
    }
    Ok(())
}

/// What the event wants done to a session, where that is not to talk.
pub(super) fn order<'e>(rule: &Rule, event: &'e Event) -> Option<Order<'e>> {
    let Start::Agent(AgentStart { session: Some(session), .. }) = &rule.trigger.start else {
        return None;
    };
    match session.call(event) {
        Ok(Call::Order(order)) => Some(order),
        _ => None,
    }
}

/// The session that an event starts or joins. What people wrote is said as it is; before it an agent that is
/// new hears the trigger's prompt.
///
/// # Errors
///
/// The event has no session.
fn joined(
    session: &SessionStart,
    prompt: &Template,
    event: &Event,
    trigger: &str,
) -> Result<PlannedSession, String> {
    let call = session.call(event).map_err(Cow::into_owned)?;
    let (opening, message, wish) = match call {
        Call::Prompt => (None, prompt.fill(event), SessionWish::Talk),
        Call::Words(words) => (Some(prompt.fill(event)), Untrusted::new(words), SessionWish::Talk),
        Call::Overheard(words) => (None, Untrusted::new(words), SessionWish::Join),
        Call::Order(Order::Answer { request, approve, note }) => {
            (None, Untrusted::new(note), SessionWish::Answer { request, approve })
        }
        Call::Order(Order::Stop) => (None, Untrusted::default(), SessionWish::End),
    };
    let author = author(event);
    Ok(PlannedSession {
        key: subject_key(event).map(Into::into),
        author: author.into(),
        opening,
        message,
        wish,
        origin: origin(event, trigger).into(),
        reply_to: None,
        limits: None,
    })
}

/// Who speaks: the account's name, else its id. Some accounts of chats have no name of their own.
fn author(event: &Event) -> String {
    let Some(actor) = &event.actor else { return event.source.clone() };
    let id = || actor.uid.clone().or_else(|| actor.id.map(|id| id.to_string()));
    match actor.login.as_str() {
        "" => id().unwrap_or_else(|| event.source.clone()),
        login => login.to_owned(),
    }
}
