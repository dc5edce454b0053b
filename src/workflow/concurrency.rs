//! `concurrency` of a workflow or a job.
//!
//! GitHub's rules: one runs; of those that wait only the one that came last stays, or with `queue: max` up to
//! 100 wait in order; the name of a group has no case:
//! <https://docs.github.com/en/actions/how-tos/write-workflows/choose-when-workflows-run/control-workflow-concurrency>.
//! Groups are a repository's own, as there: its name stands before that of the group, where an event tells it.

use super::place::Place;
use super::read::{Fields, Reader};
use super::text::{Setting, TEXT_BYTES_MAX, Text};
use super::yaml::Value;
use crate::ask::Group;
use crate::expression::Scope;
use crate::model::RUN_ID;

/// How many may wait in a group with `queue: max`.
const QUEUE_MAX: u32 = 100;

/// A concurrency group in GitHub's form.
#[derive(Clone, PartialEq, Debug)]
pub struct Concurrency {
    pub(super) group: Text,
    pub(super) cancel_in_progress: Option<Setting<bool>>,
    queues: bool,
}

impl Concurrency {
    /// Takes it out of a workflow or a job.
    pub(super) fn read(from: &mut Fields, place: Place, reader: &mut Reader<'_>) -> Option<Self> {
        let (node, path) = from.take("concurrency")?;
        if matches!(node.value, Value::Text(_)) {
            let group = reader.text_at(node, &path, place, TEXT_BYTES_MAX)?;
            return Some(Self { group, cancel_in_progress: None, queues: false });
        }
        let at = node.referenced;
        let mut own = reader.map(node, &path)?;
        let group = own.take("group");
        if group.is_none() {
            reader.fault(at, &path, "it has no `group`");
            reader.hint("name the group");
        }
        let group = group.and_then(|(it, at)| reader.text_at(it, &at, place, TEXT_BYTES_MAX));
        let cancel = own.take("cancel-in-progress");
        let cancel = cancel.map(|(it, at)| reader.truth(it, &at, place));
        let mut queues = false;
        if let Some((node, path)) = own.take("queue") {
            let queue_at = node.referenced;
            match reader.short(node, &path).as_deref() {
                Some("single") | None => {}
                Some("max") => queues = true,
                Some(other) => {
                    reader.fault(
                        queue_at,
                        &path,
                        format!("`{other}` is neither `single` nor `max`"),
                    );
                }
            }
            if queues && matches!(cancel, Some(Some(Setting::Known(true)))) {
                reader.fault(
                    queue_at,
                    &path,
                    "`queue: max` lets all wait, `cancel-in-progress` lets none",
                );
                reader.hint("say one of them");
            }
        }
        own.finish(reader, &[]);
        let cancel_in_progress = match cancel {
            None => None,
            Some(said) => Some(said?),
        };
        Some(Self { group: group?, cancel_in_progress, queues })
    }

    /// The texts that have to be filled in.
    pub(super) fn texts(&self) -> impl Iterator<Item = &Text> {
        let cancel = self.cancel_in_progress.as_ref().and_then(Setting::text);
        std::iter::once(&self.group).chain(cancel)
    }

    /// The group, once its expressions are filled in. Its name must not be empty then.
    pub(super) fn group(
        &self,
        scope: &Scope<'_>,
        repository: Option<&str>,
    ) -> Result<Group, String> {
        // What an event says may have any characters; only the run's number is written with such.
        let plain = |part: &str| part.replace(|c: char| c.is_control(), " ");
        let key = self.group.fill(scope)?;
        let parts: Vec<String> = key.split(RUN_ID).map(plain).collect();
        let key = parts.join(RUN_ID).trim_matches(' ').to_lowercase();
        if key.is_empty() {
            // Without its group it would run beside what it must not run beside.
            return Err(format!("{}: the group's name is empty", self.group.path()));
        }
        let key = match repository {
            Some(name) => format!("{}/{key}", name.to_lowercase()),
            None => key,
        };
        let cancel = self.cancel_in_progress.as_ref().map(|it| it.get(scope)).transpose()?;
        let cancel = cancel.unwrap_or(false);
        if !self.queues {
            return Ok(Group::like_github(key, cancel));
        }
        if cancel {
            return Err(format!(
                "{}: `queue: max` lets all wait, `cancel-in-progress` lets none",
                self.group.path()
            ));
        }
        Ok(Group::queue(key, QUEUE_MAX))
    }
}
