//! Lambda behind the gateway. Its containers carry the sandbox's label, so they go with those of ECS.

use std::future::Future;
use std::pin::Pin;

use gateway::{Backend, BackendAnswer, BackendCall};
use standin_lambda::{Config, Lambda, Scope, Timings};

use super::{ecs, models};
use crate::fault::{Context, Result};
use crate::instance::{Instance, port};
use crate::parts::engine;
use crate::world::http_client;

/// The functions of all accounts.
pub(super) struct Functions(Lambda);

impl Functions {
    pub(super) fn start(instance: &Instance) -> Result<Self> {
        let config = Config {
            models_dir: models(instance)?,
            docker_socket: engine::SOCKET.into(),
            ip: instance.ip,
            registry: format!(":{}", port::REGISTRY),
            label: instance.id.clone(),
            upstream: ecs::upstream(instance, http_client()?, "lambda.amazonaws.com"),
            timings: Timings::default(),
        };
        Lambda::start(config).context("starting Lambda").map(Self)
    }

    async fn answer(&self, call: BackendCall) -> BackendAnswer {
        let scope = Scope {
            account: call.account,
            region: call.region,
        };
        let input = serde_json::from_slice(&call.body).unwrap_or_default();
        let answer = self.0.handle(&scope, &call.operation, input).await;
        let (parts, body) = answer.into_parts();
        BackendAnswer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }
}

impl Backend for Functions {
    fn handle(
        &self,
        call: BackendCall,
    ) -> Pin<Box<dyn Future<Output = BackendAnswer> + Send + '_>> {
        Box::pin(self.answer(call))
    }

    fn violations(&self) -> Vec<String> {
        self.0.violations()
    }
}
