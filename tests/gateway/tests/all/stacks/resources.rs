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
