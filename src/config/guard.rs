//! What an operator should know of who may start what.

use super::{Config, SourceConfig};
use crate::model::Member;
use crate::trigger::{AllowConfig, Approve, EventFilter, RuleConfig};
use crate::webhook::Provider;

/// What somebody without rights in a repository can cause, under GitHub's names.
const OF_STRANGERS: &[&str] = &[
    "pull_request",
    "pull_request_target",
    "pull_request_review",
    "pull_request_review_comment",
    "issues",
    "issue_comment",
    "commit_comment",
    "discussion",
    "discussion_comment",
    "fork",
    "star",
    "watch",
    "workflow_run",
    "message",
    "note",
];

/// Activities that take a right in the repository: what is left to a trigger that wants these alone.
const OF_ITS_OWN: &[&str] =
    &["labeled", "unlabeled", "assigned", "unassigned", "milestoned", "demilestoned"];

/// Whether strangers can cause what a trigger wants of a kind.
fn is_of_strangers(kind: &str, filter: &EventFilter) -> bool {
    let is_own = |name: &str| OF_ITS_OWN.contains(&name);
    let own = filter.types.as_ref().is_some_and(|all| all.iter().all(|it| is_own(it.get_ref())));
    OF_STRANGERS.contains(&kind) && !own
}

/// Whether others than its own people can cause events of a source.
fn has_strangers(kind: Provider) -> bool {
    !matches!(kind, Provider::StandardWebhooks | Provider::Hmac)
}

/// Whether people of a source go by names that others can take: it says who they are by number or id alone.
fn has_nicknames(kind: Provider) -> bool {
    matches!(kind, Provider::Slack | Provider::Discord | Provider::Telegram | Provider::Mattermost)
}

/// Whether a trigger looks at the events of a source.
fn is_of(rule: &RuleConfig, source: &SourceConfig) -> bool {
    rule.source.as_deref().is_none_or(|wanted| wanted == source.name)
}

fn names(members: &[Member]) -> bool {
    !members.is_empty()
}

/// Whether it lets in accounts by their numbers or names.
fn accounts(allow: &AllowConfig) -> bool {
    allow.actors.as_deref().is_some_and(names) || allow.teams.is_some()
}

/// What of the conditions lets in nobody who writes in a chat.
fn of_nobody_in_chats(name: &str, allow: &AllowConfig) -> Vec<String> {
    let all = [&allow.actors, &allow.approvers].into_iter().flatten().flatten().chain(&allow.bots);
    let logins: Vec<_> = all.filter(|it| matches!(it, Member::Login(_))).collect();
    let mut found = Vec::new();
    if let Some(first) = logins.first() {
        found.push(format!(
            "the trigger `{name}` names {} of a chat by what they are called, `{first}` first, which others can be \
             called too, so it lets in nobody: write the number, or `id:` and the id",
            logins.len()
        ));
    }
    let of_forges = [
        ("associations", allow.associations.is_some()),
        ("permission", allow.permission.is_some()),
    ];
    for (key, _) in of_forges.into_iter().filter(|(_, is_there)| *is_there) {
        found.push(format!(
            "the trigger `{name}` lets in by `{key}`, which no chat tells: it lets in nobody by that"
        ));
    }
    found
}

impl Config {
    /// Conditions that can never be met, or that protect less than they look like.
    ///
    /// `triggers` are those of the configuration and of its workflow files.
    pub fn guard_warnings(&self, triggers: &[RuleConfig]) -> Vec<String> {
        let (mut found, open) = (Vec::new(), self.open_pools());
        for rule in triggers {
            let Some(allow) = rule.allow.as_ref().map(toml::Spanned::get_ref) else {
                found.extend(self.open_to_strangers(rule, &open));
                continue;
            };
            self.warn_of_senders(rule, allow, &mut found);
            if allow.forks && allow.approval == Approve::Never && !open.is_empty() {
                found.push(format!(
                    "the trigger `{}` runs what forks propose without an approval, on runners of {}: \
                     `accepts_untrusted = false` closes a pool to it",
                    rule.name.get_ref(),
                    open.join(", ")
                ));
            }
        }
        found
    }

    /// What strangers can start of a trigger that lets in everybody, and where that runs.
    fn open_to_strangers(&self, rule: &RuleConfig, open: &[String]) -> Option<String> {
        let kinds = rule.on.0.iter().filter(|(kind, filter)| is_of_strangers(kind, filter));
        let kinds: Vec<_> = kinds.map(|(kind, _)| kind.as_str()).collect();
        let mut sources = self.sources.iter().filter(|it| is_of(rule, it));
        if kinds.is_empty() || open.is_empty() || !sources.any(|it| has_strangers(it.kind)) {
            return None;
        }
        let what = match &rule.agent {
            Some(_) => "its agent reads what strangers write",
            None => "strangers start it",
        };
        let (kinds, open) = (kinds.join(", "), open.join(", "));
        let name = rule.name.get_ref();
        let is_file = !self.triggers.iter().any(|it| it.get_ref().name.get_ref() == name);
        let file = rule.workflow.as_ref().filter(|_| is_file).map(toml::Spanned::get_ref);
        Some(match file {
            Some(file) => format!(
                "the workflow file `{file}` is started by whoever causes {kinds}, strangers too, on runners of {open}; \
                 say who may with a `[[trigger]]` of its own and `allow`, or close pools with \
                 `accepts_untrusted = false`"
            ),
            None => format!(
                "the trigger `{name}` has no `allow`: {what} by {kinds}, on runners of {open}; say who may with \
                 `allow`, or close pools with `accepts_untrusted = false`"
            ),
        })
    }

    fn warn_of_senders(&self, rule: &RuleConfig, allow: &AllowConfig, found: &mut Vec<String>) {
        let name = rule.name.get_ref();
        let sources: Vec<_> = self.sources.iter().filter(|source| is_of(rule, source)).collect();
        if rule.source.is_none() && sources.len() > 1 && (names(&allow.bots) || accounts(allow)) {
            found.push(format!(
                "the trigger `{name}` lets in accounts and names no `source`: who has such a number or login at any of \
                 {} sources is let in; write `source`",
                sources.len()
            ));
        }
        if !sources.is_empty() && sources.iter().all(|source| has_nicknames(source.kind)) {
            found.extend(of_nobody_in_chats(name, allow));
        }
        for source in sources {
            if source.insecure {
                found.push(format!(
                    "the trigger `{name}` lets in only some, and the source `{}` is insecure: anybody can say who \
                     they are",
                    source.name
                ));
            }
            if allow.permission.is_some() && source.asked_forge().is_none() {
                found.push(format!(
                    "the trigger `{name}` asks for a permission that nobody can be asked for: the source `{}` has no \
                     `[source.forge]`",
                    source.name
                ));
            }
        }
    }

    /// The pools that take work which is not trusted.
    fn open_pools(&self) -> Vec<String> {
        let is_open = |name: &str| self.pools.get(name).is_none_or(|pool| pool.accepts_untrusted);
        let others = self.pools.keys().map(String::as_str).filter(|name| *name != "default");
        let all = std::iter::once("default").chain(others);
        all.filter(|name| is_open(name)).map(|name| format!("`{name}`")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(source: &str, allow: &str, more: &str) -> Vec<String> {
        let text = format!(
            "[[source]]\nname = 'gh'\n{source}\n[[trigger]]\nname = 't'\non = 'push'\nworkflow = 'w'\n\
             allow = {{ {allow} }}\n{more}"
        );
        of_text(&text)
    }

    fn of_text(text: &str) -> Vec<String> {
        let config = Config::from_text("d.toml".as_ref(), text, []).unwrap();
        let triggers: Vec<_> = config.triggers.iter().map(|it| it.get_ref().clone()).collect();
        config.guard_warnings(&triggers)
    }

    #[test]
    fn a_trigger_that_lets_in_everybody_is_named_where_strangers_can_start_it() {
        let of = |kind: &str, on: &str, starts: &str, more: &str| {
            of_text(&format!(
                "[[source]]\nname = 's'\nkind = '{kind}'\nsecrets = [{{ env = 'S' }}]\n[[trigger]]\nname = 't'\n\
                 on = {on}\n{starts}\n{more}"
            ))
        };
        let flow = "workflow = 'w'";
        let told = of("github", "['push', 'issues', 'pull_request']", flow, "");
        assert_eq!(
            told,
            [
                "the trigger `t` has no `allow`: strangers start it by issues, pull_request, on runners of `default`; say \
              who may with `allow`, or close pools with `accepts_untrusted = false`"
            ]
        );
        let agent = "agent = { profile = 'p', prompt = 'x' }";
        let told = of("github", "'issue_comment'", agent, "");
        assert!(
            told[0].contains("its agent reads what strangers write by issue_comment"),
            "{told:?}"
        );
        let closed = "[agent_pools.default]\naccepts_untrusted = false";
        for (kind, on, more) in [
            ("github", "'push'", ""),
            ("hmac", "'issues'", ""),
            ("github", "{ issues = { types = ['labeled'] } }", ""),
            ("github", "'issues'", closed),
        ] {
            assert_eq!(of(kind, on, flow, more), [""; 0], "{kind} {on}");
        }
    }

    #[test]
    fn accounts_without_their_source_are_told() {
        let source =
            |name: &str| format!("[[source]]\nname = '{name}'\nsecrets = [{{ env = 'S' }}]\n");
        let of = |sources: &str, rest: &str| {
            of_text(&format!(
                "{sources}[teams]\ncore = [1]\n[[trigger]]\nname = 't'\non = 'push'\nworkflow = 'w'\n{rest}"
            ))
        };
        let (one, two) = (source("a"), format!("{}{}", source("a"), source("b")));
        let told = of(&two, "allow = { teams = ['core'] }");
        assert!(told[0].contains("names no `source`") && told[0].contains("2 sources"), "{told:?}");
        assert_eq!(of(&two, "allow = { bots = ['x[bot]'] }").len(), 1);
        assert_eq!(of(&two, "source = 'a'\nallow = { actors = [1] }"), [""; 0]);
        assert_eq!(of(&two, "allow = { forks = false }"), [""; 0]);
        assert_eq!(of(&one, "allow = { actors = [1] }"), [""; 0]);
    }

    #[test]
    fn people_of_chats_who_are_named_by_their_nicknames_are_told() {
        let of = |source: &str, allow: &str| {
            of_text(&format!(
                "[[source]]\nname = 'chat'\nkind = 'slack'\nsecrets = [{{ env = 'S' }}]\n[[source]]\nname = 'gh'\n\
                 secrets = [{{ env = 'S' }}]\n[[trigger]]\nname = 't'\nsource = '{source}'\non = 'app_mention'\n\
                 workflow = 'w'\nallow = {{ {allow} }}"
            ))
        };
        let told = of("chat", "actors = ['id:U1', 'ada', 'bob']");
        assert!(
            told[0].contains("names 2 of a chat by what they are called, `ada` first"),
            "{told:?}"
        );
        assert_eq!(of("chat", "actors = ['id:U1'], approvers = ['ada']").len(), 1);
        assert!(
            of("chat", "associations = ['OWNER']")[0].contains("`associations`, which no chat")
        );
        assert_eq!(of("chat", "actors = ['id:U1', 7]"), [""; 0]);
        assert_eq!(of("gh", "actors = ['ada']"), [""; 0]);
    }

    #[test]
    fn conditions_that_protect_nothing_are_told() {
        let secure = "secrets = [{ env = 'S' }]";
        assert_eq!(warnings(secure, "actors = [1]", ""), [""; 0]);
        let told = warnings("insecure = true", "actors = [1]", "");
        assert!(told[0].contains("anybody can say who they are"), "{told:?}");
        let told = warnings(secure, "permission = 'write'", "");
        assert!(told[0].contains("the source `gh` has no `[source.forge]`"), "{told:?}");
        let forge = format!("{secure}\nforge = {{}}");
        assert_eq!(warnings(&forge, "permission = 'write'", ""), [""; 0]);
        let told =
            warnings(secure, "forks = true", "[agent_pools.safe]\naccepts_untrusted = false");
        assert!(told[0].contains("on runners of `default`: "), "{told:?}");
        assert_eq!(warnings(secure, "forks = true, approval = 'untrusted'", ""), [""; 0]);
        let closed = "[agent_pools.default]\naccepts_untrusted = false";
        assert_eq!(warnings(secure, "forks = true", closed), [""; 0]);
    }
}
