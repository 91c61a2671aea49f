'use strict';
const assert = require('node:assert/strict');
const { test } = require('node:test');
const { handler } = require('./index.js');

test('the health check names commit, environment and region', async () => {
  const answer = await handler();
  assert.equal(answer.statusCode, 200);
  assert.deepEqual(Object.keys(JSON.parse(answer.body)), ['commit', 'environment', 'region']);
});
