//! What an operator should know of who may start what.

use super::Config;
use crate::trigger::{AllowConfig, Approve, RuleConfig};

impl Config {
    /// Conditions that can never be met, or that protect less than they look like.
    pub(super) fn guard_warnings(&self) -> Vec<String> {
        let mut found = Vec::new();
        for rule in self.triggers.iter().map(toml::Spanned::get_ref) {
            let Some(allow) = rule.allow.as_ref().map(toml::Spanned::get_ref) else { continue };
            self.warn_of_senders(rule, allow, &mut found);
            let open = self.open_pools();
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

    fn warn_of_senders(&self, rule: &RuleConfig, allow: &AllowConfig, found: &mut Vec<String>) {
        let name = rule.name.get_ref();
        let wanted = |it: &str| rule.source.as_deref().is_none_or(|source| source == it);
        for source in self.sources.iter().filter(|source| wanted(&source.name)) {
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
        Config::from_text("d.toml".as_ref(), &text, []).unwrap().guard_warnings()
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
