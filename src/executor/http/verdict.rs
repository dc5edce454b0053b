//! What follows from the answer to a posted job.

use std::time::Duration;

use reqwest::{StatusCode, Url};

use super::super::event::{DispatchError, ExecutionResult};
use super::super::outbound::{Answer, Answered, excerpt, is_same_origin};

/// What follows.
pub(super) enum Verdict {
    End(ExecutionResult),
    /// It goes on there, perhaps at that URL.
    Accepted(Option<Url>),
    Error(DispatchError),
    /// It may have been carried out, or will be: ask again.
    Perhaps(String),
}

impl Verdict {
    /// What follows where an earlier request of the attempt may have been carried out: nobody else may begin
    /// beside that, and a refusal of this request (409: it is known and goes on) is none of the work.
    pub(super) fn after(self, may_have_begun: bool) -> Self {
        match self {
            Self::Error(error) if may_have_begun => Self::Perhaps(error.to_string()),
            verdict => verdict,
        }
    }
}

/// What follows from what came back from that URL; a `Retry-After` counts up to that.
pub(super) fn verdict(answered: &Answered, url: &Url, retry_after_max: Duration) -> Verdict {
    let answer = match answered {
        Answered::NotThere(why) => return Verdict::Error(DispatchError::unavailable(why)),
        Answered::Broken(why) => return Verdict::Perhaps(why.clone()),
        Answered::Response(answer) => answer,
    };
    let status = answer.status;
    let retry_after = answer.retry_after(retry_after_max);
    let failed = |why: String| Verdict::Error(DispatchError::ExecutionFailed(why));
    match status {
        StatusCode::ACCEPTED => Verdict::Accepted(place(answer, url)),
        _ if status.is_success() => Verdict::End(end(answer)),
        StatusCode::TOO_MANY_REQUESTS => Verdict::Error(DispatchError::NoCapacity { retry_after }),
        StatusCode::SERVICE_UNAVAILABLE => Verdict::Error(DispatchError::Unavailable {
            why: format!("it answered {status}"),
            retry_after,
        }),
        StatusCode::REQUEST_TIMEOUT => Verdict::Perhaps(format!("it answered {status}")),
        _ if status.is_server_error() => Verdict::Perhaps(format!("it answered {status}")),
        _ if status.is_redirection() => {
            failed(format!("it answered {status}: only 307 and 308 to the same host are followed"))
        }
        _ => failed(format!("it answered {status}: {}", excerpt(&answer.body))),
    }
}

/// Where the work is, if that is said and of the same origin.
fn place(answer: &Answer, url: &Url) -> Option<Url> {
    let place = url.join(answer.header("location")?).ok()?;
    is_same_origin(&place, url).then_some(place)
}

fn end(answer: &Answer) -> ExecutionResult {
    let looks_like_json = answer.body.trim_ascii_start().first() == Some(&b'{');
    match serde_json::from_slice::<ExecutionResult>(&answer.body) {
        Ok(result) => result,
        Err(_) if answer.is_cut && looks_like_json => {
            ExecutionResult::failed("its answer is longer than response_bytes_max")
        }
        // An answer in a form of its own says nothing but that it went well.
        Err(_) => ExecutionResult::success::<String, String>([]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::ExecutionStatus;

    fn response(status: u16, header: Option<(&'static str, &str)>, body: &str) -> Answered {
        let header = header.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        Answered::Response(Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: header.into_iter().collect(),
            body: body.as_bytes().to_vec(),
            is_cut: false,
        })
    }

    fn told(answered: &Answered) -> String {
        let url = "https://farm.example/run?key=1".parse().unwrap();
        match verdict(answered, &url, Duration::from_secs(60)) {
            Verdict::End(result) => format!("{:?} {:?}", result.status, result.outputs),
            Verdict::Accepted(None) => "accepted".to_owned(),
            Verdict::Accepted(Some(place)) => format!("accepted at {place}"),
            Verdict::Error(error) => format!("{error:?}"),
            Verdict::Perhaps(why) => format!("perhaps: {why}"),
        }
    }

    #[test]
    fn each_answer_has_its_meaning() {
        let answers = [
            response(200, None, r#"{"status": "failed", "error": "no"}"#),
            response(204, None, ""),
            response(200, None, "<p>done</p>"),
            response(202, None, ""),
            response(202, Some(("location", "/runs/7")), ""),
            response(202, Some(("location", "https://elsewhere.example/runs/7")), ""),
            response(429, Some(("retry-after", "7")), ""),
            response(503, Some(("retry-after", "86400")), ""),
            response(500, None, "boom"),
            response(404, None, "no such\nthing"),
            response(307, None, ""),
            Answered::NotThere("refused".to_owned()),
            Answered::Broken("reset".to_owned()),
        ];
        let answers: Vec<_> = answers.iter().map(told).collect();
        insta::assert_snapshot!(answers.join("\n"), @r#"
        Failed {}
        Completed {}
        Completed {}
        accepted
        accepted at https://farm.example/runs/7
        accepted
        NoCapacity { retry_after: Some(7s) }
        Unavailable { why: "it answered 503 Service Unavailable", retry_after: Some(60s) }
        perhaps: it answered 500 Internal Server Error
        ExecutionFailed("it answered 404 Not Found: no such thing")
        ExecutionFailed("it answered 307 Temporary Redirect: only 307 and 308 to the same host are followed")
        Unavailable { why: "refused", retry_after: None }
        perhaps: reset
        "#);
    }

    #[test]
    fn an_answer_that_is_too_long_to_be_read_is_no_good_end() {
        let Answered::Response(answer) =
            response(200, None, r#"{"status": "completed", "outputs": {"a": "#)
        else {
            unreachable!()
        };
        let cut = Answer { is_cut: true, ..answer };
        assert_eq!(end(&cut).status, ExecutionStatus::Failed);
    }

    #[test]
    fn after_one_that_may_have_begun_nothing_says_that_nothing_did() {
        let url: Url = "https://farm.example/run".parse().unwrap();
        let after = |answered: &Answered| {
            let told = verdict(answered, &url, Duration::from_secs(1)).after(true);
            matches!(told, Verdict::Perhaps(_))
        };
        assert!(after(&Answered::NotThere("refused".to_owned())));
        for status in [409, 429, 503] {
            assert!(after(&response(status, None, "")), "{status}");
        }
        assert!(!after(&response(200, None, "")));
    }
}
