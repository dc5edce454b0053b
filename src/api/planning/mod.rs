//! Deliveries that wait for the workflow files of their repository, for what their sender may do, or that were approved:
//! the leader looks up what is needed, then decides them.
//!
//! ```text
//! planning (committed) -> read the repository -> count the attempt (committed) -> evaluate -> command -> commit
//!                             | away, slow, too many requests: rest, try again, also after a restart
//!                             | no such thing, not allowed: failed, can be replayed
//! ```
//!
//! The rows are the queue, so nothing is lost with a process or a leader; [`Desk`] only remembers whom to leave alone.
//! An attempt is counted before files that strangers wrote are evaluated, so that one which ends the process every time
//! is given up.

mod desk;
mod judge;
mod lookup;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::adopt::{ATTEMPTS_MAX, again, is_leading, send};
use super::decide::{Content, Whose as WhoseTriggers, decide};
use super::error::ApiError;
use super::state::{AppState, Rulebook};
use crate::clock::OsEntropy;
use crate::event::Event;
use crate::intake::{Arrival, Facts, Needs};
use crate::model::{Approval, DeliveryId, DeliveryState, Plan};
use crate::store::{DeliveryDetail, StoreError};
use crate::telemetry::LookupLabels;
use crate::trigger::Standing;
use crate::webhook::stored_json;
pub use desk::Desk;
use desk::{Trouble, Turn};
use judge::{Judged, judge};
pub(super) use lookup::LookedUp;
use lookup::{Failure, look_up};
pub use lookup::{SourceForge, SourceRepositories};

/// How many rows are read at once.
const PAGE_ROWS: u32 = 100;
/// How often it is looked where nothing is told.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// What is told within this time is looked at together.
const LOOK_AFTER: Duration = Duration::from_millis(5);
/// How much longer than a look is the rest after it: many rows that wait for one repository are read by each.
const LOOK_SHARE: f64 = 4.0;
/// The longest of these rests.
const LOOK_AFTER_MAX: Duration = Duration::from_secs(5);

/// Plans deliveries for as long as the server runs.
pub async fn plan(state: AppState, stopping: CancellationToken) {
    tokio::select! {
        () = stopping.cancelled() => {}
        () = look(&state) => {}
    }
}

async fn look(state: &AppState) {
    let mut server_state = state.handle.views().watch_state();
    let mut tasks = JoinSet::new();
    loop {
        let began = state.clock.seconds();
        match is_leading(state) {
            true => {
                if let Err(error) = begin(state, &mut tasks).await {
                    tracing::warn!(%error, "failed to look for deliveries to plan");
                }
            }
            false => state.planning.set_waiting(Vec::new()),
        }
        let took = LOOK_SHARE * (state.clock.seconds() - began).clamp(0.0, 60.0);
        let after = Duration::from_secs_f64(took).clamp(LOOK_AFTER, LOOK_AFTER_MAX);
        let next = state.planning.next_in_ms(state.clock.now());
        let next = next.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis);
        tokio::select! {
            () = state.planning.rung() => {}
            _ = server_state.changed() => {}
            Some(_) = tasks.join_next() => {}
            () = tokio::time::sleep(next.map_or(LOOK_EVERY, |next| next.min(LOOK_EVERY))) => {}
        }
        tokio::time::sleep(after).await;
    }
}

/// Begins to work on whatever may be worked on now: a task for each repository.
async fn begin(state: &AppState, tasks: &mut JoinSet<()>) -> Result<(), StoreError> {
    let counts = state.store.planning_counts().await?;
    state.planning.set_waiting(counts.clone());
    for (source, ..) in counts {
        let mut after = None;
        while state.planning.has_room(&source, state.clock.now()) {
            let page = state.store.planning(&source, after, PAGE_ROWS).await?;
            let is_last = page.len() < PAGE_ROWS as usize;
            after = page.last().map(|row| row.head.id);
            let mut by_repository = BTreeMap::<String, Vec<DeliveryId>>::new();
            for row in page {
                let name = event(&row).ok().and_then(|event| Some(event.repository?.full_name));
                by_repository.entry(name.unwrap_or_default()).or_default().push(row.head.id);
            }
            for (name, ids) in by_repository {
                if let Some(turn) = state.planning.begin(&source, &name, state.clock.now()) {
                    tasks.spawn(work(state.clone(), turn, ids));
                }
            }
            if is_last {
                break;
            }
        }
    }
    Ok(())
}

fn event(row: &DeliveryDetail) -> Result<Event, String> {
    let text = row.event.as_deref().ok_or("it has no event")?;
    serde_json::from_str(text).map_err(|error| format!("its event cannot be read: {error}"))
}

/// Plans deliveries of one repository, one after the other, until its forge fails.
async fn work(state: AppState, turn: Turn, ids: Vec<DeliveryId>) {
    let epoch = state.handle.views().epoch();
    let mut trouble: Option<String> = None;
    for id in ids {
        if !is_leading(&state) || state.handle.views().epoch() != epoch {
            return;
        }
        // What was read before this turn began may be decided by now.
        let row = match state.store.delivery(id).await {
            Ok(row) => row.filter(|row| row.head.state == DeliveryState::Planning),
            Err(error) => {
                tracing::warn!(delivery_id = %id, %error, "failed to read a delivery to plan");
                return;
            }
        };
        let Some(row) = row else { continue };
        let found = match &trouble {
            Some(error) => Found::Later(error.clone()),
            None => find(&state, &turn, &row).await,
        };
        match found {
            Found::Content(content, found) => {
                let decided = decided(&state, epoch, row, *content, found).await;
                if !decided {
                    return;
                }
            }
            Found::Later(error) => {
                if let Some(why) = too_late(&state, &row, &error)
                    && !decided(&state, epoch, row, Content::Broken(why), LookedUp::default()).await
                {
                    return;
                }
                trouble = Some(error);
            }
        }
    }
}

/// What a lookup came to.
enum Found {
    /// The delivery can be decided.
    Content(Box<Content>, LookedUp),
    /// It waits; why.
    Later(String),
}

async fn find(state: &AppState, turn: &Turn, row: &DeliveryDetail) -> Found {
    let broken = |why: String| Found::Content(Box::new(Content::Broken(why)), LookedUp::default());
    let event = match event(row) {
        Ok(event) => event,
        Err(why) => return broken(why),
    };
    let rulebook = state.rulebook();
    let needs = Needs::of(&event, &rulebook.rules);
    if needs.is_nothing() {
        // It was approved, or the configuration wants nothing of it any more.
        return Found::Content(Box::new(Content::Event(Box::new(event))), LookedUp::default());
    }
    let outcome = |outcome| {
        let labels = LookupLabels::new(&*turn.source, outcome);
        state.metrics.planning.lookups.get_or_create(&labels).inc();
    };
    match look_up(state, &rulebook, &event, &needs).await {
        Ok(found) => {
            let is_told = !matches!(found.standing, Some(Standing::Unknown(_)));
            outcome(if is_told { "found" } else { "refused" });
            if let Some(Trouble { tries, .. }) = state.planning.is_well(turn) {
                tracing::info!(
                    source = turn.source,
                    repository = turn.repository,
                    tries,
                    "the forge answers again"
                );
            }
            Found::Content(Box::new(Content::Event(Box::new(event))), found)
        }
        Err(Failure { what, error }) => {
            let text = error.to_string();
            match judge(&error, state.clock.now()) {
                Judged::Never => {
                    outcome("refused");
                    tracing::warn!(delivery_id = %row.head.id, source = turn.source,
                        repository = turn.repository, error = text,
                        "a repository's workflow files cannot be read");
                    broken(format!("{what} cannot be read: {text}"))
                }
                Judged::Later { whose, asked_ms } => {
                    outcome("failed");
                    let now = state.clock.now();
                    let (planning, entropy) = (&state.planning, &mut OsEntropy);
                    let trouble =
                        planning.failed(turn, whose, text.clone(), asked_ms, now, entropy);
                    tracing::warn!(
                        source = turn.source,
                        repository = turn.repository,
                        error = text,
                        tries = trouble.tries,
                        wait_ms = trouble.until_wall_ms - now.wall_ms,
                        "a forge does not answer what was asked of a repository: its deliveries wait"
                    );
                    Found::Later(text)
                }
            }
        }
    }
}

/// Since when a delivery waits for its forge (wall milliseconds). Until it was approved it waited for a person, who had
/// time.
fn waits_since_ms(received_at_ms: i64, approval: Option<&Approval>) -> i64 {
    approval.and_then(|approval| approval.at_ms).unwrap_or(0).max(received_at_ms)
}

/// Why a delivery is given up, if it has waited for too long.
fn too_late(state: &AppState, row: &DeliveryDetail, error: &str) -> Option<String> {
    let rulebook = state.rulebook();
    let source = &*row.head.source;
    let of_files = rulebook.repositories.get(source).map(|it| it.give_up_after_ms);
    let of_forge = rulebook.forges.get(source).map(|it| it.give_up_after_ms);
    let max_ms = of_files.into_iter().chain(of_forge).max()?;
    let since_ms = waits_since_ms(row.head.received_at_ms, row.head.approval.as_deref());
    let waited_ms = state.clock.now().wall_ms - since_ms;
    let what = row.head.reason.as_deref().unwrap_or_default();
    (waited_ms >= max_ms).then(|| {
        format!("{what}; given up after {} s (`give_up_after_ms`): {error}", waited_ms / 1_000)
    })
}

/// Decides a delivery, for as long as this instance leads; whether it did.
async fn decided(
    state: &AppState,
    epoch: i64,
    mut row: DeliveryDetail,
    mut content: Content,
    found: LookedUp,
) -> bool {
    let LookedUp { files, standing } = found;
    let id = row.head.id;
    row.head.attempts += 1;
    if files.is_some() {
        let taken_up = again(row.clone(), DeliveryState::Planning, row.head.reason.clone());
        if send(state, epoch, taken_up).await.is_none() {
            return false;
        }
    }
    if row.head.attempts > ATTEMPTS_MAX {
        content = Content::Broken(format!(
            "given up after {ATTEMPTS_MAX} times: the server ended each time"
        ));
    }
    let reads = files.as_ref().is_some_and(|files| files.reads_payloads());
    let body = match reads || state.rulebook().rules.reads_payloads() {
        true => state.store.delivery_body(id).await.unwrap_or_else(|error| {
            tracing::warn!(delivery_id = %id, %error, "failed to read a delivery's body");
            None
        }),
        false => None,
    };
    let payload = || stored_json(body.as_deref()?);
    let limited_to = row.head.approval.as_ref().and_then(|approval| approval.limited_to);
    let whose = WhoseTriggers { tenant_id: row.head.tenant_id, limited_to };
    let traceparent = row.head.traceparent.clone();
    let approved_by = row.head.approval.as_ref().and_then(|approval| approval.by.clone());
    let arrival = Arrival {
        at_ms: row.head.received_at_ms,
        traceparent: traceparent.as_deref(),
        payload: Some(&payload),
        facts: files.as_deref().map_or(Facts::LeftOut, Facts::Files),
        standing: standing.as_ref(),
        approved_by: approved_by.as_deref(),
    };
    let decision = decide(state, content, whose, arrival);
    let about = decision.about;
    let mut deliver = again(row, decision.delivery_state, decision.reason.map(Into::into));
    deliver.delivery.verdicts = decision.verdicts;
    deliver.plan = decision.plan;
    deliver.about = about;
    debug_assert!(
        deliver.delivery.state != DeliveryState::Failed || deliver.plan == Plan::default()
    );
    let Some((delivery_state, workloads)) = send(state, epoch, deliver).await else { return false };
    tracing::info!(delivery_id = %id, state = delivery_state.as_str(),
        workload_ids = ?workloads.iter().map(|id| id.0).collect::<Vec<_>>(), "planned a delivery");
    true
}

/// All that an event needs, where the caller may reach some triggers alone: nobody could say later which, so it waits for
/// that.
///
/// # Errors
///
/// [`ApiError::Elsewhere`] when it cannot be looked up now.
pub(super) async fn at_once(
    state: &AppState,
    content: &Content,
    whose: WhoseTriggers,
) -> Result<LookedUp, ApiError> {
    let (Content::Event(event), Some(_)) = (content, whose.limited_to) else {
        return Ok(LookedUp::default());
    };
    let rulebook = state.rulebook();
    let needs = Needs::of(event, &rulebook.rules);
    look_up(state, &rulebook, event, &needs).await.map_err(|Failure { what, error }| {
        ApiError::Elsewhere(format!("{what} cannot be read now: {error}"))
    })
}

/// What people are told of a delivery that waits: its reason, and what went wrong last.
pub(super) fn told(state: &AppState, row: &DeliveryDetail) -> Option<Box<str>> {
    let what = row.head.reason.as_deref().unwrap_or("waits for a lookup");
    let name = event(row).ok()?.repository?.full_name;
    let Trouble { tries, until_wall_ms, error, .. } =
        state.planning.trouble(&row.head.source, &name)?;
    let next = jiff::Timestamp::from_millisecond(until_wall_ms).ok()?;
    let next = next.strftime("%Y-%m-%dT%H:%M:%SZ");
    Some(format!("{what}; failed {tries} times, next try at {next}: {error}").into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::About;

    #[test]
    fn what_somebody_approved_waits_for_its_forge_from_then_on() {
        let about = About { subject: "pull 7".into(), sha: None };
        let held = Approval::of(about, 10);
        assert_eq!(waits_since_ms(10, None), 10);
        assert_eq!(waits_since_ms(10, Some(&held)), 10);
        assert_eq!(waits_since_ms(10, Some(&Approval { at_ms: Some(90_000), ..held })), 90_000);
    }
}
