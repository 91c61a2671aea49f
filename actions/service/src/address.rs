//! Where people reach the service.

use ecs::{Client, Error, Service};

/// The service's address: the first load balancer's listener, HTTPS before HTTP, as a URL. `None` without a load
/// balancer.
///
/// # Errors
/// An API that does not answer.
pub(crate) async fn address(client: &Client, service: &Service) -> Result<Option<String>, Error> {
    let groups: Vec<String> = service
        .attachments
        .iter()
        .filter_map(|attachment| Some(attachment.groups.first()?.into()))
        .collect();
    if groups.is_empty() {
        return Ok(None);
    }
    let Some(arn) = balancer(client, groups).await? else {
        return Ok(None);
    };
    let call = client
        .elb
        .describe_load_balancers()
        .load_balancer_arns(&arn);
    let answer = client
        .call(
            "elasticloadbalancing:DescribeLoadBalancers",
            &format!("describe load balancer {arn}"),
            || call.clone().send(),
        )
        .await?;
    let mut balancers = answer.load_balancers.unwrap_or_default().into_iter();
    let Some(name) = balancers.find_map(|found| found.dns_name) else {
        return Ok(None);
    };
    let call = client.elb.describe_listeners().load_balancer_arn(&arn);
    let answer = client
        .call(
            "elasticloadbalancing:DescribeListeners",
            &format!("describe the listeners of {arn}"),
            || call.clone().send(),
        )
        .await?;
    let mut listeners: Vec<(String, i32)> = answer
        .listeners
        .unwrap_or_default()
        .into_iter()
        .filter_map(|listener| Some((listener.protocol?.as_str().to_lowercase(), listener.port?)))
        .collect();
    listeners.sort_by_key(|(protocol, port)| (protocol != "https", protocol != "http", *port));
    Ok(Some(match listeners.first() {
        Some((protocol, port)) => match (protocol.as_str(), port) {
            ("https", 443) | ("http", 80) => format!("{protocol}://{name}"),
            ("https" | "http", port) => format!("{protocol}://{name}:{port}"),
            (_, port) => format!("{name}:{port}"),
        },
        None => name,
    }))
}

/// The ARN of the first load balancer in front of these target groups.
async fn balancer(client: &Client, groups: Vec<String>) -> Result<Option<String>, Error> {
    let call = client
        .elb
        .describe_target_groups()
        .set_target_group_arns(Some(groups));
    let answer = client
        .call(
            "elasticloadbalancing:DescribeTargetGroups",
            "describe the service's target groups",
            || call.clone().send(),
        )
        .await?;
    Ok(answer
        .target_groups
        .unwrap_or_default()
        .into_iter()
        .flat_map(|group| group.load_balancer_arns.unwrap_or_default())
        .next())
}
