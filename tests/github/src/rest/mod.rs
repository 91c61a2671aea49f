//! The REST calls: one table of GitHub's own path templates with the permission each needs, and the way to a handler.

mod access;
mod checks;
mod comments;
mod commits;
mod contents;
mod deployments;
mod issues;
mod pulls;
mod repos;
mod runs;
mod teams;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::actions::Access::{self, Read, Write};
use crate::http::{Answer, Outcome, Page, Request, not_found, percent_decode};
use crate::state::{Repo, State};
use crate::view::View;

pub(crate) use access::{Identity, allowed, forbidden, may_see, ready, started};
pub(crate) use deployments::finish_job;
pub(crate) use pulls::pull_commits;

/// One call of a handler.
pub(crate) struct Call<'a> {
    pub(crate) request: &'a Request,
    pub(crate) base: &'a str,
    pub(crate) caller: &'a Identity,
    pub(crate) params: BTreeMap<&'static str, String>,
    pub(crate) body: Value,
}

type Handler = fn(&Call<'_>, &mut State) -> Outcome;

/// One line of the table.
pub(crate) struct Route {
    pub(crate) method: &'static str,
    /// As in GitHub's description, which the answer is validated against.
    pub(crate) template: &'static str,
    /// Any one of these suffices; empty means that an app's token cannot make this call.
    pub(crate) needs: &'static [(&'static str, Access)],
    /// Documented query parameters that are honoured; any other documented one is refused, not ignored.
    pub(crate) query: &'static [&'static str],
    handler: Handler,
}

const PAGED: &[&str] = &["page", "per_page"];
const COMMENT_READ: &[(&str, Access)] = &[("issues", Read), ("pull_requests", Read)];
const COMMENT_WRITE: &[(&str, Access)] = &[("issues", Write), ("pull_requests", Write)];

const fn route(
    method: &'static str,
    template: &'static str,
    needs: &'static [(&'static str, Access)],
    query: &'static [&'static str],
    handler: Handler,
) -> Route {
    Route {
        method,
        template,
        needs,
        query,
        handler,
    }
}

/// Longer templates stand before those that would swallow them. Permissions from GitHub's "Permissions required for
/// GitHub Apps".
#[rustfmt::skip]
const ROUTES: &[Route] = &[
    route("GET", "/user", &[], &[], repos::authenticated),
    route("GET", "/users/{username}", &[("metadata", Read)], &[], repos::user),
    route("GET", "/orgs/{org}/teams/{team_slug}/members", &[("members", Read)], &["role", "page", "per_page"], teams::members),
    route("GET", "/repos/{owner}/{repo}", &[("metadata", Read)], &[], repos::repository),
    route("GET", "/repos/{owner}/{repo}/activity", &[("contents", Read)], &["ref", "actor", "activity_type", "direction", "per_page", "before", "after"], repos::activity),
    route("GET", "/repos/{owner}/{repo}/branches/{branch}", &[("contents", Read)], &[], repos::branch),
    route("GET", "/repos/{owner}/{repo}/rules/branches/{branch}", &[("metadata", Read)], PAGED, repos::rules),
    route("GET", "/repos/{owner}/{repo}/collaborators/{username}/permission", &[("metadata", Read)], &[], repos::permission),
    route("GET", "/repos/{owner}/{repo}/environments/{environment_name}", &[("actions", Read)], &[], deployments::environment),
    route("GET", "/repos/{owner}/{repo}/contents/{path}", &[("contents", Read)], &["ref"], contents::contents),
    route("GET", "/repos/{owner}/{repo}/compare/{basehead}", &[("contents", Read)], PAGED, commits::compare),
    route("GET", "/repos/{owner}/{repo}/commits/{commit_sha}/pulls", &[("pull_requests", Read)], PAGED, pulls::of_commit),
    route("GET", "/repos/{owner}/{repo}/commits/{ref}/check-runs", &[("checks", Read)], &["check_name", "status", "filter", "app_id", "page", "per_page"], checks::check_runs),
    route("GET", "/repos/{owner}/{repo}/commits/{ref}/status", &[("statuses", Read)], PAGED, checks::combined_status),
    route("GET", "/repos/{owner}/{repo}/commits", &[("contents", Read)], &["sha", "page", "per_page"], commits::list),
    route("GET", "/repos/{owner}/{repo}/commits/{ref}", &[("contents", Read)], PAGED, commits::commit),
    route("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/commits", &[("pull_requests", Read)], PAGED, pulls::commits),
    route("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/reviews", &[("pull_requests", Read)], PAGED, pulls::reviews),
    route("GET", "/repos/{owner}/{repo}/pulls/{pull_number}", &[("pull_requests", Read)], &[], pulls::pull),
    route("GET", "/repos/{owner}/{repo}/pulls", &[("pull_requests", Read)], &["state", "head", "base", "page", "per_page"], pulls::list),
    route("GET", "/repos/{owner}/{repo}/actions/runs/{run_id}/attempts/{attempt_number}", &[("actions", Read)], &[], runs::attempt),
    route("GET", "/repos/{owner}/{repo}/actions/runs/{run_id}/approvals", &[("actions", Read)], &[], runs::approvals),
    route("GET", "/repos/{owner}/{repo}/actions/runs/{run_id}/jobs", &[("actions", Read)], &["filter", "page", "per_page"], runs::jobs),
    route("GET", "/repos/{owner}/{repo}/actions/runs/{run_id}", &[("actions", Read)], &[], runs::run),
    route("GET", "/repos/{owner}/{repo}/deployments/{deployment_id}/statuses", &[("deployments", Read)], PAGED, deployments::statuses),
    route("POST", "/repos/{owner}/{repo}/deployments/{deployment_id}/statuses", &[("deployments", Write)], &[], deployments::create_status),
    route("GET", "/repos/{owner}/{repo}/deployments/{deployment_id}", &[("deployments", Read)], &[], deployments::deployment),
    route("GET", "/repos/{owner}/{repo}/deployments", &[("deployments", Read)], &["sha", "ref", "task", "environment", "page", "per_page"], deployments::list),
    route("POST", "/repos/{owner}/{repo}/deployments", &[("deployments", Write)], &[], deployments::create),
    route("GET", "/repos/{owner}/{repo}/issues/comments/{comment_id}", COMMENT_READ, &[], comments::comment),
    route("PATCH", "/repos/{owner}/{repo}/issues/comments/{comment_id}", COMMENT_WRITE, &[], comments::update),
    route("GET", "/repos/{owner}/{repo}/issues/{issue_number}/comments", COMMENT_READ, PAGED, comments::list),
    route("POST", "/repos/{owner}/{repo}/issues/{issue_number}/comments", COMMENT_WRITE, &[], comments::create),
    route("PATCH", "/repos/{owner}/{repo}/issues/{issue_number}", COMMENT_WRITE, &[], issues::update),
    route("GET", "/repos/{owner}/{repo}/issues", &[("issues", Read)], &["state", "direction", "since", "page", "per_page"], issues::list),
    route("POST", "/repos/{owner}/{repo}/issues", &[("issues", Write)], &[], issues::create),
];

/// Parameters that GitHub lets run over several segments.
fn spans_segments(name: &str) -> bool {
    matches!(name, "branch" | "ref" | "commit_sha" | "path" | "basehead")
}

/// The route and its parameters for a method and a still encoded path.
pub(crate) fn find(
    method: &str,
    path: &str,
) -> Option<(&'static Route, BTreeMap<&'static str, String>)> {
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    ROUTES
        .iter()
        .filter(|route| route.method == method)
        .find_map(|route| {
            let template: Vec<&'static str> =
                route.template.trim_start_matches('/').split('/').collect();
            let mut params = BTreeMap::new();
            matches(&template, &segments, &mut params).then_some((route, params))
        })
}

fn matches(
    template: &[&'static str],
    segments: &[&str],
    params: &mut BTreeMap<&'static str, String>,
) -> bool {
    let Some((first, rest)) = template.split_first() else {
        return segments.is_empty();
    };
    let Some(name) = first
        .strip_prefix('{')
        .and_then(|name| name.strip_suffix('}'))
    else {
        return segments.first() == Some(first) && matches(rest, &segments[1..], params);
    };
    let longest = if spans_segments(name) {
        segments.len()
    } else {
        segments.len().min(1)
    };
    for length in 1..=longest {
        let (own, remaining) = segments.split_at(length);
        if own.iter().any(|segment| segment.is_empty()) && name != "path" {
            continue;
        }
        if matches(rest, remaining, params) {
            params.insert(name, percent_decode(&own.join("/"), false));
            return true;
        }
    }
    false
}

impl Route {
    pub(crate) fn call(&self, call: &Call<'_>, state: &mut State) -> Outcome {
        (self.handler)(call, state)
    }
}

impl<'a> Call<'a> {
    pub(crate) fn param(&self, name: &str) -> &str {
        self.params.get(name).map_or("", String::as_str)
    }

    /// A numeric parameter; what is not a number is not found, as on GitHub.
    pub(crate) fn number(&self, name: &str) -> Result<u64, Box<Answer>> {
        self.param(name).parse().map_err(|_| not_found())
    }

    pub(crate) fn full_name(&self) -> String {
        format!("{}/{}", self.param("owner"), self.param("repo"))
    }

    pub(crate) fn repo<'s>(&self, state: &'s State) -> Result<&'s Repo, Box<Answer>> {
        state.repo(&self.full_name()).ok_or_else(not_found)
    }

    pub(crate) fn view<'s>(&self, state: &'s State) -> View<'s>
    where
        'a: 's,
    {
        View {
            state,
            base: self.base,
        }
    }

    /// A page of `items` rendered, with its `Link` header.
    pub(crate) fn page<T>(&self, items: &[T], render: impl Fn(&T) -> Value) -> Outcome {
        let page = Page::of(self.request);
        let body = Value::Array(page.slice(items).iter().map(render).collect());
        Ok(self.linked(Answer::ok(body), page, items.len()))
    }

    pub(crate) fn linked(&self, answer: Answer, page: Page, total: usize) -> Answer {
        match page.link(self.request, self.base, total) {
            Some(link) => answer.header("link", link),
            None => answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str) -> Option<(&'static str, Vec<(&'static str, String)>)> {
        find("GET", path).map(|(route, params)| {
            (
                route.template,
                params
                    .into_iter()
                    .filter(|(name, _)| !matches!(*name, "owner" | "repo"))
                    .collect(),
            )
        })
    }

    #[test]
    fn paths_find_their_template() {
        assert_eq!(
            found("/repos/a/b/commits/feature/x/check-runs").unwrap(),
            (
                "/repos/{owner}/{repo}/commits/{ref}/check-runs",
                vec![("ref", "feature/x".into())]
            )
        );
        assert_eq!(
            found("/repos/a/b/branches/feature%2Fx").unwrap().1,
            [("branch", "feature/x".into())]
        );
        assert_eq!(
            found("/repos/a/b/compare/v1...feature/x").unwrap().1,
            [("basehead", "v1...feature/x".into())]
        );
        assert_eq!(
            found("/repos/a/b/contents/docs/a%20b.md").unwrap().1,
            [("path", "docs/a b.md".into())]
        );
        assert_eq!(found("/repos/a/b/deployments/1/2"), None);
        assert!(find("DELETE", "/repos/a/b").is_none());
    }
}
