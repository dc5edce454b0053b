//! A scheduling policy of one's own: first come, first served, unless a tenant has had clearly more
//! than another.
//!
//! `priority` compares shares to the millisecond, so tenants with little to do take turns whatever
//! the order in which their jobs came. Here shares are compared in slices: inside a slice age
//! decides. Registered by key; a pool of that `scheduling_policy` uses it. Run it with
//! `cargo run --example scheduling_policy`; the simulator (`tests/sim/own_policies.rs`) plays whole
//! worlds with it.

use dispatchyard::model::{ClassId, JobId, JobPriority, TenantId};
use dispatchyard::queue::{LaneHead, Rank, SchedulingPolicies, SchedulingPolicy};

/// Level, then slices of the share, then age.
#[derive(Debug)]
pub(crate) struct CoarseShare {
    /// How much of the runners' time, at weight 1, makes a difference; at least 1.
    pub(crate) slice_ms: u64,
}

impl CoarseShare {
    /// The key under which a pool asks for it.
    pub(crate) const KEY: &'static str = "coarse_share";
    /// Virtual time of one millisecond at weight 1.
    const TIME_PER_MS: u64 = 1_000;
}

impl SchedulingPolicy for CoarseShare {
    fn rank(&self, head: &LaneHead) -> Rank {
        // Slices grow with virtual time, so a rank only gets worse by it: the queue relies on that.
        let slice = head.virtual_time / (self.slice_ms.max(1) * Self::TIME_PER_MS);
        // Of equal ranks the smaller lane key goes first, which is the age.
        [head.level as u64, slice, 0]
    }
}

/// The head of a lane of a tenant that had so much of the runners' time.
fn head(job: i64, had_ms: u64, queued_at_ms: i64) -> LaneHead {
    LaneHead {
        job_id: JobId(job),
        class_id: ClassId(1),
        tenant_id: TenantId(job),
        level: JobPriority::Normal,
        lane_key: queued_at_ms,
        virtual_time: had_ms * CoarseShare::TIME_PER_MS,
        runners: 1,
    }
}

#[expect(clippy::print_stdout, reason = "an example shows its result")]
pub(crate) fn main() {
    // `AppOptions::scheduling_policies` takes these to a server.
    let mut policies = SchedulingPolicies::standard();
    policies.register(CoarseShare::KEY, CoarseShare { slice_ms: 60_000 });
    let order = |key: &str| {
        let policy = policies.get(key).expect("it is registered");
        let mut heads = [head(1, 50_000, 10), head(2, 40_000, 20), head(3, 900_000, 0)];
        heads.sort_by_key(|head| (policy.rank(head), head.lane_key, head.job_id));
        heads.map(|head| head.job_id.0)
    };
    println!(
        "priority: {:?}, {}: {:?}",
        order("priority"),
        CoarseShare::KEY,
        order("coarse_share")
    );
    assert_eq!(order("priority"), [2, 1, 3], "who had least, to the millisecond");
    assert_eq!(order("coarse_share"), [1, 2, 3], "the older of two that had about the same");
}
