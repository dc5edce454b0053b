//! `permissions` of a workflow or a job: what its token may do at the forge. They are kept and shown, and obeyed by
//! nobody here; a mistake in them is refused all the same, as at GitHub:
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#permissions>.

use serde_json::Value as Json;

use super::read::{Fields, Reader};
use super::yaml::{Node, Value, json};

const ANY: &[&str] = &["read", "write", "none"];

/// What there is to permit, and how far.
const KNOWN: [(&str, &[&str]); 17] = [
    ("actions", ANY),
    ("artifact-metadata", ANY),
    ("attestations", ANY),
    ("checks", ANY),
    ("contents", ANY),
    ("deployments", ANY),
    ("discussions", ANY),
    ("id-token", &["write", "none"]),
    ("issues", ANY),
    ("models", &["read", "none"]),
    ("packages", ANY),
    ("pages", ANY),
    ("pull-requests", ANY),
    ("repository-projects", ANY),
    ("security-events", ANY),
    ("statuses", ANY),
    ("vulnerability-alerts", &["read", "none"]),
];

/// Takes them out of a workflow or a job.
pub(super) fn read(from: &mut Fields, reader: &mut Reader<'_>) -> Option<Json> {
    let (node, path) = from.take("permissions")?;
    match &node.value {
        Value::Text(text) if matches!(text.as_str(), "read-all" | "write-all") => {}
        Value::Map(entries) => {
            for (name, level) in entries {
                let path = format!("{path}.{}", name.value);
                match KNOWN.iter().find(|(known, _)| *known == name.value) {
                    Some((_, levels)) => check(level, levels, &path, reader),
                    None => {
                        let names = KNOWN.map(|(known, _)| known).join(", ");
                        let message = format!("there is no such permission; known are {names}");
                        reader.fault(name.referenced, &path, message);
                    }
                }
            }
        }
        _ => {
            reader.fault(
                node.referenced,
                &path,
                "it is neither a mapping nor `read-all` or `write-all`",
            );
            reader.hint("write `contents: read` below it, or `{}` for none");
        }
    }
    Some(json(&node))
}

fn check(level: &Node, levels: &[&str], path: &str, reader: &mut Reader<'_>) {
    let is_level = matches!(&level.value, Value::Text(text) if levels.contains(&text.as_str()));
    if !is_level {
        let message = format!("it is none of {}", levels.join(", "));
        reader.fault(level.referenced, path, message);
    }
}
