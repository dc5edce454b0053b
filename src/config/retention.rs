//! `[retention]`: how long what is over is kept. What is live is never touched, whatever its age.

use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::number;
use super::section::{Reading, Section};

/// The section `[retention]`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// `jobs_ms`: finished workloads with their jobs, attempts, outputs and records, and records about
    /// no workload. Default 7776000000 (90 days), about what a report may span.
    #[serde(deserialize_with = "number::age")]
    pub jobs_ms: i64,
    /// `sessions_ms`: sessions of agents that ended, with what was said in them. Default 7776000000 (90
    /// days).
    #[serde(deserialize_with = "number::age")]
    pub sessions_ms: i64,
    /// `logs_ms`: what the jobs of finished workloads wrote; never longer than the jobs themselves.
    /// Default 2592000000 (30 days).
    #[serde(deserialize_with = "number::age")]
    pub logs_ms: i64,
    /// `delivery_bodies_ms`: bodies of deliveries, as they were received; without them a delivery is
    /// shown and cannot be replayed. Default 1209600000 (14 days).
    #[serde(deserialize_with = "number::age")]
    pub delivery_bodies_ms: i64,
    /// `deliveries_ms`: deliveries with what triggers said of them; one is kept as long as a workload
    /// that it started is. Default 7776000000 (90 days).
    #[serde(deserialize_with = "number::age")]
    pub deliveries_ms: i64,
    /// `dedupe_keys_ms`: the ids of deliveries that keep a repeated one from starting work again. Longer
    /// than `delivery_bodies_ms`. Default 15552000000 (180 days).
    #[serde(deserialize_with = "number::age")]
    pub dedupe_keys_ms: i64,
    /// `idempotency_keys_ms`: the keys that clients gave with submissions. Default 2592000000 (30 days).
    #[serde(deserialize_with = "number::age")]
    pub idempotency_keys_ms: i64,
    /// `gone_runners_ms`: a runner that was not heard of for so long, while this server ran, leaves the
    /// list; one that is cordoned or draining stays. Default 604800000 (7 days).
    #[serde(deserialize_with = "number::age")]
    pub gone_runners_ms: i64,
    /// `database_bytes_max`: over it the oldest finished workloads, sessions and deliveries go before their
    /// time, down to the last hour. Keys are kept. Default: no limit.
    #[serde(
        deserialize_with = "number::optional_database_bytes",
        skip_serializing_if = "Option::is_none"
    )]
    pub database_bytes_max: Option<u64>,
    /// `prune_interval_ms`: how often what is old is looked for. Default 60000.
    #[serde(deserialize_with = "number::millis")]
    pub prune_interval_ms: i64,
    /// `prune_rows_max`: rows of one transaction that prunes; between two of them others have their
    /// turn. One large workload may be more. Default 1000.
    #[serde(deserialize_with = "number::rows")]
    pub prune_rows_max: usize,
}

const DAY_MS: i64 = 86_400_000;

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            jobs_ms: 90 * DAY_MS,
            sessions_ms: 90 * DAY_MS,
            logs_ms: 30 * DAY_MS,
            delivery_bodies_ms: 14 * DAY_MS,
            deliveries_ms: 90 * DAY_MS,
            dedupe_keys_ms: 180 * DAY_MS,
            idempotency_keys_ms: 30 * DAY_MS,
            gone_runners_ms: 7 * DAY_MS,
            database_bytes_max: None,
            prune_interval_ms: 60_000,
            prune_rows_max: 1_000,
        }
    }
}

impl Section for RetentionConfig {
    const NAME: &'static str = "retention";
}

/// Reports what contradicts itself.
pub(super) fn check(retention: &RetentionConfig, reading: &mut Reading<'_>) {
    let RetentionConfig { delivery_bodies_ms, dedupe_keys_ms, .. } = retention;
    if dedupe_keys_ms > delivery_bodies_ms {
        return;
    }
    // Blame the one that was written; where both were, the keys.
    let key = ["retention.dedupe_keys_ms", "retention.delivery_bodies_ms"]
        .into_iter()
        .find(|key| reading.origins.contains_key(*key))
        .unwrap_or("retention.dedupe_keys_ms");
    let message = format!(
        "dedupe_keys_ms {dedupe_keys_ms} is not longer than delivery_bodies_ms \
         {delivery_bodies_ms}: a delivery that is sent again would start its work again while the \
         first one is still there"
    );
    let hint = format!("write `dedupe_keys_ms = {}` or more", 2 * delivery_bodies_ms);
    let error = ConfigError::new(reading.origin(key), key, message).hint(hint);
    reading.errors.push(error);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::Config;

    fn refusal(text: &str) -> String {
        Config::from_text(Path::new("d.toml"), text, []).expect_err("it is wrong").to_string()
    }

    #[test]
    fn keys_that_do_not_outlive_the_bodies_are_refused() {
        insta::assert_snapshot!(
            refusal("[retention]\ndelivery_bodies = \"30d\"\ndedupe_keys = \"30d\""),
            @"
        d.toml:3:1: `retention.dedupe_keys_ms`: dedupe_keys_ms 2592000000 is not longer than delivery_bodies_ms 2592000000: a delivery that is sent again would start its work again while the first one is still there
          hint: write `dedupe_keys_ms = 5184000000` or more
        "
        );
        let said = refusal("[retention]\ndelivery_bodies = \"400d\"");
        assert!(said.contains("d.toml:2:1: `retention.delivery_bodies_ms`"), "{said}");
    }

    #[test]
    fn an_age_that_is_a_slip_of_the_unit_is_refused() {
        let said = refusal("[retention]\njobs_ms = 90");
        assert!(said.contains("an hour at least and ten years at most"), "{said}");
        let said = refusal("[retention]\ndatabase_bytes_max = 10");
        assert!(said.contains("from 2097152 to"), "{said}");
    }
}
