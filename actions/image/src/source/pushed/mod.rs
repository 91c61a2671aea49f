//! An engine with containerd's store pushes the image to this step, which serves a registry on the loopback interface for as
//! long as that takes.
//!
//! The store keeps layers as a registry does, so the engine sends exactly the blobs that are asked for, where its export
//! writes and hashes all of them. Nothing that the engine names is passed on: it gets the layers' bytes out, and manifest and
//! tags are ours, as with the export.
//!
//! Only this run knows the password without which the registry answers nothing, and a registry on the loopback interface may
//! be spoken to without TLS (moby, `registry/config.go`, `127.0.0.0/8`). An engine of another machine or network does not get
//! here; the image is then exported.

mod call;
mod contents;
mod intake;
mod name;
mod server;

use super::contents::{Contents, Entry, Known};
use super::engine::Engine;
use crate::blob::Chunk;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use intake::Intake;
use kit::{Context, Error, Result, Secret};
use name::{Name, Tag};
use server::Server;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

/// The user of the registry's login.
const USER: &str = "slipway";

/// An engine that is asked to push and gets here does so at once.
const REACHED: Duration = Duration::from_secs(20);

/// How long the engine may take to end a push that is over.
const ENDED: Duration = Duration::from_secs(10);

/// Where a layer goes that the engine offers.
pub(crate) struct Offer {
    pub(crate) chunks: mpsc::Sender<Chunk>,
    /// Answered once somebody needs the layer's bytes; closed if nobody does.
    pub(crate) needed: oneshot::Receiver<()>,
}

/// Asked for each layer where it goes, if it goes anywhere.
pub(crate) type Begin = Box<dyn FnMut(&Entry) -> Option<Offer> + Send>;

/// An image that its engine can be asked to push.
#[derive(Clone)]
pub(crate) struct Push {
    engine: Engine,
    socket: PathBuf,
    image: String,
    known: Known,
    /// True once the engine got here.
    was_reached: Arc<AtomicBool>,
}

impl Push {
    /// The image that the engine calls `image`. `None` if the engine does not listen on this machine, or does not say which
    /// blob is the configuration.
    pub(super) fn new(engine: &Engine, image: &str, known: &Known) -> Option<Self> {
        let Engine::Unix(socket) = engine else {
            return None;
        };
        (known.config.as_str() != image).then(|| Self {
            engine: engine.clone(),
            socket: socket.clone(),
            image: image.to_owned(),
            known: known.clone(),
            was_reached: Arc::default(),
        })
    }

    /// Has the image pushed. Dropping the future ends the push and removes what was made for it.
    ///
    /// # Errors
    /// The engine cannot push, does not get here, or sends something else than the image.
    pub(crate) async fn read(&self, begin: Begin) -> Result<Contents> {
        let intake = Arc::new(Intake::new(self.known.config.clone(), begin));
        let pushed = self.push(&intake).await;
        // Senders that stayed behind would keep the caller waiting for bytes.
        let received = intake.close();
        self.was_reached
            .fetch_or(received.reached, Ordering::Relaxed);
        pushed?;
        contents::contents(&self.known, &self.image, received)
    }

    /// Returns whether the engine ever got here.
    pub(super) fn was_reached(&self) -> bool {
        self.was_reached.load(Ordering::Relaxed)
    }

    /// Until the engine has pushed all of it.
    async fn push(&self, intake: &Arc<Intake>) -> Result<()> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("cannot listen on the loopback interface")?;
        let port = listener
            .local_addr()
            .context("cannot listen on the loopback interface")?
            .port();
        let name = Name::new(port);
        let password = password();
        let login = STANDARD.encode(format!("{USER}:{}", password.expose()));
        let _server = Server::start(listener, name.repository(), &login, intake);
        let tag = self.tag(&name).await?;
        let login = serde_json::json!({
            "username": USER,
            "password": password.expose(),
            "serveraddress": name.host(),
        });
        let login = Secret::new(URL_SAFE.encode(login.to_string()));
        let mut push = std::pin::pin!(call::push(&self.socket, &name, &login));
        let arrived = async {
            if tokio::time::timeout(REACHED, intake.reached())
                .await
                .is_err()
            {
                return Err(Error::failed(format!(
                    "the engine did not get to {} of this machine within {} s",
                    name.host(),
                    REACHED.as_secs()
                )));
            }
            intake.whole().await;
            Ok(())
        };
        // In this order, as both can have come by the time one is looked at: a push whose manifest came is whole.
        let has_ended = tokio::select! {
            biased;
            arrived = arrived => {
                arrived?;
                false
            }
            ended = &mut push => {
                if !intake.is_whole() {
                    return Err(self.failed(intake, ended));
                }
                true
            }
        };
        if !has_ended {
            // Its answer is that the manifest was refused.
            let _ = tokio::time::timeout(ENDED, push).await;
        }
        drop(tag);
        let (engine, own) = (self.engine.clone(), name.clone());
        // A name that stays is unused, and not a reason to fail.
        let _ = tokio::task::spawn_blocking(move || name::remove_leftovers(&engine, &own)).await;
        Ok(())
    }

    async fn tag(&self, name: &Name) -> Result<Tag> {
        let (engine, image, name) = (self.engine.clone(), self.image.clone(), name.clone());
        tokio::task::spawn_blocking(move || Tag::put(engine, &image, name))
            .await
            .context("asking the Docker Engine was interrupted")?
    }

    fn failed(&self, intake: &Intake, ended: std::io::Result<Option<String>>) -> Error {
        let error = Error::failed(format!("the Docker Engine cannot push {}", self.image));
        match (intake.failure(), ended) {
            (Some(failure), _) => failure,
            (None, Ok(Some(reason))) => error.cause(reason),
            (None, Ok(None)) => error.cause("it ended the push without a manifest"),
            (None, Err(broken)) => error.because(broken),
        }
    }
}

fn password() -> Secret {
    let random = || uuid::Uuid::new_v4().simple().to_string();
    Secret::new(format!("{}{}", random(), random()))
}
