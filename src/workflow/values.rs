//! What expressions of a file may read once there is an event.

use serde_json::{Map, Value as Json, json};

use super::File;
use crate::event::Event;
use crate::expression::Scope;
use crate::model::RUN_ID;

/// The contexts that are known when a workload is planned.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Values {
    github: Json,
    inputs: Json,
    vars: Json,
    /// Where all that a job needs has ended.
    needs: Option<Json>,
}

impl Values {
    /// Of an event that starts `file`. `payload` is the delivery's body, where expressions look at it and it is
    /// JSON; an event of one's own has its inputs in that place.
    ///
    /// # Errors
    ///
    /// Inputs that the file does not take.
    pub fn of(
        file: &File,
        event: &Event,
        payload: Option<&Json>,
        vars: &Map<String, Json>,
    ) -> Result<Self, String> {
        let mut github = event.github_context(file.shown_name());
        let said = || json!({ "action": event.action, "inputs": event.inputs });
        github.insert("event".to_owned(), payload.cloned().unwrap_or_else(said));
        // Given by the scheduler when it makes the workload.
        for name in ["run_id", "run_number"] {
            github.insert(name.to_owned(), RUN_ID.into());
        }
        github.insert("run_attempt".to_owned(), "1".into());
        let inputs = file.inputs(event)?;
        Ok(Self {
            github: Json::Object(github),
            inputs: Json::Object(inputs),
            vars: Json::Object(vars.clone()),
            needs: None,
        })
    }

    /// Of a job that was planned with these contexts, once more.
    pub(super) fn again(github: Json, inputs: Json, vars: Json) -> Self {
        Self { github, inputs, vars, needs: None }
    }

    /// With the ends of what a job needs.
    pub(super) fn with_needs(self, needs: Json) -> Self {
        Self { needs: Some(needs), ..self }
    }

    /// Whether it is known how what a job needs has ended.
    pub(super) fn has_needs(&self) -> bool {
        self.needs.is_some()
    }

    /// As expressions read them.
    pub(super) fn scope(&self) -> Scope<'_> {
        let scope = Scope::new()
            .with("github", &self.github)
            .with("inputs", &self.inputs)
            .with("vars", &self.vars);
        match &self.needs {
            Some(needs) => scope.with("needs", needs),
            None => scope,
        }
    }

    /// `owner/name` of the repository, where the event tells it.
    pub(super) fn repository(&self) -> Option<&str> {
        self.github.get("repository").and_then(Json::as_str).filter(|name| !name.is_empty())
    }

    /// The variables.
    pub(super) fn vars(&self) -> &Json {
        &self.vars
    }

    /// The inputs.
    pub(super) fn inputs(&self) -> &Json {
        &self.inputs
    }
}
