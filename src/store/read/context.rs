//! All that a job may know when it starts, read at one moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::attempt::{Outputs, outputs};
use super::job::read_spec;
use super::reader::Reader;
use crate::model::{EndedNeed, Job, JobId, JobSpec, Session, SessionMessage, Workload, WorkloadId};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::rows;
use crate::store::statement as sql;

/// What an agent is told with its start, in bytes, but for a single message: executors hand it on in one piece. A
/// runner asks for the rest, and of others it stays for the next turn.
const FIRST_BYTES_MAX: usize = 128 * 1024;
/// What a message takes beside its text.
const MESSAGE_BYTES: usize = 128;
/// Messages that are read together.
const MESSAGES_AT_ONCE: i64 = 100;

/// What a job starts with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JobContext {
    /// The job.
    pub job: Job,
    /// The workload that it is part of.
    pub workload: Workload,
    /// What it does.
    pub spec: JobSpec,
    /// The event that started the workload, as JSON; `None` when it was submitted.
    pub event: Option<Arc<str>>,
    /// The length of the delivery's body, 0 when it was pruned; `None` when there is no delivery.
    pub body_bytes: Option<u64>,
    /// The outputs of the jobs that it needs, by their names; one without outputs is empty.
    pub needs: BTreeMap<Box<str>, Outputs>,
    /// Of a session's job: the session, and what was said before its start that its agent is not known to have
    /// dealt with, oldest first, as far as it fits.
    pub session: Option<(Session, Vec<SessionMessage>)>,
    /// The same jobs with how they ended, in the order of their ids.
    pub ended_needs: Vec<EndedNeed>,
}

impl JobContext {
    /// Up to which message it has what was said, where not all of that fitted.
    pub fn cut_at(&self) -> Option<i64> {
        let (session, messages) = self.session.as_ref()?;
        messages.last().map(|last| last.sequence).filter(|last| *last < session.given)
    }
}

impl Store {
    /// The run of a job's workload; `None` when there is no such job.
    ///
    /// # Errors
    /// As every read.
    pub async fn job_run(&self, id: JobId) -> Result<Option<u32>, StoreError> {
        let Some(job) = self.job(id).await? else { return Ok(None) };
        Ok(self.workload(job.workload_id).await?.map(|workload| workload.run))
    }

    /// What a job starts with; `None` when there is no such job.
    ///
    /// # Errors
    /// As every read; [`StoreError::Corrupt`] also when the job has no workload or no spec.
    pub async fn job_context(&self, id: JobId) -> Result<Option<JobContext>, StoreError> {
        let mut reader = self.snapshot_reader().await?;
        let Some(job) = reader.first(sql::JOB_SELECT, |to| to.int(id.0)).await? else {
            reader.end().await?;
            return Ok(None);
        };
        let job = rows::job::read("job_all", &job)?;
        let workload_id = job.workload_id.0;
        let spec = reader.first(sql::JOB_SPEC_SELECT, |to| to.int(id.0)).await?;
        let spec = spec.ok_or_else(|| dangling("job_spec", &job))?;
        let workload = reader.first(sql::WORKLOAD_SELECT, |to| to.int(workload_id)).await?;
        let workload = workload.ok_or_else(|| dangling("workload_all", &job))?;
        let workload = rows::workload::read("workload_all", &workload)?;
        let delivery = match workload.delivery_id {
            None => None,
            Some(delivery_id) => {
                let delivery_id = delivery_id.to_string();
                reader.first(sql::DELIVERY_SELECT, |to| to.text(&*delivery_id)).await?
            }
        };
        let needs = reader.all(sql::EDGE_NEEDS, |to| to.int(workload_id).int(id.0)).await?;
        let read = |row| rows::job::read("job_all", row);
        let mut needs = needs.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        needs.sort_unstable_by_key(|need| need.id);
        let ids: Vec<JobId> = needs.iter().map(|need| need.id).collect();
        let mut put_out = outputs(&mut reader, &ids).await?;
        let session = match &workload.session_key {
            Some(_) => session_of(&mut reader, workload.id).await?,
            None => None,
        };
        reader.end().await?;

        let delivery = delivery.as_ref().map(rows::delivery::read_detail).transpose()?;
        let need = |job: Job| {
            let outputs = put_out.remove(&job.id).unwrap_or_default();
            EndedNeed { job, outputs }
        };
        let ended_needs: Vec<_> = needs.into_iter().map(need).collect();
        let own = |need: &EndedNeed| (need.job.name.clone().into(), need.outputs.clone());
        Ok(Some(JobContext {
            needs: ended_needs.iter().map(own).collect(),
            ended_needs,
            spec: read_spec(&spec)?,
            body_bytes: delivery
                .as_ref()
                .map(|delivery| if delivery.has_body { delivery.head.body_bytes } else { 0 }),
            event: delivery.and_then(|delivery| delivery.event),
            job,
            workload,
            session,
        }))
    }
}

/// The live session that a workload carries out, with what its agent is to be told first.
async fn session_of(
    reader: &mut Reader,
    id: WorkloadId,
) -> Result<Option<(Session, Vec<SessionMessage>)>, StoreError> {
    let Some(row) = reader.first(sql::SESSION_OF_WORKLOAD, |to| to.int(id.0)).await? else {
        return Ok(None);
    };
    let session = rows::session::read(&row)?;
    let (mut after, up_to) = (session.delivered, session.given);
    let (mut messages, mut bytes): (Vec<SessionMessage>, usize) = (Vec::new(), 0);
    loop {
        let page = reader.all(sql::SESSION_MESSAGE_INBOUND, |to| {
            to.int(session.id.0).int(after).int(up_to).int(MESSAGES_AT_ONCE)
        });
        let page = page.await?;
        for row in &page {
            let message = rows::session::read_message(row)?;
            bytes += MESSAGE_BYTES + message.text.as_data().len();
            if bytes > FIRST_BYTES_MAX && !messages.is_empty() {
                return Ok(Some((session, messages)));
            }
            after = message.sequence;
            messages.push(message);
        }
        if (page.len() as i64) < MESSAGES_AT_ONCE {
            return Ok(Some((session, messages)));
        }
    }
}

/// The error about a job whose other half is missing.
fn dangling(table: &'static str, job: &Job) -> StoreError {
    let what = format!("job {} refers to it and it is missing", job.id);
    let row = if table == "job_spec" { job.id.to_string() } else { job.workload_id.to_string() };
    StoreError::Corrupt { table, column: "id", row, what }
}
