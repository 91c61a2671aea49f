//! Folders of infrastructure code, and what they bring.

use super::since::new;
use super::*;
use std::process::Command;

const COMMIT: &str = "1111111111111111111111111111111111111111";

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), files);
    folder
}

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text.replace("{C}", COMMIT)).unwrap();
    }
}

fn call(name: &str, source: &str) -> String {
    format!("module \"{name}\" {{\n  source = \"{source}\"\n}}\n")
}

fn lock(provider: &str, version: &str, hash: &str) -> String {
    format!(
        "provider \"registry.terraform.io/{provider}\" {{\n  version = \"{version}\"\n  hashes = [\n    \"{hash}\",\n  ]\n}}\n"
    )
}

fn faults(folder: &Path) -> Vec<String> {
    let data = folder.join(".terraform");
    Rule::excepting(&[]).faults(&installed(folder, &data, false).unwrap())
}

#[test]
fn modules_are_followed_through_the_folders_of_the_code() {
    let folder = folder(&[
        ("infra/main.tf", &call("near", "../shared/near")),
        ("infra/unused/main.tf", &call("unused", "acme/unused/aws")),
        ("shared/near/main.tf", &call("far", "github.com/acme/far")),
        ("shared/near/x.tf", "resource \"null_resource\" \"x\" {}\n"),
    ]);
    let infra = folder.path().join("infra");
    let top = folder.path().display();
    assert_eq!(
        faults(&infra),
        [
            format!(
                "module `near.far` ({top}/shared/near/main.tf:1): github.com/acme/far names no commit: append `?ref=` and its 40 digits"
            ),
            format!(
                "provider hashicorp/null ({top}/shared/near/x.tf:1) is not locked, because there is no .terraform.lock.hcl"
            ),
        ]
    );
    // Unknown refuses.
    write(&infra, &[("main.tf", &call("gone", "./gone"))]);
    let gone = declared(&infra, false).unwrap_err();
    assert!(
        matches!(&gone, Unreadable::Files { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
    );
    assert!(gone.to_string().contains("gone"), "{gone}");
    write(&infra, &[("main.tf", &call("loop", "./"))]);
    let endless = declared(&infra, false).unwrap_err();
    assert!(matches!(endless, Unreadable::TooDeep { .. }), "{endless}");
}

#[test]
fn a_module_from_elsewhere_brings_others_which_are_judged_too() {
    let pinned = call("vpc", "github.com/acme/vpc?ref={C}");
    let manifest = |further: &str| {
        format!(
            r#"{{"Modules":[{{"Key":"","Source":"","Dir":"."}},{{"Key":"vpc","Source":"git::https://github.com/acme/vpc.git?ref={COMMIT}","Dir":".terraform/modules/vpc"}},{{"Key":"vpc.near","Source":"./near","Dir":".terraform/modules/vpc/near"}}{further}]}}"#
        )
    };
    let folder = folder(&[
        ("main.tf", &pinned),
        (".terraform/modules/modules.json", &manifest("")),
        (".terraform/modules/vpc/main.tf", &call("near", "./near")),
        (".terraform/modules/vpc/near/main.tf", "\n"),
    ]);
    assert_eq!(faults(folder.path()), Vec::<String>::new());
    let inner = ".terraform/modules/vpc/near/main.tf";
    write(folder.path(), &[(inner, &call("far", "acme/far/aws"))]);
    let found = faults(folder.path());
    assert_eq!(
        found,
        [format!(
            "module `vpc.near.far` ({inner}:1): acme/far/aws has no version: add `version = \"1.2.3\"`"
        )]
    );
    // It cannot be seen before it is installed.
    assert!(
        Rule::excepting(&[])
            .faults(&declared(folder.path(), false).unwrap())
            .is_empty()
    );
    // A module that Terraform installed for a call that this step did not see is judged too.
    write(folder.path(), &[(inner, "\n")]);
    let further = r#",{"Key":"test.x.run","Source":"registry.terraform.io/acme/hidden/aws","Version":"1.0.0","Dir":"x"}"#;
    write(
        folder.path(),
        &[(".terraform/modules/modules.json", &manifest(further))],
    );
    let found = faults(folder.path());
    assert!(found[0].contains("module `test.x.run` (modules.json): registry.terraform.io/acme/hidden/aws has no version"), "{found:?}");
    write(folder.path(), &[(".terraform/modules/modules.json", "{")]);
    assert!(installed(folder.path(), &folder.path().join(".terraform"), false).is_err());
}

#[test]
fn each_provider_has_to_be_locked_with_a_hash() {
    let code = "resource \"null_resource\" \"x\" {}\nresource \"random_id\" \"x\" {}\nresource \"terraform_data\" \"x\" {}\n";
    let folder = folder(&[("main.tf", code)]);
    assert_eq!(faults(folder.path()).len(), 2);
    let bare = "provider \"registry.opentofu.org/hashicorp/random\" {\n  version = \"1.0.0\"\n}\n";
    let text = format!("{}{bare}", lock("hashicorp/null", "3.2.1", "h1:a"));
    write(folder.path(), &[(".terraform.lock.hcl", &text)]);
    assert_eq!(
        faults(folder.path()),
        ["provider hashicorp/random (main.tf:2) is without a hash in .terraform.lock.hcl"]
    );
    let found = declared(folder.path(), false).unwrap();
    let free = Rule::excepting(&["registry.terraform.io/hashicorp/random"]);
    assert_eq!(free.faults(&found), Vec::<String>::new());
    assert_eq!(free.exceptions(&found).len(), 1, "and it is told");
    // A provider that only the state needs is installed too.
    write(folder.path(), &[("main.tf", "\n")]);
    assert_eq!(
        faults(folder.path()),
        ["provider hashicorp/random is without a hash in .terraform.lock.hcl"]
    );
    let found = declared(folder.path(), false).unwrap();
    assert_eq!(free.faults(&found), Vec::<String>::new());
}

#[test]
fn modules_that_call_each_other_without_end_are_refused() {
    let twice = |next: &str| format!("{}{}", call("a", next), call("b", next));
    let names: Vec<String> = (0..30).map(|level| format!("m{level}/main.tf")).collect();
    let calls: Vec<String> = (1..31).map(|next| twice(&format!("../m{next}"))).collect();
    let mut files = vec![
        ("main.tf", call("top", "./m0")),
        ("m30/main.tf", "\n".to_owned()),
    ];
    files.extend(names.iter().map(String::as_str).zip(calls));
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    let folder = folder(&files);
    let why = declared(folder.path(), false).unwrap_err();
    assert!(matches!(why, Unreadable::TooMany { .. }), "{why}");
}

#[test]
fn code_for_opentofu_is_read_as_opentofu_reads_it() {
    let folder = folder(&[
        ("main.tf", &call("old", "acme/old/aws")),
        ("main.tofu", &call("new", "acme/new/aws")),
    ]);
    let names = |tofu: bool| {
        let found = declared(folder.path(), tofu).unwrap();
        found
            .modules
            .into_iter()
            .map(|it| it.path)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(false), ["old"]);
    assert_eq!(names(true), ["new"]);
    assert!(!is_for_tofu(folder.path()));
    std::fs::remove_file(folder.path().join("main.tf")).unwrap();
    assert!(is_for_tofu(folder.path()));
}

#[test]
fn new_and_changed_dependencies_are_named() {
    let read = |files: &[(&str, &str)]| {
        let folder = folder(files);
        declared(folder.path(), false).unwrap()
    };
    let before = read(&[
        (
            "main.tf",
            &format!(
                "{}{}",
                call("vpc", "github.com/acme/vpc?ref={C}"),
                call("same", "github.com/acme/same?ref={C}")
            ),
        ),
        (
            ".terraform.lock.hcl",
            &[
                lock("hashicorp/aws", "5.1.0", "h1:a"),
                lock("hashicorp/same", "1.0.0", "h1:s"),
                lock("hashicorp/swapped", "1.0.0", "h1:s"),
            ]
            .concat(),
        ),
    ]);
    let other = COMMIT.replace('1', "2");
    let now = read(&[
        (
            "main.tf",
            &format!(
                "{}{}{}resource \"late_it\" \"x\" {{}}\n",
                call("vpc", &format!("github.com/acme/vpc?ref={other}")),
                call("same", "github.com/acme/same?ref={C}"),
                call(
                    "more",
                    "git::https://x:secret@git.acme.example/more?ref={C}"
                ),
            ),
        ),
        (
            ".terraform.lock.hcl",
            &[
                lock("hashicorp/aws", "5.2.0", "h1:b"),
                lock("hashicorp/null", "3.2.1", "h1:n"),
                lock("hashicorp/same", "1.0.0", "h1:s"),
                lock("hashicorp/swapped", "1.0.0", "h1:t"),
            ]
            .concat(),
        ),
    ]);
    assert_eq!(
        new(&before, &now),
        [
            "provider hashicorp/aws: 5.1.0 → 5.2.0".to_owned(),
            "provider hashicorp/null 3.2.1 is new".to_owned(),
            "provider hashicorp/swapped 1.0.0: other hashes".to_owned(),
            "provider hashicorp/late is new, and not locked (main.tf:10)".to_owned(),
            format!("module `more` is new: git::https://git.acme.example/more {COMMIT}"),
            format!("module `vpc`: github.com/acme/vpc {COMMIT} → github.com/acme/vpc {other}"),
        ]
    );
    assert_eq!(new(&now, &now), Vec::<String>::new());
}

#[test]
fn the_code_of_another_commit_is_read_from_the_clone() {
    let folder = folder(&[
        ("infra/main.tf", &call("near", "../near")),
        ("near/main.tf", "resource \"null_resource\" \"x\" {}\n"),
        (
            "infra/.terraform.lock.hcl",
            &lock("hashicorp/null", "3.2.1", "h1:a"),
        ),
    ]);
    let top = std::fs::canonicalize(folder.path()).unwrap();
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(["-c", "user.name=x", "-c", "user.email=x@y.example", "-C"])
            .arg(&top)
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "first"]);
    let base = kit::id::CommitId::parse(&git(&["rev-parse", "HEAD"])).unwrap();
    let infra = top.join("infra");
    write(
        &top,
        &[
            ("near/main.tf", &call("far", "github.com/acme/far?ref={C}")),
            (
                "infra/.terraform.lock.hcl",
                &lock("hashicorp/null", "3.2.2", "h1:b"),
            ),
        ],
    );
    let env = kit::env::Env::process();
    let new_since = |folder: &Path, base: &kit::id::CommitId| {
        let now = declared(folder, false).unwrap();
        super::since::since(base, folder, &now, false, &env)
    };
    assert_eq!(
        new_since(&infra, &base).unwrap(),
        [
            "provider hashicorp/null: 3.2.1 → 3.2.2".to_owned(),
            format!("module `near.far` is new: github.com/acme/far {COMMIT}"),
        ]
    );
    // A folder that the commit did not have.
    write(&top, &[("more/main.tf", &call("far", "acme/far/aws"))]);
    assert_eq!(
        new_since(&top.join("more"), &base).unwrap(),
        ["module `far` is new: acme/far/aws"]
    );
    let unknown = kit::id::CommitId::parse(COMMIT).unwrap();
    let why = new_since(&infra, &unknown).unwrap_err();
    assert!(matches!(&why, Unreadable::Commit(_)), "{why}");
    assert!(why.to_string().contains("fetch-depth: 0"), "{why}");
}
