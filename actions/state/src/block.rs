//! The backend block of a folder of infrastructure code, and the files that `-backend-config`
//! names. A reader of HCL's tokens suffices: the block holds literals. Pure but for reading files.
//! Source: hashicorp/hcl `hclsyntax/spec.md`; terraform `internal/configs/parser_config_dir.go`.

use kit::error::{Context, Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

/// A value that a block gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Value {
    /// A text, a number or a boolean, as text: Terraform converts one into the other.
    Literal(String),
    /// `null`, which is as good as absent.
    Null,
    /// Anything that has to be evaluated, or has parts.
    Expression,
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Setting {
    pub(crate) value: Value,
    pub(crate) line: usize,
}

/// A backend block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Block {
    /// `s3`, `local`, …; `cloud` for the block of that name.
    pub(crate) kind: String,
    pub(crate) file: PathBuf,
    pub(crate) settings: BTreeMap<String, Setting>,
}

/// What the code of a folder says of its backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Declared {
    /// There is no code.
    NoCode,
    /// There is code without a backend.
    NoBackend,
    Block(Block),
}

/// Reads the block that counts: that of an override file before others, and for OpenTofu that of
/// `NAME.tofu` instead of `NAME.tf`.
///
/// # Errors
/// Files that cannot be read.
pub(crate) fn declared(folder: &Path, tofu: bool) -> Result<Declared> {
    let cannot = || format!("cannot read {}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).context(cannot())? {
        let path = entry.context(cannot())?.path();
        if let Some(file) = File::of(path, tofu) {
            files.push(file);
        }
    }
    files.sort_by(|a, b| (a.overrides, &a.path).cmp(&(b.overrides, &b.path)));
    let hidden: Vec<String> = files
        .iter()
        .filter(|file| file.tofu)
        .map(|file| file.stem.clone())
        .collect();
    files.retain(|file| file.tofu || !hidden.contains(&file.stem));
    let mut found = Declared::NoCode;
    for file in files {
        let text = std::fs::read_to_string(&file.path)
            .context(format!("cannot read {}", file.path.display()))?;
        let blocks = if file.json {
            json_blocks(&text, &file.path)
        } else {
            blocks(&text, &file.path)
        };
        match (blocks.into_iter().next_back(), &found) {
            (Some(block), _) => found = Declared::Block(block),
            (None, Declared::NoCode) => found = Declared::NoBackend,
            (None, _) => {}
        }
    }
    Ok(found)
}

/// The settings of a file that `-backend-config` names.
///
/// # Errors
/// It cannot be read.
pub(crate) fn file(path: &Path) -> Result<BTreeMap<String, Setting>> {
    let text = std::fs::read_to_string(path).context(format!("cannot read {}", path.display()))?;
    if path
        .extension()
        .is_some_and(|extension| extension == "json")
    {
        let json: serde_json::Value = serde_json::from_str(&text).map_err(|error| {
            Error::failed(format!("{} is not JSON", path.display())).because(error)
        })?;
        return Ok(json_settings(&json, &text));
    }
    Ok(settings(&mut Tokens::of(&text)))
}

/// A file of infrastructure code.
struct File {
    path: PathBuf,
    stem: String,
    json: bool,
    tofu: bool,
    overrides: bool,
}

impl File {
    fn of(path: PathBuf, tofu: bool) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_owned();
        if name.starts_with('.') || name.ends_with('~') || name.starts_with('#') {
            return None;
        }
        let (stem, is_tofu, json) = [
            (".tf", false, false),
            (".tf.json", false, true),
            (".tofu", true, false),
            (".tofu.json", true, true),
        ]
        .into_iter()
        .find_map(|(end, is_tofu, json)| Some((name.strip_suffix(end)?, is_tofu, json)))?;
        if is_tofu && !tofu {
            return None;
        }
        Some(Self {
            overrides: stem == "override" || stem.ends_with("_override"),
            stem: format!("{stem}{}", if json { ".json" } else { "" }),
            json,
            tofu: is_tofu,
            path,
        })
    }
}

/// A token of HCL, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    /// `None`: a template.
    Text(Option<String>),
    Mark(char),
    Newline,
}

struct Tokens<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    line: usize,
    /// Those that were looked at and not taken.
    ahead: VecDeque<(Token, usize)>,
}

impl<'a> Tokens<'a> {
    fn of(text: &'a str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self {
            rest: text.chars().peekable(),
            line: 1,
            ahead: VecDeque::new(),
        }
    }

    fn character(&mut self) -> Option<char> {
        let character = self.rest.next();
        if character == Some('\n') {
            self.line += 1;
        }
        character
    }

    fn peek(&mut self) -> Option<&Token> {
        if self.ahead.is_empty() {
            let token = self.read()?;
            self.ahead.push_front(token);
        }
        self.ahead.front().map(|(token, _)| token)
    }

    /// The next token and its line.
    fn take(&mut self) -> Option<(Token, usize)> {
        match self.ahead.pop_front() {
            Some(token) => Some(token),
            None => self.read(),
        }
    }

    fn read(&mut self) -> Option<(Token, usize)> {
        loop {
            let line = self.line;
            let token = match self.character()? {
                '\n' => Token::Newline,
                c if c.is_whitespace() => continue,
                '#' => {
                    self.skip_line();
                    continue;
                }
                '/' if self.rest.peek() == Some(&'/') => {
                    self.skip_line();
                    continue;
                }
                '/' if self.rest.peek() == Some(&'*') => {
                    let mut before = ' ';
                    self.character();
                    while let Some(character) = self.character() {
                        if before == '*' && character == '/' {
                            break;
                        }
                        before = character;
                    }
                    continue;
                }
                '<' if self.rest.peek() == Some(&'<') => {
                    self.heredoc();
                    // The line that ends it ends the value too.
                    self.ahead.push_back((Token::Newline, self.line));
                    Token::Text(None)
                }
                '"' => Token::Text(self.text()),
                c if c.is_alphanumeric() || c == '_' => {
                    let mut word = c.to_string();
                    while let Some(c) = self
                        .rest
                        .next_if(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
                    {
                        word.push(c);
                    }
                    Token::Word(word)
                }
                mark => Token::Mark(mark),
            };
            return Some((token, line));
        }
    }

    fn skip_line(&mut self) {
        while self.rest.next_if(|c| *c != '\n').is_some() {}
    }

    fn heredoc(&mut self) {
        self.character();
        let mut mark = String::new();
        while let Some(c) = self.rest.next_if(|c| *c != '\n') {
            mark.push(c);
        }
        let mark = mark.trim_start_matches('-').trim().to_owned();
        let mut line = String::new();
        while let Some(character) = self.character() {
            if character != '\n' {
                line.push(character);
                continue;
            }
            if line.trim() == mark && !mark.is_empty() {
                return;
            }
            line.clear();
        }
    }

    /// A text after its opening quote; `None` where it holds a template.
    fn text(&mut self) -> Option<String> {
        let mut text = Some(String::new());
        loop {
            let character = self.character()?;
            let literal = match character {
                '"' => return text,
                '\\' => match self.character()? {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'u' => self.code_point(4)?,
                    'U' => self.code_point(8)?,
                    other => other,
                },
                '$' | '%' if self.rest.peek() == Some(&'{') => {
                    self.template();
                    text = None;
                    continue;
                }
                '$' | '%' if self.rest.peek() == Some(&character) => {
                    let mut ahead = self.rest.clone();
                    ahead.next();
                    if ahead.next() == Some('{') {
                        self.character();
                        self.character();
                        if let Some(text) = &mut text {
                            text.push(character);
                        }
                        '{'
                    } else {
                        character
                    }
                }
                other => other,
            };
            if let Some(text) = &mut text {
                text.push(literal);
            }
        }
    }

    fn code_point(&mut self, digits: usize) -> Option<char> {
        let mut number = 0;
        for _ in 0..digits {
            number = number * 16 + self.character()?.to_digit(16)?;
        }
        char::from_u32(number)
    }

    /// Passes over a template, whose expression may hold texts and braces.
    fn template(&mut self) {
        let mut depth = 0_u32;
        while let Some(character) = self.character() {
            match character {
                '{' => depth += 1,
                '}' if depth == 1 => return,
                '}' => depth -= 1,
                '"' => {
                    self.text();
                }
                _ => {}
            }
        }
    }

    /// Passes over the rest of a block or a list, after its opening bracket.
    fn skip(&mut self) {
        let mut depth = 1_u32;
        while depth > 0 {
            match self.take() {
                Some((Token::Mark('{' | '[' | '('), _)) => depth += 1,
                Some((Token::Mark('}' | ']' | ')'), _)) => depth -= 1,
                Some(_) => {}
                None => return,
            }
        }
    }

    /// The value after `=`, up to the end of its line or block.
    fn value(&mut self) -> Value {
        let mut parts = Vec::new();
        loop {
            match self.peek() {
                None | Some(Token::Newline | Token::Mark('}')) => break,
                Some(_) => {}
            }
            if let Some((token, _)) = self.take() {
                if matches!(token, Token::Mark('{' | '[' | '(')) {
                    self.skip();
                }
                parts.push(token);
            }
        }
        match parts.as_slice() {
            [Token::Text(Some(text))] => Value::Literal(text.clone()),
            [Token::Word(word)] if word == "null" => Value::Null,
            [Token::Word(word)]
                if word == "true"
                    || word == "false"
                    || word.starts_with(|c: char| c.is_ascii_digit()) =>
            {
                Value::Literal(word.clone())
            }
            _ => Value::Expression,
        }
    }
}

/// The settings of a body, up to its closing brace.
fn settings(tokens: &mut Tokens<'_>) -> BTreeMap<String, Setting> {
    let mut found = BTreeMap::new();
    while let Some((token, line)) = tokens.take() {
        let name = match token {
            Token::Mark('}') => break,
            Token::Word(name) | Token::Text(Some(name)) => name,
            _ => continue,
        };
        match tokens.take() {
            Some((Token::Mark('='), _)) => {
                let value = tokens.value();
                found.insert(name, Setting { value, line });
            }
            Some((Token::Mark('{'), _)) => {
                tokens.skip();
                let value = Value::Expression;
                found.insert(name, Setting { value, line });
            }
            _ => {}
        }
    }
    found
}

/// The backend blocks of a file of HCL, in order.
fn blocks(text: &str, path: &Path) -> Vec<Block> {
    let mut tokens = Tokens::of(text);
    let mut found = Vec::new();
    while let Some((token, _)) = tokens.take() {
        match token {
            Token::Word(word)
                if word == "terraform" && tokens.peek() == Some(&Token::Mark('{')) =>
            {
                tokens.take();
                inside_terraform(&mut tokens, path, &mut found);
            }
            Token::Mark('{' | '[' | '(') => tokens.skip(),
            _ => {}
        }
    }
    found
}

fn inside_terraform(tokens: &mut Tokens<'_>, path: &Path, found: &mut Vec<Block>) {
    let mut labels: Vec<String> = Vec::new();
    while let Some((token, _)) = tokens.take() {
        match token {
            Token::Word(word) | Token::Text(Some(word)) => labels.push(word),
            Token::Mark('{') => {
                let kind = match labels.as_slice() {
                    [backend, kind] if backend == "backend" => Some(kind.clone()),
                    [cloud] if cloud == "cloud" => Some(cloud.clone()),
                    _ => None,
                };
                match kind {
                    Some(kind) => found.push(Block {
                        kind,
                        file: path.to_owned(),
                        settings: settings(tokens),
                    }),
                    None => tokens.skip(),
                }
                labels.clear();
            }
            Token::Mark('[' | '(') => tokens.skip(),
            Token::Mark('}') => return,
            _ => labels.clear(),
        }
    }
}

/// The backend blocks of a file in JSON, each level of which may be a list.
fn json_blocks(text: &str, path: &Path) -> Vec<Block> {
    let json: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let mut found = Vec::new();
    for terraform in each(&json["terraform"]) {
        if !terraform["cloud"].is_null() {
            found.push(Block {
                kind: "cloud".to_owned(),
                file: path.to_owned(),
                settings: BTreeMap::new(),
            });
        }
        for backend in each(&terraform["backend"]) {
            for (kind, bodies) in backend.as_object().into_iter().flatten() {
                let settings = each(bodies)
                    .next()
                    .map(|body| json_settings(body, text))
                    .unwrap_or_default();
                found.push(Block {
                    kind: kind.clone(),
                    file: path.to_owned(),
                    settings,
                });
            }
        }
    }
    found
}

fn each(value: &serde_json::Value) -> impl Iterator<Item = &serde_json::Value> {
    let (list, one) = match value {
        serde_json::Value::Array(list) => (list.as_slice(), None),
        serde_json::Value::Null => (&[][..], None),
        one => (&[][..], Some(one)),
    };
    list.iter().chain(one)
}

fn json_settings(body: &serde_json::Value, text: &str) -> BTreeMap<String, Setting> {
    let line = |name: &str| {
        let begin = text.find("\"backend\"").unwrap_or_default();
        let at = text[begin..]
            .find(&format!("\"{name}\""))
            .unwrap_or_default();
        1 + text[..begin + at].matches('\n').count()
    };
    let settings = body.as_object().into_iter().flatten();
    settings
        .map(|(name, value)| {
            let value = match value {
                serde_json::Value::Null => Value::Null,
                serde_json::Value::String(text) if text.contains("${") || text.contains("%{") => {
                    Value::Expression
                }
                serde_json::Value::String(text) => Value::Literal(text.clone()),
                serde_json::Value::Array(_) | serde_json::Value::Object(_) => Value::Expression,
                other => Value::Literal(other.to_string()),
            };
            let line = line(name);
            (name.clone(), Setting { value, line })
        })
        .collect()
}

#[cfg(test)]
mod tests {
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
                &[("main.tf", "# terraform { backend \"s3\" {} }\n")],
                "no backend",
            ),
            (
                &[("main.tf", "/* terraform {\n backend \"s3\" {} } */")],
                "no backend",
            ),
            (
                &[(
                    "main.tf",
                    "resource \"a\" \"b\" {\n terraform {\n backend \"s3\" {} } }",
                )],
                "no backend",
            ),
            (
                &[(
                    "main.tf",
                    "locals {\n x = <<-EOT\n  terraform { backend \"s3\" {} }\n  EOT\n}",
                )],
                "no backend",
            ),
            (
                &[(
                    "main.tf",
                    "locals { x = \"${y(\"}\")} terraform { backend \\\"s3\\\" {} }\" }\n",
                )],
                "no backend",
            ),
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
            blocks(&text[..cut], Path::new("x"));
        }
    }
}
