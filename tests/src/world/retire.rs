//! The end of a world: its containers go, its logs go; what it wrote into the emulators stays, out of everybody's way.

use std::fs::{self, File};
use std::path::PathBuf;

use serde_json::json;

use super::{Environment, World, account};
use crate::fault::{Context, Result};
use crate::instance::Instance;

/// Keeps a world from being retired for as long as it lives.
#[derive(Debug)]
pub struct InUse {
    _lock: File,
}

impl World {
    /// Marks the world of this name as in use, and retires every other of the same family (`demo-…`) that nobody uses.
    pub async fn replace_earlier(instance: &Instance, family: &str, name: &str) -> Result<InUse> {
        let worlds = instance.dir.join("worlds");
        fs::create_dir_all(&worlds).context("making the folder of worlds")?;
        let lock =
            File::create(lock_file(instance, name)).context("marking the world as in use")?;
        lock.lock().context("marking the world as in use")?;
        for entry in fs::read_dir(&worlds).context("reading the folder of worlds")? {
            let entry = entry.context("reading the folder of worlds")?;
            let Ok(other) = entry.file_name().into_string() else {
                continue;
            };
            if !other.starts_with(family) || other == name || !entry.path().is_dir() {
                continue;
            }
            let lock =
                File::create(lock_file(instance, &other)).context("looking who uses a world")?;
            if lock.try_lock().is_err() {
                continue;
            }
            World::named(&other, "").end_services(instance).await?;
            fs::remove_dir_all(entry.path()).context("removing an earlier world's logs")?;
            fs::remove_file(lock_file(instance, &other))
                .context("removing an earlier world's mark")?;
        }
        Ok(InUse { _lock: lock })
    }

    /// Takes down what an environment's service runs on, as its infrastructure would be: service, load balancer, cluster.
    /// [`World::serve`] builds it again.
    pub async fn tear_down(&self, instance: &Instance, environment: &Environment) -> Result<()> {
        let aws = self.administrator(instance, &environment.account).await?;
        let cluster = environment.cluster(&self.service);
        account::tear_down(&aws, &cluster, &self.service).await
    }

    async fn end_services(&self, instance: &Instance) -> Result<()> {
        for environment in &self.environments {
            let aws = self.administrator(instance, &environment.account).await?;
            let body = json!({
                "cluster": environment.cluster(&self.service),
                "service": self.service,
                "force": true,
            });
            // After a restart of the stand-ins there is nothing left to delete, which is as good.
            let _ = aws
                .json(
                    "ecs",
                    "AmazonEC2ContainerServiceV20141113.DeleteService",
                    &body,
                )
                .await?;
        }
        Ok(())
    }
}

fn lock_file(instance: &Instance, world: &str) -> PathBuf {
    instance.dir.join("worlds").join(format!("{world}.lock"))
}
