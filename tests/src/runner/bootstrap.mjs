// Asks the Runtime API for events and gives each to the handler, as the runtime of a Lambda base image does.
// Source: AWS Lambda Developer Guide, "Using the Lambda runtime API for custom runtimes".

import http from 'node:http';
import { createRequire } from 'node:module';

const { AWS_LAMBDA_RUNTIME_API: api, LAMBDA_TASK_ROOT: root } = process.env;

const call = (method, path, body) =>
  new Promise((resolve, reject) => {
    const request = http.request(`http://${api}/2018-06-01/runtime/${path}`, { method }, async (answer) => {
      const parts = [];
      for await (const part of answer) parts.push(part);
      resolve({ headers: answer.headers, text: Buffer.concat(parts).toString() });
    });
    request.on('error', reject);
    request.end(body);
  });

const described = (error) => JSON.stringify({ errorType: error.name, errorMessage: error.message, trace: error.stack?.split('\n') });

let handler;
try {
  const [, file, name] = process.argv[2].match(/^(.*)\.([^.]+)$/);
  handler = createRequire(`${root}/`)(`${root}/${file}.js`)[name];
} catch (error) {
  await call('POST', 'init/error', described(error));
  process.exit(1);
}
for (;;) {
  const { headers, text } = await call('GET', 'invocation/next');
  const id = headers['lambda-runtime-aws-request-id'];
  try {
    const answered = await handler(JSON.parse(text), { awsRequestId: id });
    await call('POST', `invocation/${id}/response`, JSON.stringify(answered ?? null));
  } catch (error) {
    console.error(error);
    await call('POST', `invocation/${id}/error`, described(error));
  }
}
