//! Networks, certificates and names: EC2, ACM and Route 53.
//! Source: Service Authorization Reference, under the name of each.

use super::{Need, Scene};

pub(super) fn needs(scene: &Scene<'_>) -> Option<Vec<Need>> {
    match scene.call.service.as_str() {
        "acm" => certificates(scene),
        "ec2" => networks(scene),
        _ => names(scene),
    }
}

/// EC2's calls are each about several resources, some of them not made yet. Only the action is told here, so a policy permits
/// these calls on `*` alone; one that names resources refuses more than AWS would.
fn networks(scene: &Scene<'_>) -> Option<Vec<Need>> {
    const KNOWN: [&str; 26] = [
        "AssociateRouteTable",
        "AttachInternetGateway",
        "AuthorizeSecurityGroupEgress",
        "AuthorizeSecurityGroupIngress",
        "CreateInternetGateway",
        "CreateRoute",
        "CreateRouteTable",
        "CreateSecurityGroup",
        "CreateSubnet",
        "CreateTags",
        "CreateVpc",
        "CreateVpcEndpoint",
        "DeleteInternetGateway",
        "DeleteRoute",
        "DeleteRouteTable",
        "DeleteSecurityGroup",
        "DeleteSubnet",
        "DeleteTags",
        "DeleteVpc",
        "DeleteVpcEndpoints",
        "DetachInternetGateway",
        "DisassociateRouteTable",
        "ModifyVpcAttribute",
        "ReplaceRoute",
        "RevokeSecurityGroupEgress",
        "RevokeSecurityGroupIngress",
    ];
    let operation = scene.operation();
    if !KNOWN.contains(&operation) && !operation.starts_with("Describe") {
        return None;
    }
    let mut needs = vec![scene.same("*")];
    // Making something with tags is tagging it too.
    let form = scene.call.form();
    if crate::text::value(&form, "TagSpecification.1.ResourceType").is_some() {
        needs.push(
            scene
                .need("CreateTags", "*")
                .with("ec2:CreateAction", vec![operation.to_owned()]),
        );
    }
    Some(needs)
}

fn certificates(scene: &Scene<'_>) -> Option<Vec<Need>> {
    Some(match scene.operation() {
        "RequestCertificate" => {
            let mut needs = vec![scene.same("*")];
            if scene.has_tags() {
                needs.push(scene.need("AddTagsToCertificate", "*"));
            }
            needs
        }
        "ListCertificates" => vec![scene.same("*")],
        "AddTagsToCertificate" | "DeleteCertificate" | "DescribeCertificate" => {
            vec![scene.same(scene.text("CertificateArn")?)]
        }
        _ => return None,
    })
}

/// Route 53's operations are told by method and path.
/// Source: Amazon Route 53 API Reference, "Request Syntax" of each.
fn names(scene: &Scene<'_>) -> Option<Vec<Need>> {
    let path = scene.call.path.trim_matches('/');
    let parts: Vec<&str> = path.split('/').collect();
    let zone = |id: &str| format!("arn:aws:route53:::hostedzone/{id}");
    let need = match (scene.call.method.as_str(), &parts[..]) {
        ("POST", ["2013-04-01", "hostedzone"]) => scene.need("CreateHostedZone", "*"),
        ("GET", ["2013-04-01", "hostedzone", id]) => scene.need("GetHostedZone", zone(id)),
        ("DELETE", ["2013-04-01", "hostedzone", id]) => scene.need("DeleteHostedZone", zone(id)),
        ("POST", ["2013-04-01", "hostedzone", id, "rrset"]) => {
            scene.need("ChangeResourceRecordSets", zone(id))
        }
        ("GET", ["2013-04-01", "hostedzone", id, "rrset"]) => {
            scene.need("ListResourceRecordSets", zone(id))
        }
        _ => return None,
    };
    Some(vec![need])
}
