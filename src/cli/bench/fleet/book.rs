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
}

impl Book {
    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, LeaseToken>> {
        self.completed.lock().unwrap_or_else(PoisonError::into_inner)
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
    pub(super) fn complete(&self, job: JobId, lease: LeaseToken) {
        if self.lock().insert(job, lease).is_some_and(|before| before != lease) {
            self.twice.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A completion was refused: the lease was no longer the runner's.
    pub(super) fn refuse(&self) {
        self.late.fetch_add(1, Ordering::SeqCst);
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
}
