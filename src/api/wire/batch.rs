//! Many calls in one.
//!
//! ```text
//! POST /api/v1/workloads/batch    SubmitItem    -> SubmitResponse     (Idempotency-Key, of each item or of all)
//! POST /api/v1/runners/poll       PollItem      -> PollResponse       (runner token)
//! POST /api/v1/leases/complete    CompleteItem  -> CompleteResponse   (runner token)
//! ```
//!
//! Each is a [`BatchRequest`] and is answered 200 with a [`BatchResponse`]: one result for each item,
//! in their order. Items know nothing of each other: what is wrong with one is its own result, and
//! nobody else's. When the store cannot be written, and so nothing was done, the whole request is
//! answered 503 like any other; to repeat it is safe, because submissions have their keys, and the
//! same completion twice is answered the same.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{CompleteRequest, PollRequest, Problem, SubmitRequest};
use crate::model::{LeaseToken, RunnerId};

/// Items, at most `batch_items_max` of them. Each is read by itself.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchRequest {
    /// [`SubmitItem`], [`PollItem`] or [`CompleteItem`].
    pub items: Vec<Value>,
}

/// One result for each item of the request, in their order.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct BatchResponse<T> {
    /// What the call alone would have been answered.
    pub items: Vec<BatchResult<T>>,
}

/// What became of one item: a body or an error.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct BatchResult<T> {
    /// The HTTP status that the call alone would have had.
    pub status: u16,
    /// Its body, when it was done.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub body: Option<T>,
    /// Its problem, when it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Problem>,
}

fn none<T>() -> Option<T> {
    None
}

/// One workload, all or nothing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SubmitItem {
    /// As the header `Idempotency-Key` of the call alone. Items without one share the header of
    /// the request, if it has one: each then has the header's key with its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// The workload.
    #[serde(flatten)]
    pub workload: SubmitRequest,
}

/// One runner that asks for work. The request is answered as soon as there is something to say to
/// one of its runners, and otherwise when all of them have waited for as long as they wanted.
#[derive(Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PollItem {
    /// Who asks.
    pub runner_id: RunnerId,
    /// The runner's own token, when it is another one than the request's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// What it says.
    #[serde(flatten)]
    pub poll: PollRequest,
}

/// One attempt that ended.
#[derive(Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CompleteItem {
    /// The attempt's lease.
    pub lease: LeaseToken,
    /// The token of the runner that had it, when it is another one than the request's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// How it ended.
    #[serde(flatten)]
    pub result: CompleteRequest,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused<T: serde::de::DeserializeOwned>(item: Value) -> String {
        serde_json::from_value::<T>(item).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn items_take_the_fields_of_the_call_alone_and_no_others() {
        let job = json!({ "name": "a", "work": { "steps": [] } });
        let submit = json!({ "idempotency_key": "k", "name": "w", "jobs": [job], "group": "g" });
        let item: SubmitItem = serde_json::from_value(submit.clone()).unwrap();
        assert_eq!(item.idempotency_key.as_deref(), Some("k"));
        assert!(item.workload.ask.group.is_some());
        let mut odd = submit;
        odd["colour"] = "red".into();
        assert!(refused::<SubmitItem>(odd).starts_with("unknown field `colour`"));

        let poll = json!({ "runner_id": 7, "token": "t", "wait_ms": 5, "max_jobs": 2 });
        let item: PollItem = serde_json::from_value(poll).unwrap();
        assert_eq!((item.runner_id, item.poll.wait_ms), (RunnerId(7), 5));
        let complete = json!({ "lease": "9", "nonce": "0000000000000001", "outcome": "completed" });
        let item: CompleteItem = serde_json::from_value(complete.clone()).unwrap();
        assert_eq!(item.lease, LeaseToken(9));
        let odd = json!({ "runner_id": 7, "colour": "red" });
        assert!(refused::<PollItem>(odd).contains("colour"));
        let mut odd = complete;
        odd["colour"] = "red".into();
        assert!(refused::<CompleteItem>(odd).contains("colour"));
    }
}
