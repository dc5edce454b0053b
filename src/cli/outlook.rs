//! What is expected of jobs: as sentences below other answers.

use super::table::rows;
use super::time::span;
use crate::api::wire::{Estimate, ForecastView, OutlookView};

/// When a waiting job starts, in words.
pub(super) fn start(forecast: &ForecastView) -> Option<String> {
    let estimate = forecast.start_estimate.map(|start| {
        let (p50, p95) = (within(start.p50_ms), within(start.p95_ms));
        format!("start expected {p50} (p50), {p95} (p95)")
    });
    estimate.or_else(|| forecast.start_note.as_ref().map(|note| format!("start {note}")))
}

fn within(ms: i64) -> String {
    match span(ms).as_str() {
        "now" => "now".to_owned(),
        span => format!("in {span}"),
    }
}

/// A table of jobs with `max_wait` or a deadline; empty without them.
pub(super) fn table(outlooks: &[OutlookView]) -> String {
    let both = |estimate: Option<Estimate>| {
        estimate.map_or_else(
            || "-".to_owned(),
            |it| format!("{} / {}", span(it.p50_ms), span(it.p95_ms)),
        )
    };
    let all = outlooks.iter().map(|it| {
        vec![
            it.job.clone(),
            it.verdict.clone(),
            both(it.forecast.start_estimate),
            both(it.forecast.end_estimate),
            it.forecast.start_note.clone().unwrap_or_default(),
        ]
    });
    rows(&["JOB", "IN TIME", "START P50 / P95", "END P50 / P95", "NOTE"], all, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outlook_is_a_row_and_an_estimate_a_sentence() {
        let forecast = ForecastView {
            start_estimate: Some(Estimate { p50_ms: 300, p95_ms: 9_000 }),
            end_estimate: Some(Estimate { p50_ms: 60_000, p95_ms: 190_000 }),
            start_note: None,
        };
        assert_eq!(start(&forecast).unwrap(), "start expected now (p50), in 9s (p95)");
        let unknown =
            ForecastView { start_note: Some("unknown".to_owned()), ..ForecastView::default() };
        assert_eq!(start(&unknown).unwrap(), "start unknown");
        let (job, verdict) = ("build".to_owned(), "at_risk".to_owned());
        insta::assert_snapshot!(
            table(&[OutlookView { job, workload_id: None, verdict, forecast }]),
            @r#"
        JOB    IN TIME  START P50 / P95  END P50 / P95  NOTE
        build  at_risk  now / 9s         60s / 3m
        "#
        );
        assert_eq!(table(&[]), "");
    }
}
