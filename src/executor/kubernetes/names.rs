//! What things are called in a cluster: pure.
//!
//! The name of a Job is made of the attempt alone, so whoever asks for it twice, or after a restart, finds the
//! same one. The lease's secret half is part of it, as a hash: a server with another database, or with an older
//! copy of this one, numbers its jobs the same and comes to other names.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::super::event::TaskReadyEvent;

/// Whose it is: all servers of one database.
pub(super) const OWNER: &str = "dispatchyard/owner";
/// Which database: tells servers apart that have the same owner.
const INSTALLATION: &str = "dispatchyard/installation";
/// Which executor of that server has it, by the name that routes have for it.
pub(super) const EXECUTOR: &str = "dispatchyard/executor";
/// Which provisioner has started it.
pub(super) const PROVISIONER: &str = "dispatchyard/provisioner";
/// The Job that a pod is of.
pub(super) const RUN: &str = "dispatchyard/run";
/// The job's number.
pub(super) const JOB: &str = "dispatchyard/job";
/// The attempt's number.
pub(super) const ATTEMPT: &str = "dispatchyard/attempt";
/// `tenant::kind::workload::job`, as an annotation: it may have characters that a label must not have.
pub(super) const NAMESPACE: &str = "dispatchyard/namespace";
/// The well-known label of whoever looks after something.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// So long may an owner's name be: with the numbers behind it a Job's name stays within 63 bytes.
pub(super) const OWNER_BYTES_MAX: usize = 20;

/// Labels, by their keys.
pub(super) type Labels = BTreeMap<String, String>;

/// Whose things they are, and who of that server's executors or provisioners has them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Owner {
    pub(super) owner: String,
    /// Of which database.
    pub(super) installation: String,
    /// [`EXECUTOR`] or [`PROVISIONER`], and which.
    pub(super) part: (&'static str, String),
}

impl Owner {
    /// What is on everything that it has.
    pub(super) fn labels(&self) -> Labels {
        let all = [
            (MANAGED_BY, "dispatchyard"),
            (OWNER, self.owner.as_str()),
            (INSTALLATION, self.installation.as_str()),
            (self.part.0, self.part.1.as_str()),
        ];
        all.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
    }

    /// What is on all that belongs to an attempt.
    pub(super) fn labels_of(&self, event: &TaskReadyEvent) -> Labels {
        let mut labels = self.labels();
        labels.insert(RUN.to_owned(), self.run(event));
        labels.insert(JOB.to_owned(), event.job_id.to_string());
        labels.insert(ATTEMPT.to_owned(), event.attempt.to_string());
        labels
    }

    /// Finds everything that it has, by whatever owner's name that was made.
    pub(super) fn selector(&self) -> String {
        let Self { installation, part: (part, name), .. } = self;
        format!("{INSTALLATION}={installation},{part}={name}")
    }

    /// Finds what it has of a job.
    pub(super) fn selector_of(&self, event: &TaskReadyEvent) -> String {
        format!("{},{JOB}={}", self.selector(), event.job_id)
    }

    /// The name of an attempt's Job: `OWNER-JOB-ATTEMPT-HASH`.
    pub(super) fn run(&self, event: &TaskReadyEvent) -> String {
        let secret = format!("{}\n{}\n{}", event.lease, event.nonce, event.attempt_key);
        let hash = hex::encode(&Sha256::digest(secret)[..5]);
        format!("{}-{}-{}-{hash}", self.owner, event.job_id, event.attempt)
    }
}

/// [`TaskReadyEvent::attempt_key`] of the attempt that has these labels.
pub(super) fn attempt_key(labels: &Labels) -> Option<String> {
    Some(format!("job-{}-attempt-{}", labels.get(JOB)?, labels.get(ATTEMPT)?))
}

/// Finds the pods of a Job.
pub(super) fn pods_of(run: &str) -> String {
    format!("{RUN}={run}")
}

/// Whether something of that Job can be called so: it begins with a letter, and has small letters, digits and
/// `-`, the last not at its end.
pub(super) fn is_label(text: &str, bytes_max: usize) -> bool {
    let is_good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    text.len() <= bytes_max
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(is_good)
        && !text.ends_with('-')
}

/// A name out of the configuration as the value of a label, which has no more than 63 bytes and begins and
/// ends with a letter or a digit.
pub(super) fn label_value(text: &str) -> String {
    let is_good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let clean: String = text.chars().map(|c| if is_good(c) { c } else { '-' }).take(63).collect();
    clean.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::{JobId, JobPriority, LeaseToken, Nonce, WorkloadId, WorkloadKind};

    pub(in super::super) fn event(job: u64, attempt: u32, nonce: u64) -> TaskReadyEvent {
        TaskReadyEvent {
            job_id: JobId(i64::try_from(job).unwrap()),
            workload_id: WorkloadId(3),
            run: 1,
            kind: WorkloadKind::Workflow,
            name: "train".to_owned(),
            namespace: "acme::workflow::nightly::train".to_owned(),
            priority: JobPriority::default(),
            attempt,
            max_attempts: attempt,
            timeout_ms: 90_500,
            units: Default::default(),
            lease: LeaseToken::new(1, 1),
            nonce: Nonce(nonce),
            attempt_key: format!("job-{job}-attempt-{attempt}"),
        }
    }

    pub(in super::super) fn owner(owner: &str) -> Owner {
        Owner {
            owner: owner.to_owned(),
            installation: "0a1b2c3d".to_owned(),
            part: (EXECUTOR, "cloud".to_owned()),
        }
    }

    #[test]
    fn a_name_is_the_attempts_own_and_stays_within_its_bounds() {
        let yard = owner("yard");
        let name = yard.run(&event(7, 1, 1));
        assert_eq!(name, yard.run(&event(7, 1, 1)), "whoever asks again finds the same");
        assert!(name.starts_with("yard-7-1-") && name.len() == 19, "{name}");
        let others = [event(7, 2, 1), event(8, 1, 1), event(7, 1, 2)];
        assert!(others.iter().all(|it| yard.run(it) != name), "another attempt, or database");
        assert_ne!(owner("mill").run(&event(7, 1, 1)), name, "another server");
        let long = owner(&"y".repeat(OWNER_BYTES_MAX));
        let long = long.run(&event(i64::MAX.unsigned_abs(), u32::MAX, 1));
        assert!(long.len() <= 63 && is_label(&long, 63), "{long} has {}", long.len());
    }

    #[test]
    fn labels_are_such_that_the_api_takes_them() {
        for good in ["yard", "a", "yard-2"] {
            assert!(is_label(good, OWNER_BYTES_MAX), "{good}");
        }
        for bad in ["", "2yard", "Yard", "yard-", "ya_rd", "yard.x", "a-name-that-is-too-long"] {
            assert!(!is_label(bad, OWNER_BYTES_MAX), "{bad}");
        }
        let event = event(7, 2, 1);
        assert_eq!(attempt_key(&owner("yard").labels_of(&event)), Some(event.attempt_key));
        assert_eq!(label_value("gpu farm"), "gpu-farm");
        assert_eq!(label_value("-x-"), "x");
        assert_eq!(label_value(&"x".repeat(99)).len(), 63);
    }
}
