// The synthesised configuration, property by property. No provider runs: what AWS makes of it is not tested here.
import assert from "node:assert/strict";
import { test } from "node:test";
import { App, Testing } from "cdktn";
import { Runtime } from "./runtime.ts";

type Block = Record<string, any>;

const synthesised: Block = JSON.parse(Testing.synth(new Runtime(Testing.app(), "storefront")));

/** All resources of a type, by the ID that the code gives them. */
function all(type: string): Record<string, Block> {
  return synthesised.resource[type] ?? {};
}

function one(type: string, id: string): Block {
  const found = all(type)[id];
  assert.ok(found, `${type} has ${id} among ${Object.keys(all(type))}`);
  return found;
}

test("the network spans two zones, and the private subnets have no way to the internet", () => {
  const subnets = Object.entries(all("aws_subnet"));
  assert.equal(subnets.length, 4);
  for (const kind of ["public", "private"]) {
    const zones = subnets.filter(([id]) => id.startsWith(kind)).map(([, it]) => it.availability_zone);
    assert.equal(new Set(zones).size, 2, kind);
  }
  assert.equal(new Set(subnets.map(([, it]) => it.cidr_block)).size, 4);
  const routes = Object.values(all("aws_route"));
  assert.equal(routes.length, 1);
  assert.match(routes[0].route_table_id, /aws_route_table\.public-routes/);
  assert.ok(!synthesised.resource.aws_nat_gateway);
});

test("every listener speaks TLS 1.2 or newer, or redirects to one that does", () => {
  const https = one("aws_lb_listener", "https");
  assert.equal(https.port, 443);
  assert.equal(https.protocol, "HTTPS");
  assert.equal(https.ssl_policy, "ELBSecurityPolicy-TLS13-1-2-2021-06");
  assert.match(https.certificate_arn, /aws_acm_certificate_validation\.issued/);
  const http = one("aws_lb_listener", "http");
  assert.equal(http.port, 80);
  assert.equal(http.default_action.length, 1);
  assert.equal(http.default_action[0].type, "redirect");
  assert.deepEqual(http.default_action[0].redirect, { port: "443", protocol: "HTTPS", status_code: "HTTP_301" });
  assert.equal(Object.keys(all("aws_lb_listener")).length, 2);
});

test("the certificate is for the domain and is proven in its zone, and the domain is the load balancer's", () => {
  assert.equal(one("aws_acm_certificate", "certificate").domain_name, "${var.domain}");
  assert.equal(one("aws_acm_certificate", "certificate").validation_method, "DNS");
  assert.equal(one("aws_route53_record", "proof").zone_id, "${var.hosted_zone_id}");
  const address = one("aws_route53_record", "address");
  assert.equal(address.name, "${var.domain}");
  assert.match(address.alias.name, /aws_lb\.load-balancer\.dns_name/);
});

test("everybody reaches the load balancer alone, and only the load balancer reaches the tasks", () => {
  const rules = Object.values(all("aws_vpc_security_group_ingress_rule"));
  const open = rules.filter((rule) => rule.cidr_ipv4);
  assert.deepEqual(open.map((rule) => rule.from_port).sort(), [443, 80]);
  for (const rule of open) assert.match(rule.security_group_id, /aws_security_group\.balancer\./);
  const toTasks = rules.filter((rule) => /aws_security_group\.tasks\./.test(rule.security_group_id));
  assert.equal(toTasks.length, 1);
  assert.match(toTasks[0].referenced_security_group_id, /aws_security_group\.balancer\./);
  assert.equal(toTasks[0].from_port, 8080);
  const out = Object.values(all("aws_vpc_security_group_egress_rule"));
  assert.ok(out.every((rule) => !rule.cidr_ipv4 && !rule.cidr_ipv6));
  // Rules in a group itself would be changed and removed behind those of their own.
  for (const group of Object.values(all("aws_security_group"))) {
    assert.ok(!group.ingress && !group.egress);
  }
});

test("tasks run in the private subnets without a public address", () => {
  const network = one("aws_ecs_service", "fargate").network_configuration;
  assert.equal(network.assign_public_ip, false);
  assert.equal(network.subnets.length, 2);
  for (const subnet of network.subnets) assert.match(subnet, /aws_subnet\.private-/);
  assert.deepEqual(network.security_groups, ["${aws_security_group.tasks.id}"]);
});

test("the delivery chooses the revision and the count, and earlier revisions stay", () => {
  const service = one("aws_ecs_service", "fargate");
  assert.deepEqual(service.lifecycle.ignore_changes, ["task_definition", "desired_count"]);
  assert.deepEqual(service.deployment_circuit_breaker, { enable: true, rollback: true });
  assert.equal(one("aws_ecs_task_definition", "task").skip_destroy, true);
});

test("the execution role is apart from the task's, which may do nothing", () => {
  const task = one("aws_ecs_task_definition", "task");
  assert.match(task.execution_role_arn, /aws_iam_role\.execution-role/);
  assert.match(task.task_role_arn, /aws_iam_role\.task-role/);
  const policies = Object.values(all("aws_iam_role_policy"));
  assert.equal(policies.length, 1);
  assert.match(policies[0].role, /aws_iam_role\.execution-role/);
  assert.ok(!synthesised.resource.aws_iam_role_policy_attachment);
  assert.ok(!/"?Action"?\s*[:=]\s*\[?"\*"/.test(policies[0].policy), policies[0].policy);
});

test("the logs end, and each environment has its own", () => {
  const logs = one("aws_cloudwatch_log_group", "logs");
  assert.equal(logs.name, "/ecs/${var.service}-${var.environment}");
  assert.equal(logs.retention_in_days, "${var.log_retention_in_days}");
  assert.equal(synthesised.variable.log_retention_in_days.default, "30");
});

test("no variable that differs between environments has a default", () => {
  for (const name of ["environment", "region", "vpc_cidr", "domain", "hosted_zone_id", "build_account", "image"]) {
    assert.ok(!("default" in synthesised.variable[name]), name);
  }
});

test("the application synthesises as a whole", () => {
  const app = Testing.stubVersion(new App({ stackTraces: false }));
  const whole = Testing.fullSynth(new Runtime(app, "storefront"));
  assert.ok(whole);
});
