//! The resource types: each is made, changed and deleted in its service.

use super::{Stacks, one};

const BEFORE: &str = r#"
Resources:
  Bucket:
    Type: AWS::S3::Bucket
    Properties:
      VersioningConfiguration: {Status: Enabled}
      PublicAccessBlockConfiguration: {BlockPublicAcls: true, BlockPublicPolicy: true}
  BucketPolicy:
    Type: AWS::S3::BucketPolicy
    Properties:
      Bucket: !Ref Bucket
      PolicyDocument:
        Version: '2012-10-17'
        Statement: [{Effect: Deny, Principal: '*', Action: 's3:PutObjectAcl', Resource: !Sub '${Bucket.Arn}/*'}]
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      PointInTimeRecoverySpecification: {PointInTimeRecoveryEnabled: true}
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: '2012-10-17'
        Statement: [{Effect: Allow, Principal: {Service: ecs-tasks.amazonaws.com}, Action: 'sts:AssumeRole'}]
      Policies:
      - PolicyName: table
        PolicyDocument:
          Version: '2012-10-17'
          Statement: [{Effect: Allow, Action: 'dynamodb:GetItem', Resource: !GetAtt Table.Arn}]
  Policy:
    Type: AWS::IAM::Policy
    Properties:
      PolicyName: bucket
      Roles: [!Ref Role]
      PolicyDocument:
        Version: '2012-10-17'
        Statement: [{Effect: Allow, Action: 's3:GetObject', Resource: !Sub '${Bucket.Arn}/*'}]
  Managed:
    Type: AWS::IAM::ManagedPolicy
    Properties:
      Roles: [!Ref Role]
      PolicyDocument:
        Version: '2012-10-17'
        Statement: [{Effect: Allow, Action: 'sqs:SendMessage', Resource: '*'}]
  Key: {Type: AWS::KMS::Key, Properties: {Description: data}}
  Topic: {Type: AWS::SNS::Topic, Properties: {DisplayName: News}}
  Logs: {Type: AWS::Logs::LogGroup, Properties: {RetentionInDays: 7}}
  Wait: {Type: AWS::CloudFormation::WaitConditionHandle}
"#;

/// Every type that can change in place does.
fn after() -> String {
    BEFORE
        .replace("Status: Enabled", "Status: Suspended")
        .replace("s3:PutObjectAcl", "s3:DeleteObject")
        .replace(
            "PointInTimeRecoveryEnabled: true",
            "PointInTimeRecoveryEnabled: false",
        )
        .replace("ecs-tasks.amazonaws.com", "codebuild.amazonaws.com")
        .replace("dynamodb:GetItem", "dynamodb:Query")
        .replace("s3:GetObject", "s3:GetObjectVersion")
        .replace("sqs:SendMessage", "sqs:ReceiveMessage")
        .replace("DisplayName: News", "DisplayName: Views")
        .replace("RetentionInDays: 7", "RetentionInDays: 14")
}

#[tokio::test]
async fn every_type_is_made_changed_and_deleted() {
    let stacks = Stacks::new().await;
    let tags = [
        ("Capabilities.member.1", "CAPABILITY_IAM"),
        ("Tags.member.1.Key", "team"),
        ("Tags.member.1.Value", "a"),
    ];
    let form = [
        ("StackName", "types"),
        ("ChangeSetName", "set"),
        ("ChangeSetType", "CREATE"),
        ("TemplateBody", BEFORE),
    ];
    let (_, text) = stacks.call("CreateChangeSet", &form).await;
    assert_eq!(
        one(&text, "Code"),
        "InsufficientCapabilitiesException",
        "{text}"
    );
    let set = stacks.plan("types", "CREATE", BEFORE, &tags).await;
    assert_eq!(one(&set, "Status"), "CREATE_COMPLETE", "{set}");
    let stack = stacks.apply("types").await;
    let events = stacks.events("types").await;
    assert_eq!(one(&stack, "StackStatus"), "CREATE_COMPLETE", "{events:#?}");

    let other = [tags[0], tags[1], ("Tags.member.1.Value", "b")];
    let set = stacks.plan("types", "UPDATE", &after(), &other).await;
    assert_eq!(
        set.matches("<Replacement>False</Replacement>").count(),
        8,
        "{set}"
    );
    let stack = stacks.apply("types").await;
    let events = stacks.events("types").await;
    assert_eq!(one(&stack, "StackStatus"), "UPDATE_COMPLETE", "{events:#?}");

    stacks.done("DeleteStack", &[("StackName", "types")]).await;
    let id = one(&stack, "StackId");
    let stack = stacks.ended(&id).await;
    let events = stacks.events(&id).await;
    assert_eq!(one(&stack, "StackStatus"), "DELETE_COMPLETE", "{events:#?}");
}

const NETWORK: &str = r#"
Resources:
  Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.7.0.0/16, EnableDnsHostnames: true}}
  Gateway: {Type: AWS::EC2::InternetGateway}
  Attachment: {Type: AWS::EC2::VPCGatewayAttachment, Properties: {VpcId: !Ref Vpc, InternetGatewayId: !Ref Gateway}}
  Subnet:
    Type: AWS::EC2::Subnet
    Properties:
      VpcId: !Ref Vpc
      AvailabilityZone: !Select [0, !GetAZs '']
      CidrBlock: !Select [1, !Cidr [10.7.0.0/16, 4, 12]]
  Routes: {Type: AWS::EC2::RouteTable, Properties: {VpcId: !Ref Vpc}}
  Internet:
    Type: AWS::EC2::Route
    DependsOn: Attachment
    Properties: {RouteTableId: !Ref Routes, DestinationCidrBlock: 0.0.0.0/0, GatewayId: !Ref Gateway}
  Association: {Type: AWS::EC2::SubnetRouteTableAssociation, Properties: {RouteTableId: !Ref Routes, SubnetId: !Ref Subnet}}
  Endpoint:
    Type: AWS::EC2::VPCEndpoint
    Properties:
      VpcId: !Ref Vpc
      VpcEndpointType: Gateway
      ServiceName: !Sub 'com.amazonaws.${AWS::Region}.s3'
      RouteTableIds: [!Ref Routes]
  Group:
    Type: AWS::EC2::SecurityGroup
    Properties:
      GroupDescription: tasks
      VpcId: !Ref Vpc
      SecurityGroupIngress: [{IpProtocol: tcp, FromPort: 80, ToPort: 80, CidrIp: 10.7.0.0/16}]
      SecurityGroupEgress: [{IpProtocol: tcp, FromPort: 443, ToPort: 443, CidrIp: 0.0.0.0/0}]
  Other: {Type: AWS::EC2::SecurityGroup, Properties: {GroupDescription: others, VpcId: !Ref Vpc}}
  Ingress:
    Type: AWS::EC2::SecurityGroupIngress
    Properties: {GroupId: !Ref Group, IpProtocol: tcp, FromPort: 81, ToPort: 81, SourceSecurityGroupId: !Ref Other}
  Egress:
    Type: AWS::EC2::SecurityGroupEgress
    Properties: {GroupId: !Ref Other, IpProtocol: tcp, FromPort: 81, ToPort: 81, DestinationSecurityGroupId: !Ref Group}
  Zone: {Type: AWS::Route53::HostedZone, Properties: {Name: shop.example}}
  Record:
    Type: AWS::Route53::RecordSet
    Properties: {HostedZoneId: !Ref Zone, Name: a.shop.example, Type: A, TTL: 60, ResourceRecords: [192.0.2.1]}
Outputs:
  Group: {Value: !Ref Group}
"#;

/// The rules of the security group that the stack named `network` has as an output.
async fn rules(stacks: &Stacks, stack: &str) -> String {
    let group = one(stack, "OutputValue");
    let form = [
        ("Action", "DescribeSecurityGroups"),
        ("Version", "2016-11-15"),
        ("GroupId.1", group.as_str()),
    ];
    let (status, text) = stacks.world.query(&stacks.caller, "ec2", &form).await;
    assert_eq!(status, 200, "{text}");
    text
}

#[tokio::test]
async fn a_network_is_made_changed_and_deleted() {
    let stacks = Stacks::new().await;
    let set = stacks.plan("network", "CREATE", NETWORK, &[]).await;
    assert_eq!(one(&set, "Status"), "CREATE_COMPLETE", "{set}");
    let stack = stacks.apply("network").await;
    let events = stacks.events("network").await;
    assert_eq!(one(&stack, "StackStatus"), "CREATE_COMPLETE", "{events:#?}");
    let found = rules(&stacks, &stack).await;
    for port in [80, 81, 443] {
        assert!(
            found.contains(&format!("<toPort>{port}</toPort>")),
            "{found}"
        );
    }
    // The rule that EC2 gives a new group is gone, since the template has its own.
    assert!(!found.contains("<ipProtocol>-1</ipProtocol>"), "{found}");

    let after = NETWORK
        .replace("ToPort: 80", "ToPort: 88")
        .replace("EnableDnsHostnames: true", "EnableDnsHostnames: false")
        .replace("192.0.2.1", "192.0.2.2");
    let set = stacks.plan("network", "UPDATE", &after, &[]).await;
    let same = set.matches("<Replacement>False</Replacement>").count();
    assert_eq!(same, 3, "{set}");
    let stack = stacks.apply("network").await;
    let events = stacks.events("network").await;
    assert_eq!(one(&stack, "StackStatus"), "UPDATE_COMPLETE", "{events:#?}");
    let found = rules(&stacks, &stack).await;
    assert!(found.contains("<toPort>88</toPort>"), "{found}");
    assert!(!found.contains("<toPort>80</toPort>"), "{found}");

    stacks
        .done("DeleteStack", &[("StackName", "network")])
        .await;
    let id = one(&stack, "StackId");
    let stack = stacks.ended(&id).await;
    let events = stacks.events(&id).await;
    assert_eq!(one(&stack, "StackStatus"), "DELETE_COMPLETE", "{events:#?}");
}
