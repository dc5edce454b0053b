//! The fields of GitHub's payloads that an event is made from, as they lie in the JSON.
//!
//! One struct for all kinds: a payload names its parts the same whatever its kind, and an unknown
//! kind may have any of them. Every field may be absent, null or of another type ([`Maybe`]).
//! <https://docs.github.com/en/webhooks/webhook-events-and-payloads>

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::lenient::{AnyObject, Maybe, wanted_object};

pub(in crate::webhook) type Text<'a> = Maybe<Cow<'a, str>>;
pub(in crate::webhook) type List<T> = Maybe<Vec<Maybe<T>>>;

/// The whole payload.
#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub(in crate::webhook) struct Body<'a> {
    #[serde(borrow)]
    pub(in crate::webhook) action: Text<'a>,
    #[serde(borrow)]
    pub(in crate::webhook) repository: Maybe<Repository<'a>>,
    #[serde(borrow)]
    pub(in crate::webhook) sender: Maybe<Account<'a>>,
    #[serde(borrow)]
    pub(in crate::webhook) label: Maybe<Label<'a>>,
    #[serde(borrow)]
    pub(in crate::webhook) issue: Maybe<Issue<'a>>,
    #[serde(borrow)]
    pub(in crate::webhook) pull_request: Maybe<PullRequest<'a>>,
    #[serde(borrow)]
    pub(in crate::webhook) comment: Maybe<Comment<'a>>,
    /// There in reviews of a pull request, which carry the pull request too.
    pub(in crate::webhook) review: Maybe<AnyObject>,
    #[serde(borrow)]
    pub(in crate::webhook) check_run: Maybe<CheckRun<'a>>,
    #[serde(borrow)]
    pub(in crate::webhook) requested_action: Maybe<RequestedAction<'a>>,
    #[serde(borrow)]
    pub(in crate::webhook) release: Maybe<Release<'a>>,
    /// `push` gives it in full; `create` and `delete` short, with `ref_type`; `workflow_dispatch`
    /// in full.
    #[serde(borrow, rename = "ref")]
    pub(in crate::webhook) git_ref: Text<'a>,
    #[serde(borrow)]
    pub(in crate::webhook) ref_type: Text<'a>,
    #[serde(borrow)]
    pub(in crate::webhook) before: Text<'a>,
    #[serde(borrow)]
    pub(in crate::webhook) after: Text<'a>,
    pub(in crate::webhook) created: Maybe<bool>,
    pub(in crate::webhook) deleted: Maybe<bool>,
    pub(in crate::webhook) forced: Maybe<bool>,
    /// How many commits were pushed, where GitHub says so.
    pub(in crate::webhook) size: Maybe<i64>,
    /// The same, as Gitea says it.
    pub(in crate::webhook) total_commits: Maybe<i64>,
    #[serde(borrow)]
    pub(in crate::webhook) commits: List<Commit<'a>>,
    #[serde(borrow)]
    pub(in crate::webhook) head_commit: Maybe<Commit<'a>>,
    /// `workflow_dispatch`: the workflow file's path.
    #[serde(borrow)]
    pub(in crate::webhook) workflow: Text<'a>,
    /// `workflow_dispatch`, as sent.
    #[serde(borrow)]
    pub(in crate::webhook) inputs: Option<&'a RawValue>,
    /// `repository_dispatch`, as sent.
    #[serde(borrow)]
    pub(in crate::webhook) client_payload: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(in crate::webhook) branch: Text<'a>,
    #[serde(borrow)]
    pub(in crate::webhook) workflow_run: Maybe<WorkflowRun<'a>>,
    #[serde(borrow)]
    pub(in crate::webhook) merge_group: Maybe<MergeGroup<'a>>,
    #[serde(borrow)]
    pub(in crate::webhook) deployment: Maybe<Deployment<'a>>,
    /// `ping`: the number of the hook.
    pub(in crate::webhook) hook_id: Maybe<i64>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub(in crate::webhook) struct Repository<'a> {
    pub(in crate::webhook) id: Maybe<i64>,
    #[serde(borrow)]
    pub(in crate::webhook) full_name: Text<'a>,
    #[serde(borrow)]
    pub(in crate::webhook) clone_url: Text<'a>,
    #[serde(borrow)]
    pub(in crate::webhook) default_branch: Text<'a>,
    pub(in crate::webhook) private: Maybe<bool>,
}

/// The run of another workflow.
#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub(in crate::webhook) struct WorkflowRun<'a> {
    #[serde(borrow)]
    pub(in crate::webhook) head_branch: Text<'a>,
    #[serde(borrow)]
    pub(in crate::webhook) head_repository: Maybe<Repository<'a>>,
}

/// What is to be deployed.
#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub(in crate::webhook) struct Deployment<'a> {
    /// A branch or a tag, or a commit.
    #[serde(borrow, rename = "ref")]
    pub(in crate::webhook) git_ref: Text<'a>,
    #[serde(borrow)]
    pub(in crate::webhook) sha: Text<'a>,
}

/// A group of pull requests that is tried before it is merged.
#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub(in crate::webhook) struct MergeGroup<'a> {
    #[serde(borrow)]
    pub(in crate::webhook) head_ref: Text<'a>,
    #[serde(borrow)]
    pub(in crate::webhook) base_ref: Text<'a>,
    #[serde(borrow)]
    pub(in crate::webhook) head_sha: Text<'a>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub(in crate::webhook) struct Account<'a> {
    pub(in crate::webhook) id: Maybe<i64>,
    #[serde(borrow)]
    pub(in crate::webhook) login: Text<'a>,
    #[serde(borrow, rename = "type")]
    pub(in crate::webhook) account_type: Text<'a>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub(in crate::webhook) struct Label<'a> {
    #[serde(borrow)]
    pub(in crate::webhook) name: Text<'a>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub(in crate::webhook) struct Issue<'a> {
    pub(in crate::webhook) number: Maybe<i64>,
    #[serde(borrow)]
    pub(in crate::webhook) html_url: Text<'a>,
    #[serde(borrow)]
    pub(in crate::webhook) title: Text<'a>,
    #[serde(borrow)]
    pub(in crate::webhook) body: Text<'a>,
    #[serde(borrow)]
    pub(in crate::webhook) labels: List<Label<'a>>,
    #[serde(borrow)]
    pub(in crate::webhook) user: Maybe<Account<'a>>,
    #[serde(borrow)]
    pub(in crate::webhook) author_association: Text<'a>,
    /// There when the "issue" is a pull request.
    pub(in crate::webhook) pull_request: Maybe<AnyObject>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub(in crate::webhook) struct PullRequest<'a> {
    pub(in crate::webhook) number: Maybe<i64>,
    #[serde(borrow)]
    pub(in crate::webhook) html_url: Text<'a>,
    #[serde(borrow)]
    pub(in crate::webhook) title: Text<'a>,
    #[serde(borrow)]
    pub(in crate::webhook) body: Text<'a>,
    #[serde(borrow)]
    pub(in crate::webhook) labels: List<Label<'a>>,
    #[serde(borrow)]
    pub(in crate::webhook) user: Maybe<Account<'a>>,
    #[serde(borrow)]
    pub(in crate::webhook) author_association: Text<'a>,
    #[serde(borrow)]
    pub(in crate::webhook) head: Maybe<Side<'a>>,
    #[serde(borrow)]
    pub(in crate::webhook) base: Maybe<Side<'a>>,
    pub(in crate::webhook) merged: Maybe<bool>,
    #[serde(borrow)]
    pub(in crate::webhook) merge_commit_sha: Text<'a>,
}

/// One side of a pull request.
#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub(in crate::webhook) struct Side<'a> {
    #[serde(borrow, rename = "ref")]
    pub(in crate::webhook) branch: Text<'a>,
    #[serde(borrow)]
    pub(in crate::webhook) sha: Text<'a>,
    /// Null when the repository was deleted.
    #[serde(borrow)]
    pub(in crate::webhook) repo: Maybe<Repository<'a>>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub(in crate::webhook) struct Comment<'a> {
    #[serde(borrow)]
    pub(in crate::webhook) html_url: Text<'a>,
    #[serde(borrow)]
    pub(in crate::webhook) body: Text<'a>,
    #[serde(borrow)]
    pub(in crate::webhook) user: Maybe<Account<'a>>,
    #[serde(borrow)]
    pub(in crate::webhook) author_association: Text<'a>,
}

/// A check run: whose it is, as who made it calls that.
#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub(in crate::webhook) struct CheckRun<'a> {
    #[serde(borrow)]
    pub(in crate::webhook) external_id: Text<'a>,
}

/// A button of a check run that was pressed.
#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub(in crate::webhook) struct RequestedAction<'a> {
    #[serde(borrow)]
    pub(in crate::webhook) identifier: Text<'a>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub(in crate::webhook) struct Release<'a> {
    #[serde(borrow)]
    pub(in crate::webhook) tag_name: Text<'a>,
    #[serde(borrow)]
    pub(in crate::webhook) name: Text<'a>,
    #[serde(borrow)]
    pub(in crate::webhook) body: Text<'a>,
    #[serde(borrow)]
    pub(in crate::webhook) html_url: Text<'a>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub(in crate::webhook) struct Commit<'a> {
    #[serde(borrow)]
    pub(in crate::webhook) id: Text<'a>,
    #[serde(borrow)]
    pub(in crate::webhook) message: Text<'a>,
    #[serde(borrow)]
    pub(in crate::webhook) url: Text<'a>,
    #[serde(borrow)]
    pub(in crate::webhook) added: List<Cow<'a, str>>,
    #[serde(borrow)]
    pub(in crate::webhook) removed: List<Cow<'a, str>>,
    #[serde(borrow)]
    pub(in crate::webhook) modified: List<Cow<'a, str>>,
}

wanted_object!(
    Body,
    Repository,
    Account,
    Label,
    Issue,
    PullRequest,
    Side,
    Comment,
    CheckRun,
    RequestedAction,
    Release,
    Commit,
    WorkflowRun,
    Deployment,
    MergeGroup,
);
