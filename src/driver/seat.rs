//! Leads, or stands by: takes the seat when it is free, says that the leader is well, gives it up.
//!
//! It runs beside the driver, because a load or a commit must not keep it waiting. What it finds is
//! published ([`super::Views::standing`]); the driver loads when it leads and steps down when it does
//! not, or when its term could not be renewed in time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::term::{Suspect, Term};
use super::views::{Standing, Views};
use crate::clock::Clock;
use crate::store::{Held, Look, Seat, StoreError};

/// How soon it is looked again after a silent leader was ousted.
const LOOK_AFTER_OUST: Duration = Duration::from_millis(20);
/// How long what is being asked may still take when the seat is to be given up.
const LEAVE_AFTER: Duration = Duration::from_secs(1);
/// How often whoever waits for the end of a term looks at the clock that goes on in suspension.
const LOOK_AT_CLOCK: Duration = Duration::from_millis(500);

/// Keeps the seat, or an eye on it.
struct Keeper {
    seat: Seat,
    term: Term,
    views: Arc<Views>,
    clock: Arc<dyn Clock>,
    suspect: Suspect,
    /// When this instance last said that it is there (monotonic).
    stamped_at_ms: Option<i64>,
    /// Those that are configured otherwise, as it was told last.
    others: Vec<Box<str>>,
    /// Whether the last look has failed, so that it is told once.
    blind: bool,
}

/// Ends the keeper, which then gives up its seat.
pub(super) struct Leaving {
    stop: oneshot::Sender<()>,
    left: oneshot::Receiver<()>,
}

impl Leaving {
    /// Waits until the seat is given up.
    pub(super) async fn leave(self) {
        let _ = self.stop.send(());
        let _ = self.left.await;
    }
}

/// Starts to look after the seat.
pub(super) fn keep(seat: Seat, term: Term, views: Arc<Views>, clock: Arc<dyn Clock>) -> Leaving {
    let (stop, mut stopped) = oneshot::channel();
    let (has_left, left) = oneshot::channel();
    let mut keeper = Keeper {
        seat,
        term,
        views,
        clock,
        suspect: Suspect::default(),
        stamped_at_ms: None,
        others: Vec::new(),
        blind: false,
    };
    tokio::spawn(async move {
        loop {
            let mut turn = Box::pin(keeper.turn());
            // Stopped: told to, or nobody is there any more who decides.
            let wait = tokio::select! {
                wait = &mut turn => wait,
                _ = &mut stopped => {
                    let _ = tokio::time::timeout(LEAVE_AFTER, turn).await;
                    break;
                }
            };
            drop(turn);
            tokio::select! {
                _ = &mut stopped => break,
                () = keeper.views.seat_news() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        keeper.views.stand(Standing::default());
        keeper.seat.leave().await;
        let _ = has_left.send(());
    });
    Leaving { stop, left }
}

impl Keeper {
    /// Renews, or looks; how long to wait until the next time.
    async fn turn(&mut self) -> Duration {
        let asked_at_ms = self.clock.now().mono_ms;
        let mut wait = Duration::ZERO;
        if self.views.standing().leads {
            let left_ms = self.views.trusted_until_ms().saturating_sub(asked_at_ms);
            if !self.renew(left_ms).await {
                self.views.stand(Standing::default());
            }
        } else {
            wait = self.look().await;
        }
        self.stamp().await;
        if self.views.standing().leads {
            wait = millis(self.term.rest_ms(asked_at_ms, self.clock.now().mono_ms));
        }
        wait
    }

    /// Says that this leader is well, if that is done in time; whether it still leads.
    async fn renew(&mut self, within_ms: i64) -> bool {
        let asked_at_ms = self.clock.now().mono_ms;
        let renewed = tokio::time::timeout(millis(within_ms), self.seat.renew()).await;
        match renewed {
            Ok(Ok(true)) => {
                self.views.trust_until(self.term.trusted_until_ms(asked_at_ms));
                return true;
            }
            Ok(Ok(false)) => tracing::warn!("another instance has taken over: this one stands by"),
            Ok(Err(error)) => tracing::warn!(%error, "the term could not be renewed: standing by"),
            Err(_) => tracing::warn!("the term was not renewed in time: standing by"),
        }
        false
    }

    async fn look(&mut self) -> Duration {
        let patience = millis(self.term.ttl_ms);
        let looked = async {
            // Who connects slowly is given the time for it, and looks then.
            self.seat.reach().await?;
            let looked = tokio::time::timeout(patience, self.seat.look()).await;
            looked.map_err(|_| no_answer(patience))?
        };
        let looked = looked.await;
        let wait = millis(self.term.look_ms);
        let failed = match looked {
            Ok(Look::Taken(leader)) => {
                self.blind = false;
                // To take it may have been slow: the term is counted from a sign of life of its own.
                if self.renew(self.term.trusted_until_ms(0)).await {
                    tracing::info!("this instance leads");
                    self.views.stand(Standing { leads: true, leader: Some(leader) });
                }
                return wait;
            }
            Ok(Look::Held(held)) => {
                self.blind = false;
                let is_over = self.term.is_over(&held);
                let leader = held.leader.clone().filter(|_| !is_over);
                self.views.stand(Standing { leads: false, leader });
                if !is_over {
                    return wait;
                }
                match self.oust(&held).await {
                    Ok(true) => return LOOK_AFTER_OUST,
                    Ok(false) => return wait,
                    Err(error) => error.to_string(),
                }
            }
            Err(error) => error.to_string(),
        };
        if !std::mem::replace(&mut self.blind, true) {
            tracing::warn!(error = failed, "failed to find out who leads, or to take over");
        }
        self.views.stand(Standing::default());
        wait
    }

    /// Ends the session of a leader that has gone silent; whether there was one.
    async fn oust(&mut self, held: &Held) -> Result<bool, StoreError> {
        let holder = self.seat.holder().await?;
        let mono_ms = self.clock.now().mono_ms;
        let session = self.term.to_oust(held, holder, &mut self.suspect, mono_ms);
        let Some(session) = session else { return Ok(false) };
        let name = held.leader.as_ref().map(|leader| &*leader.name);
        tracing::warn!(leader = name, silent_ms = held.age_ms, "taking over from a silent leader");
        self.seat.oust(session).await?;
        Ok(true)
    }

    /// Says now and then that this instance is there, and who is otherwise.
    async fn stamp(&mut self) {
        let now_ms = self.clock.now().mono_ms;
        let due = self.stamped_at_ms.is_none_or(|at_ms| now_ms - at_ms >= self.term.renew_ms());
        if !due {
            return;
        }
        self.stamped_at_ms = Some(now_ms);
        let patience = millis(self.term.ttl_ms / 4);
        let stamped =
            tokio::time::timeout(patience, self.seat.stamp(self.term.gone_after_ms())).await;
        let Ok(Ok(others)) = stamped else { return };
        if others != self.others {
            self.others.clone_from(&others);
            if let Some(warning) = drift(&others) {
                tracing::warn!("{warning}");
            }
            self.views.set_drift(drift(&others));
        }
    }
}

fn no_answer(patience: Duration) -> StoreError {
    let what = format!("no answer within {} ms", patience.as_millis());
    StoreError::Unavailable { statement: "look who leads", what }
}

/// What an operator is told of instances that are configured otherwise.
fn drift(others: &[Box<str>]) -> Option<String> {
    (!others.is_empty()).then(|| {
        format!(
            "instances differ in their configuration or version from this one: {}; whoever leads \
             goes by its own",
            others.join(", ")
        )
    })
}

/// Resolves when this instance must not speak any more: it does not lead, or could not renew its term in
/// time. Never where there is one server only.
pub(super) async fn unseated(views: Arc<Views>, clock: Arc<dyn Clock>) {
    if views.is_alone() {
        return std::future::pending().await;
    }
    let mut standing = views.watch_standing();
    loop {
        if !standing.borrow_and_update().leads {
            return;
        }
        let left_ms = views.trusted_until_ms().saturating_sub(clock.now().mono_ms);
        if left_ms <= 0 {
            return;
        }
        tokio::select! {
            _ = standing.changed() => {}
            // The clock may go on while the machine is suspended; the timer does not.
            () = tokio::time::sleep(millis(left_ms).min(LOOK_AT_CLOCK)) => {}
        }
    }
}

/// Waits for the store for as long as this instance may speak, so that a database which does not answer any
/// more does not keep it from stepping down.
///
/// # Errors
/// [`StoreError::NotLeading`], and what the store says.
pub(super) async fn while_seated<T>(
    views: Arc<Views>,
    clock: Arc<dyn Clock>,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    tokio::select! {
        biased;
        done = work => done,
        () = unseated(views, clock) => Err(StoreError::NotLeading),
    }
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}
