'use strict';
// The health check of one region.

const { AWS_REGION = 'nowhere', COMMIT = 'unknown', ENVIRONMENT = 'unknown' } = process.env;

exports.handler = async () => ({
  statusCode: 200,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ commit: COMMIT, environment: ENVIRONMENT, region: AWS_REGION }),
});
