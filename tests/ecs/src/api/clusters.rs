//! Clusters.

use serde_json::{Map, Value, json};

use crate::api::{missing, short};
use crate::error::{Answer, ApiError};
use crate::state::{Cluster, Region};
use crate::value::{asks, copy, page, text, texts};

pub(crate) fn create(region: &mut Region, input: &Value) -> Answer {
    let name = text(input, "clusterName").unwrap_or("default").to_owned();
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 255 || !name.chars().all(valid) {
        return Err(ApiError::invalid("Invalid cluster name."));
    }
    // Creating a cluster that is there answers the one that is there.
    if !region
        .clusters
        .get(&name)
        .is_some_and(|cluster| cluster.active)
    {
        let mut settings = Map::new();
        let kept = [
            "configuration",
            "settings",
            "capacityProviders",
            "defaultCapacityProviderStrategy",
            "serviceConnectDefaults",
        ];
        copy(input, &kept, &mut settings);
        let cluster = Cluster {
            arn: region.arn(&format!("cluster/{name}")),
            name: name.clone(),
            settings,
            tags: crate::value::list(input, "tags").to_vec(),
            active: true,
        };
        region.clusters.insert(name.clone(), cluster);
    }
    let cluster = region
        .clusters
        .get(&name)
        .map(|cluster| show(region, cluster, true));
    Ok(json!({"cluster": cluster}))
}

fn show(region: &Region, cluster: &Cluster, with_tags: bool) -> Value {
    let counts = crate::service::count(
        region
            .tasks
            .values()
            .filter(|task| task.cluster == cluster.arn),
    );
    let services = region
        .services
        .iter()
        .filter(|s| s.cluster == cluster.arn && s.status == "ACTIVE")
        .count();
    let mut shown = json!({
        "clusterArn": cluster.arn,
        "clusterName": cluster.name,
        "status": if cluster.active { "ACTIVE" } else { "INACTIVE" },
        "registeredContainerInstancesCount": 0,
        "runningTasksCount": counts.running,
        "pendingTasksCount": counts.pending,
        "activeServicesCount": services,
        "statistics": [],
        "tags": if with_tags { cluster.tags.clone() } else { Vec::new() },
        "settings": [{"name": "containerInsights", "value": "disabled"}],
        "capacityProviders": [],
        "defaultCapacityProviderStrategy": [],
    });
    for (name, value) in &cluster.settings {
        shown[name] = value.clone();
    }
    shown
}

pub(crate) fn describe(region: &mut Region, input: &Value) -> Answer {
    let mut wanted = texts(input, "clusters");
    if wanted.is_empty() {
        wanted.push("default".to_owned());
    }
    let (mut clusters, mut failures) = (Vec::new(), Vec::new());
    for name in wanted {
        match region.clusters.get(short(&name)) {
            Some(cluster) => clusters.push(show(region, cluster, asks(input, "include", "TAGS"))),
            None => failures.push(missing(&region.arn(&format!("cluster/{}", short(&name))))),
        }
    }
    Ok(json!({"clusters": clusters, "failures": failures}))
}

pub(crate) fn list_all(region: &mut Region, input: &Value) -> Answer {
    let arns = region
        .clusters
        .values()
        .filter(|cluster| cluster.active)
        .map(|cluster| cluster.arn.clone())
        .collect();
    let (arns, next) = page(arns, input, 100)?;
    let mut answer = json!({"clusterArns": arns, "nextToken": next});
    crate::check::drop_null_members(&mut answer);
    Ok(answer)
}

pub(crate) fn delete(region: &mut Region, input: &Value) -> Answer {
    let arn = super::cluster(region, input)?.arn.clone();
    let code = if region
        .services
        .iter()
        .any(|s| s.cluster == arn && s.status == "ACTIVE")
    {
        Some((
            "ClusterContainsServicesException",
            "The Cluster cannot be deleted while Services are active.",
        ))
    } else if region
        .tasks
        .values()
        .any(|task| task.cluster == arn && !task.ending())
    {
        Some((
            "ClusterContainsTasksException",
            "The Cluster cannot be deleted while Tasks are active.",
        ))
    } else {
        None
    };
    if let Some((code, message)) = code {
        return Err(ApiError::new(code, message));
    }
    for cluster in region
        .clusters
        .values_mut()
        .filter(|cluster| cluster.arn == arn)
    {
        cluster.active = false;
    }
    let shown = region
        .clusters
        .values()
        .find(|cluster| cluster.arn == arn)
        .map(|cluster| show(region, cluster, true));
    Ok(json!({"cluster": shown}))
}
