//! Dispatchyard: webhooks in, jobs out to your own runners, nothing lost.
//!
//! One binary, and this library, that receives signed deliveries, asks the configured triggers what
//! they start, queues the jobs of it, and hands each job to a runner that fits, in the very
//! transaction that made the job durable.
//!
//! # The flow
//!
//! ```text
//!   delivery, event of one's own, run by hand
//!        |  webhook   limit, verify, parse        event   one model for all origins
//!        v
//!   intake::evaluate(event, rules) -> plan        pure; trigger and workflow made the rules
//!        |  one command
//!        v
//!   driver   one thread: batch -> claim keys -> dispatch::Scheduler::apply -> settle -> commit
//!        |                                       (queue: what is next, runner: who gets it)
//!        |  only after the commit (store)
//!        v
//!   replies, assignments to parked polls, records to streams
//!        |
//!        v
//!   agent_runner   poll -> start -> heartbeat, logs -> complete
//! ```
//!
//! # The rooms
//!
//! | room | what it is for |
//! | --- | --- |
//! | [`model`] | ids, rows, states and their moves, [`model::Change`]: the leaf |
//! | [`ask`] | what people ask of the scheduler, from names to numbers |
//! | [`event`] | what happened, and how far it is trusted |
//! | [`webhook`] | a forge's bytes and headers to an event |
//! | [`trigger`] | rules that say which events start work |
//! | [`expression`] | what stands in `${{ }}` and in `if` |
//! | [`workflow`] | workflow files in GitHub's form |
//! | [`intake`] | an event and the rules to a plan |
//! | [`planning`] | decides about jobs whose needs have ended |
//! | [`queue`] | what is next |
//! | [`runner`] | who gets it |
//! | [`executor`] | who carries a job out: rules over names |
//! | [`dispatch`] | every decision about jobs, runners and leases |
//! | [`driver`] | the loop around the decisions, and what it publishes |
//! | [`store`] | the database, the only user of sqlx |
//! | [`bench`] | measurements in process |
//! | [`log`] | job logs as files or rows |
//! | [`forge`] | what forges are asked over their APIs: files of repositories |
//! | [`backfill`] | deliveries that never arrived, asked for again |
//! | [`clock`] | the only clock and the only source of randomness |
//! | [`retention`] | what is over goes after its time |
//! | [`telemetry`] | log lines and metrics, and the one table of their names |
//! | [`config`] | the configuration, with the place of every fault |
//! | [`api`] | the HTTP edge; `api::wire` is all that runner and command line share with it |
//! | [`agent_runner`] | the runner side: takes jobs, runs steps, ships logs |
//! | [`app`] | what a server is made of, in which order it starts and stops |
//! | [`cli`] | the command line, one file per verb |
//!
//! # The import rule
//!
//! A room imports what stands below it and nothing beside or above it; the core (`model` to
//! `dispatch`, with `webhook`) knows no clock, randomness, socket, file or database. Time comes in
//! as [`model::Now`], randomness as [`model::Entropy`]. `tests/architecture` has the table and
//! refuses everything else.
//!
//! # Asking without a server
//!
//! What an event would start is a plain function of the event and the rules:
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::sync::Arc;
//!
//! use dispatchyard::event::OwnEvent;
//! use dispatchyard::intake::{Arrival, Outcome, Rules, evaluate};
//! use dispatchyard::model::Catalogue;
//! use dispatchyard::trigger::RuleConfig;
//! use dispatchyard::workflow::{Defaults, File, Policy};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let trigger: RuleConfig = toml::from_str(
//!     r#"
//!     name = "ci"
//!     workflow = "build"
//!     [on.push]
//!     branches = ["main"]
//!     "#,
//! )?;
//! let text = "jobs: { compile: { runs-on: linux, steps: [{ run: make }] } }";
//! let file = File::parse("build.yml", text, Policy::default()).expect("the workflow is sound");
//! let workflows = BTreeMap::from([("build".to_owned(), file)]);
//! let catalogue = Arc::new(Catalogue::default());
//! let rules = Rules::compile(&[trigger], workflows, Defaults::default(), catalogue)
//!     .expect("rules are sound");
//!
//! let event = OwnEvent {
//!     source: "api".to_owned(),
//!     kind: "push".to_owned(),
//!     git_ref: Some("refs/heads/main".to_owned()),
//!     ..OwnEvent::default()
//! };
//! let evaluation = evaluate(&event.into_event()?, &rules, Arrival::default());
//! let Outcome::Plan(plan) = evaluation.outcome else { panic!("nothing started") };
//! assert_eq!(plan.workloads[0].jobs[0].name, "compile");
//! # Ok(())
//! # }
//! ```

pub mod agent_runner;
pub mod api;
pub mod app;
pub mod ask;
pub mod backfill;
pub mod bench;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dispatch;
pub mod driver;
pub mod event;
pub mod executor;
pub mod expression;
pub mod forge;
pub mod intake;
pub mod log;
pub mod model;
pub mod planning;
pub mod queue;
pub mod report;
pub mod retention;
pub mod runner;
pub mod store;
pub mod telemetry;
pub mod trigger;
pub mod webhook;
pub mod workflow;

pub use app::DefaultRunner;
