//! Where else an image goes: regions of the same account, or accounts of other roles.

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
        let target = match place.rsplit_once('@') {
            Some((role, region)) if net::is_role(role) && is_region(region) => Target {
                account: role.split(':').nth(4).map(str::to_owned),
                role: Some(role.to_owned()),
                region: Some(region.to_owned()),
                allow_long_lived_keys: home.allow_long_lived_keys.clone(),
            },
            None if is_region(place) => Target {
                region: Some(place.to_owned()),
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
    let region = target.region.as_deref().unwrap_or_default();
    match &target.role {
        Some(role) if target.role != home.role => format!("{repository} at {role}@{region}"),
        _ if region.is_empty() => repository.to_owned(),
        _ => format!("{repository} at {region}"),
    }
}

/// Whether `text` could be a region: `ca-central-1`, `us-gov-west-1`, `us-isob-east-1`.
fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let Some((number, words)) = parts.split_last() else {
        return false;
    };
    let is = |part: &str, kind: fn(&u8) -> bool| {
        !part.is_empty() && part.bytes().all(|byte| kind(&byte))
    };
    words.len() >= 2
        && is(number, u8::is_ascii_digit)
        && words.iter().all(|word| is(word, u8::is_ascii_lowercase))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(to: &[&str]) -> Result<Vec<Target>> {
        let to: Vec<String> = to.iter().map(|text| (*text).to_owned()).collect();
        let home = Target {
            account: Some("111111111111".to_owned()),
            role: Some("arn:aws:iam::111111111111:role/publish".to_owned()),
            region: Some("eu-west-1".to_owned()),
            allow_long_lived_keys: Vec::new(),
        };
        targets(&to, &home)
    }

    #[test]
    fn a_region_keeps_account_and_role_and_a_role_brings_its_own() {
        let role = "arn:aws:iam::222222222222:role/team/publish";
        let found = read(&["us-gov-west-1", "", &format!("{role}@eu-west-1")]).unwrap();
        let seen: Vec<_> = found
            .iter()
            .map(|target| {
                (
                    target.account.as_deref().unwrap(),
                    target.role.as_deref().unwrap(),
                    target.region.as_deref().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                (
                    "111111111111",
                    "arn:aws:iam::111111111111:role/publish",
                    "us-gov-west-1"
                ),
                ("222222222222", role, "eu-west-1"),
            ]
        );
        assert!(read(&[]).unwrap().is_empty());
        let home = Target {
            role: Some("arn:aws:iam::111111111111:role/publish".to_owned()),
            ..Target::ambient()
        };
        let names: Vec<String> = found.iter().map(|to| name("app", to, &home)).collect();
        assert_eq!(
            names,
            [
                "app at us-gov-west-1".to_owned(),
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
            assert_eq!(error.exit, kit::Exit::Usage, "{wrong}");
            assert!(!error.hints.is_empty());
        }
        assert!(read(&["eu-west-2", "eu-west-2"]).is_err());
    }
}
