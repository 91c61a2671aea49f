// The load balancer: TLS with a certificate of ACM, a redirect from HTTP, and the domain's record.
import { AcmCertificate } from "@cdktn/provider-aws/lib/acm-certificate/index.js";
import { AcmCertificateValidation } from "@cdktn/provider-aws/lib/acm-certificate-validation/index.js";
import { Lb } from "@cdktn/provider-aws/lib/lb/index.js";
import { LbListener } from "@cdktn/provider-aws/lib/lb-listener/index.js";
import { LbTargetGroup } from "@cdktn/provider-aws/lib/lb-target-group/index.js";
import { Route53Record } from "@cdktn/provider-aws/lib/route53-record/index.js";
import type { Construct } from "constructs";
import { PORT, type Network } from "./network.ts";
import { named, type Given } from "./runtime.ts";

/** What the service needs of the load balancer. */
export interface Entrance {
  targets: LbTargetGroup;
  listener: LbListener;
}

export function balancer(scope: Construct, given: Given, net: Network): Entrance {
  const certificate = new AcmCertificate(scope, "certificate", {
    domainName: given.domain,
    validationMethod: "DNS",
    lifecycle: { createBeforeDestroy: true },
  });
  const option = certificate.domainValidationOptions.get(0);
  const proof = new Route53Record(scope, "proof", {
    zoneId: given.hosted_zone_id,
    name: option.resourceRecordName,
    type: option.resourceRecordType,
    records: [option.resourceRecordValue],
    ttl: 300,
  });
  const issued = new AcmCertificateValidation(scope, "issued", {
    certificateArn: certificate.arn,
    validationRecordFqdns: [proof.fqdn],
  });

  const lb = new Lb(scope, "load-balancer", {
    name: named(given),
    loadBalancerType: "application",
    internal: false,
    subnets: net.publicSubnets.map((one) => one.id),
    securityGroups: [net.balancerGroup.id],
    dropInvalidHeaderFields: true,
  });
  const targets = new LbTargetGroup(scope, "targets", {
    name: named(given),
    vpcId: net.vpc.id,
    targetType: "ip",
    protocol: "HTTP",
    port: PORT,
    deregistrationDelay: "30",
    healthCheck: { path: "/healthz", interval: 10, healthyThreshold: 2, unhealthyThreshold: 3 },
  });
  const listener = new LbListener(scope, "https", {
    loadBalancerArn: lb.arn,
    port: 443,
    protocol: "HTTPS",
    sslPolicy: "ELBSecurityPolicy-TLS13-1-2-2021-06",
    certificateArn: issued.certificateArn,
    defaultAction: [{ type: "forward", targetGroupArn: targets.arn }],
  });
  new LbListener(scope, "http", {
    loadBalancerArn: lb.arn,
    port: 80,
    protocol: "HTTP",
    defaultAction: [{ type: "redirect", redirect: { protocol: "HTTPS", port: "443", statusCode: "HTTP_301" } }],
  });
  new Route53Record(scope, "address", {
    zoneId: given.hosted_zone_id,
    name: given.domain,
    type: "A",
    alias: { name: lb.dnsName, zoneId: lb.zoneId, evaluateTargetHealth: true },
  });
  return { targets, listener };
}
