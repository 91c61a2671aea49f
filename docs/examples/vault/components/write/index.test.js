'use strict';
const assert = require('node:assert/strict');
const { test } = require('node:test');
const { handlerWith } = require('./index.js');

const event = (method, body) => ({ pathParameters: { name: 'a' }, requestContext: { http: { method } }, body });

test('only the encrypted note reaches the table', async () => {
  const written = [];
  const table = { send: async (command) => (written.push(command.input), {}) };
  const keys = { send: async () => ({ CiphertextBlob: Buffer.from('hidden') }) };
  const answer = await handlerWith(table, keys)(event('PUT', 'text'));
  assert.equal(answer.statusCode, 204);
  assert.deepEqual(written[0].Item.note.B, Buffer.from('hidden'));
});

test('an empty note and one that KMS would refuse are refused', async () => {
  for (const body of [undefined, '', 'x'.repeat(4097)]) {
    assert.equal((await handlerWith({}, {})(event('PUT', body))).statusCode, 400);
  }
});

test('a note is removed without a call of KMS', async () => {
  const removed = [];
  const table = { send: async (command) => (removed.push(command.input), {}) };
  assert.equal((await handlerWith(table, {})(event('DELETE'))).statusCode, 204);
  assert.deepEqual(removed[0].Key, { name: { S: 'a' } });
});
