//! How often rare things happened: a zero would make the silence of all other checks worthless.

use std::collections::BTreeMap;

#[derive(Clone, Debug, Default)]
pub(crate) struct Reached(BTreeMap<&'static str, u64>);

impl Reached {
    const ALL: &[&str] = &[
        "affinity waited",
        "aging overtook",
        "anti-affinity kept apart",
        "avoided runner took it",
        "cancelled while running",
        "client of a poll left",
        "commit ambiguous",
        "commit failed",
        "completed after a cancel",
        "deadline missed",
        "fallback pool used",
        "foreign jobs in the way",
        "given again",
        "hold given",
        "hold missed",
        "hold released by a poll",
        "labels changed",
        "lease expired",
        "max_wait missed",
        "moved to the front",
        "nobody could take it",
        "overtaken",
        "pause of a pool",
        "pause of a tenant",
        "pause of a trigger",
        "pause of everything",
        "poisoned",
        "poll superseded",
        "pool full",
        "position kept",
        "priority changed",
        "quota closed",
        "quota reopened",
        "raise by deadline",
        "rate reopened by its timer",
        "refused over a limit",
        "reservation made",
        "restart",
        "retried by hand",
        "retried by itself",
        "runner cordoned",
        "runner drained",
        "runner offline",
        "runner replaced",
        "skipped",
        "stale lease refused",
        "stopped at capacity",
        "too little left",
        "waited for a resource",
        "wall clock went back",
    ];

    pub(crate) fn mark(&mut self, what: &'static str) {
        assert!(Self::ALL.contains(&what), "{what} is not in the list");
        *self.0.entry(what).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (what, times) in &other.0 {
            *self.0.entry(what).or_default() += times;
        }
    }

    /// What never happened.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        Self::ALL.iter().filter(|what| !self.0.contains_key(*what)).copied().collect()
    }

    pub(crate) fn assert_all(&self) {
        let missing = self.missing();
        assert!(missing.is_empty(), "never reached: {missing:?}; reached {:?}", self.0);
    }
}
