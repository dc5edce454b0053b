//! What is old. Pure.

use crate::config::RetentionConfig;
use crate::model::{DeliveryId, PrunedSession};
use crate::store::{Extent, OldSession};

/// What ended or came in so lately is never pruned for its size: somebody may be looking at it.
const SIZE_SPARES_MS: i64 = 3_600_000;
/// A database that is too large loses this part of the time that it keeps, then is looked at again.
const SIZE_CUT_PART: i64 = 20;
/// Where free pages cannot be seen: the growth after which it is cut again, as a part of its limit.
const SIZE_GROWTH_PART: u64 = 100;

/// Up to which moment each kind of thing is old, wall milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cutoffs {
    /// Workloads that ended by then.
    pub workloads_ms: i64,
    /// Logs of workloads that ended by then.
    pub logs_ms: i64,
    /// Bodies of deliveries that were received by then.
    pub bodies_ms: i64,
    /// Deliveries that were received by then.
    pub deliveries_ms: i64,
    /// Keys of deliveries that were claimed by then.
    pub dedupe_keys_ms: i64,
    /// Keys of submissions that were claimed by then.
    pub idempotency_keys_ms: i64,
    /// Records about no workload that were made by then.
    pub records_ms: i64,
    /// Sessions that ended by then.
    pub sessions_ms: i64,
}

impl Cutoffs {
    /// By age alone.
    pub fn at(config: &RetentionConfig, wall_ms: i64) -> Self {
        let before = |age_ms: i64| wall_ms.saturating_sub(age_ms);
        Self {
            workloads_ms: before(config.jobs_ms),
            logs_ms: before(config.logs_ms.min(config.jobs_ms)),
            bodies_ms: before(config.delivery_bodies_ms),
            // A delivery stays as long as what it started, so a younger one need not be looked at.
            deliveries_ms: before(config.deliveries_ms.max(config.jobs_ms)),
            dedupe_keys_ms: before(config.dedupe_keys_ms),
            idempotency_keys_ms: before(config.idempotency_keys_ms),
            records_ms: before(config.jobs_ms),
            sessions_ms: before(config.sessions_ms),
        }
    }

    /// By size too: history up to `cut_ms` goes, whatever its age. Keys stay.
    pub(super) fn or_up_to(self, cut_ms: i64) -> Self {
        Self {
            workloads_ms: self.workloads_ms.max(cut_ms),
            bodies_ms: self.bodies_ms.max(cut_ms),
            deliveries_ms: self.deliveries_ms.max(cut_ms),
            sessions_ms: self.sessions_ms.max(cut_ms),
            ..self
        }
    }
}

/// When a database that is too large is cut.
///
/// SQLite tells how many pages are in use, so it is cut until that is below the limit. PostgreSQL tells
/// what its files take, which does not fall when rows go: there it is cut once, and again when it has
/// grown all the same. Cutting until the files are small would forget everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct SizeWatch {
    /// The size at the last cut, where free pages cannot be seen.
    cut_at_bytes: Option<u64>,
}

impl SizeWatch {
    /// Up to which moment history is to go now; `None`: the database is small enough, or nothing is
    /// left that may go.
    pub(super) fn cut_ms(&self, extent: &Extent, bytes_max: u64, wall_ms: i64) -> Option<i64> {
        let grown = self.cut_at_bytes.is_none_or(|at_bytes| {
            extent.tells_free || extent.used_bytes > at_bytes + bytes_max / SIZE_GROWTH_PART
        });
        if extent.used_bytes <= bytes_max || !grown {
            return None;
        }
        let oldest_ms =
            [extent.oldest_end_ms, extent.oldest_delivery_ms].into_iter().flatten().min()?;
        let kept_ms = wall_ms.saturating_sub(SIZE_SPARES_MS).saturating_sub(oldest_ms);
        (kept_ms >= 0).then(|| oldest_ms + kept_ms / SIZE_CUT_PART + 1)
    }

    /// A cut was made when the database was so large.
    pub(super) fn cut(&mut self, extent: &Extent) {
        self.cut_at_bytes = Some(extent.used_bytes);
    }
}

/// The smallest id that a delivery of that moment can have, as its time is its beginning.
pub(super) fn first_id_at(wall_ms: i64) -> DeliveryId {
    let millis = u128::from(wall_ms.max(0).unsigned_abs()).min((1 << 48) - 1);
    DeliveryId(uuid::Uuid::from_u128(millis << 80))
}

/// What goes in one batch of `rows_max` rows: the first sessions that fit whole, or a piece of the first one.
pub(super) fn pieces(page: &[OldSession], rows_max: usize) -> Vec<PrunedSession> {
    let many = fitting(page.iter().map(|it| piece(it, it.last).messages() + 1), rows_max);
    let mut pieces: Vec<_> = page.iter().take(many).map(|it| piece(it, it.last)).collect();
    if let [one] = &mut pieces[..]
        && one.messages() + 1 > rows_max as u64
    {
        // At least one goes, or this would never end.
        one.up_to = one.first + i64::try_from(rows_max.max(1)).unwrap_or(i64::MAX) - 1;
        one.whole = false;
    }
    pieces
}

fn piece(it: &OldSession, up_to: i64) -> PrunedSession {
    PrunedSession { id: it.id, ended_at_ms: it.ended_at_ms, first: it.first, up_to, whole: true }
}

/// How many of the first have no more rows together than fit into a batch: one at least.
pub(super) fn fitting(rows: impl Iterator<Item = u64>, rows_max: usize) -> usize {
    let mut sum = 0_u64;
    let fits = |rows: &u64| {
        sum = sum.saturating_add(*rows);
        sum <= rows_max as u64
    };
    rows.take_while(fits).count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{OsEntropy, uuid_v7};
    use crate::model::{Now, SessionId};

    const DAY_MS: i64 = 86_400_000;

    #[test]
    fn each_kind_is_old_at_its_own_age() {
        let config = RetentionConfig { jobs_ms: 10 * DAY_MS, ..RetentionConfig::default() };
        let cutoffs = Cutoffs::at(&config, 1_000 * DAY_MS);
        assert_eq!(cutoffs.workloads_ms, 990 * DAY_MS);
        assert_eq!(cutoffs.logs_ms, 990 * DAY_MS, "a log goes with its job at the latest");
        assert_eq!(cutoffs.bodies_ms, 986 * DAY_MS);
        assert_eq!(cutoffs.dedupe_keys_ms, 820 * DAY_MS);
        let long = RetentionConfig { jobs_ms: 200 * DAY_MS, ..config };
        let cutoffs = Cutoffs::at(&long, 1_000 * DAY_MS);
        assert_eq!(cutoffs.deliveries_ms, 800 * DAY_MS, "a delivery stays with what it started");
    }

    #[test]
    fn a_cut_by_size_leaves_keys_and_never_keeps_what_is_old_anyway() {
        let by_age = Cutoffs::at(&RetentionConfig::default(), 1_000 * DAY_MS);
        let cut = by_age.or_up_to(995 * DAY_MS);
        assert_eq!((cut.workloads_ms, cut.bodies_ms), (995 * DAY_MS, 995 * DAY_MS));
        assert_eq!(cut.dedupe_keys_ms, by_age.dedupe_keys_ms);
        assert_eq!(by_age.or_up_to(0), by_age);
    }

    fn extent(used_bytes: u64, tells_free: bool) -> Extent {
        Extent { used_bytes, tells_free, oldest_end_ms: Some(0), ..Extent::default() }
    }

    #[test]
    fn a_database_that_is_too_large_is_cut_step_by_step_down_to_the_last_hour() {
        let watch = SizeWatch::default();
        let wall_ms = SIZE_SPARES_MS + 2_000;
        assert_eq!(watch.cut_ms(&extent(100, true), 100, wall_ms), None);
        assert_eq!(watch.cut_ms(&extent(101, true), 100, wall_ms), Some(101));
        assert_eq!(watch.cut_ms(&extent(101, true), 100, SIZE_SPARES_MS - 1), None);
        let empty = Extent { oldest_end_ms: None, ..extent(101, true) };
        assert_eq!(watch.cut_ms(&empty, 100, wall_ms), None);
    }

    #[test]
    fn files_that_do_not_shrink_are_cut_again_only_when_they_have_grown() {
        let mut watch = SizeWatch::default();
        let wall_ms = SIZE_SPARES_MS + 2_000;
        assert!(watch.cut_ms(&extent(1_001, false), 1_000, wall_ms).is_some());
        watch.cut(&extent(1_001, false));
        assert_eq!(watch.cut_ms(&extent(1_011, false), 1_000, wall_ms), None);
        assert!(watch.cut_ms(&extent(1_012, false), 1_000, wall_ms).is_some());
        assert!(watch.cut_ms(&extent(1_001, true), 1_000, wall_ms).is_some(), "these do");
    }

    #[test]
    fn ids_of_deliveries_are_bounded_by_their_time() {
        let id = |wall_ms| DeliveryId(uuid_v7(Now { mono_ms: 0, wall_ms }, &mut OsEntropy));
        let at_ms = 1_700_000_000_000;
        assert!(first_id_at(at_ms) <= id(at_ms) && id(at_ms) < first_id_at(at_ms + 1));
        assert!(first_id_at(-5) <= first_id_at(0));
    }

    #[test]
    fn a_session_that_is_too_long_goes_in_pieces_and_short_ones_together() {
        let old = |id, first, last| OldSession { id: SessionId(id), ended_at_ms: 7, first, last };
        let told = |pieces: Vec<PrunedSession>| -> Vec<_> {
            pieces.iter().map(|it| (it.id.0, it.first, it.up_to, it.whole)).collect()
        };
        let page = [old(1, 1, 3), old(2, 6, 5), old(3, 1, 9)];
        assert_eq!(told(pieces(&page, 5)), [(1, 1, 3, true), (2, 6, 5, true)]);
        assert_eq!(told(pieces(&page[2..], 5)), [(3, 1, 5, false)]);
        assert_eq!(told(pieces(&[old(3, 6, 9)], 5)), [(3, 6, 9, true)]);
        assert_eq!(told(pieces(&[old(3, 5, 9)], 5)), [(3, 5, 9, false)]);
        assert_eq!(told(pieces(&[old(3, 10, 9)], 5)), [(3, 10, 9, true)], "its row alone");
        assert_eq!(told(pieces(&[], 5)), []);
    }

    #[test]
    fn a_batch_has_one_workload_at_least() {
        assert_eq!(fitting([900, 100, 1].into_iter(), 1_000), 2);
        assert_eq!(fitting([5_000, 1].into_iter(), 1_000), 1);
    }
}
