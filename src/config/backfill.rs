//! `[source.backfill]`: deliveries that never arrived are asked for again.

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};

use super::secret::SecretRef;
use super::{executor, number};

/// How the forge of a source is asked for deliveries that never arrived.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackfillConfig {
    /// `api_url`: where the forge's API is; of GitHub Enterprise Server `https://HOST/api/v3`. Default
    /// `https://api.github.com`.
    #[serde(default = "github", deserialize_with = "url")]
    pub api_url: String,
    /// `hook`: which hook, as `repos/OWNER/NAME/hooks/ID` or `orgs/NAME/hooks/ID`. No default.
    #[serde(deserialize_with = "hook")]
    pub hook: String,
    /// `token`: who may see the hook's deliveries and have them sent again: `{ env = "NAME" }` or `{ file =
    /// "path" }`. No default.
    pub token: SecretRef,
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

fn github() -> String {
    "https://api.github.com".to_owned()
}
fn ten_seconds() -> i64 {
    10_000
}
fn three_days() -> i64 {
    259_200_000
}

fn url<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let url = String::deserialize(from)?;
    match executor::is_url_of_http(&url) {
        true => Ok(url),
        false => Err(D::Error::custom(format!("`{}` is no URL", executor::shown(&url)))),
    }
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
            _ => false,
        };
    match is_good {
        true => Ok(hook),
        false => Err(D::Error::custom(format!(
            "`{hook}` is no hook: write `repos/OWNER/NAME/hooks/ID` or `orgs/NAME/hooks/ID`, with the number at \
             the end of the hook's address"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(hook: &str) -> Result<BackfillConfig, String> {
        let text = format!("hook = '{hook}'\ntoken = {{ env = 'T' }}");
        toml::from_str(&text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_hook_is_one_of_a_repository_or_an_organisation() {
        for hook in ["repos/acme/app.js/hooks/7", "orgs/acme/hooks/123"] {
            let config = read(hook).unwrap();
            assert_eq!((config.hook.as_str(), config.on_start), (hook, false));
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
            assert!(read(hook).unwrap_err().contains("is no hook"), "{hook}");
        }
    }

    #[test]
    fn the_address_of_the_api_is_one() {
        let with = |url: &str| {
            toml::from_str::<BackfillConfig>(&format!(
                "hook = 'orgs/a/hooks/1'\ntoken = {{ env = 'T' }}\napi_url = '{url}'"
            ))
        };
        assert!(with("http://127.0.0.1:8080/api/v3").is_ok());
        let refused = with("https//ghe.test").unwrap_err();
        assert!(refused.message().contains("is no URL"), "{refused}");
    }
}
