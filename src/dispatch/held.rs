//! Deliveries that wait for somebody's approval.
//!
//! What is approved is one delivery at its commit: a newer one about the same thing with another commit ends it, in the
//! command that brings the newer one. An approved delivery goes on as `planning`, and is evaluated again from its rows
//! with the name of who approved it; nothing of what it starts was decided before.

use std::collections::{BTreeMap, BTreeSet};

use super::command::{Refusal, Reply};
use super::scheduler::Scheduler;
use crate::model::{
    About, Answered, Approval, Change, Delivery, DeliveryId, DeliveryState, Now, Record,
    RecordName, TenantId,
};

/// How many of those that nobody looked at end in one batch.
const ENDS_MAX: usize = 500;

/// The most deliveries that wait: strangers can make as many as they like.
pub(super) const HELD_MAX: usize = 10_000;

/// The deliveries that wait, and by what they are about.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    rows: BTreeMap<DeliveryId, Approval>,
    by_subject: BTreeMap<Box<str>, BTreeSet<DeliveryId>>,
    /// By since when they wait (wall).
    by_age: BTreeSet<(i64, DeliveryId)>,
}

impl Held {
    pub(super) fn insert(&mut self, id: DeliveryId, approval: Approval) {
        self.by_subject.entry(approval.about.subject.clone()).or_default().insert(id);
        self.by_age.insert((approval.since_ms(id), id));
        self.rows.insert(id, approval);
    }

    fn remove(&mut self, id: DeliveryId) -> Option<Approval> {
        let approval = self.rows.remove(&id)?;
        self.by_age.remove(&(approval.since_ms(id), id));
        let subject = &approval.about.subject;
        if let Some(ids) = self.by_subject.get_mut(subject) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_subject.remove(subject);
            }
        }
        Some(approval)
    }

    /// Since when the first of them waits (wall), and which it is.
    pub(super) fn oldest(&self) -> Option<(i64, DeliveryId)> {
        self.by_age.first().copied()
    }

    /// All of them, in the order in which they came.
    pub(super) fn rows(&self) -> &BTreeMap<DeliveryId, Approval> {
        &self.rows
    }

    /// Those about the same thing as this.
    fn about<'a>(&'a self, about: &About) -> impl Iterator<Item = (DeliveryId, &'a About)> {
        let ids = self.by_subject.get(&about.subject).into_iter().flatten();
        ids.filter_map(|id| Some((*id, &self.rows.get(id)?.about)))
    }
}

/// What somebody says of a held delivery.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeldAnswer {
    /// Which.
    pub delivery_id: DeliveryId,
    /// Whether it may run.
    pub approved: bool,
    /// The commit that was looked at; another one is refused.
    pub sha: Option<Box<str>>,
    /// Who says it.
    pub author: Box<str>,
    /// Why, for people.
    pub reason: Box<str>,
    /// The tenant to which that is limited; nothing of another one is started by it.
    pub limited_to: Option<TenantId>,
}

impl Scheduler {
    /// A delivery about something ends those that wait about the same at an older commit; and one that is to wait
    /// does so, unless a newer one does already.
    pub(super) fn hold_delivery(
        &mut self,
        now: Now,
        delivery: &mut Delivery,
        about: Option<About>,
    ) {
        let id = delivery.id;
        let newer = about.as_ref().and_then(|about| {
            let replaces = |(_, of): &(DeliveryId, &About)| about.is_replaced_by(of);
            self.held.about(about).filter(|(other, _)| *other > id).find(replaces)
        });
        let newer = newer.map(|(id, _)| id);
        // What is repeated is no newer than what waits.
        if let Some(about) = about.as_ref().filter(|_| delivery.replay_of.is_none()) {
            let older = self
                .held
                .about(about)
                .filter(|(other, of)| *other < id && of.is_replaced_by(about));
            let older: Vec<_> = older.map(|(id, _)| id).collect();
            for other in older {
                let sha = about.sha.as_deref().unwrap_or_default();
                self.replaced(now, other, &format!("delivery {id} at {sha}"));
            }
        }
        if delivery.state != DeliveryState::Held {
            return;
        }
        if let Some(newer) = newer {
            delivery.state = DeliveryState::Ignored;
            delivery.reason = Some(superseded(&format!("delivery {newer}")));
        } else if self.held.rows.len() >= HELD_MAX {
            delivery.state = DeliveryState::Failed;
            let why = "deliveries wait for approval already: approve or deny some, then replay it";
            delivery.reason = Some(format!("{HELD_MAX} {why}").into());
        } else {
            // What is about nothing that has a name is about itself.
            let about =
                about.unwrap_or_else(|| About { subject: id.to_string().into(), sha: None });
            let approval = Approval::of(about, now.wall_ms);
            self.held.insert(id, approval.clone());
            delivery.approval = Some(Box::new(approval));
            self.record(Record {
                delivery_id: Some(id),
                detail: delivery.reason.clone().unwrap_or_default(),
                ..Record::new(RecordName::DeliveryHeld, now.wall_ms)
            });
        }
    }

    fn replaced(&mut self, now: Now, id: DeliveryId, by: &str) {
        let Some(approval) = self.held.remove(id) else { return };
        self.ends_unheard(now, id, approval, superseded(by));
    }

    /// Ends those that nobody looked at for too long: what strangers make must not wait for ever.
    pub(super) fn end_unanswered(&mut self, now: Now) {
        let Some(max_ms) = self.settings.held_expires_after_ms else { return };
        // The others are over in the next batch, which comes at once.
        for _ in 0..ENDS_MAX {
            let Some((since_ms, id)) = self.held.oldest() else { return };
            if since_ms.saturating_add(max_ms) > now.wall_ms {
                return;
            }
            let Some(approval) = self.held.remove(id) else { return };
            let key = "held_expires_after_ms";
            let reason = format!("nobody approved it within {} s (`{key}`)", max_ms / 1_000);
            self.ends_unheard(now, id, approval, reason.into());
        }
    }

    /// When the next one is over (wall).
    pub(super) fn held_due_ms(&self) -> Option<i64> {
        let max_ms = self.settings.held_expires_after_ms?;
        self.held.oldest().map(|(since_ms, _)| since_ms.saturating_add(max_ms))
    }

    /// A held delivery starts nothing, and nobody said so.
    fn ends_unheard(&mut self, now: Now, id: DeliveryId, approval: Approval, reason: Box<str>) {
        self.record(Record {
            delivery_id: Some(id),
            detail: reason.clone(),
            ..Record::new(RecordName::DeliveryDenied, now.wall_ms)
        });
        let state = DeliveryState::Ignored;
        let answered = Answered { id, state, reason, approval };
        self.out.changes.push(Change::DeliveryAnswered(Box::new(answered)));
    }

    /// Somebody approved or denied a held delivery.
    pub(super) fn answer_held(&mut self, now: Now, answer: HeldAnswer) -> Result<Reply, Refusal> {
        let HeldAnswer { delivery_id: id, approved, sha, author, reason, limited_to } = answer;
        let Some(held) = self.held.rows.get(&id) else {
            return Err(Refusal::WrongState(format!("delivery {id} waits for no approval").into()));
        };
        let own = held.about.sha.as_deref();
        if let Some(looked_at) = sha.as_deref().filter(|it| Some(*it) != own) {
            let own = own.unwrap_or("no commit");
            let text = format!("delivery {id} is about {own}, not about {looked_at}");
            return Err(Refusal::WrongState(text.into()));
        }
        let Some(mut approval) = self.held.remove(id) else { return Ok(Reply::Done) };
        let at = approval.about.sha.as_deref().map(|sha| format!(" at {sha}")).unwrap_or_default();
        let (name, state, told) = match approved {
            true => {
                approval.by = Some(author.clone());
                approval.at_ms = Some(now.wall_ms);
                approval.limited_to = limited_to;
                let told = format!("approved by {author}{at}: {reason}");
                (RecordName::DeliveryApproved, DeliveryState::Planning, told)
            }
            false => {
                let told = format!("denied by {author}{at}: {reason}");
                (RecordName::DeliveryDenied, DeliveryState::Ignored, told)
            }
        };
        self.record(Record {
            delivery_id: Some(id),
            author: Some(author),
            detail: told.clone().into(),
            ..Record::new(name, now.wall_ms)
        });
        let answered = Answered { id, state, reason: told.into(), approval };
        self.out.changes.push(Change::DeliveryAnswered(Box::new(answered)));
        Ok(Reply::Done)
    }
}

fn superseded(by: &str) -> Box<str> {
    format!("superseded by a new push: {by}").into()
}
