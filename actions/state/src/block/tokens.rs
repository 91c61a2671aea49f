//! The tokens of HCL, as far as blocks of literals and calls of modules need them. Pure.
//!
//! The author of the code may want it to be read otherwise than the tool reads it. So everything that can hold
//! arbitrary text (strings, heredocs, templates, comments) is scanned as the tool scans it, and the first line that
//! cannot be read for certain is noted.
//! Source: hashicorp/hcl `hclsyntax/spec.md` and `scan_tokens.rl`.

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
    /// True if a text, a comment or a bracket has no end.
    cut_off: bool,
    /// The first line that cannot be read for certain.
    unclear: Option<usize>,
    /// How many templates stand within each other here.
    depth: usize,
}

/// More than anybody puts templates into each other.
const DEEPEST: usize = 50;

/// The construct that a `$` or `%` begins.
enum Begins {
    Template,
    /// `$${`, which stands for `${`.
    Escape,
    Nothing,
}

impl<'a> Tokens<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self {
            rest: text.chars().peekable(),
            line: 1,
            ahead: VecDeque::new(),
            cut_off: false,
            unclear: None,
            depth: 0,
        }
    }

    /// Returns true if a text, a comment or a bracket had no end, so that the tokens are not those that were meant.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.cut_off
    }

    /// There are no more tokens, although a block is open.
    pub(crate) fn cut_off(&mut self) {
        self.cut_off = true;
    }

    /// The first line that cannot be read for certain.
    pub(crate) fn unclear(&self) -> Option<usize> {
        self.unclear
    }

    /// Notes that the tool may read this line differently.
    pub(crate) fn doubt(&mut self, line: usize) {
        self.unclear.get_or_insert(line);
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
                mark => {
                    // Such as a combining character, which may be a part of a name.
                    if !mark.is_ascii() {
                        self.doubt(line);
                    }
                    Token::Mark(mark)
                }
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

    /// Passes over a heredoc after its first `<`, up to the line feed after its end. A line is its end only if
    /// no template stands in it, and the lines within a template are none of its lines.
    fn heredoc(&mut self) {
        let line = self.line;
        self.character();
        self.rest.next_if_eq(&'-');
        let mut mark = String::new();
        while let Some(c) = self.rest.next_if(|c| !matches!(c, '\n' | '\r')) {
            mark.push(c);
        }
        self.rest.next_if_eq(&'\r');
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        if mark.is_empty() || mark.starts_with('-') || !mark.chars().all(is_part) {
            self.doubt(line);
        }
        self.character();
        let mut text = Some(String::new());
        loop {
            match self.rest.peek() {
                None => {
                    self.cut_off = true;
                    return;
                }
                Some('\n') if text.as_ref().is_some_and(|text| text.trim() == mark) => return,
                Some(_) => {}
            }
            match self.character() {
                Some('\n') => text = Some(String::new()),
                Some(sign @ ('$' | '%')) => match self.begins(sign) {
                    Begins::Template => {
                        self.template();
                        text = None;
                    }
                    Begins::Escape => text = None,
                    Begins::Nothing => text.iter_mut().for_each(|text| text.push(sign)),
                },
                Some(other) => text.iter_mut().for_each(|text| text.push(other)),
                None => {}
            }
        }
    }

    /// The construct that the `$` or `%` just read begins; consumes the rest of an escape.
    fn begins(&mut self, sign: char) -> Begins {
        let mut ahead = self.rest.clone();
        match (ahead.next(), ahead.next()) {
            (Some('{'), _) => Begins::Template,
            (Some(next), Some('{')) if next == sign => {
                self.character();
                self.character();
                Begins::Escape
            }
            _ => Begins::Nothing,
        }
    }

    /// A text after its opening quote; `None` where it holds a template, or what cannot be read.
    fn text(&mut self) -> Option<String> {
        let mut text = Some(String::new());
        loop {
            let line = self.line;
            let Some(character) = self.character() else {
                self.cut_off = true;
                return None;
            };
            let literal = match character {
                '"' => return text,
                '\n' => {
                    self.doubt(line);
                    None
                }
                '\\' => self.escaped(),
                '$' | '%' => match self.begins(character) {
                    Begins::Template => {
                        self.template();
                        None
                    }
                    Begins::Escape => {
                        text.iter_mut().for_each(|text| text.push(character));
                        Some('{')
                    }
                    Begins::Nothing => Some(character),
                },
                other => Some(other),
            };
            match (literal, &mut text) {
                (Some(literal), Some(text)) => text.push(literal),
                _ => text = None,
            }
        }
    }

    /// The character that an escape stands for, after its backslash; `None` if the escape is invalid.
    fn escaped(&mut self) -> Option<char> {
        let line = self.line;
        let found = match self.character() {
            Some('n') => Some('\n'),
            Some('r') => Some('\r'),
            Some('t') => Some('\t'),
            Some(same @ ('"' | '\\')) => Some(same),
            Some('u') => self.code_point(4),
            Some('U') => self.code_point(8),
            Some(_) | None => None,
        };
        if found.is_none() {
            self.doubt(line);
        }
        found
    }

    /// Takes no more than there are digits, so that what follows is still seen.
    fn code_point(&mut self, digits: usize) -> Option<char> {
        let mut number: u32 = 0;
        for _ in 0..digits {
            let digit = self.rest.next_if(char::is_ascii_hexdigit)?.to_digit(16)?;
            number = number.checked_mul(16)?.checked_add(digit)?;
        }
        char::from_u32(number)
    }

    /// Passes over a template before its opening brace. Its expression may hold everything that code holds.
    fn template(&mut self) {
        let line = self.line;
        self.character();
        if self.depth == DEEPEST {
            self.doubt(line);
            self.cut_off = true;
            while self.character().is_some() {}
            return;
        }
        self.depth += 1;
        let mut open = 1_u32;
        while open > 0 {
            match self.read() {
                Some((Token::Mark('{'), _)) => open += 1,
                Some((Token::Mark('}'), _)) => open -= 1,
                Some(_) => {}
                None => {
                    self.cut_off = true;
                    break;
                }
            }
        }
        self.depth -= 1;
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
