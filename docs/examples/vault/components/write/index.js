'use strict';
// Writes or removes a note, which is encrypted before it reaches the table.

const { DeleteItemCommand, DynamoDBClient, PutItemCommand } = require('@aws-sdk/client-dynamodb');
const { EncryptCommand, KMSClient } = require('@aws-sdk/client-kms');

const { KEY_ARN, TABLE } = process.env;
/** What KMS encrypts in one call. */
const LONGEST = 4096;

exports.handlerWith = (table, keys) => async (event) => {
  const name = event.pathParameters.name;
  if (event.requestContext.http.method === 'DELETE') {
    await table.send(new DeleteItemCommand({ TableName: TABLE, Key: { name: { S: name } } }));
    return { statusCode: 204 };
  }
  const text = Buffer.from(event.body ?? '', event.isBase64Encoded ? 'base64' : 'utf8');
  if (text.length === 0 || text.length > LONGEST) return { statusCode: 400, body: `a note has 1 to ${LONGEST} bytes` };
  const { CiphertextBlob: note } = await keys.send(
    new EncryptCommand({ KeyId: KEY_ARN, Plaintext: text, EncryptionContext: { name } }),
  );
  await table.send(new PutItemCommand({ TableName: TABLE, Item: { name: { S: name }, note: { B: note } } }));
  return { statusCode: 204 };
};

exports.handler = exports.handlerWith(new DynamoDBClient({}), new KMSClient({}));
