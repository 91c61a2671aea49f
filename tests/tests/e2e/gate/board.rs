//! The page of all environments, as the step writes it and as a browser shows it.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Gate, digest};
use crate::support::{Started, TIMEOUT, instance, wait};

/// A phone and a desktop, in pixels.
const WIDTHS: [u32; 2] = [390, 1280];

#[test]
fn the_board_shows_what_runs_what_waits_and_what_could_come_next() {
    let gate = Gate::new("gate-board");
    wait(TIMEOUT, gate.world.serve(instance())).unwrap();
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
        "<h2>staging</h2>\n<p class=\"health\">not healthy: ",
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

/// The picture in the README. CONTRIBUTING.md says how to make it anew.
#[test]
#[ignore = "writes docs/images/board.png"]
fn the_readmes_picture_of_the_board() {
    let gate = Gate::new("gate-picture");
    wait(TIMEOUT, gate.world.serve(instance())).unwrap();
    let [good, better] = ["good", "better"].map(|mark| gate.image(mark));
    let ago = |digest: &str, commit: usize, minutes: i64| {
        let at = OffsetDateTime::now_utc() - time::Duration::minutes(minutes);
        let mut record = gate.healthy(digest, commit);
        record["at"] = json!(at.replace_nanosecond(0).unwrap().format(&Rfc3339).unwrap());
        record["run"] = json!("https://github.com/acme/storefront/actions/runs/7/attempts/1");
        record
    };
    let mut failed = ago(&digest('9'), 1, 320);
    failed["verdict"] = json!("failed");
    let chain = [ago(&good, 0, 3000), failed, ago(&better, 1, 185)];
    gate.plant("staging", &chain);
    let mut broken = ago(&digest('8'), 0, 13_000);
    broken["break_glass"] =
        json!({"reason": "the shop is down", "by": {"login": "eve"}, "expires": broken["at"]});
    let mut review = ago(&digest('8'), 0, 12_900);
    review["verdict"] = json!("reviewed");
    review["actor"]["login"] = json!("grace");
    let mut permit = ago(&good, 0, 1510);
    permit["verdict"] = json!("permitted");
    permit["permit"] = json!({"expires": permit["at"], "head": "0".repeat(64), "pulls": [12, 14],
                              "approvers": [{"login": "grace"}]});
    let mut current = ago(&good, 0, 1500);
    current["under"] = json!(3);
    gate.plant("production", &[broken, review, permit, current]);
    gate.deploy_to("staging", &better);
    gate.deploy(&good);
    gate.declare(", approve: {count: 2, people: [ada, grace, dora, eve]}");
    let asked = gate.run("linus", &["request", "--reason", "the new prices"]);
    asked.is(0, &[]);
    let number = asked.json["record"]["seq"].to_string();
    gate.run("grace", &["approve", "--request", &number])
        .is(0, &[]);

    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("board.html");
    gate.run("linus", &["board", "--page", page.to_str().unwrap()])
        .is(0, &[]);
    let html = std::fs::read_to_string(&page).unwrap();
    assert!(!html.contains("not healthy"), "{html}");
    std::fs::write(&page, html.replace("<details>", "<details open>")).unwrap();
    let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/images/board.png");
    let screenshot = format!("--screenshot={}", image.display());
    let light = "--blink-settings=preferredColorScheme=1";
    let more = [screenshot.as_str(), light, "--hide-scrollbars"];
    chromium(folder.path(), &page, (1280, 720), &more);
}

/// The page as a browser renders it: whether it fits the width, and its background color.
fn seen(folder: &Path, html: &str, width: u32, scheme: &str) -> String {
    // The page itself runs no script, and forbids any.
    let (before, policy) = html.split_once("<meta http-equiv").unwrap();
    let (_, after) = policy.split_once('>').unwrap();
    let probe = "<script>document.title = (document.documentElement.scrollWidth <= window.innerWidth ? 'fits ' : 'overflows ') + \
                 getComputedStyle(document.body).backgroundColor</script></body>";
    let page = folder.join("probe.html");
    let text = format!("{before}{after}").replacen("</body>", probe, 1);
    std::fs::write(&page, text).unwrap();
    let color = format!("--blink-settings=preferredColorScheme={scheme}");
    let output = chromium(folder, &page, (width, 900), &["--dump-dom", &color]);
    let dom = String::from_utf8_lossy(&output.stdout);
    let title = dom
        .split_once("<title>")
        .and_then(|(_, rest)| rest.split_once("</title>"));
    title.unwrap_or_else(|| panic!("{output:?}")).0.to_owned()
}

fn chromium(folder: &Path, page: &Path, (width, height): (u32, u32), more: &[&str]) -> Output {
    let mut command = Command::new("chromium");
    command
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
        ])
        .arg(format!(
            "--user-data-dir={}",
            folder.join("profile").display()
        ))
        .arg(format!("--window-size={width},{height}"))
        .args(more)
        .arg(format!("file://{}", page.display()));
    Started::new(&mut command).end(TIMEOUT)
}
