//! The notes of a step to its post step. They go through a file of the runner's, to which a program that the
//! step ran could write as well, if it finds it. So a note carries a proof that the step wrote it: a MAC
//! under the job's token for the runner's services, which actions get and no child does.

use super::{Host, Kind, github};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::hex;
use crate::own::Own;
use ring::hmac;

/// The token for the runner's services. It is one for all steps of a job.
const TOKEN: &str = "ACTIONS_RUNTIME_TOKEN";

impl Host {
    /// Tells the post step something before the step goes on, because the step may be killed
    /// before it ends. Does nothing where there is no post step.
    ///
    /// # Errors
    /// The runner's file cannot be written.
    pub fn remember(&self, name: &str, value: &str) -> Result<()> {
        match self.kind {
            Kind::GitHub => github::remember(&self.env, name, &proven(&self.env, name, value)),
            Kind::CodeBuild | Kind::Terminal => Ok(()),
        }
    }

    /// The note that the step left for its post step under this name, if there is one.
    ///
    /// # Errors
    /// The note was not written by the step (exit 3).
    pub fn remembered(&self, name: &str) -> Result<Option<String>> {
        let Some(note) = self.env.get(&format!("STATE_{name}")) else {
            return Ok(None);
        };
        match value(&self.env, name, note) {
            Some(value) => Ok(Some(value.to_owned())),
            None => Err(Error::refused(format!(
                "the note `{name}` to the post step is not one that the step wrote, so nothing was done about it"
            ))
            .cause("a program of this job wrote it, in place of the step's own or beside it")
            .hint("find out which program it is; what the step left behind is still there")),
        }
    }

    /// The file or folder that the step made and told its post step of under this name, if it did.
    ///
    /// # Errors
    /// It was not the step that wrote this (exit 3).
    pub fn remembered_own(&self, name: &str) -> Result<Option<Own>> {
        let Some(note) = self.remembered(name)? else {
            return Ok(None);
        };
        let own = Own::noted(&note).ok_or_else(|| {
            Error::refused(format!(
                "the note `{name}` to the post step does not name a file that the step made, so nothing was removed"
            ))
            .hint("find out which program of this job wrote it; what the step left behind is still there")
        })?;
        Ok(Some(own))
    }
}

fn key(env: &Env) -> Option<hmac::Key> {
    let token = env.get(TOKEN)?;
    Some(hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes()))
}

fn covered(name: &str, value: &str) -> Vec<u8> {
    [name.as_bytes(), b"\0", value.as_bytes()].concat()
}

/// The note for a value. A runner without the token has no proof to give.
fn proven(env: &Env, name: &str, value: &str) -> String {
    match key(env) {
        Some(key) => {
            let tag = hmac::sign(&key, &covered(name, value));
            format!("{} {value}", hex::encode(tag.as_ref()))
        }
        None => value.to_owned(),
    }
}

/// The value of a note, if its proof holds.
fn value<'a>(env: &Env, name: &str, note: &'a str) -> Option<&'a str> {
    let Some(key) = key(env) else {
        return Some(note);
    };
    let (tag, value) = note.split_once(' ')?;
    let wanted = hmac::sign(&key, &covered(name, value));
    // Nobody can try many: a runner starts a post step once.
    (tag == hex::encode(wanted.as_ref())).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_believed_only_as_it_was_written() {
        let env = Env::from([(TOKEN, "t")]);
        let note = proven(&env, "file", "/a b");
        assert_eq!(value(&env, "file", &note), Some("/a b"));
        let other = Env::from([(TOKEN, "u")]);
        assert_eq!(value(&other, "file", &note), None);
        // A note of one name is none of another, and one without a proof is none.
        assert_eq!(value(&env, "lock", &note), None);
        for forged in ["/victim", "", "00 /victim", &note.replace("/a b", "/b")] {
            assert_eq!(value(&env, "file", forged), None, "{forged}");
        }
        let none = Env::default();
        assert_eq!(
            value(&none, "file", &proven(&none, "file", "/a")),
            Some("/a")
        );
    }
}
