//! Files and folders of a commit.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Call;
use super::commits::broken;
use crate::git::Entry;
use crate::http::{Answer, Body, Outcome, error, not_found, percent_encode};
use crate::state::{Repo, State};
use crate::view::HTML;

/// Above this a file's content is left out, and only the raw media type carries it.
const INLINE: u64 = 1024 * 1024;

pub(super) fn contents(call: &Call<'_>, state: &mut State) -> Outcome {
    let repo = call.repo(state)?;
    let name = call.request.query("ref").unwrap_or(&repo.default_branch);
    let missing = || error(404, &format!("No commit found for the ref {name}"));
    let commit = repo.git.resolve(name).ok_or_else(missing)?;
    let path = call.param("path").trim_matches('/');
    let own = repo.git.entries(&commit, path, false).map_err(broken)?;
    let raw = call
        .request
        .header("accept")
        .is_some_and(|accept| accept.contains("raw"));
    match own.iter().find(|entry| entry.path == path) {
        Some(file) if file.kind == "blob" && raw => {
            let bytes = repo.git.blob(&file.sha).map_err(broken)?;
            Ok(Answer {
                status: 200,
                headers: vec![(
                    "content-type".into(),
                    "application/vnd.github.raw+json; charset=utf-8".into(),
                )],
                body: Body::Raw(bytes),
            })
        }
        Some(file) if file.kind == "blob" && file.mode != "120000" => {
            let content = if file.size > INLINE {
                Vec::new()
            } else {
                repo.git.blob(&file.sha).map_err(broken)?
            };
            let mut body = entry(call, state, repo, name, file);
            if let Some(fields) = body.as_object_mut() {
                fields.insert("content".into(), json!(wrapped(&STANDARD.encode(content))));
                fields.insert(
                    "encoding".into(),
                    json!(if file.size > INLINE { "none" } else { "base64" }),
                );
            }
            Ok(Answer::ok(body))
        }
        Some(file) if file.kind == "blob" => {
            Err(error(501, "the stand-in does not show symbolic links"))
        }
        Some(folder) if folder.kind == "commit" => {
            Err(error(501, "the stand-in does not show submodules"))
        }
        None if !path.is_empty() => Err(not_found()),
        _ => {
            let inside = repo.git.entries(&commit, path, true).map_err(broken)?;
            Ok(Answer::ok(
                inside
                    .iter()
                    .map(|one| entry(call, state, repo, name, one))
                    .collect(),
            ))
        }
    }
}

/// GitHub breaks base64 after 60 characters.
fn wrapped(text: &str) -> String {
    text.as_bytes()
        .chunks(60)
        .map(|line| format!("{}\n", String::from_utf8_lossy(line)))
        .collect()
}

fn entry(call: &Call<'_>, state: &State, repo: &Repo, name: &str, one: &Entry) -> Value {
    let (base, html) = (
        call.view(state).repo_url(repo),
        format!("{HTML}/{}", repo.full_name()),
    );
    let path = percent_encode(&one.path);
    let folder = one.kind == "tree";
    let url = format!("{base}/contents/{path}?ref={}", percent_encode(name));
    let git = format!(
        "{base}/git/{}/{}",
        if folder { "trees" } else { "blobs" },
        one.sha
    );
    let page = format!(
        "{html}/{}/{name}/{path}",
        if folder { "tree" } else { "blob" }
    );
    json!({
        "type": match (folder, one.mode.as_str()) { (true, _) => "dir", (_, "120000") => "symlink", _ => "file" },
        "name": one.path.rsplit('/').next(),
        "path": one.path,
        "sha": one.sha,
        "size": one.size,
        "url": url,
        "html_url": page,
        "git_url": git,
        "download_url": if folder { Value::Null } else { json!(format!("https://raw.githubusercontent.com/{}/{name}/{path}", repo.full_name())) },
        "_links": {"self": url, "git": git, "html": page},
    })
}
