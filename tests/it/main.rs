//! The product as its users have it: a server on a port of its own, a database file, HTTP over TCP,
//! signatures over raw bytes, and runner processes that execute steps.
//!
//! Each test has its own folder and server. Nothing sleeps to be on the safe side: a test looks at
//! the API until a level is reached, or fails after 30 seconds (`support::wait`).

#![expect(clippy::unwrap_used, reason = "what is not as it should be is a failed test")]

mod access;
mod acting;
mod allow;
mod approvals;
mod asking;
mod backfill;
mod batches;
mod bench;
mod cancelled;
mod chats;
mod clocks;
mod commands;
mod configuration;
mod conflicts;
mod container;
mod container_limits;
mod container_places;
mod control;
mod crash;
mod database;
mod decisions;
mod dry_runs;
mod engine;
mod executors;
mod faults;
mod forecast;
mod forms;
mod hooks;
mod http_executor;
mod instances;
#[cfg(feature = "kubernetes")]
mod kubernetes;
#[cfg(feature = "kubernetes")]
mod kubernetes_places;
#[cfg(feature = "kubernetes")]
mod kubernetes_pods;
#[cfg(feature = "lambda")]
mod lambda_executor;
mod latest;
mod leases;
mod lifecycle;
mod logs;
mod observing;
mod partitions;
mod polls;
mod push_figures;
mod reload;
mod replays;
mod replies;
mod report;
mod reports;
mod reports_app;
mod repository_workflows;
mod retention;
mod roles;
mod routes;
mod runners;
mod schedules;
mod scripts;
mod seat;
mod session_ends;
mod sessions;
mod shutdown;
mod sources;
mod spill;
mod steps;
mod storm;
mod streams;
mod support;
mod sweep;
mod tenants;
mod trust;
mod upkeep;
mod warm_http;
mod warm_own;
mod warm_pools;
mod workflow_files;
