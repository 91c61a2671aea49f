//! Users, the repository, its branches, rules, collaborators and activity.

use serde_json::{Value, json};

use super::{Call, Identity};
use crate::http::{Answer, Outcome, error, invalid, link_url, not_found};
use crate::state::{Repo, State, legacy_permission};
use crate::view::{HTML, object};

pub(super) fn authenticated(call: &Call<'_>, state: &mut State) -> Outcome {
    match call.caller {
        Identity::User(login) => state
            .user(login)
            .map(|user| Answer::ok(call.view(state).public_user(user)))
            .ok_or_else(not_found),
        _ => Err(error(403, "Resource not accessible by integration")),
    }
}

pub(super) fn user(call: &Call<'_>, state: &mut State) -> Outcome {
    let user = state.user(call.param("username")).ok_or_else(not_found)?;
    Ok(Answer::ok(call.view(state).public_user(user)))
}

pub(super) fn repository(call: &Call<'_>, state: &mut State) -> Outcome {
    Ok(Answer::ok(call.view(state).full_repo(call.repo(state)?)))
}

pub(super) fn branch(call: &Call<'_>, state: &mut State) -> Outcome {
    let (repo, name) = (call.repo(state)?, call.param("branch"));
    let missing = || error(404, "Branch not found");
    let commit = repo
        .git
        .branch(name)
        .and_then(|sha| repo.git.commit(&sha).ok())
        .ok_or_else(missing)?;
    let url = format!("{}/branches/{name}", call.view(state).repo_url(repo));
    let protected = repo.rules.get(name).is_some_and(|rules| !rules.is_empty());
    Ok(Answer::ok(json!({
        "name": name,
        "commit": call.view(state).commit(repo, &commit),
        "_links": {"self": url, "html": format!("{HTML}/{}/tree/{name}", repo.full_name())},
        "protected": protected,
        // Rules come from rulesets here; the classic protection, which this describes, is off.
        "protection": {"enabled": false, "required_status_checks": {"enforcement_level": "off", "contexts": [], "checks": []}},
        "protection_url": format!("{url}/protection"),
    })))
}

pub(super) fn rules(call: &Call<'_>, state: &mut State) -> Outcome {
    let rules = call
        .repo(state)?
        .rules
        .get(call.param("branch"))
        .cloned()
        .unwrap_or_default();
    call.page(&rules, Clone::clone)
}

pub(super) fn permission(call: &Call<'_>, state: &mut State) -> Outcome {
    let (repo, login) = (call.repo(state)?, call.param("username"));
    let missing = || error(404, &format!("{login} is not a user"));
    let user = state
        .user(login)
        .filter(|user| user.kind == "User")
        .ok_or_else(missing)?;
    let role = match repo.role(login) {
        "none" if !repo.private => "read",
        role => role,
    };
    let at_least = |roles: &[&str]| roles.contains(&role);
    let mut account = call.view(state).account(user);
    account.extend(object(json!({
        "permissions": {
            "admin": at_least(&["admin"]),
            "maintain": at_least(&["admin", "maintain"]),
            "push": at_least(&["admin", "maintain", "write"]),
            "triage": at_least(&["admin", "maintain", "write", "triage"]),
            "pull": at_least(&["admin", "maintain", "write", "triage", "read"]),
        },
        "role_name": role,
    })));
    Ok(Answer::ok(
        json!({"permission": legacy_permission(role), "role_name": role, "user": account}),
    ))
}

/// Cursor pages: `after` goes on in the chosen direction, `before` goes back.
pub(super) fn activity(call: &Call<'_>, state: &mut State) -> Outcome {
    let repo = call.repo(state)?;
    let wanted_ref = call.request.query("ref").map(|name| {
        if name.starts_with("refs/") {
            name.to_owned()
        } else {
            format!("refs/heads/{name}")
        }
    });
    let wrong = |name: &str, why: &str| invalid("Activity", name, "invalid", why);
    let ascending = match call.request.query("direction") {
        None | Some("desc") => false,
        Some("asc") => true,
        Some(_) => return Err(wrong("direction", "direction is asc or desc")),
    };
    let (actor, kind) = (
        call.request.query("actor"),
        call.request.query("activity_type"),
    );
    let matches = |one: &&crate::state::Activity| {
        let reference = wanted_ref.as_ref();
        reference.is_none_or(|name| one.reference == *name)
            && actor.is_none_or(|actor| one.actor.eq_ignore_ascii_case(actor))
            && kind.is_none_or(|kind| one.kind == kind)
    };
    let mut all: Vec<_> = repo.activity.iter().filter(matches).collect();
    if !ascending {
        all.reverse();
    }
    let size = call
        .request
        .query("per_page")
        .and_then(|text| text.parse::<usize>().ok())
        .filter(|size| *size > 0)
        .unwrap_or(30)
        .min(100);
    let position = |cursor: &str| {
        cursor
            .parse::<u64>()
            .ok()
            .and_then(|id| all.iter().position(|one| one.id == id))
    };
    let cursor = |name: &str| match call.request.query(name) {
        None => Ok(None),
        Some(text) => position(text)
            .map(Some)
            .ok_or_else(|| wrong(name, "no such cursor")),
    };
    let start = match (cursor("after")?, cursor("before")?) {
        (Some(after), _) => after + 1,
        (None, Some(before)) => before.saturating_sub(size),
        (None, None) => 0,
    };
    let end = (start + size).min(all.len());
    let shown = all.get(start..end).unwrap_or_default();
    let link = |to: &str, cursor: &str, id: u64| {
        let id = id.to_string();
        let dropped = ["after", "before"];
        let url = link_url(call.request, call.base, &[(cursor, &id)], &dropped);
        format!("<{url}>; rel=\"{to}\"")
    };
    let next = shown.last().filter(|_| end < all.len());
    let before = shown.first().filter(|_| start > 0);
    let links: Vec<String> = [
        next.map(|last| link("next", "after", last.id)),
        before.map(|first| link("prev", "before", first.id)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let body: Vec<Value> = shown
        .iter()
        .map(|one| render_activity(call, state, repo, one))
        .collect();
    let answer = Answer::ok(Value::Array(body));
    Ok(match links.as_slice() {
        [] => answer,
        links => answer.header("link", links.join(", ")),
    })
}

fn render_activity(
    call: &Call<'_>,
    state: &State,
    repo: &Repo,
    one: &crate::state::Activity,
) -> Value {
    json!({
        "id": one.id,
        "node_id": format!("PSH_{}_{}", repo.id, one.id),
        "before": one.before,
        "after": one.after,
        "ref": one.reference,
        "timestamp": one.at,
        "activity_type": one.kind,
        "actor": call.view(state).user(&one.actor),
    })
}
