'use strict';
// Reads a note. The key is the same in both regions, so a note that was written in one is read in the other.

const { DynamoDBClient, GetItemCommand } = require('@aws-sdk/client-dynamodb');
const { DecryptCommand, KMSClient } = require('@aws-sdk/client-kms');

const { KEY_ARN, TABLE } = process.env;

exports.handlerWith = (table, keys) => async (event) => {
  const name = event.pathParameters.name;
  const { Item: item } = await table.send(new GetItemCommand({ TableName: TABLE, Key: { name: { S: name } } }));
  if (!item) return { statusCode: 404 };
  // The name is part of the encryption, so a note that was moved to another name cannot be read.
  const { Plaintext: text } = await keys.send(
    new DecryptCommand({ KeyId: KEY_ARN, CiphertextBlob: item.note.B, EncryptionContext: { name } }),
  );
  return { statusCode: 200, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: Buffer.from(text).toString() };
};

exports.handler = exports.handlerWith(new DynamoDBClient({}), new KMSClient({}));
