//! The task that tells: what is due, some of each room at once, each line one at a time.

use std::collections::HashMap;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::ReportParts;
use super::attempt::Came;
use super::refresh::Refresher;
use crate::driver::ServerState;
use crate::model::{OutboxLine, OutboxRoom, OutboxRow};
use crate::store::StoreError;
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
    tasks: JoinSet<(OutboxLine, Came)>,
    /// Lines in which something is told now.
    busy: HashMap<OutboxLine, OutboxRoom>,
    refresher: Refresher,
}

impl Sender {
    fn new(parts: ReportParts) -> Self {
        let refresher = Refresher::default();
        Self { parts, tasks: JoinSet::new(), busy: HashMap::new(), refresher }
    }

    /// Begins what is due and has room; for how long nothing else is.
    async fn look(&mut self) -> Duration {
        while let Some(done) = self.tasks.try_join_next() {
            self.done(Some(done));
        }
        let now = self.parts.clock.now();
        if !self.parts.handle.views().may_speak(now) {
            return LOOK;
        }
        for room in OutboxRoom::ALL {
            if let Err(error) = self.look_into(room, now.wall_ms).await {
                tracing::debug!(%error, "what is to be told cannot be read now");
                return LOOK;
            }
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

    /// Begins what is due in one room.
    async fn look_into(&mut self, room: OutboxRoom, now_ms: i64) -> Result<(), StoreError> {
        let places = self.places(room);
        if places == 0 {
            return Ok(());
        }
        let rows = SPARE_ROWS + u32::try_from(self.busy.len() + places).unwrap_or(SPARE_ROWS);
        let due = self.parts.store.outbox_due(room, now_ms, rows).await?;
        let free = due.into_iter().filter(|row| !self.busy.contains_key(&row.entry.line()));
        let free: Vec<_> = free.take(places).collect();
        free.into_iter().for_each(|row| self.begin(row));
        Ok(())
    }

    /// How many more of a room may be told at once.
    fn places(&self, room: OutboxRoom) -> usize {
        let taken = self.busy.values().filter(|other| **other == room).count();
        self.parts.options.at_once_max.saturating_sub(taken)
    }

    fn begin(&mut self, row: OutboxRow) {
        let line = row.entry.line();
        if self.busy.insert(line.clone(), row.entry.target.room()).is_some() {
            return;
        }
        let (parts, known) = (self.parts.clone(), self.refresher.known());
        self.tasks.spawn(async move {
            let came = parts.try_one(row, &known).await;
            (line, came)
        });
    }

    /// Tells anew why something waits, where that has changed and nothing else is to be told.
    async fn refresh(&mut self) {
        let found = self.refresher.due(&self.parts).await;
        for row in found {
            let (line, room) = (row.entry.line(), row.entry.target.room());
            if self.places(room) == 0 || self.busy.contains_key(&line) {
                continue;
            }
            self.busy.insert(line.clone(), room);
            let (parts, known) = (self.parts.clone(), self.refresher.known());
            self.tasks.spawn(async move {
                parts.refresh_one(row, &known).await;
                (line, Came::Nothing)
            });
        }
    }

    fn done(&mut self, done: Option<Result<(OutboxLine, Came), tokio::task::JoinError>>) {
        match done {
            Some(Ok((line, came))) => {
                self.busy.remove(&line);
                count(&self.parts.metrics, &line, came);
            }
            // Its line stays busy: it is left alone until the next start, so that it hurts nobody else.
            Some(Err(error)) => tracing::error!(%error, "a fault while others were told"),
            None => {}
        }
    }
}

fn count(metrics: &Metrics, line: &OutboxLine, came: Came) {
    if came != Came::Nothing {
        let labels = OutboxLabels::new(line.target.kind(), came.as_str());
        metrics.outbox.tries.get_or_create(&labels).inc();
    }
}
