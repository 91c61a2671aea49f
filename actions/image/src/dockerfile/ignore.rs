//! The files that `.dockerignore` leaves out of a build's context, by the rules of moby's `patternmatcher`
//! (docs.docker.com, "Build context", .dockerignore files). They are not gitignore's: a pattern
//! holds from the context's root, `!` looks at every path again, the last pattern that matches a
//! path or a folder above it decides.

use kit::{Error, Result};

/// The patterns of one file.
#[derive(Debug, Default)]
pub(crate) struct Ignore(Vec<Pattern>);

#[derive(Debug)]
struct Pattern {
    /// `!`: what it matches stays in.
    keeps: bool,
    tokens: Vec<Token>,
}

#[derive(Debug, PartialEq)]
enum Token {
    One(char),
    /// `?`: one character of a name.
    Any,
    /// `*`: the rest of a name.
    Star,
    /// `**/`: any folders, none included.
    Folders,
    /// `**` at the end: everything below.
    All,
    /// `[a-z]`, `[^x]`.
    Class {
        not: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Ignore {
    /// # Errors
    /// A pattern that the builder would refuse too (exit 2).
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut patterns = Vec::new();
        for (line, number) in text.lines().zip(1..) {
            if line.starts_with('#') {
                continue;
            }
            let line = line.trim();
            let (keeps, line) = match line.strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, line),
            };
            if line.is_empty() && !keeps {
                continue;
            }
            let wrong = |why: &str| {
                Error::usage(format!("line {number} of .dockerignore {why}"))
                    .hint("the builder refuses it too; see docs.docker.com, .dockerignore files")
            };
            if line.is_empty() {
                return Err(wrong("is a lone `!`"));
            }
            let path = clean(line);
            // The root itself: matched by nothing, since only what is in it is asked about.
            if path == "." {
                continue;
            }
            let tokens = tokens(&path).ok_or_else(|| wrong("is not a pattern"))?;
            patterns.push(Pattern { keeps, tokens });
        }
        Ok(Self(patterns))
    }

    /// Returns whether the file or folder at this path from the context's root is left out.
    pub(crate) fn leaves_out(&self, path: &str) -> bool {
        let mut out = false;
        for pattern in &self.0 {
            // Only a pattern that could change the answer is asked.
            if pattern.keeps == out && above(path).any(|path| pattern.matches(path)) {
                out = !out;
            }
        }
        out
    }

    /// Returns whether something in a folder that is left out could be kept all the same.
    pub(crate) fn keeps_some(&self) -> bool {
        self.0.iter().any(|pattern| pattern.keeps)
    }

    /// Returns whether something in the folder at this path could be kept, although the folder is left out: a pattern with
    /// `!` names something in it, as far as the pattern's text is without wildcards.
    pub(crate) fn may_keep_within(&self, path: &str) -> bool {
        let folder = format!("{path}/");
        self.0
            .iter()
            .filter(|pattern| pattern.keeps)
            .any(|pattern| {
                let fixed: String = pattern
                    .tokens
                    .iter()
                    .map_while(|token| match token {
                        Token::One(letter) => Some(letter),
                        _ => None,
                    })
                    .collect();
                let is_whole = fixed.chars().count() == pattern.tokens.len();
                fixed.starts_with(&folder) || (!is_whole && folder.starts_with(&fixed))
            })
    }
}

/// The path and every folder above it.
fn above(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| Some(path.rsplit_once('/')?.0))
}

/// As Go's `filepath.Clean`, which the rules are defined by, without a leading slash.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            // Nothing is above the root.
            ".." if path.starts_with('/') => {}
            part => parts.push(part),
        }
    }
    if parts.is_empty() {
        return ".".to_owned();
    }
    parts.join("/")
}

/// `None` for a class or an escape without an end.
fn tokens(pattern: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = pattern.chars().peekable();
    while let Some(next) = rest.next() {
        tokens.push(match next {
            '*' if rest.next_if_eq(&'*').is_some() => {
                rest.next_if_eq(&'/');
                match rest.peek() {
                    None => Token::All,
                    Some(_) => Token::Folders,
                }
            }
            '*' => Token::Star,
            '?' => Token::Any,
            '\\' => Token::One(rest.next()?),
            '[' => {
                let not = rest.next_if_eq(&'^').is_some();
                let mut ranges = Vec::new();
                loop {
                    let low = match rest.next()? {
                        ']' if !ranges.is_empty() => break,
                        ']' => return None,
                        '\\' => rest.next()?,
                        low => low,
                    };
                    let high = match rest.next_if_eq(&'-') {
                        Some(_) => match rest.next()? {
                            ']' => return None,
                            '\\' => rest.next()?,
                            high => high,
                        },
                        None => low,
                    };
                    ranges.push((low, high));
                }
                Token::Class { not, ranges }
            }
            one => Token::One(one),
        });
    }
    Some(tokens)
}

impl Pattern {
    fn matches(&self, path: &str) -> bool {
        // Every token that could be next after what was read: no pattern takes longer than its
        // length times the path's.
        let end = self.tokens.len();
        let mut states = vec![false; end + 1];
        // Inside a run of folders that has not come to its slash yet.
        let mut inside = vec![false; end];
        states[0] = true;
        self.skip(&mut states);
        for next in path.chars() {
            let mut after = vec![false; end + 1];
            let mut after_inside = vec![false; end];
            for (at, token) in self.tokens.iter().enumerate() {
                let here = states[at];
                match token {
                    Token::One(one) => after[at + 1] |= here && *one == next,
                    Token::Any => after[at + 1] |= here && next != '/',
                    Token::Star => after[at] |= here && next != '/',
                    Token::All => after[at] |= here,
                    Token::Folders => {
                        let reads = here || inside[at];
                        after[at + 1] |= reads && next == '/';
                        after_inside[at] |= reads;
                    }
                    Token::Class { not, ranges } => {
                        let within = ranges
                            .iter()
                            .any(|(low, high)| (*low..=*high).contains(&next));
                        after[at + 1] |= here && within != *not;
                    }
                }
            }
            self.skip(&mut after);
            states = after;
            inside = after_inside;
        }
        states[end]
    }

    /// Passes over tokens that may match nothing.
    fn skip(&self, states: &mut [bool]) {
        for (at, token) in self.tokens.iter().enumerate() {
            if matches!(token, Token::Star | Token::All | Token::Folders) {
                states[at + 1] |= states[at];
            }
        }
    }
}

#[cfg(test)]
mod tests;
