'use strict';
// Stands for a schema migration: needs the database's address, and nothing else may see it.

const { DATABASE_URL } = process.env;
if (!DATABASE_URL) {
  console.error('DATABASE_URL is not set');
  process.exit(1);
}
const { hostname } = new URL(DATABASE_URL);
console.log(`nothing to migrate on ${hostname}`);
