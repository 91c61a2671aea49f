//! Where else an image goes: regions of the same account, or accounts of other roles.

use kit::aws::{Region, RoleArn};
use kit::{Error, Result};
use net::Target;

/// Reads `--to`: a REGION, or ROLE_ARN@REGION. `home` is the place the image is in; a region there has the same account
/// and role.
///
/// # Errors
/// Something else, or a place named twice (exit 2).
pub(crate) fn targets(to: &[String], home: &Target) -> Result<Vec<Target>> {
    let mut found: Vec<Target> = Vec::new();
    for place in to
        .iter()
        .map(|place| place.trim())
        .filter(|place| !place.is_empty())
    {
        let (role, region) = match place.rsplit_once('@') {
            Some((role, region)) => (role.parse::<RoleArn>().ok(), region),
            None => (None, place),
        };
        let target = match (role, region.parse::<Region>()) {
            (Some(role), Ok(region)) => Target {
                account: Some(role.account().clone()),
                role: Some(role),
                region: Some(region),
                allow_long_lived_keys: home.allow_long_lived_keys.clone(),
            },
            (None, Ok(region)) if !place.contains('@') => Target {
                region: Some(region),
                ..home.clone()
            },
            _ => {
                return Err(Error::usage(format!(
                    "--to {place:?} is neither a region nor a role and its region"
                ))
                .hint("eu-west-1 for the same account, or arn:aws:iam::123456789012:role/NAME@eu-west-1 for another; one a line"));
            }
        };
        let is_same = |other: &Target| other.role == target.role && other.region == target.region;
        if found.iter().any(is_same) || is_same(home) {
            return Err(
                Error::usage(format!("--to {place} is where the image goes already"))
                    .hint("name each place once, and not the one of the repository itself"),
            );
        }
        found.push(target);
    }
    Ok(found)
}

/// Repository and place, as `--to` names it, for people.
pub(crate) fn name(repository: &str, target: &Target, home: &Target) -> String {
    let region = target.region.as_ref().map_or("", Region::as_str);
    match &target.role {
        Some(role) if target.role != home.role => format!("{repository} at {role}@{region}"),
        _ if region.is_empty() => repository.to_owned(),
        _ => format!("{repository} at {region}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(to: &[&str]) -> Result<Vec<Target>> {
        let to: Vec<String> = to.iter().map(|text| (*text).to_owned()).collect();
        let home = Target {
            account: Some("111111111111".parse().unwrap()),
            role: Some("arn:aws:iam::111111111111:role/publish".parse().unwrap()),
            region: Some("eu-west-1".parse().unwrap()),
            allow_long_lived_keys: Vec::new(),
        };
        targets(&to, &home)
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
        let home = Target {
            role: Some("arn:aws:iam::111111111111:role/publish".parse().unwrap()),
            ..Target::ambient()
        };
        let names: Vec<String> = found.iter().map(|to| name("app", to, &home)).collect();
        assert_eq!(
            names,
            [
                "app at us-west-2".to_owned(),
                format!("app at {role}@eu-west-1"),
            ]
        );
        assert_eq!(name("app", &home, &home), "app");
    }

    #[test]
    fn what_is_no_place_is_found_before_any_call() {
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
