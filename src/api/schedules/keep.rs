//! Has each time come once, for as long as this instance leads.
//!
//! A look asks the scheduler how far each schedule is handled and takes one step with each: it fires, passes times
//! over, or waits. It looks when the next time has come, when the configuration or the leader is another one, and
//! when the clock went back; it looks at the clock often, because a clock that is set tells nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::super::adopt::is_leading;
use super::super::state::{AppState, Rulebook};
use super::{firing, pause_of};
use crate::dispatch::{Command, Fire, Refusal};
use crate::driver::CommandError;
use crate::model::{Pause, ScheduleMark, TenantId};
use crate::trigger::Timed;
use crate::trigger::schedule::{Passed, Standing, Step};

/// How often the clock is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Schedules of which a step is taken together: these share a transaction.
const TOGETHER: usize = 100;

/// What was found at the last look.
#[derive(Default)]
struct Watch {
    /// By whose rules, and in which epoch.
    of: Option<(Arc<Rulebook>, i64)>,
    /// When that was (wall).
    looked_ms: i64,
    /// When there is something to do.
    next: Next,
}

/// When there is something to do with schedules.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Next {
    /// At once: a step was taken, and another may follow.
    Again,
    /// At the next look at the clock: times wait for the end of a pause, of which nobody tells.
    #[default]
    Soon,
    /// Then (wall).
    At(i64),
    /// Never, as far as is known.
    Never,
}

/// Keeps the time, for as long as the server runs.
pub async fn keep_time(state: AppState, stopping: CancellationToken) {
    let mut watch = Watch::default();
    loop {
        let wait = look(&state, &mut watch).await;
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Looks whether there is something to do, and does it; how long to wait then.
async fn look(state: &AppState, watch: &mut Watch) -> Duration {
    if !is_leading(state) {
        watch.of = None;
        return LOOK_EVERY;
    }
    let (rulebook, epoch) = (state.rulebook(), state.handle.views().epoch());
    let is_same = |of: &(Arc<Rulebook>, i64)| Arc::ptr_eq(&of.0, &rulebook) && of.1 == epoch;
    let now_ms = state.clock.now().wall_ms;
    let is_quiet = watch.of.as_ref().is_some_and(is_same)
        && now_ms >= watch.looked_ms
        && match watch.next {
            Next::Again | Next::Soon => false,
            Next::At(next_ms) => now_ms < next_ms,
            Next::Never => true,
        };
    if !is_quiet {
        match steps(state, &rulebook).await {
            Ok(next) => {
                *watch = Watch { of: Some((rulebook, epoch)), looked_ms: now_ms, next };
            }
            Err(error) => {
                tracing::debug!(%error, "failed to look at the schedules");
                watch.of = None;
                return LOOK_EVERY;
            }
        }
    }
    let left_ms = match watch.next {
        Next::Again => 0,
        Next::Soon | Next::Never => return LOOK_EVERY,
        Next::At(next_ms) => next_ms.saturating_sub(state.clock.now().wall_ms),
    };
    Duration::from_millis(u64::try_from(left_ms).unwrap_or(0)).min(LOOK_EVERY)
}

/// Takes one step with each schedule; when to look again.
async fn steps(state: &AppState, rulebook: &Arc<Rulebook>) -> Result<Next, CommandError> {
    let asked = state.handle.ask(|scheduler, _| (scheduler.schedules(), scheduler.pauses()));
    let (marks, pauses) = asked.await?;
    let mut marks: BTreeMap<_, _> = marks.into_iter().map(|it| (it.name.clone(), it)).collect();
    let times: Vec<(&str, &Timed)> = rulebook.rules.times().collect();
    let known: BTreeSet<&str> = times.iter().map(|(_, timed)| timed.name.as_str()).collect();
    let gone: Vec<_> = marks.keys().filter(|name| !known.contains(&***name)).cloned().collect();
    if !gone.is_empty() {
        state.handle.send(Command::ForgetSchedules(gone)).await?;
    }
    let mut next = Next::Never;
    for together in times.chunks(TOGETHER) {
        let steps = together.iter().map(|(trigger, timed)| {
            let tenant = rulebook.trigger_tenants.get(*trigger).copied();
            let tenant_id = tenant.unwrap_or(TenantId::DEFAULT);
            let pause = pause_of(&pauses, trigger, tenant_id);
            let mark = marks.remove(timed.name.as_str());
            Look { state, trigger, timed, tenant_id, pause }.step(mark)
        });
        for found in join_all(steps.collect::<Vec<_>>()).await {
            next = next.min(found?);
        }
    }
    Ok(next)
}

/// One schedule at one look.
struct Look<'a> {
    state: &'a AppState,
    trigger: &'a str,
    timed: &'a Timed,
    tenant_id: TenantId,
    pause: Option<&'a Pause>,
}

impl Look<'_> {
    /// Does what is to be done now; when to look again.
    async fn step(self, mark: Option<ScheduleMark>) -> Result<Next, CommandError> {
        let now_ms = self.state.clock.now().wall_ms;
        let definition = self.timed.schedule.definition();
        let mark = match mark {
            Some(mark) if *mark.definition == *definition => mark,
            other => {
                let begin = ScheduleMark::begin(&self.timed.name, &definition, now_ms);
                let fired = other.as_ref().map(|it| (it.fired_ms, it.delivery_id));
                let (fired_ms, delivery_id) = fired.unwrap_or_default();
                let begin = ScheduleMark { fired_ms, delivery_id, ..begin };
                self.keep(begin, other.map(|it| it.handled_ms)).await?;
                return Ok(Next::Again);
            }
        };
        let standing = Standing {
            handled_ms: mark.handled_ms,
            now_ms,
            is_paused: self.pause.is_some(),
            missed_max: self.state.limits.schedule_missed_max,
        };
        match self.timed.step(standing) {
            Step::Wait(next_ms) => return Ok(next_ms.map_or(Next::Never, Next::At)),
            Step::Held(_) => return Ok(Next::Soon),
            Step::Restart => {
                let text = "the clock went back by more than a day: times count from then on";
                self.pass(mark, now_ms, 0, text.to_owned()).await?;
            }
            Step::Pass { through_ms, count, why } => {
                let text = self.why(count, why);
                self.pass(mark, through_ms, count, text).await?;
            }
            Step::Fire { at_ms, was_missed } => self.fire(mark, at_ms, was_missed).await?,
        }
        Ok(Next::Again)
    }

    /// Why times are passed over, for people.
    fn why(&self, count: usize, why: Passed) -> String {
        let times = if count == 1 { "1 time".to_owned() } else { format!("{count} times") };
        match (why, self.pause) {
            (Passed::Paused, Some(pause)) => {
                let Pause { author, reason, .. } = pause;
                format!("{times} passed over in a pause by {author}: {reason}")
            }
            _ => format!(
                "{times} passed over that nothing could be started at; missed = \"{}\"",
                self.timed.missed.as_str()
            ),
        }
    }

    /// Times up to one do not come.
    async fn pass(
        &self,
        mark: ScheduleMark,
        through_ms: i64,
        count: usize,
        note: String,
    ) -> Result<(), CommandError> {
        tracing::warn!(
            schedule = self.timed.name,
            count,
            note,
            "times of a schedule are passed over"
        );
        let after_ms = Some(mark.handled_ms);
        let passed = mark.passed.saturating_add(count as u64);
        let noted_at_ms = self.state.clock.now().wall_ms;
        let note = note.into();
        self.keep(
            ScheduleMark { handled_ms: through_ms, passed, note, noted_at_ms, ..mark },
            after_ms,
        )
        .await
    }

    /// A time has come.
    async fn fire(
        &self,
        mark: ScheduleMark,
        at_ms: i64,
        was_missed: bool,
    ) -> Result<(), CommandError> {
        let Self { state, trigger, timed, tenant_id, .. } = *self;
        let deliver = firing::deliver(state, trigger, timed, tenant_id, at_ms);
        let after_ms = Some(mark.handled_ms);
        let new = ScheduleMark { handled_ms: at_ms, fired_ms: Some(at_ms), ..mark.clone() };
        let fire = Fire { mark: new, after_ms, deliver: Some(Box::new(deliver)) };
        match state.handle.send(Command::Fire(Box::new(fire))).await {
            Ok(reply) => {
                firing::tell(&timed.name, at_ms, was_missed, &reply);
                Ok(())
            }
            // How far it is handled is asked again.
            Err(CommandError::Refused(Refusal::WrongState(_))) => Ok(()),
            Err(CommandError::Refused(refusal)) => {
                self.pass(mark, at_ms, 1, format!("1 time passed over: {refusal}")).await
            }
            Err(error) => Err(error),
        }
    }

    async fn keep(&self, mark: ScheduleMark, after_ms: Option<i64>) -> Result<(), CommandError> {
        let fire = Fire { mark, after_ms, deliver: None };
        match self.state.handle.send(Command::Fire(Box::new(fire))).await {
            Ok(_) | Err(CommandError::Refused(Refusal::WrongState(_))) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
