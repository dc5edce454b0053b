//! Metrics of pools and tenants: who has the slots, and whose turn it is. All are set when they are
//! scraped.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::queue::{FloatGauge, PoolLabels};
use super::table::Table;

/// A pool, and what its runners are.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct PoolStateLabels {
    pool: String,
    state: &'static str,
}

impl PoolStateLabels {
    /// For a configured pool; `online` or `offline`.
    pub fn new(pool: &str, state: &'static str) -> Self {
        Self { pool: pool.to_owned(), state }
    }
}

/// A tenant.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct TenantLabels {
    tenant: String,
}

impl TenantLabels {
    /// For a configured tenant.
    pub fn new(tenant: &str) -> Self {
        Self { tenant: tenant.to_owned() }
    }
}

/// A tenant, and where its jobs stand.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct TenantStateLabels {
    tenant: String,
    state: &'static str,
}

impl TenantStateLabels {
    /// For a configured tenant; `waiting` or `running`.
    pub fn new(tenant: &str, state: &'static str) -> Self {
        Self { tenant: tenant.to_owned(), state }
    }
}

/// A tenant, and one of its quotas.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct QuotaLabels {
    tenant: String,
    quota: &'static str,
}

impl QuotaLabels {
    /// For a configured tenant; the quota's key in the configuration.
    pub fn new(tenant: &str, quota: &'static str) -> Self {
        Self { tenant: tenant.to_owned(), quota }
    }
}

/// Pools and tenants.
#[derive(Debug, Default)]
pub struct FleetMetrics {
    /// `dispatchyard_pool_runners`.
    pub runners: Family<PoolStateLabels, Gauge>,
    /// `dispatchyard_pool_slots`.
    pub slots: Family<PoolLabels, Gauge>,
    /// `dispatchyard_pool_desired_runners`.
    pub desired: Family<PoolLabels, Gauge>,
    /// `dispatchyard_pool_slots_used`.
    pub slots_used: Family<PoolLabels, Gauge>,
    /// `dispatchyard_pool_busy_ratio`.
    pub busy: Family<PoolLabels, FloatGauge>,
    /// `dispatchyard_tenant_jobs`.
    pub tenant_jobs: Family<TenantStateLabels, Gauge>,
    /// `dispatchyard_tenant_weight`.
    pub weight: Family<TenantLabels, Gauge>,
    /// `dispatchyard_tenant_work_ratio`.
    pub work: Family<TenantLabels, FloatGauge>,
    /// `dispatchyard_tenant_ahead_seconds`.
    pub ahead: Family<TenantLabels, FloatGauge>,
    /// `dispatchyard_tenant_used_seconds`.
    pub used: Family<TenantLabels, FloatGauge>,
    /// `dispatchyard_tenant_quota_used`.
    pub quota_used: Family<QuotaLabels, Gauge>,
    /// `dispatchyard_tenant_quota_limit`.
    pub quota_limit: Family<QuotaLabels, Gauge>,
}

impl FleetMetrics {
    /// All at zero, and registered.
    pub(super) fn new(table: &mut Table) -> Self {
        let metrics = Self::default();
        metrics.register_pools(table);
        metrics.register_tenants(table);
        metrics
    }

    fn register_pools(&self, table: &mut Table) {
        table.add(
            "pool_runners",
            &["pool", "state"],
            "Registered runners, online or offline",
            self.runners.clone(),
        );
        table.add(
            "pool_slots",
            &["pool"],
            "Jobs that the runners which are online can have at once",
            self.slots.clone(),
        );
        table.add(
            "pool_slots_used",
            &["pool"],
            "Jobs that they have, from elsewhere too",
            self.slots_used.clone(),
        );
        table.add(
            "pool_desired_runners",
            &["pool"],
            "Runners that there should be, for the jobs that run, wait for nothing but a runner, or come",
            self.desired.clone(),
        );
        table.add(
            "pool_busy_ratio",
            &["pool"],
            "The part of their slots' time that had a job of this server in the last five minutes, 0 to 1",
            self.busy.clone(),
        );
    }

    fn register_tenants(&self, table: &mut Table) {
        table.add(
            "tenant_jobs",
            &["tenant", "state"],
            "Jobs that wait, and jobs that runners have",
            self.tenant_jobs.clone(),
        );
        table.add("tenant_weight", &["tenant"], "The tenant's weight", self.weight.clone());
        table.add(
            "tenant_work_ratio",
            &["tenant"],
            "The tenant's part of all slot time that was used in the last five minutes, 0 to 1",
            self.work.clone(),
        );
        table.add_seconds(
            "tenant_ahead",
            &["tenant"],
            "How far the tenant's fair share is ahead of the tenant whose turn it is, in time of its own jobs",
            self.ahead.clone(),
        );
        table.add_seconds(
            "tenant_used",
            &["tenant"],
            "Time of runners that the tenant was charged, estimates for what still runs included",
            self.used.clone(),
        );
        table.add(
            "tenant_quota_used",
            &["tenant", "quota"],
            "What the tenant uses of a quota that is set for it",
            self.quota_used.clone(),
        );
        table.add(
            "tenant_quota_limit",
            &["tenant", "quota"],
            "The quota",
            self.quota_limit.clone(),
        );
    }
}
