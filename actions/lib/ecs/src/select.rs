//! The containers of a task definition that run the image: all of the same repository, unless they are named.

use crate::definition::Definition;
use crate::image::{repository_of, same_repository};
use kit::error::{Error, Result};

/// The containers that run one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Their names, in the order of the definition.
    pub containers: Vec<String>,
    /// Others of the same repository, which were left out because others were named.
    pub left_out: Vec<String>,
}

/// The containers that run the image of `repository`.
///
/// Those that `named` names and no others. Else the one that `usual` names, or the only one there is, and with it every
/// container that runs from the same repository, so that none of them is left behind on an old image. `running` is what
/// runs now: a newer definition may hold a placeholder in place of an image.
///
/// # Errors
/// A name that is not there, or several containers and nothing to choose by (exit 2).
pub fn containers(
    named: &[String],
    usual: Option<&str>,
    repository: Option<&str>,
    base: &Definition,
    running: &Definition,
) -> Result<Selection> {
    let there = base.containers();
    let list = || format!("{} has: {}", base.arn.name(), there.join(", "));
    // The usual one is not asked for where containers are named.
    let usual = usual.filter(|_| named.is_empty());
    for name in named.iter().map(String::as_str).chain(usual) {
        if !there.iter().any(|container| container == name) {
            return Err(
                Error::usage(format!("the task definition has no container {name}")).hint(list()),
            );
        }
    }
    let current = |name: &str| {
        let image = running.image(name).or_else(|| base.image(name));
        repository_of(&image.unwrap_or_default()).to_owned()
    };
    let first = named
        .first()
        .map(String::as_str)
        .or(usual)
        .or(match there.as_slice() {
            [only] => Some(only.as_str()),
            _ => None,
        });
    let wanted = match (repository, first) {
        (Some(repository), _) => repository.to_owned(),
        (None, Some(first)) => current(first),
        (None, None) => there.first().map(|name| current(name)).unwrap_or_default(),
    };
    let same: Vec<String> = there
        .iter()
        .filter(|name| same_repository(&current(name), &wanted))
        .cloned()
        .collect();
    if !named.is_empty() {
        let (containers, remaining): (Vec<String>, Vec<String>) =
            there.into_iter().partition(|name| named.contains(name));
        return Ok(Selection {
            containers,
            left_out: remaining
                .into_iter()
                .filter(|name| same.contains(name))
                .collect(),
        });
    }
    let containers: Vec<String> = there
        .iter()
        .filter(|name| Some(name.as_str()) == first || same.contains(name))
        .cloned()
        .collect();
    let ambiguous = first.is_none() && repository.is_none() && containers.len() < there.len();
    if containers.is_empty() || ambiguous {
        return Err(
            Error::usage("--container is missing and the task definition has several").hint(list()),
        );
    }
    Ok(Selection {
        containers,
        left_out: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::Exit;

    fn definition(containers: &[(&str, &str)]) -> Definition {
        let containers: Vec<_> = containers
            .iter()
            .map(|(name, image)| serde_json::json!({"name": name, "image": image}))
            .collect();
        let body = serde_json::json!({"taskDefinition": {
            "taskDefinitionArn": "arn:aws:ecs:eu-west-1:111111111111:task-definition/web:7", "family": "web",
            "containerDefinitions": containers,
        }});
        Definition::parse(body.to_string().as_bytes()).unwrap()
    }

    fn pair() -> Definition {
        definition(&[
            ("web", "a.example/shop:1"),
            ("log", "nginx:1"),
            ("worker", "a.example/shop:1"),
        ])
    }

    fn apart() -> Definition {
        definition(&[("web", "x"), ("log", "y")])
    }

    const SHOP: Option<&str> = Some("a.example/shop");

    #[test]
    fn selects_every_container_of_the_images_repository() {
        let pair = pair();
        let replica = definition(&[("web", "b.example/shop:1"), ("worker", "a.example/shop:1")]);
        let alone = definition(&[("web", "x")]);
        let fresh = definition(&[
            ("web", "nginx:2"),
            ("log", "nginx:1"),
            ("worker", "busybox"),
        ]);
        let twins = definition(&[("web", "x:1"), ("worker", "x:2")]);
        let both = &["web", "worker"][..];
        for (usual, repository, base, running, chosen) in [
            (None, None, &alone, &alone, &["web"][..]),
            (None, None, &twins, &twins, both),
            // A placeholder that runs alone makes room for the image of another repository.
            (None, SHOP, &alone, &alone, &["web"]),
            (Some("web"), None, &pair, &pair, both),
            (Some("web"), SHOP, &pair, &pair, both),
            (None, SHOP, &pair, &pair, both),
            (Some("web"), None, &replica, &replica, both),
            (Some("log"), None, &apart(), &apart(), &["log"]),
            // Infrastructure registers placeholders; what runs says which containers belong together.
            (Some("web"), SHOP, &fresh, &pair, both),
        ] {
            let found = containers(&[], usual, repository, base, running).unwrap();
            assert_eq!(found.containers, chosen, "{usual:?} {repository:?}");
            assert!(found.left_out.is_empty(), "{usual:?} {repository:?}");
        }
    }

    #[test]
    fn selects_only_the_containers_that_are_named() {
        for (named, usual, definition, chosen, left_out) in [
            (&["web"][..], None, pair(), &["web"][..], &["worker"][..]),
            (&["worker", "web"], None, pair(), &["web", "worker"], &[]),
            (&["log"], Some("gone"), apart(), &["log"], &[]),
        ] {
            let named: Vec<String> = named.iter().map(|name| (*name).to_owned()).collect();
            let found = containers(&named, usual, None, &definition, &definition).unwrap();
            assert_eq!(found.containers, chosen, "{named:?}");
            assert_eq!(found.left_out, left_out, "{named:?}");
        }
    }

    #[test]
    fn refuses_a_missing_container_and_an_ambiguous_choice() {
        let apart = apart();
        for (named, usual, repository) in [
            (vec!["api".to_owned()], None, None),
            (vec![], Some("api"), None),
            (vec![], None, None),
            (vec![], None, Some("a.example/other")),
        ] {
            let error = containers(&named, usual, repository, &apart, &apart).unwrap_err();
            assert_eq!(error.exit(), Exit::Usage);
            assert_eq!(error.hints, ["web:7 has: web, log"]);
        }
    }
}
