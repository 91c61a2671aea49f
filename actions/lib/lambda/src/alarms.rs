//! Alarms of CloudWatch, by name (Amazon CloudWatch API Reference, "DescribeAlarms").

use crate::client::retried;
use kit::error::{Error, Result};
use net::{Account, Net, RetryPolicy};

/// The most names that one call takes.
const MOST: usize = 100;

/// An alarm as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// Its name.
    pub name: String,
    /// `OK`, `ALARM` or `INSUFFICIENT_DATA`.
    pub state: String,
}

impl Alarm {
    /// True if it is in ALARM.
    pub fn in_alarm(&self) -> bool {
        self.state == "ALARM"
    }
}

/// The alarms of these names.
///
/// # Errors
/// CloudWatch does not answer, or one of them is not there: nobody would see it go off.
pub async fn alarms(
    net: &Net,
    account: &Account,
    policy: RetryPolicy,
    host: &kit::host::Host,
    names: &[String],
) -> Result<Vec<Alarm>> {
    let mut found = Vec::new();
    for names in names.chunks(MOST) {
        let mut parameters: Vec<(String, &str)> = vec![
            ("AlarmTypes.member.1".to_owned(), "MetricAlarm"),
            ("AlarmTypes.member.2".to_owned(), "CompositeAlarm"),
        ];
        for (index, name) in names.iter().enumerate() {
            parameters.push((format!("AlarmNames.member.{}", index + 1), name));
        }
        let parameters: Vec<(&str, &str)> = parameters
            .iter()
            .map(|(name, value)| (name.as_str(), *value))
            .collect();
        let call = || {
            net.query(
                account,
                "monitoring",
                "2010-08-01",
                "DescribeAlarms",
                &parameters,
            )
        };
        let answer = retried(policy, host, "cloudwatch:DescribeAlarms", call).await?;
        found.extend(read(&answer));
    }
    let gone: Vec<&str> = names
        .iter()
        .filter(|name| !found.iter().any(|alarm| alarm.name == **name))
        .map(String::as_str)
        .collect();
    if gone.is_empty() {
        return Ok(found);
    }
    Err(
        Error::refused(format!("there is no alarm {}", gone.join(", ")))
            .hint("list them: aws cloudwatch describe-alarms --query 'MetricAlarms[].AlarmName'"),
    )
}

fn read(answer: &str) -> Vec<Alarm> {
    let each = answer.split("<AlarmName>").skip(1);
    each.filter_map(|rest| {
        let (name, rest) = rest.split_once("</AlarmName>")?;
        let (_, state) = rest.split_once("<StateValue>")?;
        let (state, _) = state.split_once("</StateValue>")?;
        Some(Alarm {
            name: unescaped(name),
            state: state.to_owned(),
        })
    })
    .collect()
}

/// Text of XML without its escapes.
fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_of_both_kinds_are_read() {
        let answer = "<DescribeAlarmsResult><CompositeAlarms><member><AlarmName>both &amp; all</AlarmName>\
            <StateValue>ALARM</StateValue></member></CompositeAlarms><MetricAlarms><member><AlarmActions><member>a</member>\
            </AlarmActions><AlarmName>errors</AlarmName><StateReason>x</StateReason><StateValue>OK</StateValue></member>\
            </MetricAlarms></DescribeAlarmsResult>";
        let alarm = |name: &str, state: &str| Alarm {
            name: name.to_owned(),
            state: state.to_owned(),
        };
        assert_eq!(
            read(answer),
            [alarm("both & all", "ALARM"), alarm("errors", "OK")]
        );
        assert!(read("<DescribeAlarmsResult/>").is_empty());
    }
}
