'use strict';
// node run.js STEP URL DATABASE: one step of the tests with Mongoose. What a step is told comes as JSON on
// stdin; what it found goes as JSON to stdout.
const assert = require('node:assert/strict');
const fs = require('node:fs');
const {
  mongoose, User, Book, Checklist, Follow, Post, Boost, Competitor,
} = require('./models');

const { ObjectId } = mongoose.Types;

/** A document as the driver gives it, with the type of every value. */
function typed(value) {
  if (value === null || value === undefined) return null;
  if (value instanceof Date) return { date: value.toISOString() };
  if (value instanceof ObjectId) return { oid: value.toHexString() };
  if (Array.isArray(value)) return value.map(typed);
  if (typeof value === 'object') {
    assert.equal(value.constructor, Object, `unexpected ${value.constructor.name}`);
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, typed(v)]));
  }
  return value;
}

/** What the model holds, without the ids that Mongoose gives to parts in memory alone. */
function withoutAdded(plain, raw) {
  if (Array.isArray(plain) && Array.isArray(raw)) {
    return plain.map((part, n) => withoutAdded(part, raw[n]));
  }
  if (plain === null || raw === null || typeof plain !== 'object' || typeof raw !== 'object') {
    return plain;
  }
  const kept = Object.entries(plain).filter(([name]) => name !== '_id' || name in raw);
  return Object.fromEntries(kept.map(([name, value]) => [name, withoutAdded(value, raw[name])]));
}

const model = {
  users: User,
  books: Book,
  checklists: Checklist,
  follows: Follow,
  community_posts: Post,
  marketplace_boosts: Boost,
  competitors: Competitor,
};

const steps = {
  /** Reads documents twice, raw and through the models, which must agree without a cast. */
  async read(wanted) {
    const found = {};
    for (const [kind, ids] of Object.entries(wanted)) {
      found[kind] = [];
      for (const id of ids) {
        const raw = await model[kind].collection.findOne({ _id: new ObjectId(id) });
        const document = await model[kind].findById(id);
        await document.validate();
        const plain = document.toObject({ versionKey: true, minimize: false });
        const seen = withoutAdded(typed(plain), typed(raw));
        assert.deepEqual(seen, typed(raw), 'the model changes what it reads');
        assert.equal(document.isModified(), false);
        found[kind].push(typed(raw));
      }
    }
    return found;
  },

  /** Writes a full and a bare document of each kind. */
  async write() {
    const at = new Date('2024-02-29T23:59:59.999Z');
    const full = await User.create({
      authId: 'mongoose-1',
      email: 'grace@example.org',
      name: 'Grâce',
      subscriptionTier: 'professional',
      credits: 42,
      preferences: {
        emailNotifications: true,
        weeklyDigest: false,
        theme: 'dark',
        timezone: 'Europe/Berlin',
        currency: 'EUR',
      },
      connectedPlatforms: [{ platform: 'kdp', connectedAt: at, lastSync: at }, { platform: 'gumroad' }],
    });
    const bare = await User.create({ authId: 'mongoose-2', email: 'bare@example.org' });
    const book = await Book.create({
      userId: full._id,
      title: 'The Tide House',
      subtitle: 'S',
      author: 'A',
      description: 'D',
      isbn: '9783161484100',
      asin: 'B08N5WRWNW',
      coverUrl: 'https://covers.example.org/1.jpg',
      genres: ['Mystery', 'Crime'],
      platforms: ['kdp'],
      publishedDate: at,
      status: 'published',
      metadata: { pageCount: 312, wordCount: 90000, series: 'Harbour', seriesPosition: 1.5 },
    });
    const plain = await Book.create({ userId: bare._id, title: 'Plain' });
    return {
      users: [full, bare].map((u) => typed(u.toObject())),
      books: [book, plain].map((b) => typed(b.toObject())),
    };
  },

  /** Changes documents with save(), which writes what changed and checks __v for arrays. */
  async change({ users, books }) {
    for (const id of users) {
      const user = await User.findById(id);
      user.name = 'Changed by Mongoose';
      user.credits += 8;
      user.preferences.theme = 'light';
      user.connectedPlatforms.push({ platform: 'apple_books', connectedAt: new Date(0) });
      await user.save();
    }
    for (const id of books) {
      const book = await Book.findById(id);
      book.subtitle = 'Changed by Mongoose';
      book.genres = ['Essays'];
      book.metadata.pageCount = 100;
      await book.save();
    }
    return {};
  },

  /** Writes one document of each other kind, of a user with a book and a follower. */
  async writeDocuments({ user, other, book }) {
    const at = new Date('2024-02-29T23:59:59.999Z');
    const checklist = await Checklist.create({
      bookId: book,
      userId: user,
      templateId: 'ebook',
      name: 'Launch',
      tasks: [
        { id: 't1', title: 'Cover', completed: true, completedAt: at, category: 'Design' },
        { id: 't2', title: 'Blurb', dueDate: at },
      ],
      progress: 12.5,
    });
    const follow = await Follow.create({ followerId: other, authorId: user });
    const post = await Post.create({
      authorId: user,
      content: 'Out now',
      attachments: [{ type: 'image', url: 'https://example.org/a.jpg' }],
      likes: [other],
      comments: [{ id: 'c1', authorId: other, content: 'Bravo', createdAt: at }],
      visibility: 'followers',
    });
    const boost = await Boost.create({
      bookId: book,
      userId: user,
      duration: 7,
      position: 1,
      credits_spent: 70,
      startedAt: at,
      expiresAt: new Date(at.getTime() + 7 * 86400000),
    });
    const competitor = await Competitor.create({
      userId: user,
      asin: 'B08N5WRWNW',
      title: 'Rival',
      currentPrice: 4.99,
      priceHistory: [{ price: 4.99, date: at }],
      lastChecked: at,
    });
    return Object.fromEntries(
      Object.entries({
        checklists: checklist,
        follows: follow,
        community_posts: post,
        marketplace_boosts: boost,
        competitors: competitor,
      }).map(([kind, document]) => [kind, document.id]),
    );
  },

  /** Changes one document of each with save(). */
  async changeDocuments({ ids, other }) {
    const at = new Date('2030-01-01T00:00:00.000Z');
    const checklist = await Checklist.findById(ids.checklists);
    checklist.tasks[0].completed = true;
    checklist.tasks.push({ id: 'by-mongoose', title: 'Added by Mongoose' });
    await checklist.save();
    const post = await Post.findById(ids.community_posts);
    post.likes.addToSet(other);
    post.comments.push({ id: 'by-mongoose', authorId: other, content: 'Hm', createdAt: at });
    post.content = 'Edited by Mongoose';
    await post.save();
    const boost = await Boost.findById(ids.marketplace_boosts);
    boost.active = false;
    await boost.save();
    const competitor = await Competitor.findById(ids.competitors);
    competitor.priceHistory.push({ price: 3.25, date: at });
    competitor.currentPrice = 3.25;
    competitor.lastChecked = at;
    await competitor.save();
    await Follow.deleteOne({ _id: ids.follows });
    return {};
  },
};

async function main() {
  const [step, url, database] = process.argv.slice(2);
  const text = fs.readFileSync(0, 'utf8');
  await mongoose.connect(url, { dbName: database, serverSelectionTimeoutMS: 10000 });
  try {
    await Promise.all(Object.values(model).map((m) => m.init()));
    const found = await steps[step](text ? JSON.parse(text) : undefined);
    process.stdout.write(JSON.stringify(found));
  } finally {
    await mongoose.disconnect();
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
