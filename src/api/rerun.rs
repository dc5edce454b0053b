//! The button of a check run: its event runs what did not complete again.
//!
//! GitHub shows it to those who may write to the repository
//! (<https://docs.github.com/en/webhooks/webhook-events-and-payloads#check_run>). It is obeyed for the run that the
//! check stands for, by a source and for a repository to which that was told, so a repeated event does nothing. It is
//! obeyed before its delivery counts as dealt with: a crash between both has the event, or its adopter, repeat it.

use super::error::ApiError;
use super::state::AppState;
use super::workloads::with_ends;
use crate::dispatch::Command;
use crate::driver::CommandError;
use crate::event::Event;
use crate::model::{OutboxTarget, Workload, WorkloadId};
use crate::report::RERUN;
use crate::store::StoreError;

/// Why it is not run again.
enum Refused {
    /// It never will be.
    ForGood(String),
    /// It could not be asked for now.
    NotNow(String),
}

/// What somebody asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Rerun {
    installation: String,
    workload_id: WorkloadId,
    run: u32,
    source: String,
    repository: String,
    author: Box<str>,
}

impl Rerun {
    /// What an event asks for, if it does.
    pub(super) fn asked(event: &Event) -> Option<Self> {
        let text = |key: &str| event.inputs.get(key).and_then(|it| it.as_str());
        let is_asked = event.kind.as_str() == "check_run"
            && match event.action.as_deref() {
                Some("rerequested") => true,
                Some("requested_action") => text("identifier") == Some(RERUN),
                _ => false,
            };
        let external_id = text("external_id").filter(|_| is_asked)?;
        let mut parts = external_id.strip_prefix("dispatchyard:")?.split(':');
        let (installation, id, run) = (parts.next()?, parts.next()?, parts.next()?);
        let who = event.actor.as_ref().map_or("somebody", |actor| actor.login.as_str());
        Some(Self {
            installation: installation.to_owned(),
            workload_id: id.parse().ok()?,
            run: run.parse().ok()?,
            source: event.source.clone(),
            repository: event.repository.as_ref()?.full_name.clone(),
            author: format!("{who} at {}", event.source).into(),
        })
    }

    /// Has it run again, if it may; whether that is dealt with.
    pub(super) async fn carry_out(self, state: AppState) -> bool {
        let workload_id = self.workload_id.0;
        match self.try_it(state).await {
            Ok(()) => tracing::info!(workload_id, "a check run is run again"),
            Err(Refused::ForGood(why)) => {
                tracing::warn!(workload_id, why, "a check run is not run again");
            }
            Err(Refused::NotNow(why)) => {
                tracing::warn!(workload_id, why, "a check run cannot be run again now");
                return false;
            }
        }
        true
    }

    async fn try_it(&self, state: AppState) -> Result<(), Refused> {
        if *self.installation != *state.installation {
            return Err(Refused::ForGood("it is another server's".to_owned()));
        }
        let not_now = |error: StoreError| Refused::NotNow(error.to_string());
        let (workload_id, author) = (self.workload_id, self.author.clone());
        let row = state.store.workload(workload_id).await.map_err(not_now)?;
        if !row.is_some_and(|row| self.is_about(&row)) {
            let why = "no check run of that repository stands for its present run";
            return Err(Refused::ForGood(why.to_owned()));
        }
        let archived = state.store.archived(workload_id).await.map_err(not_now)?;
        let archived = archived.map(Box::new);
        let command = move |ended| Command::Retry {
            workload_id,
            archived: archived.clone(),
            ended,
            author: author.clone(),
        };
        with_ends(state, command).await.map(drop).map_err(|error| match &error {
            ApiError::Command(CommandError::Refused(_)) => Refused::ForGood(error.to_string()),
            ApiError::Command(_) => Refused::NotNow(error.to_string()),
            _ => Refused::ForGood(error.to_string()),
        })
    }

    fn is_about(&self, workload: &Workload) -> bool {
        let told = workload.terms.iter().flat_map(|terms| &terms.report);
        let mut own = told.filter(|it| match &it.target {
            OutboxTarget::CheckRun { source, repository, .. } => {
                **source == *self.source && **repository == *self.repository
            }
            _ => false,
        });
        workload.run == self.run && own.next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::event::OwnEvent;

    #[test]
    fn the_button_of_our_own_checks_alone_asks_for_something() {
        let asked = |kind: &str, action: &str, id: &str, identifier: &str| {
            let inputs = json!({ "external_id": id, "identifier": identifier });
            let own = OwnEvent {
                source: "gh".to_owned(),
                kind: kind.to_owned(),
                action: Some(action.to_owned()),
                repository: Some("acme/app".to_owned()),
                inputs: inputs.as_object().unwrap().clone(),
                ..OwnEvent::default()
            };
            Rerun::asked(&own.into_event().unwrap()).map(|it| (it.workload_id.0, it.run))
        };
        let own = "dispatchyard:x:7:2";
        assert_eq!(asked("check_run", "rerequested", own, ""), Some((7, 2)));
        assert_eq!(asked("check_run", "requested_action", own, RERUN), Some((7, 2)));
        assert_eq!(asked("check_run", "requested_action", own, "fix"), None);
        assert_eq!(asked("check_run", "completed", own, RERUN), None);
        assert_eq!(asked("check_suite", "rerequested", own, ""), None);
        for id in ["", "other:x:7:2", "dispatchyard:x:seven:2", "dispatchyard:x"] {
            assert_eq!(asked("check_run", "rerequested", id, ""), None, "{id}");
        }
    }
}
