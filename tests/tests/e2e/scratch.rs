//! Every shipped binary where nothing else is: no loader, no shell, no certificates, no name service configuration.
//! It prints its help there, finds a host through DNS, and speaks TLS with it. No endpoint is overridden: the names are
//! those of AWS and GitHub, and only the name server and the one trusted authority are the test's own.

mod hosts;
mod launched;
mod names;
mod room;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::OnceLock;

use hosts::{Authority, Event, Hosts, Request};
use names::NameServer;
use room::{Ended, Room};
use rustls::AlertDescription;
use sandbox::dist::{self, Binary};
use sandbox::fault::Result;

use crate::support::instance;

const STS: &str = "sts.ca-central-1.amazonaws.com";
const DYNAMODB: &str = "dynamodb.ca-central-1.amazonaws.com";
const ECR: &str = "api.ecr.ca-central-1.amazonaws.com";
const ECS: &str = "ecs.ca-central-1.amazonaws.com";
const SSM: &str = "ssm.ca-central-1.amazonaws.com";
const CLOUDFORMATION: &str = "cloudformation.ca-central-1.amazonaws.com";
const GITHUB: &str = "api.github.com";
const HOSTS: &[&str] = &[STS, DYNAMODB, ECR, ECS, SSM, CLOUDFORMATION, GITHUB];

const ARN: &str = "arn:aws:sts::210987654321:assumed-role/deploy/scratch";
const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// AWS's own example credentials, in the form of temporary ones.
const CREDENTIALS: [(&str, &str); 4] = [
    ("AWS_ACCESS_KEY_ID", "ASIAIOSFODNN7EXAMPLE"),
    (
        "AWS_SECRET_ACCESS_KEY",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    ),
    ("AWS_SESSION_TOKEN", "scratch"),
    ("AWS_REGION", "ca-central-1"),
];

/// How often a binary at most asks a host that it does not trust before it gives up.
const ATTEMPTS: usize = 6;

/// Where a run finds the certificate it is to trust.
const BUNDLE: &str = "/authority.pem";

/// One way to start a binary that makes it call somebody.
struct Call {
    arguments: &'static [&'static str],
    variables: &'static [(&'static str, &'static str)],
    /// Whom it calls.
    hosts: &'static [&'static str],
    code: i32,
    /// Output that it can only have from the last host's answer.
    says: &'static str,
    /// How it ends when it trusts nobody there.
    distrustful: i32,
}

#[test]
fn contract_prints_its_schema_and_calls_nobody() {
    let scene = Scene::of("slipway-contract");
    let ended = scene.room.run(&["schema"], &CREDENTIALS, &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let schema: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert!(schema["properties"]["service"].is_object(), "{schema}");
    assert_eq!(scene.names.asked(), [""; 0]);
    assert_eq!(scene.hosts.events(), []);
}

#[test]
fn identity_asks_sts_whose_credentials_it_has() {
    Scene::of("slipway-identity").try_out(&Call {
        arguments: &["check"],
        variables: &[],
        hosts: &[STS],
        code: 0,
        says: ARN,
        distrustful: 1,
    });
}

#[test]
fn secrets_passes_a_parameter_to_a_command() {
    Scene::of("slipway-secrets").try_out(&Call {
        // The only command there is in the room is the binary itself.
        arguments: &[
            "exec",
            "--source",
            "TOKEN=ssm:/storefront/token",
            "--",
            "/slipway-secrets",
            "--version",
        ],
        variables: &[],
        hosts: &[STS, SSM],
        code: 0,
        says: concat!("slipway-secrets ", env!("CARGO_PKG_VERSION")),
        distrustful: 1,
    });
}

#[test]
fn image_learns_from_ecr_that_the_repository_is_missing() {
    Scene::of("slipway-image").try_out(&Call {
        arguments: &["repository", "--repository", "acme/storefront", "--dry-run"],
        variables: &[],
        hosts: &[STS, ECR],
        code: 0,
        says: "1 change to make",
        distrustful: 1,
    });
}

#[test]
fn state_learns_from_dynamodb_that_the_lock_is_free() {
    Scene::of("slipway-state").try_out(&Call {
        arguments: &["status", "--bucket", "b", "--table", "t", "--key", "k"],
        variables: &[],
        hosts: &[STS, DYNAMODB],
        code: 0,
        says: "b/k is free",
        distrustful: 1,
    });
}

#[test]
fn service_learns_from_ecs_that_the_cluster_is_missing() {
    Scene::of("slipway-service").try_out(&Call {
        arguments: &["status", "--cluster", "quay", "--service", "storefront"],
        variables: &[],
        hosts: &[STS, ECS],
        code: 1,
        says: "there is no cluster arn:aws:ecs:ca-central-1:210987654321:cluster/quay",
        distrustful: 1,
    });
}

#[test]
fn stack_learns_from_cloudformation_that_the_stack_is_missing() {
    Scene::of("slipway-stack").try_out(&Call {
        arguments: &["status", "--name", "quay"],
        variables: &[],
        hosts: &[STS, CLOUDFORMATION],
        code: 1,
        says: "there is no stack quay in account 210987654321, region ca-central-1",
        distrustful: 1,
    });
}

#[test]
fn promote_reads_answers_of_dynamodb_and_github() {
    let scene = Scene::of("slipway-promote");
    scene.try_out(&Call {
        arguments: &[
            "status",
            "--ledger-service",
            "storefront",
            "--ledger",
            "ledger",
            "--environment",
            "dev",
        ],
        variables: &[],
        hosts: &[STS, DYNAMODB],
        code: 0,
        says: "nothing recorded",
        distrustful: 1,
    });
    scene.try_out(&Call {
        arguments: &[
            "check",
            "--ledger-service",
            "storefront",
            "--ledger",
            "ledger",
            "--environment",
            "dev",
            "--digest",
            DIGEST,
            "--github-repository",
            "acme/storefront",
        ],
        variables: &[
            (
                "CODEBUILD_BUILD_ARN",
                "arn:aws:codebuild:ca-central-1:210987654321:build/storefront:1",
            ),
            ("CODEBUILD_RESOLVED_SOURCE_VERSION", COMMIT),
            ("GITHUB_TOKEN", "scratch"),
        ],
        hosts: &[STS, DYNAMODB, GITHUB],
        code: 3,
        says: "this token may not look",
        distrustful: 1,
    });
}

#[test]
fn no_binary_is_left_out() {
    let names: Vec<&str> = binaries()
        .iter()
        .map(|binary| binary.name.as_str())
        .collect();
    let tried = [
        "slipway-contract",
        "slipway-identity",
        "slipway-image",
        "slipway-promote",
        "slipway-secrets",
        "slipway-service",
        "slipway-stack",
        "slipway-state",
    ];
    assert_eq!(names, tried, "each binary needs a test of its own above");
}

/// A binary in its room, which has printed its help, and what is around it.
struct Scene {
    room: Room,
    names: NameServer,
    hosts: Hosts,
    authority: Authority,
}

impl Scene {
    fn of(name: &str) -> Self {
        let binary = binaries().iter().find(|binary| binary.name == name);
        let room = Room::of(binary.unwrap(), instance());
        let authority = Authority::of(HOSTS);
        let scene = Self {
            names: NameServer::start(room.gateway, HOSTS),
            hosts: Hosts::start(room.gateway, &authority, |request| answer(request).into()),
            room,
            authority,
        };
        let help = scene.room.run(&["--help"], &[], &[]);
        assert_eq!((help.code, help.err.as_str()), (Some(0), ""), "{help:?}");
        assert!(help.out.contains(&format!("Usage: {name} ")), "{help:?}");
        scene
    }

    /// The call with the authority's certificate, and then without it.
    fn try_out(&self, call: &Call) {
        let bundle = self.authority.certificate();
        let ended = self.run(call, Some(&bundle));
        assert_eq!(ended.code, Some(call.code), "{ended:?}");
        assert!(printed(&ended, call.says), "{ended:?}");
        self.asked_for(call.hosts);
        let events = self.hosts.events();
        for host in call.hosts {
            let answered = Event::Answered((*host).to_owned());
            assert!(events.contains(&answered), "{host}: {events:?}");
        }
        assert!(
            events
                .iter()
                .all(|event| matches!(event, Event::Answered(_))),
            "{events:?}"
        );

        // Nothing but the bundled roots is left, and they do not know the authority.
        let ended = self.run(call, None);
        assert_eq!(ended.code, Some(call.distrustful), "{ended:?}");
        assert!(printed(&ended, "certificate"), "{ended:?}");
        assert!(printed(&ended, "AWS_CA_BUNDLE"), "{ended:?}");
        self.asked_for(&call.hosts[..1]);
        let events = self.hosts.events();
        let refused = Event::Refused(call.hosts[0].to_owned(), AlertDescription::UnknownCA);
        assert!(
            !events.is_empty() && events.iter().all(|event| *event == refused),
            "{events:?}"
        );
        assert!(events.len() <= ATTEMPTS, "{events:?}");
    }

    /// A bundle is one more file, named by AWS_CA_BUNDLE.
    fn run(&self, call: &Call, bundle: Option<&Path>) -> Ended {
        let mut variables = [&CREDENTIALS, call.variables].concat();
        let volumes: Vec<(&Path, &str)> = bundle.map(|file| (file, BUNDLE)).into_iter().collect();
        if bundle.is_some() {
            variables.push(("AWS_CA_BUNDLE", BUNDLE));
        }
        self.room.run(call.arguments, &variables, &volumes)
    }

    fn asked_for(&self, hosts: &[&str]) {
        let asked = self.names.asked();
        let asked: BTreeSet<&str> = asked.iter().map(String::as_str).collect();
        assert_eq!(asked, hosts.iter().copied().collect());
    }
}

fn printed(ended: &Ended, text: &str) -> bool {
    ended.out.contains(text) || ended.err.contains(text)
}

/// Status, content type, body.
type Answer = (u16, &'static str, String);

/// The answers of AWS and GitHub, in these shapes: the query protocol and JSON 1.0 and 1.1 of AWS, and GitHub's REST errors.
fn answer(request: &Request) -> Answer {
    let json = "application/x-amz-json-1.1";
    let target = request
        .head
        .lines()
        .find_map(|line| line.strip_prefix("x-amz-target: "));
    match (request.host.as_str(), target.unwrap_or_default()) {
        (STS, _) if request.body.contains("Action=GetCallerIdentity") => (
            200,
            "text/xml",
            format!(
                "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
                 <Arn>{ARN}</Arn><UserId>AROASCRATCH:scratch</UserId><Account>210987654321</Account>\
                 </GetCallerIdentityResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
            ),
        ),
        (SSM, "amazonssm.getparameters") => (
            200,
            json,
            r#"{"Parameters":[{"Name":"/storefront/token","Type":"SecureString","Value":"from SSM","Version":1}]}"#.to_owned(),
        ),
        (ECR, "amazonec2containerregistry_v20150921.describerepositories") => (
            400,
            json,
            r#"{"__type":"RepositoryNotFoundException","message":"no such repository"}"#.to_owned(),
        ),
        (ECS, "amazonec2containerservicev20141113.describeservices") => (
            400,
            json,
            r#"{"__type":"ClusterNotFoundException","message":"nobody knows this cluster"}"#.to_owned(),
        ),
        (CLOUDFORMATION, _) if request.body.contains("Action=DescribeStacks") => (
            400,
            "text/xml",
            "<ErrorResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\"><Error><Type>Sender</Type>\
             <Code>ValidationError</Code><Message>Stack with id quay does not exist</Message></Error>\
             <RequestId>1</RequestId></ErrorResponse>"
                .to_owned(),
        ),
        (DYNAMODB, "dynamodb_20120810.getitem") => (200, json, "{}".to_owned()),
        (DYNAMODB, "dynamodb_20120810.query") => {
            (200, json, r#"{"Items":[],"Count":0,"ScannedCount":0}"#.to_owned())
        }
        (GITHUB, _)
            if request.line.starts_with("GET /repos/acme/storefront/")
                || request.line == "POST /graphql" =>
        (
            403,
            "application/json",
            r#"{"message":"this token may not look"}"#.to_owned(),
        ),
        (host, target) => panic!("nobody answers {host} {} {target}", request.line),
    }
}

/// Built once for all tests.
fn binaries() -> &'static [Binary] {
    static BINARIES: OnceLock<Result<Vec<Binary>>> = OnceLock::new();
    let built = BINARIES.get_or_init(|| dist::tested(instance()));
    built.as_ref().unwrap()
}
