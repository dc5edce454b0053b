//! `GET /report`: what ended in a span of time, how long it took, and what it cost.
//!
//! Made of rows alone, on connections that cannot write: the driver is not asked. Rows are read
//! latest first and page by page until all are read or the time is over, so that an answer that
//! was cut short is right about the latest part of the span, and says which part that is.

mod tally;
mod walk;

use axum::extract::State;
use serde::Deserialize;

use super::access::{May, Read};
use super::body::Params;
use super::error::ApiError;
use super::state::AppState;
use super::wire::{ReportBy, ReportView};
use crate::driver::CommandError;
use tally::Tally;
use walk::{Ended, Walk};

const DAY_MS: i64 = 86_400_000;
/// The span of a report that names none.
const DAYS_DEFAULT: i64 = 7;
/// The most reports that are made at the same time, so that other reads find a connection.
pub(crate) const REPORTS_AT_ONCE: usize = 2;

/// About what.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReportParams {
    since_ms: Option<i64>,
    until_ms: Option<i64>,
    by: Option<ReportBy>,
}

impl ReportParams {
    /// The span, which ends now at the latest: with the present millisecond.
    fn span(&self, now_ms: i64, days_max: u32) -> Result<(i64, i64), ApiError> {
        let end_ms = now_ms.saturating_add(1);
        let until_ms = self.until_ms.unwrap_or(end_ms).min(end_ms);
        let days = DAYS_DEFAULT.min(i64::from(days_max));
        let since_ms = self.since_ms.unwrap_or(until_ms.saturating_sub(days * DAY_MS));
        if since_ms < 0 || since_ms >= until_ms {
            return Err(ApiError::BadRequest(format!(
                "since_ms {since_ms} is not before until_ms {until_ms}: they are milliseconds since \
                 1970, and a report ends now at the latest"
            )));
        }
        let days_asked = (until_ms - since_ms) as f64 / DAY_MS as f64;
        if days_asked > f64::from(days_max) {
            return Err(ApiError::BadRequest(format!(
                "the span is {days_asked:.1} days long; the most is {days_max} days \
                 (limits.report_days_max)"
            )));
        }
        Ok((since_ms, until_ms))
    }
}

/// `GET /report`: for who is limited to a tenant, about that tenant's jobs.
pub(super) async fn get(
    caller: May<Read>,
    State(state): State<AppState>,
    Params(params): Params<ReportParams>,
) -> Result<axum::Json<ReportView>, ApiError> {
    let now_ms = state.clock.now().wall_ms;
    let (since_ms, until_ms) = params.span(now_ms, state.limits.report_days_max)?;
    let limit_ms = state.limits.report_ms_max;
    let limit = std::time::Duration::from_millis(limit_ms);
    // Whoever waits for his turn in vain is told to ask again.
    let turn = tokio::time::timeout(limit, state.reports.acquire()).await;
    let Ok(Ok(_turn)) = turn else { return Err(CommandError::Overloaded.into()) };
    let stop_at_ms = state.clock.now().mono_ms.saturating_add_unsigned(limit_ms);

    let limited_to = caller.limited_to();
    let mut tally = Tally::new(params.by);
    let mut walk = Walk::new(&state.store, since_ms, until_ms).await?;
    let mut covers_since_ms = until_ms;
    let complete = loop {
        if walk.must_read() && state.clock.now().mono_ms >= stop_at_ms {
            break false;
        }
        let Some(ended) = walk.next(&state.store).await? else { break !walk.has_left_out() };
        covers_since_ms = ended.at_ms();
        if limited_to.is_some_and(|own| ended.tenant_id() != Some(own)) {
            continue;
        }
        match &ended {
            Ended::Attempt(row) => tally.attempt(row),
            Ended::Job(row) => tally.job(row),
        }
    };
    let names = state.store.names().await?;
    // Asked last: what was pruned meanwhile counts.
    let pruned_until_ms = state.store.pruned_until_ms().await?.filter(|it| *it >= since_ms);
    let covered_ms = if complete { since_ms } else { covers_since_ms };
    Ok(axum::Json(ReportView {
        since_ms,
        until_ms,
        complete: complete && pruned_until_ms.is_none(),
        covers_since_ms: pruned_until_ms.map_or(covered_ms, |it| covered_ms.max(it + 1)),
        pruned_until_ms,
        total: tally.total(),
        tenants: tally.tenants(&names),
        pools: tally.pools(&names),
        triggers: tally.triggers(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_in_the_past_and_not_too_long() {
        let now_ms = 1_000 * DAY_MS;
        let span = |since_ms, until_ms| {
            let params = ReportParams { since_ms, until_ms, by: None };
            params.span(now_ms, 92).map_err(|error| error.to_string())
        };
        let end_ms = now_ms + 1;
        assert_eq!(span(None, None), Ok((end_ms - 7 * DAY_MS, end_ms)));
        assert_eq!(span(Some(now_ms - 5), Some(now_ms + 5)), Ok((now_ms - 5, end_ms)));
        assert_eq!(span(None, Some(8 * DAY_MS)), Ok((DAY_MS, 8 * DAY_MS)));
        for (since_ms, until_ms) in [(now_ms, now_ms), (end_ms, i64::MAX), (9, 8), (-1, 8)] {
            let error = span(Some(since_ms), Some(until_ms)).unwrap_err();
            assert!(error.contains("is not before until_ms"), "{error}");
        }
        let error = span(Some(now_ms - 93 * DAY_MS), None).unwrap_err();
        assert!(error.contains("93.0 days") && error.contains("report_days_max"), "{error}");
    }
}
