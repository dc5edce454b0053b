//! What `cordon`, `uncordon` and `drain` are about: one runner, or a pool.

use super::CliError;
use super::client::{Answer, Client};
use super::console::Console;
use super::{pauses, runners};
use crate::api::wire::{PoolChanged, PoolPatch, RunnerPatch};
use crate::model::RunnerId;

/// One runner, or a pool.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Target {
    Runner(RunnerId),
    Pool(String),
}

impl std::str::FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("pool:") {
            Some("") => Err("write the pool's name behind `pool:`".to_owned()),
            Some(name) => Ok(Self::Pool(name.to_owned())),
            None => text
                .parse()
                .map(Self::Runner)
                .map_err(|_| format!("`{text}` is neither the number of a runner nor pool:NAME")),
        }
    }
}

/// What is to become of it; what is absent stays.
#[derive(Clone, Debug, Default)]
pub(super) struct Wish {
    pub(super) cordoned: Option<bool>,
    pub(super) draining: Option<bool>,
    pub(super) reason: Option<String>,
}

impl Target {
    pub(super) async fn patch(&self, client: &Client, wish: Wish) -> Result<Answer, CliError> {
        let Wish { cordoned, draining, reason } = wish;
        match self {
            Self::Runner(id) => {
                let patch = RunnerPatch { capabilities: None, cordoned, draining, reason };
                client.patch(&["runners", &id.to_string()], &patch).await
            }
            Self::Pool(name) => {
                let patch = PoolPatch { cordoned, draining, reason };
                client.patch(&["pools", name], &patch).await
            }
        }
    }

    /// Shows how it is after that.
    pub(super) fn show(&self, answer: &Answer, console: &mut Console) -> Result<(), CliError> {
        match self {
            Self::Runner(_) => console.show(answer, |runner, _| runners::one(runner)),
            Self::Pool(_) => console.show(answer, |changed, _| pool(changed)),
        }
    }
}

fn pool(changed: &PoolChanged) -> String {
    let paused = changed.paused.as_ref();
    let PoolChanged { pool, runners, .. } = changed;
    let head = paused.map_or_else(|| format!("pool:{pool} gives out jobs"), pauses::sentence);
    format!("{head}\nrunners: {}", runners.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_number_or_a_pool() {
        assert_eq!("7".parse(), Ok(Target::Runner(RunnerId(7))));
        assert_eq!("pool:gpu".parse(), Ok(Target::Pool("gpu".to_owned())));
        for wrong in ["gpu", "pool:", "tenant:acme", ""] {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_pool_says_whether_it_gives_out_jobs() {
        let changed = PoolChanged {
            pool: "gpu".to_owned(),
            paused: None,
            runners: vec![RunnerId(1), RunnerId(2)],
        };
        assert_eq!(pool(&changed), "pool:gpu gives out jobs\nrunners: 2");
    }
}
