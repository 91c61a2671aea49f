'use strict';
// Finds the step's binary, verifies that it is the one this commit pins, and replaces itself with it.
// This is the only JavaScript of Slipway: node actions have a post step, and no shell is between the
// runner and the binary (dash drops variables such as INPUT_DRY-RUN).

const { spawn } = require('node:child_process');
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const REPOSITORY = 'https://github.com/slipway-delivery/slipway';

class Stop extends Error {}

function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}

function read(file) {
  try {
    return fs.readFileSync(file);
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

// The asset's entry in release.lock, which is in the same commit as this file: pinning the action by
// commit pins the bytes it runs.
function locked(asset) {
  const lock = JSON.parse(fs.readFileSync(path.join(__dirname, 'release.lock'), 'utf8'));
  const entry = lock.assets[asset];
  if (!entry || !/^[0-9a-f]{64}$/.test(entry.sha256)) {
    throw new Stop(
      `release.lock of this commit has no hash for ${asset}: pin the action by the commit of a release, ` +
        'or by a commit of your own copy of this repository whose release.lock lists the binaries you built (cargo dist writes it)',
    );
  }
  return { version: lock.version, sha256: entry.sha256 };
}

// A binary of a folder that the job's environment names. Any program of the job can write there and can name
// another folder, so only the bytes count.
function own(folder, name, asset) {
  const file = path.join(folder, name);
  const bytes = read(file);
  if (!bytes) throw new Stop(`SLIPWAY_BIN_DIR has no ${name}: ${file} does not exist. Put the binary there, or unset SLIPWAY_BIN_DIR`);
  const wanted = locked(asset).sha256;
  const found = sha256(bytes);
  if (found !== wanted) {
    throw new Stop(
      `${file} is not the binary that this commit pins, and was not run: it has SHA-256 ${found}, release.lock lists ${wanted} for ${asset}. ` +
        'If you did not build it anew, find out who changed it or who set SLIPWAY_BIN_DIR',
    );
  }
  return file;
}

async function download(url) {
  let problem;
  for (let attempt = 0; attempt < 3; attempt += 1) {
    if (attempt > 0) await new Promise((resolve) => setTimeout(resolve, 1000 * 2 ** attempt));
    try {
      const answer = await fetch(url, { signal: AbortSignal.timeout(120_000) });
      if (answer.ok) return Buffer.from(await answer.arrayBuffer());
      problem = `HTTP ${answer.status}`;
      if (answer.status < 500 && answer.status !== 429) break;
    } catch (error) {
      problem = error.cause?.message ?? error.message;
    }
  }
  throw new Stop(
    `cannot download ${url}: ${problem}. ` +
      'Let the runner reach github.com and release-assets.githubusercontent.com, or name a folder with the binaries in SLIPWAY_BIN_DIR',
  );
}

async function find(step) {
  const name = `slipway-${step}`;
  const machine = { x64: 'x86_64', arm64: 'aarch64' }[process.arch];
  if (process.platform !== 'linux' || !machine) {
    throw new Stop(`there is no ${name} for ${process.platform} on ${process.arch}: use a Linux runner on x64 or arm64`);
  }
  const asset = `${name}-${machine}-linux`;
  if (process.env.SLIPWAY_BIN_DIR) return own(process.env.SLIPWAY_BIN_DIR, name, asset);
  const { version, sha256: wanted } = locked(asset);
  const cache = process.env.RUNNER_TOOL_CACHE || path.join(os.tmpdir(), 'slipway-tools');
  // The hash is part of the path, so that commits with different binaries never share a file.
  const folder = path.join(cache, 'slipway', version, wanted.slice(0, 16));
  const file = path.join(folder, name);
  const cached = read(file);
  if (cached) {
    if (sha256(cached) === wanted) return file;
    throw new Stop(`${file} is not the binary that this commit pins: its SHA-256 differs. Find out who changed it, then delete it`);
  }
  const bytes = await download(`${REPOSITORY}/releases/download/v${version}/${asset}`);
  const found = sha256(bytes);
  if (found !== wanted) throw new Stop(`${asset} has SHA-256 ${found}, but this commit pins ${wanted}; it was not run. Report it: ${REPOSITORY}/security`);
  fs.mkdirSync(folder, { recursive: true });
  // Two jobs may fill one cache: each writes its own file, and the rename is atomic.
  const partial = `${file}.${process.pid}`;
  fs.writeFileSync(partial, bytes, { mode: 0o755, flag: 'wx' });
  fs.renameSync(partial, file);
  return file;
}

function become(file) {
  if (typeof process.execve === 'function') process.execve(file, [file], process.env);
  const child = spawn(file, [], { stdio: 'inherit' });
  // The runner signals only this process; each signal is forwarded exactly once.
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => child.kill(signal));
  child.on('error', (error) => fail(new Stop(`cannot start ${file}: ${error.message}`)));
  child.on('exit', (code, signal) => process.exit(code ?? 128 + os.constants.signals[signal]));
}

function fail(error) {
  const text = error instanceof Stop ? error.message : error.stack;
  console.error(`error: ${text}`);
  console.error(`::error title=slipway::${text.replace(/%/g, '%25').replace(/\r/g, '%0D').replace(/\n/g, '%0A')}`);
  process.exit(error instanceof Stop ? 2 : 70);
}

module.exports = function launch(phase) {
  const step = process.env.INPUT_STEP ?? '';
  delete process.env.INPUT_STEP;
  process.env.SLIPWAY_PHASE = phase;
  if (!/^[a-z]+$/.test(step)) fail(new Stop('the input `step` is missing: use the action.yml of the release unchanged'));
  find(step).then(become).catch(fail);
};
