//! Where log lines go: standard error, as text on a terminal and as JSON elsewhere.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

/// The variable with the filter: `info`, `dispatchyard=debug,warn`, ...
const FILTER_VARIABLE: &str = "DISPATCHYARD_LOG";

/// The filter when nothing is said.
const DEFAULT_FILTER: &str = "info";

/// How a line looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for programs.
    Json,
}

impl LogFormat {
    /// Text when people are watching standard error, JSON otherwise.
    pub fn detect() -> Self {
        if std::io::stderr().is_terminal() { Self::Text } else { Self::Json }
    }
}

/// Why logging could not begin.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The variable is no filter.
    #[error("`{text}` in {FILTER_VARIABLE} is not a filter such as `dispatchyard=debug,warn`")]
    Filter {
        /// What the variable says.
        text: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// Somebody else has begun.
    #[error("logging has begun already")]
    Begun(#[from] TryInitError),
}

/// Begins to log to standard error, once a process. Standard output belongs to what was asked for.
///
/// # Errors
/// `DISPATCHYARD_LOG` is no filter, or logging has begun already.
pub fn init(format: LogFormat) -> Result<(), LogError> {
    let text = std::env::var(FILTER_VARIABLE).unwrap_or_default();
    let filter = filter(&text)?;
    match format {
        LogFormat::Text => text_lines(filter, std::io::stderr).try_init()?,
        LogFormat::Json => json_lines(filter, std::io::stderr).try_init()?,
    }
    Ok(())
}

fn filter(text: &str) -> Result<EnvFilter, LogError> {
    let text = if text.trim().is_empty() { DEFAULT_FILTER } else { text };
    EnvFilter::try_new(text).map_err(|source| LogError::Filter { text: text.to_owned(), source })
}

fn text_lines<W>(filter: EnvFilter, writer: W) -> impl tracing::Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colour)
        .with_target(false)
        .with_writer(writer)
        .finish()
}

fn json_lines<W>(filter: EnvFilter, writer: W) -> impl tracing::Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_env_filter(filter)
        .with_writer(writer)
        .finish()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_json_line_has_its_fields_beside_the_message() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = json_lines(filter("").unwrap(), move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(job_id = 7, "job assigned");
            tracing::debug!("too quiet to be heard");
        });
        let bytes = lines.0.lock().unwrap().clone();
        let line: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(line["message"], "job assigned");
        assert_eq!(line["job_id"], 7);
        assert_eq!(line["level"], "INFO");
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_told_with_its_text() {
        let error = filter("dispatchyard=loud").unwrap_err().to_string();
        assert!(error.contains("dispatchyard=loud") && error.contains("DISPATCHYARD_LOG"));
    }
}
