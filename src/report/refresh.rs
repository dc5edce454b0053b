//! Why something waits still: told anew now and then, where it has changed. Nothing of it is remembered by rows:
//! whoever leads next tells it once more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{ReportParts, text};
use crate::model::{OutboxLine, OutboxPayload, OutboxRow, WorkloadId, WorkloadState};

/// Entries that are looked through at once.
const ROWS: u32 = 200;
/// Lines whose last text is remembered.
const KNOWN_MAX: usize = 10_000;

/// What was told last, by line.
pub(super) type Known = Arc<Mutex<HashMap<OutboxLine, String>>>;

/// Finds what may be told anew.
#[derive(Default)]
pub(super) struct Refresher {
    known: Known,
    /// When a round began last (mono).
    began_ms: Option<i64>,
    /// The last workload of this round that was looked at; `None` between rounds.
    at: Option<WorkloadId>,
}

impl Refresher {
    pub(super) fn known(&self) -> Known {
        Arc::clone(&self.known)
    }

    /// Of workloads that wait still what was told of them last, where it is time to look.
    pub(super) async fn due(&mut self, parts: &ReportParts) -> Vec<OutboxRow> {
        let now_ms = parts.clock.now().mono_ms;
        let every_ms = i64::try_from(parts.options.refresh.as_millis()).unwrap_or(i64::MAX);
        if self.at.is_none() {
            let is_early = |began_ms| now_ms < i64::saturating_add(began_ms, every_ms);
            if self.began_ms.is_some_and(is_early) {
                return Vec::new();
            }
            self.began_ms = Some(now_ms);
        }
        let after = self.at.take().unwrap_or(WorkloadId(0));
        let rows = match parts.store.outbox_of_waiting(after, ROWS).await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::debug!(%error, "what waits cannot be read now");
                return Vec::new();
            }
        };
        if rows.len() == ROWS as usize {
            self.at = rows.last().and_then(|row| row.entry.workload_id);
        }
        let mut newest: HashMap<OutboxLine, OutboxRow> = HashMap::new();
        for row in rows.into_iter().filter(|row| row.entry.target.coalesces()) {
            newest.insert(row.entry.line(), row);
        }
        newest.into_values().collect()
    }
}

/// That was told in a line last.
pub(super) fn note(known: &Known, line: OutboxLine, said: String) {
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    if known.len() >= KNOWN_MAX {
        known.clear();
    }
    known.insert(line, said);
}

impl ReportParts {
    /// Tells a target why its workload waits, if it does and that has changed since.
    pub(super) async fn refresh_one(&self, row: OutboxRow, known: &Known) {
        let Some(workload_id) = row.entry.workload_id else { return };
        let Ok(Some(news)) = self.news(workload_id).await else { return };
        let OutboxPayload::Phase { run, .. } = row.entry.payload else { return };
        let waits = matches!(news.workload.state, WorkloadState::Pending | WorkloadState::Claimed);
        let (target, line) = (&row.entry.target, row.entry.line());
        let connections = (self.connections)();
        let held = target.source().and_then(|source| connections.forges.get(source));
        let is_held = held.is_none_or(|forge| forge.held_until_ms() > self.clock.now().wall_ms);
        let said = text::description(&news);
        let is_old = {
            let known = known.lock().unwrap_or_else(PoisonError::into_inner);
            known.get(&line) == Some(&said)
        };
        if !waits || run != news.workload.run || is_held || is_old {
            return;
        }
        match self.tell(&connections, &row, false, Some(&news)).await {
            Ok(_) => note(known, line, said),
            Err(fault) => tracing::debug!(?fault, "a forge could not be told why something waits"),
        }
    }
}
