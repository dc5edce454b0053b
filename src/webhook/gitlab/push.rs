//! Pushed branches and tags.
//! <https://docs.gitlab.com/user/project/integrations/webhook_events/#push-events>

use std::collections::BTreeSet;

use crate::event::{ChangeSet, Event, Subject, SubjectKind, text};
use crate::webhook::tree::{Tree, is_zeros};

pub(super) const BRANCH: &str = "refs/heads/";
pub(super) const TAG: &str = "refs/tags/";

pub(super) fn event(event: Event, body: Tree<'_>) -> Event {
    let name = body.text("/ref").unwrap_or_default();
    let kind = match name {
        _ if name.starts_with(BRANCH) => SubjectKind::Branch,
        _ if name.starts_with(TAG) => SubjectKind::Tag,
        _ => SubjectKind::None,
    };
    let deleted = body.text("/after").is_some_and(is_zeros);
    let head = body.items("/commits").find(|it| it.text("/id") == body.text("/after"));
    let message = head.and_then(|commit| commit.text("/message"));
    Event {
        // Of an annotated tag, `after` is the tag and `checkout_sha` its commit.
        sha: body.commit("/checkout_sha").or_else(|| body.commit("/after")),
        git_ref: body.untrusted("/ref").filter(|_| name.starts_with("refs/")),
        changes: match kind {
            _ if deleted => ChangeSet::Complete(Vec::new()),
            SubjectKind::Branch => changes(body),
            _ => ChangeSet::Unknown,
        },
        subject: Subject {
            kind,
            url: head.and_then(|commit| commit.name("/url")),
            title: message.and_then(|it| it.lines().next()).map(text::untrusted_name),
            body: message.map(text::untrusted_body),
            deleted,
            ..Subject::default()
        },
        ..event
    }
}

/// The files of all commits. GitLab lists the last 20 of them and says how many there are; of a
/// new branch it does not say with what it is compared.
fn changes(body: Tree<'_>) -> ChangeSet {
    let Some(commits) = body.list("/commits").filter(|list| !list.is_empty()) else {
        return ChangeSet::Unknown;
    };
    const LISTS: [&str; 3] = ["/added", "/removed", "/modified"];
    let commits: Vec<_> = commits.iter().map(|commit| Tree(Some(commit))).collect();
    let lists = || commits.iter().flat_map(|commit| LISTS.map(|list| commit.at(list)));
    let files: BTreeSet<&str> =
        lists().flat_map(|list| list.items("")).filter_map(|file| file.text("")).collect();
    let files: Vec<_> = files.into_iter().collect();
    let all_lists = lists().all(|list| {
        list.list("").is_some_and(|files| files.iter().all(serde_json::Value::is_string))
    });
    let is_whole = body.text("/before").is_some_and(|before| !is_zeros(before))
        && body.int("/total_commits_count").and_then(|it| usize::try_from(it).ok())
            == Some(commits.len())
        && commits.iter().any(|commit| commit.text("/id") == body.text("/after"))
        && all_lists;
    let changes = ChangeSet::of(Some(&files));
    if is_whole { changes } else { changes.truncated() }
}
