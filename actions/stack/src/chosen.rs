//! The stack of an assembly that is planned, and what it gives to the plan.

use crate::assembly::assets::{self, Asset, Image};
use crate::assembly::bootstrap::unchecked;
use crate::assembly::manifest::{Stack, inside};
use crate::assembly::place::{Environment, Place};
use crate::client::Client;
use crate::files::{fits, read};
use crate::locate::Found;
use crate::seen;
use crate::settings::{Protection, Settings};
use kit::error::{Error, Result};
use std::path::PathBuf;

/// A stack of an assembly, in the place that it is planned for.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub(crate) root: PathBuf,
    pub(crate) place: Place,
    pub(crate) assets: Vec<Asset>,
    pub(crate) images: Vec<Image>,
    needs: Vec<(String, Environment)>,
    is_protected: bool,
}

impl Chosen {
    /// The stack that the settings' assembly has for this place, if they name an assembly. The settings get its template, and its tags
    /// and values of parameters wherever they have none of their own.
    ///
    /// # Errors
    /// There is no such stack, or it asks for something that this step does not do.
    pub(crate) fn of(settings: &mut Settings, found: &Found) -> Result<Option<Self>> {
        let Some(assembly) = settings.assembly.take() else {
            return Ok(None);
        };
        let place = Place {
            account: found.account.id.clone(),
            region: found.account.region.clone(),
        };
        let stack = assembly.find(&found.name, &place)?;
        possible(stack)?;
        let path = inside(
            &assembly.root,
            &stack.folder,
            &stack.properties.template_file,
        )?;
        let text = read(&path, "template")?;
        let cut = unchecked(&text)
            .map_err(|error| error.under(format!("cannot read {}", path.display())))?;
        settings.notes.push(format!(
            "cloud assembly {}: deployed with the roles of this step, none of CDK's bootstrap roles",
            assembly.shown
        ));
        if cut.is_some() {
            settings.notes.push(
                "cloud assembly: without the check of the bootstrap stack's version, which this step does not need"
                    .to_owned(),
            );
        }
        let text = cut.unwrap_or(text);
        fits(
            &text,
            &path.display().to_string(),
            settings.bucket.is_some(),
        )?;
        settings.template = text;
        let given = &mut settings.given;
        for (name, value) in &stack.properties.parameters {
            let is_given = given.secret.contains_key(name) || given.kept.contains(name);
            if !is_given && !settings.unset.contains_key(name) {
                given
                    .plain
                    .entry(name.clone())
                    .or_insert_with(|| value.clone());
            }
        }
        for (key, value) in &stack.properties.tags {
            let tag = settings.tags.entry(key.clone());
            tag.or_insert_with(|| value.clone());
        }
        let (assets, images) = assets::of(&assembly.root, stack, &place)?;
        Ok(Some(Self {
            root: assembly.root.clone(),
            place,
            assets,
            images,
            needs: stack.needs.clone(),
            is_protected: stack.properties.termination_protection,
        }))
    }

    /// Checks that the stack is protected from deletion if the app says so. `false` is what CDK writes for every other stack.
    ///
    /// # Errors
    /// It is not, and the plan does not protect it (exit 2).
    pub(crate) fn protects(
        &self,
        protection: &Protection,
        stack: Option<&seen::Stack>,
    ) -> Result<()> {
        let stays = || stack.is_some_and(|stack| stack.termination_protection);
        if !self.is_protected || protection.termination.unwrap_or_else(stays) {
            return Ok(());
        }
        Err(Error::usage(
            "the app asks for termination protection, and the contract does not declare it",
        )
        .hint("add `termination-protection: true` to the contract's `stack`, from which `apply` takes it too"))
    }

    /// What the stack needs and does not find, each as a line.
    pub(crate) async fn unmet(&self, client: &Client) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, environment) in &self.needs {
            let needs = format!("the stack depends on the stack {name}");
            if !environment.is(&self.place) {
                lines.push(format!(
                    "{needs} of {environment}, which was not looked for"
                ));
                continue;
            }
            match client.stack(name).await {
                Ok(Some(stack)) if stack.status != "REVIEW_IN_PROGRESS" => {}
                Ok(_) => lines.push(format!(
                    "{needs}, which is not deployed: plan and apply it first, with --name {name}"
                )),
                Err(error) => lines.push(format!(
                    "{needs}, which could not be looked for: {}",
                    error.line()
                )),
            }
        }
        lines
    }
}

/// Refuses a stack that is not whole, or asks for what a plan never gives.
pub(crate) fn possible(stack: &Stack) -> Result<()> {
    if !stack.missing.is_empty() {
        return Err(Error::usage(format!(
            "the cloud assembly was made without {}, which `cdk synth` has to look up",
            stack.missing.join(", ")
        ))
        .hint(
            "run `cdk synth` with credentials that may look it up, and commit cdk.context.json",
        ));
    }
    if !stack.strange.is_empty() {
        return Err(Error::usage(format!(
            "the stack depends on {}, of which this step knows nothing",
            stack.strange.join(", ")
        ))
        .hint("remove it from the app, or use a newer slipway-stack"));
    }
    if !stack.properties.notification_arns.is_empty() {
        return Err(Error::usage(
            "the app sends the stack's events to topics, and a plan never does",
        )
        .hint("remove `notificationArns` from the app"));
    }
    Ok(())
}
