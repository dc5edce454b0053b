//! `x-dispatch`: what GitHub's workflow form has no key for. Other act runners ignore keys that
//! start with `x-`.

use crate::model::JobPriority;
use crate::trigger::Overrides;

use super::read::{Fields, Reader};
use super::yaml::{Node, Value};

/// More than any machine has; a typing mistake is then found at load and not by a job that waits.
const AMOUNT_MAX: u32 = 65_536;

/// Keys of later versions, and what to do until then.
const HINTS: [(&str, &str); 10] = [
    ("timeout_minutes", "use GitHub's `timeout-minutes` of the job"),
    ("labels", "use GitHub's `runs-on` of the job"),
    ("skills", LATER),
    ("affinity", LATER),
    ("anti-affinity", LATER),
    ("resources", LATER),
    ("deadline", LATER),
    ("max_wait", LATER),
    ("region", LATER),
    ("namespace", LATER),
];
const LATER: &str = "it comes with a later version; remove it";

/// The values of one `x-dispatch`: the workflow's are the defaults of each job's.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Dispatch {
    /// `x64`, `arm64`, ...
    pub architecture: Option<String>,
    /// `linux`, `macos`, `windows`.
    pub os: Option<String>,
    /// Gigabytes of memory.
    pub min_memory_gb: Option<u32>,
    /// Cores.
    pub min_cpu_cores: Option<u32>,
    /// Whether containers must be available.
    pub requires_docker: Option<bool>,
    /// Number of graphics processors; `true` in the file is 1.
    pub gpu: Option<u32>,
    /// How urgent.
    pub priority: Option<JobPriority>,
    /// Charged failures that may be followed by another try.
    pub max_retries: Option<u32>,
    /// The first backoff in milliseconds.
    pub backoff_ms: Option<u32>,
}

impl Dispatch {
    /// Reads the mapping, or nothing when there is none.
    pub(super) fn read(fields: &mut Fields, reader: &mut Reader<'_>) -> Self {
        let mut found = Self::default();
        let Some((node, path)) = fields.take("x-dispatch") else { return found };
        let Some(mut own) = reader.map(node, &path) else { return found };
        found.architecture = own.take("architecture").and_then(|(it, at)| reader.short(it, &at));
        found.os = own.take("os").and_then(|(it, at)| reader.short(it, &at));
        let mut amount = |key| own.take(key).and_then(|(it, at)| reader.number(&it, &at, amount));
        found.min_memory_gb = amount("min_memory_gb");
        found.min_cpu_cores = amount("min_cpu_cores");
        let mut number = |key, fault: fn(u32) -> Option<String>| {
            own.take(key).and_then(|(it, at)| reader.number(&it, &at, fault))
        };
        found.max_retries = number("max_retries", Overrides::retries_fault);
        found.backoff_ms = number("backoff_ms", Overrides::backoff_fault);
        found.requires_docker =
            own.take("requires_docker").and_then(|(it, at)| reader.boolean(&it, &at));
        found.gpu = own.take("gpu").and_then(|(it, at)| gpu(&it, &at, reader));
        found.priority = own.take("priority").and_then(|(it, at)| priority(it, &at, reader));
        own.finish(reader, &HINTS);
        found
    }

    /// This job's values, and where it has none the workflow's.
    pub(super) fn or(&self, workflow: &Self) -> Self {
        Self {
            architecture: self.architecture.clone().or_else(|| workflow.architecture.clone()),
            os: self.os.clone().or_else(|| workflow.os.clone()),
            min_memory_gb: self.min_memory_gb.or(workflow.min_memory_gb),
            min_cpu_cores: self.min_cpu_cores.or(workflow.min_cpu_cores),
            requires_docker: self.requires_docker.or(workflow.requires_docker),
            gpu: self.gpu.or(workflow.gpu),
            priority: self.priority.or(workflow.priority),
            max_retries: self.max_retries.or(workflow.max_retries),
            backoff_ms: self.backoff_ms.or(workflow.backoff_ms),
        }
    }
}

fn amount(number: u32) -> Option<String> {
    (number > AMOUNT_MAX).then(|| format!("{number} is over {AMOUNT_MAX}"))
}

fn gpu(node: &Node, path: &str, reader: &mut Reader<'_>) -> Option<u32> {
    match node.value {
        Value::Bool(value) => Some(value.into()),
        Value::Integer(_) => reader.number(node, path, amount),
        _ => {
            let kind = node.value.kind();
            reader.fault(
                node.referenced,
                path,
                format!("{kind} where a boolean or number belongs"),
            );
            None
        }
    }
}

fn priority(node: Node, path: &str, reader: &mut Reader<'_>) -> Option<JobPriority> {
    let at = node.referenced;
    match reader.short(node, path)?.parse() {
        Ok(priority) => Some(priority),
        Err(message) => {
            reader.fault(at, path, message);
            None
        }
    }
}
