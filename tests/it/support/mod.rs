//! What the tests are made of: a server with a home of its own, senders, runners, and waiting for
//! levels.

pub(crate) mod api;
pub(crate) mod app;
pub(crate) mod backend;
pub(crate) mod chat;
pub(crate) mod clock;
#[cfg(feature = "kubernetes")]
pub(crate) mod cluster;
pub(crate) mod command;
pub(crate) mod contents;
pub(crate) mod daemon;
pub(crate) mod fake_runner;
pub(crate) mod farm;
pub(crate) mod home;
pub(crate) mod hook;
pub(crate) mod instances;
#[cfg(feature = "lambda")]
pub(crate) mod lambda;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod raw;
pub(crate) mod runner;
pub(crate) mod schema;
pub(crate) mod server;
pub(crate) mod sse;
pub(crate) mod store;
pub(crate) mod told;
pub(crate) mod wait;

pub(crate) use api::{Answer, Api};
pub(crate) use fake_runner::FakeRunner;
pub(crate) use home::{Home, Setup};
pub(crate) use hook::Hook;
pub(crate) use runner::{RunnerProcess, RunnerSetup};
pub(crate) use schema::Schema;
pub(crate) use server::{Server, ServerProcess};
pub(crate) use wait::until;

/// Makes two tests of each of these functions, one for each database; each gets a setup to begin with.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name(crate::support::Setup::default()).await;
            })*
        }

        mod on_postgres {
            $(#[tokio::test]
            async fn $name() {
                super::$name(crate::support::Setup::default().on_postgres().await).await;
            })*
        }
    };
}
pub(crate) use on_both;
