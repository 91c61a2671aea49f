//! Secrets of the build, by where their values are.

use kit::env::Env;
use kit::{Error, Result};
use std::path::PathBuf;

/// A secret of the build, by where its value is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BuildSecret {
    pub(crate) id: String,
    pub(crate) from: SecretFrom,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SecretFrom {
    Variable(String),
    File(PathBuf),
}

/// Reads `id=ID,env=VARIABLE` or `id=ID,src=FILE`.
///
/// # Errors
/// Something else, or a source that does not exist (exit 2).
pub(super) fn read(text: &str, env: &Env) -> Result<BuildSecret> {
    // The text is not quoted: somebody may have put the value itself there.
    let malformed = || {
        Error::usage("a --secret is not id=ID,env=VARIABLE or id=ID,src=FILE").hint(
            "the value is taken from the environment variable or the file; it is never an argument",
        )
    };
    let (mut id, mut from) = (None, None);
    for part in text.split(',') {
        let known = match part.split_once('=') {
            Some(("id", value)) if !value.is_empty() => id.replace(value.to_owned()).is_none(),
            Some(("env", value)) if !value.is_empty() => from
                .replace(SecretFrom::Variable(value.to_owned()))
                .is_none(),
            Some(("src" | "source", value)) if !value.is_empty() => {
                from.replace(SecretFrom::File(value.into())).is_none()
            }
            _ => false,
        };
        if !known {
            return Err(malformed());
        }
    }
    let (Some(id), Some(from)) = (id, from) else {
        return Err(malformed());
    };
    match &from {
        SecretFrom::Variable(variable) if env.get(variable).is_none() => Err(Error::usage(
            format!("the variable {variable} of build secret {id} is not set"),
        )
        .hint(format!(
            "in a workflow: `env: {{{variable}: …}}` on this step"
        ))),
        SecretFrom::File(path) if !path.is_file() => Err(Error::usage(format!(
            "the file of build secret {id} is not there"
        ))
        .hint("src names a file, from the folder the step runs in")),
        _ => Ok(BuildSecret { id, from }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_named_by_where_it_is_and_never_quoted() {
        let env = Env::from([("NPM_TOKEN", "hunter2")]);
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        for (text, from) in [
            (
                "id=npm,env=NPM_TOKEN",
                SecretFrom::Variable("NPM_TOKEN".to_owned()),
            ),
            (&format!("src={path},id=npm"), SecretFrom::File(path.into())),
        ] {
            let id = "npm".to_owned();
            assert_eq!(read(text, &env).unwrap(), BuildSecret { id, from });
        }
        for wrong in [
            "npm=hunter2",
            "id=npm",
            "env=NPM_TOKEN",
            "id=npm,src=hunter2",
            "id=npm,env=NPM_TOKEN,src=hunter2",
            "id=npm,id=x,env=NPM_TOKEN",
            "id=npm,env=NPM_TOKEN,value=hunter2",
            "id=npm,env=GONE",
        ] {
            let error = read(wrong, &env).unwrap_err();
            assert_eq!(error.exit(), kit::Exit::Usage);
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
