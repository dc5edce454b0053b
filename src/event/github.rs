//! The context `github` of GitHub's workflow expressions, made of the one model of events, so that workflow files
//! read alike whichever forge sent the event.
//!
//! Names and meanings:
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/contexts#github-context>.

use serde_json::{Map, Value};

use super::{Event, EventKind};
use crate::model::{Untrusted, WorkflowJob};

const BRANCHES: &str = "refs/heads/";
const TAGS: &str = "refs/tags/";
const PULLS: &str = "refs/pull/";

impl Event {
    /// What of the context the event tells; `workflow` is the workflow's name. Without `event`, which is the
    /// delivery's body, and without what a run or a runner adds. What the event does not tell is an empty text, as
    /// on GitHub.
    pub fn github_context(&self, workflow: &str) -> Map<String, Value> {
        let mut context = Map::new();
        let mut add = |name: &str, value: &str| {
            context.insert(name.to_owned(), Value::String(value.to_owned()));
        };
        let data = |text: &Option<Untrusted>| text.as_ref().map(|it| it.as_data().to_owned());
        let git_ref = self.ref_of_run();
        let (ref_name, ref_type) = short(&git_ref);
        add("event_name", self.kind.as_str());
        add("workflow", workflow);
        add("ref", &git_ref);
        add("ref_name", ref_name);
        add("ref_type", ref_type);
        add("head_ref", &data(&self.head_ref).unwrap_or_default());
        add("base_ref", &data(&self.base_ref).unwrap_or_default());
        add("sha", self.sha.as_deref().unwrap_or_default());
        let actor = self.actor.as_ref();
        let login = actor.map(|actor| actor.login.as_str()).unwrap_or_default();
        add("actor", login);
        add("triggering_actor", login);
        let number = |id: Option<i64>| id.map(|id| id.to_string()).unwrap_or_default();
        add("actor_id", &number(actor.and_then(|actor| actor.id)));
        let repository = self.repository.as_ref();
        let name = repository.map(|it| it.full_name.as_str()).unwrap_or_default();
        add("repository", name);
        add("repository_owner", name.rsplit_once('/').map_or("", |(owner, _)| owner));
        add("repository_id", &number(repository.and_then(|it| it.id)));
        let url = repository.and_then(|it| it.clone_url.as_deref()).unwrap_or_default();
        add("repositoryUrl", url);
        let server = origin(url);
        add("server_url", server);
        add("api_url", &api(server));
        context
    }
}

impl Event {
    /// The ref that work runs on: the event's own, or the default branch where it has none, or has just taken it away.
    fn ref_of_run(&self) -> String {
        let is_gone = self.kind == EventKind::Delete;
        let own = self.git_ref.as_ref().filter(|_| !is_gone);
        // A commit that it names may be of any other branch.
        let is_default = is_gone || self.sha.is_none();
        let default = || self.repository.as_ref()?.default_branch.as_ref().filter(|_| is_default);
        match (own, default()) {
            (Some(own), _) => own.as_data().to_owned(),
            (None, Some(branch)) => format!("{BRANCHES}{branch}"),
            (None, None) => String::new(),
        }
    }
}

/// Gives the contexts of a planned job what its stored event tells: `github`, and `inputs` where its file says
/// nothing of them. An event that cannot be read any more tells nothing. `name` is the workload's, which is the
/// workflow's where its file says nothing else.
pub fn complete(known: &mut WorkflowJob, event: Option<&str>, name: &str) {
    let WorkflowJob { contexts, workflow, .. } = known;
    let event = event.and_then(|event| serde_json::from_str::<Event>(event).ok());
    let Some(event) = event else { return };
    if !contexts.contains_key("github") {
        contexts.insert(
            "github".to_owned(),
            event.github_context(workflow.as_deref().unwrap_or(name)).into(),
        );
    }
    contexts.entry("inputs").or_insert_with(|| event.inputs.into());
}

/// The short name of a ref, and what it is.
fn short(git_ref: &str) -> (&str, &'static str) {
    if let Some(name) = git_ref.strip_prefix(TAGS) {
        (name, "tag")
    } else if let Some(name) = git_ref.strip_prefix(BRANCHES) {
        (name, "branch")
    } else if let Some(name) = git_ref.strip_prefix(PULLS) {
        (name, "branch")
    } else {
        (git_ref, if git_ref.is_empty() { "" } else { "branch" })
    }
}

/// Scheme and host of a repository's address; empty where it has none.
fn origin(url: &str) -> &str {
    let Some(at) = url.find("://") else { return "" };
    if !matches!(&url[..at], "http" | "https") {
        return "";
    }
    let end = url[at + 3..].find('/').map_or(url.len(), |slash| at + 3 + slash);
    &url[..end]
}

/// Where the forge's API is, by GitHub's rule; other forges have other paths.
fn api(server: &str) -> String {
    match server {
        "" => String::new(),
        "https://github.com" => "https://api.github.com".to_owned(),
        other => format!("{other}/api/v3"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::event::OwnEvent;

    #[test]
    fn a_context_has_what_the_event_tells_and_no_more() {
        let mut event = OwnEvent {
            source: "api".into(),
            kind: "push".into(),
            repository: Some("acme/app".into()),
            git_ref: Some("refs/heads/feature/x".into()),
            ..OwnEvent::default()
        }
        .into_event()
        .unwrap();
        event.repository.as_mut().unwrap().clone_url =
            Some("https://github.com/acme/app.git".into());
        let context = event.github_context("ci");
        let get = |name: &str| context[name].as_str().unwrap();
        assert_eq!((get("ref_name"), get("ref_type")), ("feature/x", "branch"));
        assert_eq!((get("repository_owner"), get("head_ref"), get("actor_id")), ("acme", "", ""));
        assert_eq!(
            (get("server_url"), get("api_url")),
            ("https://github.com", "https://api.github.com")
        );
        assert_eq!(context["workflow"], json!("ci"));
    }

    #[test]
    fn what_has_no_ref_of_its_own_runs_on_the_default_branch() {
        let of = |kind: &str, git_ref: Option<&str>| {
            let own = OwnEvent {
                source: "api".into(),
                kind: kind.into(),
                repository: Some("acme/app".into()),
                git_ref: git_ref.map(Into::into),
                ..OwnEvent::default()
            };
            let mut event = own.into_event().unwrap();
            event.repository.as_mut().unwrap().default_branch = Some("trunk".into());
            event.github_context("ci")["ref"].as_str().unwrap().to_owned()
        };
        assert_eq!(of("star", None), "refs/heads/trunk");
        assert_eq!(of("delete", Some("refs/tags/v1")), "refs/heads/trunk");
        assert_eq!(of("push", Some("refs/tags/v1")), "refs/tags/v1");
        let own =
            OwnEvent { source: "api".into(), kind: "deployment".into(), ..OwnEvent::default() };
        let mut event = own.into_event().unwrap();
        event.sha = Some("3b2e".repeat(10));
        assert_eq!(event.github_context("ci")["ref"], json!(""), "of which branch is not known");
    }

    #[test]
    fn a_workflow_is_called_as_its_file_says_or_else_as_its_work() {
        let own = OwnEvent { source: "api".into(), kind: "push".into(), ..OwnEvent::default() };
        let event = serde_json::to_string(&own.into_event().unwrap()).unwrap();
        for (said, shown) in [(Some("My workflow".to_owned()), "My workflow"), (None, "ci")] {
            let mut known = WorkflowJob { workflow: said, ..WorkflowJob::default() };
            complete(&mut known, Some(&event), "ci");
            assert_eq!(known.contexts["github"]["workflow"], json!(shown));
        }
    }

    #[test]
    fn refs_and_addresses_of_every_kind_are_cut() {
        assert_eq!(short("refs/tags/v1"), ("v1", "tag"));
        assert_eq!(short("refs/pull/7/merge"), ("7/merge", "branch"));
        assert_eq!(short(""), ("", ""));
        assert_eq!(origin("http://127.0.0.1:3000/a/b.git"), "http://127.0.0.1:3000");
        assert_eq!(origin("git@host:a/b.git"), "");
        assert_eq!(origin("ssh://git@host/a/b"), "");
    }
}
