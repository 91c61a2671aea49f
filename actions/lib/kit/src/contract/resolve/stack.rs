//! The CloudFormation stack of an environment.

use super::{BUCKET, Resolver};
use crate::aws::{AccountId, Region};
use crate::contract::declared::Entries;
use crate::contract::diagnostics::At;
use crate::contract::model::Stack;
use crate::contract::template::{InRegion, InVariable, PerEnvironment, Templated};
use std::collections::BTreeMap;

/// A stack's name (CloudFormation API Reference, CreateChangeSet).
const NAME: &str = "^[A-Za-z][A-Za-z0-9-]{0,127}$";

impl Resolver<'_> {
    /// The stack, if the contract declares one for the environment; `None` if something in it is wrong.
    pub(super) fn stack(
        &mut self,
        account: Option<&AccountId>,
        region: Option<&Region>,
    ) -> Option<Option<Stack>> {
        let (own, top) = (&self.environment.stack, &self.declared.stack);
        if own.is_none() && top.is_none() {
            return Some(None);
        }
        let own = own.clone().unwrap_or_default();
        let top = top.clone().unwrap_or_default();
        let name = own.name.or(top.name);
        let name = self
            .fill
            .text(name.as_ref(), "{service}-{environment}", "stack.name", true);
        let name = self.fill.checked(name, NAME, "stack name");
        // A value of the one kind replaces one of the other.
        let replaced: Vec<&str> = own
            .secret_parameters
            .iter()
            .flat_map(|all| &all.0)
            .map(|(name, _)| name.value.0.as_str())
            .collect();
        let mut parameters = self.values(top.parameters.as_ref(), &replaced);
        if let (Some(all), Some(more)) =
            (&mut parameters, self.values(own.parameters.as_ref(), &[]))
        {
            all.extend(more);
        } else {
            parameters = None;
        }
        let secret_parameters = top
            .secret_parameters
            .iter()
            .chain(&own.secret_parameters)
            .flat_map(|all| &all.0)
            .map(|(name, secret)| (name.value.0.clone(), secret.value.0.clone()))
            .filter(|(name, _)| {
                let plain = own.parameters.iter().flat_map(|all| &all.0);
                !plain
                    .map(|(other, _)| &other.value.0)
                    .any(|other| other == name)
            })
            .collect();
        let tags = self.values(top.tags.as_ref(), &[]);
        let own_tags = self.values(own.tags.as_ref(), &[]);
        let role = match own.role.or(top.role) {
            Some(role) => {
                let role = self.fill.given(&role, true);
                self.fill.role(role, account, region).map(Some)
            }
            None => Some(None),
        };
        let regions = self.stack_regions(own.regions.or(top.regions));
        let bucket = self.stack_bucket(own.bucket.or(top.bucket));
        let mut tags = tags?;
        tags.extend(own_tags?);
        Some(Some(Stack {
            name: name?,
            template: own
                .template
                .or(top.template)
                .map_or_else(|| "infra/stack.yaml".to_owned(), |path| path.value.0),
            parameters: parameters?,
            secret_parameters,
            tags,
            capabilities: own
                .capabilities
                .or(top.capabilities)
                .into_iter()
                .flatten()
                .map(|capability| capability.value)
                .collect(),
            termination_protection: own
                .termination_protection
                .or(top.termination_protection)
                .map(|protected| protected.value),
            policy: own.policy.or(top.policy).map(|path| path.value.0),
            regions: regions?,
            bucket: bucket?,
            role: role?,
        }))
    }

    fn stack_regions(
        &mut self,
        declared: Option<Vec<At<Templated<InRegion>>>>,
    ) -> Option<Vec<Region>> {
        let declared = declared.unwrap_or_default();
        // Each is filled in, so that every mistake is found.
        let all: Vec<Option<Region>> = declared
            .iter()
            .map(|region| self.fill.region(region, true))
            .collect();
        all.into_iter().collect()
    }

    fn stack_bucket(
        &mut self,
        declared: Option<At<Templated<PerEnvironment>>>,
    ) -> Option<Option<String>> {
        let Some(declared) = declared else {
            return Some(None);
        };
        let bucket = self.fill.given(&declared, true);
        self.fill.checked(bucket, BUCKET, "bucket name").map(Some)
    }

    /// The values by name, without those that `left_out` names; `None` if one is wrong.
    fn values<K>(
        &mut self,
        entries: Option<&Entries<K, At<Templated<InVariable>>>>,
        left_out: &[&str],
    ) -> Option<BTreeMap<String, String>> {
        let mut values = Some(BTreeMap::new());
        for (name, value) in entries.into_iter().flat_map(|all| &all.0) {
            let name = name.value.0.clone();
            if left_out.contains(&name.as_str()) {
                continue;
            }
            match (self.fill.given_text(value), &mut values) {
                (Some(value), Some(values)) => drop(values.insert(name, value)),
                _ => values = None,
            }
        }
        values
    }
}
