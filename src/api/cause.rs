//! Work that starts other work, and proves that it is itself: what it starts is trusted no further than it is.
//!
//! The proof is a hash of its lease, so it holds as long as its attempt lives, and whoever has it can do nothing to
//! the lease. Deliberately absent: how long a chain of submissions may be. Only events have a depth.

use std::sync::Arc;

use axum::http::HeaderMap;
use subtle::ConstantTimeEq as _;

use super::error::ApiError;
use super::state::AppState;
use super::wire::CAUSE_HEADER;
use crate::clock::lease_proof;
use crate::dispatch::{LeaseOwner, Refusal};
use crate::driver::CommandError;
use crate::model::{LeaseToken, PlannedJob, Trust, TrustLevel, WorkloadId};

/// Work that asks, as its lease proves.
#[derive(Clone, Debug)]
pub(super) struct Cause {
    pub(super) workload_id: WorkloadId,
    /// How far its job is trusted.
    pub(super) trust: Trust,
}

impl Cause {
    /// The work that a request comes from, where it says so.
    ///
    /// # Errors
    /// The header is none, the lease is over, or nothing can be known here now.
    pub(super) async fn of(
        state: &AppState,
        headers: &HeaderMap,
    ) -> Result<Option<Self>, ApiError> {
        let Some(value) = headers.get(CAUSE_HEADER) else { return Ok(None) };
        let proof = value.to_str().ok().and_then(|text| Some((text, text.split_once('.')?.0)));
        let parsed =
            proof.and_then(|(text, token)| Some((text, token.parse::<LeaseToken>().ok()?)));
        let (proof, token) = parsed.ok_or_else(|| {
            let text = format!("`{CAUSE_HEADER}` is the value of the variable DISPATCHYARD_CAUSE");
            ApiError::BadRequest(text)
        })?;
        let views = state.handle.views();
        let is_it = |owner: &LeaseOwner| -> bool {
            lease_proof(token, owner.nonce).as_bytes().ct_eq(proof.as_bytes()).into()
        };
        let owner = match views.owner_of(token).filter(is_it) {
            Some(owner) => owner,
            // Only the server that leads knows leases.
            None if views.epoch() == 0 => return Err(CommandError::Unavailable.into()),
            None => return Err(ApiError::Command(Refusal::LeaseLost(token).into())),
        };
        let context = state.store.job_context(owner.job_id).await?;
        let context = context.ok_or_else(|| ApiError::not_found("job", owner.job_id))?;
        Ok(Some(Self { workload_id: context.workload.id, trust: context.spec.trust }))
    }

    /// Whether the work itself is trusted.
    pub(super) fn is_trusted(&self) -> bool {
        self.trust.level == TrustLevel::Trusted
    }

    /// That trust, but no more than the work itself has.
    pub(super) fn limit(&self, trust: &Trust) -> Trust {
        let id = self.workload_id;
        match self.trust.level {
            TrustLevel::Trusted => {
                Trust::new(trust.level, format!("{}, by the work of workload {id}", trust.reason))
            }
            level => {
                let reason = &self.trust.reason;
                Trust::new(level, format!("workload {id} caused it and is not trusted: {reason}"))
            }
        }
    }

    /// The same of planned jobs.
    pub(super) fn limit_all(&self, planned: &mut [PlannedJob]) {
        for job in planned {
            let trust = self.limit(&job.spec.trust);
            Arc::make_mut(&mut job.spec).trust = trust;
        }
    }
}
