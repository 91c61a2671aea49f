//! CloudWatch alarms that a deployment watches. The host of this stand-in knows their state.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::Inner;
use crate::service::terminal;
use crate::state::AlarmWatch;
use crate::value::{flag, texts};

/// A question for the alarms that are in the state ALARM.
#[derive(Debug, Clone)]
pub struct AlarmQuery {
    /// Account of the service.
    pub account: String,
    /// Region of the service.
    pub region: String,
    /// The alarms' names.
    pub names: Vec<String>,
}

type Answer = Pin<Box<dyn Future<Output = Vec<String>> + Send>>;

/// The way to CloudWatch, which the host of this stand-in provides: the names among those asked for that are in ALARM.
pub type Alarms = Arc<dyn Fn(AlarmQuery) -> Answer + Send + Sync>;

impl AlarmWatch {
    pub(crate) fn new(configuration: &Value) -> Self {
        let alarms = &configuration["alarms"];
        let names = texts(alarms, "alarmNames");
        Self {
            status: if flag(alarms, "enable") && !names.is_empty() {
                "MONITORING"
            } else {
                "DISABLED"
            },
            names,
            triggered: Vec::new(),
            seen: false,
        }
    }

    pub(crate) fn end(&mut self) {
        if self.status == "MONITORING" {
            self.status = "MONITORING_COMPLETE";
        }
    }

    pub(crate) fn describe(&self) -> Value {
        json!({"status": self.status, "alarmNames": self.names, "triggeredAlarmNames": self.triggered})
    }

    /// An alarm that is in ALARM when the deployment begins keeps ECS from watching any of them in that deployment
    /// (developer guide, "How CloudWatch alarms detect Amazon ECS deployment failures").
    fn take(&mut self, alarming: Vec<String>) {
        if !self.seen && !alarming.is_empty() {
            self.status = "DISABLED";
        } else {
            self.triggered = alarming;
        }
        self.seen = true;
    }
}

/// Asks for the alarms of every deployment that watches some.
pub(crate) async fn look(inner: &Inner) {
    let mut asked = Vec::new();
    for region in inner.world().regions() {
        for rollout in region
            .services
            .iter()
            .filter_map(|one| one.rollouts.first())
        {
            if rollout.alarms.status == "MONITORING" && !terminal(rollout.status) {
                let query = AlarmQuery {
                    account: region.account.clone(),
                    region: region.name.clone(),
                    names: rollout.alarms.names.clone(),
                };
                asked.push((rollout.arn.clone(), query));
            }
        }
    }
    for (arn, query) in asked {
        let (account, region) = (query.account.clone(), query.region.clone());
        let alarming = (inner.config.alarms)(query).await;
        let mut world = inner.world();
        let mut services = world.region(&account, &region).services.iter_mut();
        if let Some(rollout) = services.find_map(|service| service.rollout(&arn)) {
            rollout.alarms.take(alarming);
        }
    }
}
