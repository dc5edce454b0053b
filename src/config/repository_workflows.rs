//! `[source.workflows]`: the workflow files of the repositories themselves.

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::secret::SecretRef;
use super::{executor, number};
use crate::trigger::AllowConfig;
use crate::webhook::Provider;

/// How the forge of a source is asked for the workflow files of its repositories.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepositoryWorkflowsConfig {
    /// `api_url`: where the forge's API is, as `https://HOST/api/v1` of Gitea and Forgejo, which must say it. Default
    /// `https://api.github.com` and `https://gitlab.com/api/v4`.
    #[serde(default, deserialize_with = "url", skip_serializing_if = "Option::is_none")]
    pub api_url: Option<String>,
    /// `token`: who may read the repositories: `{ env = "NAME" }` or `{ file = "path" }`. Default that of `forge`, or none:
    /// public repositories alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<SecretRef>,
    /// `folder`: where in a repository the files are. Default `.github/workflows`, of Gitea and Forgejo
    /// `.gitea/workflows`, of GitLab `.gitlab/workflows`.
    #[serde(default, deserialize_with = "folder", skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// `timeout_ms`: how long one answer may take. Default 10000.
    #[serde(default = "ten_seconds", deserialize_with = "number::millis")]
    pub timeout_ms: i64,
    /// `files_max`: the most workflow files of a repository; with more none is started. Default 50.
    #[serde(default = "fifty", deserialize_with = "number::count")]
    pub files_max: usize,
    /// `give_up_after_ms`: for how long a forge that does not answer is asked again; then the delivery is failed, and
    /// can be replayed. Default 86400000 (1 day).
    #[serde(default = "one_day", deserialize_with = "number::millis")]
    pub give_up_after_ms: i64,
    /// `allow`: who may start these files, as `allow` of a trigger. Default everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow: Option<Spanned<AllowConfig>>,
}

fn ten_seconds() -> i64 {
    10_000
}
fn fifty() -> usize {
    50
}
fn one_day() -> i64 {
    86_400_000
}

impl RepositoryWorkflowsConfig {
    /// Whether repositories of such a source can be asked.
    pub fn is_for(kind: Provider) -> bool {
        matches!(kind, Provider::Github | Provider::Gitea | Provider::Forgejo | Provider::Gitlab)
    }

    /// Where in a repository the files are.
    pub fn folder(&self, kind: Provider) -> &str {
        let usual = match kind {
            Provider::Gitea | Provider::Forgejo => ".gitea/workflows",
            Provider::Gitlab => ".gitlab/workflows",
            _ => ".github/workflows",
        };
        self.folder.as_deref().unwrap_or(usual)
    }
}

pub(super) fn url<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let url = String::deserialize(from)?;
    match executor::is_url_of_http(&url) {
        true => Ok(Some(url)),
        false => Err(D::Error::custom(format!("`{}` is no URL", executor::shown(&url)))),
    }
}

fn folder<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let folder = String::deserialize(from)?;
    let is_plain = |part: &str| {
        !matches!(part, "" | "." | "..") && !part.contains(|it: char| it == '\\' || it.is_control())
    };
    match folder.split('/').all(is_plain) {
        true => Ok(Some(folder)),
        false => Err(D::Error::custom(format!(
            "`{folder}` is no folder of a repository: write it from its top, as `.github/workflows`"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, ConfigErrors};

    fn read(kind: &str, more: &str) -> Result<Config, ConfigErrors> {
        let text = format!(
            "[[source]]\nname = 'x'\ninsecure = true\nkind = '{kind}'\n[source.workflows]\n{more}"
        );
        Config::from_text("d.toml".as_ref(), &text, [])
    }

    fn refusal(kind: &str, more: &str) -> String {
        read(kind, more).expect_err("wrong").to_string()
    }

    #[test]
    fn each_forge_has_its_api_and_its_folder() {
        for (kind, api_url, folder) in [
            ("github", "https://api.github.com", ".github/workflows"),
            ("gitlab", "https://gitlab.com/api/v4", ".gitlab/workflows"),
        ] {
            let config = read(kind, "").unwrap_or_else(|error| panic!("{error}"));
            let source = &config.sources[0];
            let workflows = source.workflows.as_ref().unwrap().get_ref();
            assert_eq!(source.workflows_api_url(), Some(api_url));
            assert_eq!(workflows.folder(source.kind), folder);
            assert_eq!((workflows.files_max, workflows.give_up_after_ms), (50, 86_400_000));
        }
        for kind in ["gitea", "forgejo"] {
            let config = read(kind, "api_url = 'https://forge.test/api/v1'").unwrap();
            let workflows = config.sources[0].workflows.as_ref().unwrap().get_ref();
            assert_eq!(workflows.folder(config.sources[0].kind), ".gitea/workflows");
            assert!(refusal(kind, "").contains("write `api_url = \"https://HOST/api/v1\"`"));
        }
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_line() {
        for (kind, line, why) in [
            ("slack", "", "has no `workflows`"),
            ("bitbucket", "", "has no `workflows`"),
            ("github", "folder = '../x'", "`../x` is no folder of a repository"),
            ("github", "folder = '/x'", "is no folder of a repository"),
            ("github", "api_url = 'ghe.test'", "`ghe.test` is no URL"),
            ("github", "token = 'ghp_1'", "does not belong in the configuration"),
            ("github", "files_max = 0", "0 is out of range"),
            ("github", "branch = 'main'", "branch"),
        ] {
            let told = refusal(kind, line);
            assert!(told.contains("d.toml:") && told.contains(why), "{line}: {told}");
        }
    }

    #[test]
    fn an_insecure_source_with_files_of_repositories_is_for_this_machine_alone() {
        let config = read("github", "").unwrap();
        assert!(config.check_exposure().is_ok());
        assert!(config.warnings().iter().any(|it| it.contains("whose files run here")));
        let text = "[server]\nlisten = '0.0.0.0:1'\n[access]\nadmin_tokens = [{ env = 'A' }]\n\
                    [[source]]\nname = 'x'\ninsecure = true\n[source.workflows]";
        let open = Config::from_text("d.toml".as_ref(), text, []).unwrap();
        let told = open.check_exposure().unwrap_err().to_string();
        assert!(told.contains("`source.workflows`") && told.contains("any repository"), "{told}");
        let signed = text.replace("insecure = true", "secrets = [{ env = 'S' }]");
        let signed = Config::from_text("d.toml".as_ref(), &signed, []).unwrap();
        assert!(signed.check_exposure().is_ok());
    }

    #[test]
    fn the_effective_configuration_is_read_back_the_same() {
        let more =
            "api_url = 'https://h/api/v3'\ntoken = { env = 'T' }\nfolder = 'ci'\nfiles_max = 3";
        let first = read("github", more).unwrap();
        let again = Config::from_text("d.toml".as_ref(), first.effective(), []).unwrap();
        let of = |config: &Config| config.sources[0].workflows.clone().unwrap().into_inner();
        assert_eq!(of(&first), of(&again));
    }
}
