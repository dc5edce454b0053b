//! Metrics of servers that share a database.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use super::table::Table;

/// Who leads, and what instances do for each other.
#[derive(Debug, Default)]
pub struct InstanceMetrics {
    /// `dispatchyard_leader`: 1 while this instance leads.
    pub leader: Gauge,
    /// `dispatchyard_forwarded_requests_total`.
    pub forwarded_requests: Counter,
    /// `dispatchyard_leaderless_requests_total`.
    pub leaderless_requests: Counter,
    /// `dispatchyard_adopted_deliveries_total`.
    pub adopted_deliveries: Counter,
}

impl InstanceMetrics {
    pub(super) fn register(&self, table: &mut Table) {
        table.add(
            "leader",
            &[],
            "1 on the instance that leads, 0 on the others; set when it is scraped",
            self.leader.clone(),
        );
        table.add(
            "forwarded_requests",
            &[],
            "Requests that were passed on to the instance that leads, and answered",
            self.forwarded_requests.clone(),
        );
        table.add(
            "leaderless_requests",
            &[],
            "Requests that were answered 503 because no instance led, or it could not be reached",
            self.leaderless_requests.clone(),
        );
        table.add(
            "adopted_deliveries",
            &[],
            "Deliveries that another instance accepted, or this one while it did not lead, and this one decided",
            self.adopted_deliveries.clone(),
        );
    }
}
