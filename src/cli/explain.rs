//! `explain`: why a job waits, or why it ended as it did.

use clap::Args;

use super::CliError;
use super::client::Client;
use super::console::Console;
use super::table::visible;
use crate::api::wire::ExplainView;
use crate::model::JobId;

/// Which job.
#[derive(Clone, Debug, Args)]
pub struct ExplainArgs {
    /// The job's number
    job: JobId,
}

pub(super) async fn run(
    args: ExplainArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    let answer = client.get(&["jobs", &args.job.to_string(), "explain"], &[]).await?;
    console.show(&answer, |view, _| sentences(view))
}

fn sentences(view: &ExplainView) -> String {
    let reasons = view.reasons.iter().map(|it| format!("  {}: {}", it.code, visible(&it.text)));
    let head = format!("job {} is {}", view.job_id, view.state);
    std::iter::once(head).chain(reasons).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::wire::ExplainReason;
    use crate::model::JobStateKind;

    #[test]
    fn every_reason_has_its_code_and_its_sentence() {
        let reason =
            |code: &str, text: &str| ExplainReason { code: code.into(), text: text.into() };
        let view = ExplainView {
            job_id: JobId(7),
            state: JobStateKind::Blocked,
            reasons: vec![reason("blocked_by", "waits for job 6"), reason("busy", "1 of 1 busy")],
        };
        insta::assert_snapshot!(sentences(&view), @r#"
        job 7 is blocked
          blocked_by: waits for job 6
          busy: 1 of 1 busy
        "#);
    }
}
