// The runtime of storefront for Terraform, the same as ../infra-cloudformation: `slipway-state run -- cdktn deploy` applies it.
import { App, S3Backend } from "cdktn";
import { Runtime } from "./runtime.ts";

const app = new App();
const runtime = new Runtime(app, "storefront");
// Bucket, key, region and the kind of lock come from the contract at run time.
new S3Backend(runtime, { bucket: "given-by-the-step", key: "given-by-the-step" });
app.synth();
