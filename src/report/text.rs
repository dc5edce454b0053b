//! What is told, in words. Pure. Names are other people's text: in Markdown they stand as code.

use super::news::News;
use crate::model::{COMMENT_MARK, JobStateKind, OutboxId, ReportPhase, WorkloadState};

/// The longest description that GitHub takes.
/// <https://docs.github.com/en/rest/commits/statuses#create-a-commit-status>
const DESCRIPTION_CHARS_MAX: usize = 140;
/// The most jobs that are listed.
const JOBS_MAX: usize = 50;
/// The longest reason that is told in full.
const REASON_CHARS_MAX: usize = 1_000;

/// One line about where a workload stands.
pub(super) fn description(news: &News) -> String {
    shortened(&line(news), DESCRIPTION_CHARS_MAX)
}

fn line(news: &News) -> String {
    let News { workload, jobs, waits } = news;
    let ended = jobs.iter().filter(|job| job.kind().is_terminal()).count();
    let of = |kind| jobs.iter().filter(move |job| job.kind() == kind);
    let named = |kind, many: &str| {
        let mut names = of(kind).map(|job| plain(&job.name));
        let first = names.next().unwrap_or_default();
        match names.count() {
            0 => format!("{many}: {first}"),
            more => format!("{many}: {first} and {more} more"),
        }
    };
    if jobs.is_empty() {
        return format!("{}; another run followed", capital(workload.state.as_str()));
    }
    match workload.state {
        WorkloadState::Pending | WorkloadState::Claimed => match waits {
            Some(why) => format!("Waiting: {}", plain(why)),
            None => "Waiting for a runner".to_owned(),
        },
        WorkloadState::Running => format!("Running: {ended} of {} jobs have ended", jobs.len()),
        WorkloadState::Completed => match jobs.len() {
            1 => "The job completed".to_owned(),
            all => format!("All {all} jobs are done"),
        },
        WorkloadState::Failed => named(JobStateKind::Failed, "Failed"),
        WorkloadState::Cancelled => named(JobStateKind::Cancelled, "Cancelled"),
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A page about where a workload stands, in Markdown.
pub(super) fn summary(news: &News) -> String {
    let mut text = match &news.waits {
        Some(why) => format!("{}\n", code(&shortened(&plain(why), REASON_CHARS_MAX))),
        None => format!("{}\n", markdown(&line(news))),
    };
    text.push_str("\n| job | state |\n| --- | --- |\n");
    for job in news.jobs.iter().take(JOBS_MAX) {
        text.push_str(&format!("| {} | {} |\n", code(&job.name), job.kind()));
    }
    if let Some(more) = news.jobs.len().checked_sub(JOBS_MAX).filter(|more| *more > 0) {
        text.push_str(&format!("\nand {more} more\n"));
    }
    text
}

/// A comment about a phase of a workload, in Markdown.
pub(super) fn comment(
    news: &News,
    (phase, state): (ReportPhase, WorkloadState),
    link: Option<&str>,
) -> String {
    let name = code(&news.workload.name);
    let what = match phase {
        ReportPhase::Made => "waits for a runner",
        ReportPhase::Started => "has started",
        ReportPhase::Ended => match state {
            WorkloadState::Completed => "completed",
            WorkloadState::Cancelled => "was cancelled",
            _ => "failed",
        },
    };
    let id = news.workload.id;
    let about =
        link.map_or_else(|| format!("workload {id}"), |link| format!("[workload {id}]({link})"));
    let mut text = format!("{name} {what} ({about}).");
    if phase == ReportPhase::Ended && state != WorkloadState::Completed {
        let bad = [JobStateKind::Failed, JobStateKind::Cancelled];
        let jobs = news.jobs.iter().filter(|job| bad.contains(&job.kind()));
        for job in jobs.take(JOBS_MAX) {
            text.push_str(&format!("\n- {} {}", code(&job.name), job.kind()));
        }
    }
    text
}

/// What tells a repeat of a comment from another one, and is not shown.
pub(super) fn mark(installation: &str, id: OutboxId) -> String {
    format!("{COMMENT_MARK}{installation} {id} -->")
}

/// Text of others in Markdown, word for word: no link, no mention, no tag.
fn code(text: &str) -> String {
    let clean: String =
        plain(text).chars().map(|it| if it == '`' || it == '|' { '\'' } else { it }).collect();
    format!("`{}`", if clean.trim().is_empty() { "?" } else { clean.trim() })
}

/// The same without being set apart: what could be read as Markdown is escaped.
fn markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for it in text.chars() {
        if it.is_ascii_punctuation() && !matches!(it, '.' | ',' | ':' | ';' | ' ' | '-') {
            escaped.push('\\');
        }
        escaped.push(it);
    }
    // A mention is one behind a backslash too.
    escaped.replace('@', "@\u{200b}")
}

/// In one line, without what moves the cursor.
fn plain(text: &str) -> String {
    text.chars().map(|it| if it.is_control() { ' ' } else { it }).collect()
}

fn shortened(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_is_code_and_does_nothing() {
        assert_eq!(code("a`b @all <img> |\n"), "`a'b @all <img> '`");
        assert_eq!(code("\u{7}"), "`?`");
        assert_eq!(markdown("a*b @all [x](y)"), "a\\*b \\@\u{200b}all \\[x\\]\\(y\\)");
    }

    #[test]
    fn a_description_is_never_too_long() {
        let short = shortened(&"ä ".repeat(200), DESCRIPTION_CHARS_MAX);
        assert!(short.chars().count() <= DESCRIPTION_CHARS_MAX && short.ends_with('…'));
        assert_eq!(shortened("short", 140), "short");
    }
}
