//! The mark of waiting jobs that no registered runner could ever take.
//!
//! Whether somebody could take a job is its class's question, so classes are watched, not jobs: one
//! that has jobs in lanes and no runner for `unschedulable_after_ms` has its jobs marked, and one
//! that has a runner again has the marks taken away, a few jobs with each tick. The mark is a bit of
//! the job's row: a restart neither forgets it nor tells of it twice. It ends nothing; the queue
//! timeout does that. A runner that the server is starting counts, until a start of its fleet fails.

use std::collections::{BTreeMap, BTreeSet};

use super::scheduler::Scheduler;
use crate::model::{ClassId, JobId, JobStateKind, Now, RecordName};

/// Most jobs that one tick marks, or takes the mark from.
const JOBS_PER_TICK: usize = 200;
/// Most classes for which one tick looks for the nearest runner, which looks at all of them.
const CLASSES_PER_TICK: usize = 8;

/// Classes without a runner, and the jobs that are marked for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Unschedulable {
    /// Classes with jobs in lanes and no runner.
    watched: BTreeMap<ClassId, Watch>,
    /// Jobs that are marked: an index over the rows.
    marked: BTreeMap<ClassId, BTreeSet<JobId>>,
    /// Marked jobs of all classes.
    marked_len: usize,
    /// Classes whose marks are to be taken away.
    clearing: BTreeSet<ClassId>,
    /// The version of the index of capabilities that was looked at last.
    looked_at: u64,
}

#[derive(Clone, Debug)]
struct Watch {
    /// Since when (mono).
    since_ms: i64,
    /// Jobs to be marked; `None` until the time has come and the lanes were looked at.
    todo: Option<BTreeSet<JobId>>,
}

impl Unschedulable {
    /// A row says that its job is marked, or no longer.
    fn note(&mut self, class: ClassId, id: JobId, marked: bool) {
        if marked {
            let new = self.marked.entry(class).or_default().insert(id);
            self.marked_len += usize::from(new);
        } else if let Some(jobs) = self.marked.get_mut(&class) {
            self.marked_len -= usize::from(jobs.remove(&id));
            if jobs.is_empty() {
                self.marked.remove(&class);
                self.clearing.remove(&class);
            }
        }
    }

    /// How many jobs are marked.
    pub(super) fn len(&self) -> usize {
        self.marked_len
    }
}

impl Scheduler {
    /// A job came into its lane: when nobody could take it, its class is watched.
    pub(super) fn watch_class(&mut self, now: Now, id: JobId) {
        let row = &self.jobs[&id].row;
        let (class, marked) = (row.class_id, row.unschedulable);
        if marked || self.is_served(class) {
            return;
        }
        let watch = Watch { since_ms: now.mono_ms, todo: None };
        let watch = self.unschedulable.watched.entry(class).or_insert(watch);
        if let Some(todo) = &mut watch.todo {
            todo.insert(id);
        }
    }

    /// A loaded job was marked.
    pub(super) fn load_mark(&mut self, class: ClassId, id: JobId) {
        self.unschedulable.note(class, id, true);
    }

    /// When a class's time is over (mono), or at once while there are jobs to mark.
    pub(super) fn marks_due_ms(&self) -> Option<i64> {
        let marks = &self.unschedulable;
        let matters = marks.marked_len > 0 || !self.queue.is_empty();
        let changed = matters && marks.looked_at != self.index.version();
        if changed || !marks.clearing.is_empty() {
            return Some(i64::MIN);
        }
        let after_ms = self.settings.unschedulable_after_ms;
        let due = |watch: &Watch| match &watch.todo {
            None => Some(watch.since_ms.saturating_add(after_ms)),
            Some(todo) => (!todo.is_empty()).then_some(i64::MIN),
        };
        let waits = |class: &ClassId| self.queue.class_len(*class) > 0;
        let watched = marks.watched.iter().filter(|(class, _)| waits(class));
        watched.filter_map(|(_, watch)| due(watch)).min()
    }

    /// Marks jobs whose time is over, and takes marks away that are wrong by now.
    pub(super) fn mark_unschedulable(&mut self, now: Now) {
        self.look_at_fleet(now);
        let mut room = JOBS_PER_TICK;
        self.clear_marks(now, &mut room);
        let after_ms = self.settings.unschedulable_after_ms;
        let due = |watch: &Watch| {
            now.mono_ms >= watch.since_ms.saturating_add(after_ms)
                && watch.todo.as_ref().is_none_or(|todo| !todo.is_empty())
        };
        let watched = self.unschedulable.watched.iter();
        let due: Vec<_> =
            watched.filter(|(_, watch)| due(watch)).map(|(class, _)| *class).collect();
        for class in due.into_iter().take(CLASSES_PER_TICK) {
            self.mark_class(now, class, &mut room);
        }
    }

    /// After runners came, left or changed: looks at each class with jobs in lanes.
    fn look_at_fleet(&mut self, now: Now) {
        let version = self.index.version();
        if std::mem::replace(&mut self.unschedulable.looked_at, version) == version {
            return;
        }
        let mut marks = std::mem::take(&mut self.unschedulable);
        marks.watched.retain(|class, _| !self.is_served(*class));
        let fits = marks.marked.keys().filter(|class| self.is_served(**class));
        marks.clearing = fits.copied().collect();
        for class in self.queue.classes().filter(|class| !self.is_served(*class)) {
            let watch = Watch { since_ms: now.mono_ms, todo: None };
            marks.watched.entry(class).or_insert(watch);
        }
        self.unschedulable = marks;
    }

    /// Whether somebody could take jobs of a class, or may soon: one that is being started counts as what it
    /// was ordered as, but not where the last start failed, since then nobody may ever come.
    fn is_served(&self, class: ClassId) -> bool {
        self.index.runners(class).any(|slot| {
            let Some(runner) = self.runners.at(slot) else { return false };
            match &runner.row.order {
                Some(order) if !order.registered => {
                    order.leaving.is_none() && !self.fleet_trouble.contains_key(&order.fleet)
                }
                _ => true,
            }
        })
    }

    fn mark_class(&mut self, now: Now, class: ClassId, room: &mut usize) {
        let jobs = || self.queue.jobs_of(class).collect::<BTreeSet<_>>();
        let Some(watch) = self.unschedulable.watched.get_mut(&class) else { return };
        let todo = watch.todo.get_or_insert_with(jobs);
        let mut now_marked = Vec::new();
        while *room > 0
            && let Some(id) = todo.pop_first()
        {
            let waits = self.jobs.get(&id).is_some_and(|live| {
                live.row.kind() == JobStateKind::Pending && !live.row.unschedulable
            });
            if waits {
                now_marked.push(id);
                *room -= 1;
            }
        }
        if self.queue.class_len(class) == 0 {
            self.unschedulable.watched.remove(&class);
        }
        let Some(first) = now_marked.first() else { return };
        // The same for all of them.
        let why: Box<str> = self.nearest(&self.jobs[first].row, None).to_string().into();
        for id in now_marked {
            self.set_mark(id, true);
            let mut record = self.job_record(now, RecordName::JobUnschedulable, id);
            record.detail = why.clone();
            self.record(record);
        }
    }

    fn clear_marks(&mut self, now: Now, room: &mut usize) {
        while *room > 0
            && let Some(class) = self.unschedulable.clearing.first().copied()
        {
            let first = self.unschedulable.marked.get(&class).and_then(BTreeSet::first).copied();
            match first {
                Some(id) => {
                    self.clear_mark(now, id);
                    *room -= 1;
                }
                None => drop(self.unschedulable.clearing.remove(&class)),
            }
        }
    }

    /// Somebody could take a marked job, or has taken it.
    pub(super) fn clear_mark(&mut self, now: Now, id: JobId) {
        if self.drop_mark(id) {
            let record = self.job_record(now, RecordName::JobSchedulable, id);
            self.record(record);
        }
    }

    /// Takes a job's mark away without a word. Whether it had one.
    pub(super) fn drop_mark(&mut self, id: JobId) -> bool {
        let marked = self.jobs.get(&id).is_some_and(|live| live.row.unschedulable);
        if marked {
            self.set_mark(id, false);
        }
        marked
    }

    fn set_mark(&mut self, id: JobId, marked: bool) {
        let class = self.jobs[&id].row.class_id;
        self.edit_job(id, |job| job.unschedulable = marked);
        self.unschedulable.note(class, id, marked);
    }
}
