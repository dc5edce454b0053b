//! What was submitted and what became of it, by the runners' own account.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::{JobId, LeaseToken};

/// Jobs submitted and completed.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// Nothing more is submitted.
    pub(super) closed: AtomicBool,
    submitted: AtomicUsize,
    late: AtomicUsize,
    twice: AtomicUsize,
    /// By which lease each job was completed.
    completed: Mutex<HashMap<JobId, LeaseToken>>,
    /// Completions that were sent and whose answer nobody heard, because their runner died.
    unheard: Mutex<Vec<(JobId, LeaseToken)>>,
}

/// A completion on its way. Dropped before [`Saying::heard`], nobody knows what became of it.
#[must_use = "a completion whose answer is not heard has to be asked after"]
pub(super) struct Saying<'b> {
    book: &'b Book,
    job: JobId,
    lease: LeaseToken,
    heard: bool,
}

impl Saying<'_> {
    /// The answer came: whether the job was completed by it.
    pub(super) fn heard(mut self, completed: bool) {
        self.heard = true;
        if completed {
            self.book.complete(self.job, self.lease);
        } else {
            self.book.late.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Drop for Saying<'_> {
    fn drop(&mut self) {
        if !self.heard {
            self.book.unheard_lock().push((self.job, self.lease));
        }
    }
}

impl Book {
    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, LeaseToken>> {
        self.completed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unheard_lock(&self) -> MutexGuard<'_, Vec<(JobId, LeaseToken)>> {
        self.unheard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A runner says that its job is done.
    pub(super) fn say(&self, job: JobId, lease: LeaseToken) -> Saying<'_> {
        Saying { book: self, job, lease, heard: false }
    }

    /// Takes out what nobody heard the answer of, but for what others completed since.
    pub(super) fn take_unheard(&self) -> Vec<(JobId, LeaseToken)> {
        let unheard = std::mem::take(&mut *self.unheard_lock());
        let completed = self.lock();
        unheard.into_iter().filter(|(job, _)| !completed.contains_key(job)).collect()
    }

    /// Counts so many jobs as submitted, if no more than `most` are outstanding then.
    pub(super) fn reserve(&self, jobs: usize, most: usize) -> bool {
        let completed = self.completed();
        let room =
            |submitted: usize| (submitted + jobs <= completed + most).then_some(submitted + jobs);
        self.submitted.fetch_update(Ordering::SeqCst, Ordering::SeqCst, room).is_ok()
    }

    /// They were not submitted after all.
    pub(super) fn give_up(&self, jobs: usize) {
        self.submitted.fetch_sub(jobs, Ordering::SeqCst);
    }

    /// A job was completed by the right of a lease.
    fn complete(&self, job: JobId, lease: LeaseToken) {
        if self.lock().insert(job, lease).is_some_and(|before| before != lease) {
            self.twice.fetch_add(1, Ordering::SeqCst);
        }
    }

    pub(super) fn submitted(&self) -> usize {
        self.submitted.load(Ordering::SeqCst)
    }

    pub(super) fn completed(&self) -> usize {
        self.lock().len()
    }

    pub(super) fn completed_twice(&self) -> usize {
        self.twice.load(Ordering::SeqCst)
    }

    pub(super) fn late(&self) -> usize {
        self.late.load(Ordering::SeqCst)
    }

    pub(super) fn outstanding(&self) -> usize {
        self.submitted().saturating_sub(self.completed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_outstanding_as_may_be_and_a_second_completion_is_seen() {
        let book = Book::default();
        assert!(book.reserve(10, 20) && book.reserve(10, 20) && !book.reserve(10, 20));
        for job in 1..=10 {
            book.complete(JobId(job), LeaseToken(job));
        }
        assert_eq!((book.submitted(), book.completed(), book.outstanding()), (20, 10, 10));
        assert!(book.reserve(10, 20));
        book.give_up(10);
        book.complete(JobId(1), LeaseToken(1));
        assert_eq!((book.completed_twice(), book.submitted()), (0, 20));
        book.complete(JobId(1), LeaseToken(99));
        assert_eq!((book.completed_twice(), book.completed()), (1, 10));
    }

    #[test]
    fn a_completion_whose_answer_was_not_heard_is_asked_after_until_it_is_known() {
        let book = Book::default();
        assert!(book.reserve(3, 3));
        book.say(JobId(1), LeaseToken(1)).heard(true);
        book.say(JobId(2), LeaseToken(2)).heard(false);
        assert_eq!((book.completed(), book.late(), book.take_unheard().len()), (1, 1, 0));
        drop(book.say(JobId(2), LeaseToken(3)));
        drop(book.say(JobId(3), LeaseToken(4)));
        book.say(JobId(2), LeaseToken(5)).heard(true);
        let unheard = book.take_unheard();
        assert_eq!(
            unheard,
            [(JobId(3), LeaseToken(4))],
            "the other was completed by somebody else"
        );
        book.say(JobId(3), LeaseToken(4)).heard(true);
        assert_eq!((book.outstanding(), book.take_unheard().len()), (0, 0));
    }
}
