// A network over two zones: the load balancer in the public subnets, the tasks in the private ones, which reach the registry,
// their logs and their parameters by endpoints and nothing else of the internet.
import { DataAwsAvailabilityZones } from "@cdktn/provider-aws/lib/data-aws-availability-zones/index.js";
import { DataAwsEc2ManagedPrefixList } from "@cdktn/provider-aws/lib/data-aws-ec2-managed-prefix-list/index.js";
import { InternetGateway } from "@cdktn/provider-aws/lib/internet-gateway/index.js";
import { Route } from "@cdktn/provider-aws/lib/route/index.js";
import { RouteTable } from "@cdktn/provider-aws/lib/route-table/index.js";
import { RouteTableAssociation } from "@cdktn/provider-aws/lib/route-table-association/index.js";
import { SecurityGroup } from "@cdktn/provider-aws/lib/security-group/index.js";
import { Subnet } from "@cdktn/provider-aws/lib/subnet/index.js";
import { Vpc } from "@cdktn/provider-aws/lib/vpc/index.js";
import { VpcEndpoint } from "@cdktn/provider-aws/lib/vpc-endpoint/index.js";
import { VpcSecurityGroupEgressRule } from "@cdktn/provider-aws/lib/vpc-security-group-egress-rule/index.js";
import { VpcSecurityGroupIngressRule } from "@cdktn/provider-aws/lib/vpc-security-group-ingress-rule/index.js";
import { Fn } from "cdktn";
import type { Construct } from "constructs";
import { named, type Given } from "./runtime.ts";

/** The port at which a task answers. */
export const PORT = 8080;

/** What the load balancer and the service need of the network. */
export interface Network {
  vpc: Vpc;
  publicSubnets: Subnet[];
  privateSubnets: Subnet[];
  balancerGroup: SecurityGroup;
  taskGroup: SecurityGroup;
}

export function network(scope: Construct, given: Given): Network {
  const name = named(given);
  const vpc = new Vpc(scope, "vpc", {
    cidrBlock: given.vpc_cidr,
    enableDnsHostnames: true,
    enableDnsSupport: true,
    tags: { Name: name },
  });
  const zones = new DataAwsAvailabilityZones(scope, "zones", { state: "available" });
  const subnet = (kind: string, zone: number, index: number) =>
    new Subnet(scope, `${kind}-${zone}`, {
      vpcId: vpc.id,
      availabilityZone: Fn.element(zones.names, zone),
      cidrBlock: Fn.cidrsubnet(given.vpc_cidr, 4, index),
    });
  const publicSubnets = [0, 1].map((zone) => subnet("public", zone, zone));
  const privateSubnets = [0, 1].map((zone) => subnet("private", zone, zone + 2));

  const gateway = new InternetGateway(scope, "gateway", { vpcId: vpc.id });
  const publicRoutes = new RouteTable(scope, "public-routes", { vpcId: vpc.id });
  new Route(scope, "internet", {
    routeTableId: publicRoutes.id,
    destinationCidrBlock: "0.0.0.0/0",
    gatewayId: gateway.id,
  });
  const privateRoutes = new RouteTable(scope, "private-routes", { vpcId: vpc.id });
  for (const [kind, table, subnets] of [
    ["public", publicRoutes, publicSubnets],
    ["private", privateRoutes, privateSubnets],
  ] as const) {
    subnets.forEach((one, zone) => {
      new RouteTableAssociation(scope, `${kind}-routes-${zone}`, { routeTableId: table.id, subnetId: one.id });
    });
  }

  const group = (id: string, description: string) =>
    new SecurityGroup(scope, id, { name: `${name}-${id}`, description, vpcId: vpc.id });
  const groups = {
    balancerGroup: group("balancer", "Everybody to the load balancer"),
    taskGroup: group("tasks", "The load balancer to the tasks"),
  };
  rules(scope, groups);
  endpoints(scope, given, vpc, privateSubnets, privateRoutes, groups.taskGroup);
  return { vpc, publicSubnets, privateSubnets, ...groups };
}

function rules(scope: Construct, { balancerGroup, taskGroup }: Pick<Network, "balancerGroup" | "taskGroup">) {
  const tcp = (port: number) => ({ ipProtocol: "tcp", fromPort: port, toPort: port });
  for (const port of [80, 443]) {
    new VpcSecurityGroupIngressRule(scope, `everybody-${port}`, {
      securityGroupId: balancerGroup.id,
      cidrIpv4: "0.0.0.0/0",
      ...tcp(port),
    });
  }
  new VpcSecurityGroupEgressRule(scope, "balancer-to-tasks", {
    securityGroupId: balancerGroup.id,
    referencedSecurityGroupId: taskGroup.id,
    ...tcp(PORT),
  });
  new VpcSecurityGroupIngressRule(scope, "tasks-from-balancer", {
    securityGroupId: taskGroup.id,
    referencedSecurityGroupId: balancerGroup.id,
    ...tcp(PORT),
  });
}

function endpoints(
  scope: Construct,
  given: Given,
  vpc: Vpc,
  subnets: Subnet[],
  routes: RouteTable,
  taskGroup: SecurityGroup,
) {
  const https = { ipProtocol: "tcp", fromPort: 443, toPort: 443 };
  const endpointGroup = new SecurityGroup(scope, "endpoints", {
    name: `${named(given)}-endpoints`,
    description: "The tasks to the endpoints",
    vpcId: vpc.id,
  });
  new VpcSecurityGroupIngressRule(scope, "endpoints-from-tasks", {
    securityGroupId: endpointGroup.id,
    referencedSecurityGroupId: taskGroup.id,
    ...https,
  });
  new VpcSecurityGroupEgressRule(scope, "tasks-to-endpoints", {
    securityGroupId: taskGroup.id,
    referencedSecurityGroupId: endpointGroup.id,
    ...https,
  });
  const service = (name: string) => `com.amazonaws.${given.region}.${name}`;
  for (const name of ["ecr.api", "ecr.dkr", "logs", "ssm"]) {
    new VpcEndpoint(scope, `endpoint-${name.replace(".", "-")}`, {
      vpcId: vpc.id,
      serviceName: service(name),
      vpcEndpointType: "Interface",
      privateDnsEnabled: true,
      subnetIds: subnets.map((one) => one.id),
      securityGroupIds: [endpointGroup.id],
    });
  }
  // ECR keeps the layers of images in this bucket.
  new VpcEndpoint(scope, "endpoint-s3", {
    vpcId: vpc.id,
    serviceName: service("s3"),
    vpcEndpointType: "Gateway",
    routeTableIds: [routes.id],
    policy: Fn.jsonencode({
      Version: "2012-10-17",
      Statement: [
        {
          Effect: "Allow",
          Principal: "*",
          Action: "s3:GetObject",
          Resource: `arn:aws:s3:::prod-${given.region}-starport-layer-bucket/*`,
        },
      ],
    }),
  });
  const s3 = new DataAwsEc2ManagedPrefixList(scope, "s3", { name: service("s3") });
  new VpcSecurityGroupEgressRule(scope, "tasks-to-s3", {
    securityGroupId: taskGroup.id,
    prefixListId: s3.id,
    ...https,
  });
}
