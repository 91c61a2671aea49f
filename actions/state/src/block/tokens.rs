//! The tokens of HCL, as far as a backend block needs them. Pure.
//! Source: hashicorp/hcl `hclsyntax/spec.md`.

use super::Value;
use std::collections::VecDeque;

/// A token of HCL, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    Word(String),
    /// `None`: a template.
    Text(Option<String>),
    Mark(char),
    Newline,
}

pub(crate) struct Tokens<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    line: usize,
    /// Those that were looked at and not taken.
    ahead: VecDeque<(Token, usize)>,
    /// Whether something has no end.
    cut_off: bool,
}

impl<'a> Tokens<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self {
            rest: text.chars().peekable(),
            line: 1,
            ahead: VecDeque::new(),
            cut_off: false,
        }
    }

    /// Whether a text, a comment or a bracket had no end, so that what was read is not what was meant.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.cut_off
    }

    /// There are no more tokens, although a block is open.
    pub(crate) fn cut_off(&mut self) {
        self.cut_off = true;
    }

    fn character(&mut self) -> Option<char> {
        let character = self.rest.next();
        if character == Some('\n') {
            self.line += 1;
        }
        character
    }

    pub(crate) fn peek(&mut self) -> Option<&Token> {
        if self.ahead.is_empty() {
            let token = self.read()?;
            self.ahead.push_front(token);
        }
        self.ahead.front().map(|(token, _)| token)
    }

    /// The next token and its line.
    pub(crate) fn take(&mut self) -> Option<(Token, usize)> {
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
                    self.comment();
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

    fn comment(&mut self) {
        let mut before = ' ';
        self.character();
        while let Some(character) = self.character() {
            if before == '*' && character == '/' {
                return;
            }
            before = character;
        }
        self.cut_off = true;
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
        self.cut_off |= line.trim() != mark;
    }

    /// A text after its opening quote; `None` where it holds a template.
    fn text(&mut self) -> Option<String> {
        let mut text = Some(String::new());
        loop {
            let Some(character) = self.character() else {
                self.cut_off = true;
                return None;
            };
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
    pub(crate) fn skip(&mut self) {
        let mut depth = 1_u32;
        while depth > 0 {
            match self.take() {
                Some((Token::Mark('{' | '[' | '('), _)) => depth += 1,
                Some((Token::Mark('}' | ']' | ')'), _)) => depth -= 1,
                Some(_) => {}
                None => {
                    self.cut_off = true;
                    return;
                }
            }
        }
    }

    /// The value after `=`, up to the end of its line or block.
    pub(crate) fn value(&mut self) -> Value {
        Value::of(&self.parts(false))
    }

    /// The tokens of a value, without what is in brackets, up to the end of its line or block. Within an
    /// object a comma ends it too.
    pub(crate) fn parts(&mut self, object: bool) -> Vec<Token> {
        let mut parts = Vec::new();
        loop {
            match self.peek() {
                None | Some(Token::Newline | Token::Mark('}')) => break,
                Some(Token::Mark(',')) if object => break,
                Some(_) => {}
            }
            if let Some((token, _)) = self.take() {
                if matches!(token, Token::Mark('{' | '[' | '(')) {
                    self.skip();
                }
                parts.push(token);
            }
        }
        parts
    }
}

impl Value {
    /// The value that these tokens are.
    pub(crate) fn of(parts: &[Token]) -> Self {
        match parts {
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
