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
  // Port 0 is any free one, which the server names.
  const child = start({ DATABASE_URL: 'postgres://db.example/shop', COMMIT: 'abc', PORT: '0' });
  const line = await new Promise((resolve, reject) => {
    child.stdout.once('data', resolve);
    child.once('exit', (code) => reject(new Error(`the server ended with ${code}`)));
  });
  const port = /on (\d+)/.exec(line)[1];
  const answer = await fetch(`http://127.0.0.1:${port}/healthz`);
  assert.equal((await answer.json()).commit, 'abc');
  child.kill('SIGTERM');
  await new Promise((resolve) => child.on('exit', resolve));
});
