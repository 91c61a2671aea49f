'use strict';
const { test } = require('node:test');
const assert = require('node:assert');
const { spawn } = require('node:child_process');
const path = require('node:path');

const start = (env) =>
  spawn(process.execPath, [path.join(__dirname, 'server.js')], { env: { PATH: process.env.PATH, ...env } });

test('does not start without a database', async () => {
  const child = start({});
  const code = await new Promise((resolve) => child.on('exit', resolve));
  assert.equal(code, 78);
});

test('reports its commit', async () => {
  const port = String(20000 + (process.pid % 20000));
  const child = start({ DATABASE_URL: 'postgres://db.example/shop', COMMIT: 'abc', PORT: port });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  const answer = await fetch(`http://127.0.0.1:${port}/healthz`);
  assert.equal((await answer.json()).commit, 'abc');
  child.kill('SIGTERM');
  await new Promise((resolve) => child.on('exit', resolve));
});
