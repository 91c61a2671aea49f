# The infrastructure of the service. It uses only built-in resources, so that the example runs
# anywhere. In a real repository the network, the load balancer and the ECS service are here, as in
# ../infra-cdktn, with
#   lifecycle { ignore_changes = [task_definition, desired_count] }
# in the ECS service, because the delivery chooses the revision that it runs. The task definition is
# here too: the next deployment starts from its newest revision and sets its own image.

terraform {
  required_version = ">= 1.10" # the first that locks with a file
  # Bucket, key, region and the kind of lock come from the contract at run time.
  backend "s3" {}
}

variable "environment" {
  type        = string
  description = "The environment's name, from the contract"
}

variable "vpc_cidr" {
  type        = string
  description = "Address range of the environment's network"
}

variable "domain" {
  type        = string
  description = "Domain name of the service"
}

resource "terraform_data" "network" {
  input = {
    name    = "storefront-${var.environment}"
    cidr    = var.vpc_cidr
    subnets = [for zone in range(2) : cidrsubnet(var.vpc_cidr, 4, zone)]
  }
}

resource "terraform_data" "listener" {
  input = {
    domain = var.domain
    port   = 443
    policy = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  }
}

output "network" {
  value = terraform_data.network.output
}
