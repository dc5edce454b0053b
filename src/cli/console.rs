//! Where answers go: standard output for what was asked for, standard error for remarks.

use std::io::Write;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::client::Answer;
use super::{CliError, OutputFormat};
use crate::clock::Clock;

/// Prints answers as tables or as JSON.
pub struct Console {
    format: OutputFormat,
    clock: Box<dyn Clock>,
    out: Box<dyn Write + Send>,
    remarks: Box<dyn Write + Send>,
}

impl Console {
    /// The process's own.
    pub fn new(format: OutputFormat, clock: impl Clock) -> Self {
        Self::with_writers(format, clock, std::io::stdout(), std::io::stderr())
    }

    /// One that prints elsewhere.
    pub fn with_writers(
        format: OutputFormat,
        clock: impl Clock,
        out: impl Write + Send + 'static,
        remarks: impl Write + Send + 'static,
    ) -> Self {
        Self { format, clock: Box::new(clock), out: Box::new(out), remarks: Box::new(remarks) }
    }

    /// Whether a program reads the output.
    pub fn is_json(&self) -> bool {
        self.format == OutputFormat::Json
    }

    /// The present wall time, in milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.clock.now().wall_ms
    }

    /// Prints an answer: as it came, or as `table` shows its value at the present wall time.
    ///
    /// # Errors
    /// The answer has another form, or cannot be printed.
    pub fn show<T: DeserializeOwned>(
        &mut self,
        answer: &Answer,
        table: impl FnOnce(&T, i64) -> String,
    ) -> Result<(), CliError> {
        let text = match self.format {
            OutputFormat::Json => answer.text.clone(),
            OutputFormat::Table => table(&answer.read()?, self.clock.now().wall_ms),
        };
        self.line(text.trim_end())
    }

    /// Prints what this program found itself: as JSON, or as `table` shows it.
    ///
    /// # Errors
    /// It cannot be printed.
    pub fn report<T: Serialize>(
        &mut self,
        report: &T,
        table: impl FnOnce(&T) -> String,
    ) -> Result<(), CliError> {
        let text = match self.format {
            OutputFormat::Json => serde_json::to_string(report).map_err(std::io::Error::from)?,
            OutputFormat::Table => table(report),
        };
        self.line(text.trim_end())
    }

    /// Prints a line of what was asked for.
    ///
    /// # Errors
    /// It cannot be printed.
    pub fn line(&mut self, text: &str) -> Result<(), CliError> {
        writeln!(self.out, "{text}")?;
        Ok(self.out.flush()?)
    }

    /// Prints text as it is: what jobs wrote.
    ///
    /// # Errors
    /// It cannot be printed.
    pub fn raw(&mut self, text: &str) -> Result<(), CliError> {
        self.out.write_all(text.as_bytes())?;
        Ok(self.out.flush()?)
    }

    /// Prints a remark that is no part of what was asked for. A remark that cannot be printed is
    /// no reason to fail.
    pub fn remark(&mut self, text: &str) {
        let _ = writeln!(self.remarks, "{text}");
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::routing::get;

    use super::*;
    use crate::api::wire::ExplainView;
    use crate::cli::client::Client;
    use crate::cli::client::tests::serve;
    use crate::clock::ManualClock;

    /// A writer whose text can be read.
    #[derive(Clone, Default)]
    pub(in crate::cli) struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Paper {
        pub(in crate::cli) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn json_is_printed_as_the_server_sent_it_and_tables_need_its_form() {
        let newer = r#"{"job_id": 7, "new_in_a_later_version":true}"#;
        let router = Router::new().route("/api/v1/jobs/7", get(move || async move { newer }));
        let client = Client::new(&serve(router).await, None).unwrap();
        let answer = client.get(&["jobs", "7"], &[]).await.unwrap();
        let show = |format| {
            let out = Paper::default();
            let mut console = Console::with_writers(
                format,
                ManualClock::default(),
                out.clone(),
                Paper::default(),
            );
            let shown = console.show(&answer, |view: &ExplainView, _| view.job_id.to_string());
            shown.map(|()| out.text())
        };
        assert_eq!(show(OutputFormat::Json).unwrap(), format!("{newer}\n"));
        assert!(matches!(show(OutputFormat::Table), Err(CliError::NotUnderstood { .. })));
    }
}
