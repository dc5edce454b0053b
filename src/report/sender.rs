//! The task that tells: what is due, some at once, each target one at a time.

use std::collections::HashSet;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::ReportParts;
use super::attempt::Came;
use super::refresh::Refresher;
use crate::driver::ServerState;
use crate::model::{OutboxRow, OutboxTarget};
use crate::telemetry::{Metrics, OutboxLabels};

/// How often it is looked beside being told: what others committed, and what was not read.
const LOOK: Duration = Duration::from_secs(1);
/// The shortest rest before what is due next.
const LOOK_SOONEST: Duration = Duration::from_millis(5);
/// Entries beyond those that can be begun that are looked at: some are of targets that are busy.
const SPARE_ROWS: u32 = 64;

/// Tells what is due, for as long as the server runs and this instance leads.
pub async fn send(parts: ReportParts, stopping: CancellationToken) {
    let mut server_state = parts.handle.views().watch_state();
    let mut sender = Sender::new(parts.clone());
    let work = async {
        loop {
            if server_state.wait_for(|it| *it == ServerState::Running).await.is_err() {
                return;
            }
            // Of what is added from here on the bell tells.
            let rung = parts.handle.views().outbox.notified();
            let rest = sender.look().await;
            tokio::select! {
                () = rung => {}
                done = sender.tasks.join_next(), if !sender.tasks.is_empty() => sender.done(done),
                () = tokio::time::sleep(rest) => {}
            }
        }
    };
    tokio::select! {
        () = stopping.cancelled() => {}
        () = work => {}
    }
    // Those that are under way end with the set; the next leader finds them begun.
}

struct Sender {
    parts: ReportParts,
    tasks: JoinSet<(OutboxTarget, Came)>,
    /// Targets that are told something now.
    busy: HashSet<OutboxTarget>,
    refresher: Refresher,
}

impl Sender {
    fn new(parts: ReportParts) -> Self {
        let refresher = Refresher::default();
        Self { parts, tasks: JoinSet::new(), busy: HashSet::new(), refresher }
    }

    /// Begins what is due and has room; for how long nothing else is.
    async fn look(&mut self) -> Duration {
        while let Some(done) = self.tasks.try_join_next() {
            self.done(Some(done));
        }
        let now = self.parts.clock.now();
        let room = self.parts.options.at_once_max.saturating_sub(self.tasks.len());
        if room == 0 || !self.parts.handle.views().may_speak(now) {
            return LOOK;
        }
        let rows = SPARE_ROWS + u32::try_from(self.busy.len() + room).unwrap_or(SPARE_ROWS);
        let due = match self.parts.store.outbox_due(now.wall_ms, rows).await {
            Ok(due) => due,
            Err(error) => {
                tracing::debug!(%error, "what is to be told cannot be read now");
                return LOOK;
            }
        };
        let free: Vec<_> =
            due.into_iter().filter(|row| !self.busy.contains(&row.entry.target)).collect();
        let all_begun = free.len() <= room;
        free.into_iter().take(room).for_each(|row| self.begin(row));
        if !all_begun {
            return LOOK;
        }
        self.refresh().await;
        match self.parts.store.outbox_next_ms().await {
            // What is due already is under way.
            Ok(Some(next_ms)) if next_ms > now.wall_ms => {
                let rest = u64::try_from(next_ms - now.wall_ms).unwrap_or(0);
                Duration::from_millis(rest).clamp(LOOK_SOONEST, LOOK)
            }
            _ => LOOK,
        }
    }

    fn begin(&mut self, row: OutboxRow) {
        let target = row.entry.target.clone();
        if !self.busy.insert(target.clone()) {
            return;
        }
        let (parts, known) = (self.parts.clone(), self.refresher.known());
        self.tasks.spawn(async move {
            let came = parts.try_one(row, &known).await;
            (target, came)
        });
    }

    /// Tells anew why something waits, where that has changed and nothing else is to be told.
    async fn refresh(&mut self) {
        let found = self.refresher.due(&self.parts).await;
        for row in found {
            let room = self.parts.options.at_once_max.saturating_sub(self.tasks.len());
            let target = row.entry.target.clone();
            if room == 0 || !self.busy.insert(target.clone()) {
                continue;
            }
            let (parts, known) = (self.parts.clone(), self.refresher.known());
            self.tasks.spawn(async move {
                parts.refresh_one(row, &known).await;
                (target, Came::Nothing)
            });
        }
    }

    fn done(&mut self, done: Option<Result<(OutboxTarget, Came), tokio::task::JoinError>>) {
        match done {
            Some(Ok((target, came))) => {
                self.busy.remove(&target);
                count(&self.parts.metrics, &target, came);
            }
            // Its target stays busy: it is left alone until the next start, so that it hurts nobody else.
            Some(Err(error)) => tracing::error!(%error, "a fault while others were told"),
            None => {}
        }
    }
}

fn count(metrics: &Metrics, target: &OutboxTarget, came: Came) {
    if came != Came::Nothing {
        let labels = OutboxLabels::new(target.kind(), came.as_str());
        metrics.outbox.tries.get_or_create(&labels).inc();
    }
}
