//! Schedules, each with its next times, what became of the last one, and who keeps it from coming.

use axum::extract::State;

use super::super::access::{May, Read};
use super::super::error::ApiError;
use super::super::show;
use super::super::state::AppState;
use super::super::wire::{LastTime, List, NextTime, PassedTimes, ScheduleView};
use super::pause_of;
use crate::model::{Pause, ScheduleMark, TenantId};
use crate::trigger::Timed;
use crate::trigger::schedule::dry::utc;
use crate::trigger::schedule::{Standing, Step};

/// Next times that are shown.
const NEXT: usize = 5;

/// `GET /schedules`: those of triggers that the caller may know of.
pub(in crate::api) async fn list(
    caller: May<Read>,
    State(state): State<AppState>,
) -> Result<axum::Json<List<ScheduleView>>, ApiError> {
    let asked = state.handle.ask(|scheduler, _| (scheduler.schedules(), scheduler.pauses()));
    let (marks, pauses) = asked.await?;
    let (rulebook, now_ms) = (state.rulebook(), state.clock.now().wall_ms);
    let times = rulebook.rules.times();
    let own = times.filter(|(trigger, _)| rulebook.knows_trigger(caller.limited_to(), trigger));
    let items = own.map(|(trigger, timed)| {
        let tenant = rulebook.trigger_tenants.get(trigger).copied();
        let pause = pause_of(&pauses, trigger, tenant.unwrap_or(TenantId::DEFAULT));
        let mark = marks.iter().find(|mark| *mark.name == *timed.name);
        view(&state, trigger, timed, mark, pause, now_ms)
    });
    Ok(axum::Json(List { items: items.collect(), next_before: None }))
}

fn view(
    state: &AppState,
    trigger: &str,
    timed: &Timed,
    mark: Option<&ScheduleMark>,
    pause: Option<&Pause>,
    now_ms: i64,
) -> ScheduleView {
    let schedule = &timed.schedule;
    let next = |at_ms| NextTime { at_ms, utc: utc(at_ms), local: schedule.local(at_ms) };
    // What a clock showed that went back since does not come again.
    let from_ms = mark.map_or(now_ms, |mark| mark.handled_ms.max(now_ms));
    let held = mark.and_then(|mark| {
        let (handled_ms, is_paused) = (mark.handled_ms, pause.is_some());
        let missed_max = state.limits.schedule_missed_max;
        match timed.step(Standing { handled_ms, now_ms, is_paused, missed_max }) {
            Step::Held(count) => Some(count),
            _ => None,
        }
    });
    let last = mark.and_then(|mark| {
        Some(LastTime {
            at_ms: mark.fired_ms?,
            utc: utc(mark.fired_ms?),
            delivery_id: mark.delivery_id,
        })
    });
    let passed = mark.filter(|mark| !mark.note.is_empty()).map(|mark| PassedTimes {
        count: mark.passed,
        note: mark.note.to_string(),
        at_ms: mark.noted_at_ms,
    });
    ScheduleView {
        name: timed.name.clone(),
        trigger: trigger.to_owned(),
        cron: schedule.text().to_owned(),
        syntax: schedule.syntax().as_str().to_owned(),
        zone: schedule.zone().to_owned(),
        words: schedule.words(),
        next: schedule.next(from_ms, NEXT).into_iter().map(next).collect(),
        handled_ms: mark.map(|mark| mark.handled_ms),
        last,
        missed: timed.missed.as_str().to_owned(),
        jitter_ms: timed.jitter_ms,
        paused: pause.map(|pause| show::pause(&state.catalogue, pause.clone())),
        held,
        passed,
    }
}
