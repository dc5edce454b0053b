//! Pages of lists: newest first, bounded, the next one asked for by the last row's id.

use std::str::FromStr;

use serde::Deserialize;

use super::error::ApiError;
use super::state::AppState;

const LIMIT_DEFAULT: usize = 50;

/// Which part of a list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageParams {
    limit: Option<usize>,
    before: Option<String>,
    state: Option<String>,
}

/// How much of an answer that has no pages.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitParams {
    limit: Option<usize>,
}

impl LimitParams {
    /// At most so many rows.
    pub(super) fn limit(&self, state: &AppState) -> usize {
        limit(self.limit, state)
    }
}

fn limit(wanted: Option<usize>, state: &AppState) -> usize {
    wanted.unwrap_or(LIMIT_DEFAULT).clamp(1, state.limits.list_items_max)
}

impl PageParams {
    /// At most so many rows.
    pub(super) fn limit(&self, state: &AppState) -> usize {
        limit(self.limit, state)
    }

    /// Rows older than this one.
    pub(super) fn before<T: FromStr>(&self, what: &str) -> Result<Option<T>, ApiError> {
        let parse = |text: &String| {
            text.parse().map_err(|_| ApiError::BadRequest(format!("`{text}` is no {what}'s id")))
        };
        self.before.as_ref().map(parse).transpose()
    }

    /// Rows in this state alone.
    pub(super) fn state<T>(
        &self,
        all: impl IntoIterator<Item = T>,
        name: impl Fn(&T) -> &'static str,
    ) -> Result<Option<T>, ApiError> {
        let Some(wanted) = &self.state else { return Ok(None) };
        let mut known = Vec::new();
        for state in all {
            if name(&state) == wanted {
                return Ok(Some(state));
            }
            known.push(name(&state));
        }
        let known = known.join(", ");
        Err(ApiError::BadRequest(format!("there is no state `{wanted}`: {known}")))
    }

    /// What to ask for next, when the page is full.
    pub(super) fn next<T>(
        &self,
        rows: &[T],
        limit: usize,
        id: impl Fn(&T) -> String,
    ) -> Option<String> {
        rows.last().filter(|_| rows.len() == limit).map(id)
    }
}
