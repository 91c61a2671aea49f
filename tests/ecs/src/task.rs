//! A task: what it was asked to be, where it stands, and how ECS shows it.

use std::net::Ipv4Addr;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::sync::watch;

use crate::value::{list, need, number, text};

/// The lifecycle that ECS documents, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    Provisioning,
    Pending,
    Activating,
    Running,
    Deactivating,
    Stopping,
    Deprovisioning,
    Stopped,
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Provisioning => "PROVISIONING",
            Self::Pending => "PENDING",
            Self::Activating => "ACTIVATING",
            Self::Running => "RUNNING",
            Self::Deactivating => "DEACTIVATING",
            Self::Stopping => "STOPPING",
            Self::Deprovisioning => "DEPROVISIONING",
            Self::Stopped => "STOPPED",
        }
    }
}

/// Why a task is to stop, or has stopped.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    pub(crate) code: &'static str,
    pub(crate) reason: String,
    /// True if its deployment counts this as a failed task.
    pub(crate) failure: bool,
    /// True if connections are drained first.
    pub(crate) drain: bool,
}

impl Stop {
    pub(crate) fn failed_to_start(reason: String) -> Self {
        Self {
            code: "TaskFailedToStart",
            reason,
            failure: true,
            drain: false,
        }
    }

    pub(crate) fn scaling(deployment: &str) -> Self {
        Self {
            code: "ServiceSchedulerInitiated",
            reason: format!("Scaling activity initiated by (deployment {deployment})"),
            failure: false,
            drain: true,
        }
    }

    pub(crate) fn unhealthy(reason: String) -> Self {
        Self {
            code: "ServiceSchedulerInitiated",
            reason,
            failure: true,
            drain: true,
        }
    }
}

/// A target group that a task's container belongs in.
#[derive(Debug, Clone)]
pub(crate) struct Attachment {
    pub(crate) group: String,
    pub(crate) port: u16,
}

#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) id: String,
    pub(crate) arn: String,
    pub(crate) cluster: String,
    pub(crate) definition: Arc<Value>,
    /// Members of the request that are answered as they came (launchType, overrides, …).
    pub(crate) settings: Map<String, Value>,
    pub(crate) group: String,
    pub(crate) started_by: Option<String>,
    /// ARN of the service, if one started it.
    pub(crate) service: Option<String>,
    /// ID of the deployment, if a service started it.
    pub(crate) deployment: Option<String>,
    pub(crate) revision: Option<String>,
    pub(crate) attachments: Vec<Attachment>,
    pub(crate) tags: Vec<Value>,
    pub(crate) status: Status,
    pub(crate) version: i64,
    pub(crate) address: Option<Ipv4Addr>,
    pub(crate) eni: String,
    pub(crate) eni_attachment: String,
    pub(crate) containers: Vec<Container>,
    pub(crate) created_at: f64,
    pub(crate) pull_started_at: Option<f64>,
    pub(crate) pull_stopped_at: Option<f64>,
    pub(crate) started_at: Option<f64>,
    pub(crate) stopping_at: Option<f64>,
    pub(crate) stopped_at: Option<f64>,
    /// The order to stop: set once, watched by the code that drives the containers.
    pub(crate) stop: watch::Sender<Option<Stop>>,
    /// True if its end has been counted by its deployment.
    pub(crate) accounted: bool,
}

#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) image: String,
    pub(crate) essential: bool,
    pub(crate) cpu: i64,
    pub(crate) memory: Option<i64>,
    pub(crate) memory_reservation: Option<i64>,
    pub(crate) has_health_check: bool,
    pub(crate) digest: Option<String>,
    pub(crate) runtime: Option<String>,
    /// Docker Engine's ID.
    pub(crate) engine_id: Option<String>,
    pub(crate) status: &'static str,
    pub(crate) exit_code: Option<i64>,
    pub(crate) reason: Option<String>,
    pub(crate) health: &'static str,
    /// Set when the container is gone; until then its logs are read from the engine.
    pub(crate) logs: Option<Vec<(i64, String)>>,
}

impl Task {
    /// A task in the cluster of this ARN, `PREFIX:cluster/NAME`.
    pub(crate) fn new(cluster: &str, definition: Arc<Value>, now: f64) -> Self {
        let id = crate::ids::hex32();
        let (prefix, name) = cluster.split_once("cluster/").unwrap_or_default();
        let path = format!("{name}/{id}");
        let containers = list(&definition, "containerDefinitions")
            .iter()
            .map(|wanted| Container {
                name: need(wanted, "name").to_owned(),
                arn: format!("{prefix}container/{path}/{}", uuid::Uuid::new_v4()),
                image: need(wanted, "image").to_owned(),
                essential: crate::container::is_essential(wanted),
                cpu: number(wanted, "cpu").unwrap_or(0),
                memory: number(wanted, "memory"),
                memory_reservation: number(wanted, "memoryReservation"),
                has_health_check: wanted.get("healthCheck").is_some(),
                digest: None,
                runtime: None,
                engine_id: None,
                status: "PENDING",
                exit_code: None,
                reason: None,
                health: "UNKNOWN",
                logs: None,
            })
            .collect();
        Self {
            arn: format!("{prefix}task/{path}"),
            id,
            cluster: cluster.to_owned(),
            group: format!("family:{}", need(&definition, "family")),
            definition,
            settings: Map::new(),
            started_by: None,
            service: None,
            deployment: None,
            revision: None,
            attachments: Vec::new(),
            tags: Vec::new(),
            status: Status::Provisioning,
            version: 1,
            address: None,
            eni: format!("eni-{}", &crate::ids::hex32()[..17]),
            eni_attachment: uuid::Uuid::new_v4().to_string(),
            containers,
            created_at: now,
            pull_started_at: None,
            pull_stopped_at: None,
            started_at: None,
            stopping_at: None,
            stopped_at: None,
            stop: watch::Sender::new(None),
            accounted: false,
        }
    }

    /// Orders the task to stop. The first order stands.
    pub(crate) fn order(&mut self, stop: Stop) {
        let ordered = self.stop.send_if_modified(|order| {
            let first = order.is_none();
            if first {
                *order = Some(stop);
            }
            first
        });
        if ordered {
            self.stopping_at = Some(crate::ids::now());
        }
    }

    pub(crate) fn ending(&self) -> bool {
        self.stop.borrow().is_some() || self.status > Status::Running
    }

    pub(crate) fn set_status(&mut self, status: Status) {
        self.status = status;
        self.version += 1;
    }

    fn health(&self) -> &'static str {
        let mut checked = self
            .containers
            .iter()
            .filter(|c| c.essential && c.has_health_check);
        if checked.clone().next().is_none() {
            return "UNKNOWN";
        }
        if checked.clone().any(|c| c.health == "UNHEALTHY") {
            return "UNHEALTHY";
        }
        if checked.all(|c| c.health == "HEALTHY") {
            "HEALTHY"
        } else {
            "UNKNOWN"
        }
    }

    pub(crate) fn describe(&self, with_tags: bool) -> Value {
        let stop = self.stop.borrow().clone();
        let address = self
            .address
            .map(|address| address.to_string())
            .unwrap_or_default();
        let subnet = self
            .settings
            .get("networkConfiguration")
            .map_or("", |network| {
                let subnets = list(&network["awsvpcConfiguration"], "subnets");
                subnets.first().and_then(Value::as_str).unwrap_or_default()
            });
        let eni_status = match self.status {
            Status::Provisioning => "PRECREATED",
            Status::Stopped => "DELETED",
            _ => "ATTACHED",
        };
        let eni_attachment = self.eni_attachment.clone();
        let mut task = json!({
            "attachments": [{
                "id": eni_attachment,
                "type": "ElasticNetworkInterface",
                "status": eni_status,
                "details": [
                    {"name": "subnetId", "value": subnet},
                    {"name": "networkInterfaceId", "value": self.eni},
                    {"name": "privateIPv4Address", "value": address},
                ],
            }],
            "clusterArn": self.cluster,
            "connectivity": "CONNECTED",
            "connectivityAt": self.created_at,
            "containers": self.containers.iter().map(|c| c.describe(self, &eni_attachment, &address)).collect::<Vec<_>>(),
            "createdAt": self.created_at,
            "desiredStatus": if self.ending() { "STOPPED" } else { "RUNNING" },
            "group": self.group,
            "healthStatus": self.health(),
            "lastStatus": self.status.name(),
            "overrides": {"containerOverrides": self.containers.iter().map(|c| json!({"name": c.name})).collect::<Vec<_>>()},
            "tags": if with_tags { self.tags.clone() } else { Vec::new() },
            "taskArn": self.arn,
            "taskDefinitionArn": self.definition["taskDefinitionArn"],
            "version": self.version,
        });
        for name in ["cpu", "memory"] {
            if let Some(size) = text(&self.definition, name) {
                task[name] = json!(size);
            }
        }
        for (name, value) in &self.settings {
            if name != "networkConfiguration" {
                task[name] = value.clone();
            }
        }
        let times = [
            ("pullStartedAt", self.pull_started_at),
            ("pullStoppedAt", self.pull_stopped_at),
            ("startedAt", self.started_at),
            ("stoppingAt", self.stopping_at),
            ("stoppedAt", self.stopped_at),
            ("executionStoppedAt", self.stopped_at),
        ];
        for (name, time) in times {
            if let Some(time) = time {
                task[name] = json!(time);
            }
        }
        if let Some(started_by) = &self.started_by {
            task["startedBy"] = json!(started_by);
        }
        if let Some(stop) = stop {
            task["stopCode"] = json!(stop.code);
            task["stoppedReason"] = json!(stop.reason);
        }
        task
    }
}

impl Container {
    fn describe(&self, task: &Task, eni_attachment: &str, address: &str) -> Value {
        let mut container = json!({
            "containerArn": self.arn,
            "taskArn": task.arn,
            "name": self.name,
            "image": self.image,
            "lastStatus": self.status,
            "networkBindings": [],
            "networkInterfaces": if address.is_empty() { json!([]) } else {
                json!([{"attachmentId": eni_attachment, "privateIpv4Address": address}])
            },
            "healthStatus": self.health,
            "cpu": self.cpu.to_string(),
        });
        let optional = [
            ("imageDigest", self.digest.clone().map(Value::from)),
            ("runtimeId", self.runtime.clone().map(Value::from)),
            ("exitCode", self.exit_code.map(Value::from)),
            ("reason", self.reason.clone().map(Value::from)),
            (
                "memory",
                self.memory.map(|mib| Value::from(mib.to_string())),
            ),
            (
                "memoryReservation",
                self.memory_reservation
                    .map(|mib| Value::from(mib.to_string())),
            ),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                container[name] = value;
            }
        }
        container
    }
}
