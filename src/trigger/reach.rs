//! Sound triggers that can never start anything.
//!
//! Each filter for itself is what somebody may mean; together they leave nothing. What is found is
//! certain, and there is more that is not found: whether two patterns have a name in common is not
//! asked.

use super::{EventFilter, PatternList, RuleConfig};

/// What filters together leave nothing of, one sentence each, with the place under the trigger.
pub fn contradictions(config: &RuleConfig) -> Vec<String> {
    let mut found = Vec::new();
    for (event, filter) in &config.on.0 {
        let EventFilter {
            branches, branches_ignore, tags, tags_ignore, paths, paths_ignore, ..
        } = filter;
        let list = |texts: &[toml::Spanned<String>]| {
            // One that is refused is told elsewhere.
            PatternList::compile(texts.iter().map(|it| it.get_ref().as_str())).ok()
        };
        for (key, texts) in [("branches", branches), ("tags", tags), ("paths", paths)] {
            let list = texts.as_deref().and_then(list);
            if list.is_some_and(|list| list.takes_all_back()) {
                found.push(format!(
                    "on.{event}.{key} matches nothing: patterns with `!` take back all that those \
                     before them mean"
                ));
            }
        }
        let ignored = [
            ("branches-ignore", branches_ignore),
            ("tags-ignore", tags_ignore),
            ("paths-ignore", paths_ignore),
        ];
        for (key, texts) in ignored {
            let list = texts.as_deref().and_then(list);
            if list.is_some_and(|list| list.means_all()) {
                found.push(format!("on.{event}.{key} ignores everything"));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(filters: &str) -> String {
        let text = format!("name = 't'\nworkflow = 'w'\n[on.push]\n{filters}");
        contradictions(&toml::from_str(&text).unwrap()).join("\n")
    }

    #[test]
    fn filters_that_leave_nothing_are_found() {
        insta::assert_snapshot!(found("branches = ['main', '!main']"), @"on.push.branches matches nothing: patterns with `!` take back all that those before them mean");
        insta::assert_snapshot!(found("paths-ignore = ['docs/**', '**']"), @"on.push.paths-ignore ignores everything");
        for taken in
            ["['a/b', '!a/**']", "['rel-*', '!rel-*']", "['a*', 'b', '!**']", "['v1', '!v[12]']"]
        {
            assert!(found(&format!("tags = {taken}")).contains("matches nothing"), "{taken}");
        }
        for left in
            ["['main', '!dev']", "['a/**', '!a/b']", "['!main', 'main']", "['a', '!a', 'a']"]
        {
            assert_eq!(found(&format!("branches = {left}")), "", "{left}");
        }
        for left in ["['**', '!main']", "['*']", "['docs/**']"] {
            assert_eq!(found(&format!("branches-ignore = {left}")), "", "{left}");
        }
    }
}
