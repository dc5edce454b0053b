//! What a step may be, wherever it comes from: bounds, and what is wrong with one that nobody could run.

use super::{JobWork, Step};

/// The most steps of one job.
pub const STEPS_MAX: usize = 256;
/// The longest script of a step, in bytes.
pub const SCRIPT_BYTES_MAX: usize = 128 * 1024;
/// The most entries of one `env` or `with`, and the longest value in bytes.
pub const ENV_ENTRIES_MAX: usize = 200;
/// The longest value of an `env` or `with`, in bytes.
pub const ENV_VALUE_BYTES_MAX: usize = 32 * 1024;
/// The longest name, id, shell or folder, in bytes.
pub const SHORT_BYTES_MAX: usize = 256;
/// The longest condition, in bytes.
const CONDITION_BYTES_MAX: usize = 8 * 1024;

impl JobWork {
    /// What is wrong with its steps, with the first one's number; `None` where they can be run.
    pub fn fault(&self) -> Option<String> {
        let Self::Steps(steps) = self else { return None };
        if steps.len() > STEPS_MAX {
            return Some(format!("{} steps, at most {STEPS_MAX}", steps.len()));
        }
        let of_step = |(at, step): (usize, &Step)| {
            step.fault().map(|fault| format!("step {}: {fault}", at + 1))
        };
        steps.iter().enumerate().find_map(of_step)
    }
}

impl Step {
    fn fault(&self) -> Option<String> {
        match (self.run.trim().is_empty(), &self.uses) {
            (true, None) => return Some("it has neither `run` nor `uses`".to_owned()),
            (false, Some(_)) => return Some("it has both `run` and `uses`".to_owned()),
            (_, Some(uses)) if uses.trim().is_empty() => return Some("`uses` is empty".to_owned()),
            _ => {}
        }
        if !self.expressions.is_empty() {
            return Some("`expressions` belong to workflow files: use `env`".to_owned());
        }
        if self.timeout_minutes.is_some() {
            return Some(
                "`timeout_minutes` belongs to workflow files: use `timeout_ms`".to_owned(),
            );
        }
        let run = [("run", Some(&self.run), SCRIPT_BYTES_MAX)];
        let conditions = [("if", &self.condition), ("continue_on_error", &self.continue_on_error)];
        let shorts = [
            ("name", &self.name),
            ("id", &self.id),
            ("shell", &self.shell),
            ("working_directory", &self.working_directory),
            ("uses", &self.uses),
        ];
        let conditions = conditions.map(|(key, text)| (key, text.as_ref(), CONDITION_BYTES_MAX));
        let shorts = shorts.map(|(key, text)| (key, text.as_ref(), SHORT_BYTES_MAX));
        for (key, text, bytes_max) in run.into_iter().chain(conditions).chain(shorts) {
            let bytes = text.map_or(0, String::len);
            if bytes > bytes_max {
                return Some(format!("`{key}` has {bytes} bytes, at most {bytes_max}"));
            }
        }
        for (key, map) in [("env", &self.env), ("with", &self.with)] {
            let entries = map.len();
            if entries > ENV_ENTRIES_MAX {
                return Some(format!("`{key}` has {entries} entries, at most {ENV_ENTRIES_MAX}"));
            }
            let long = map.iter().find(|(_, value)| value.len() > ENV_VALUE_BYTES_MAX);
            if let Some((name, _)) = long {
                return Some(format!("`{key}.{name}` has more than {ENV_VALUE_BYTES_MAX} bytes"));
            }
        }
        (self.timeout_ms.is_some_and(|ms| ms < 1)).then(|| "`timeout_ms` is at least 1".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(step: Step) -> Option<String> {
        JobWork::Steps(vec![Step { run: "true".into(), ..Step::default() }, step]).fault()
    }

    #[test]
    fn a_step_that_nobody_could_run_is_told_with_its_number() {
        let run = |run: &str| Step { run: run.into(), ..Step::default() };
        assert_eq!(fault(run("make")), None);
        assert_eq!(fault(run(" ")).as_deref(), Some("step 2: it has neither `run` nor `uses`"));
        let uses = Some("a/b@v1".to_owned());
        assert_eq!(fault(Step { uses: uses.clone(), ..Step::default() }), None);
        let both = fault(Step { uses, ..run("make") });
        assert_eq!(both.as_deref(), Some("step 2: it has both `run` and `uses`"));
        let long = fault(run(&"x".repeat(SCRIPT_BYTES_MAX + 1)));
        assert_eq!(long.as_deref(), Some("step 2: `run` has 131073 bytes, at most 131072"));
        let env = [("A".to_owned(), "x".repeat(ENV_VALUE_BYTES_MAX + 1))].into();
        assert!(fault(Step { env, ..run("x") }).is_some_and(|it| it.contains("`env.A` has more")));
        let expressions = [("A".to_owned(), "x".to_owned())].into();
        assert!(fault(Step { expressions, ..run("x") }).is_some());
        assert!(fault(Step { timeout_ms: Some(0), ..run("x") }).is_some());
        assert!(fault(Step { timeout_minutes: Some("1".into()), ..run("x") }).is_some());
        assert!(fault(Step { shell: Some("x".repeat(300)), ..run("x") }).is_some());
        let many = JobWork::Steps(vec![run("x"); STEPS_MAX + 1]).fault();
        assert_eq!(many.as_deref(), Some("257 steps, at most 256"));
    }
}
