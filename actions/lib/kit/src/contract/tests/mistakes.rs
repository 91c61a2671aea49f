//! The messages about what is not a contract, and their positions.

use super::*;
use expect_test::expect;

#[test]
fn every_mistake_is_shown_at_once_with_its_place() {
    assert_error(
        "version: 1\r\nservice: ü X\r\nbuild:\r\n  acount: 123\r\n  region: {service}\r\n  \
         region: mars\r\nenvironments:\r\n",
        expect![[r#"
            error: `ü X` is not a service name
             --> delivery.yaml:2:10
              |
            2 | service: ü X
              |          ^^^
              |
              = hint: lower-case letters, digits and hyphens, beginning with a letter, at most 40

            error: `build` has no key `acount`
             --> delivery.yaml:4:3
              |
            4 |   acount: 123
              |   ^^^^^^
              |
              = hint: did you mean `account`?

            error: `build.region` must be text, and is a mapping
             --> delivery.yaml:5:11
              |
            5 |   region: {service}
              |           ^^^^^^^^^
              |
              = hint: put text that begins with `{` in quotes: "{service}"

            error: `region` is written twice
             --> delivery.yaml:6:3
              |
            5 |   region: {service}
              |   ------ first here
            6 |   region: mars
              |   ^^^^^^
              |
              = hint: keep one of them

            error: `environments` must be a mapping, and is nothing
             --> delivery.yaml:7:1
              |
            7 | environments:
              | ^^^^^^^^^^^^
              |
              = hint: give it a value, or remove the key

            error: delivery.yaml is wrong: 5 mistakes"#]],
    );
}

#[test]
fn text_that_is_not_yaml_is_explained() {
    assert_error(
        "version: 1\nbuild:\n\taccount: x\n",
        expect![[r#"
        error: a tab cannot indent YAML
         --> delivery.yaml:3:1
          |
        3 |     account: x
          | ^^^^
          |
          = hint: indent with spaces

        error: delivery.yaml is wrong: 1 mistake"#]],
    );
    assert_error(
        "version: 1\nservice:\tx\n",
        expect![[r#"
        error: a tab stands here, which YAML does not take for a space
         --> delivery.yaml:2:9
          |
        2 | service:    x
          |         ^^^^
          |
          = hint: replace it with a space, or put the text in quotes if it belongs to it

        error: delivery.yaml is wrong: 1 mistake"#]],
    );
    assert_error(
        "version: 1\nservice:\u{a0}x\n",
        expect![[r#"
            error: a no-break space (U+00A0) stands here, which YAML does not take for a space
             --> delivery.yaml:2:9
              |
            2 | service: x
              |         ^
              |
              = hint: replace it with a space, or put the text in quotes if it belongs to it

            error: delivery.yaml is wrong: 1 mistake"#]],
    );
    assert_error(
        "version: 1\nsecrets:\n  T: ssm:/x\u{200b}\n",
        expect![[r#"
            error: an invisible character (U+200B) stands here, which YAML does not take for a space
            --> delivery.yaml:3:12
             = hint: replace it with a space, or put the text in quotes if it belongs to it

            error: delivery.yaml is wrong: 1 mistake"#]],
    );
    assert_error(
        "version: 1\n  service: x\n",
        expect![[r#"
        error: this is not YAML: mapping values are not allowed in this context
         --> delivery.yaml:2:10
          |
        2 |   service: x
          |          ^
          |
          = hint: keys of one mapping stand in one column, and a colon is followed by a space

        error: delivery.yaml is wrong: 1 mistake"#]],
    );
    assert_error(
        "version: 1\nbucket: {service}-x\n",
        expect![[r#"
        error: this is not YAML: while parsing a block mapping, did not find expected key
         --> delivery.yaml:2:18
          |
        2 | bucket: {service}-x
          |                  ^
          |
          = hint: put text that begins with `{` in quotes: "{service}-…"

        error: delivery.yaml is wrong: 1 mistake"#]],
    );
}

#[test]
fn text_that_is_not_a_contract_is_refused() {
    for (text, message) in [
        ("", "the contract is empty"),
        ("# nothing\n", "the contract is empty"),
        ("- a\n", "the contract must be a mapping, and is a list"),
        ("a: &x 1\n", "anchors are not read in a contract"),
        ("a: !!str 1\n", "tags are not read in a contract"),
        ("a: 1\n---\nb: 1\n", "a second document begins here"),
        (
            &"[".repeat(10_000),
            "this is not YAML: recursion limit exceeded",
        ),
        (&"- ".repeat(10_000), "this is nested too deeply"),
    ] {
        let error = parse(path(), text).unwrap_err();
        assert_eq!(error.locations[0].message.lines().next(), Some(message));
    }
    let error = parse(path(), &" ".repeat(MAX_BYTES + 1)).unwrap_err();
    assert_eq!(error.message, "delivery.yaml is larger than 1 MiB");
}

#[test]
fn a_byte_order_mark_moves_nothing() {
    assert!(parse(path(), &format!("\u{feff}{STOREFRONT}")).is_ok());
    let error = parse(path(), "\u{feff}verzion: 1\n").unwrap_err();
    assert!(
        error
            .locations
            .iter()
            .any(|location| (location.line, location.column) == (1, 1)
                && location.message.contains("`verzion`"))
    );
}

#[test]
fn one_slip_is_one_mistake() {
    for (text, message) in [
        (
            with("  dev: {account: \"111111111111\"}\n"),
            "`dev` is written twice",
        ),
        (
            with("secrets: {A: {to: [task]}}\n"),
            "`secrets.A` has no `from`",
        ),
        (
            with("").replace("service: shop", "service: Shop"),
            "`Shop` is not a service name",
        ),
        (
            with("variables: {a: {type: cidr, value: \"{x}\"}}\n"),
            "there is no placeholder {x}",
        ),
        (
            with("  pre: {account: 333333333333, follows: live}\n")
                .replace("dev: {", "dev: {follows: live, "),
            "environments follow one another in a circle: dev → live → dev",
        ),
        (
            with("").replace("account: 012345678901", "account: [1]"),
            "`build.account` must be text, and is a list",
        ),
    ] {
        let error = parse(path(), &text).unwrap_err();
        assert_eq!(error.locations.len(), 1, "{error}");
        assert_eq!(error.locations[0].message.lines().next(), Some(message));
    }
}
