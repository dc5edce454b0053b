//! Which calls an instance that does not lead answers, and which it may pass on twice: see [`super::forward`].

/// What every instance answers from the database, which they share.
pub(super) const FROM_ROWS: [&str; 13] = [
    "/api/v1/deliveries",
    "/api/v1/deliveries/{id}",
    "/api/v1/deliveries/{id}/body",
    "/api/v1/instances",
    "/api/v1/jobs",
    "/api/v1/jobs/{id}",
    "/api/v1/jobs/{id}/logs",
    "/api/v1/jobs/{id}/records",
    "/api/v1/report",
    "/api/v1/sessions",
    "/api/v1/sessions/{id}",
    "/api/v1/workloads",
    "/api/v1/workloads/{id}",
];
/// What the leader answers better, and every instance from the rows while there is none.
pub(super) const FROM_ROWS_AT_NEED: [&str; 4] =
    ["/api/v1/status", "/api/v1/queue", "/api/v1/explain", "/api/v1/jobs/{id}/explain"];
/// What may be carried out twice: a lease decides once, a log's bytes have their place, a runner's second
/// stream takes the place of the first.
pub(super) const REPEATABLE: [&str; 6] = [
    "/api/v1/runners/{id}/heartbeat",
    "/api/v1/runners/{id}/stream",
    "/api/v1/leases/complete",
    "/api/v1/leases/{token}/complete",
    "/api/v1/leases/{token}/logs",
    "/api/v1/leases/{token}/messages",
];
