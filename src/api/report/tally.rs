//! Adds up what ended, in memory that depends on the number of names and not on that of rows.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use hdrhistogram::Histogram;

use crate::api::wire::{Percentiles, ReportBy, ReportFigures, ReportRow, SlaFigures};
use crate::model::{JobStateKind, PoolId, TenantId};
use crate::store::{EndedAttempt, EndedJob, Names};

/// The most names of one kind that are told apart.
const NAMES_MAX: usize = 1_000;
/// What comes after them.
const OTHERS: &str = "(others)";
/// Durations are kept to within a hundredth.
const DIGITS: u8 = 2;
/// The longest duration that is told from longer ones: a year.
const LONGEST_MS: u64 = 366 * 24 * 3_600_000;
const MS_PER_HOUR: u128 = 3_600_000;

/// The figures of one span, as a whole and by what was asked for.
pub(super) struct Tally {
    total: Figures,
    tenants: Option<Groups<Option<TenantId>>>,
    pools: Option<Groups<Option<PoolId>>>,
    triggers: Option<Groups<Box<str>>>,
}

impl Tally {
    /// Nothing yet; by all three when `by` does not choose one.
    pub(super) fn new(by: Option<ReportBy>) -> Self {
        let wanted = |kind| by.is_none_or(|by| by == kind);
        Self {
            total: Figures::new(),
            tenants: wanted(ReportBy::Tenant).then(Groups::default),
            pools: wanted(ReportBy::Pool).then(Groups::default),
            triggers: wanted(ReportBy::Trigger).then(Groups::default),
        }
    }

    /// Adds an attempt, and the end of its job if it was that.
    pub(super) fn attempt(&mut self, row: &EndedAttempt) {
        let keys = (row.tenant_id, Some(row.pool_id), &*row.trigger);
        self.each(keys, |figures| figures.attempt(row));
    }

    /// Adds the end of a job that came without an attempt.
    pub(super) fn job(&mut self, row: &EndedJob) {
        let keys = (Some(row.tenant_id), None, &*row.trigger);
        self.each(keys, |figures| figures.end(row.state, row.missed));
    }

    fn each(
        &mut self,
        (tenant, pool, trigger): (Option<TenantId>, Option<PoolId>, &str),
        add: impl Fn(&mut Figures),
    ) {
        add(&mut self.total);
        if let Some(tenants) = &mut self.tenants {
            add(tenants.of(&tenant, || tenant));
        }
        if let Some(pools) = &mut self.pools {
            add(pools.of(&pool, || pool));
        }
        if let Some(triggers) = &mut self.triggers {
            add(triggers.of(trigger, || trigger.into()));
        }
    }

    /// The figures of all.
    pub(super) fn total(&self) -> ReportFigures {
        self.total.view()
    }

    /// By tenant, where that was asked for.
    pub(super) fn tenants(&self, names: &Names) -> Option<Vec<ReportRow>> {
        let names: HashMap<_, _> = names.tenants.iter().map(|(name, id)| (*id, &**name)).collect();
        let name = |id: &Option<TenantId>| id.map(|id| named(names.get(&id).copied(), id));
        self.tenants.as_ref().map(|tenants| tenants.rows(name))
    }

    /// By pool.
    pub(super) fn pools(&self, names: &Names) -> Option<Vec<ReportRow>> {
        let names: HashMap<_, _> =
            names.pools.iter().map(|(name, (id, _))| (*id, &**name)).collect();
        let name = |id: &Option<PoolId>| id.map(|id| named(names.get(&id).copied(), id));
        self.pools.as_ref().map(|pools| pools.rows(name))
    }

    /// By trigger.
    pub(super) fn triggers(&self) -> Option<Vec<ReportRow>> {
        let triggers = self.triggers.as_ref()?;
        Some(triggers.rows(|name| Some(name.to_string()).filter(|name| !name.is_empty())))
    }
}

fn named(name: Option<&str>, id: impl std::fmt::Display) -> String {
    name.map_or_else(|| format!("number {id}"), ToString::to_string)
}

/// Figures by whose they are.
struct Groups<K> {
    of: HashMap<K, Figures>,
    others: Option<Figures>,
}

impl<K> Default for Groups<K> {
    fn default() -> Self {
        Self { of: HashMap::new(), others: None }
    }
}

impl<K: Hash + Eq> Groups<K> {
    /// The figures of a key; `own` is the key to keep when it is new.
    fn of<Q>(&mut self, key: &Q, own: impl FnOnce() -> K) -> &mut Figures
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        if !self.of.contains_key(key) && self.of.len() < NAMES_MAX {
            self.of.insert(own(), Figures::new());
        }
        let Self { of, others } = self;
        of.get_mut(key).unwrap_or_else(|| others.get_or_insert_with(Figures::new))
    }

    /// The most jobs first, then by name; what has no name last.
    fn rows(&self, name: impl Fn(&K) -> Option<String>) -> Vec<ReportRow> {
        let row = |name, figures: &Figures| ReportRow { name, figures: figures.view() };
        let mut rows: Vec<_> = self.of.iter().map(|(key, it)| row(name(key), it)).collect();
        rows.sort_unstable_by(|one, other| {
            let key = |row: &ReportRow| (row.name.is_none(), u64::MAX - row.figures.jobs_ended);
            key(one).cmp(&key(other)).then_with(|| one.name.cmp(&other.name))
        });
        rows.extend(self.others.as_ref().map(|it| row(Some(OTHERS.to_owned()), it)));
        rows
    }
}

/// The figures of one name, while they grow.
struct Figures {
    ends: [u64; 4],
    waits: Durations,
    runs: Durations,
    retries: BTreeMap<&'static str, u64>,
    promised: u64,
    met: u64,
    occupied_ms: u64,
    /// Micros of currency by the hour, times milliseconds.
    cost: u128,
}

/// The ends, in the order of [`Figures::ends`].
const ENDS: [JobStateKind; 4] =
    [JobStateKind::Completed, JobStateKind::Failed, JobStateKind::Cancelled, JobStateKind::Skipped];

impl Figures {
    fn new() -> Self {
        Self {
            ends: [0; 4],
            waits: Durations::new(),
            runs: Durations::new(),
            retries: BTreeMap::new(),
            promised: 0,
            met: 0,
            occupied_ms: 0,
            cost: 0,
        }
    }

    fn attempt(&mut self, row: &EndedAttempt) {
        self.waits.add(row.waited_ms);
        if let Some(started_at_ms) = row.started_at_ms {
            self.runs.add(row.ended_at_ms - started_at_ms);
        }
        // A clock that was set back makes no negative time.
        let occupied_ms = (row.ended_at_ms - row.assigned_at_ms).max(0).unsigned_abs();
        self.occupied_ms += occupied_ms;
        self.cost += u128::from(occupied_ms) * u128::from(row.cost_micros_per_hour);
        if row.job_state.is_terminal() {
            self.end(row.job_state, row.missed);
        } else if let Some(reason) = row.requeue_reason {
            *self.retries.entry(reason.as_str()).or_default() += 1;
        }
    }

    /// A job ended. What was promised counts when it was kept to the end, or was broken before.
    fn end(&mut self, state: JobStateKind, missed: Option<bool>) {
        if let Some(at) = ENDS.iter().position(|end| *end == state) {
            self.ends[at] += 1;
        }
        let ran = matches!(state, JobStateKind::Completed | JobStateKind::Failed);
        if let Some(missed) = missed.filter(|missed| ran || *missed) {
            self.promised += 1;
            self.met += u64::from(!missed);
        }
    }

    fn view(&self) -> ReportFigures {
        let [completed, failed, cancelled, skipped] = self.ends;
        ReportFigures {
            jobs_ended: self.ends.iter().sum(),
            completed,
            failed,
            cancelled,
            skipped,
            failure_share: share(failed, completed + failed),
            attempts: self.waits.known.len(),
            retries: self.retries.iter().map(|(why, many)| ((*why).to_owned(), *many)).collect(),
            wait_ms: self.waits.percentiles(),
            run_ms: self.runs.percentiles(),
            sla: SlaFigures {
                jobs: self.promised,
                met: self.met,
                share: share(self.met, self.promised),
            },
            runner_minutes: self.occupied_ms as f64 / 60_000.0,
            cost_micros: u64::try_from(self.cost / MS_PER_HOUR).unwrap_or(u64::MAX),
        }
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Durations in milliseconds. It grows with the longest of them, up to some 12 kB.
struct Durations {
    known: Histogram<u32>,
    longest: u64,
}

impl Durations {
    #[expect(clippy::unwrap_used, reason = "only digits above 5 are refused")]
    fn new() -> Self {
        Self { known: Histogram::new(DIGITS).unwrap(), longest: 0 }
    }

    fn add(&mut self, ms: i64) {
        let ms = ms.max(0).unsigned_abs();
        self.longest = self.longest.max(ms);
        // Fails only for a value that it cannot grow to, and it can grow to this one.
        let _ = self.known.record(ms.min(LONGEST_MS));
    }

    fn percentiles(&self) -> Percentiles {
        let at = |quantile| self.known.value_at_quantile(quantile).min(self.longest);
        Percentiles {
            count: self.known.len(),
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            max: self.longest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{JobId, RequeueReason};

    fn ended(number: i64) -> EndedAttempt {
        EndedAttempt {
            token: number,
            ended_at_ms: 1_000_000 + number,
            pool_id: PoolId(2),
            tenant_id: Some(TenantId(3)),
            trigger: "ci".into(),
            waited_ms: number,
            assigned_at_ms: 940_000 + number,
            started_at_ms: Some(1_000_000),
            cost_micros_per_hour: 3_600_000,
            requeue_reason: None,
            job_state: JobStateKind::Completed,
            missed: None,
        }
    }

    #[test]
    fn percentiles_are_right_to_within_a_hundredth_and_the_longest_is_exact() {
        let mut tally = Tally::new(None);
        (1..=100_000).for_each(|number| tally.attempt(&ended(number)));
        let total = tally.total();
        assert_eq!(total.wait_ms.count, 100_000);
        for (found, exact) in [
            (total.wait_ms.p50, 50_000.0),
            (total.wait_ms.p90, 90_000.0),
            (total.wait_ms.p95, 95_000.0),
            (total.wait_ms.p99, 99_000.0),
            (total.run_ms.p50, 50_000.0),
        ] {
            let off = (found as f64 - exact).abs() / exact;
            assert!(off <= 0.01, "{found} for {exact}");
        }
        assert_eq!(total.wait_ms.max, 100_000);
    }

    #[test]
    fn ends_retries_promises_and_cost_are_counted_once_each() {
        let mut tally = Tally::new(None);
        tally.attempt(&ended(1));
        tally.attempt(&EndedAttempt {
            job_state: JobStateKind::Pending,
            requeue_reason: Some(RequeueReason::LeaseLost),
            started_at_ms: None,
            ..ended(2)
        });
        let failed = EndedAttempt {
            job_state: JobStateKind::Failed,
            missed: Some(true),
            tenant_id: None,
            ..ended(3)
        };
        tally.attempt(&failed);
        let skipped = EndedJob {
            id: JobId(9),
            ended_at_ms: 5,
            tenant_id: TenantId(7),
            trigger: "".into(),
            state: JobStateKind::Skipped,
            by_attempt: false,
            missed: Some(false),
        };
        tally.job(&skipped);
        let total = tally.total();
        assert_eq!((total.jobs_ended, total.completed, total.failed, total.skipped), (3, 1, 1, 1));
        assert_eq!(total.failure_share, Some(0.5));
        assert_eq!((total.attempts, total.run_ms.count), (3, 2));
        assert_eq!(total.retries, [("lease_lost".to_owned(), 1)].into());
        assert_eq!(total.sla, SlaFigures { jobs: 1, met: 0, share: Some(0.0) });
        assert!((total.runner_minutes - 3.0).abs() < f64::EPSILON);
        assert_eq!(total.cost_micros, 3 * 60 * 1_000);

        let names = Names {
            tenants: [("acme".into(), TenantId(3))].into(),
            pools: [("fast".into(), (PoolId(2), None))].into(),
        };
        let shown = |rows: Option<Vec<ReportRow>>| -> Vec<_> {
            rows.unwrap().into_iter().map(|row| (row.name, row.figures.jobs_ended)).collect()
        };
        let some = |name: &str| Some(name.to_owned());
        let tenants = shown(tally.tenants(&names));
        assert_eq!(tenants, [(some("acme"), 1), (some("number 7"), 1), (None, 1)]);
        assert_eq!(shown(tally.pools(&names)), [(some("fast"), 2), (None, 1)]);
        assert_eq!(shown(tally.triggers()), [(some("ci"), 2), (None, 1)]);
    }

    #[test]
    fn names_beyond_the_most_are_counted_together() {
        let mut tally = Tally::new(Some(ReportBy::Trigger));
        for number in 0..1_010 {
            tally.attempt(&EndedAttempt { trigger: format!("t{number}").into(), ..ended(number) });
        }
        assert!(tally.tenants(&Names::default()).is_none());
        let triggers = tally.triggers().unwrap();
        assert_eq!(triggers.len(), NAMES_MAX + 1);
        let last = triggers.last().unwrap();
        assert_eq!((last.name.as_deref(), last.figures.jobs_ended), (Some(OTHERS), 10));
    }
}
