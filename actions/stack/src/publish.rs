//! The assets at their destinations.

use crate::assembly::assets::{Asset, Image};
use crate::assembly::pack::Content;
use crate::bucket::Bucket;
use crate::chosen::Chosen;
use crate::locate::Found;
use kit::Cx;
use kit::error::{Error, Result};
use ledger::sha256;
use net::{Account, AwsContext};

impl Chosen {
    /// The hash over all assets: the content and the destination of each file, and the digest of each image.
    ///
    /// # Errors
    /// An asset cannot be read, or an image is not at its destination.
    pub(crate) async fn hash(&self, account: &Account, look: bool) -> Result<Option<String>> {
        let mut lines = Vec::new();
        for asset in &self.assets {
            let content = Content::of(&self.root, asset)?;
            lines.push(format!("{} {}\n", sha256(&content.bytes), asset.shown()));
        }
        // The role of a pull request sees no images, and its plan is not applied.
        let images = if look { &[] } else { self.images.as_slice() };
        let client = aws_sdk_ecr::Client::new(&account.config);
        for image in images {
            lines.push(format!(
                "{} {image}\n",
                digest(&client, account, image).await?
            ));
        }
        Ok((!lines.is_empty()).then(|| sha256(lines.concat().as_bytes())))
    }

    /// Says what the stack needs and does not find, and publishes its assets; answers both as lines.
    ///
    /// # Errors
    /// An asset cannot be published.
    pub(crate) async fn ready(&self, cx: &Cx, found: &Found, look: bool) -> Result<Vec<String>> {
        let mut lines = self.unmet(&found.client).await;
        for line in &lines {
            cx.host.warn(line.clone());
        }
        lines.extend(self.publish(cx, &found.account, look).await?);
        Ok(lines)
    }

    /// Publishes the assets that are not at their destinations; answers where each is, as lines.
    ///
    /// # Errors
    /// One cannot be written, or another object is in its place (exit 3).
    async fn publish(&self, cx: &Cx, account: &Account, look: bool) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        for asset in &self.assets {
            let shown = asset.shown();
            if look {
                lines.push(format!(
                    "asset {}: {shown}, not published for a pull request",
                    asset.name
                ));
                continue;
            }
            let content = Content::of(&self.root, asset)?;
            let bucket = Bucket::new(cx, account, &asset.bucket, look);
            let kept = bucket.keep_as(&asset.key, &content.bytes, content.longest(), |object| {
                content.is(object)
            });
            let is_new = kept.await.map_err(|error| {
                error
                    .under(format!("cannot publish the asset {}", asset.name))
                    .hint("an app without CDK's bootstrap stack names a bucket of its own: `fileAssetsBucketName` of its synthesizer")
            })?;
            let how = if is_new { "published" } else { "already there" };
            lines.push(format!(
                "asset {}: {shown}, {how}, SHA-256 {}",
                asset.name,
                sha256(&content.bytes)
            ));
        }
        lines.extend(
            self.images
                .iter()
                .map(|image| format!("image {}: {image}", image.name)),
        );
        for line in &lines {
            cx.host.info(line.clone());
        }
        Ok(lines)
    }
}

impl Asset {
    fn shown(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }
}

impl std::fmt::Display for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

/// The digest of an image at its destination.
async fn digest(client: &aws_sdk_ecr::Client, account: &Account, image: &Image) -> Result<String> {
    let tagged = aws_sdk_ecr::types::ImageIdentifier::builder().image_tag(&image.tag);
    let call = client
        .describe_images()
        .registry_id(account.id.to_string())
        .repository_name(&image.repository)
        .image_ids(tagged.build());
    let answer = match call.send().await {
        Ok(answer) => answer,
        Err(error)
            if matches!(
                net::code(&error),
                Some("ImageNotFoundException" | "RepositoryNotFoundException")
            ) =>
        {
            return Err(Error::refused(format!(
                "the image {} of the cloud assembly is not at {image}, and this step builds no images",
                image.name
            ))
            .hint("publish it by slipway-image, and let the app take its digest instead of building it: slipway-image publish --environment NAME, then ContainerImage.fromEcrRepository(repository, digest)")
            .hint(format!("or push it to the repository {} with the tag {}", image.repository, image.tag)));
        }
        Err(error) => return Err(error).cannot(format!("look for the image {image}")),
    };
    let mut images = answer.image_details.unwrap_or_default().into_iter();
    let digest = images.next().and_then(|image| image.image_digest);
    digest.ok_or_else(|| Error::failed(format!("ECR did not tell the digest of {image}")))
}
