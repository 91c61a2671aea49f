//! Files made by chance of everything in HCL that hides or imitates a call of a module. Whatever stands
//! around a call, it is found, and what only looks like one is not. The same files were read by the
//! tool's own reader, which finds the same calls.

use super::*;
use std::fmt::Write;

/// How many files are made.
const FILES: u64 = 600;

/// Fragments that look like syntax, for texts and comments.
const LOOKS: [&str; 12] = [
    "module \\\"no\\\" { source = \\\"x\\\" }",
    "/*",
    "*/",
    "#",
    "//",
    "<<EOT",
    "EOT",
    "}",
    "{",
    "$${",
    "%%{",
    "é $ % ~}",
];

/// A generator of numbers (Numerical Recipes' constants), so that each seed makes one file.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }
}

/// An expression; `deep` ends its nesting.
fn expression(chance: &mut Chance, deep: usize) -> String {
    let kinds = if deep == 0 { 3 } else { 9 };
    match chance.below(kinds) {
        0 => "12".to_owned(),
        1 => "null".to_owned(),
        2 => format!("\"{}\"", chance.of(&LOOKS)),
        3 | 4 => quoted(chance, deep - 1),
        5 | 6 => heredoc(chance, deep - 1),
        7 => {
            let (one, other) = (expression(chance, deep - 1), expression(chance, deep - 1));
            format!("[\n{one}{} , {other}\n]", comment(chance))
        }
        _ => {
            let value = expression(chance, deep - 1);
            format!("{{\n  module = {value}\n  \"}}\" = \"{{\"\n}}")
        }
    }
}

/// A comment that ends on its own line.
fn comment(chance: &mut Chance) -> &'static str {
    chance.of(&[
        "",
        "/* \" */",
        "/* } ${ */",
        "/* <<EOT\n */",
        "/**/",
        "# \" }\n",
        "// <<EOT /* \n",
    ])
}

fn template(chance: &mut Chance, deep: usize) -> String {
    let inside = expression(chance, deep);
    let (before, after) = (comment(chance), comment(chance));
    let strip = chance.of(&["", "~"]);
    format!("${{{strip}{before} {inside} {after}\n{strip}}}")
}

fn quoted(chance: &mut Chance, deep: usize) -> String {
    let mut text = String::from("\"");
    for _ in 0..chance.below(4) {
        match chance.below(3) {
            0 => text.push_str(&template(chance, deep)),
            _ => text.push_str(chance.of(&LOOKS)),
        }
    }
    text + "\""
}

fn heredoc(chance: &mut Chance, deep: usize) -> String {
    let mark = chance.of(&["EOT", "A-B", "É"]);
    let mut text = format!("<<{}{mark}\n", chance.of(&["", "-"]));
    for _ in 0..chance.below(5) {
        match chance.below(6) {
            0 => writeln!(text, "{}", template(chance, deep)).unwrap(),
            // None of these lines is the end.
            1 => writeln!(text, "${{1}}{mark}").unwrap(),
            2 => writeln!(text, "${{[\n{mark}\n]}}").unwrap(),
            3 => writeln!(text, "{mark} x").unwrap(),
            4 => writeln!(text, "module \"no\" {{ source = \"x\" }} \" ' \\ $ %").unwrap(),
            _ => writeln!(text, " {}.", chance.of(&LOOKS)).unwrap(),
        }
    }
    writeln!(
        text,
        "{}{mark}{}",
        chance.of(&["", "  ", "\t"]),
        chance.of(&["", "  "])
    )
    .unwrap();
    text
}

/// A file, and the calls in it: their names and sources.
fn file(seed: u64) -> (String, BTreeMap<String, String>) {
    let mut chance = Chance(seed);
    let mut text = chance.of(&["", "\u{feff}"]).to_owned();
    let mut calls = BTreeMap::new();
    for number in 0..2 + chance.below(4) {
        text.push_str(comment(&mut chance));
        let value = expression(&mut chance, 3);
        match chance.below(3) {
            0 => writeln!(text, "locals {{\n  x = {value}\n}}").unwrap(),
            1 => writeln!(
                text,
                "output \"o{number}\" {{ # module\n  value = {value}\n}}"
            )
            .unwrap(),
            _ => {
                let (name, source) = (format!("m{number}"), format!("./s{number}"));
                let comment = chance.of(&["", "/* { */ "]);
                let label = match chance.below(2) {
                    0 => name.clone(),
                    _ => format!("\"{name}\""),
                };
                let own = format!("  source {comment}= \"{source}\" # it\n");
                let other = format!("  tags = {value}\n  nested {{\n    source = \"no\"\n  }}\n");
                let (first, second) = match chance.below(2) {
                    0 => (own, other),
                    _ => (other, own),
                };
                writeln!(text, "module {comment}{label} {{\n{first}{second}}}").unwrap();
                calls.insert(name, source);
            }
        }
    }
    let text = match chance.below(3) {
        0 => text.replace('\n', "\r\n"),
        _ => text,
    };
    (text, calls)
}

#[test]
fn calls_are_found_whatever_stands_around_them() {
    for seed in 0..FILES {
        let (text, calls) = file(seed);
        let mut code = Code::default();
        if let Err(error) = code.add_hcl(&text, "main.tf") {
            panic!("{error} (seed {seed})\n{text}");
        }
        let found = code
            .calls
            .into_iter()
            .map(|(name, call)| match call.source {
                Some(Value::Literal(source)) => (name, source),
                other => panic!("{name}: {other:?} (seed {seed})\n{text}"),
            });
        assert_eq!(
            found.collect::<BTreeMap<_, _>>(),
            calls,
            "seed {seed}\n{text}"
        );
    }
}
