// The Fargate service, its roles and its logs. Terraform registers revisions of the task definition and never points the service
// at them: the next delivery starts from the newest one and sets its own image.
import { CloudwatchLogGroup } from "@cdktn/provider-aws/lib/cloudwatch-log-group/index.js";
import { DataAwsCallerIdentity } from "@cdktn/provider-aws/lib/data-aws-caller-identity/index.js";
import { EcsCluster } from "@cdktn/provider-aws/lib/ecs-cluster/index.js";
import { EcsService } from "@cdktn/provider-aws/lib/ecs-service/index.js";
import { EcsTaskDefinition } from "@cdktn/provider-aws/lib/ecs-task-definition/index.js";
import { IamRole } from "@cdktn/provider-aws/lib/iam-role/index.js";
import { IamRolePolicy } from "@cdktn/provider-aws/lib/iam-role-policy/index.js";
import { Fn, Token } from "cdktn";
import type { Construct } from "constructs";
import type { Entrance } from "./balancer.ts";
import { PORT, type Network } from "./network.ts";
import { named, type Given } from "./runtime.ts";

export function service(scope: Construct, given: Given, net: Network, entrance: Entrance) {
  const name = named(given);
  const account = new DataAwsCallerIdentity(scope, "account").accountId;
  const parameters = `arn:aws:ssm:${given.region}:${account}:parameter/${given.service}/${given.environment}`;
  const logs = new CloudwatchLogGroup(scope, "logs", {
    name: `/ecs/${name}`,
    retentionInDays: Token.asNumber(given.log_retention_in_days),
  });
  const roles = taskRoles(scope, given, account, parameters);
  const definition = new EcsTaskDefinition(scope, "task", {
    family: name,
    networkMode: "awsvpc",
    requiresCompatibilities: ["FARGATE"],
    cpu: "256",
    memory: "512",
    executionRoleArn: roles.execution.arn,
    taskRoleArn: roles.task.arn,
    // The service may still run an earlier revision.
    skipDestroy: true,
    containerDefinitions: Fn.jsonencode([
      {
        name: given.service,
        image: given.image,
        essential: true,
        readonlyRootFilesystem: true,
        portMappings: [{ containerPort: PORT, protocol: "tcp" }],
        environment: [
          { name: "ENVIRONMENT", value: given.environment },
          { name: "PORT", value: String(PORT) },
        ],
        secrets: [{ name: "DATABASE_URL", valueFrom: `${parameters}/database-url` }],
        logConfiguration: {
          logDriver: "awslogs",
          options: {
            "awslogs-group": logs.name,
            "awslogs-region": given.region,
            "awslogs-stream-prefix": given.service,
          },
        },
      },
    ]),
  });
  const cluster = new EcsCluster(scope, "cluster", {
    name,
    setting: [{ name: "containerInsights", value: "enabled" }],
  });
  new EcsService(scope, "fargate", {
    name: given.service,
    cluster: cluster.arn,
    launchType: "FARGATE",
    taskDefinition: definition.arn,
    desiredCount: 2,
    healthCheckGracePeriodSeconds: 60,
    deploymentMinimumHealthyPercent: 100,
    deploymentMaximumPercent: 200,
    deploymentCircuitBreaker: { enable: true, rollback: true },
    networkConfiguration: {
      assignPublicIp: false,
      subnets: net.privateSubnets.map((one) => one.id),
      securityGroups: [net.taskGroup.id],
    },
    loadBalancer: [{ containerName: given.service, containerPort: PORT, targetGroupArn: entrance.targets.arn }],
    dependsOn: [entrance.listener],
    lifecycle: { ignoreChanges: ["task_definition", "desired_count"] },
  });
}

function taskRoles(scope: Construct, given: Given, account: string, parameters: string) {
  const name = named(given);
  const assumeRolePolicy = Fn.jsonencode({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Principal: { Service: "ecs-tasks.amazonaws.com" }, Action: "sts:AssumeRole" }],
  });
  // ECS pulls the image, writes the logs and reads the secrets with this role. The application never has it.
  const execution = new IamRole(scope, "execution-role", { name: `${name}-execution`, assumeRolePolicy });
  const allow = (Action: string[], Resource: string) => ({ Effect: "Allow", Action, Resource });
  new IamRolePolicy(scope, "execution", {
    name: "execution",
    role: execution.id,
    policy: Fn.jsonencode({
      Version: "2012-10-17",
      Statement: [
        allow(["ecr:GetAuthorizationToken"], "*"),
        allow(
          ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
          `arn:aws:ecr:*:${given.build_account}:repository/${given.repository}`,
        ),
        allow(["ssm:GetParameters"], `${parameters}/*`),
        allow(
          ["logs:CreateLogStream", "logs:PutLogEvents"],
          `arn:aws:logs:${given.region}:${account}:log-group:/ecs/${name}:*`,
        ),
      ],
    }),
  });
  // The application itself may do nothing, until it needs something.
  const task = new IamRole(scope, "task-role", { name: `${name}-task`, assumeRolePolicy });
  return { execution, task };
}
