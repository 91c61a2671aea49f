//! The page of all environments, as the step writes it and as a browser shows it.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::{Gate, digest};
use crate::support::{PATIENCE, Started, instance, wait};

/// A phone and a desktop, in pixels.
const WIDTHS: [u32; 2] = [390, 1280];

#[test]
fn the_board_shows_what_runs_what_waits_and_what_could_come_next() {
    let gate = Gate::new("gate-board");
    wait(PATIENCE, gate.world.serve(instance())).unwrap();
    let [good, better] = ["good", "better"].map(|mark| gate.image(mark));
    let mut reviewed = gate.healthy(&good, 0);
    reviewed["run"] = json!("https://github.com/acme/shop/actions/runs/1/attempts/1");
    gate.plant("staging", &[reviewed, gate.healthy(&better, 1)]);
    let mut failed = gate.healthy(&digest('9'), 2);
    failed["verdict"] = json!("failed");
    failed["actor"]["login"] = json!("<script>alert(1)</script>");
    gate.plant("production", &[gate.healthy(&good, 0), failed]);
    gate.declare(
        ", freeze: [{time-zone: UTC, first: 2000-01-01, last: 2998-12-31, reason: holidays}]",
    );

    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("board.html");
    let written = gate.run("linus", &["board", "--page", page.to_str().unwrap()]);
    written.is(0, &[]);
    let next = &written.json["environments"][1]["next"];
    assert_eq!(next["answer"], "refused", "{}", written.text);
    assert_eq!(next["digest"], json!(better), "{}", written.text);
    let html = std::fs::read_to_string(&page).unwrap();
    for piece in [
        // Nothing of it was deployed, so the services run something else.
        "<h2>staging</h2>\n<p class=\"health\">not healthy: missing",
        "<h2>production<span class=\"follows\">follows staging</span></h2>",
        "is refused: freeze: ",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "actions/runs/1/attempts/1\">run</a>",
    ] {
        assert!(html.contains(piece), "no {piece:?} in\n{html}");
    }

    for width in WIDTHS {
        for (scheme, page_color) in [("1", "rgb(244, 246, 248)"), ("0", "rgb(16, 21, 28)")] {
            let seen = seen(folder.path(), &html, width, scheme);
            assert_eq!(seen, format!("fits {page_color}"), "{width} pixels");
        }
    }
}

/// What a browser makes of the page: whether it fits the width, and the colour behind it.
fn seen(folder: &Path, html: &str, width: u32, scheme: &str) -> String {
    // The page itself runs no script, and forbids any.
    let (before, policy) = html.split_once("<meta http-equiv").unwrap();
    let (_, after) = policy.split_once('>').unwrap();
    let probe = "<script>document.title = (document.documentElement.scrollWidth <= window.innerWidth ? 'fits ' : 'overflows ') + \
                 getComputedStyle(document.body).backgroundColor</script></body>";
    let page = folder.join("probe.html");
    let text = format!("{before}{after}").replacen("</body>", probe, 1);
    std::fs::write(&page, text).unwrap();
    let mut command = Command::new("chromium");
    command
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--dump-dom",
        ])
        .arg(format!(
            "--user-data-dir={}",
            folder.join("profile").display()
        ))
        .arg(format!("--window-size={width},900"))
        .arg(format!("--blink-settings=preferredColorScheme={scheme}"))
        .arg(format!("file://{}", page.display()));
    let output = Started::new(&mut command).end(PATIENCE);
    let dom = String::from_utf8_lossy(&output.stdout);
    let title = dom
        .split_once("<title>")
        .and_then(|(_, rest)| rest.split_once("</title>"));
    title.unwrap_or_else(|| panic!("{output:?}")).0.to_owned()
}
