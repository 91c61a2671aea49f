// The app whose assembly is in `cdk.out`; README.md says how it was made.
const fs = require("fs");
const { App, CfnOutput, Duration, NestedStack, Stack, Stage } = require("aws-cdk-lib");
const { Asset } = require("aws-cdk-lib/aws-s3-assets");
const { DockerImageAsset } = require("aws-cdk-lib/aws-ecr-assets");
const { Queue } = require("aws-cdk-lib/aws-sqs");
const { Topic } = require("aws-cdk-lib/aws-sns");

class Base extends Stack {
  constructor(scope, id, props) {
    super(scope, id, props);
    new Topic(this, "Topic", { displayName: "orders" });
  }
}

class Shop extends Stack {
  constructor(scope, id, props) {
    super(scope, id, props);
    const settings = new Asset(this, "Settings", { path: "settings" });
    const rules = new Asset(this, "Rules", { path: "rules.json" });
    new Queue(this, "Orders", { visibilityTimeout: Duration.seconds(30) });
    new CfnOutput(this, "SettingsUrl", { value: settings.s3ObjectUrl });
    new CfnOutput(this, "RulesUrl", { value: rules.s3ObjectUrl });
  }
}

class Alarms extends Stack {
  constructor(scope, id, props) {
    super(scope, id, props);
    const nested = new NestedStack(this, "Pagers");
    new Topic(nested, "Pager", { displayName: "pager" });
  }
}

class Image extends Stack {
  constructor(scope, id, props) {
    super(scope, id, props);
    const image = new DockerImageAsset(this, "Image", { directory: "image" });
    new Topic(this, "Topic", { displayName: "image" });
    new CfnOutput(this, "ImageUri", { value: image.imageUri });
  }
}

const app = new App({ outdir: "cdk.out", analyticsReporting: false, treeMetadata: false });
const shop = new Shop(app, "shop", { stackName: "NAME", terminationProtection: true, tags: { team: "shop" } });
shop.addDependency(new Base(app, "shop-base", { stackName: "NAME-base" }));
new Alarms(app, "shop-alarms", { stackName: "NAME-alarms" });
new Image(app, "shop-image", { stackName: "NAME-image" });
const live = new Stage(app, "live", { env: { account: "999999999999", region: "eu-west-1" } });
new Base(live, "base");
app.synth();

// The report of feature flags is long, and the metadata has paths of the machine that made it. The step reads neither.
for (const folder of ["cdk.out", "cdk.out/assembly-live"]) {
  const path = `${folder}/manifest.json`;
  const manifest = JSON.parse(fs.readFileSync(path, "utf8"));
  delete manifest.artifacts["aws-cdk-lib/feature-flag-report"];
  for (const artifact of Object.values(manifest.artifacts)) {
    if (artifact.additionalMetadataFile) fs.rmSync(`${folder}/${artifact.additionalMetadataFile}`);
    delete artifact.additionalMetadataFile;
    delete artifact.metadata;
  }
  fs.writeFileSync(path, `${JSON.stringify(manifest, undefined, 2)}\n`);
}
