//! ECS: services, tasks and task definitions, the cluster and the revision as condition keys, and the roles that a task
//! definition passes to tasks.
//! Source: Service Authorization Reference, "Amazon Elastic Container Service"; Amazon ECS Developer Guide, "Permissions
//! required for viewing Amazon ECS service deployments".

use serde_json::Value;

use super::{Need, Scene};

/// The service that gets the roles which a task definition names.
const TASKS: &str = "ecs-tasks.amazonaws.com";

pub(super) fn needs(scene: &Scene<'_>) -> Option<Vec<Need>> {
    of_clusters(scene)
        .or_else(|| of_services(scene))
        .or_else(|| of_tasks(scene))
}

fn of_clusters(scene: &Scene<'_>) -> Option<Vec<Need>> {
    Some(match scene.operation() {
        "ListClusters" => vec![scene.same("*")],
        "CreateCluster" => {
            let name = scene.text("clusterName").unwrap_or("default");
            tagging(scene, scene.arn(&format!("cluster/{name}")))
        }
        "DescribeClusters" => {
            let named = scene.texts("clusters");
            each(
                scene,
                &named,
                |name| cluster_arn(scene, Some(name)),
                "default",
            )
        }
        "DeleteCluster" => vec![scene.same(cluster_arn(scene, scene.text("cluster")))],
        "TagResource" | "UntagResource" | "ListTagsForResource" => {
            vec![scene.same(scene.text("resourceArn")?)]
        }
        _ => return None,
    })
}

fn of_services(scene: &Scene<'_>) -> Option<Vec<Need>> {
    Some(match scene.operation() {
        "CreateService" => {
            let service = service_arn(scene, scene.text("serviceName")?);
            let need = revision(scene, in_cluster(scene, scene.same(&service)));
            let mut needs = vec![need];
            needs.extend(tagging(scene, service).split_off(1));
            needs
        }
        "UpdateService" => {
            let need = scene.same(service_arn(scene, scene.text("service")?));
            vec![revision(scene, in_cluster(scene, need))]
        }
        "DeleteService" | "ListServiceDeployments" => {
            let need = scene.same(service_arn(scene, scene.text("service")?));
            vec![in_cluster(scene, need)]
        }
        "DescribeServices" => scene
            .texts("services")
            .iter()
            .map(|name| in_cluster(scene, scene.same(service_arn(scene, name))))
            .collect(),
        "ListServices" => vec![in_cluster(scene, scene.same("*"))],
        "DescribeServiceDeployments" => each(
            scene,
            &scene.texts("serviceDeploymentArns"),
            str::to_owned,
            "*",
        ),
        "DescribeServiceRevisions" => each(
            scene,
            &scene.texts("serviceRevisionArns"),
            str::to_owned,
            "*",
        ),
        "ContinueServiceDeployment" | "StopServiceDeployment" => {
            vec![scene.same(scene.text("serviceDeploymentArn")?)]
        }
        _ => return None,
    })
}

fn of_tasks(scene: &Scene<'_>) -> Option<Vec<Need>> {
    let input = &scene.input;
    Some(match scene.operation() {
        "ListTaskDefinitions"
        | "ListTaskDefinitionFamilies"
        | "DescribeTaskDefinition"
        | "DeregisterTaskDefinition" => vec![scene.same("*")],
        "RegisterTaskDefinition" => register(scene)?,
        "ListTasks" => {
            let cluster = short(scene.text("cluster").unwrap_or("default"));
            let instances = scene.arn(&format!("container-instance/{cluster}/*"));
            vec![in_cluster(scene, scene.same(instances))]
        }
        "DescribeTasks" => scene
            .texts("tasks")
            .iter()
            .map(|task| in_cluster(scene, scene.same(task_arn(scene, task))))
            .collect(),
        "StopTask" => {
            let task = task_arn(scene, scene.text("task")?);
            vec![in_cluster(scene, scene.same(task))]
        }
        "RunTask" => {
            let definition = definition_arn(scene, scene.text("taskDefinition")?);
            let mut needs = vec![in_cluster(scene, scene.same(definition))];
            needs.extend(passed(scene, &input["overrides"]));
            needs
        }
        _ => return None,
    })
}

/// Registering passes roles, and names a family whose next revision nobody knows yet.
fn register(scene: &Scene<'_>) -> Option<Vec<Need>> {
    let family = scene.text("family")?;
    let mut needs = tagging(scene, scene.arn(&format!("task-definition/{family}:*")));
    needs.extend(passed(scene, &scene.input));
    Some(needs)
}

fn passed(scene: &Scene<'_>, names: &Value) -> Vec<Need> {
    ["taskRoleArn", "executionRoleArn"]
        .iter()
        .filter_map(|member| names[*member].as_str())
        .filter(|role| !role.is_empty())
        .map(|role| scene.pass_role(role, TASKS))
        .collect()
}

/// The operation on what it makes, and tagging it where it is made with tags.
fn tagging(scene: &Scene<'_>, resource: String) -> Vec<Need> {
    let mut needs = vec![scene.same(&resource)];
    if scene.has_tags() {
        let by = vec![scene.operation().to_owned()];
        needs.push(
            scene
                .need("TagResource", resource)
                .with("ecs:CreateAction", by),
        );
    }
    needs
}

fn each(
    scene: &Scene<'_>,
    named: &[String],
    arn: impl Fn(&str) -> String,
    none: &str,
) -> Vec<Need> {
    match named {
        [] => vec![scene.same(arn(none))],
        named => named.iter().map(|name| scene.same(arn(name))).collect(),
    }
}

fn in_cluster(scene: &Scene<'_>, need: Need) -> Need {
    let cluster = cluster_arn(scene, scene.text("cluster"));
    need.with("ecs:cluster", vec![cluster])
}

fn revision(scene: &Scene<'_>, need: Need) -> Need {
    let named = scene.text("taskDefinition");
    let arn = named.map(|named| definition_arn(scene, named));
    need.with("ecs:task-definition", arn.into_iter().collect())
}

/// The last part of an ARN, or the name itself.
fn short(named: &str) -> &str {
    named.rsplit('/').next().unwrap_or(named)
}

fn cluster_arn(scene: &Scene<'_>, named: Option<&str>) -> String {
    match named.unwrap_or("default") {
        arn if arn.starts_with("arn:") => arn.to_owned(),
        name => scene.arn(&format!("cluster/{name}")),
    }
}

fn service_arn(scene: &Scene<'_>, named: &str) -> String {
    let cluster = short(scene.text("cluster").unwrap_or("default"));
    match named.starts_with("arn:") {
        true => named.to_owned(),
        false => scene.arn(&format!("service/{cluster}/{named}")),
    }
}

fn task_arn(scene: &Scene<'_>, named: &str) -> String {
    let cluster = short(scene.text("cluster").unwrap_or("default"));
    match named.starts_with("arn:") {
        true => named.to_owned(),
        false => scene.arn(&format!("task/{cluster}/{named}")),
    }
}

/// `FAMILY:REVISION`, or an ARN. A family alone means its newest revision, which no condition on one revision meets.
fn definition_arn(scene: &Scene<'_>, named: &str) -> String {
    match named.starts_with("arn:") {
        true => named.to_owned(),
        false => scene.arn(&format!("task-definition/{named}")),
    }
}
