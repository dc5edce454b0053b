//! From forecasts and advice to the wire's views.

use super::wire;
use crate::dispatch::{Advice, Forecast, Outlook, Percentiles, PredictionScore, Promise};
use crate::model::WorkloadId;

fn estimate(percentiles: Percentiles) -> wire::Estimate {
    wire::Estimate { p50_ms: percentiles.p50_ms, p95_ms: percentiles.p95_ms }
}

pub(super) fn forecast(forecast: Forecast) -> wire::ForecastView {
    wire::ForecastView {
        start_estimate: forecast.start().map(estimate),
        end_estimate: forecast.end().map(estimate),
        start_note: forecast.note(),
    }
}

pub(super) fn outlook(outlook: Outlook, workload_id: Option<WorkloadId>) -> wire::OutlookView {
    wire::OutlookView {
        job: outlook.job.into(),
        workload_id,
        verdict: outlook.promise.as_str().to_owned(),
        forecast: forecast(outlook.forecast),
    }
}

pub(super) fn predictions(score: PredictionScore) -> wire::PredictionsView {
    let [earlier, within, later] = score.starts;
    let of = |promise: Promise| wire::KeptView {
        in_time: score.kept[promise as usize],
        late: score.missed[promise as usize],
    };
    wire::PredictionsView {
        earlier,
        within,
        later,
        met: of(Promise::Met),
        at_risk: of(Promise::AtRisk),
        cannot: of(Promise::Cannot),
    }
}

pub(super) fn advice(advice: Advice) -> wire::AdviceView {
    let suggestions = advice.found.into_iter().map(|found| wire::SuggestionView {
        code: found.suggestion.code().to_owned(),
        text: found.suggestion.to_string(),
        runner_id: found.suggestion.runner_id(),
        saved_ms_total: found.saved_ms_total,
        saved_ms_mean: found.saved_ms_mean,
        jobs_freed: found.jobs_freed,
    });
    let jobs = i64::try_from(advice.jobs_played).unwrap_or(i64::MAX).max(1);
    wire::AdviceView {
        jobs_waiting: advice.jobs_waiting,
        jobs_played: advice.jobs_played,
        wait_ms_total: advice.wait_ms_total,
        wait_ms_mean: advice.wait_ms_total / jobs,
        jobs_stuck: advice.jobs_stuck,
        horizon_ms: advice.horizon_ms,
        tried: advice.tried as u64,
        suggestions: suggestions.collect(),
    }
}
