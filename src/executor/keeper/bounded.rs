//! Calls to provisioners, each of which comes to an end: one that never answers must not stop its fleets.

use std::future::Future;
use std::time::Duration;

use super::super::provisioner::{ProvisionError, Provisioned, Provisioner, RunnerOrder};

pub(super) async fn create(
    provisioner: &dyn Provisioner,
    order: &RunnerOrder,
) -> Result<(), ProvisionError> {
    bounded(provisioner.call_max(), provisioner.create(order)).await
}

pub(super) async fn destroy(
    provisioner: &dyn Provisioner,
    name: &str,
) -> Result<(), ProvisionError> {
    bounded(provisioner.call_max(), provisioner.destroy(name)).await
}

pub(super) async fn list(
    provisioner: &dyn Provisioner,
) -> Result<Vec<Provisioned>, ProvisionError> {
    bounded(provisioner.call_max(), provisioner.list()).await
}

async fn bounded<T>(
    longest: Duration,
    call: impl Future<Output = Result<T, ProvisionError>>,
) -> Result<T, ProvisionError> {
    let late = |_| {
        let ms = longest.as_millis();
        Err(ProvisionError(format!("its provisioner did not answer within {ms} ms")))
    };
    tokio::time::timeout(longest, call).await.unwrap_or_else(late)
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;

    struct Silent;

    #[async_trait]
    impl Provisioner for Silent {
        fn name(&self) -> &'static str {
            "silent"
        }

        fn call_max(&self) -> Duration {
            Duration::from_millis(10)
        }

        async fn create(&self, _order: &RunnerOrder) -> Result<(), ProvisionError> {
            std::future::pending().await
        }

        async fn destroy(&self, _name: &str) -> Result<(), ProvisionError> {
            std::future::pending().await
        }

        async fn list(&self) -> Result<Vec<Provisioned>, ProvisionError> {
            std::future::pending().await
        }
    }

    #[tokio::test]
    async fn one_that_never_answers_is_given_up() {
        let order = RunnerOrder {
            name: "warm-7-linux".to_owned(),
            server_url: "http://127.0.0.1:7878".to_owned(),
            token: "once".to_owned(),
            pool: "linux".to_owned(),
            labels: Vec::new(),
            slots: 1,
            ephemeral: true,
        };
        let why = "its provisioner did not answer within 10 ms";
        assert_eq!(create(&Silent, &order).await.unwrap_err().to_string(), why);
        assert_eq!(destroy(&Silent, &order.name).await.unwrap_err().to_string(), why);
        assert_eq!(list(&Silent).await.unwrap_err().to_string(), why);
    }
}
