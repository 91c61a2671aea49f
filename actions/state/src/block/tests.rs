//! Blocks as people write them.

use super::*;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// The block as `KIND name=value:LINE …`.
fn shown(files: &[(&str, &str)], tofu: bool) -> String {
    let folder = folder(files);
    match declared(folder.path(), tofu).unwrap() {
        Declared::NoCode => "no code".to_owned(),
        Declared::NoBackend => "no backend".to_owned(),
        Declared::Block(block) => {
            let mut shown = block.kind;
            for (name, setting) in block.settings {
                let value = match setting.value {
                    Value::Literal(text) => text,
                    Value::Null => "null".to_owned(),
                    Value::Expression => "?".to_owned(),
                };
                shown.push_str(&format!(" {name}={value}:{}", setting.line));
            }
            shown
        }
    }
}

#[test]
fn the_block_is_found_wherever_terraform_finds_it() {
    let main = "terraform {\n  backend \"s3\" {\n    key = \"a\"\n  }\n}\n";
    for (files, wanted) in [
        (&[("main.tf", main)][..], "s3 key=a:3"),
        (&[("main.tofu", main)], "no code"),
        (&[("README.md", main), (".hidden.tf", main)], "no code"),
        (&[("main.tf", "terraform {}\n")], "no backend"),
        (&[("main.tf", "terraform { backend \"s3\" {} }")], "s3"),
        (
            &[("main.tf", "terraform{backend \"s3\"{key=\"a\"}}")],
            "s3 key=a:1",
        ),
        (
            &[("main.tf", "terraform {\n backend s3 {\n key = \"a\" } }")],
            "s3 key=a:3",
        ),
        (&[("main.tf", "terraform {\n  cloud {\n  }\n}")], "cloud"),
        (
            &[
                ("main.tf", main),
                ("a_override.tf", "terraform {\n backend \"local\" {}\n}"),
            ],
            "local",
        ),
        (
            &[
                ("override.tf", "terraform {\n backend \"local\" {}\n}"),
                ("z.tf", main),
            ],
            "local",
        ),
        (
            &[(
                "main.tf.json",
                r#"{"terraform": {"backend": {"s3": {"key": "a", "use_lockfile": true}}}}"#,
            )],
            "s3 key=a:1 use_lockfile=true:1",
        ),
        (
            &[(
                "main.tf.json",
                "{\"terraform\": [{\"backend\": [{\"s3\":\n{\"key\": \"${x}\"}}]}]}",
            )],
            "s3 key=?:2",
        ),
    ] {
        assert_eq!(shown(files, false), wanted, "{files:?}");
    }
    assert_eq!(
        shown(&[("main.tofu", main), ("main.tf", "")], true),
        "s3 key=a:3"
    );
}

#[test]
fn a_block_in_a_comment_a_string_or_another_block_does_not_count() {
    for text in [
        "# terraform { backend \"s3\" {} }\n",
        "/* terraform {\n backend \"s3\" {} } */",
        "resource \"a\" \"b\" {\n terraform {\n backend \"s3\" {} } }",
        "locals {\n x = <<-EOT\n  terraform { backend \"s3\" {} }\n  EOT\n}",
        "locals { x = \"${y(\"}\")} terraform { backend \\\"s3\\\" {} }\" }\n",
    ] {
        assert_eq!(shown(&[("main.tf", text)], false), "no backend", "{text}");
    }
}

#[test]
fn values_are_read_as_they_are_written() {
    let main = r#"
terraform {
  required_version = ">= 1" # { "
  backend "s3" {
    bucket         = "a\"b\u00e9$${c}"   // "
    "key"          = "r&d;\\(x) y/{z}"
    dynamodb_table = var.table
    region         = "${x}"
    use_lockfile   = true
    max_retries    = 5
    profile        = null
    endpoints = {
      s3 = "https://x"
    }
    kms_key_id     = <<EOT
key = "other"
EOT
    encrypt = false
  }
  required_providers { aws = { source = "hashicorp/aws" } }
}
"#;
    assert_eq!(
        shown(&[("main.tf", main)], false),
        "s3 bucket=a\"bé${c}:5 dynamodb_table=?:7 encrypt=false:18 endpoints=?:12 \
             key=r&d;\\(x) y/{z}:6 kms_key_id=?:15 max_retries=5:10 profile=null:11 region=?:8 use_lockfile=true:9"
    );
    let folder = folder(&[
        (
            "a.hcl",
            "key = \"k\"\nassume_role = {\n key = \"x\"\n}\nbucket=\"b\"",
        ),
        ("a.json", "{\"key\": \"k\"}"),
    ]);
    let names = |name: &str| {
        let found = file(&folder.path().join(name)).unwrap();
        found.into_keys().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names("a.hcl"), "assume_role bucket key");
    assert_eq!(names("a.json"), "key");
    assert!(file(&folder.path().join("gone")).is_err());
}

#[test]
fn whatever_is_cut_off_or_changed_is_read_without_a_panic() {
    let text = "terraform {\n backend \"s3\" {\n key = \"a${b(\"c\")}d\"\n x = <<E\nE\n }\n}";
    for cut in 0..text.len() {
        hcl::blocks(&text[..cut], Path::new("x"));
    }
}
