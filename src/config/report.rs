//! `[reports]`: how others outside are told; `[source.report]`: what a source's forge is told.

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};

use super::repository_workflows::url;
use super::secret::SecretRef;
use super::section::{Reading, Section};
use super::source::SourceConfig;
use super::{ConfigError, number};
use crate::model::{ReplyOn, ReportOn};
use crate::webhook::Provider;

/// The longest context: GitHub and GitLab take 255 characters with what is added to it.
const CONTEXT_CHARS_MAX: usize = 100;

/// The section `[reports]`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReportsConfig {
    /// `public_url`: where people and forges reach this server, for links in what is told. Default none: there are
    /// no links.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "url")]
    pub public_url: Option<String>,
    /// `callback_secret`: by which calls of a `callback_url` are signed, `whsec_` and base64: `{ env = "NAME" }` or
    /// `{ file = "path" }`. Default none: a `callback_url` is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_secret: Option<SecretRef>,
    /// `private_addresses`: whether a `callback_url` may be of this machine or of a private network. Default false.
    pub private_addresses: bool,
    /// `timeout_ms`: how long one answer may take. Default 10000.
    #[serde(deserialize_with = "number::millis")]
    pub timeout_ms: i64,
    /// `backoff_ms`: how long the first try that came to nothing is rested from; doubled with each. Default 2000.
    #[serde(deserialize_with = "number::millis")]
    pub backoff_ms: i64,
    /// `backoff_max_ms`: the longest of these rests. Default 600000 (10 minutes).
    #[serde(deserialize_with = "number::millis")]
    pub backoff_max_ms: i64,
    /// `tries_max`: after how many tries something is given up. Default 30.
    #[serde(deserialize_with = "number::count")]
    pub tries_max: u32,
    /// `give_up_after_ms`: after how long something is given up. Default 86400000 (1 day).
    #[serde(deserialize_with = "number::millis")]
    pub give_up_after_ms: i64,
    /// `refresh_ms`: how often a forge is told at most why something waits still. Default 60000.
    #[serde(deserialize_with = "number::millis")]
    pub refresh_ms: i64,
    /// `at_once_max`: how many are told at once. Default 8.
    #[serde(deserialize_with = "number::count")]
    pub at_once_max: usize,
}

impl Default for ReportsConfig {
    fn default() -> Self {
        Self {
            public_url: None,
            callback_secret: None,
            private_addresses: false,
            timeout_ms: 10_000,
            backoff_ms: 2_000,
            backoff_max_ms: 600_000,
            tries_max: 30,
            give_up_after_ms: 86_400_000,
            refresh_ms: 60_000,
            at_once_max: 8,
        }
    }
}

impl Section for ReportsConfig {
    const NAME: &'static str = "reports";
}

/// What the forge of a source is told of the work that its events start.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceReportConfig {
    /// `statuses`: whether commits get a status. Default true, and false with `checks`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statuses: Option<bool>,
    /// `checks`: whether commits get a check run, which only an App of GitHub can make. Default false.
    #[serde(default)]
    pub checks: bool,
    /// `comments`: what is written to the issue or pull request: `off`, `failures`, `ends`, or `work` (that it has
    /// begun, and its end). Default `off`.
    #[serde(default)]
    pub comments: CommentsOn,
    /// `sessions`: what is told of sessions at the issue or pull request where they were started: `off`, `replies` (what
    /// the agent answers and asks, what goes wrong, and the end), or `all` (also that the agent works on it). Default
    /// `replies`.
    #[serde(default)]
    pub sessions: SessionsOn,
    /// `context`: what the names of statuses and checks begin with. Default `dispatchyard`.
    #[serde(default = "own_name", deserialize_with = "context")]
    pub context: String,
    /// `api_url`: where the forge's API is. Default that of `[source.forge]` or `[source.workflows]`, or the public
    /// one of GitHub and GitLab.
    #[serde(default, deserialize_with = "url", skip_serializing_if = "Option::is_none")]
    pub api_url: Option<String>,
    /// `token`: by whose right: `{ env = "NAME" }` or `{ file = "path" }`. Default that of `[source.forge]` or
    /// `[source.workflows]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<SecretRef>,
    /// `app_id`: the number of an App of GitHub by whose right it is, in place of `token`. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_id: Option<u64>,
    /// `private_key`: the App's private key, as GitHub gives it (PEM). Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<SecretRef>,
}

/// What is written to an issue or a pull request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CommentsOn {
    /// Nothing.
    #[default]
    Off,
    /// That it ended otherwise than well.
    Failures,
    /// Its end.
    Ends,
    /// That it has begun, and its end.
    Work,
}

impl CommentsOn {
    /// Of which phases is told; `None`: of none.
    pub fn phases(self) -> Option<ReportOn> {
        match self {
            Self::Off => None,
            Self::Failures => Some(ReportOn::Failures),
            Self::Ends => Some(ReportOn::Ends),
            Self::Work => Some(ReportOn::Work),
        }
    }
}

/// What is told of sessions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionsOn {
    /// Nothing.
    Off,
    /// What the agent answers and asks, what goes wrong, and the end.
    #[default]
    Replies,
    /// Also that the agent works on it.
    All,
}

impl SessionsOn {
    /// What is told; `None`: nothing.
    pub fn told(self) -> Option<ReplyOn> {
        match self {
            Self::Off => None,
            Self::Replies => Some(ReplyOn::Replies),
            Self::All => Some(ReplyOn::All),
        }
    }
}

impl SourceReportConfig {
    /// Whether commits get a status.
    pub fn has_statuses(&self) -> bool {
        self.statuses.unwrap_or(!self.checks)
    }

    /// Where the API of such a source is; `None` where that is said nowhere.
    pub fn api_url<'a>(&'a self, source: &'a SourceConfig) -> Option<&'a str> {
        self.api_url.as_deref().or_else(|| source.forge_api_url())
    }

    /// By which token of such a source it is.
    pub fn token<'a>(&'a self, source: &'a SourceConfig) -> Option<&'a SecretRef> {
        let own = self.token.as_ref().or_else(|| source.forge_token());
        own.filter(|_| self.app_id.is_none())
    }
}

/// Reports what is missing, or does not go together. `at` is the table's place.
pub(super) fn check(source: &SourceConfig, at: usize, reading: &mut Reading<'_>) {
    let Some(report) = source.report.as_ref().map(toml::Spanned::get_ref) else { return };
    let name = &source.name;
    let mut wrong = |key: &str, message: String, hint: &str| {
        let error = ConfigError::at(reading.file.place(at), format!("source.report{key}"), message);
        reading.errors.push(error.hint(hint));
    };
    if report.api_url(source).is_none() {
        let message = format!("where the API of the source `{name}` is must be said");
        wrong(".api_url", message, "write `api_url = \"https://HOST/api/v1\"`");
    }
    if (report.app_id.is_some() || report.private_key.is_some() || report.checks)
        && source.kind != Provider::Github
    {
        let message =
            format!("the source `{name}` of the kind `{}` has no Apps and checks", source.kind);
        wrong("", message, "leave `app_id`, `private_key` and `checks` out: they are GitHub's");
        return;
    }
    if report.app_id.is_some() != report.private_key.is_some() {
        let message = format!("an App of the source `{name}` is a number and a key");
        wrong(".app_id", message, "write both `app_id` and `private_key`");
    }
    if report.app_id.is_some() && report.token.is_some() {
        let message = format!("the source `{name}` reports by the right of a token and of an App");
        wrong(".token", message, "leave one of `token` and `app_id` out");
    }
    if report.checks && report.app_id.is_none() {
        let message = format!("the source `{name}` has `checks`, which only an App can make");
        wrong(".checks", message, "write `app_id` and `private_key`, or use `statuses`");
    }
    if report.app_id.is_none() && report.token(source).is_none() {
        let message = format!("by whose right the source `{name}` reports must be said");
        wrong(".token", message, "write `token = { env = \"NAME\" }`");
    }
}

fn own_name() -> String {
    "dispatchyard".to_owned()
}

fn context<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let context = String::deserialize(from)?;
    let is_good = (1..=CONTEXT_CHARS_MAX).contains(&context.chars().count())
        && !context.contains(char::is_control);
    match is_good {
        true => Ok(context),
        false => Err(D::Error::custom(format!(
            "`{context}` is no name of a status: 1 to {CONTEXT_CHARS_MAX} characters in one line"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, ConfigErrors};

    fn read(kind: &str, more: &str) -> Result<Config, ConfigErrors> {
        let text = format!(
            "[[source]]\nname = 'x'\ninsecure = true\nkind = '{kind}'\n[source.report]\n{more}"
        );
        Config::from_text("d.toml".as_ref(), &text, [])
    }

    #[test]
    fn a_report_by_token_tells_statuses_and_one_by_app_checks_when_asked() {
        let config = read("github", "token = { env = 'T' }").unwrap();
        let source = &config.sources[0];
        let report = source.report.as_ref().unwrap().get_ref();
        assert!(report.has_statuses() && !report.checks);
        assert_eq!(report.api_url(source), Some("https://api.github.com"));
        let app =
            "app_id = 7\nprivate_key = { file = 'key.pem' }\nchecks = true\ncomments = 'ends'";
        let config = read("github", app).unwrap();
        let report = config.sources[0].report.as_ref().unwrap().get_ref();
        assert!(!report.has_statuses() && report.checks && report.comments.phases().is_some());
        let again = Config::from_text("d.toml".as_ref(), config.effective(), []).unwrap();
        let of = |config: &Config| config.sources[0].report.clone().unwrap().into_inner();
        assert_eq!(of(&config), of(&again));
    }

    #[test]
    fn url_and_token_of_workflows_serve_for_reports_too() {
        let text = "[[source]]\nname = 'x'\ninsecure = true\nkind = 'gitea'\n[source.workflows]\n\
                    api_url = 'https://h/api/v1'\ntoken = { env = 'T' }\n[source.report]\n";
        let config = Config::from_text("d.toml".as_ref(), text, []).unwrap();
        let source = &config.sources[0];
        let report = source.report.as_ref().unwrap().get_ref();
        assert_eq!(report.api_url(source), Some("https://h/api/v1"));
        assert!(report.token(source).is_some());
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_line() {
        for (kind, more, why) in [
            ("github", "", "by whose right"),
            ("gitea", "token = { env = 'T' }", "where the API"),
            ("gitea", "token = { env = 'T' }\napi_url = 'https://h'\nchecks = true", "no Apps"),
            ("github", "checks = true\ntoken = { env = 'T' }", "only an App can make"),
            ("github", "app_id = 7", "a number and a key"),
            ("slack", "token = { env = 'T' }", "has no `report`"),
            ("github", "token = 'ghp_1'", "does not belong in the configuration"),
            ("github", "token = { env = 'T' }\ncontext = ''", "no name of a status"),
            ("github", "token = { env = 'T' }\ncomments = 'all'", "expected one of `off`"),
        ] {
            let told = read(kind, more).expect_err("wrong").to_string();
            assert!(told.contains("d.toml:") && told.contains(why), "{more}: {told}");
        }
    }
}
