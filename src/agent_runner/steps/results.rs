//! What a job leaves: its outputs, and the summaries of its steps.

use std::collections::BTreeMap;

use super::super::lines::LineSplitter;
use super::super::outputs::Outputs;
use super::super::spool::Spool;
use super::Steps;
use super::exit::{Exit, WorkEnd};

/// What the server takes: the most outputs of one attempt, and their bytes together.
const OUTPUTS_MAX: usize = 100;
const OUTPUT_BYTES_MAX: usize = 1 << 20;

impl Steps<'_> {
    /// The outputs that the workflow file declares, when all has ended. What may hold a secret is left out.
    /// Answers with the end besides: an output that cannot be worked out fails a job that ended well.
    pub(in crate::agent_runner) async fn declared(
        &self,
        end: WorkEnd,
    ) -> (BTreeMap<String, String>, WorkEnd) {
        let (mut outputs, mut end) = (BTreeMap::new(), end);
        let Some(workflow) = &self.work.context.workflow else { return (outputs, end) };
        let spool = self.work.spool;
        for (name, text) in &workflow.outputs {
            match self.contexts.fill(&format!("outputs.{name}"), text, None).await {
                Ok(value) if spool.secrets().mask(&value) != value => {
                    let told = format!(
                        "##[warning] output `{name}` is not handed on: it may contain a secret"
                    );
                    spool.line(&told).await;
                }
                Ok(value) => {
                    outputs.insert(name.clone(), value);
                }
                Err(error) => {
                    spool.line(&format!("##[error] {error}")).await;
                    if end == WorkEnd::Completed {
                        end = WorkEnd::Failed(Exit::default(), error);
                    }
                }
            }
        }
        (outputs, end)
    }
}

/// Adds what the file of the job's own outputs has to the declared ones, as far as the server takes them.
pub(in crate::agent_runner) fn outputs_to_send(
    declared: BTreeMap<String, String>,
    of_file: Outputs,
) -> Outputs {
    let mut sent = Outputs { values: BTreeMap::new(), complaints: of_file.complaints };
    let (mut bytes, mut dropped) = (0, Vec::new());
    // As at GitHub: of the jobs of a matrix one that has nothing to say does not hide what another said.
    let declared = declared.into_iter().filter(|(_, value)| !value.is_empty());
    for (name, value) in declared.chain(of_file.values) {
        if sent.values.contains_key(&name) {
            continue;
        }
        let more = name.len() + value.len();
        if sent.values.len() == OUTPUTS_MAX || bytes + more > OUTPUT_BYTES_MAX {
            dropped.push(name.chars().take(80).collect::<String>());
            continue;
        }
        bytes += more;
        sent.values.insert(name, value);
    }
    if let Some(first) = dropped.first() {
        let count = dropped.len();
        sent.complaints.push(format!(
            "{count} outputs are dropped, `{first}` first: a job has at most {OUTPUTS_MAX} of \
             {OUTPUT_BYTES_MAX} bytes together"
        ));
    }
    sent
}

/// Writes a step's summary into the log, masked, as a group.
pub(super) async fn tell_summary(spool: &Spool, step: &str, summary: &[u8]) {
    if summary.trim_ascii().is_empty() {
        return;
    }
    spool.line(&format!("##[group] summary of step `{step}`")).await;
    let (stamp, mut lines) = (spool.stamp(), String::new());
    let mut put = |line: &str| {
        lines.push_str(&stamp);
        lines.push_str(line);
        lines.push('\n');
    };
    let mut splitter = LineSplitter::default();
    splitter.push(&spool.secrets().mask_bytes(summary), &mut put);
    splitter.finish(&mut put);
    spool.append(lines.as_bytes()).await;
    spool.line("##[endgroup]").await;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn declared_outputs_win_and_the_others_are_sent_too() {
        let of_file =
            Outputs { values: values(&[("a", "file"), ("b", "file")]), ..Outputs::default() };
        let sent = outputs_to_send(values(&[("a", "declared")]), of_file);
        assert_eq!(sent.values, values(&[("a", "declared"), ("b", "file")]));
        assert!(sent.complaints.is_empty());
    }

    #[test]
    fn a_declared_output_that_is_empty_hides_nothing_and_is_no_complaint() {
        let of_file = Outputs { values: values(&[("a", "file")]), ..Outputs::default() };
        let sent = outputs_to_send(values(&[("a", ""), ("b", "")]), of_file);
        assert_eq!(sent.values, values(&[("a", "file")]));
        assert!(sent.complaints.is_empty());
    }

    proptest! {
        #[test]
        fn the_server_takes_whatever_is_sent(
            declared in prop::collection::btree_map("[a-z]{1,4}", 0_usize..30_000, 0..90),
            file in prop::collection::btree_map("[a-z]{1,4}", 0_usize..30_000, 0..90),
        ) {
            let all = |map: BTreeMap<String, usize>| {
                map.into_iter().map(|(name, len)| (name, "x".repeat(len))).collect()
            };
            let said = declared.iter().filter(|(_, len)| **len > 0).map(|(name, _)| name);
            let count = said.chain(file.keys()).collect::<BTreeSet<_>>().len();
            let of_file = Outputs { values: all(file), ..Outputs::default() };
            let sent = outputs_to_send(all(declared), of_file);
            let bytes: usize = sent.values.iter().map(|(name, value)| name.len() + value.len()).sum();
            prop_assert!(sent.values.len() <= OUTPUTS_MAX && bytes <= OUTPUT_BYTES_MAX);
            prop_assert_eq!(sent.complaints.is_empty(), sent.values.len() == count);
        }
    }
}
