//! DynamoDB Local, one database for all, seen as each account's own.

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, ConditionCheck, KeySchemaElement, KeyType,
    KeysAndAttributes, Put, ScalarAttributeType, TransactWriteItem,
};

use crate::support::{REGION, World, refused, world};

async fn client(world: &World, credentials: &Credentials) -> Client {
    Client::new(&world.sdk(credentials).await)
}

async fn table(client: &Client, name: &str) {
    client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(
            AttributeDefinition::builder()
                .attribute_name("k")
                .attribute_type(ScalarAttributeType::S)
                .build()
                .unwrap(),
        )
        .key_schema(
            KeySchemaElement::builder()
                .attribute_name("k")
                .key_type(KeyType::Hash)
                .build()
                .unwrap(),
        )
        .send()
        .await
        .unwrap();
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

#[tokio::test]
async fn two_accounts_have_tables_of_one_name_and_see_only_their_own() {
    let world = world().await;
    let (build, dev) = (
        client(&world, &world.build).await,
        client(&world, &world.dev).await,
    );
    table(&build, "locks").await;
    assert_eq!(
        refused(
            dev.get_item()
                .table_name("locks")
                .key("k", text("a"))
                .send()
                .await
        )
        .0,
        "ResourceNotFoundException"
    );
    assert_eq!(
        dev.list_tables().send().await.unwrap().table_names(),
        [""; 0]
    );
    table(&dev, "locks").await;
    build
        .put_item()
        .table_name("locks")
        .item("k", text("a"))
        .send()
        .await
        .unwrap();
    assert_eq!(
        dev.get_item()
            .table_name("locks")
            .key("k", text("a"))
            .send()
            .await
            .unwrap()
            .item(),
        None
    );
    assert_eq!(
        build.list_tables().send().await.unwrap().table_names(),
        ["locks"]
    );
    let described = build
        .describe_table()
        .table_name("locks")
        .send()
        .await
        .unwrap();
    let described = described.table().unwrap();
    assert_eq!(described.table_name(), Some("locks"));
    assert_eq!(
        described.table_arn().unwrap(),
        format!("arn:aws:dynamodb:{REGION}:{}:table/locks", world.build_id)
    );
    let cross_region = dev
        .get_item()
        .table_name(described.table_arn().unwrap())
        .key("k", text("a"));
    assert_eq!(
        refused(cross_region.send().await).0,
        "AccessDeniedException"
    );
}

#[tokio::test]
async fn batches_transactions_and_conditions_keep_their_meaning() {
    let world = world().await;
    let dev = client(&world, &world.dev).await;
    table(&dev, "ledger").await;
    table(&dev, "locks").await;
    let put = Put::builder()
        .table_name("ledger")
        .item("k", text("1"))
        .condition_expression("attribute_not_exists(k)")
        .build()
        .unwrap();
    let check = ConditionCheck::builder()
        .table_name("locks")
        .key("k", text("run"))
        .condition_expression("attribute_exists(k)")
        .build()
        .unwrap();
    let transaction = dev
        .transact_write_items()
        .transact_items(TransactWriteItem::builder().put(put).build())
        .transact_items(TransactWriteItem::builder().condition_check(check).build());
    assert_eq!(
        refused(transaction.clone().send().await).0,
        "TransactionCanceledException"
    );
    dev.put_item()
        .table_name("locks")
        .item("k", text("run"))
        .send()
        .await
        .unwrap();
    transaction.send().await.unwrap();
    let keys = KeysAndAttributes::builder()
        .keys([("k".to_owned(), text("1"))].into())
        .build()
        .unwrap();
    let read = dev
        .batch_get_item()
        .request_items("ledger", keys)
        .send()
        .await
        .unwrap();
    assert_eq!(read.responses().unwrap()["ledger"].len(), 1);
    let taken = dev
        .put_item()
        .table_name("locks")
        .item("k", text("run"))
        .condition_expression("attribute_not_exists(k)");
    assert_eq!(
        refused(taken.send().await).0,
        "ConditionalCheckFailedException"
    );
}

#[tokio::test]
async fn tables_are_listed_page_by_page() {
    let world = world().await;
    let dev = client(&world, &world.dev).await;
    for name in ["c", "a", "b"].map(|name| format!("table-{name}")) {
        table(&dev, &name).await;
    }
    let first = dev.list_tables().limit(2).send().await.unwrap();
    assert_eq!(
        (first.table_names(), first.last_evaluated_table_name()),
        (
            ["table-a".to_owned(), "table-b".to_owned()].as_slice(),
            Some("table-b")
        )
    );
    let rest = dev
        .list_tables()
        .exclusive_start_table_name("table-b")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (rest.table_names(), rest.last_evaluated_table_name()),
        (["table-c".to_owned()].as_slice(), None)
    );
}

#[tokio::test]
async fn one_of_many_writers_wins() {
    let world = world().await;
    let dev = client(&world, &world.dev).await;
    table(&dev, "race").await;
    let writers = (0..20).map(|_| {
        dev.put_item()
            .table_name("race")
            .item("k", text("x"))
            .condition_expression("attribute_not_exists(k)")
            .send()
    });
    let outcomes = futures_util::future::join_all(writers).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
}

#[tokio::test]
async fn partiql_is_refused_by_name() {
    let world = world().await;
    let (code, message) = refused(
        client(&world, &world.dev)
            .await
            .execute_statement()
            .statement("SELECT * FROM t")
            .send()
            .await,
    );
    assert_eq!(
        (code.as_str(), message.as_str()),
        (
            "UnknownOperationException",
            "the sandbox's evaluator of permissions does not implement dynamodb:ExecuteStatement"
        )
    );
}

#[tokio::test]
async fn recovery_to_a_point_in_time_is_each_tables_own_and_not_at_once() {
    let world = world().await;
    let dev = client(&world, &world.dev).await;
    table(&dev, "recovered").await;
    table(&dev, "other").await;
    let on = aws_sdk_dynamodb::types::PointInTimeRecoverySpecification::builder()
        .point_in_time_recovery_enabled(true)
        .build()
        .unwrap();
    let turn_on = dev
        .update_continuous_backups()
        .table_name("recovered")
        .point_in_time_recovery_specification(on);
    let early = refused(turn_on.clone().send().await);
    assert_eq!(early.0, "ContinuousBackupsUnavailableException");
    while let Err(error) = turn_on.clone().send().await {
        assert_eq!(refused::<(), _, _>(Err(error)).0, early.0);
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    for (table, wanted) in [("recovered", "ENABLED"), ("other", "DISABLED")] {
        let call = dev.describe_continuous_backups().table_name(table);
        let backups = call.send().await.unwrap().continuous_backups_description;
        let status = backups.unwrap().point_in_time_recovery_description.unwrap();
        let status = status.point_in_time_recovery_status.unwrap();
        assert_eq!(status.as_str(), wanted, "{table}");
    }
    let nothing = dev.describe_continuous_backups().table_name("nothing");
    assert_eq!(refused(nothing.send().await).0, "TableNotFoundException");
}
