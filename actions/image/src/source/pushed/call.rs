//! The call by which an engine pushes (Docker Engine API, "Push an image"): it answers while it works, one line of JSON for
//! each step. In HTTP/1.0, like all calls to it.

use super::name::Name;
use kit::Secret;
use serde::Deserialize;
use std::io;
use std::path::Path;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;

use super::super::engine::EXPORT;

/// Has the engine push. Returns the reason that it gives for a failure; if the future is dropped, the engine stops.
pub(super) async fn push(socket: &Path, name: &Name, login: &Secret) -> io::Result<Option<String>> {
    let mut stream = UnixStream::connect(socket).await?;
    let head = format!(
        "POST {} HTTP/1.0\r\nHost: docker\r\nUser-Agent: slipway\r\nX-Registry-Auth: {}\r\n\r\n",
        name.push(),
        login.expose()
    );
    stream.write_all(head.as_bytes()).await?;
    let mut lines = BufReader::new(stream).lines();
    let status = next(&mut lines).await?.unwrap_or_default();
    while next(&mut lines)
        .await?
        .is_some_and(|header| !header.is_empty())
    {}
    let mut reason = None;
    let mut text = String::new();
    while let Some(line) = next(&mut lines).await? {
        reason = reason.or_else(|| said(&line));
        text = line;
    }
    let is_good = status.split(' ').nth(1) == Some("200");
    Ok(match (is_good, reason) {
        (_, Some(reason)) => Some(reason),
        (true, None) => None,
        (false, None) => Some(format!("{status}: {text}")),
    })
}

async fn next(lines: &mut Lines<BufReader<UnixStream>>) -> io::Result<Option<String>> {
    tokio::time::timeout(EXPORT, lines.next_line())
        .await
        .map_err(io::Error::other)?
}

/// The reason of a failure, in a line of progress or as the whole answer.
fn said(line: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Line {
        error: Option<String>,
        message: Option<String>,
    }
    let line: Line = serde_json::from_str(line).ok()?;
    line.error.or(line.message)
}

#[cfg(test)]
mod tests {
    use super::said;

    #[test]
    fn the_engines_reason_is_told_from_its_progress() {
        for (line, reason) in [
            (
                r#"{"status":"Preparing","progressDetail":{},"id":"a"}"#,
                None,
            ),
            (r#"{"status":"The push refers to repository [x]"}"#, None),
            (
                r#"{"errorDetail":{"message":"no space"},"error":"no space"}"#,
                Some("no space"),
            ),
            (r#"{"message":"no such image"}"#, Some("no such image")),
            ("", None),
        ] {
            assert_eq!(said(line).as_deref(), reason, "{line}");
        }
    }
}
