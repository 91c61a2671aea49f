//! Commits and comparisons, straight from the real repository.

use serde_json::{Value, json};

use super::Call;
use crate::git::Change;
use crate::http::{Answer, Outcome, Page, error, not_found, percent_encode, unprocessable};
use crate::state::{Repo, State};
use crate::view::HTML;

/// Files a comparison or commit shows at most.
const FILES: usize = 300;
/// Commits a comparison without paging shows at most.
const COMMITS: usize = 250;

pub(super) fn commit(call: &Call<'_>, state: &mut State) -> Outcome {
    let (repo, name) = (call.repo(state)?, call.param("ref"));
    let missing = || unprocessable(&format!("No commit found for SHA: {name}"));
    let sha = repo.git.resolve(name).ok_or_else(missing)?;
    let commit = repo.git.commit(&sha).map_err(broken)?;
    let parent = match commit.parents.first() {
        Some(parent) => parent.clone(),
        None => repo.git.empty_tree().map_err(broken)?,
    };
    let changes = repo.git.changes(&parent, &sha).map_err(broken)?;
    let (additions, deletions): (u64, u64) = changes.iter().fold((0, 0), |sum, change| {
        (sum.0 + change.additions, sum.1 + change.deletions)
    });
    let mut body = call.view(state).commit(repo, &commit);
    body.insert(
        "stats".into(),
        json!({"total": additions + deletions, "additions": additions, "deletions": deletions}),
    );
    body.insert("files".into(), files(call, state, repo, &sha, &changes));
    Ok(Answer::ok(Value::Object(body)))
}

/// A commit and its ancestors, newest first.
pub(super) fn list(call: &Call<'_>, state: &mut State) -> Outcome {
    let repo = call.repo(state)?;
    let name = call.request.query("sha").unwrap_or(&repo.default_branch);
    let sha = repo.git.resolve(name).ok_or_else(not_found)?;
    let commits = repo.git.ancestry(&sha).map_err(broken)?;
    call.page(&commits, |commit| {
        Value::Object(call.view(state).commit(repo, commit))
    })
}

/// Without paging the newest 250 commits, with paging any page of all; always oldest first.
pub(super) fn compare(call: &Call<'_>, state: &mut State) -> Outcome {
    let repo = call.repo(state)?;
    let (base_name, head_name) = call
        .param("basehead")
        .split_once("...")
        .ok_or_else(not_found)?;
    // `OWNER:BRANCH` reaches forks, of which there are none but the repository itself.
    let own = |name: &'_ str| match name.split_once(':') {
        Some((owner, branch)) if owner.eq_ignore_ascii_case(&repo.owner) => Some(branch.to_owned()),
        Some(_) => None,
        None => Some(name.to_owned()),
    };
    let resolve = |name: &str| {
        own(name)
            .and_then(|name| repo.git.resolve(&name))
            .ok_or_else(not_found)
    };
    let (base, head) = (resolve(base_name)?, resolve(head_name)?);
    let no_ancestor = || {
        error(
            404,
            &format!("No common ancestor between {base_name} and {head_name}."),
        )
    };
    let merge_base = repo.git.merge_base(&base, &head).ok_or_else(no_ancestor)?;
    let all = repo.git.range(&base, &head).map_err(broken)?;
    let behind = repo.git.count(&head, &base).map_err(broken)?;
    let status = match (all.len(), behind) {
        (0, 0) => "identical",
        (_, 0) => "ahead",
        (0, _) => "behind",
        _ => "diverged",
    };
    let paged = call.request.query("page").is_some() || call.request.query("per_page").is_some();
    let page = Page::of(call.request);
    let shown = if paged {
        page.slice(&all)
    } else {
        &all[all.len().saturating_sub(COMMITS)..]
    };
    let view = call.view(state);
    let url = format!("{}/compare/{base_name}...{head_name}", view.repo_url(repo));
    let html = format!(
        "{HTML}/{}/compare/{base_name}...{head_name}",
        repo.full_name()
    );
    let mut body = json!({
        "url": url,
        "html_url": html,
        "permalink_url": format!("{HTML}/{}/compare/{}:{}...{}:{}", repo.full_name(), repo.owner, &base[..7], repo.owner, &head[..7]),
        "diff_url": format!("{html}.diff"),
        "patch_url": format!("{html}.patch"),
        "base_commit": view.commit(repo, &repo.git.commit(&base).map_err(broken)?),
        "merge_base_commit": view.commit(repo, &repo.git.commit(&merge_base).map_err(broken)?),
        "status": status,
        "ahead_by": all.len(),
        "behind_by": behind,
        "total_commits": all.len(),
        "commits": shown.iter().map(|one| Value::Object(view.commit(repo, one))).collect::<Vec<_>>(),
    });
    if let Some(fields) = body.as_object_mut().filter(|_| !paged || page.number == 1) {
        let changes = repo.git.changes(&merge_base, &head).map_err(broken)?;
        fields.insert("files".into(), files(call, state, repo, &head, &changes));
    }
    let answer = Answer::ok(body);
    Ok(if paged {
        call.linked(answer, page, all.len())
    } else {
        answer
    })
}

fn files(call: &Call<'_>, state: &State, repo: &Repo, sha: &str, changes: &[Change]) -> Value {
    let (url, html) = (
        call.view(state).repo_url(repo),
        format!("{HTML}/{}", repo.full_name()),
    );
    let render = |change: &Change| {
        let path = percent_encode(&change.path);
        let mut file = json!({
            "sha": change.blob,
            "filename": change.path,
            "status": change.status,
            "additions": change.additions,
            "deletions": change.deletions,
            "changes": change.additions + change.deletions,
            "blob_url": format!("{html}/blob/{sha}/{path}"),
            "raw_url": format!("{html}/raw/{sha}/{path}"),
            "contents_url": format!("{url}/contents/{path}?ref={sha}"),
        });
        if let (Some(previous), Some(fields)) = (&change.previous, file.as_object_mut()) {
            fields.insert("previous_filename".into(), json!(previous));
        }
        file
    };
    Value::Array(changes.iter().take(FILES).map(render).collect())
}

/// The repository itself failed; GitHub's answer for that is a bare server error.
pub(super) fn broken(error_: crate::git::GitError) -> Box<Answer> {
    error(500, &format!("Server Error: {error_}"))
}
