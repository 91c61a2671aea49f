//! What a kept plan is bound to. Its ID is the SHA-256 of these words, which hold the SHA-256 of
//! the plan's bytes: whoever approved an ID approved this plan, for this state, and no other. Pure.

use super::options::Chosen;
use crate::hash::sha256;
use crate::object::Standing;
use kit::clock::rfc3339;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The form of the envelope. Another one is refused rather than half understood.
const VERSION: u32 = 3;

/// What a plan is made from, and what must be the same when it is applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Basis {
    /// `bucket/key` of the state.
    pub(crate) state: String,
    /// What stood there, if anything did.
    pub(crate) standing: Option<Standing>,
    /// SHA-256 of the state, since a number can come round again: a version that was brought back, or
    /// `state push -force`.
    pub(crate) content: Option<String>,
    /// The commit of the infrastructure code.
    pub(crate) commit: Option<String>,
    /// `terraform 1.11.4`.
    pub(crate) tool: String,
    /// SHA-256 of `.terraform.lock.hcl`, where there is one.
    pub(crate) providers: Option<String>,
    /// Salted SHA-256 of each `TF_VAR_*`, by name.
    pub(crate) variables: BTreeMap<String, String>,
    /// Workspace of the state, where one was named.
    pub(crate) workspace: Option<String>,
    pub(crate) options: Chosen,
}

/// The envelope around a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Envelope {
    version: u32,
    /// SHA-256 of the plan's bytes.
    pub(crate) plan: String,
    /// What the variables' hashes begin with, so that no two plans' hashes can be compared.
    pub(crate) salt: String,
    /// What it was made from.
    pub(crate) basis: Basis,
    /// What it does, in numbers, for people.
    pub(crate) counts: String,
    /// Who made it.
    pub(crate) who: String,
    /// The run it was made in.
    pub(crate) run: Option<String>,
    created: String,
    expires: String,
}

impl Envelope {
    pub(crate) fn new(
        plan: &[u8],
        salt: String,
        basis: Basis,
        now: OffsetDateTime,
        valid_for: std::time::Duration,
    ) -> Self {
        Self {
            version: VERSION,
            plan: sha256(plan),
            salt,
            basis,
            counts: String::new(),
            who: String::new(),
            run: None,
            created: rfc3339(now),
            expires: rfc3339(now + valid_for),
        }
    }

    pub(crate) fn expires(&self) -> &str {
        &self.expires
    }

    /// The object that is kept: one line of JSON, then the plan as it is. And its ID.
    pub(crate) fn seal(&self, plan: &[u8]) -> (String, Vec<u8>) {
        let mut object = serde_json::to_vec(self).unwrap_or_default();
        let id = sha256(&object);
        object.push(b'\n');
        object.extend_from_slice(plan);
        (id, object)
    }

    /// Takes an object apart, if it is the one that `id` stands for.
    ///
    /// # Errors
    /// What about it is not, in words.
    pub(crate) fn open<'a>(id: &str, object: &'a [u8]) -> Result<(Self, &'a [u8]), String> {
        let end = object
            .iter()
            .position(|byte| *byte == b'\n')
            .ok_or("it has no envelope")?;
        let (head, plan) = (&object[..end], &object[end + 1..]);
        let seen = sha256(head);
        if seen != id {
            return Err(format!("its envelope has the ID {seen}"));
        }
        let envelope: Self = serde_json::from_slice(head)
            .map_err(|error| format!("its envelope cannot be read: {error}"))?;
        if envelope.version != VERSION {
            return Err(format!(
                "its envelope has version {}, this program reads {VERSION}",
                envelope.version
            ));
        }
        let seen = sha256(plan);
        if seen != envelope.plan {
            return Err(format!(
                "the plan's bytes have the SHA-256 {seen}, the envelope says {}",
                envelope.plan
            ));
        }
        Ok((envelope, plan))
    }

    /// Everything that moved since the plan was made, each in one line; nothing when it may be
    /// applied.
    pub(crate) fn moved(&self, seen: &Basis, now: OffsetDateTime) -> Vec<String> {
        let planned = &self.basis;
        let mut moved = Vec::new();
        let said = |value: &Option<String>, none: &str| value.clone().unwrap_or(none.to_owned());
        let stood = |it: &Basis| match &it.standing {
            Some(standing) => (standing.lineage.clone(), standing.serial.to_string()),
            None => ("none".to_owned(), "none".to_owned()),
        };
        let ((lineage, serial), (lineage_now, serial_now)) = (stood(planned), stood(seen));
        let mut differ = |what: &str, before: String, after: String| {
            if before != after {
                moved.push(format!("{what}: planned with {before}, now {after}"));
            }
        };
        differ("the state", planned.state.clone(), seen.state.clone());
        if planned.standing == seen.standing {
            let (content, content_now) =
                (said(&planned.content, "none"), said(&seen.content, "none"));
            differ(
                "the state's content under the same serial",
                content,
                content_now,
            );
        }
        differ("the state's lineage", lineage, lineage_now);
        differ("the state's serial", serial, serial_now);
        differ(
            "the commit",
            said(&planned.commit, "no commit"),
            said(&seen.commit, "no commit"),
        );
        differ("the tool", planned.tool.clone(), seen.tool.clone());
        differ(
            "the provider lock file .terraform.lock.hcl",
            said(&planned.providers, "none"),
            said(&seen.providers, "none"),
        );
        differ(
            "the workspace",
            said(&planned.workspace, "none"),
            said(&seen.workspace, "none"),
        );
        differ(
            "the options",
            said(&planned.options.shown(), "none"),
            said(&seen.options.shown(), "none"),
        );
        for (what, planned, seen) in [
            ("the variable", &planned.variables, &seen.variables),
            (
                "the file of values",
                &planned.options.var_files,
                &seen.options.var_files,
            ),
        ] {
            moved.extend(
                other_hashes(planned, seen).map(|(name, how)| format!("{what} {name}: {how}")),
            );
        }
        match OffsetDateTime::parse(&self.expires, &Rfc3339) {
            Ok(expires) if now < expires => {}
            Ok(_) => moved.push(format!(
                "the time: the plan was valid until {}",
                self.expires
            )),
            // An end that nobody can read is over.
            Err(_) => moved.push(format!("the time: {:?} is no end", self.expires)),
        }
        moved
    }
}

/// Values of which only the hashes are known, where they differ.
fn other_hashes<'a>(
    planned: &'a BTreeMap<String, String>,
    seen: &'a BTreeMap<String, String>,
) -> impl Iterator<Item = (&'a str, &'static str)> {
    let names: std::collections::BTreeSet<&String> = planned.keys().chain(seen.keys()).collect();
    names.into_iter().filter_map(move |name| {
        let how = match (planned.get(name), seen.get(name)) {
            (Some(_), None) => "planned with a value, now it is not set",
            (None, Some(_)) => "planned without it, now it is set",
            (before, after) if before != after => "planned with another value",
            _ => return None,
        };
        Some((name.as_str(), how))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::hashed;
    use std::time::Duration;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

    fn standing(serial: u64) -> Option<Standing> {
        Some(Standing {
            serial,
            lineage: "ae7d".into(),
        })
    }

    fn basis() -> Basis {
        Basis {
            state: "b/shop/dev/terraform.tfstate".into(),
            standing: standing(4),
            content: Some("c4".into()),
            commit: Some("c0ffee".into()),
            tool: "terraform 1.11.4".into(),
            providers: Some("aa".into()),
            variables: hashed("s", [("TF_VAR_domain", "a"), ("PATH", "x")].into_iter()),
            workspace: Some("blue".into()),
            options: Chosen {
                words: vec!["-destroy".into()],
                var_files: [("1. a.tfvars".to_owned(), "h".to_owned())].into(),
            },
        }
    }

    fn envelope() -> Envelope {
        let hour = Duration::from_secs(3600);
        Envelope::new(b"plan", "s".into(), basis(), NOW, hour)
    }

    #[test]
    fn each_thing_that_moved_is_named_and_nothing_else() {
        let moved = |change: fn(&mut Basis)| {
            let mut seen = basis();
            change(&mut seen);
            envelope().moved(&seen, NOW)
        };
        assert_eq!(moved(|_| ()), [""; 0]);
        for (change, said) in [
            (
                (|it| it.state = "b/other".into()) as fn(&mut Basis),
                "the state: planned with b/shop/dev/terraform.tfstate, now b/other",
            ),
            (
                |it| it.standing = standing(5),
                "the state's serial: planned with 4, now 5",
            ),
            (
                |it| it.content = Some("c5".into()),
                "the state's content under the same serial: planned with c4, now c5",
            ),
            (
                |it| it.commit = None,
                "the commit: planned with c0ffee, now no commit",
            ),
            (
                |it| it.tool = "tofu 1.9.0".into(),
                "the tool: planned with terraform 1.11.4, now tofu 1.9.0",
            ),
            (
                |it| it.providers = None,
                "the provider lock file .terraform.lock.hcl: planned with aa, now none",
            ),
            (
                |it| it.variables = hashed("s", [("TF_VAR_domain", "b")].into_iter()),
                "the variable TF_VAR_domain: planned with another value",
            ),
            (
                |it| it.variables.clear(),
                "the variable TF_VAR_domain: planned with a value, now it is not set",
            ),
            (
                |it| it.workspace = None,
                "the workspace: planned with blue, now none",
            ),
            (
                |it| it.options.words.clear(),
                "the options: planned with --var-file a.tfvars --destroy, now --var-file a.tfvars",
            ),
            (
                |it| {
                    it.options
                        .var_files
                        .insert("1. a.tfvars".into(), "other".into());
                },
                "the file of values 1. a.tfvars: planned with another value",
            ),
        ] {
            assert_eq!(moved(change), [said]);
        }
        assert_eq!(
            moved(|it| it.standing = None),
            [
                "the state's lineage: planned with ae7d, now none",
                "the state's serial: planned with 4, now none"
            ]
        );
    }

    #[test]
    fn a_plan_ends() {
        let at = |minutes| {
            envelope()
                .moved(&basis(), NOW + time::Duration::minutes(minutes))
                .len()
        };
        assert_eq!([at(59), at(60), at(61)], [0, 1, 1]);
        let mut odd = envelope();
        odd.expires = "soon".into();
        assert_eq!(odd.moved(&basis(), NOW).len(), 1);
    }

    #[test]
    fn an_object_opens_only_with_its_own_id_and_bytes() {
        let (id, object) = envelope().seal(b"plan\nwith a line");
        assert!(Envelope::open(&id, &object).is_err(), "other bytes");
        let (id, object) = envelope().seal(b"plan");
        let (opened, plan) = Envelope::open(&id, &object).unwrap();
        assert_eq!((opened, plan), (envelope(), &b"plan"[..]));
        let mut changed = object.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert!(
            Envelope::open(&id, &changed)
                .unwrap_err()
                .contains("the plan's bytes have the SHA-256")
        );
        let text = String::from_utf8(object.clone()).unwrap();
        let text = text.replace("c0ffee", "c0ffe3");
        assert!(
            Envelope::open(&id, text.as_bytes())
                .unwrap_err()
                .contains("its envelope has the ID")
        );
        assert!(Envelope::open(&id, b"nothing").is_err());
        assert!(!text.contains("\"a\""), "no variable's value is kept");
    }
}
