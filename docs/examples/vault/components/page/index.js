'use strict';
// The page that says what this is and in which region it answers.

const { AWS_REGION = 'nowhere', ENVIRONMENT = 'unknown' } = process.env;

exports.handler = async () => ({
  statusCode: 200,
  headers: { 'content-type': 'text/html; charset=utf-8' },
  body: `<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>Vault, ${ENVIRONMENT}</title>\n<h1>Vault</h1>\n<p>${AWS_REGION}</p>\n`,
});
