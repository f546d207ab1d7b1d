'use strict';
// BullMQ on Node: adds jobs in bulk, and runs them. Prints the seconds of both as JSON.
//   node queue.js <redis url> <prefix> <jobs> <bulk> <concurrency>

const { Queue, Worker } = require('bullmq');

async function main() {
  const [url, prefix, jobs, bulk, concurrency] = process.argv.slice(2);
  const { hostname: host, port } = new URL(url);
  const connection = { host, port: Number(port), maxRetriesPerRequest: null };
  const queue = new Queue('bench', { connection, prefix });
  await queue.waitUntilReady();
  const count = Number(jobs);
  let started = process.hrtime.bigint();
  for (let first = 0; first < count; first += Number(bulk)) {
    const part = [];
    for (let n = first; n < first + Number(bulk); n += 1) part.push({ name: 'bench', data: { n } });
    await queue.addBulk(part);
  }
  const adding = Number(process.hrtime.bigint() - started) / 1e9;
  started = process.hrtime.bigint();
  let ended = 0;
  await new Promise((resolve) => {
    const worker = new Worker('bench', async () => null, { connection, prefix, concurrency: Number(concurrency) });
    worker.on('completed', () => {
      ended += 1;
      if (ended === count) resolve(worker.close());
    });
  });
  const running = Number(process.hrtime.bigint() - started) / 1e9;
  await queue.close();
  process.stdout.write(JSON.stringify({ adding, running }));
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
