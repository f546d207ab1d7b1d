// The vendor's own client at a project: node run.js STEP, the input as JSON on stdin.
'use strict';

const assert = require('node:assert/strict');
const { GoTrueAdminApi, GoTrueClient } = require('@supabase/auth-js');

function options({ url, key }) {
  return { url, headers: { apikey: key, Authorization: `Bearer ${key}` } };
}

// A client that keeps its session in memory alone.
function visitor(project) {
  return new GoTrueClient({
    ...options(project),
    autoRefreshToken: false,
    persistSession: false,
    detectSessionInUrl: false,
  });
}

async function signedIn(project, email, password) {
  const client = visitor(project);
  const { data, error } = await client.signInWithPassword({ email, password });
  assert.equal(error, null, `${email}: ${error}`);
  return { client, session: data.session, user: data.user };
}

// What signing in is refused with.
async function refusal(project, email, password) {
  const { data, error } = await visitor(project).signInWithPassword({ email, password });
  assert.equal(data.session, null);
  return { status: error.status, code: error.code };
}

// What a token is refused with; null if it is good.
async function problem(project, token) {
  const { data, error } = await visitor(project).getUser(token);
  return error === null ? null : { user: data.user, name: error.name };
}

function claims(token) {
  return JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString());
}

const steps = {
  // Each account signs in with its password, and with no other one.
  async sign_in({ accounts, ...project }) {
    const seen = [];
    for (const { email, password } of accounts) {
      const wrong = await refusal(project, email, 'another password');
      const { client, session, user } = await signedIn(project, email, password);
      const { data } = await client.getUser();
      assert.equal(data.user.id, user.id);
      seen.push({
        wrong,
        email: data.user.email,
        id: data.user.id,
        old_id: data.user.app_metadata.old_id,
        session: claims(session.access_token).session_id,
        of: claims(session.access_token).sub,
      });
    }
    return seen;
  },

  refusal({ email, password, ...project }) {
    return refusal(project, email, password);
  },

  // Signs in so many times, and leaves the sessions.
  async tokens({ email, password, times, ...project }) {
    const tokens = [];
    for (let n = 0; n < times; n += 1) {
      const { session } = await signedIn(project, email, password);
      tokens.push(session.access_token);
    }
    return tokens;
  },

  async problems({ tokens, ...project }) {
    const problems = [];
    for (const token of tokens) problems.push(await problem(project, token));
    return problems;
  },

  // Refreshes, and signs out of one session, of the others, of all.
  async sessions({ email, password, ...project }) {
    const sign = () => signedIn(project, email, password);
    const [a, b, c, d] = [await sign(), await sign(), await sign(), await sign()];
    const token = ({ session }) => session.access_token;

    const { data, error } = await a.client.refreshSession();
    assert.equal(error, null);
    const fresh = data.session;
    assert.notEqual(fresh.refresh_token, a.session.refresh_token);
    const id = (it) => claims(it.access_token).session_id;
    assert.equal(id(fresh), id(a.session));
    assert.equal(await problem(project, fresh.access_token), null);
    // Whose answer was lost asks again, and gets the same one.
    const again = visitor(project);
    const repeated = await again.refreshSession({ refresh_token: a.session.refresh_token });
    assert.equal(repeated.data.session.refresh_token, fresh.refresh_token);
    const unknown = await again.refreshSession({ refresh_token: 'aaaaaaaaaaaa' });

    assert.equal((await a.client.signOut({ scope: 'local' })).error, null);
    const one = [await problem(project, fresh.access_token), await problem(project, token(b))];
    const ended = await visitor(project).refreshSession({ refresh_token: fresh.refresh_token });

    assert.equal((await b.client.signOut({ scope: 'others' })).error, null);
    const others = [];
    for (const it of [b, c, d]) others.push(await problem(project, token(it)));

    const e = await sign();
    const admin = new GoTrueAdminApi(options(project));
    assert.equal((await admin.signOut(token(e), 'global')).error, null);
    const all = [await problem(project, token(b)), await problem(project, token(e))];
    return { unknown: unknown.error.code, ended: ended.error.code, one, others, all };
  },

  // Everything that the administrator may do.
  async admin({ accounts, hash, ...project }) {
    const admin = new GoTrueAdminApi(options(project));
    const done = ({ data, error }) => {
      assert.equal(error, null, String(error));
      return data;
    };
    const refused = ({ error }) => ({ status: error.status, code: error.code });
    const made = [];
    for (const { email, password } of accounts) {
      const created = await admin.createUser({
        email,
        password,
        email_confirm: true,
        user_metadata: { font: 'serif' },
        app_metadata: { plan: 'free' },
      });
      made.push(done(created).user);
    }
    const [{ email, password }] = accounts;
    const [{ id }] = made;
    assert.equal(made[0].app_metadata.plan, 'free');
    const twice = refused(await admin.createUser({ email: email.toUpperCase(), password }));
    const weak = refused(await admin.createUser({ email: 'weak@example.org', password: '12345' }));
    const nobody = refused(await admin.createUser({ password }));

    const hashed = { email: hash.email, password_hash: hash.hash, email_confirm: true };
    done(await admin.createUser(hashed));
    await signedIn(project, hash.email, hash.password);

    const ids = [];
    let pages = 0;
    let total;
    for (let page = 1; page; pages += 1) {
      const listed = done(await admin.listUsers({ page, perPage: 3 }));
      assert.ok(listed.users.length <= 3);
      ids.push(...listed.users.map((user) => user.id));
      total = listed.total;
      page = listed.nextPage;
    }

    const got = done(await admin.getUserById(id)).user;
    assert.equal(got.email, email);
    const changed = done(await admin.updateUserById(id, {
      email: 'renamed@example.org',
      email_confirm: true,
      password: 'another password',
      user_metadata: { font: null, size: 12 },
      app_metadata: { plan: 'paid' },
    })).user;
    const old = await refusal(project, 'renamed@example.org', password);
    await signedIn(project, 'renamed@example.org', 'another password');

    const ban = done(await admin.updateUserById(id, { ban_duration: '24h' })).user;
    assert.ok(Date.parse(ban.banned_until) > Date.now());
    const banned = await refusal(project, 'renamed@example.org', 'another password');
    done(await admin.updateUserById(id, { ban_duration: 'none' }));
    await signedIn(project, 'renamed@example.org', 'another password');

    const last = made.at(-1).id;
    done(await admin.deleteUser(last));
    const gone = refused(await admin.getUserById(last));
    const { user_metadata, app_metadata } = changed;
    return {
      id, twice, weak, nobody, pages, total, ids, old, banned, gone, user_metadata,
      plan: app_metadata.plan, email: changed.email,
    };
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
