//! The table of log fields.

/// The names of log fields, and what each says.
pub const LOG_FIELDS: &[(&str, &str)] = &[
    ("attempt", "which try at a job, from 1"),
    ("bytes", "a length in bytes"),
    ("commands", "commands of one batch"),
    ("delivery_id", "the delivery"),
    ("epoch", "the scheduler's epoch"),
    ("error", "what went wrong, once, where it is handled"),
    ("event", "the event's kind"),
    ("external_id", "the provider's own id of a delivery"),
    ("hint", "what to do about it"),
    ("job_id", "the job"),
    ("leader", "the instance that leads, or led"),
    ("lease", "the lease's token, without its nonce"),
    ("method", "the HTTP method"),
    ("outcome", "how it ended"),
    ("path", "a file or folder"),
    ("reason", "why, as a name that programs can compare"),
    ("route", "the route's pattern, never the address itself"),
    ("runner_id", "the runner"),
    ("silent_ms", "how long nothing was heard of it, in milliseconds"),
    ("source", "the source's name"),
    ("state", "the state that something is in now"),
    ("status", "the HTTP status"),
    ("took_ms", "how long it took, in milliseconds"),
    ("traceparent", "the trace that it is part of"),
    ("trigger", "the trigger's name"),
    ("version", "the program's version"),
    ("workload_id", "the workload"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_fields_are_in_order_and_each_is_there_once() {
        assert!(LOG_FIELDS.is_sorted_by(|one, next| one.0 < next.0));
    }
}
