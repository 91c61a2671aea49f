//! Target health: a real HTTP (or TCP) check of each target, by the target group's settings, with the states, reason
//! codes and descriptions of DescribeTargetHealth.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::Inner;
use crate::elb::state::{Health, Target, TargetGroup};
use crate::ids;
use crate::value::{number, text};

/// Registers a target and starts checking it. One that is draining comes back as a new one.
pub(crate) fn register(
    inner: &Arc<Inner>,
    account: &str,
    region: &str,
    group: &str,
    address: Ipv4Addr,
    port: u16,
) {
    let serial = uuid::Uuid::new_v4().as_u128();
    let mut world = inner.world();
    let Some(found) = world
        .region(account, region)
        .groups
        .iter_mut()
        .find(|one| one.arn == group)
    else {
        return;
    };
    let known = |target: &Target| target.address == address && target.port == port;
    if found
        .targets
        .iter()
        .any(|target| known(target) && target.health != Health::Draining)
    {
        return;
    }
    found.targets.retain(|target| !known(target));
    found.targets.push(Target {
        address,
        port,
        health: Health::Initial,
        reason: "Elb.RegistrationInProgress",
        description: "Target registration is in progress".to_owned(),
        unanswered: None,
        successes: 0,
        failures: 0,
        draining_since: None,
        serial,
    });
    drop(world);
    let (account, region, group) = (account.to_owned(), region.to_owned(), group.to_owned());
    tokio::spawn(check(inner.clone(), account, region, group, serial));
}

/// Takes a target out of the rotation. It stays listed as draining for the group's deregistration delay.
pub(crate) fn deregister(
    inner: &Inner,
    account: &str,
    region: &str,
    group: &str,
    address: Ipv4Addr,
    port: u16,
) {
    let mut world = inner.world();
    let Some(found) = world
        .region(account, region)
        .groups
        .iter_mut()
        .find(|one| one.arn == group)
    else {
        return;
    };
    for target in found
        .targets
        .iter_mut()
        .filter(|target| target.address == address && target.port == port)
    {
        target.health = Health::Draining;
        target.reason = "Target.DeregistrationInProgress";
        target.description = "Target deregistration is in progress".to_owned();
        target.draining_since.get_or_insert_with(ids::now);
    }
}

/// Waits until the target has left its group.
pub(crate) async fn drained(
    inner: &Inner,
    account: &str,
    region: &str,
    group: &str,
    address: Ipv4Addr,
    port: u16,
) {
    loop {
        {
            let mut world = inner.world();
            let found = world
                .region(account, region)
                .groups
                .iter()
                .find(|one| one.arn == group);
            let present = found.is_some_and(|found_group| {
                found_group
                    .targets
                    .iter()
                    .any(|t| t.address == address && t.port == port)
            });
            if !present {
                return;
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Removes targets whose deregistration delay is over.
pub(crate) fn expire(groups: &mut [TargetGroup], now: f64) {
    for group in groups {
        let delay = group
            .attributes
            .get("deregistration_delay.timeout_seconds")
            .and_then(|s| s.parse().ok())
            .unwrap_or(300.0);
        group.targets.retain(|target| {
            target
                .draining_since
                .is_none_or(|since| now - since < delay)
        });
    }
}

/// How a check failed: ELB's reason code and description, and where there was no answer, why.
struct Failure {
    reason: &'static str,
    description: String,
    unanswered: Option<String>,
}

type Outcome = Result<(), Failure>;

async fn check(inner: Arc<Inner>, account: String, region: String, group: String, serial: u128) {
    loop {
        let Some((settings, target)) = find(&inner, &account, &region, &group, serial) else {
            return;
        };
        if target.health == Health::Draining {
            return;
        }
        let outcome = probe(&inner.http, &settings, &target).await;
        {
            let mut world = inner.world();
            let groups = &mut world.region(&account, &region).groups;
            let found = groups.iter_mut().find(|one| one.arn == group);
            let Some(target) =
                found.and_then(|one| one.targets.iter_mut().find(|t| t.serial == serial))
            else {
                return;
            };
            judge(target, &settings, outcome);
        }
        let seconds = number(&settings, "HealthCheckIntervalSeconds")
            .and_then(|n| u64::try_from(n).ok())
            .unwrap_or(30);
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
}

fn find(
    inner: &Inner,
    account: &str,
    region: &str,
    group: &str,
    serial: u128,
) -> Option<(Value, Target)> {
    let mut world = inner.world();
    let group = world
        .region(account, region)
        .groups
        .iter()
        .find(|one| one.arn == group)?;
    let target = group
        .targets
        .iter()
        .find(|target| target.serial == serial)?;
    Some((group.settings.clone(), target.clone()))
}

/// A new target is healthy after one good check; an unhealthy one after HealthyThresholdCount of them. Any target is
/// unhealthy after UnhealthyThresholdCount failures in a row.
fn judge(target: &mut Target, settings: &Value, outcome: Outcome) {
    if target.health == Health::Draining {
        return;
    }
    let threshold = |name: &str, default: u32| {
        number(settings, name)
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(default)
    };
    target.unanswered = None;
    match outcome {
        Ok(()) => {
            target.successes += 1;
            target.failures = 0;
            let enough = target.health != Health::Unhealthy
                || target.successes >= threshold("HealthyThresholdCount", 5);
            if enough {
                target.health = Health::Healthy;
                target.reason = "";
                target.description.clear();
            }
        }
        Err(failure) => {
            target.unanswered = failure.unanswered;
            target.failures += 1;
            target.successes = 0;
            if target.failures >= threshold("UnhealthyThresholdCount", 2) {
                target.health = Health::Unhealthy;
                target.reason = failure.reason;
                target.description = failure.description;
            } else if target.health == Health::Initial {
                target.reason = "Elb.InitialHealthChecking";
                target.description = "Initial health checks in progress".to_owned();
            }
        }
    }
}

async fn probe(http: &reqwest::Client, settings: &Value, target: &Target) -> Outcome {
    let port = text(settings, "HealthCheckPort")
        .and_then(|port| port.parse().ok())
        .unwrap_or(target.port);
    let seconds = number(settings, "HealthCheckTimeoutSeconds")
        .and_then(|n| u64::try_from(n).ok())
        .unwrap_or(5);
    let limit = Duration::from_secs(seconds);
    let failed = |why: String| Failure {
        reason: "Target.FailedHealthChecks",
        description: "Health checks failed".to_owned(),
        unanswered: Some(why),
    };
    let timed_out = || Failure {
        reason: "Target.Timeout",
        description: "Request timed out".to_owned(),
        unanswered: Some(format!("no answer within {seconds} s")),
    };
    if text(settings, "HealthCheckProtocol") == Some("TCP") {
        let connect = tokio::net::TcpStream::connect((target.address, port));
        return match tokio::time::timeout(limit, connect).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(timed_out()),
        };
    }
    let path = text(settings, "HealthCheckPath").unwrap_or("/");
    let request = http
        .get(format!("http://{}:{port}{path}", target.address))
        .header("User-Agent", "ELB-HealthChecker/2.0")
        .header("Connection", "close")
        .timeout(limit);
    match request.send().await {
        Ok(response) => {
            let code = response.status().as_u16();
            let matcher = settings["Matcher"]["HttpCode"].as_str().unwrap_or("200");
            if matches(matcher, code) {
                return Ok(());
            }
            Err(Failure {
                reason: "Target.ResponseCodeMismatch",
                description: format!("Health checks failed with these codes: [{code}]"),
                unanswered: None,
            })
        }
        Err(error) if error.is_timeout() => Err(timed_out()),
        Err(error) => Err(failed(crate::docker::chain(&error))),
    }
}

/// `200`, `200,202` or `200-299`.
fn matches(matcher: &str, code: u16) -> bool {
    matcher
        .split(',')
        .any(|part| match part.trim().split_once('-') {
            Some((low, high)) => {
                let bounds = low
                    .trim()
                    .parse::<u16>()
                    .ok()
                    .zip(high.trim().parse::<u16>().ok());
                bounds.is_some_and(|(low, high)| (low..=high).contains(&code))
            }
            None => part.trim().parse() == Ok(code),
        })
}
