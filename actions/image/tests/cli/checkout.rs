//! An image is made from the commit it is tagged with: everything that a build reads is shown to be the commit's, or refused.

use std::path::Path;
use std::process::Command;

use crate::job::{COMMIT, IN_ORDER, Job, publish};

/// A change of the checkout, and what is said of it.
type Case = (&'static str, fn(&Job), &'static str);

fn touch(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// A checkout in which much is ignored, with a folder of its own for a build.
fn rich() -> (Job, String) {
    let job = Job::new();
    job.write("app/.gitignore", "/dist/\n*.log\n!kept.log\n");
    job.write("app/src/main", "one\n");
    job.write("app/src/run.sh", "#!/bin/sh\n");
    job.write("app/test/report", "none\n");
    job.write("app/.dockerignore", ".git\ntest\n");
    let commit = job.commit();
    (job, commit)
}

fn of(commit: &str) -> [&str; 5] {
    [
        "publish",
        "--repository",
        "acme/storefront",
        "--commit",
        commit,
    ]
}

/// Changes that git shows.
const CHANGES: [Case; 5] = [
    (
        "modified",
        |job| job.write("app/src/main", "two\n"),
        "src/main (modified)",
    ),
    (
        "missing",
        |job| std::fs::remove_file(job.file("app/src/main")).unwrap(),
        "src/main (missing)",
    ),
    (
        "executable",
        |job| {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(job.file("app/src/run.sh"), mode).unwrap();
            job.git(&["-C", "app", "config", "core.fileMode", "false"]);
        },
        "src/run.sh (other type or permissions)",
    ),
    (
        "the Dockerfile",
        |job| job.write("app/Dockerfile", "FROM scratch\n\n"),
        "Dockerfile (modified)",
    ),
    (
        "untracked",
        |job| job.write("app/src/new", ""),
        "src/new (not in the commit)",
    ),
];

/// Changes that git can be told not to see.
const HIDDEN: [Case; 11] = [
    (
        "assumed unchanged",
        |job| {
            job.git(&[
                "-C",
                "app",
                "update-index",
                "--assume-unchanged",
                "src/main",
            ]);
            job.write("app/src/main", "two\n");
        },
        "src/main (modified)",
    ),
    (
        "skipped",
        |job| {
            job.git(&["-C", "app", "update-index", "--skip-worktree", "src/main"]);
            job.write("app/src/main", "two\n");
        },
        "src/main (modified)",
    ),
    (
        "replaced",
        |job| {
            job.write("app/src/main", "two\n");
            let ours = job.git(&["-C", "app", "rev-parse", "HEAD:src/main"]);
            let theirs = job.git(&["-C", "app", "hash-object", "-w", "src/main"]);
            job.git(&["-C", "app", "replace", &ours, &theirs]);
            job.git(&["-C", "app", "reset", "--quiet", "--hard"]);
            job.write("app/src/main", "two\n");
        },
        "src/main (modified)",
    ),
    (
        "of the same size and time",
        |job| {
            job.git(&["-C", "app", "config", "core.checkStat", "minimal"]);
            job.git(&["-C", "app", "config", "core.trustctime", "false"]);
            let path = job.file("app/src/main");
            let time = std::fs::metadata(&path).unwrap().modified().unwrap();
            job.write("app/src/main", "two\n");
            std::fs::File::open(path)
                .unwrap()
                .set_modified(time)
                .unwrap();
        },
        "src/main (modified)",
    ),
    (
        "ignored by a list that nobody committed",
        |job| {
            job.write("app/cache/.gitignore", "*\n");
            job.write("app/cache/new", "");
        },
        "cache/new (not in the commit)",
    ),
    (
        "ignored by this repository alone",
        |job| {
            touch(&job.file("app/.git/info/exclude"), "new\n");
            job.write("app/new", "");
        },
        "new (not in the commit)",
    ),
    (
        "ignored by a list that was changed",
        |job| {
            job.write("app/.gitignore", "new\n");
            job.write("app/new", "");
        },
        "new (not in the commit)",
    ),
    (
        "kept by the list",
        |job| job.write("app/kept.log", ""),
        "kept.log (not in the commit)",
    ),
    (
        "made equal by a filter",
        |job| {
            touch(&job.file("app/.git/info/attributes"), "main filter=same\n");
            job.git(&["-C", "app", "config", "filter.same.clean", "echo one"]);
            job.write("app/src/main", "two\n");
        },
        "src/main (modified)",
    ),
    (
        "made equal by attributes that nobody committed",
        |job| {
            job.write("app/src/.gitattributes", "main text\n");
            job.write("app/src/main", "one\r\n");
        },
        "src/.gitattributes (not in the commit)",
    ),
    (
        "another repository",
        |job| {
            job.git(&["init", "--quiet", "app/nested"]);
            job.write("app/nested/main", "");
        },
        "nested (not in the commit)",
    ),
];

#[test]
fn a_checkout_that_is_not_the_commit_s_is_refused_by_the_file_s_name() {
    for (case, change, message) in CHANGES.into_iter().chain(HIDDEN) {
        let (job, commit) = rich();
        job.refuses(&of(&commit), &[], 2, IN_ORDER);
        change(&job);
        let log = job.refuses(&of(&commit), &[], 3, message);
        for piece in [
            &format!("is not as commit {commit} has it"),
            "--allow-unverified",
        ] {
            assert!(log.contains(piece), "{case}: {log}");
        }
    }
}

#[test]
fn excluded_ignored_and_unchanged_files_are_not_a_difference() {
    let cases: [Case; 7] = [
        (
            "excluded and modified",
            |job| job.write("app/test/report", "some\n"),
            "",
        ),
        ("excluded and new", |job| job.write("app/test/new", ""), ""),
        ("beside the checkout", |job| job.write("other", ""), ""),
        (
            "generated",
            |job| job.write("app/dist/a/b", ""),
            ".gitignore names: dist/a/b",
        ),
        ("touched", |job| job.write("app/src/main", "one\n"), ""),
        (
            "staged, with the commit's content in the folder",
            |job| {
                job.write("app/src/main", "two\n");
                job.git(&["-C", "app", "add", "src/main"]);
                job.write("app/src/main", "one\n");
            },
            "",
        ),
        (
            "of another owner",
            |job| {
                // Only root can give files away.
                let _given = Command::new("chown")
                    .args(["-R", "1234"])
                    .arg(job.app())
                    .output();
            },
            "",
        ),
    ];
    for (case, change, message) in cases {
        let (job, commit) = rich();
        change(&job);
        let log = job.refuses(&of(&commit), &[], 2, IN_ORDER);
        assert!(log.contains(message), "{case}: {log}");
    }
}

#[test]
fn the_environment_has_no_say_in_what_git_sees() {
    let (job, commit) = rich();
    let other = Job::new();
    let git_dir = other.file("app/.git").display().to_string();
    job.write("excluded", "new\n");
    let excluded = job.file("excluded").display().to_string();
    job.write("app/new", "");
    for env in [
        &[("GIT_DIR", git_dir.as_str())][..],
        &[("GIT_INDEX_FILE", "/dev/null")],
        &[("GIT_WORK_TREE", "/")],
        &[
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", "core.excludesFile"),
            ("GIT_CONFIG_VALUE_0", &excluded),
        ],
    ] {
        job.refuses(&of(&commit), env, 3, "new (not in the commit)");
    }
}

#[test]
fn a_checkout_of_another_commit_is_refused_whatever_names_the_commit() {
    let job = Job::new();
    let second = job.commit();
    let log = job.refuses(
        &publish(&[]),
        &[],
        3,
        &format!("is checked out at {second}, not at {COMMIT}"),
    );
    assert!(log.contains(&format!("--commit {second}")), "{log}");
    // `pull_request_target` names the base's commit, while the head is checked out.
    let named = ["publish", "--repository", "acme/storefront"];
    for env in [
        &[("GITHUB_SHA", COMMIT)][..],
        // A time that is given says nothing of where the checkout stands.
        &[("GITHUB_SHA", COMMIT), ("SOURCE_DATE_EPOCH", "7")],
        &[("GITHUB_SHA", "4711471147114711471147114711471147114711")],
    ] {
        job.refuses(&named, env, 3, &format!("is checked out at {second}"));
    }
    job.refuses(&of(&second), &[("GITHUB_SHA", COMMIT)], 2, IN_ORDER);
    // An image that something else built is not compared, but not taken from another checkout either, unless a person says so.
    let layout = [&named[..], &["--layout", "gone"]].concat();
    job.refuses(&layout, &[("GITHUB_SHA", COMMIT)], 3, "is checked out at");
    let layout = [&publish(&[])[..], &["--layout", "gone"]].concat();
    let log = job.refuses(&layout, &[], 2, "gone");
    assert!(log.contains("the image was built elsewhere"), "{log}");
}

#[test]
fn a_checkout_that_git_cannot_read_is_refused() {
    let job = Job::new();
    let without_git = [("PATH", "/nowhere")];
    job.refuses(&publish(&[]), &without_git, 3, "git cannot be started");
    job.write("app/.git/HEAD", "ref: refs/heads/gone\n");
    job.refuses(&publish(&[]), &[], 3, "the commit that is checked out in");
    std::fs::remove_dir_all(job.file("app/.git")).unwrap();
    let log = job.refuses(&publish(&[]), &[], 3, "is not in a git repository");
    assert!(log.contains("full clone"), "{log}");
    // As CodePipeline hands over its source.
    let zip = [
        ("GITHUB_ACTIONS", ""),
        (
            "CODEBUILD_BUILD_ARN",
            "arn:aws:codebuild:eu-west-1:111111111111:build/a:b",
        ),
        ("CODEBUILD_RESOLVED_SOURCE_VERSION", COMMIT),
    ];
    let named = ["publish", "--repository", "acme/storefront"];
    job.refuses(&named, &zip, 3, "is not in a git repository");
}

#[test]
fn the_way_out_is_spelled_out_and_never_has_the_commit_s_tag() {
    let job = Job::new();
    job.write("app/new", "");
    let with = |more: &[&'static str]| [&publish(&[])[..], more].concat();
    let log = job.refuses(
        &with(&["--allow-unverified", "a ZIP file", "--tag", "zip-1"]),
        &[],
        2,
        IN_ORDER,
    );
    assert!(log.contains("does not get its tag: a ZIP file"), "{log}");
    job.refuses(
        &with(&["--allow-unverified", "a ZIP file"]),
        &[],
        2,
        "--tag",
    );
    job.refuses(
        &with(&["--allow-unverified", "a ZIP file", "--tag", COMMIT]),
        &[],
        2,
        "cannot have the commit's tag",
    );
    job.refuses(
        &with(&["--allow-unverified", " ", "--tag", "zip-1"]),
        &[],
        2,
        "--allow-unverified is not one line with a reason",
    );
}

#[test]
fn a_submodule_is_compared_with_the_commit_that_names_it() {
    let module = Job::new();
    let job = Job::new();
    let url = module.app().display().to_string();
    job.git(&["-C", "app", "submodule", "--quiet", "add", &url, "lib"]);
    job.write("app/.dockerignore", ".git\n**/.git\n");
    let commit = job.commit();
    job.refuses(&of(&commit), &[], 2, IN_ORDER);
    // The context may also be the submodule itself.
    let within = [&of(&commit)[..], &["--context", "lib"]].concat();
    job.refuses(&within, &[], 2, IN_ORDER);

    job.git(&["-C", "app", "config", "submodule.lib.ignore", "all"]);
    job.write("app/lib/Dockerfile", "FROM scratch\n\n");
    job.refuses(&of(&commit), &[], 3, "lib/Dockerfile (modified)");
    job.refuses(&within, &[], 3, "Dockerfile (modified)");
    job.git(&["-C", "app/lib", "checkout", "--quiet", "Dockerfile"]);
    job.git(&[
        "-C",
        "app/lib",
        "commit",
        "--quiet",
        "--allow-empty",
        "--message",
        "m",
    ]);
    job.refuses(
        &of(&commit),
        &[],
        3,
        &format!("lib (submodule not at {COMMIT})"),
    );
    job.refuses(&within, &[], 3, "is checked out at");
    std::fs::remove_dir_all(job.file("app/lib")).unwrap();
    std::fs::create_dir(job.file("app/lib")).unwrap();
    job.refuses(&of(&commit), &[], 3, "lib (submodule not at");
}

#[test]
fn an_allow_list_hides_neither_a_submodule_nor_a_nested_repository() {
    let module = Job::new();
    let job = Job::new();
    let url = module.app().display().to_string();
    job.git(&[
        "-C",
        "app",
        "submodule",
        "--quiet",
        "add",
        &url,
        "vendor/lib",
    ]);
    job.write("app/src/main", "");
    job.write("app/.dockerignore", "*\n!src\n!vendor/lib/Dockerfile\n");
    let commit = job.commit();
    job.refuses(&of(&commit), &[], 2, IN_ORDER);
    // It is left out of the build.
    job.write("app/vendor/lib/.dockerignore", "other\n");
    job.refuses(&of(&commit), &[], 2, IN_ORDER);
    job.write("app/vendor/lib/Dockerfile", "FROM scratch\n\n");
    let modified = "vendor/lib/Dockerfile (modified)";
    job.refuses(&of(&commit), &[], 3, modified);
    job.git(&["-C", "app/vendor/lib", "checkout", "--quiet", "Dockerfile"]);

    job.git(&["init", "--quiet", "app/src/nested"]);
    job.write("app/src/nested/main", "");
    job.refuses(&of(&commit), &[], 3, "src/nested (not in the commit)");
    job.git(&["init", "--quiet", "app/vendor/other"]);
    std::fs::remove_dir_all(job.file("app/src/nested")).unwrap();
    job.write("app/vendor/other/main", "");
    job.refuses(&of(&commit), &[], 2, IN_ORDER);
}

#[test]
fn a_dockerfile_elsewhere_is_compared_too() {
    let (job, _) = rich();
    job.write("app/docker/Dockerfile", "FROM scratch\n");
    job.write("app/docker/Dockerfile.dockerignore", "test\n");
    let commit = job.commit();
    let arguments = [
        &of(&commit)[..],
        &["--context", "src", "--file", "docker/Dockerfile"],
    ]
    .concat();
    job.refuses(&arguments, &[], 2, IN_ORDER);
    job.write("app/Dockerfile", "FROM scratch\n\n");
    job.refuses(&arguments, &[], 2, IN_ORDER);
    job.write("app/docker/Dockerfile.dockerignore", "other\n");
    job.refuses(
        &arguments,
        &[],
        3,
        "docker/Dockerfile.dockerignore (modified)",
    );
    job.write("Dockerfile", "FROM scratch\n");
    let outside = [
        &of(&commit)[..],
        &["--context", "src", "--file", "../Dockerfile"],
    ]
    .concat();
    job.refuses(&outside, &[], 3, "is not in a git repository");
    job.write("app/dist/Dockerfile", "FROM scratch\n");
    let generated = [
        &of(&commit)[..],
        &["--context", "src", "--file", "dist/Dockerfile"],
    ]
    .concat();
    job.refuses(&generated, &[], 3, "dist/Dockerfile (not in the commit)");
}

#[test]
fn files_that_git_converts_on_checkout_match_the_commit() {
    let job = Job::new();
    let big = "x".repeat(3000);
    // The pointer of these 3000 bytes, as Git LFS commits it.
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:e1630f843370f402870799e14abbf2b06af2d23b0153658e1211dffabc61ad8f\nsize 3000\n";
    job.write(
        "app/.gitattributes",
        "big filter=lfs -text\n*.sh text\n*.bat text eol=crlf\n",
    );
    job.write("app/big", pointer);
    job.write("app/run.sh", "a\n");
    job.write("app/run.bat", "a\n");
    let commit = job.commit();
    job.write("app/run.bat", "a\r\n");
    // Without the object, the pointer is what the commit has.
    job.refuses(&of(&commit), &[], 2, IN_ORDER);
    job.write("app/big", &big);
    job.refuses(&of(&commit), &[], 2, IN_ORDER);
    job.write("app/big", &big.replace("xxx", "xxy"));
    job.refuses(&of(&commit), &[], 3, "big (modified)");
    job.write("app/big", &big);
    job.write("app/run.sh", "a\r\n");
    job.refuses(&of(&commit), &[], 3, "run.sh (other line ends)");
}
