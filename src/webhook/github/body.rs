//! The fields of GitHub's payloads that an event is made from, as they lie in the JSON.
//!
//! One struct for all kinds: a payload names its parts the same whatever its kind, and an unknown
//! kind may have any of them. Every field may be absent, null or of another type ([`Maybe`]).
//! <https://docs.github.com/en/webhooks/webhook-events-and-payloads>

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::lenient::{AnyObject, Maybe, wanted_object};

pub(super) type Text<'a> = Maybe<Cow<'a, str>>;
pub(super) type List<T> = Maybe<Vec<Maybe<T>>>;

/// The whole payload.
#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub(super) struct Body<'a> {
    #[serde(borrow)]
    pub(super) action: Text<'a>,
    #[serde(borrow)]
    pub(super) repository: Maybe<Repository<'a>>,
    #[serde(borrow)]
    pub(super) sender: Maybe<Account<'a>>,
    #[serde(borrow)]
    pub(super) label: Maybe<Label<'a>>,
    #[serde(borrow)]
    pub(super) issue: Maybe<Issue<'a>>,
    #[serde(borrow)]
    pub(super) pull_request: Maybe<PullRequest<'a>>,
    #[serde(borrow)]
    pub(super) comment: Maybe<Comment<'a>>,
    /// There in reviews of a pull request, which carry the pull request too.
    pub(super) review: Maybe<AnyObject>,
    #[serde(borrow)]
    pub(super) release: Maybe<Release<'a>>,
    /// `push` gives it in full; `create` and `delete` short, with `ref_type`; `workflow_dispatch`
    /// in full.
    #[serde(borrow, rename = "ref")]
    pub(super) git_ref: Text<'a>,
    #[serde(borrow)]
    pub(super) ref_type: Text<'a>,
    #[serde(borrow)]
    pub(super) after: Text<'a>,
    pub(super) created: Maybe<bool>,
    pub(super) deleted: Maybe<bool>,
    pub(super) forced: Maybe<bool>,
    /// How many commits were pushed, where GitHub says so.
    pub(super) size: Maybe<i64>,
    #[serde(borrow)]
    pub(super) commits: List<Commit<'a>>,
    #[serde(borrow)]
    pub(super) head_commit: Maybe<Commit<'a>>,
    /// `workflow_dispatch`: the workflow file's path.
    #[serde(borrow)]
    pub(super) workflow: Text<'a>,
    /// `workflow_dispatch`, as sent.
    #[serde(borrow)]
    pub(super) inputs: Option<&'a RawValue>,
    /// `repository_dispatch`, as sent.
    #[serde(borrow)]
    pub(super) client_payload: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) branch: Text<'a>,
    /// `ping`: the number of the hook.
    pub(super) hook_id: Maybe<i64>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub(super) struct Repository<'a> {
    pub(super) id: Maybe<i64>,
    #[serde(borrow)]
    pub(super) full_name: Text<'a>,
    #[serde(borrow)]
    pub(super) clone_url: Text<'a>,
    #[serde(borrow)]
    pub(super) default_branch: Text<'a>,
    pub(super) private: Maybe<bool>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub(super) struct Account<'a> {
    pub(super) id: Maybe<i64>,
    #[serde(borrow)]
    pub(super) login: Text<'a>,
    #[serde(borrow, rename = "type")]
    pub(super) account_type: Text<'a>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub(super) struct Label<'a> {
    #[serde(borrow)]
    pub(super) name: Text<'a>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub(super) struct Issue<'a> {
    pub(super) number: Maybe<i64>,
    #[serde(borrow)]
    pub(super) html_url: Text<'a>,
    #[serde(borrow)]
    pub(super) title: Text<'a>,
    #[serde(borrow)]
    pub(super) body: Text<'a>,
    #[serde(borrow)]
    pub(super) labels: List<Label<'a>>,
    #[serde(borrow)]
    pub(super) user: Maybe<Account<'a>>,
    #[serde(borrow)]
    pub(super) author_association: Text<'a>,
    /// There when the "issue" is a pull request.
    pub(super) pull_request: Maybe<AnyObject>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub(super) struct PullRequest<'a> {
    pub(super) number: Maybe<i64>,
    #[serde(borrow)]
    pub(super) html_url: Text<'a>,
    #[serde(borrow)]
    pub(super) title: Text<'a>,
    #[serde(borrow)]
    pub(super) body: Text<'a>,
    #[serde(borrow)]
    pub(super) labels: List<Label<'a>>,
    #[serde(borrow)]
    pub(super) user: Maybe<Account<'a>>,
    #[serde(borrow)]
    pub(super) author_association: Text<'a>,
    #[serde(borrow)]
    pub(super) head: Maybe<Side<'a>>,
    #[serde(borrow)]
    pub(super) base: Maybe<Side<'a>>,
}

/// One side of a pull request.
#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub(super) struct Side<'a> {
    #[serde(borrow, rename = "ref")]
    pub(super) branch: Text<'a>,
    #[serde(borrow)]
    pub(super) sha: Text<'a>,
    /// Null when the repository was deleted.
    #[serde(borrow)]
    pub(super) repo: Maybe<Repository<'a>>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub(super) struct Comment<'a> {
    #[serde(borrow)]
    pub(super) html_url: Text<'a>,
    #[serde(borrow)]
    pub(super) body: Text<'a>,
    #[serde(borrow)]
    pub(super) user: Maybe<Account<'a>>,
    #[serde(borrow)]
    pub(super) author_association: Text<'a>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub(super) struct Release<'a> {
    #[serde(borrow)]
    pub(super) tag_name: Text<'a>,
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    #[serde(borrow)]
    pub(super) body: Text<'a>,
    #[serde(borrow)]
    pub(super) html_url: Text<'a>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub(super) struct Commit<'a> {
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    #[serde(borrow)]
    pub(super) message: Text<'a>,
    #[serde(borrow)]
    pub(super) url: Text<'a>,
    #[serde(borrow)]
    pub(super) added: List<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) removed: List<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) modified: List<Cow<'a, str>>,
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
    Release,
    Commit,
);
