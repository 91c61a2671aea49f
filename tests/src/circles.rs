//! Circles between the files of one crate: files that need each other can only be understood together.
//!
//! A file may use what the `mod.rs` above it declares, and the `mod.rs` uses the file: that is one unit, so such a
//! pair does not count. Test modules do not count either.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::process::Command;

use regex_lite::Regex;

/// A module, by its path in the crate.
type Module = Vec<String>;

/// The code of a crate, by module, without comments, strings and tests.
struct Sources {
    code: BTreeMap<Module, String>,
    files: BTreeMap<Module, String>,
}

/// The files of a repository that are code of a crate, by the crate's `src/`.
fn crates(root: &Path) -> BTreeMap<String, Vec<String>> {
    let mut list = Command::new("git");
    let list = list.args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "*.rs",
    ]);
    let list = list.current_dir(root).output().unwrap().stdout;
    let mut crates: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in String::from_utf8(list).unwrap().lines() {
        let Some((folder, path)) = file.split_once("/src/") else {
            continue;
        };
        let is_test = |part: &str| part == "tests" || part.ends_with("_tests");
        let mut parts = path.trim_end_matches(".rs").split('/');
        if !parts.any(is_test) && root.join(file).exists() {
            let all = crates.entry(format!("{folder}/src/")).or_default();
            all.push(file.to_owned());
        }
    }
    crates
}

/// Code without comments, strings and the modules and imports of tests.
fn plain(text: &str) -> String {
    let remarks = r##"//[^\n]*|'(?:[^'\\]|\\.)'|r#"(?s:.*?)"#|"(?:[^"\\]|\\(?s:.))*""##;
    let text = Regex::new(remarks)
        .unwrap()
        .replace_all(text, "")
        .into_owned();
    let test =
        r"#\[cfg\(test\)\]\s*(?:#\[[^\]]*\]\s*)*(?:pub(?:\([^)]*\))?\s+)?(?:mod|use)\b[^;{]*";
    let test = Regex::new(test).unwrap();
    let mut rest = text.as_str();
    let mut code = String::new();
    while let Some(found) = test.find(rest) {
        code.push_str(&rest[..found.start()]);
        rest = &rest[found.end()..];
        let mut depth = 0_usize;
        let ends = |(_, c): &(usize, char)| {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ';' => {}
                _ => return false,
            }
            depth == 0
        };
        let end = rest
            .char_indices()
            .find(ends)
            .map_or(rest.len(), |(at, c)| at + c.len_utf8());
        rest = &rest[end..];
    }
    code.push_str(rest);
    code
}

/// The paths that an import names: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn paths(import: &str) -> Vec<String> {
    let Some((before, inner)) = import.split_once('{') else {
        let name = import.split(" as ").next().unwrap_or(import);
        return vec![name.trim().to_owned()];
    };
    let before = before.trim();
    let inner = inner.rsplit_once('}').map_or(inner, |(inner, _)| inner);
    let mut parts = vec![String::new()];
    let mut depth = 0_i32;
    for c in inner.chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        match (c, depth) {
            (',', 0) => parts.push(String::new()),
            (c, _) => parts.last_mut().unwrap().push(c),
        }
    }
    let parts = parts.iter().filter(|part| !part.trim().is_empty());
    parts
        .flat_map(|part| paths(part))
        .map(|path| format!("{before}{path}"))
        .collect()
}

impl Sources {
    fn read(root: &Path, source: &str, files: &[String]) -> Self {
        let mut sources = Self {
            code: BTreeMap::new(),
            files: BTreeMap::new(),
        };
        for file in files {
            let path = file.trim_start_matches(source).trim_end_matches(".rs");
            let mut module: Module = path.split('/').map(str::to_owned).collect();
            if matches!(
                module.last().map(String::as_str),
                Some("mod" | "lib" | "main")
            ) {
                module.pop();
            }
            let text = std::fs::read_to_string(root.join(file)).unwrap();
            sources
                .code
                .entry(module.clone())
                .or_default()
                .push_str(&plain(&text));
            sources.files.insert(module, file.clone());
        }
        sources
    }

    /// A path from the crate's root on, if it leads into this crate.
    fn absolute(&self, module: &Module, path: &str) -> Option<Module> {
        let mut parts: VecDeque<String> = path
            .split("::")
            .map(|part| part.trim().to_owned())
            .collect();
        let mut absolute = module.clone();
        let first = parts.front()?.clone();
        match first.as_str() {
            "crate" => absolute.clear(),
            "self" => {}
            "super" => drop(absolute.pop()),
            child => {
                absolute.push(child.to_owned());
                if !self.code.contains_key(&absolute) {
                    return None;
                }
            }
        }
        parts.pop_front();
        while parts.front().is_some_and(|part| part == "super") {
            parts.pop_front();
            absolute.pop();
        }
        absolute.extend(parts.into_iter().filter(|part| part != "self"));
        Some(absolute)
    }

    /// The paths that each file uses, and those that it re-exports under the same name.
    fn uses(
        &self,
    ) -> (
        BTreeMap<&Module, BTreeSet<Module>>,
        BTreeMap<Module, Module>,
    ) {
        let import = Regex::new(r"(pub(?:\([^)]*\))?\s+)?\buse\s+([^;]+);").unwrap();
        let inline = Regex::new(r"\b[a-z_]\w*(?:::\w+)+").unwrap();
        let (mut uses, mut handed) = (BTreeMap::new(), BTreeMap::new());
        for (module, code) in &self.code {
            let mut all = BTreeSet::new();
            for found in import.captures_iter(code) {
                for path in paths(&found[2]) {
                    let Some(absolute) = self.absolute(module, &path) else {
                        continue;
                    };
                    if let (Some(_), Some(name)) = (found.get(1), absolute.last()) {
                        let name = [module.as_slice(), std::slice::from_ref(name)].concat();
                        handed.insert(name, absolute.clone());
                    }
                    all.insert(absolute);
                }
            }
            let rest = import.replace_all(code, "");
            let rest: Vec<&str> = rest.lines().filter(|line| line.contains("::")).collect();
            let rest = rest.join("\n");
            all.extend(
                inline
                    .find_iter(&rest)
                    .filter_map(|path| self.absolute(module, path.as_str())),
            );
            uses.insert(module, all);
        }
        (uses, handed)
    }

    /// The file that has what a path names.
    fn home(&self, mut path: Module, handed: &BTreeMap<Module, Module>) -> Module {
        for _ in 0..8 {
            let mut home = path.clone();
            while !self.code.contains_key(&home) && home.pop().is_some() {}
            let name = path.get(..=home.len()).unwrap_or(&path);
            match handed.get(name) {
                Some(other) if *other != name => {
                    let below = path.get(home.len() + 1..).unwrap_or_default();
                    path = [other.as_slice(), below].concat();
                }
                _ => return home,
            }
        }
        path
    }

    /// The files that each file uses, by their paths.
    fn edges(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let (uses, handed) = self.uses();
        let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (module, paths) in uses {
            for path in paths {
                let home = self.home(path, &handed);
                if !home.starts_with(module) && !module.starts_with(&home) {
                    let used = edges.entry(&self.files[module]).or_default();
                    used.insert(&self.files[&home]);
                }
            }
        }
        edges
    }
}

/// The shortest circle through `start`.
fn circle<'f>(
    start: &'f str,
    edges: &BTreeMap<&'f str, BTreeSet<&'f str>>,
) -> Option<Vec<&'f str>> {
    let mut waiting = VecDeque::from([vec![start]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = waiting.pop_front() {
        for used in edges.get(way.last()?).into_iter().flatten() {
            let longer = [way.as_slice(), &[used]].concat();
            if *used == start {
                return Some(longer);
            }
            if seen.insert(*used) {
                waiting.push_back(longer);
            }
        }
    }
    None
}

#[test]
fn no_two_files_of_a_crate_need_each_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found: Vec<String> = Vec::new();
    for (source, files) in crates(&root) {
        let sources = Sources::read(&root, &source, &files);
        let edges = sources.edges();
        let circles = edges.keys().filter_map(|file| circle(file, &edges));
        found.extend(circles.min_by_key(Vec::len).map(|way| way.join(" → ")));
    }
    assert!(
        found.is_empty(),
        "files that need each other; move what they share into a file of its own:\n{}",
        found.join("\n")
    );
}

#[test]
fn imports_are_read_in_all_their_forms() {
    let names = paths("crate::{a::{self, B}, c::D as E}");
    assert_eq!(names, ["crate::a::self", "crate::a::B", "crate::c::D"]);
    let code = plain(
        "use a::b; // use c::d;\n#[cfg(test)]\nmod tests { mod x { } use e::f; }\nfn g() { \"h::i\" }",
    );
    assert_eq!(
        code.split_whitespace().collect::<Vec<_>>(),
        ["use", "a::b;", "fn", "g()", "{", "}"]
    );
}
