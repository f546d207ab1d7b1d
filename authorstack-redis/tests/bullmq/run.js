'use strict';
// Steps that a Node app does on the queues of a test. Called as
//   node run.js <step> <bullmq | bullmq6> <redis url> <prefix> <queue>
// with JSON on the standard input; answers JSON on the standard output.

const [step, version, url, prefix, name] = process.argv.slice(2);
const { FlowProducer, Queue, QueueEvents, UnrecoverableError, Worker } = require(version);

const { hostname: host, port } = new URL(url);
const connection = { host, port: Number(port), maxRetriesPerRequest: null };
const options = { connection, prefix };

const queue = () => new Queue(name, options);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// What a job says of how to run it.
async function handler(job) {
  const { data } = job;
  if (data.failures > job.attemptsMade) throw new Error(`attempt ${job.attemptsMade + 1} failed`);
  if (data.never) throw new UnrecoverableError('never');
  if (data.progress !== undefined) await job.updateProgress(data.progress);
  return { seen: data, by: version };
}

function asSeen(job, state) {
  return {
    id: job.id,
    name: job.name,
    data: job.data,
    opts: job.opts,
    state,
    attemptsMade: job.attemptsMade,
    attemptsStarted: job.attemptsStarted,
    stalledCounter: job.stalledCounter,
    progress: job.progress,
    returnvalue: job.returnvalue,
    failedReason: job.failedReason,
    stacktrace: job.stacktrace,
    delay: job.delay,
    priority: job.priority,
    timestamp: job.timestamp,
    processedOn: job.processedOn,
    finishedOn: job.finishedOn,
    repeatJobKey: job.repeatJobKey,
  };
}

const steps = {
  async add({ jobs }) {
    const added = await queue().addBulk(jobs);
    return added.map((job) => job.id);
  },

  async addFlow({ flow }) {
    const producer = new FlowProducer(options);
    const withQueue = (node) => ({ queueName: name, ...node, children: (node.children ?? []).map(withQueue) });
    const tree = await producer.add(withQueue(flow));
    return tree.job.id;
  },

  // Runs jobs one after the other until as many have ended as are wanted.
  async work({ count, concurrency = 1, settings = {} }) {
    const ended = [];
    const worker = new Worker(name, handler, { ...options, concurrency, drainDelay: 1, ...settings });
    await new Promise((resolve, reject) => {
      const end = (job) => {
        ended.push(job.id);
        if (ended.length === count) resolve();
      };
      worker.on('completed', end);
      worker.on('failed', (job) => {
        if (job.finishedOn) end(job);
      });
      setTimeout(() => reject(new Error(`only ${ended.length} of ${count} jobs have ended`)), 60_000);
    });
    await worker.close();
    return ended;
  },

  // Runs jobs until the standard input ends.
  async workUntilClosed({ concurrency }, closed) {
    const ended = [];
    const worker = new Worker(name, handler, { ...options, concurrency, drainDelay: 1 });
    worker.on('completed', (job) => ended.push(job.id));
    await worker.waitUntilReady();
    process.stdout.write('ready\n');
    await closed;
    await worker.close();
    return ended;
  },

  // Takes a job and never ends it. The test kills this process.
  async hang(_, closed) {
    const settings = { ...options, lockDuration: 1_000, stalledInterval: 300 };
    const worker = new Worker(name, () => {
      process.stdout.write('taken\n');
      return new Promise(() => {});
    }, settings);
    await closed;
    await worker.close(true);
  },

  async jobs({ ids }) {
    const from = queue();
    const seen = [];
    for (const id of ids) {
      const job = await from.getJob(id);
      seen.push(job ? asSeen(job, await job.getState()) : null);
    }
    return seen;
  },

  async counts() {
    return queue().getJobCounts('wait', 'paused', 'active', 'delayed', 'prioritized', 'completed', 'failed');
  },

  async pause() {
    await queue().pause();
  },

  async resume() {
    await queue().resume();
  },

  async schedule({ id, repeat, template }) {
    const job = await queue().upsertJobScheduler(id, repeat, template);
    return asSeen(job);
  },

  async unschedule({ id }) {
    return queue().removeJobScheduler(id);
  },

  async schedulers() {
    return queue().getJobSchedulers(0, -1, true);
  },

  async retryAll() {
    await queue().retryJobs();
  },

  // The names of the events of a job, up to the last one that is wanted.
  async events({ until, count }) {
    const events = new QueueEvents(name, { ...options, lastEventId: '0-0' });
    const seen = [];
    const names = ['added', 'waiting', 'delayed', 'active', 'progress', 'completed', 'failed', 'stalled', 'removed',
      'paused', 'resumed', 'duplicated', 'deduplicated', 'retries-exhausted', 'drained'];
    const ended = new Promise((resolve, reject) => {
      for (const event of names) {
        events.on(event, (args) => {
          seen.push({ event, ...args });
          if (seen.filter((one) => one.event === until).length === count) resolve();
        });
      }
      setTimeout(() => reject(new Error(`only ${JSON.stringify(seen)}`)), 60_000);
    });
    await events.waitUntilReady();
    await ended;
    await events.close();
    return seen;
  },

  // What people do with Bull Board: look at each list, retry what failed, remove a job.
  async board({ remove, retry }) {
    const { createBullBoard } = require('@bull-board/api');
    const { BullMQAdapter } = require('@bull-board/api/bullMQAdapter');
    let routes = [];
    let queues;
    const chain = (set) => function adapter(value) { set(value); return this; };
    const serverAdapter = {
      setQueues: chain((all) => { queues = all; }),
      setViewsPath: chain(() => {}),
      setStaticPath: chain(() => {}),
      setEntryRoute: chain(() => {}),
      setErrorHandler: chain(() => {}),
      setApiRoutes: chain((all) => { routes = all; }),
      setUIConfig: chain(() => {}),
    };
    const from = queue();
    createBullBoard({ queues: [new BullMQAdapter(from)], serverAdapter });
    const call = async (method, route, params = {}, query = {}, body = {}) => {
      const found = routes.find((one) => [one.method].flat().includes(method) && [one.route].flat().includes(route));
      if (!found) throw new Error(`no route ${method} ${route}: ${JSON.stringify(routes.map((one) => [one.method, one.route]))}`);
      const answer = await found.handler({ queues, params, query, body, headers: {} });
      if ((answer.status ?? 200) >= 300) throw new Error(`${route}: ${JSON.stringify(answer)}`);
      return answer.body;
    };
    const listed = {};
    for (const status of ['latest', 'active', 'waiting', 'prioritized', 'delayed', 'completed', 'failed', 'paused']) {
      const body = await call('get', '/api/queues', {}, { activeQueue: name, status, page: '1', jobsPerPage: '20' });
      const [one] = body.queues;
      listed[status] = one.jobs.map((job) => job.id);
      listed.counts = one.counts;
    }
    const at = { queueName: name };
    const shown = await call('get', '/api/queues/:queueName/:jobId', { ...at, jobId: retry });
    await call('put', '/api/queues/:queueName/:jobId/retry', { ...at, jobId: retry });
    for (const jobId of remove) await call('put', '/api/queues/:queueName/:jobId/clean', { ...at, jobId });
    return { listed, shown: shown.job ?? shown };
  },
};

async function main() {
  let text = '';
  let begin;
  const input = new Promise((resolve) => { begin = resolve; });
  const closed = new Promise((resolve) => process.stdin.on('end', resolve));
  process.stdin.on('data', (part) => {
    text += part;
    // The first line is the input.
    if (text.includes('\n')) begin(JSON.parse(text.slice(0, text.indexOf('\n'))));
  });
  const answer = await steps[step](await input, closed);
  process.stdout.write(`${JSON.stringify(answer ?? null)}\n`);
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
