//! Selects the secrets of a call and checks that their sinks allow it. Pure.

use kit::contract::{SecretSpec, Sink, Source};
use kit::error::{Error, Result};
use kit::host::may_export;

/// The contract's secrets that may go to `sink`, and those named by argument.
///
/// # Errors
/// No secret, a name twice, a dangerous name, or an argument that is not `NAME=SOURCE`: all found
/// before the first call (exit 2).
pub(crate) fn select(
    declared: &[SecretSpec],
    given: &[String],
    sink: Sink,
) -> Result<Vec<SecretSpec>> {
    let mut specs: Vec<SecretSpec> = declared
        .iter()
        .filter(|spec| spec.sinks.contains(&sink))
        .cloned()
        .collect();
    for text in given
        .iter()
        .map(|line| line.trim())
        .filter(|line| !line.is_empty())
    {
        specs.push(parse(text, sink)?);
    }
    if specs.is_empty() {
        let name = format!("{sink:?}").to_lowercase();
        let error = Error::usage(format!("no secret may go to `{name}`"));
        return Err(if declared.is_empty() {
            Error::usage("no secret is named")
                .hint("name one: --source NAME=ssm:/path, or declare `secrets` in the contract")
        } else {
            let names: Vec<&str> = declared.iter().map(|spec| spec.name.as_str()).collect();
            error.hint(format!(
                "the contract declares {} for other sinks; add `{name}` to their `to`",
                names.join(", ")
            ))
        });
    }
    for (at, spec) in specs.iter().enumerate() {
        may_export(&spec.name)?;
        if specs[..at].iter().any(|other| other.name == spec.name) {
            return Err(Error::usage(format!("{} is named twice", spec.name))
                .hint("give each secret a name of its own, or remove one of the two"));
        }
    }
    Ok(specs)
}

fn parse(text: &str, sink: Sink) -> Result<SecretSpec> {
    let form = "NAME=ssm:/path, NAME=secretsmanager:id#key or NAME=env:OTHER";
    // The text is not repeated: a variable that expanded to the secret itself would be in the log.
    let (name, source) = text.split_once('=').ok_or_else(|| {
        Error::usage("a --source has no `=`, but it is NAME=SOURCE")
            .hint(format!("write it as {form}"))
    })?;
    let (name, source) = (name.trim(), source.trim());
    let source = Source::parse(source).map_err(|problem| {
        Error::usage(format!("--source {name}: {problem}")).hint(format!("write it as {form}"))
    })?;
    Ok(SecretSpec {
        name: name.to_owned(),
        source,
        sinks: vec![sink],
        required: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, sinks: &[Sink]) -> SecretSpec {
        SecretSpec {
            name: name.to_owned(),
            source: Source::Ssm("/x".to_owned()),
            sinks: sinks.to_vec(),
            required: true,
        }
    }

    #[test]
    fn a_secret_goes_only_to_its_declared_sinks() {
        let declared = [spec("A", &[Sink::Exec]), spec("B", &[Sink::Task])];
        let found = select(&declared, &[], Sink::Exec).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].name, "A");
        let error = select(&declared[1..], &[], Sink::Env).unwrap_err();
        assert!(error.hints[0].contains("declares B"), "{error}");
    }

    #[test]
    fn dangerous_and_doubled_names_are_found_before_any_call() {
        for given in [
            &["LD_PRELOAD=ssm:/x"][..],
            &["A=ssm:/x", "A=ssm:/y"],
            &["A"],
            &["A=ftp:/x"],
            &[],
        ] {
            let given: Vec<String> = given.iter().map(|text| (*text).to_owned()).collect();
            let error = select(&[], &given, Sink::Exec).unwrap_err();
            assert_eq!(error.exit(), kit::Exit::Usage, "{given:?}");
        }
    }
}
