//! The destinations of replicas: regions of the same account, or accounts of other roles.

use kit::aws::{Region, RoleArn};
use kit::{Error, Result};
use net::Target;

/// Reads `--to`: a REGION, or ROLE_ARN@REGION. A region alone means the account and role of `primary`, where the primary
/// repository is.
///
/// # Errors
/// Something else, or a destination named twice (exit 2).
pub(crate) fn targets(to: &[String], primary: &Target) -> Result<Vec<Target>> {
    let mut found: Vec<Target> = Vec::new();
    for text in to
        .iter()
        .map(|text| text.trim())
        .filter(|text| !text.is_empty())
    {
        let (role, region) = match text.rsplit_once('@') {
            Some((role, region)) => (role.parse::<RoleArn>().ok(), region),
            None => (None, text),
        };
        let target = match (role, region.parse::<Region>()) {
            (Some(role), Ok(region)) => Target {
                account: Some(role.account().clone()),
                role: Some(role),
                region: Some(region),
                allow_long_lived_keys: primary.allow_long_lived_keys.clone(),
            },
            (None, Ok(region)) if !text.contains('@') => Target {
                region: Some(region),
                ..primary.clone()
            },
            _ => {
                return Err(Error::usage(format!(
                    "--to `{text}` is neither REGION nor ROLE_ARN@REGION"
                ))
                .hint("eu-west-1 for the same account, or arn:aws:iam::123456789012:role/NAME@eu-west-1 for another; one per line"));
            }
        };
        let is_same = |other: &Target| other.role == target.role && other.region == target.region;
        if found.iter().any(is_same) || is_same(primary) {
            return Err(
                Error::usage(format!("--to `{text}` is already a destination of the image"))
                    .hint("name each destination once, and leave out the primary repository's own account and region"),
            );
        }
        found.push(target);
    }
    Ok(found)
}

/// Repository and destination, as `--to` names it, for people.
pub(crate) fn name(repository: &str, target: &Target, primary: &Target) -> String {
    let region = target.region.as_ref().map_or("", Region::as_str);
    match &target.role {
        Some(role) if target.role != primary.role => format!("{repository} at {role}@{region}"),
        _ if region.is_empty() => repository.to_owned(),
        _ => format!("{repository} at {region}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(to: &[&str]) -> Result<Vec<Target>> {
        let to: Vec<String> = to.iter().map(|text| (*text).to_owned()).collect();
        let primary = Target {
            account: Some("111111111111".parse().unwrap()),
            role: Some("arn:aws:iam::111111111111:role/publish".parse().unwrap()),
            region: Some("eu-west-1".parse().unwrap()),
            allow_long_lived_keys: Vec::new(),
        };
        targets(&to, &primary)
    }

    #[test]
    fn a_region_keeps_account_and_role_and_a_role_brings_its_own() {
        let role = "arn:aws:iam::222222222222:role/team/publish";
        let found = read(&["us-west-2", "", &format!("{role}@eu-west-1")]).unwrap();
        let seen: Vec<_> = found
            .iter()
            .map(|target| {
                (
                    target.account.as_ref().unwrap().as_str(),
                    target.role.as_ref().unwrap().as_str(),
                    target.region.as_ref().unwrap().as_str(),
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                (
                    "111111111111",
                    "arn:aws:iam::111111111111:role/publish",
                    "us-west-2"
                ),
                ("222222222222", role, "eu-west-1"),
            ]
        );
        assert!(read(&[]).unwrap().is_empty());
        let primary = Target {
            role: Some("arn:aws:iam::111111111111:role/publish".parse().unwrap()),
            ..Target::ambient()
        };
        let names: Vec<String> = found.iter().map(|to| name("app", to, &primary)).collect();
        assert_eq!(
            names,
            [
                "app at us-west-2".to_owned(),
                format!("app at {role}@eu-west-1"),
            ]
        );
        assert_eq!(name("app", &primary, &primary), "app");
    }

    #[test]
    fn refuses_a_destination_that_is_malformed_before_any_call() {
        for wrong in [
            "west",
            "eu-west",
            "EU-WEST-1",
            "arn:aws:iam::222222222222:role/x",
            "role@eu-west-1",
            "arn:aws:iam::222222222222:role/x@",
            "arn:aws:iam::222222222222:user/x@eu-west-1",
            "eu-west-1",
        ] {
            let error = read(&[wrong]).unwrap_err();
            assert_eq!(error.exit(), kit::Exit::Usage, "{wrong}");
            assert!(!error.hints.is_empty());
        }
        assert!(read(&["eu-west-2", "eu-west-2"]).is_err());
    }
}
