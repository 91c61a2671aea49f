//! Patterns of `.dockerignore` and the paths that they match.

use super::*;

fn left_out(text: &str, path: &str) -> bool {
    Ignore::parse(text).unwrap().leaves_out(path)
}

/// The cases that moby's documentation and tests of `patternmatcher` go through.
#[test]
fn one_pattern_and_one_path() {
    for (pattern, path, out) in [
        ("**", "file", true),
        ("**", "file/", true),
        ("**/", "file", true),
        ("**", "dir/file", true),
        ("**/", "dir/file", true),
        ("**/**", "dir/file", true),
        ("dir/**", "dir/file", true),
        ("dir/**", "dir", false),
        ("dir/**", "dir/dir2/file", true),
        ("**/dir", "dir", true),
        ("**/dir", "dir/file", true),
        ("**/dir2/*", "dir/dir2/file", true),
        ("**/dir2/*", "dir/dir2/dir2/file", true),
        ("**file", "file", true),
        ("**file", "dir/file", true),
        ("**/file", "dir/file", true),
        ("**/file*", "dir/dir/file.txt", true),
        ("**/file*txt", "dir/dir/file.txt", true),
        ("**/file*.txt*", "dir/dir/file.txt", true),
        ("**/*.txt", "dir/file.go", false),
        ("a**/*.txt", "a/file.txt", true),
        ("a**/*.txt", "a/dir/file.txt", true),
        ("a/*.txt", "a/dir/file.txt", false),
        ("a/*.txt", "a/file.txt", true),
        ("a/*.txt**", "a/file.txt", true),
        ("a[b-d]e", "ae", false),
        ("a[b-d]e", "ace", true),
        ("a[b-d]e", "aae", false),
        ("a[^b-d]e", "aze", true),
        (".*", ".foo", true),
        (".*", "foo", false),
        ("abc.def", "abcdef", false),
        ("abc.def", "abcZdef", false),
        ("abc?def", "abcZdef", true),
        ("abc?def", "abcdef", false),
        ("a\\*b", "a*b", true),
        ("a\\*b", "axb", false),
        ("**/foo/bar", "foo/bar", true),
        ("**/foo/bar", "dir/foo/bar", true),
        ("**/foo/bar", "dir/dir2/foo/bar", true),
        ("abc/**", "abc", false),
        ("abc/**", "abc/def/ghi", true),
        ("**/.foo", ".foo", true),
        ("**/.foo", "bar.foo", false),
        ("a(b)c/def", "a(b)c/def", true),
        ("a(b)c/def", "a(b)c/xyz", false),
        ("a.|)$(}+{bc", "a.|)$(}+{bc", true),
        ("/file", "file", true),
        ("./file", "file", true),
        ("dir/../file", "file", true),
        ("dir/", "dir/a/b", true),
        ("*", "a/b/c", true),
        ("*/c", "a/b/c", false),
        ("docs", "src/docs", false),
    ] {
        assert_eq!(
            left_out(pattern, path.trim_end_matches('/')),
            out,
            "{pattern} {path}"
        );
    }
}

#[test]
fn the_last_pattern_that_matches_decides() {
    for (text, path, out) in [
        ("**\n!util/docker/web", "util/docker/web/foo", false),
        (
            "**\n!util/docker/web\nutil/docker/web/foo",
            "util/docker/web/foo",
            true,
        ),
        (
            "*.md\n!README*.md\nREADME-secret.md",
            "README-secret.md",
            true,
        ),
        ("*.md\n!README*.md\nREADME-secret.md", "README.md", false),
        (
            "*.md\nREADME-secret.md\n!README*.md",
            "README-secret.md",
            false,
        ),
        ("docs\n!docs/README.md", "docs/README.md", false),
        ("docs\n!docs/README.md", "docs/other.md", true),
        ("docs\n!docs/README.md", "docs", true),
        ("*\n!.", "a", true),
        ("# all\n#*\n \n", "a", false),
        (" #a", "#a", true),
        ("\u{feff}a\r\nb", "a", true),
        ("!  a", "a", false),
    ] {
        assert_eq!(left_out(text, path), out, "{text:?} {path}");
    }
}

#[test]
fn a_folder_that_is_left_out_may_have_something_that_is_kept() {
    let may = |text: &str, path: &str| Ignore::parse(text).unwrap().may_keep_within(path);
    for text in [
        "*\n!lib/src",
        "*\n!lib/src/**",
        "*\n!**/src",
        "*\n!l*",
        "*\n!lib/*",
    ] {
        assert!(may(text, "lib"), "{text}");
    }
    for text in ["*", "*\n!app", "*\n!library", "*\n!app/**", "lib"] {
        assert!(!may(text, "lib"), "{text}");
    }
}

#[test]
fn a_malformed_pattern_is_named_by_its_line() {
    for (text, message) in [
        ("a\n!", "line 2 of .dockerignore is a lone `!`"),
        ("[", "line 1 of .dockerignore is not a pattern"),
        ("a[]b", "line 1 of .dockerignore is not a pattern"),
        ("a[b-]", "line 1 of .dockerignore is not a pattern"),
        ("a\\", "line 1 of .dockerignore is not a pattern"),
    ] {
        let error = Ignore::parse(text).unwrap_err();
        assert_eq!(
            (error.exit(), error.message.as_str()),
            (kit::Exit::Usage, message)
        );
    }
}

#[test]
fn no_pattern_takes_for_ever() {
    let pattern = "*a".repeat(200);
    assert!(!left_out(&pattern, &"a".repeat(5000).replace("aa", "ab")));
}
