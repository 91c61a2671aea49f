//! The permissions of a job's token: `permissions:` of the job, else of its workflow, else the restricted default.

use std::collections::BTreeMap;

use serde_json::Value;

/// How far a permission goes; each level holds the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Access {
    None,
    Read,
    Write,
}

impl Access {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// The scopes of GitHub's workflow syntax.
const SCOPES: &[&str] = &[
    "actions",
    "artifact-metadata",
    "attestations",
    "checks",
    "contents",
    "deployments",
    "discussions",
    "id-token",
    "issues",
    "models",
    "packages",
    "pages",
    "pull-requests",
    "repository-projects",
    "security-events",
    "statuses",
];

/// A complete set: what is not in it is `none`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Permissions(BTreeMap<String, Access>);

impl Permissions {
    /// The restricted default of GitHub's settings: contents and packages, read only.
    pub(crate) fn restricted() -> Self {
        Self(
            ["contents", "packages"]
                .into_iter()
                .map(|scope| (scope.to_owned(), Access::Read))
                .collect(),
        )
    }

    /// Reads a `permissions:` value; `null` is what `permissions:` without a value gives.
    pub(crate) fn parse(value: &Value) -> Result<Self, String> {
        let every = |access: Access| {
            let level = |scope: &str| match scope {
                // An identity token can be requested or not; there is no reading it.
                "id-token" if access == Access::Read => Access::None,
                "models" if access == Access::Write => Access::Read,
                _ => access,
            };
            Self(
                SCOPES
                    .iter()
                    .map(|scope| ((*scope).to_owned(), level(scope)))
                    .collect(),
            )
        };
        match value {
            Value::Null => Ok(Self(BTreeMap::new())),
            Value::String(word) if word == "read-all" => Ok(every(Access::Read)),
            Value::String(word) if word == "write-all" => Ok(every(Access::Write)),
            Value::Object(fields) => fields
                .iter()
                .map(parse_entry)
                .collect::<Result<_, _>>()
                .map(Self),
            other => Err(format!(
                "permissions: {other} is neither a mapping, read-all nor write-all"
            )),
        }
    }

    pub(crate) fn of(&self, scope: &str) -> Access {
        // Every token may read the repository's metadata.
        if scope == "metadata" {
            Access::Read
        } else {
            self.0.get(scope).copied().unwrap_or(Access::None)
        }
    }

    /// The first scope in which `self` asks for more than `allowed` gives.
    pub(crate) fn exceeds(&self, allowed: &Self) -> Option<(String, Access, Access)> {
        self.0
            .iter()
            .find(|(scope, access)| **access > allowed.of(scope))
            .map(|(scope, access)| (scope.clone(), *access, allowed.of(scope)))
    }
}

fn parse_entry((scope, access): (&String, &Value)) -> Result<(String, Access), String> {
    if !SCOPES.contains(&scope.as_str()) {
        return Err(format!("permissions: unexpected value '{scope}'"));
    }
    let access = match access.as_str() {
        Some("none") => Access::None,
        Some("read") if scope != "id-token" => Access::Read,
        Some("write") if scope != "models" => Access::Write,
        _ => {
            return Err(format!(
                "permissions: unexpected value {access} for '{scope}'"
            ));
        }
    };
    Ok((scope.clone(), access))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unlisted_permissions_are_none_once_any_is_listed() {
        let some = Permissions::parse(&json!({"contents": "read"})).unwrap();
        assert_eq!(some.of("contents"), Access::Read);
        assert_eq!(some.of("packages"), Access::None);
        assert_eq!(Permissions::restricted().of("packages"), Access::Read);
        assert_eq!(
            Permissions::parse(&json!({})).unwrap().of("metadata"),
            Access::Read
        );
        assert_eq!(
            Permissions::parse(&json!("write-all"))
                .unwrap()
                .of("id-token"),
            Access::Write
        );
        assert_eq!(
            Permissions::parse(&json!("read-all"))
                .unwrap()
                .of("id-token"),
            Access::None
        );
    }

    #[test]
    fn unknown_scopes_and_levels_are_refused() {
        for bad in [
            json!({"content": "read"}),
            json!({"id-token": "read"}),
            json!({"contents": true}),
            json!("all"),
        ] {
            assert!(Permissions::parse(&bad).is_err(), "{bad}");
        }
    }
}
