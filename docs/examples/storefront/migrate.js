'use strict';
// A placeholder for a schema migration. It needs the database's address, which nothing else may see.

const { DATABASE_URL } = process.env;
if (!DATABASE_URL) {
  console.error('DATABASE_URL is not set');
  process.exit(1);
}
const { hostname } = new URL(DATABASE_URL);
console.log(`nothing to migrate on ${hostname}`);
