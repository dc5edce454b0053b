//! What is said once a round is durable.

use super::batch::Envelope;
use super::decide::Round;
use super::flight::Flight;
use super::handle::CommandError;
use super::run::Driver;
use crate::dispatch::{Command, LeaseChange, Output, Scored};
use crate::model::{Record, RecordName};
use crate::telemetry::{Meter, Metrics, PredictionLabels, PromiseEndLabels, PromiseLabels};

impl Driver {
    /// Everything is durable: tells everyone who waits.
    pub(super) fn speak(&mut self, flight: Flight) {
        let Flight { round: Round { envelopes, replies, .. }, output, .. } = flight;
        self.views.apply_leases(&output.leases);
        if let Some(ended) = &self.options.ended {
            for change in &output.leases {
                if let LeaseChange::Ended(_, owner) = change {
                    let _ = ended.try_send(*owner);
                }
            }
        }
        tell(&mut self.meter, &output);
        tell_forecasts(&self.options.metrics, &output);
        self.views.apply_credentials(output.credentials, output.invitations);
        self.views.undecided.add(&output.undecided);
        if output.outbox {
            self.views.outbox.notify_one();
        }
        self.views.sessions.apply(&output.sessions);
        self.views.records.push(output.records);
        for (mut envelope, reply) in envelopes.into_iter().zip(replies) {
            match (&envelope.command, envelope.poll.take()) {
                (Command::Poll(poll) | Command::Stream(poll), Some(waiter)) if reply.is_ok() => {
                    self.parked.add(poll.poll_id, waiter);
                }
                (Command::PollGone(poll_id), _) => self.parked.remove(*poll_id),
                _ => {}
            }
            envelope.answer(reply.map_err(CommandError::Refused));
        }
        let (mut undelivered, mut first) = (Vec::new(), Vec::new());
        for answer in output.answers {
            let Err(missed) = self.parked.tell(answer) else { continue };
            undelivered.extend(missed.leases);
            // Before what goes back: that must not be given to it again.
            first.extend(missed.stream.map(Command::PollGone));
        }
        self.parked.count(&self.options.metrics);
        if !undelivered.is_empty() {
            first.push(Command::Undelivered(undelivered));
        }
        let unasked = |command| Envelope { command, reply: None, poll: None };
        self.inbox.first.extend(first.into_iter().map(unasked));
    }
}

/// Counts what happened, and writes it to the log with the ids of what it is about.
fn tell(meter: &mut Meter, output: &Output) {
    for record in &output.records {
        log(record);
        meter.record(record);
    }
    meter.count(&output.measures);
}

/// Counts what was said about jobs, and how far it came true.
fn tell_forecasts(metrics: &Metrics, output: &Output) {
    for promise in &output.promises {
        metrics.promises.get_or_create(&PromiseLabels::new(promise.as_str())).inc();
    }
    for scored in &output.scored {
        match scored {
            Scored::Start(timing) => {
                metrics.predictions.get_or_create(&PredictionLabels::new(timing.as_str())).inc();
            }
            Scored::Promise(promise, in_time) => {
                let outcome = if *in_time { "in_time" } else { "late" };
                let labels = PromiseEndLabels::new(promise.as_str(), outcome);
                metrics.promises_scored.get_or_create(&labels).inc();
            }
        }
    }
}

/// One line; what every job does is for those who look closer, what ends or goes wrong for all.
fn log(record: &Record) {
    let (job_id, workload_id) = (record.job_id.map(|id| id.0), record.workload_id.map(|id| id.0));
    let (runner_id, attempt) = (record.runner_id.map(|id| id.0), record.attempt);
    let delivery_id = record.delivery_id.map(|id| id.to_string());
    let (name, detail) = (record.name.as_str(), &*record.detail);
    match record.name {
        RecordName::JobQueued
        | RecordName::JobAssigned
        | RecordName::JobStarted
        | RecordName::DeliveryAccepted
        | RecordName::WorkloadCreated => {
            tracing::debug!(workload_id, job_id, runner_id, attempt, delivery_id, detail, "{name}");
        }
        _ => tracing::info!(workload_id, job_id, runner_id, attempt, delivery_id, detail, "{name}"),
    }
}
