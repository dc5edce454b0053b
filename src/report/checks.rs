//! Check runs of GitHub: a commit's line with a page of its own, and a button to run what failed again.
//!
//! <https://docs.github.com/en/rest/checks/runs>. A run of a workload is one check run: a retry begins a new one.

use serde::Deserialize;
use serde_json::{Value, json};

use super::forge::Forge;
use super::news::News;
use super::text;
use crate::forge::http::ForgeError;
use crate::model::WorkloadState;

/// What the button's event says that is to be done.
pub const RERUN: &str = "rerun-failed";

/// The most check runs of one name that are looked through.
const ROWS: &str = "100";

#[derive(Deserialize)]
struct CheckRun {
    id: u64,
    #[serde(default)]
    external_id: Option<String>,
}

#[derive(Deserialize)]
struct CheckRuns {
    check_runs: Vec<CheckRun>,
}

/// Which check run.
#[derive(Clone, Copy)]
pub(super) struct Which<'a> {
    pub(super) repository: &'a str,
    pub(super) sha: &'a str,
    pub(super) name: &'a str,
    /// How this server calls the run of the workload, which GitHub gives back.
    pub(super) external_id: &'a str,
}

/// How this server calls the check run of a workload's run.
pub(super) fn external_id(installation: &str, news: &News) -> String {
    format!("dispatchyard:{installation}:{}:{}", news.workload.id, news.workload.run)
}

impl Forge {
    /// Sets a check run to what is true now; its number. `known` are those of its name that were made before, `unsure`
    /// whether it may have been made without that being known.
    pub(super) async fn set_check(
        &self,
        which: Which<'_>,
        known: &[Box<str>],
        unsure: bool,
        news: &News,
        link: Option<&str>,
    ) -> Result<Box<str>, ForgeError> {
        let own = |known: &str| {
            let (id, of) = known.split_once(' ')?;
            (of == which.external_id).then(|| id.to_owned())
        };
        let mut id = known.iter().find_map(|known| own(known));
        if id.is_none() && unsure {
            id = self.find_check(which).await?;
        }
        let body = body(which, news, link);
        let request = match &id {
            Some(id) => {
                let url = self.url(which.repository, &["check-runs", id])?;
                self.client().patch(url).json(&body)
            }
            None => {
                let url = self.url(which.repository, &["check-runs"])?;
                self.client().post(url).json(&body)
            }
        };
        let made: CheckRun = self.ask(which.repository, request).await?;
        Ok(format!("{} {}", made.id, which.external_id).into())
    }

    async fn find_check(&self, which: Which<'_>) -> Result<Option<String>, ForgeError> {
        let mut url = self.url(which.repository, &["commits", which.sha, "check-runs"])?;
        url.query_pairs_mut()
            .append_pair("check_name", which.name)
            .append_pair("filter", "all")
            .append_pair("per_page", ROWS);
        let found: CheckRuns = self.ask(which.repository, self.client().get(url)).await?;
        let is_it = |it: &&CheckRun| it.external_id.as_deref() == Some(which.external_id);
        Ok(found.check_runs.iter().find(is_it).map(|it| it.id.to_string()))
    }
}

fn body(which: Which<'_>, news: &News, link: Option<&str>) -> Value {
    let (status, conclusion) = match news.workload.state {
        WorkloadState::Pending | WorkloadState::Claimed => ("queued", None),
        WorkloadState::Running => ("in_progress", None),
        WorkloadState::Completed => ("completed", Some("success")),
        WorkloadState::Failed => ("completed", Some("failure")),
        WorkloadState::Cancelled => ("completed", Some("cancelled")),
    };
    let output = json!({ "title": text::description(news), "summary": text::summary(news) });
    let mut body = json!({
        "name": which.name,
        "head_sha": which.sha,
        "external_id": which.external_id,
        "status": status,
        "output": output,
    });
    let Some(fields) = body.as_object_mut() else { return body };
    if let Some(link) = link {
        fields.insert("details_url".to_owned(), Value::from(link));
    }
    if let Some(conclusion) = conclusion {
        fields.insert("conclusion".to_owned(), Value::from(conclusion));
    }
    if matches!(news.workload.state, WorkloadState::Failed | WorkloadState::Cancelled) {
        let action = json!({
            "label": "Re-run failed",
            "description": "Runs what did not complete again",
            "identifier": RERUN,
        });
        fields.insert("actions".to_owned(), Value::from(vec![action]));
    }
    body
}
