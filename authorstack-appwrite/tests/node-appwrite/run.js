// The vendor's own client at a project: node run.js STEP, the input as JSON on stdin.
'use strict';

const assert = require('node:assert/strict');
const { Account, Client, Permission, Query, Role, TablesDB, Users } = require('node-appwrite');

function client({ endpoint, project }) {
  return new Client().setEndpoint(endpoint).setProject(project);
}

function withKey(place) {
  return client(place).setKey(place.key);
}

// The client's JSON has objects without a prototype.
function plain(value) {
  return JSON.parse(JSON.stringify(value));
}

// What a call is refused with.
async function refusal(call) {
  try {
    await call();
  } catch (error) {
    assert.equal(error.name, 'AppwriteException', String(error));
    return `${error.code} ${error.type}`;
  }
  return 'not refused';
}

// Signs in as a client does. With the key, the answer has the session's secret.
function session(place, email, password) {
  return new Account(withKey(place)).createEmailPasswordSession({ email, password });
}

function asOwner(place, secret) {
  return new Account(client(place).setSession(secret));
}

const CREATE = {
  argon2: (users, it) => users.createArgon2User(it),
  bcrypt: (users, it) => users.createBcryptUser(it),
  md5: (users, it) => users.createMD5User(it),
  phpass: (users, it) => users.createPHPassUser(it),
  sha: (users, it) => users.createSHAUser(it),
  scrypt: (users, it) => users.createScryptUser(it),
  scryptMod: (users, it) => users.createScryptModifiedUser(it),
};

const steps = {
  // An account with each form of hash.
  async create({ accounts, ...place }) {
    const users = new Users(withKey(place));
    const seen = [];
    for (const { algorithm, ...account } of accounts) {
      const made = await CREATE[algorithm](users, account);
      const { hash } = await users.get({ userId: account.userId });
      seen.push({ id: made.$id, email: made.email, hash });
    }
    return seen;
  },

  // Each signs in with its password, which gives it a new hash, and with no other one.
  async sign_in({ accounts, ...place }) {
    const users = new Users(withKey(place));
    const seen = [];
    for (const { userId, email, password } of accounts) {
      const wrong = await refusal(() => session(place, email, 'another one'));
      const { secret } = await session(place, email, password);
      const account = await asOwner(place, secret).get();
      const { hash } = await users.get({ userId });
      seen.push({ wrong, id: account.$id, shows: account.password, hash });
    }
    return seen;
  },

  // Pages by cursor, filters, orders.
  async list({ emails, ...place }) {
    const users = new Users(withKey(place));
    const ids = [];
    let pages = 0;
    for (let cursor; ; pages += 1) {
      const queries = [Query.orderAsc('$createdAt'), Query.limit(3)];
      if (cursor) queries.push(Query.cursorAfter(cursor));
      const page = await users.list({ queries });
      if (page.users.length === 0) break;
      ids.push(...page.users.map((user) => user.$id));
      cursor = page.users.at(-1).$id;
    }
    const found = await users.list({ queries: [Query.equal('email', emails)] });
    const first = await users.list({ queries: [Query.orderDesc('$createdAt'), Query.limit(1)] });
    const uncounted = await users.list({ queries: [Query.limit(1)], total: false });
    return {
      pages, ids, found: found.users.map((user) => user.email).sort(), total: found.total,
      first: first.users[0].$id, uncounted: uncounted.total,
    };
  },

  // Everything that the administrator changes of an account.
  async change({ userId, email, password, ...place }) {
    const users = new Users(withKey(place));
    const made = await users.create({ userId, email, password, name: 'Ada' });
    assert.deepEqual(plain(await users.getPrefs({ userId })), {});
    const prefs = await users.updatePrefs({ userId, prefs: { font: 'serif', sizes: { big: 12 } } });
    assert.deepEqual(plain(prefs), plain(await users.getPrefs({ userId })));
    await users.updatePrefs({ userId, prefs: { font: 'sans' } });
    await users.updateLabels({ userId, labels: ['editor', 'beta', 'editor'] });
    await users.updateName({ userId, name: 'Ada L.' });
    await users.updatePhone({ userId, number: '+4915112345678' });
    await users.updatePhoneVerification({ userId, phoneVerification: true });
    await users.updateEmailVerification({ userId, emailVerification: true });
    const renamed = await users.updateEmail({ userId, email: 'Renamed@Example.org' });
    assert.equal(renamed.emailVerification, false, 'another address is not verified');
    await users.updateEmailVerification({ userId, emailVerification: true });
    await users.updatePassword({ userId, password: 'another password' });
    const old = await refusal(() => session(place, 'renamed@example.org', password));
    await session(place, 'renamed@example.org', 'another password');
    await users.updateStatus({ userId, status: false });
    const sign = () => session(place, 'renamed@example.org', 'another password');
    const blocked = await refusal(sign);
    const account = await users.get({ userId });
    assert.equal(account.registration, made.registration);
    return { old, blocked, labels: account.labels, prefs: account.prefs };
  },

  // Sessions by key and by password, tokens, and their end.
  async sessions({ userId, email, password, ...place }) {
    const users = new Users(withKey(place));
    const get = (secret) => refusal(() => asOwner(place, secret).get());
    const byKey = await users.createSession({ userId });
    const signed = await session(place, email, password);
    const listed = await users.listSessions({ userId });
    const { jwt } = await users.createJWT({ userId, sessionId: byKey.$id });
    const byToken = new Account(client(place).setJWT(jwt));
    assert.equal((await byToken.get()).$id, userId);
    await users.deleteSession({ userId, sessionId: byKey.$id });
    const token = await refusal(() => byToken.get());
    const one = [await get(byKey.secret), await get(signed.secret)];
    await users.deleteSessions({ userId });
    const all = await get(signed.secret);
    // Its owner ends a session.
    const own = await session(place, email, password);
    await asOwner(place, own.secret).deleteSession({ sessionId: 'current' });
    const ended = await get(own.secret);
    const left = await users.listSessions({ userId });
    return { listed: listed.total, token, one, all, ended, left: left.total };
  },

  async sign({ email, password, ...place }) {
    const { secret } = await session(place, email, password);
    return { secret, id: (await asOwner(place, secret).get()).$id };
  },

  async identities({ userId, ...place }) {
    const users = new Users(withKey(place));
    const listed = await users.listIdentities({ queries: [Query.equal('userId', userId)] });
    const seen = listed.identities.map((it) => `${it.provider} ${it.providerUid}`).sort();
    for (const { $id } of listed.identities) await users.deleteIdentity({ identityId: $id });
    const left = await users.listIdentities({ queries: [Query.equal('userId', userId)] });
    return { seen, left: left.total };
  },

  // Rows of the settings' table.
  async rows({ databaseId, tableId, owners, ...place }) {
    const tables = new TablesDB(withKey(place));
    const table = { databaseId, tableId };
    for (const owner of owners) {
      const row = await tables.createRow({
        ...table,
        rowId: owner,
        data: { userId: owner, theme: 'dark', notifications: true },
        permissions: [Permission.read(Role.user(owner)), Permission.update(Role.user(owner))],
      });
      assert.equal(row.$id, owner);
    }
    const [first, second, third] = owners;
    const changed = await tables.updateRow({ ...table, rowId: first, data: { theme: 'light' } });
    assert.deepEqual([changed.theme, changed.notifications], ['light', true]);
    await tables.upsertRow({ ...table, rowId: second, data: { userId: second, theme: 'system' } });
    const ids = [];
    for (let cursor; ; ) {
      const queries = [Query.orderAsc('$createdAt'), Query.limit(2)];
      if (cursor) queries.push(Query.cursorAfter(cursor));
      const { rows } = await tables.listRows({ ...table, queries });
      if (rows.length === 0) break;
      ids.push(...rows.map((row) => row.$id));
      cursor = rows.at(-1).$id;
    }
    const found = await tables.listRows({ ...table, queries: [Query.equal('userId', [third])] });
    assert.deepEqual(found.rows.map((row) => row.$id), [third]);
    await tables.deleteRow({ ...table, rowId: third });
    const gone = await refusal(() => tables.getRow({ ...table, rowId: third }));
    return { ids, gone };
  },

  // Who owns a row reads it, and nobody else.
  async row_as({ databaseId, tableId, rowId, secrets, ...place }) {
    const seen = [];
    for (const secret of secrets) {
      const tables = new TablesDB(client(place).setSession(secret));
      let theme;
      const get = async () => ({ theme } = await tables.getRow({ databaseId, tableId, rowId }));
      const refused = await refusal(get);
      seen.push(theme ?? refused);
    }
    return seen;
  },

  async errors({ databaseId, tableId, userId, email, ...place }) {
    const users = new Users(withKey(place));
    const tables = new TablesDB(withKey(place));
    const table = { databaseId, tableId };
    const row = { theme: 'dark' };
    const list = (...queries) => users.list({ queries });
    const other = (change) => new Users(withKey({ ...place, ...change })).list();
    const calls = {
      unknown_user: () => users.get({ userId: 'nobody' }),
      same_id: () => users.create({ userId, email: 'other@example.org' }),
      same_email: () => users.create({ userId: 'another', email: email.toUpperCase() }),
      bad_id: () => users.create({ userId: 'a'.repeat(37) }),
      short_password: () => users.create({ userId: 'another', password: 'short' }),
      bad_label: () => users.updateLabels({ userId, labels: ['not-a-label'] }),
      bad_query: () => users.list({ queries: ['nonsense'] }),
      bad_attribute: () => list(Query.equal('nonsense', ['x'])),
      bad_cursor: () => list(Query.cursorAfter('nobody')),
      unknown_session: () => users.deleteSession({ userId, sessionId: 'none' }),
      unknown_identity: () => users.deleteIdentity({ identityId: 'none' }),
      unknown_row: () => tables.getRow({ ...table, rowId: 'none' }),
      unknown_table: () => tables.listRows({ databaseId, tableId: 'none' }),
      unknown_database: () => tables.listRows({ databaseId: 'none', tableId }),
      bad_row: () => tables.createRow({ ...table, rowId: 'bad', data: { userId, notifications: 'x' } }),
      unknown_column: () => tables.createRow({ ...table, rowId: 'bad', data: { userId, more: 1 } }),
      row_query: () => tables.listRows({ ...table, queries: [Query.equal('more', ['x'])] }),
      guest: () => new Account(client(place)).get(),
      no_key: () => new Users(client(place)).list(),
      wrong_key: () => other({ key: 'standard_wrong' }),
      wrong_project: () => other({ project: 'none' }),
    };
    const seen = {};
    for (const [name, call] of Object.entries(calls)) seen[name] = await refusal(call);
    await tables.createRow({ ...table, rowId: 'twice', data: { userId, ...row } });
    seen.same_row = await refusal(() => (
      tables.createRow({ ...table, rowId: 'twice', data: { userId, ...row } })
    ));
    return seen;
  },
};

async function main() {
  let input = '';
  for await (const part of process.stdin) input += part;
  const answer = await steps[process.argv[2]](JSON.parse(input));
  process.stdout.write(JSON.stringify(answer));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
