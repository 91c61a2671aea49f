// What the contract gives, and the parts that are made of it.
import { AwsProvider } from "@cdktn/provider-aws/lib/provider/index.js";
import { TerraformOutput, TerraformStack, TerraformVariable } from "cdktn";
import type { Construct } from "constructs";
import { balancer } from "./balancer.ts";
import { network } from "./network.ts";
import { service } from "./service.ts";

/** The contract's variables, which reach Terraform as `TF_VAR_<name>`. */
export interface Given {
  service: string;
  environment: string;
  region: string;
  vpc_cidr: string;
  domain: string;
  hosted_zone_id: string;
  build_account: string;
  repository: string;
  image: string;
  log_retention_in_days: string;
}

/** The network, the load balancer and the service of one environment. */
export class Runtime extends TerraformStack {
  constructor(scope: Construct, id: string) {
    super(scope, id);
    const text = (name: string, fallback?: string) =>
      new TerraformVariable(this, name, { type: "string", nullable: false, default: fallback }).stringValue;
    const given: Given = {
      service: text("service"),
      environment: text("environment"),
      region: text("region"),
      vpc_cidr: text("vpc_cidr"),
      domain: text("domain"),
      hosted_zone_id: text("hosted_zone_id"),
      build_account: text("build_account"),
      repository: text("repository", "storefront"),
      // The image that the service starts with. Later ones are chosen by the delivery.
      image: text("image"),
      log_retention_in_days: text("log_retention_in_days", "30"),
    };
    new AwsProvider(this, "aws", { region: given.region });
    const net = network(this, given);
    const entrance = balancer(this, given, net);
    service(this, given, net, entrance);
    new TerraformOutput(this, "url", { value: `https://${given.domain}/` });
  }
}

/** The name of everything that belongs to the service in its environment. */
export function named(given: Given): string {
  return `${given.service}-${given.environment}`;
}
