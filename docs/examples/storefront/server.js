'use strict';
// A small web page that shows its commit and environment, with a health check.

const http = require('node:http');

const { COMMIT = 'unknown', ENVIRONMENT = 'unknown', DATABASE_URL, PORT = '8080' } = process.env;

// A service without its database must not start, so that the deployment fails with this reason.
if (!DATABASE_URL) {
  console.error('DATABASE_URL is not set');
  process.exit(78);
}

const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Storefront, ${ENVIRONMENT}</title>
<style>
  body { font: 1.1rem/1.6 system-ui, sans-serif; margin: 12vh auto; max-width: 34rem; padding: 0 1.5rem; }
  dt { color: GrayText; } dd { margin: 0 0 1rem; } code { font-size: 1rem; }
  :root { color-scheme: light dark; }
</style>
<h1>Storefront</h1>
<dl>
  <dt>environment</dt><dd>${ENVIRONMENT}</dd>
  <dt>commit</dt><dd><code>${COMMIT}</code></dd>
</dl>
`;

const server = http.createServer((request, response) => {
  if (request.url === '/healthz') {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ commit: COMMIT, environment: ENVIRONMENT }));
    return;
  }
  if (request.url !== '/') {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
  response.end(page);
});

server.listen(Number(PORT), () => console.log(`storefront ${COMMIT} in ${ENVIRONMENT} on ${server.address().port}`));

// ECS sends SIGTERM and waits: finish the open requests, then exit.
process.on('SIGTERM', () => server.close(() => process.exit(0)));
