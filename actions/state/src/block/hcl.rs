//! Backend blocks and settings in HCL. Pure.

use super::tokens::{Token, Tokens};
use super::{Block, Setting, Value};
use std::collections::BTreeMap;
use std::path::Path;

/// The settings of a body, up to its closing brace.
pub(super) fn settings(tokens: &mut Tokens<'_>) -> BTreeMap<String, Setting> {
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
pub(super) fn blocks(text: &str, path: &Path) -> Vec<Block> {
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
