'use strict';
const assert = require('node:assert/strict');
const { test } = require('node:test');
const { handler } = require('./index.js');

test('the page names the service', async () => {
  const answer = await handler();
  assert.equal(answer.statusCode, 200);
  assert.match(answer.body, /<h1>Vault<\/h1>/);
});
