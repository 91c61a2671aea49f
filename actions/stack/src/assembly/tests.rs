use super::*;
use kit::Exit;
use std::fs;

/// The assembly that aws-cdk-lib synthesised; its folder's README.md says from what.
const SYNTHESISED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/assembly/cdk.out");

fn place(account: &str, region: &str) -> Place {
    Place {
        account: account.parse().unwrap(),
        region: region.parse().unwrap(),
    }
}

fn here() -> Place {
    place("111111111111", "ca-central-1")
}

/// An assembly of one stack, with these changes of its manifest.
fn changed(changes: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut manifest = r#"{"version": "55.0.0", "artifacts": {
        "list": {"type": "cdk:asset-manifest", "properties": {"file": "list.json"}},
        "shop": {"type": "aws:cloudformation:stack", "environment": "aws://unknown-account/unknown-region",
                 "dependencies": ["list"], "properties": {"templateFile": "shop.json"}}}}"#
        .to_owned();
    for (from, to) in changes {
        assert!(manifest.contains(from), "{from}");
        manifest = manifest.replace(from, to);
    }
    fs::write(folder.path().join(MANIFEST), manifest).unwrap();
    fs::write(folder.path().join("shop.json"), "{}").unwrap();
    let list = r#"{"version": "55.0.0", "files": {}, "dockerImages": {}}"#;
    fs::write(folder.path().join("list.json"), list).unwrap();
    folder
}

/// The asset of an assembly of one stack, whose list has this file.
fn asset(file: &str) -> Result<(Vec<assets::Asset>, Vec<assets::Image>)> {
    let folder = changed(&[]);
    fs::write(folder.path().join("a.txt"), "a").unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    let list = format!(r#"{{"version": "55.0.0", "files": {{"f": {file}}}}}"#);
    fs::write(folder.path().join("list.json"), list).unwrap();
    let assembly = Assembly::open(folder.path()).unwrap();
    let stack = assembly.find("shop", &here()).unwrap();
    assets::of(&assembly.root, stack, &here())
}

#[test]
fn the_stacks_of_an_assembly_are_found_with_what_they_need() {
    let assembly = Assembly::open(Path::new(SYNTHESISED)).unwrap();
    let shop = assembly.find("NAME", &here()).unwrap();
    let needs: Vec<&str> = shop.needs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(needs, ["NAME-base"]);
    assert!(shop.properties.termination_protection);
    assert_eq!(shop.properties.tags["team"], "shop");
    let (found, images) = assets::of(&assembly.root, shop, &here()).unwrap();
    let bucket = "cdk-hnb659fds-assets-111111111111-ca-central-1";
    let found: Vec<(&str, bool, bool)> = found
        .iter()
        .map(|it| (it.name.as_str(), it.is_packed, it.bucket == bucket))
        .collect();
    assert_eq!(found, [("Rules", false, true), ("Settings", true, true)]);
    assert!(images.is_empty());
    let image = assembly.find("NAME-image", &here()).unwrap();
    let (found, images) = assets::of(&assembly.root, image, &here()).unwrap();
    assert!(found.is_empty());
    let repository = "cdk-hnb659fds-container-assets-111111111111-ca-central-1";
    assert_eq!(images[0].repository, repository);
    assert_eq!(images[0].tag.len(), 64);
    // The stack of a stage is for one account alone.
    let live = place("999999999999", "eu-west-1");
    assembly.find("live-base", &live).unwrap();
    let error = assembly.find("live-base", &here()).unwrap_err();
    assert_eq!(error.exit(), Exit::Refused);
    let wanted = "is for account 999999999999, region eu-west-1, and not for account 111111111111, region ca-central-1";
    assert!(error.message.ends_with(wanted), "{error}");
    let error = assembly.find("other", &here()).unwrap_err();
    assert!(error.to_string().contains("NAME, NAME-alarms"), "{error}");
}

#[test]
fn a_manifest_that_is_not_understood_is_refused() {
    let kind = "aws:cloudformation:stack";
    for (from, to, message) in [
        ("55.0.0", "56.0.0", "slipway-stack reads up to 55"),
        ("55.0.0", "14.0.0", "reads from 15 on"),
        ("55.0.0", "", "is of schema ``"),
        ("\"55.0.0\"", "55", "is of schema ``"),
        (
            "{\"version\"",
            "[{\"version\"",
            "is not what `cdk synth` writes",
        ),
        (
            "{\"templateFile\": \"shop.json\"}",
            "5",
            "its properties are not as they should be",
        ),
        ("unknown-account/", "", "is not an environment"),
        ("[\"list\"]", "[\"lost\"]", "it depends on `lost`"),
        ("[\"list\"]", "5", "is not what `cdk synth` writes"),
        ("\"list.json\"", "\"../list.json\"", "cannot read"),
        (
            "\"list.json\"",
            "\"/etc/hostname\"",
            "leads out of the cloud assembly",
        ),
        (
            "\"list.json\"",
            "5",
            "its properties are not as they should be",
        ),
    ] {
        let folder = changed(&[(from, to)]);
        let error = Assembly::open(folder.path()).unwrap_err();
        assert!(
            error.to_string().contains(message),
            "{from} → {to}: {error}"
        );
    }
    let itself = r#"{"type": "cdk:cloud-assembly", "properties": {"directoryName": "."}}"#;
    let folder = changed(&[(
        "\"artifacts\": {",
        &format!("\"artifacts\": {{\"x\": {itself}, "),
    )]);
    let error = Assembly::open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("nested deeper than"), "{error}");
    // Two stacks of one name for the same place.
    let twice = format!(
        r#""twin": {{"type": "{kind}", "environment": "aws://111111111111/ca-central-1",
            "properties": {{"templateFile": "shop.json", "stackName": "shop"}}}}, "#
    );
    let folder = changed(&[("\"list\": {", &format!("{twice}\"list\": {{"))]);
    let assembly = Assembly::open(folder.path()).unwrap();
    let error = assembly.find("shop", &here()).unwrap_err();
    assert!(error.message.contains("has several stacks shop"), "{error}");
    let elsewhere = place("222222222222", "ca-central-1");
    assembly.find("shop", &elsewhere).unwrap();
}

#[test]
fn a_stack_that_asks_for_what_no_plan_gives_is_refused() {
    for (from, to, message) in [
        (
            "\"artifacts\"",
            "\"missing\": [{\"key\": \"vpc-provider:1\", \"provider\": \"vpc-provider\", \"props\": {}}], \"artifacts\"",
            "the cloud assembly was made without vpc-provider:1, which `cdk synth` has to look up",
        ),
        (
            "cdk:asset-manifest",
            "cdk:novelty",
            "the stack depends on list (cdk:novelty), of which this step knows nothing",
        ),
        (
            "\"shop.json\"}",
            "\"shop.json\", \"notificationArns\": [\"arn:aws:sns:ca-central-1:111111111111:t\"]}",
            "the app sends the stack's events to topics",
        ),
    ] {
        let folder = changed(&[(from, to)]);
        let assembly = Assembly::open(folder.path()).unwrap();
        let stack = assembly.find("shop", &here()).unwrap();
        let error = crate::chosen::possible(stack).unwrap_err();
        assert!(error.message.starts_with(message), "{error}");
        assert_eq!(error.exit(), Exit::Usage);
    }
}

#[test]
fn an_asset_that_cannot_be_published_is_refused() {
    let file = |source: &str, destination: &str| {
        asset(&format!(
            r#"{{"source": {source}, "destinations": {{"d": {destination}}}}}"#
        ))
    };
    let source = r#"{"path": "a.txt", "packaging": "file"}"#;
    let destination =
        r#"{"bucketName": "b-${AWS::Region}", "objectKey": "k", "region": "${AWS::Region}"}"#;
    let (found, _) = file(source, destination).unwrap();
    assert_eq!(
        (found[0].bucket.as_str(), found[0].name.as_str()),
        ("b-ca-central-1", "f")
    );
    for (source, destination, message) in [
        (
            r#"{"executable": ["make"]}"#,
            destination,
            "a command of the app makes it",
        ),
        (
            r#"{"path": "a.txt", "packaging": "tar"}"#,
            destination,
            "its packaging is `tar`",
        ),
        (
            r#"{"path": "a.txt", "packaging": "zip"}"#,
            destination,
            "is not a folder",
        ),
        (r#"{"path": "folder"}"#, destination, "is not a file"),
        (r#"{"path": "none"}"#, destination, "cannot read"),
        (
            r#"{"path": "/etc/hostname"}"#,
            destination,
            "leads out of the cloud assembly",
        ),
        (
            source,
            r#"{"bucketName": "b", "objectKey": "k", "region": "eu-west-1"}"#,
            "its destination is in eu-west-1",
        ),
        (
            source,
            r#"{"bucketName": "b-${Q}", "objectKey": "k"}"#,
            "`b-${Q}` has a placeholder",
        ),
        (
            source,
            r#"{"bucketName": "b"}"#,
            "is not what `cdk synth` writes",
        ),
        ("5", destination, "is not what `cdk synth` writes"),
    ] {
        let error = file(source, destination).unwrap_err();
        assert!(
            error.to_string().contains(message),
            "{source} {destination}: {error}"
        );
    }
}
