//! The images that a Dockerfile builds on (docs.docker.com, "Dockerfile reference"). It is not a whole parser: it reads what
//! names an image, and says so where it cannot tell.

use super::syntax::{directives, expand, flags, instructions, split, words};
use std::collections::BTreeMap;

/// The images that a Dockerfile names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// References as they are to be pulled, each once, in the order of the file.
    pub(crate) images: Vec<String>,
    /// Reasons why the list may be incomplete.
    pub(crate) unclear: Vec<String>,
}

impl Found {
    fn image(&mut self, name: &str) {
        if !self.images.iter().any(|there| there == name) {
            self.images.push(name.to_owned());
        }
    }
}

/// The images that `text` names, with the build arguments `given`.
pub(crate) fn images(text: &str, given: &BTreeMap<String, String>) -> Found {
    let mut found = Found::default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (directives, escape) = directives(text);
    if let Some(syntax) = given.get("BUILDKIT_SYNTAX").or(directives.get("syntax")) {
        found.image(syntax);
    }
    let mut global: BTreeMap<String, String> = BTreeMap::new();
    let mut stages: Vec<String> = Vec::new();
    for instruction in instructions(text, escape) {
        let (name, rest) = split(&instruction);
        // A trigger runs in the builds that use this image, not in this one.
        match name.to_ascii_uppercase().as_str() {
            "ARG" if stages.is_empty() => arguments(rest, escape, given, &mut global, &mut found),
            "FROM" => from(rest, escape, &global, &mut stages, &mut found),
            "COPY" | "ADD" => {
                for value in flags(rest, "from") {
                    source(&value, &stages, &mut found);
                }
            }
            "RUN" => {
                for mount in flags(rest, "mount") {
                    for part in mount.split(',') {
                        if let Some(value) = part.trim().strip_prefix("from=") {
                            source(value, &stages, &mut found);
                        }
                    }
                }
            }
            _ => {}
        }
    }
    if stages.is_empty() {
        found.unclear.push("the Dockerfile has no FROM".to_owned());
    }
    found
}

/// `ARG NAME=VALUE …` before the first stage: what FROM may refer to.
fn arguments(
    rest: &str,
    escape: char,
    given: &BTreeMap<String, String>,
    global: &mut BTreeMap<String, String>,
    found: &mut Found,
) {
    for word in words(rest) {
        let (name, default) = match word.split_once('=') {
            Some((name, default)) => (name.to_owned(), Some(default.to_owned())),
            None => (word, None),
        };
        if let Some(value) = given.get(&name) {
            global.insert(name, value.clone());
        } else if let Some(default) = default {
            match expand(&default, escape, global) {
                Ok(value) => {
                    global.insert(name, value);
                }
                Err(why) => found.unclear.push(why),
            }
        }
    }
}

fn from(
    rest: &str,
    escape: char,
    global: &BTreeMap<String, String>,
    stages: &mut Vec<String>,
    found: &mut Found,
) {
    let words: Vec<String> = words(rest)
        .into_iter()
        .skip_while(|word| word.starts_with("--"))
        .collect();
    let stage = match &words[..] {
        [_, keyword, name] if keyword.eq_ignore_ascii_case("as") => name.to_ascii_lowercase(),
        // A stage without a name is known by its number alone.
        _ => String::new(),
    };
    match words.first().map(|word| expand(word, escape, global)) {
        Some(Ok(base)) if base.is_empty() => {
            found.unclear.push(format!("FROM {rest} names no image"));
        }
        Some(Ok(base)) => {
            let earlier = stages.contains(&base.to_ascii_lowercase());
            if base != "scratch" && !earlier {
                found.image(&base);
            }
        }
        Some(Err(why)) => found.unclear.push(why),
        None => found.unclear.push("a FROM names no image".to_owned()),
    }
    stages.push(stage);
}

/// The source that `COPY --from=` or a mount reads: a stage by name or number, or an image.
fn source(value: &str, stages: &[String], found: &mut Found) {
    let named = stages.contains(&value.to_ascii_lowercase());
    let numbered = value
        .parse::<usize>()
        .is_ok_and(|number| number < stages.len());
    if value.contains('$') {
        found
            .unclear
            .push(format!("from={value} takes its image from a variable"));
    } else if !(value.is_empty() || value == "scratch" || named || numbered) {
        found.image(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, given: &[(&str, &str)]) -> Found {
        let given = given
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        images(text, &given)
    }

    #[test]
    fn every_place_that_names_an_image() {
        let text = r#"#!/usr/bin/env -S docker build -f
# syntax=docker/dockerfile:1.7
# escape=\

# escape=`
ARG BASE=alpine:3.20 OTHER="debian:${RELEASE:-bookworm}"
ARG TOOL
from --platform=$BUILDPLATFORM $BASE AS Build
RUN --mount=type=bind,from=golang:1.23,source=/usr,target=/go \
    # a comment within
    --mount=type=cache,target=/c true
RUN <<EOT cat <<-"END"
FROM not-this
EOT
COPY --from=nor-this / /
	END
FROM build AS test
FROM ${OTHER}
FROM ${TOOL}
COPY --link --from=build /a /a
COPY --from=0 /a /a
COPY --from=busybox:1 /bin /bin
ONBUILD COPY --from=later /a /a
FROM scratch
COPY --from=7 /a /a
"#;
        assert_eq!(
            found(text, &[("TOOL", "ecr.example/tool@sha256:0")]),
            Found {
                images: [
                    "docker/dockerfile:1.7",
                    "alpine:3.20",
                    "golang:1.23",
                    "debian:bookworm",
                    "ecr.example/tool@sha256:0",
                    "busybox:1",
                    "7",
                ]
                .map(str::to_owned)
                .to_vec(),
                unclear: vec![],
            }
        );
    }

    #[test]
    fn variables_are_put_in_as_docker_does() {
        for (text, wanted) in [
            ("$A", "x"),
            ("${A}y", "xy"),
            ("$A.$E-z", "x.-z"),
            ("${E:-d}", "d"),
            ("${E-d}", ""),
            ("${N-d}", "d"),
            ("${A:+p}", "p"),
            ("${E:+p}", ""),
            ("${E+p}", "p"),
            ("${N:-${A}-${A}}", "x-x"),
            ("${A:?no}", "x"),
            ("\\$A", "$A"),
        ] {
            let global = BTreeMap::from([
                ("A".to_owned(), "x".to_owned()),
                ("E".to_owned(), String::new()),
            ]);
            assert_eq!(expand(text, '\\', &global).as_deref(), Ok(wanted), "{text}");
        }
        // Trailing spaces after the escape character, and the other escape character.
        let text = "# escape=`\nARG A=1\nFROM a:`  \n$A\n";
        assert_eq!(found(text, &[]).images, ["a:1"]);
        assert_eq!(found(text, &[("A", "2")]).images, ["a:2"]);
        let text = "FROM a\nARG BUILDKIT_SYNTAX\n";
        assert_eq!(
            found(text, &[("BUILDKIT_SYNTAX", "s:1")]).images,
            ["s:1", "a"]
        );
    }

    #[test]
    fn references_that_cannot_be_resolved_are_reported_with_the_reason() {
        for (text, why) in [
            ("", "the Dockerfile has no FROM"),
            (
                "FROM x-$TARGETARCH",
                "x-$TARGETARCH depends on the builder's TARGETARCH",
            ),
            ("ARG A=${B#x}\nFROM a", "${B#x} is not understood"),
            ("FROM ${GONE:?}", "${GONE:?} is not understood"),
            ("FROM $GONE", "FROM $GONE names no image"),
            ("FROM", "a FROM names no image"),
            (
                "FROM a\nCOPY --from=$B / /",
                "from=$B takes its image from a variable",
            ),
        ] {
            assert_eq!(found(text, &[]).unclear, [why], "{text}");
        }
    }
}
