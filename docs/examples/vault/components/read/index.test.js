'use strict';
const assert = require('node:assert/strict');
const { test } = require('node:test');
const { handlerWith } = require('./index.js');

const event = { pathParameters: { name: 'a' } };

test('a note is read with its name as the context of the encryption', async () => {
  const asked = [];
  const table = { send: async () => ({ Item: { note: { B: Buffer.from('x') } } }) };
  const keys = { send: async (command) => (asked.push(command.input), { Plaintext: Buffer.from('text') }) };
  const answer = await handlerWith(table, keys)(event);
  assert.equal(answer.body, 'text');
  assert.deepEqual(asked[0].EncryptionContext, { name: 'a' });
});

test('a note that is not there is not decrypted', async () => {
  const answer = await handlerWith({ send: async () => ({}) }, {})(event);
  assert.equal(answer.statusCode, 404);
});
