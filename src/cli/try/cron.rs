//! `try cron`: what a time means in words, and when it comes next.

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::super::CliError;
use super::super::console::Console;
use super::super::table::{page, rows};
use super::lines::Lines;
use crate::trigger::schedule::dry::{COUNT_MAX, cron, utc};
use crate::trigger::schedule::{Schedule, Syntax};

/// Which expression, and where.
#[derive(Clone, Debug, Args)]
pub struct TryCronArgs {
    /// The expression, in quotes: "30 2 * * 1-5"
    expr: Option<String>,
    /// By the clocks of which zone
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    tz: String,
    /// In which form it is written
    #[arg(long, value_enum, default_value_t)]
    syntax: Form,
    /// How many times
    #[arg(long, value_name = "N", default_value_t = 5)]
    count: usize,
    #[command(flatten)]
    lines: Lines,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
enum Form {
    /// Five fields
    #[default]
    Unix,
    /// Six or seven, with seconds; 1 is Sunday
    Quartz,
}

/// What an expression means.
#[derive(Debug, Serialize)]
struct Meaning {
    expr: String,
    zone: String,
    words: String,
    next: Vec<Next>,
}

#[derive(Debug, Serialize)]
struct Next {
    utc: String,
    local: String,
}

pub(super) fn run(args: &TryCronArgs, console: &mut Console) -> Result<(), CliError> {
    let Some(expr) = &args.expr else { return args.lines.answer(cron, console) };
    let usage = |message: String, hint: String| CliError::Usage { message, hint };
    if args.count > COUNT_MAX {
        let message = format!("--count {} is over {COUNT_MAX}", args.count);
        return Err(usage(message, "ask for fewer".to_owned()));
    }
    let syntax = match args.syntax {
        Form::Unix => Syntax::Unix,
        Form::Quartz => Syntax::Quartz,
    };
    let schedule = Schedule::new(expr, syntax, &args.tz);
    let schedule = schedule.map_err(|fault| usage(fault.message, fault.hint))?;
    let next = schedule.next(console.now_ms(), args.count).into_iter();
    let meaning = Meaning {
        expr: schedule.text().to_owned(),
        zone: schedule.zone().to_owned(),
        words: schedule.words(),
        next: next.map(|at| Next { utc: utc(at), local: schedule.local(at) }).collect(),
    };
    console.report(&meaning, table)
}

fn table(meaning: &Meaning) -> String {
    let lines = meaning.next.iter().map(|next| vec![next.utc.clone(), next.local.clone()]);
    page([meaning.words.clone(), rows(&["UTC", "LOCAL"], lines, "it never comes")])
}
