//! How Terraform reads words that decide about its lock: the splitter of `TF_CLI_ARGS`, Go's
//! booleans and Go's durations. Pure.
//! Sources: mattn/go-shellwords `Parse`; Go `strconv.ParseBool` and `time.ParseDuration`.

use std::time::Duration;

/// Splits a value of `TF_CLI_ARGS` as Terraform does. `None`: Terraform refuses the value, cuts it
/// off at a shell operator, or its versions read it differently.
pub(super) fn split(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut started = false;
    let mut quote = None;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match (character, quote) {
            ('\\', quote) if quote != Some('\'') => match characters.next()? {
                // Later versions of the splitter make a tab and a newline of these.
                't' | 'n' => return None,
                escaped => {
                    started = true;
                    word.push(escaped);
                }
            },
            (' ' | '\t' | '\r' | '\n', None) => {
                if std::mem::take(&mut started) {
                    words.push(std::mem::take(&mut word));
                }
            }
            ('"' | '\'', None) => {
                started = true;
                quote = Some(character);
            }
            (end, Some(begin)) if end == begin => quote = None,
            ('`', quote) if quote != Some('\'') => return None,
            ('(' | ')' | ';' | '&' | '|' | '<' | '>', None) => return None,
            _ => {
                started = true;
                word.push(character);
            }
        }
    }
    if quote.is_some() {
        return None;
    }
    if started {
        words.push(word);
    }
    Some(words)
}

/// A flag's name and value: `-name`, `--name`, `-name=value`.
pub(super) fn flag(word: &str) -> Option<(&str, Option<&str>)> {
    let name = word.strip_prefix('-')?;
    let name = name.strip_prefix('-').unwrap_or(name);
    if name.is_empty() {
        return None;
    }
    Some(match name.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (name, None),
    })
}

/// The locking flags among the words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct LockFlags {
    /// Some word switches locking off.
    pub(super) off: bool,
    /// Some word asks for locking.
    pub(super) on: bool,
}

/// Collects `-lock` from anywhere among the words: which one Terraform reads last depends on where its flags end.
pub(super) fn lock_flags<'a>(words: impl Iterator<Item = &'a str>) -> LockFlags {
    let mut lock_flags = LockFlags::default();
    for (name, value) in words.filter_map(flag) {
        if name == "lock" {
            match value {
                None | Some("1" | "t" | "T" | "true" | "TRUE" | "True") => lock_flags.on = true,
                Some("0" | "f" | "F" | "false" | "FALSE" | "False") => lock_flags.off = true,
                // Terraform refuses it.
                Some(_) => {}
            }
        }
    }
    lock_flags
}

/// A duration as Go writes it. `None`: Go refuses it, or it is negative.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .filter(|at| *at > 0)?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        seconds += number
            * match &rest[..letters] {
                "ns" => 1e-9,
                "us" | "µs" | "μs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return None,
            };
        rest = &rest[letters..];
    }
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_split_as_terraform_splits_it() {
        for (line, wanted) in [
            ("", Some(&[][..])),
            (" -a  -b=c\t-d\n", Some(&["-a", "-b=c", "-d"][..])),
            (r#"-var "a=b c" -x"#, Some(&["-var", "a=b c", "-x"])),
            (r#"-lo"ck=fa"lse"#, Some(&["-lock=false"])),
            (r"-lo\ck=false", Some(&["-lock=false"])),
            (r"-a\ b", Some(&["-a b"])),
            (r"'a\b' c", Some(&[r"a\b", "c"])),
            (r#""a\"b""#, Some(&[r#"a"b"#])),
            ("'a;b' c", Some(&["a;b", "c"])),
            ("-a; -lock=false", None),
            ("-a & -b", None),
            ("a(b", None),
            ("a)b", None),
            ("`a`", None),
            ("\"a`b\"", None),
            (r"a\tb", None),
            ("'a", None),
            ("a\\", None),
        ] {
            let found = split(line);
            let found = found
                .as_ref()
                .map(|words| words.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(found.as_deref(), wanted, "{line}");
        }
    }

    #[test]
    fn any_word_that_switches_locking_off_counts() {
        let lock_flags = |words: &str| super::lock_flags(words.split(' '));
        for off in ["0", "f", "F", "false", "FALSE", "False"] {
            for dashes in ["-", "--"] {
                let found = lock_flags(&format!("-lock=true {dashes}lock={off} -lock"));
                assert!(found.off && found.on, "{dashes}{off}");
            }
        }
        for on in ["-lock", "--lock", "-lock=1", "-lock=True", "--lock=t"] {
            assert_eq!(
                lock_flags(on),
                LockFlags {
                    off: false,
                    on: true
                },
                "{on}"
            );
        }
        for none in [
            "-lock=no",
            "-lock-timeout=0s",
            "lock=false",
            "-",
            "--",
            "---lock=false",
        ] {
            assert_eq!(lock_flags(none), LockFlags::default(), "{none}");
        }
    }

    #[test]
    fn a_duration_is_read_as_go_reads_it() {
        for (text, wanted) in [
            ("0", Some(0)),
            ("10s", Some(10_000)),
            ("+1h30m", Some(5_400_000)),
            ("1.5h", Some(5_400_000)),
            ("300ms", Some(300)),
            ("2m0.5s", Some(120_500)),
            (".5s", Some(500)),
            ("", None),
            ("10", None),
            ("s", None),
            ("1d", None),
            ("-1s", None),
            ("1s2", None),
        ] {
            assert_eq!(duration(text), wanted.map(Duration::from_millis), "{text}");
        }
    }
}
