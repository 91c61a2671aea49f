//! Statements, and what is read back from them.

use super::*;
use crate::provenance::sample;
use expect_test::expect;
use serde_json::Value;

#[test]
fn the_written_form_is_fixed() {
    let json: Value = serde_json::from_str(&sample().to_json()).unwrap();
    expect![[r#"
            {
              "_type": "https://in-toto.io/Statement/v1",
              "subject": [
                {
                  "name": "111111111111.dkr.ecr.eu-west-1.amazonaws.com/storefront",
                  "digest": {
                    "sha256": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                  }
                }
              ],
              "predicateType": "https://slsa.dev/provenance/v1",
              "predicate": {
                "buildDefinition": {
                  "buildType": "https://github.com/slipway-delivery/slipway/blob/main/docs/provenance.md#build-type-1",
                  "externalParameters": {
                    "repository": "https://github.com/acme/storefront",
                    "commit": "cccccccccccccccccccccccccccccccccccccccc",
                    "workflow": {
                      "path": ".github/workflows/deliver.yml",
                      "ref": "refs/heads/main",
                      "event": "push"
                    }
                  },
                  "internalParameters": {
                    "origin": "commit",
                    "contentKey": "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"
                  },
                  "resolvedDependencies": [
                    {
                      "uri": "git+https://github.com/acme/storefront",
                      "digest": {
                        "gitCommit": "cccccccccccccccccccccccccccccccccccccccc",
                        "gitTree": "dddddddddddddddddddddddddddddddddddddddd"
                      }
                    }
                  ]
                },
                "runDetails": {
                  "builder": {
                    "id": "https://github.com/acme/storefront/.github/workflows/deliver.yml@refs/heads/main",
                    "version": {
                      "slipway": "0.1.0"
                    }
                  },
                  "metadata": {
                    "invocationId": "https://github.com/acme/storefront/actions/runs/7/attempts/1",
                    "finishedOn": "2026-11-21T18:00:00Z"
                  }
                }
              }
            }"#]]
    .assert_eq(&serde_json::to_string_pretty(&json).unwrap());
}

#[test]
fn a_statement_is_read_as_it_was_written() {
    let build = "arn:aws:codebuild:eu-west-1:111111111111:build/deliver:0f0f-1".to_owned();
    for builder in [
        sample().builder,
        Builder::CodeBuild { build },
        Builder::Terminal,
    ] {
        let wanted = Provenance {
            builder,
            tree: None,
            content_key: None,
            built_for: Some("b".repeat(40).as_str().into()),
            origin: Origin::SameContent,
            ..sample()
        };
        assert_eq!(Provenance::parse(wanted.to_json().as_bytes()), Ok(wanted));
    }
}

#[test]
fn statements_of_another_type_or_content_are_refused() {
    for (pointer, value, why) in [
        (
            "/_type",
            "https://in-toto.io/Statement/v0.1",
            "statement of",
        ),
        ("/predicateType", "https://slsa.dev/provenance/v0.2", "v0.2"),
        (
            "/predicate/buildDefinition/buildType",
            "https://example.org",
            "build type",
        ),
        ("/subject/0/digest/sha256", "latest", "no digest"),
        (
            "/predicate/buildDefinition/externalParameters/commit",
            "main",
            "cannot be read",
        ),
        (
            "/predicate/runDetails/builder/id",
            "https://github.com/acme/storefront/.github/workflows/x.yml@refs/heads/main",
            "its parameters say",
        ),
    ] {
        let mut json: Value = serde_json::from_str(&sample().to_json()).unwrap();
        *json.pointer_mut(pointer).unwrap() = value.into();
        let error = Provenance::parse(json.to_string().as_bytes()).unwrap_err();
        assert!(error.to_string().contains(why), "{pointer}: {error}");
    }
    let mut two: Value = serde_json::from_str(&sample().to_json()).unwrap();
    let subject = two["subject"][0].clone();
    two["subject"].as_array_mut().unwrap().push(subject);
    assert!(Provenance::parse(two.to_string().as_bytes()).is_err());
    // Members that a newer version adds are ignored, and an unknown origin is `Other`.
    let mut newer: Value = serde_json::from_str(&sample().to_json()).unwrap();
    newer["predicate"]["buildDefinition"]["internalParameters"]["origin"] = "guess".into();
    newer["predicate"]["more"] = 1.into();
    let read = Provenance::parse(newer.to_string().as_bytes()).unwrap();
    assert_eq!(read.origin, Origin::Other);
}
