//! `[source.backfill]`: deliveries that never arrived are asked for again.

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::number;
use super::repository_workflows::url;
use super::secret::SecretRef;
use super::section::Reading;
use super::source::SourceConfig;

/// How the forge of a source is asked for deliveries that never arrived.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackfillConfig {
    /// `api_url`: where the forge's API is; of GitHub Enterprise Server `https://HOST/api/v3`. Default
    /// `https://api.github.com`.
    #[serde(default, deserialize_with = "url", skip_serializing_if = "Option::is_none")]
    pub api_url: Option<String>,
    /// `hook`: which hook, as `repos/OWNER/NAME/hooks/ID` or `orgs/NAME/hooks/ID`, or `app` for that of an App. No
    /// default.
    #[serde(deserialize_with = "hook")]
    pub hook: String,
    /// `token`: who may see the hook's deliveries and have them sent again: `{ env = "NAME" }` or `{ file =
    /// "path" }`. Every hook but an App's needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<SecretRef>,
    /// `app_id`: the number of the App whose hook it is. Default that of `[source.report]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_id: Option<u64>,
    /// `private_key`: the App's private key, as GitHub gives it (PEM). Default that of `[source.report]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<SecretRef>,
    /// `timeout_ms`: how long one answer may take. Default 10000.
    #[serde(default = "ten_seconds", deserialize_with = "number::millis")]
    pub timeout_ms: i64,
    /// `on_start`: whether it is done when a server starts, or takes over, for the time since the last delivery
    /// arrived. Default false.
    #[serde(default)]
    pub on_start: bool,
    /// `since_max_ms`: how far back is looked at most. GitHub keeps three days. Default 259200000 (3 days).
    #[serde(default = "three_days", deserialize_with = "number::millis")]
    pub since_max_ms: i64,
}

/// What stands for the hook of an App.
const APP: &str = "app";

/// By whose right a hook is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BackfillRight<'a> {
    /// That of a token.
    Token(&'a SecretRef),
    /// That of an App: its number and its key.
    App(u64, &'a SecretRef),
}

impl BackfillConfig {
    /// Where the forge's API is.
    pub fn api_url(&self) -> &str {
        self.api_url.as_deref().unwrap_or("https://api.github.com")
    }

    /// Where the hook is below that.
    pub fn path(&self) -> &str {
        if self.hook == APP { "app/hook" } else { &self.hook }
    }

    /// By whose right of such a source the hook is asked for; `None` where that is said nowhere.
    pub fn right<'a>(&'a self, source: &'a SourceConfig) -> Option<BackfillRight<'a>> {
        if self.hook != APP {
            return self.token.as_ref().map(BackfillRight::Token);
        }
        let report = source.report.as_ref().map(toml::Spanned::get_ref);
        let app_id = self.app_id.or_else(|| report?.app_id)?;
        let key = self.private_key.as_ref().or_else(|| report?.private_key.as_ref())?;
        Some(BackfillRight::App(app_id, key))
    }
}

/// Reports what is missing, or does not go together. `at` is the table's place.
pub(super) fn check(source: &SourceConfig, at: usize, reading: &mut Reading<'_>) {
    let Some(backfill) = source.backfill.as_ref().map(toml::Spanned::get_ref) else { return };
    let name = &source.name;
    let mut wrong = |key: &str, message: String, hint: &str| {
        let error =
            ConfigError::at(reading.file.place(at), format!("source.backfill.{key}"), message);
        reading.errors.push(error.hint(hint));
    };
    let is_app = backfill.hook == APP;
    if is_app && backfill.token.is_some() {
        let message =
            format!("the hook of the App of the source `{name}` is asked for by the App alone");
        wrong("token", message, "write `app_id` and `private_key` in its place");
    }
    if !is_app && (backfill.app_id.is_some() || backfill.private_key.is_some()) {
        let message = format!("the hook of the source `{name}` is not that of an App");
        wrong("app_id", message, "write `hook = \"app\"`, or `token` in the place of these");
    }
    if backfill.right(source).is_none() {
        let message =
            format!("by whose right the hook of the source `{name}` is asked for must be said");
        match is_app {
            true => wrong("app_id", message, "write `app_id` and `private_key`"),
            false => wrong("token", message, "write `token = { env = \"NAME\" }`"),
        }
    }
}

fn ten_seconds() -> i64 {
    10_000
}
fn three_days() -> i64 {
    259_200_000
}

fn hook<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let hook = String::deserialize(from)?;
    let is_plain = |part: &str| {
        !part.is_empty()
            && !part.bytes().all(|byte| byte == b'.')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<_> = hook.split('/').collect();
    let is_good = parts.iter().all(|part| is_plain(part))
        && match parts.as_slice() {
            ["repos", _, _, "hooks", id] | ["orgs", _, "hooks", id] => is_number(id),
            [only] => *only == APP,
            _ => false,
        };
    match is_good {
        true => Ok(hook),
        false => Err(D::Error::custom(format!(
            "`{hook}` is no hook: write `repos/OWNER/NAME/hooks/ID` or `orgs/NAME/hooks/ID`, with the number at \
             the end of the hook's address, or `app`"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, ConfigErrors};
    use super::*;

    fn read(lines: &str) -> Result<Config, ConfigErrors> {
        let text = format!(
            "[[source]]\nname = 'gh'\ninsecure = true\n{lines}\n[source.workflows]\ntoken = {{ env = 'W' }}"
        );
        Config::from_text("d.toml".as_ref(), &text, [])
    }

    fn refusal(backfill: &str) -> String {
        read(&format!("[source.backfill]\n{backfill}")).expect_err("wrong").to_string()
    }

    #[test]
    fn a_hook_is_one_of_a_repository_an_organisation_or_an_app() {
        for hook in ["repos/acme/app.js/hooks/7", "orgs/acme/hooks/123"] {
            let config =
                read(&format!("[source.backfill]\nhook = '{hook}'\ntoken = {{ env = 'T' }}"));
            let config = config.unwrap_or_else(|error| panic!("{error}"));
            let source = &config.sources[0];
            let backfill = source.backfill.as_ref().unwrap().get_ref();
            assert_eq!((backfill.path(), backfill.on_start), (hook, false));
            let token = SecretRef::Env("T".to_owned());
            assert_eq!(backfill.right(source), Some(BackfillRight::Token(&token)));
        }
        for hook in [
            "",
            "7",
            "app/hook",
            "repos/acme/app/hooks/seven",
            "repos/../app/hooks/7",
            "repos/acme/app/hooks/7/deliveries",
            "/repos/acme/app/hooks/7",
            "repos/acme/a b/hooks/7",
        ] {
            let told = refusal(&format!("hook = '{hook}'\ntoken = {{ env = 'T' }}"));
            assert!(told.contains("is no hook"), "{hook}: {told}");
        }
    }

    #[test]
    fn an_app_asks_for_its_own_hook_by_its_key_alone() {
        let key = SecretRef::Env("K".to_owned());
        let own = "[source.backfill]\nhook = 'app'\napp_id = 7\nprivate_key = { env = 'K' }";
        let of_report = "[source.report]\napp_id = 7\nprivate_key = { env = 'K' }\n\
                         [source.backfill]\nhook = 'app'";
        for lines in [own, of_report] {
            let config = read(lines).unwrap_or_else(|error| panic!("{error}"));
            let source = &config.sources[0];
            let backfill = source.backfill.as_ref().unwrap().get_ref();
            assert_eq!(backfill.path(), "app/hook");
            assert_eq!(backfill.right(source), Some(BackfillRight::App(7, &key)));
        }
        for (lines, why) in [
            ("hook = 'app'", "write `app_id` and `private_key`"),
            ("hook = 'app'\napp_id = 7", "write `app_id` and `private_key`"),
            ("hook = 'app'\ntoken = { env = 'T' }", "is asked for by the App alone"),
            ("hook = 'orgs/a/hooks/1'", "write `token = { env = \"NAME\" }`"),
            ("hook = 'orgs/a/hooks/1'\ntoken = { env = 'T' }\napp_id = 7", "is not that of an App"),
        ] {
            let told = refusal(lines);
            assert!(told.contains("d.toml:4") && told.contains(why), "{lines}: {told}");
        }
    }

    #[test]
    fn the_address_of_the_api_is_one() {
        let with = |url: &str| {
            format!("hook = 'orgs/a/hooks/1'\ntoken = {{ env = 'T' }}\napi_url = '{url}'")
        };
        let good = format!("[source.backfill]\n{}", with("http://127.0.0.1:8080/api/v3"));
        assert!(read(&good).is_ok());
        let told = refusal(&with("https//ghe.test"));
        assert!(told.contains("is no URL"), "{told}");
    }
}
