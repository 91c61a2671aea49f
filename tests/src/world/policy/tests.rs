use super::*;

fn subjects(role: &Role) -> Vec<String> {
    let condition = &role.trust["Statement"][0]["Condition"]["StringEquals"];
    serde_json::from_value(condition[format!("{GITHUB_ISSUER}:sub")].clone()).unwrap()
}

#[test]
fn a_deploy_role_trusts_the_environment_and_its_infrastructure() {
    let world = World::named("w1", "127.1.2.3:4002");
    for each in &world.environments {
        let roles = environment(&world, each);
        let role = roles.iter().find(|role| role.name == "slipway-deploy");
        let own = format!("repo:acme-w1/storefront:environment:{}", each.name);
        let code = format!("{own}-infrastructure");
        assert_eq!(subjects(role.unwrap()), [own, code]);
    }
}

#[test]
fn none_but_the_role_that_publishes_trusts_the_branch() {
    let world = World::named("w1", "127.1.2.3:4002");
    let all = world.environments.iter();
    let all = all.flat_map(|each| environment(&world, each));
    for role in build(&world).into_iter().chain(all) {
        let branch = role.trust.to_string().contains(":ref:refs/heads/main");
        assert_eq!(branch, role.name == "slipway-publish", "{}", role.name);
    }
}

#[test]
fn only_without_a_gate_the_deploy_role_updates_the_service_by_itself() {
    let world = World::named("w1", "127.1.2.3:4002");
    for (index, each) in world.environments.iter().enumerate() {
        let roles = environment(&world, each);
        let role = roles.iter().find(|role| role.name == "slipway-deploy");
        let statements = role.unwrap().permissions["Statement"].as_array().unwrap();
        let updates = |statement: &&Value| {
            let actions = statement["Action"].to_string();
            actions.contains("ecs:UpdateService") && statement["Condition"].is_null()
        };
        let free = statements.iter().filter(updates).count();
        assert_eq!(free, usize::from(index == 0), "{}", each.name);
    }
}

#[test]
fn only_the_permit_role_of_an_environment_tags_a_session_of_its_deploy_role() {
    let world = World::named("w1", "127.1.2.3:4002");
    for (index, each) in world.environments.iter().enumerate() {
        let roles = environment(&world, each);
        let role = roles.iter().find(|role| role.name == "slipway-deploy");
        let statements = role.unwrap().trust["Statement"].as_array().unwrap();
        let tags: Vec<&Value> = statements
            .iter()
            .filter(|statement| statement["Action"].to_string().contains("TagSession"))
            .map(|statement| &statement["Principal"]["AWS"])
            .collect();
        let own = format!(
            "arn:aws:iam::{}:role/{}",
            world.build.id,
            permit(&each.name)
        );
        let wanted: &[Value] = if index == 0 { &[] } else { &[json!(own)] };
        assert!(tags.iter().copied().eq(wanted), "{}: {tags:?}", each.name);
    }
}

/// Another partition's policies are made by replacing one prefix (docs/getting-started.md).
#[test]
fn all_arns_of_the_documented_policies_have_the_one_replaceable_prefix() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/policies");
    let mut arns = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            // `sed` replaces the first of a line.
            let found: Vec<&str> = line.split("arn:").skip(1).collect();
            assert!(found.len() <= 1, "{}: {line}", path.display());
            assert!(
                found.iter().all(|arn| arn.starts_with("aws:")),
                "{}: {line}",
                path.display()
            );
            arns += found.len();
        }
    }
    assert!(arns > 50, "{arns}");
}

/// A stage that runs the repository's code reaches neither a permit nor the role that publishes.
#[test]
fn infrastructure_is_trusted_by_the_roles_of_its_environment_alone() {
    let world = World::named("w1", "127.1.2.3:4002");
    let roles = build(&world);
    for each in &world.environments {
        let name = codebuild(&infrastructure(&each.name));
        let stage = roles.iter().find(|role| role.name == name).unwrap();
        let may = stage.permissions["Statement"][0]["Resource"].to_string();
        assert!(!may.contains(&world.build.id), "{may}");
        for role in &roles {
            let trusted = role.trust.to_string();
            let code = infrastructure(&each.name);
            assert!(!trusted.contains(&code), "{} trusts {code}", role.name);
        }
    }
}

/// Also where it may read the ledger.
#[test]
fn infrastructure_of_permitted_plans_may_assume_one_role_more() {
    let world = World::named("w1", "127.1.2.3:4002");
    let staging = &world.environments[1];
    let (permission, trust) = infrastructure_reads_ledger(&world, staging);
    let read = format!("arn:aws:iam::{}:role/slipway-read", world.build.id);
    assert_eq!(permission["Statement"][0]["Resource"], json!([read]));
    assert_eq!(permission["Statement"].as_array().unwrap().len(), 1);
    let trusted = trust.to_string();
    let codes = trusted.matches("-infrastructure").count();
    assert_eq!(codes, 2, "a job and a stage, of one environment: {trusted}");
}

#[test]
fn every_documented_policy_is_filled_in() {
    let world = World::named("w1", "127.1.2.3:4002");
    let all = world.environments.iter();
    let all = all.flat_map(|each| environment(&world, each));
    for role in build(&world).into_iter().chain(all) {
        let text = role.permissions.to_string();
        let capitals = |word: &str| {
            word.len() > 3 && !word.contains(|c: char| !c.is_ascii_uppercase() && c != '_')
        };
        let placeholder = text
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .find(|word| capitals(word));
        assert_eq!(placeholder, None, "{}", role.name);
        assert!(role.permissions["Statement"].is_array(), "{}", role.name);
    }
}

#[test]
fn the_publish_role_adds_only_content_notes_to_the_ledger() {
    let world = World::named("w1", "127.1.2.3:4002");
    let publish = build(&world).swap_remove(0);
    assert_eq!(publish.name, "slipway-publish");
    let statements = publish.permissions["Statement"].as_array().unwrap().clone();
    let adds = writes(&statements);
    let [one] = adds.as_slice() else {
        panic!("{adds:?}");
    };
    assert_eq!(one["Action"], json!(["dynamodb:PutItem"]));
    let lists = &one["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"];
    assert_eq!(*lists, json!(["content#*"]));
}

/// The statements that allow a change of a table.
fn writes(statements: &[Value]) -> Vec<&Value> {
    let writes = |statement: &&Value| {
        statement["Action"]
            .to_string()
            .contains("\"dynamodb:PutItem\"")
    };
    statements.iter().filter(writes).collect()
}

#[test]
fn a_permit_role_adds_to_the_chain_of_its_environment_and_trusts_that_environments_jobs_alone() {
    let world = World::named("w1", "127.1.2.3:4002");
    let roles = build(&world);
    for each in &world.environments {
        let role = roles
            .iter()
            .find(|role| role.name == permit(&each.name))
            .unwrap();
        let statements = role.permissions["Statement"].as_array().unwrap();
        let [one] = writes(statements)[..] else {
            panic!("{statements:?}");
        };
        let lists = &one["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"];
        assert_eq!(*lists, json!([format!("storefront#{}", each.name)]));
        let other = |subject: &String| {
            world.environments.iter().any(|other| {
                other.name != each.name
                    && subject.ends_with(&format!(":environment:{}", other.name))
            })
        };
        assert!(!subjects(role).iter().any(other), "{}", role.name);
    }
}

#[test]
fn the_application_role_may_do_nothing_and_nobody_may_rewrite_the_ledger() {
    let world = World::named("w1", "127.1.2.3:4002");
    let task = environment(&world, &world.environments[0]).pop().unwrap();
    assert_eq!(task.permissions["Statement"], json!([]));
    for role in build(&world) {
        let text = role.permissions.to_string();
        assert!(
            !text.contains("DeleteItem") && !text.contains("UpdateItem"),
            "{}",
            role.name
        );
    }
}
