//! Which images a Dockerfile builds on (docs.docker.com, "Dockerfile reference"). It is not a whole
//! parser: it reads what names an image, and says so where it cannot tell.

use std::collections::BTreeMap;

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// References as they are to be pulled, each once, in the order of the file.
    pub(super) images: Vec<String>,
    /// Why some image cannot be named.
    pub(super) unclear: Vec<String>,
}

impl Found {
    fn image(&mut self, name: &str) {
        if !self.images.iter().any(|there| there == name) {
            self.images.push(name.to_owned());
        }
    }
}

/// The images that `text` names, with the build arguments `given`.
pub(super) fn images(text: &str, given: &BTreeMap<String, String>) -> Found {
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

/// The build arguments that builders know without an `ARG` (docs.docker.com, "Build variables"). Those that begin with
/// `BUILDKIT_` are known, too.
const PREDEFINED: [&str; 20] = [
    "ALL_PROXY",
    "BUILDARCH",
    "BUILDOS",
    "BUILDPLATFORM",
    "BUILDVARIANT",
    "FTP_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "SOURCE_DATE_EPOCH",
    "TARGETARCH",
    "TARGETOS",
    "TARGETPLATFORM",
    "TARGETSTAGE",
    "TARGETVARIANT",
    "all_proxy",
    "ftp_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// Which of these build arguments no `ARG` of any stage declares, so that they have no effect. A file of another syntax than
/// Docker's is not read.
pub(super) fn undeclared<'a>(text: &str, given: &[&'a str]) -> Vec<&'a str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (directives, escape) = directives(text);
    if let Some(syntax) = directives.get("syntax")
        && !syntax.contains("docker/dockerfile")
    {
        return Vec::new();
    }
    let declared: Vec<String> = instructions(text, escape)
        .iter()
        .map(|instruction| split(instruction))
        .filter(|(name, _)| name.eq_ignore_ascii_case("ARG"))
        .flat_map(|(_, rest)| words(rest))
        .map(|word| word.split('=').next().unwrap_or_default().to_owned())
        .collect();
    given
        .iter()
        .copied()
        .filter(|name| {
            !declared.iter().any(|declared| declared == name)
                && !PREDEFINED.contains(name)
                && !name.starts_with("BUILDKIT_")
        })
        .collect()
}

/// `# name=value` lines at the top, until anything else stands there.
fn directives(text: &str) -> (BTreeMap<String, String>, char) {
    let mut directives = BTreeMap::new();
    for (line, number) in text.lines().zip(0..) {
        // A script's first line may come before them.
        if number == 0 && line.starts_with("#!") {
            continue;
        }
        let pair = line
            .trim()
            .strip_prefix('#')
            .and_then(|rest| rest.split_once('='));
        match pair {
            Some((name, value)) if name.trim().bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                directives
                    .entry(name.trim().to_ascii_lowercase())
                    .or_insert_with(|| value.trim().to_owned());
            }
            _ => break,
        }
    }
    let escape = match directives.get("escape").map(String::as_str) {
        Some("`") => '`',
        _ => '\\',
    };
    (directives, escape)
}

/// The instructions, each one line, without comments and without the texts of here-documents.
fn instructions(text: &str, escape: char) -> Vec<String> {
    let mut all = Vec::new();
    let mut lines = text.lines();
    let mut instruction = String::new();
    while let Some(line) = lines.next() {
        // Comments and empty lines within an instruction are not part of it.
        if line.trim_start().starts_with('#') || line.trim().is_empty() {
            continue;
        }
        let trimmed = line.trim_end();
        if let Some(part) = trimmed.strip_suffix(escape) {
            instruction.push_str(part);
            continue;
        }
        instruction.push_str(trimmed);
        let whole = std::mem::take(&mut instruction);
        for (end, tabs) in here_documents(&whole) {
            for line in lines.by_ref() {
                let line = if tabs {
                    line.trim_start_matches('\t')
                } else {
                    line
                };
                if line == end {
                    break;
                }
            }
        }
        all.push(whole);
    }
    if !instruction.is_empty() {
        all.push(instruction);
    }
    all
}

/// The ends of the here-documents that RUN, COPY or ADD begin, and whether tabs before them count.
fn here_documents(instruction: &str) -> Vec<(String, bool)> {
    let (name, _) = split(instruction);
    if !["RUN", "COPY", "ADD"].contains(&name.to_ascii_uppercase().as_str()) {
        return Vec::new();
    }
    instruction
        .split_whitespace()
        .filter_map(|word| {
            let digits = word.trim_start_matches(|digit: char| digit.is_ascii_digit());
            let rest = digits.strip_prefix("<<")?;
            let (rest, tabs) = match rest.strip_prefix('-') {
                Some(rest) => (rest, true),
                None => (rest, false),
            };
            let end = rest.trim_matches(['"', '\'']);
            let named = !end.is_empty() && !end.starts_with('<');
            named.then(|| (end.to_owned(), tabs))
        })
        .collect()
}

fn split(instruction: &str) -> (&str, &str) {
    let text = instruction.trim_start();
    match text.split_once(char::is_whitespace) {
        Some((name, rest)) => (name, rest.trim()),
        None => (text, ""),
    }
}

/// The values of `--NAME=VALUE` before the instruction's first other word.
fn flags(rest: &str, name: &str) -> Vec<String> {
    rest.split_whitespace()
        .take_while(|word| word.starts_with("--"))
        .filter_map(|word| {
            let value = word.strip_prefix("--")?.strip_prefix(name)?;
            Some(
                value
                    .strip_prefix('=')?
                    .trim_matches(['"', '\''])
                    .to_owned(),
            )
        })
        .collect()
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

/// Words, with what stands in quotes kept together and the quotes gone.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    for next in text.chars() {
        match (quote, next) {
            (None, '"' | '\'') => quote = Some(next),
            (Some(open), _) if open == next => quote = None,
            (None, _) if next.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            _ => word.push(next),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
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

/// What `COPY --from=` or a mount reads: a stage by name or number, or an image.
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

/// Puts the values of global arguments in place of `$NAME`, `${NAME}`, `${NAME:-else}` and
/// `${NAME:+if}` ("Environment replacement").
fn expand(text: &str, escape: char, global: &BTreeMap<String, String>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text.chars().peekable();
    let value = |name: &str| match global.get(name) {
        Some(value) => Ok(value.clone()),
        // The builder knows these; what they are here depends on where it runs.
        None if name.starts_with("TARGET") || name.starts_with("BUILD") => {
            Err(format!("{text} depends on the builder's {name}"))
        }
        None => Ok(String::new()),
    };
    while let Some(next) = rest.next() {
        if next == escape {
            out.extend(rest.next());
            continue;
        }
        if next != '$' {
            out.push(next);
            continue;
        }
        let mut name = String::new();
        let braced = rest.next_if_eq(&'{').is_some();
        while let Some(letter) =
            rest.next_if(|letter| letter.is_ascii_alphanumeric() || *letter == '_')
        {
            name.push(letter);
        }
        if !braced {
            out.push_str(&value(&name)?);
            continue;
        }
        let mut depth = 1;
        let mut inner = String::new();
        for letter in rest.by_ref() {
            depth += match letter {
                '{' => 1,
                '}' => -1,
                _ => 0,
            };
            if depth == 0 {
                break;
            }
            inner.push(letter);
        }
        let there = global.get(&name);
        let filled = there.is_some_and(|value| !value.is_empty());
        let operator = inner.find(['-', '+', '?']).map_or("", |at| &inner[..=at]);
        let word = &inner[operator.len()..];
        out.push_str(&match operator {
            "" if inner.is_empty() => value(&name)?,
            ":-" if filled => value(&name)?,
            "-" if there.is_some() => value(&name)?,
            ":-" | "-" => expand(word, escape, global)?,
            ":+" if !filled => String::new(),
            "+" if there.is_none() => String::new(),
            ":+" | "+" => expand(word, escape, global)?,
            ":?" if filled => value(&name)?,
            "?" if there.is_some() => value(&name)?,
            _ => return Err(format!("{text} is not understood")),
        });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_argument_that_no_stage_declares_is_named() {
        let text = "ARG BASE=a\nFROM $BASE AS one\nARG A \\\n  B=2\nRUN <<END\nARG HIDDEN\nEND\nFROM one\narg C\n# ARG D\n";
        let given = [
            "BASE",
            "A",
            "B",
            "C",
            "D",
            "HIDDEN",
            "HTTP_PROXY",
            "no_proxy",
            "BUILDKIT_X",
            "TARGETARCH",
            "a",
        ];
        assert_eq!(undeclared(text, &given), ["D", "HIDDEN", "a"]);
        let other = format!("# syntax=example/frontend\n{text}");
        assert_eq!(undeclared(&other, &given), [""; 0]);
        let docker = format!("# syntax=docker/dockerfile:1\n{text}");
        assert_eq!(undeclared(&docker, &["D"]), ["D"]);
    }

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
    fn what_cannot_be_told_is_said() {
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
