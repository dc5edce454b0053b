//! Times of schedules: each comes once.
//!
//! A firing says of which state of its row it was decided. In one transaction the delivery is stored, its key is
//! claimed and the row goes on, so that neither a restart, nor another instance, nor a clock that goes back has
//! a time come twice. When times come is not decided here.

use super::command::{Fire, Refusal, Reply, Verdict};
use super::scheduler::Scheduler;
use crate::model::{Change, Now, ScheduleMark};

impl Scheduler {
    /// A time has come, or is passed over.
    pub(super) fn fire(
        &mut self,
        now: Now,
        fire: Fire,
        verdict: Verdict,
    ) -> Result<Reply, Refusal> {
        let Fire { mut mark, after_ms, deliver } = fire;
        let known = self.schedules.get(&mark.name).map(|known| known.handled_ms);
        // What was sent again after a commit that nobody knew of has its own mark there already.
        let is_done = matches!(verdict, Verdict::Duplicate(_)) && known == Some(mark.handled_ms);
        if known != after_ms && !is_done {
            let text = format!("the schedule `{}` was handled meanwhile", mark.name);
            return Err(Refusal::WrongState(text.into()));
        }
        let reply = match deliver {
            Some(deliver) => self.deliver(now, *deliver, verdict)?,
            None => Reply::Kept,
        };
        if let Reply::Delivered { delivery_id, .. } = &reply {
            mark.delivery_id = Some(*delivery_id);
        }
        if !is_done {
            self.out.changes.push(Change::ScheduleKept(mark.clone()));
            self.schedules.insert(mark.name.clone(), mark);
        }
        Ok(reply)
    }

    /// These are in no configuration any more.
    pub(super) fn forget_schedules(&mut self, names: &[Box<str>]) -> Reply {
        for name in names {
            if self.schedules.remove(name).is_some() {
                self.out.changes.push(Change::ScheduleForgotten(name.clone()));
            }
        }
        Reply::Kept
    }

    /// How far each schedule is handled, in the order of names.
    pub fn schedules(&self) -> Vec<ScheduleMark> {
        self.schedules.values().cloned().collect()
    }
}
