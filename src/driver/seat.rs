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
            let wait = keeper.turn().await;
            tokio::select! {
                // Told to, or nobody is there any more who decides.
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
        let wait = match self.views.standing().leads {
            true => self.renew().await,
            false => self.look().await,
        };
        self.stamp().await;
        wait
    }

    async fn renew(&mut self) -> Duration {
        let asked_at_ms = self.clock.now().mono_ms;
        let left_ms = self.views.trusted_until_ms().saturating_sub(asked_at_ms);
        let renewed = tokio::time::timeout(millis(left_ms), self.seat.renew()).await;
        match renewed {
            Ok(Ok(true)) => {
                self.views.trust_until(self.term.trusted_until_ms(asked_at_ms));
                return millis(self.term.renew_ms());
            }
            Ok(Ok(false)) => tracing::warn!("another instance has taken over: this one stands by"),
            Ok(Err(error)) => tracing::warn!(%error, "the term could not be renewed: standing by"),
            Err(_) => tracing::warn!("the term was not renewed in time: standing by"),
        }
        self.views.stand(Standing::default());
        Duration::ZERO
    }

    async fn look(&mut self) -> Duration {
        let asked_at_ms = self.clock.now().mono_ms;
        let patience = millis(self.term.ttl_ms);
        let looked = tokio::time::timeout(patience, self.seat.look()).await;
        let wait = millis(self.term.look_ms);
        let failed = match looked {
            Ok(Ok(Look::Taken(leader))) => {
                self.views.trust_until(self.term.trusted_until_ms(asked_at_ms));
                tracing::info!("this instance leads");
                self.blind = false;
                self.views.stand(Standing { leads: true, leader: Some(leader) });
                return millis(self.term.renew_ms());
            }
            Ok(Ok(Look::Held(held))) => {
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
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} ms", patience.as_millis()),
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
            () = tokio::time::sleep(millis(left_ms)) => {}
        }
    }
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}
