//! The open loop: deliveries at a fixed rate, and what became of each.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::sender::Sender;
use super::{HttpLoad, WARM_UP_SECONDS};
use crate::api::wire::{DeliveryAccepted, DeliveryView};
use crate::cli::bench::target::Target;
use crate::clock::{Clock as _, SystemClock};
use crate::model::{DeliveryState, WorkloadId};

/// A delivery of the open loop; times in seconds of the measurement's clock.
pub(super) struct Sent {
    pub(super) scheduled: f64,
    pub(super) sent: f64,
    pub(super) answered: f64,
    /// `None` when it was refused, or not answered.
    pub(super) accepted: Option<DeliveryAccepted>,
}

impl Sent {
    /// Whether it was accepted, and nobody has said yet what it starts.
    pub(super) fn is_undecided(&self) -> bool {
        self.accepted.as_ref().is_some_and(|it| it.state == DeliveryState::Accepted.as_str())
    }

    /// What it started.
    pub(super) fn workload(&self) -> Option<WorkloadId> {
        self.accepted.as_ref()?.workloads.first().copied()
    }
}

/// Asks what those have started that were accepted undecided.
pub(super) async fn look_up(sent: &mut [Sent], target: &Target) {
    for accepted in
        sent.iter_mut().filter(|it| it.is_undecided()).filter_map(|it| it.accepted.as_mut())
    {
        let path = format!("deliveries/{}", accepted.delivery_id);
        if let Some(found) = target.wire.get::<DeliveryView>(&path, &target.token).await {
            accepted.workloads = found.triggers.iter().filter_map(|it| it.workload_id).collect();
            accepted.state = found.state;
        }
    }
}

/// Sends deliveries at a fixed rate, whatever becomes of those before.
pub(super) async fn send(sender: &Sender, load: HttpLoad, clock: &Arc<SystemClock>) -> Vec<Sent> {
    let warm_up = load.rate * WARM_UP_SECONDS;
    let mut due = pace(load.rate, warm_up + load.rate * load.seconds, clock);
    let mut tasks = JoinSet::new();
    while let Some((number, scheduled)) = due.recv().await {
        let (sender, clock) = (sender.clone(), Arc::clone(clock));
        tasks.spawn(async move {
            let sent = clock.seconds();
            let answer = sender.send(number, load.large_percent).await;
            let answered = clock.seconds();
            let accepted = answer.and_then(|text| serde_json::from_str(&text).ok());
            (number >= warm_up).then_some(Sent { scheduled, sent, answered, accepted })
        });
    }
    let mut sent = Vec::new();
    while let Some(done) = tasks.join_next().await {
        sent.extend(done.ok().flatten());
    }
    sent
}

/// Says when each delivery is due, from a thread of its own: the runtime's timers are as coarse as
/// what is measured.
fn pace(rate: u64, many: u64, clock: &Arc<SystemClock>) -> mpsc::UnboundedReceiver<(u64, f64)> {
    let (due, receiver) = mpsc::unbounded_channel();
    let clock = Arc::clone(clock);
    std::thread::spawn(move || {
        let began = clock.seconds();
        for number in 0..many {
            let scheduled = began + number as f64 / rate as f64;
            let wait = scheduled - clock.seconds();
            if wait > 0.0 {
                #[expect(clippy::disallowed_methods, reason = "a rate is made of time")]
                std::thread::sleep(Duration::from_secs_f64(wait));
            }
            if due.send((number, scheduled)).is_err() {
                return;
            }
        }
    });
    receiver
}
