//! Triggers that no event can reach, and what they look at that no event of theirs has.

use super::Config;
use crate::trigger::{RuleConfig, contradictions};
use crate::webhook::Provider;

/// The kinds of events that GitHub sends to webhooks:
/// <https://docs.github.com/webhooks/webhook-events-and-payloads>. `ping` is answered and asks no
/// trigger.
#[rustfmt::skip]
const GITHUB: &[&str] = &[
    "branch_protection_configuration", "branch_protection_rule", "check_run", "check_suite",
    "code_scanning_alert", "commit_comment", "create", "custom_property", "custom_property_values",
    "delete", "dependabot_alert", "deploy_key", "deployment", "deployment_protection_rule",
    "deployment_review", "deployment_status", "discussion", "discussion_comment", "fork",
    "github_app_authorization", "gollum", "installation", "installation_repositories",
    "installation_target", "issue_comment", "issue_dependencies", "issues", "label",
    "marketplace_purchase", "member", "membership", "merge_group", "meta", "milestone",
    "org_block", "organization", "package", "page_build", "personal_access_token_request",
    "project", "project_card", "project_column", "projects_v2", "projects_v2_item",
    "projects_v2_status_update", "public", "pull_request", "pull_request_review",
    "pull_request_review_comment", "pull_request_review_thread", "push", "registry_package",
    "release", "repository", "repository_advisory", "repository_dispatch", "repository_import",
    "repository_ruleset", "repository_vulnerability_alert", "secret_scanning_alert",
    "secret_scanning_alert_location", "secret_scanning_scan", "security_advisory",
    "security_and_analysis", "sponsorship", "star", "status", "sub_issues", "team", "team_add",
    "watch", "workflow_dispatch", "workflow_job", "workflow_run",
];

/// Names of GitHub's that GitLab's deliveries get.
const GITLAB: [&str; 10] = [
    "push",
    "pull_request",
    "pull_request_review",
    "pull_request_review_comment",
    "issues",
    "issue_comment",
    "commit_comment",
    "release",
    "workflow_run",
    "workflow_job",
];

/// Names of GitHub's that Bitbucket's deliveries get.
const BITBUCKET: [&str; 7] = [
    "push",
    "pull_request",
    "pull_request_review",
    "pull_request_review_comment",
    "issues",
    "issue_comment",
    "commit_comment",
];

/// Kinds that are about an issue or a pull request, which alone have labels.
const LABELLED: [&str; 7] = [
    "issues",
    "issue_comment",
    "pull_request",
    "pull_request_review",
    "pull_request_review_comment",
    "pull_request_review_thread",
    "sub_issues",
];

/// The source of what is started by hand.
const BY_HAND: &str = "cli";

impl Config {
    /// What is odd about triggers: none of it keeps a server from starting.
    pub(super) fn unreachable_triggers(&self) -> Vec<String> {
        let of = |rule: &RuleConfig| {
            let mut found = contradictions(rule);
            found.extend(
                rule.source.as_deref().map(|name| self.foreign(rule, name)).unwrap_or_default(),
            );
            let name = rule.name.get_ref().clone();
            let place = self.place(rule.name.span().start);
            found.into_iter().map(move |text| format!("{place}: the trigger `{name}`: {text}"))
        };
        self.triggers.iter().flat_map(|rule| of(rule.get_ref()).collect::<Vec<_>>()).collect()
    }

    /// What the events of the one source never are.
    fn foreign(&self, rule: &RuleConfig, source: &str) -> Vec<String> {
        if source == BY_HAND {
            let text = "what is started by hand asks no trigger: `dispatchyard run WORKFLOW`";
            return vec![text.to_owned()];
        }
        let source = self.sources.iter().find(|known| known.name == source);
        // Events of the API are what their senders call them.
        let Some(kind) = source.map(|source| source.kind) else { return Vec::new() };
        let mut found = Vec::new();
        // Times come from no source.
        for (event, _) in rule.on.0.iter().filter(|(event, _)| event != "schedule") {
            if never_sends(kind, event) {
                found.push(format!("a source of the kind `{kind}` sends no event `{event}`"));
            } else if kind == Provider::Github
                && rule.labels.is_some()
                && !LABELLED.contains(&event.as_str())
            {
                found.push(format!("it wants labels, and `{event}` events have none"));
            }
        }
        found
    }
}

/// Whether events of a provider never have a name. GitHub's names are known, and which of them the
/// deliveries of GitLab and Bitbucket get (docs/sources.md); what these call their own may come.
fn never_sends(kind: Provider, event: &str) -> bool {
    let of_github = GITHUB.contains(&event);
    match kind {
        Provider::Github => !of_github,
        Provider::Gitlab => of_github && !GITLAB.contains(&event),
        Provider::Bitbucket => of_github && !BITBUCKET.contains(&event),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(trigger: &str) -> String {
        let text = format!(
            "[[source]]\nname = 'gh'\ninsecure = true\n[[source]]\nname = 'gl'\nkind = 'gitlab'\n\
             insecure = true\n[[trigger]]\nname = 't'\nworkflow = 'w'\n{trigger}"
        );
        Config::from_text("d.toml".as_ref(), text, []).unwrap().unreachable_triggers().join("\n")
    }

    #[test]
    fn triggers_that_no_event_reaches_are_told_with_their_place() {
        insta::assert_snapshot!(found("source = 'gh'\non = ['push', 'pull_requests']"), @"d.toml:9:8: the trigger `t`: a source of the kind `github` sends no event `pull_requests`");
        insta::assert_snapshot!(found("source = 'cli'\non = 'workflow_dispatch'"), @"d.toml:9:8: the trigger `t`: what is started by hand asks no trigger: `dispatchyard run WORKFLOW`");
        insta::assert_snapshot!(found("source = 'gh'\nlabels = ['x']\non = ['push', 'issues']"), @"d.toml:9:8: the trigger `t`: it wants labels, and `push` events have none");
        insta::assert_snapshot!(found("[trigger.on.push]\nbranches = ['a', '!a']"), @"d.toml:9:8: the trigger `t`: on.push.branches matches nothing: patterns with `!` take back all that those before them mean");
    }

    #[test]
    fn another_forge_lacks_some_of_githubs_events() {
        let told = found("source = 'gl'\non = ['push', 'star', 'wiki_page']");
        assert!(told.ends_with("a source of the kind `gitlab` sends no event `star`"), "{told}");
    }

    #[test]
    fn what_may_come_is_not_told() {
        for trigger in [
            "source = 'gh'\non = ['push', 'star']",
            "source = 'api'\non = 'nightly'",
            "on = 'nightly'",
            "labels = ['x']\non = 'push'",
        ] {
            assert_eq!(found(trigger), "", "{trigger}");
        }
    }
}
