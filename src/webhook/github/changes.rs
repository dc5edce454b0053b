//! Which files a push changed, as far as its payload can be believed to be whole.
//!
//! A push lists its commits and the paths of each, but not always all of them. Running work that a
//! path filter would have spared is cheap; sparing work that should have run is not. So the list
//! is complete only when nothing speaks against it.
//! <https://docs.github.com/en/webhooks/webhook-events-and-payloads#push>

use std::collections::BTreeSet;

use super::body::{Body, Commit};
use crate::event::ChangeSet;

/// The documented limit of `commits`, and that of older releases of GitHub Enterprise Server: a
/// list of just this length may have been cut.
const COMMITS_LIMITS: [usize; 2] = [2_048, 20];

/// The files of a push.
pub(super) fn of_push(body: &Body<'_>) -> ChangeSet {
    if body.deleted.0 == Some(true) {
        return ChangeSet::Complete(Vec::new());
    }
    // A tag changes no files, and what its commits list was pushed before or with a branch.
    if body.git_ref.as_str().is_none_or(|name| !name.starts_with("refs/heads/")) {
        return ChangeSet::Unknown;
    }
    let Some(commits) = body.commits.as_ref() else { return ChangeSet::Unknown };
    let commits: Vec<_> = commits.iter().map(|commit| commit.as_ref()).collect();
    // A branch that moved to commits that were there already (a new branch, a reset) lists none.
    if commits.is_empty() {
        return ChangeSet::Unknown;
    }
    let files: BTreeSet<&str> = commits.iter().copied().flatten().flat_map(files).collect();
    let files: Vec<_> = files.into_iter().collect();
    let changes = ChangeSet::of(Some(&files));
    if is_whole(body, &commits) { changes } else { changes.truncated() }
}

/// Whether nothing speaks against the list: a new branch is compared with nothing that the
/// payload names, a forced push does not list what it took away, and a list that was cut has too
/// few commits, one of its limit's lengths, or another end than the push.
fn is_whole(body: &Body<'_>, commits: &[Option<&Commit<'_>>]) -> bool {
    let newly_made = body.created.0 != Some(false);
    let forced = body.forced.0 != Some(false);
    let cut = COMMITS_LIMITS.contains(&commits.len())
        || commits.len() > COMMITS_LIMITS[0]
        || body.size.0.is_some_and(|size| usize::try_from(size) != Ok(commits.len()));
    let last = commits.last().copied().flatten().and_then(|commit| commit.id.as_str());
    let ends_elsewhere = last.is_none() || last != body.after.as_str();
    !(newly_made || forced || cut || ends_elsewhere) && commits.iter().all(lists_its_files)
}

fn lists_its_files(commit: &Option<&Commit<'_>>) -> bool {
    commit.is_some_and(|commit| {
        [&commit.added, &commit.removed, &commit.modified].into_iter().all(|list| {
            list.as_ref().is_some_and(|paths| paths.iter().all(|path| path.as_str().is_some()))
        })
    })
}

fn files<'c>(commit: &'c Commit<'_>) -> impl Iterator<Item = &'c str> {
    [&commit.added, &commit.removed, &commit.modified]
        .into_iter()
        .filter_map(|list| list.as_ref())
        .flatten()
        .filter_map(|path| path.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::github::lenient::Maybe;
    use serde_json::{Value, json};

    fn commit(id: &str, file: &str) -> Value {
        json!({"id": id, "added": [], "removed": [], "modified": [file]})
    }

    fn push(commits: &Value) -> Value {
        json!({
            "ref": "refs/heads/main", "after": "c2",
            "created": false, "deleted": false, "forced": false, "commits": commits,
        })
    }

    fn two() -> Value {
        push(&json!([commit("c1", "a"), commit("c2", "b")]))
    }

    fn changed(key: &str, value: Value) -> Value {
        let mut push = two();
        push[key] = value;
        push
    }

    fn of(push: &Value) -> ChangeSet {
        let text = push.to_string();
        let body: Maybe<Body<'_>> = serde_json::from_str(&text).unwrap();
        of_push(&body.0.unwrap())
    }

    #[test]
    fn all_files_of_all_commits_are_complete_each_once() {
        let files = ChangeSet::Complete(vec!["a".into(), "b".into()]);
        assert_eq!(of(&two()), files);
        assert_eq!(of(&changed("size", json!(2))), files);
        let repeated = push(&json!([commit("c0", "b"), commit("c1", "a"), commit("c2", "b")]));
        assert_eq!(of(&repeated), files);
    }

    #[test]
    fn a_list_that_something_speaks_against_is_truncated() {
        let truncated = ChangeSet::Truncated(vec!["a".into(), "b".into()]);
        for (key, value) in [
            ("created", json!(true)),
            ("created", json!(null)),
            ("forced", json!(true)),
            ("forced", json!("no")),
            ("size", json!(3)),
            ("size", json!(-1)),
            ("after", json!("c3")),
            ("after", json!(null)),
        ] {
            assert_eq!(of(&changed(key, value.clone())), truncated, "{key} {value}");
        }
    }

    #[test]
    fn a_list_of_a_limits_length_is_truncated() {
        for (count, whole) in
            [(19, true), (20, false), (21, true), (2_047, true), (2_048, false), (2_049, false)]
        {
            let mut commits = vec![commit("c1", "a"); count - 1];
            commits.push(commit("c2", "b"));
            let changes = of(&push(&Value::Array(commits)));
            assert_eq!(matches!(changes, ChangeSet::Complete(_)), whole, "{count} commits");
        }
    }

    #[test]
    fn a_commit_without_its_lists_makes_it_truncated() {
        for odd in [json!({"id": "c2"}), json!({"id": "c2", "added": "b"}), json!(3)] {
            let changes = of(&push(&json!([commit("c1", "a"), odd])));
            assert_eq!(changes, ChangeSet::Truncated(vec!["a".into()]));
        }
    }

    #[test]
    fn without_commits_the_files_are_unknown() {
        for commits in [json!([]), json!(null), json!({})] {
            assert_eq!(of(&push(&commits)), ChangeSet::Unknown);
        }
        assert_eq!(of(&changed("ref", json!("refs/tags/v1"))), ChangeSet::Unknown);
    }

    #[test]
    fn a_deleted_branch_changed_no_files() {
        let mut deleted = changed("deleted", json!(true));
        deleted["commits"] = json!([]);
        assert_eq!(of(&deleted), ChangeSet::Complete(Vec::new()));
    }
}
