//! The page: one file, with nothing from elsewhere, for a phone and a desktop, in light and dark.

use super::next::Next;
use crate::environment_history::at;
use crate::status::{Row, short};
use kit::clock::{human, rfc3339};
use kit::error::{Context, Result};
use ledger::{Actor, Record, Verdict};
use std::fmt::{self, Write};
use time::OffsetDateTime;

const STYLE: &str = include_str!("board.css");

/// All that the page shows.
pub(super) struct Page {
    pub(super) service: String,
    /// When it was read.
    pub(super) now: OffsetDateTime,
    /// In the order of promotion.
    pub(super) environments: Vec<Environment>,
}

pub(super) struct Environment {
    pub(super) row: Row,
    pub(super) follows: Option<String>,
    /// Newest first.
    pub(super) deployments: Vec<Deployment>,
    /// Nothing for an environment that follows none.
    pub(super) next: Option<Next>,
}

pub(super) struct Deployment {
    pub(super) record: Record,
    /// The permit that it ran under.
    pub(super) permit: Option<Record>,
}

/// Text in HTML, in an element or in an attribute in double quotes.
pub(super) struct Text<'a>(pub(super) &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

impl Page {
    /// The whole page.
    pub(super) fn html(&self) -> Result<String> {
        let mut html = String::new();
        self.write(&mut html).context("cannot write the page")?;
        Ok(html)
    }

    fn write(&self, html: &mut String) -> fmt::Result {
        let service = Text(&self.service);
        let now = rfc3339(self.now);
        write!(
            html,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"content-security-policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <title>{service}: deployments</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
             <header><h1>{service}</h1><p>Read from the ledger at <time>{now}</time></p></header>\n<main>\n"
        )?;
        for environment in &self.environments {
            environment.write(html, self.now)?;
        }
        write!(html, "</main>\n</body>\n</html>\n")
    }
}

impl Environment {
    fn write(&self, html: &mut String, now: OffsetDateTime) -> fmt::Result {
        let name = Text(&self.row.environment);
        let follows = match &self.follows {
            Some(before) => format!("<span class=\"follows\">follows {}</span>", Text(before)),
            None => String::new(),
        };
        let (class, health) = self.health();
        write!(
            html,
            "<section class=\"{class}\">\n<h2>{name}{follows}</h2>\n<p class=\"health\">{}</p>\n",
            with_digests(&health)
        )?;
        match &self.row.healthy {
            None => html.push_str("<p>Nothing healthy is recorded.</p>\n"),
            Some(record) => writeln!(
                html,
                "<dl><dt>digest</dt><dd>{}</dd><dt>commit</dt><dd>{}</dd>\
                 <dt>since</dt><dd>{}</dd><dt>by</dt><dd>{}</dd></dl>",
                digest(record.digest.as_str()),
                commit(record),
                since(&record.at, now),
                Text(&record.actor.login),
            )?,
        }
        self.waiting(html)?;
        self.next(html)?;
        self.deployments(html, now)?;
        html.push_str("</section>\n");
        Ok(())
    }

    /// A class for its colour, and the words: what cannot be seen is not healthy.
    fn health(&self) -> (&'static str, String) {
        match &self.row.live {
            None => ("idle", "not deployed".to_owned()),
            Some(Ok(seen)) if seen.missing.is_empty() => ("good", "healthy now".to_owned()),
            Some(Ok(seen)) => ("bad", format!("not healthy: {}", seen.missing.join("; "))),
            Some(Err(error)) => ("unknown", format!("unknown: {}", error.message)),
        }
    }

    /// Lists the missing reviews, deployments under way and requests.
    fn waiting(&self, html: &mut String) -> fmt::Result {
        let requests = self.row.waiting.iter().map(ToString::to_string);
        let lines: Vec<String> = self
            .row
            .open
            .iter()
            .cloned()
            .chain(self.row.deploying.iter().cloned())
            .chain(requests)
            .collect();
        if lines.is_empty() {
            return Ok(());
        }
        html.push_str("<ul class=\"open\">\n");
        for line in lines {
            writeln!(html, "<li>{}</li>", Text(&line))?;
        }
        html.push_str("</ul>\n");
        Ok(())
    }

    fn next(&self, html: &mut String) -> fmt::Result {
        let Some(next) = &self.next else {
            return Ok(());
        };
        let line = match next {
            Next::Nothing => "nothing is healthy in the previous environment".to_owned(),
            Next::Same => "runs what the previous environment runs".to_owned(),
            Next::Ready(ready) => format!("{} can be promoted", digest(ready.as_str())),
            Next::Refused {
                digest: refused,
                rule,
                fact,
                next,
            } => {
                let next = next
                    .as_deref()
                    .map_or_else(String::new, |next| format!("<br>{}", Text(next)));
                format!(
                    "{} is refused: {}: {}{next}",
                    digest(refused.as_str()),
                    Text(rule),
                    with_digests(fact)
                )
            }
            Next::Unknown {
                digest: unknown,
                why,
            } => format!(
                "{} could not be judged: {}",
                digest(unknown.as_str()),
                Text(why)
            ),
        };
        writeln!(html, "<p class=\"next\"><b>Next</b> {line}</p>")
    }

    fn deployments(&self, html: &mut String, now: OffsetDateTime) -> fmt::Result {
        if self.deployments.is_empty() {
            return Ok(());
        }
        html.push_str("<details><summary>Last deployments</summary>\n<ol>\n");
        for deployment in &self.deployments {
            deployment.write(html, now)?;
        }
        html.push_str("</ol></details>\n");
        Ok(())
    }
}

impl Deployment {
    fn write(&self, html: &mut String, now: OffsetDateTime) -> fmt::Result {
        let record = &self.record;
        let class = match record.verdict {
            Verdict::Healthy => "good",
            _ => "bad",
        };
        let way = match (&record.rollback, &record.break_glass) {
            (_, Some(glass)) => format!(", <b>break-glass</b>: {}", Text(&glass.reason)),
            (Some(_), None) => ", a rollback".to_owned(),
            (None, None) => String::new(),
        };
        write!(
            html,
            "<li class=\"{class}\"><b>{}</b> {}, by {}{way}<br>{} {}",
            Text(&record.verdict.to_string()),
            since(&record.at, now),
            Text(&record.actor.login),
            digest(record.digest.as_str()),
            commit(record),
        )?;
        if let Some(run) = record
            .run
            .as_deref()
            .filter(|run| run.starts_with("https://"))
        {
            write!(html, " <a href=\"{}\">run</a>", Text(run))?;
        }
        if let Some(evidence) = self.evidence() {
            write!(
                html,
                "<br><span class=\"evidence\">record {}, {evidence}</span>",
                record.seq
            )?;
        }
        html.push_str("</li>\n");
        Ok(())
    }

    /// The permit, with the pull requests, reviews and requests that it rests on.
    fn evidence(&self) -> Option<String> {
        let record = self.permit.as_ref()?;
        let permit = record.permit.as_ref()?;
        let mut parts = vec![format!(
            "permit {} by {}",
            record.seq,
            Text(&record.actor.login)
        )];
        if !permit.pulls.is_empty() {
            let pulls: Vec<String> = permit
                .pulls
                .iter()
                .map(|number| format!("#{number}"))
                .collect();
            parts.push(pulls.join(" "));
        }
        if !permit.approvers.is_empty() {
            parts.push(format!("approved by {}", logins(&permit.approvers)));
        }
        if !permit.requests.is_empty() {
            let requests: Vec<String> = permit.requests.iter().map(u64::to_string).collect();
            parts.push(format!(
                "promotion approved in request {}",
                requests.join(", ")
            ));
        }
        Some(parts.join(", "))
    }
}

fn logins(actors: &[Actor]) -> String {
    let names: Vec<String> = actors
        .iter()
        .map(|actor| Text(&actor.login).to_string())
        .collect();
    names.join(", ")
}

/// A digest, short, with all of it for whoever needs it.
fn digest(digest: &str) -> String {
    format!("<code title=\"{digest}\">{}</code>", short(digest, 19))
}

/// Text in HTML, in which digests are short.
fn with_digests(text: &str) -> String {
    const LEAD: &str = "sha256:";
    let mut parts = text.split(LEAD);
    let mut html = Text(parts.next().unwrap_or_default()).to_string();
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_hexdigit).count();
        let (digits, rest) = part.split_at(digits);
        html.push_str(&digest(&format!("{LEAD}{digits}")));
        html.push_str(&Text(rest).to_string());
    }
    html
}

fn commit(record: &Record) -> String {
    let commit = record.commit.as_str();
    format!("<code title=\"{commit}\">{}</code>", short(commit, 7))
}

/// How long ago, with the time itself for whoever needs it.
fn since(text: &str, now: OffsetDateTime) -> String {
    let age = at(text).and_then(|at| std::time::Duration::try_from(now - at).ok());
    let age = age.map_or_else(|| text.to_owned(), |age| format!("{} ago", human(age)));
    format!(
        "<time datetime=\"{0}\" title=\"{0}\">{1}</time>",
        Text(text),
        Text(&age)
    )
}
