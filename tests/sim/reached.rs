//! How often rare things happened: a zero would make the silence of all other checks worthless.

use std::collections::BTreeMap;

#[derive(Clone, Debug, Default)]
pub(crate) struct Reached(BTreeMap<&'static str, u64>);

impl Reached {
    const ALL: &[&str] = &[
        "affinity waited",
        "aging overtook",
        "anti-affinity kept apart",
        "asked how a need ended",
        "avoided runner took it",
        "body of live work not pruned",
        "body pruned",
        "cancel fenced",
        "cancelled in progress",
        "cancelled while running",
        "client of a poll left",
        "closed",
        "commit ambiguous",
        "commit failed",
        "completed after a cancel",
        "condition false",
        "condition true",
        "could not be planned",
        "deadline missed",
        "decided too late",
        "delivered",
        "delivery pruned",
        "fail fast",
        "failure allowed",
        "fallback pool used",
        "foreign jobs in the way",
        "given again",
        "group replaced",
        "hold given",
        "hold missed",
        "hold released by a poll",
        "join refused after a failure",
        "joined",
        "key pruned",
        "labels changed",
        "late need met",
        "late retry refused",
        "lease expired",
        "let into a group",
        "live workload not pruned",
        "matrix expanded",
        "matrix refused",
        "max_wait missed",
        "model reset",
        "model trained",
        "moved to the front",
        "need never came",
        "need of a workload met",
        "needed workload not pruned",
        "never ran",
        "no room for a decision",
        "nobody could take it",
        "overtaken",
        "pause of a pool",
        "pause of a tenant",
        "pause of a trigger",
        "pause of everything",
        "poisoned",
        "poll superseded",
        "pool cordoned",
        "pool drained",
        "pool full",
        "position kept",
        "priority changed",
        "queue timeout",
        "probe ended",
        "quota closed",
        "quota reopened",
        "raise by deadline",
        "ran always",
        "ran on failure",
        "rate reopened by its timer",
        "refused as a circle",
        "refused in its workload's group",
        "refused over a limit",
        "repeated after its body went",
        "requeued from a runner",
        "reservation made",
        "restart",
        "retried by hand",
        "retried by itself",
        "runner cordoned",
        "runner drained",
        "runner offline",
        "runner pruned",
        "runner replaced",
        "runner unhealthy",
        "runner well again",
        "run times learned",
        "skipped",
        "skipped, as nothing failed",
        "stale lease refused",
        "stopped at capacity",
        "stream ended",
        "stream told of jobs",
        "too little left",
        "wait cycle broken",
        "waited for a group",
        "waited for a resource",
        "wall clock went back",
        "workload pruned",
        "wrong nonce refused",
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
