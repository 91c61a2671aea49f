//! The key of a workspace's state, made from the backend's key as Terraform makes it. Pure.
//! Source: terraform `internal/backend/remote-state/s3/backend_state.go`, `path`.

/// Where Terraform keeps the states of workspaces, unless its backend says otherwise.
pub(crate) const PREFIX: &str = "env:";

/// The key of the state of `workspace`, which is not the default one: Go's
/// `path.Join(prefix, workspace, key)`.
pub(crate) fn of_workspace(prefix: &str, workspace: &str, key: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let named = [prefix, workspace, key];
    for part in named.iter().flat_map(|text| text.split('/')) {
        match (part, parts.last()) {
            ("" | ".", _) => {}
            ("..", Some(last)) if *last != ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    match parts.as_slice() {
        [] => ".".to_owned(),
        parts => parts.join("/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_joined_as_go_joins_them() {
        for (prefix, workspace, key, wanted) in [
            ("env:", "blue", "k", "env:/blue/k"),
            ("env:", "blue", "a//b/./c", "env:/blue/a/b/c"),
            ("env:", "blue", "a/../b", "env:/blue/b"),
            ("env:", "blue", "../b", "env:/b"),
            ("env:", "blue", "../../b", "b"),
            ("env:", "blue", "../../../b/c", "../b/c"),
            ("env:", "..", "b", "b"),
            ("env:", "blue", "../..", "."),
            ("env:", "blue", "a..b/...", "env:/blue/a..b/..."),
            ("ws//x/", "blue", "k", "ws/x/blue/k"),
            ("", "blue", "k", "blue/k"),
        ] {
            let found = of_workspace(prefix, workspace, key);
            assert_eq!(found, wanted, "{prefix} {workspace} {key}");
        }
    }
}
