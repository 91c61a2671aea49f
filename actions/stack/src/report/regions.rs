//! The reports of several regions as one.

use kit::Report;
use kit::aws::Region;
use kit::error::{Error, Result};
use kit::report::{markdown_table, text_table};
use serde_json::{Value, json};

const HEADS: [&str; 2] = ["region", "result"];

/// The reports of a verb that looks at every region, or the first error, after what the others say.
///
/// # Errors
/// The first one.
pub(crate) fn each(all: Vec<(Region, Result<Report>)>) -> Result<Report> {
    let all = match <[(Region, Result<Report>); 1]>::try_from(all) {
        Ok([(_, only)]) => return only,
        Err(all) => all,
    };
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|(region, result)| match result {
            Ok(report) => vec![region.to_string(), status(&report.json)],
            Err(error) => vec![region.to_string(), error.message.clone()],
        })
        .collect();
    let (mut reports, mut first) = (Vec::new(), None);
    for (region, result) in all {
        match result {
            Ok(report) => reports.push(report),
            Err(error) if first.is_none() => first = Some((region, error)),
            Err(_) => {}
        }
    }
    match first {
        None => Ok(joined(&rows, reports)),
        Some((region, error)) => Err(failed(&region, error, &rows)),
    }
}

/// The reports of the regions that a plan was applied to, in this order.
pub(crate) fn applied(done: Vec<(Region, Report)>) -> Report {
    let rows = done.iter().map(|(region, report)| row(region, report));
    let rows: Vec<Vec<String>> = rows.collect();
    joined(&rows, done.into_iter().map(|(_, report)| report).collect())
}

/// The error of a plan that stopped in a region, with what was done before and what was not begun.
pub(crate) fn halted(
    done: &[(Region, Report)],
    region: &Region,
    error: Error,
    rest: &[&Region],
) -> Error {
    let mut rows: Vec<Vec<String>> = done.iter().map(|(region, it)| row(region, it)).collect();
    rows.push(vec![region.to_string(), error.message.clone()]);
    rows.extend(
        rest.iter()
            .map(|region| vec![region.to_string(), "not started".to_owned()]),
    );
    let mut error = failed(region, error, &rows);
    if !rest.is_empty() {
        let names: Vec<&str> = rest.iter().map(|region| region.as_str()).collect();
        error = error.hint(format!("nothing was begun in {}", names.join(", ")));
    }
    let before: Vec<Value> = done.iter().map(|(_, report)| report.json.clone()).collect();
    let data = error.json.take();
    error.json = Some(json!({
        "applied": before,
        "failed": data.unwrap_or_else(|| json!({"region": region})),
        "not_started": rest,
    }));
    error
}

fn failed(region: &Region, mut error: Error, rows: &[Vec<String>]) -> Error {
    error.message = format!("{region}: {}", error.message);
    let table = markdown_table(&HEADS, rows);
    let own = error.summary.take().unwrap_or_default();
    error.summary = Some(format!("{table}\n{own}"));
    let details = std::mem::take(&mut error.details);
    error.details = format!("{}\n{details}", text_table(&HEADS, rows));
    error
}

fn row(region: &Region, report: &Report) -> Vec<String> {
    let result = report.json["result"].as_str().unwrap_or_default();
    vec![
        region.to_string(),
        format!("{result}, {}", status(&report.json)),
    ]
}

fn status(data: &Value) -> String {
    data["status"].as_str().unwrap_or_default().to_owned()
}

/// One report, with a table of the regions before their own parts. Outputs of the stack are by region.
fn joined(rows: &[Vec<String>], reports: Vec<Report>) -> Report {
    if reports.len() == 1 {
        return reports.into_iter().next().unwrap_or_default();
    }
    let mut whole = Report {
        text: text_table(&HEADS, rows),
        summary: markdown_table(&HEADS, rows),
        ..Report::default()
    };
    let (mut parts, mut outputs) = (Vec::new(), serde_json::Map::new());
    let permits = reports.iter().map(|report| report.json["permit"].clone());
    let permit = permits.into_iter().find(|permit| !permit.is_null());
    for mut report in reports {
        whole.text.push_str(&format!("\n{}", report.text));
        whole.summary.push_str(&format!("\n{}", report.summary));
        if let Some(region) = report.json["region"].as_str() {
            outputs.insert(region.to_owned(), report.json["outputs"].clone());
        }
        // It is the permit of the whole.
        if permit.is_some() {
            report.json["permit"].take();
        }
        parts.push(report.json);
    }
    whole.json = json!({"regions": parts});
    if let Some(permit) = permit {
        whole.json["permit"] = permit;
    }
    whole.output("outputs", Value::Object(outputs).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::Exit;

    fn region(name: &str) -> Region {
        name.parse().unwrap()
    }

    fn report(region: &str) -> Report {
        Report {
            json: json!({"region": region, "result": "applied", "status": "UPDATE_COMPLETE", "outputs": {"Url": region}}),
            ..Report::default()
        }
    }

    #[test]
    fn a_halt_names_what_was_done_and_what_was_not_begun() {
        let (one, two, three) = (
            region("ca-central-1"),
            region("eu-west-1"),
            region("us-east-1"),
        );
        let done = vec![(one, report("ca-central-1"))];
        let error = halted(&done, &two, Error::failed("rolled back"), &[&three]);
        assert_eq!(error.exit(), Exit::Failed);
        assert_eq!(error.message, "eu-west-1: rolled back");
        for piece in [
            "ca-central-1  applied, UPDATE_COMPLETE",
            "us-east-1     not started",
        ] {
            assert!(error.details.contains(piece), "{}", error.details);
        }
        let data = error.json.clone().unwrap();
        assert_eq!(data["not_started"], json!(["us-east-1"]));
        assert_eq!(data["applied"][0]["region"], "ca-central-1");
        assert!(error.to_string().contains("nothing was begun in us-east-1"));
    }

    #[test]
    fn outputs_are_by_region_where_there_are_several() {
        let done = ["ca-central-1", "eu-west-1"].map(|name| (region(name), report(name)));
        let whole = applied(done.into());
        let (name, outputs) = &whole.outputs[0];
        assert_eq!(*name, "outputs");
        let outputs: Value = serde_json::from_str(outputs).unwrap();
        assert_eq!(outputs["eu-west-1"]["Url"], "eu-west-1");
        assert_eq!(
            applied(vec![(region("eu-west-1"), report("eu-west-1"))]).json["status"],
            "UPDATE_COMPLETE"
        );
    }
}
