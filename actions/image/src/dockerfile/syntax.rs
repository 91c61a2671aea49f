//! The syntax of a Dockerfile, as far as it decides which images are named: directives, instructions, words, variables.

use std::collections::BTreeMap;

/// `# name=value` lines at the top, until anything else stands there.
pub(super) fn directives(text: &str) -> (BTreeMap<String, String>, char) {
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
pub(super) fn instructions(text: &str, escape: char) -> Vec<String> {
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

pub(super) fn split(instruction: &str) -> (&str, &str) {
    let text = instruction.trim_start();
    match text.split_once(char::is_whitespace) {
        Some((name, rest)) => (name, rest.trim()),
        None => (text, ""),
    }
}

/// The values of `--NAME=VALUE` before the instruction's first other word.
pub(super) fn flags(rest: &str, name: &str) -> Vec<String> {
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

/// Words, with what stands in quotes kept together and the quotes gone.
pub(super) fn words(text: &str) -> Vec<String> {
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

/// Puts the values of global arguments in place of `$NAME`, `${NAME}`, `${NAME:-else}` and
/// `${NAME:+if}` ("Environment replacement").
pub(super) fn expand(
    text: &str,
    escape: char,
    global: &BTreeMap<String, String>,
) -> Result<String, String> {
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
