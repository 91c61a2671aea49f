//! Keys of every character that a state's key may hold, on their ways: through a shell, as an argument of `init`, and in HCL.

use super::call::Call;
use super::look::CallContext;
use crate::backend::Backend;
use crate::backend::quoted;
use crate::block::{self, Value};

const COUNT: usize = 4000;

/// Pieces that mean something to a shell, to Terraform's splitter or to HCL; every printable character comes beside them.
const PIECES: [&str; 24] = [
    "${", "%{", "$${", "%%{", "$$", "}", "\\", "\"", "'", "`", "$(", "&&", ";", "|", "\\n",
    "\\u00e9", "#", "//", "/*", "=", "é", "日本", "\u{a0}", " ",
];

fn keys() -> Vec<String> {
    let mut seed = 11_u64;
    let mut pick = move |count: usize| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % count
    };
    let printable: Vec<char> = (' '..='~').collect();
    let mut keys = vec![printable.iter().collect::<String>()];
    while keys.len() < COUNT {
        let mut key = String::new();
        for _ in 0..=pick(12) {
            match pick(3) {
                0 => key.push_str(PIECES[pick(PIECES.len())]),
                _ => key.push(printable[pick(printable.len())]),
            }
        }
        keys.push(key);
    }
    keys
}

/// A text as HCL writes it.
fn hcl(key: &str) -> String {
    let escaped = key.replace('\\', "\\\\").replace('"', "\\\"");
    let escaped = escaped.replace("${", "$${").replace("%{", "%%{");
    format!("\"{escaped}\"")
}

#[test]
fn a_key_is_the_same_behind_a_shell_init_and_hcl() {
    let folder = tempfile::tempdir().unwrap();
    let keys = keys();

    let script: String = keys
        .iter()
        .map(|key| format!("printf '%s\\0' {}\n", quoted(key)))
        .collect();
    let path = folder.path().join("script");
    std::fs::write(&path, script).unwrap();
    let shown = std::process::Command::new("sh").arg(path).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    let shown: Vec<&str> = shown.split_terminator('\0').collect();
    assert_eq!(shown, keys);

    let text: String = keys
        .iter()
        .enumerate()
        .map(|(at, key)| format!("key{at} = {}\n", hcl(key)))
        .collect();
    let path = folder.path().join("keys.hcl");
    std::fs::write(&path, &text).unwrap();
    let settings = block::file(&path).unwrap();
    for (at, key) in keys.iter().enumerate() {
        let found = &settings[&format!("key{at}")].value;
        assert_eq!(*found, Value::Literal(key.clone()), "{}", hcl(key));
    }

    for key in keys {
        let backend = Backend {
            key: key.clone(),
            ..crate::backend::tests::backend()
        };
        let call = Call {
            arguments: [vec!["init".to_owned()], backend.arguments(false)].concat(),
            ..Call::default()
        };
        let seen = CallContext::around(&call, folder.path(), false);
        let given = seen.given.unwrap();
        assert_eq!(given["key"].value, Value::Literal(key));
    }
}
