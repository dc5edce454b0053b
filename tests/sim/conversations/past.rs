//! Sessions that ended are forgotten, whole or piece by piece, while others go on; and attempts of executors that know
//! of no sessions, which are given what there is and say nothing.

use dispatchyard::dispatch::{Command, Prune, Reply, SessionCommand};
use dispatchyard::model::{AssignedJob, Direction, JobResult, PrunedSession, SessionId};

use super::{World, lease};

/// An attempt that is given what was said, as far as it fits, and says nothing.
pub(super) struct Silent {
    job: AssignedJob,
    session: SessionId,
    given: i64,
}

impl World {
    /// Asks for some to be forgotten, live ones among them: those stay.
    pub(super) fn prune(&mut self) {
        let talks = &self.rows.talks;
        let live = talks.live.values().map(|row| (row.id, 0, row.last_sequence));
        let ended = talks
            .ended
            .values()
            .map(|row| (row.id, row.ended_at_ms.unwrap_or(0), row.last_sequence));
        let all: Vec<_> = live.chain(ended).collect();
        let mut asked = Vec::new();
        for (id, ended_at_ms, last) in all {
            if !self.dice.once_in(2) {
                continue;
            }
            let said = self.rows.talks.messages.get(&id);
            let first = said.and_then(|said| said.first()).map_or(last + 1, |it| it.sequence);
            let whole = self.dice.once_in(2);
            let up_to = if whole { last } else { first + self.dice.roll(3) as i64 };
            asked.push(PrunedSession { id, ended_at_ms, first, up_to: up_to.min(last), whole });
        }
        let is_live = |it: &&PrunedSession| self.rows.talks.live.contains_key(&it.id);
        let (kept, pieces) =
            (asked.iter().filter(is_live).count(), asked.iter().any(|it| !it.whole));
        let expected: Vec<_> = asked.iter().filter(|it| !is_live(it)).copied().collect();
        let command = Prune { sessions: asked, ..Prune::default() };
        let reply = self.send(Command::Prune(Box::new(command)));
        let Some(Ok(Reply::Pruned { rows, .. })) = reply else { return };
        assert_eq!(rows.sessions, expected, "live ones stay, and nothing else");
        for (what, there) in [
            ("live not pruned", kept > 0),
            ("pruned", expected.iter().any(|it| it.whole)),
            ("pruned a piece", pieces && expected.iter().any(|it| !it.whole)),
        ] {
            if there {
                self.mark(what);
            }
        }
    }

    /// An executor that knows of no sessions has a job: not all that was said may fit.
    pub(super) fn begin_silently(&mut self, job: AssignedJob, session: SessionId) {
        let row = &self.rows.talks.live[&session];
        let (delivered, mut given) = (row.delivered, row.given);
        if given > delivered + 1 && self.dice.once_in(2) {
            let up_to = delivered + 1 + self.dice.roll((given - delivered - 1) as u64) as i64;
            let cut = SessionCommand::Given { lease: lease(&job), up_to };
            if self.send(Command::Session(cut)).is_none() {
                // Nobody heard of it, so nothing is given.
                return;
            }
            given = up_to;
            self.mark("given a part");
        }
        self.silent.push(Silent { job, session, given });
        self.mark("began silently");
    }

    /// It ends well, and had all that it was given.
    pub(super) fn end_silently(&mut self) {
        let Some(Silent { job, session, given }) = self.silent.pop() else { return };
        let end = Command::Complete { lease: lease(&job), result: Box::new(JobResult::success()) };
        let dealt = self.dealt.entry(session).or_default();
        let before = std::mem::replace(dealt, given.max(*dealt));
        let Some(Ok(_)) = self.batch(vec![end], false).into_iter().next() else {
            self.dealt.insert(session, before);
            return;
        };
        let said = self.rows.talks.messages.get(&session).into_iter().flatten();
        let had = said.filter(|it| it.direction == Direction::In && it.sequence <= given);
        let had: Vec<_> = had.map(|it| (session, it.sequence)).collect();
        self.reached.extend(had);
        self.mark("ended silently");
    }

    /// Whatever runner has it is gone, or the work is stopped.
    pub(super) fn forget_silent(&mut self, is_gone: impl Fn(&AssignedJob) -> bool) {
        self.silent.retain(|it| !is_gone(&it.job));
    }
}
