//! `[source.forge]`: how the forge of a source is asked.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::repository_workflows::{RepositoryWorkflowsConfig, url};
use super::secret::SecretRef;
use super::section::Reading;
use super::source::SourceConfig;
use super::{ConfigError, number};
use crate::webhook::Provider;

/// How the forge of a source is asked, as for what somebody may do with a repository. What is not said of its address
/// and its token is as in `workflows` of the source, and the other way round.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForgeConfig {
    /// `api_url`: where the forge's API is, as `https://HOST/api/v1` of Gitea and Forgejo, which must say it. Default
    /// `https://api.github.com` and `https://gitlab.com/api/v4`.
    #[serde(default, deserialize_with = "url", skip_serializing_if = "Option::is_none")]
    pub api_url: Option<String>,
    /// `token`: by whose right: `{ env = "NAME" }` or `{ file = "path" }`. Default none, which forges do not tell of
    /// anybody's permission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<SecretRef>,
    /// `timeout_ms`: how long one answer may take. Default 10000.
    #[serde(default = "ten_seconds", deserialize_with = "number::millis")]
    pub timeout_ms: i64,
    /// `permission_kept_ms`: how long an answer about a permission is good. Default 60000.
    #[serde(default = "one_minute", deserialize_with = "number::millis")]
    pub permission_kept_ms: i64,
    /// `give_up_after_ms`: for how long a forge that does not answer is asked again; then the delivery is failed, and
    /// can be replayed. Default 86400000 (1 day).
    #[serde(default = "one_day", deserialize_with = "number::millis")]
    pub give_up_after_ms: i64,
}

fn ten_seconds() -> i64 {
    10_000
}
fn one_minute() -> i64 {
    60_000
}
fn one_day() -> i64 {
    86_400_000
}

impl Default for ForgeConfig {
    fn default() -> Self {
        Self {
            api_url: None,
            token: None,
            timeout_ms: ten_seconds(),
            permission_kept_ms: one_minute(),
            give_up_after_ms: one_day(),
        }
    }
}

impl SourceConfig {
    /// How its forge is asked, if it may be: also where only its workflow files are spoken of.
    pub fn asked_forge(&self) -> Option<ForgeConfig> {
        match (&self.forge, &self.workflows) {
            (Some(forge), _) => Some(forge.get_ref().clone()),
            (None, Some(workflows)) => {
                let workflows = workflows.get_ref();
                Some(ForgeConfig {
                    timeout_ms: workflows.timeout_ms,
                    give_up_after_ms: workflows.give_up_after_ms,
                    ..ForgeConfig::default()
                })
            }
            (None, None) => None,
        }
    }

    /// Where the API of its forge is; `None` where that is not said and no public one is meant.
    pub fn forge_api_url(&self) -> Option<&str> {
        let forge = self.forge.as_ref().and_then(|it| it.get_ref().api_url.as_deref());
        forge
            .or_else(|| self.workflows.as_ref()?.get_ref().api_url.as_deref())
            .or(self.public_api())
    }

    /// By whose right it is asked: what is said of it, or of its workflow files.
    pub fn forge_token(&self) -> Option<&SecretRef> {
        let forge = self.forge.as_ref().and_then(|it| it.get_ref().token.as_ref());
        forge.or_else(|| self.workflows.as_ref()?.get_ref().token.as_ref())
    }

    /// The same, for its workflow files.
    pub fn workflows_api_url(&self) -> Option<&str> {
        let workflows = self.workflows.as_ref().and_then(|it| it.get_ref().api_url.as_deref());
        workflows
            .or_else(|| self.forge.as_ref()?.get_ref().api_url.as_deref())
            .or(self.public_api())
    }

    fn public_api(&self) -> Option<&'static str> {
        match self.kind {
            Provider::Github => Some("https://api.github.com"),
            Provider::Gitlab => Some("https://gitlab.com/api/v4"),
            _ => None,
        }
    }
}

/// Reports where it is not said where the forge of a source is.
pub(super) fn check(source: &SourceConfig, reading: &mut Reading<'_>) {
    let (kind, start) = (source.kind, |span: Option<Range<usize>>| span.map(|span| span.start));
    let workflows = source.workflows.as_ref().filter(|_| source.workflows_api_url().is_none());
    let forge = source.forge.as_ref().filter(|_| source.forge_api_url().is_none());
    let unsaid = [
        ("workflows", workflows.map(Spanned::span)),
        ("forge", forge.map(Spanned::span).filter(|_| workflows.is_none())),
    ];
    for (key, span) in unsaid {
        let Some(at) = start(span).filter(|_| RepositoryWorkflowsConfig::is_for(kind)) else {
            continue;
        };
        let place = reading.file.place(at);
        let message = format!("where the API of the source `{}` is must be said", source.name);
        let error = ConfigError::at(place, format!("source.{key}.api_url"), message);
        reading.errors.push(error.hint("write `api_url = \"https://HOST/api/v1\"`"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    fn read(kind: &str, more: &str) -> Result<Config, String> {
        let text = format!("[[source]]\nname = 'x'\ninsecure = true\nkind = '{kind}'\n{more}");
        Config::from_text("d.toml".as_ref(), &text, []).map_err(|error| error.to_string())
    }

    #[test]
    fn an_address_is_said_once_for_both() {
        for (kind, more, forge, workflows) in [
            ("github", "[source.forge]", "https://api.github.com", "https://api.github.com"),
            (
                "gitea",
                "[source.forge]\napi_url = 'https://f/1'\n[source.workflows]",
                "https://f/1",
                "https://f/1",
            ),
            ("gitea", "[source.workflows]\napi_url = 'https://w/1'", "https://w/1", "https://w/1"),
            (
                "gitlab",
                "[source.forge]\napi_url = 'https://f/1'\n[source.workflows]\napi_url = 'https://w/1'",
                "https://f/1",
                "https://w/1",
            ),
        ] {
            let config = read(kind, more).unwrap();
            let source = &config.sources[0];
            let urls = (source.forge_api_url().unwrap(), source.workflows_api_url().unwrap());
            assert_eq!(urls, (forge, workflows), "{kind} {more}");
            assert_eq!(source.asked_forge().unwrap().permission_kept_ms, 60_000);
        }
        assert_eq!(read("github", "").unwrap().sources[0].asked_forge(), None);
    }

    #[test]
    fn a_forge_that_cannot_be_asked_is_refused() {
        for (kind, more, why) in [
            ("slack", "[source.forge]", "has no `forge`"),
            ("gitea", "[source.forge]", "write `api_url = \"https://HOST/api/v1\"`"),
            ("github", "[source.forge]\napi_url = 'x'", "`x` is no URL"),
            ("github", "[source.forge]\ntoken = 'ghp_1'", "does not belong in the configuration"),
        ] {
            let told = read(kind, more).unwrap_err();
            assert!(told.contains(why), "{more}: {told}");
        }
    }

    #[test]
    fn the_effective_configuration_is_read_back_the_same() {
        let more = "own_identity = [7, 'our-bot[bot]']\nforge = { token = { env = 'T' }, permission_kept_ms = 5 }\n\
                    [teams]\ncore = [1, 'octo', 'id:U1']";
        let first = read("github", more).unwrap();
        let again = Config::from_text("d.toml".as_ref(), first.effective(), []).unwrap();
        let of = |config: &Config| {
            let source = &config.sources[0];
            let forge = source.forge.clone().unwrap().into_inner();
            (forge, source.own_identity.clone(), config.teams.clone())
        };
        assert_eq!(of(&first), of(&again));
        assert_eq!(first.teams["core"].len(), 3);
    }
}
