'use strict';
// The schema's collections as a Mongoose app writes them. Strict: an unknown field or a value
// that would have to be cast into another type is an error.
const mongoose = require('mongoose');

const options = { strict: 'throw', versionKey: '__v', timestamps: true, minimize: false };

const connected = new mongoose.Schema(
  { platform: { type: String, required: true }, connectedAt: Date, lastSync: Date },
  { _id: false, strict: 'throw' },
);

const preferences = new mongoose.Schema(
  {
    emailNotifications: Boolean,
    weeklyDigest: Boolean,
    theme: { type: String, enum: ['light', 'dark', 'system'] },
    timezone: String,
    currency: String,
  },
  { _id: false, strict: 'throw' },
);

const user = new mongoose.Schema(
  {
    authId: { type: String, required: true, unique: true },
    authProvider: { type: String, default: 'appwrite' },
    email: { type: String, required: true, unique: true },
    name: String,
    subscriptionTier: {
      type: String,
      enum: ['free', 'starter', 'professional', 'enterprise'],
      default: 'free',
    },
    credits: { type: Number, default: 0 },
    preferences: { type: preferences, default: () => ({}) },
    connectedPlatforms: [connected],
  },
  { ...options, collection: 'users' },
);

const metadata = new mongoose.Schema(
  { pageCount: Number, wordCount: Number, series: String, seriesPosition: Number },
  { _id: false, strict: 'throw' },
);

const book = new mongoose.Schema(
  {
    userId: { type: mongoose.Schema.Types.ObjectId, ref: 'User', required: true, index: true },
    title: { type: String, required: true },
    subtitle: String,
    author: String,
    description: String,
    isbn: String,
    asin: { type: String, index: true },
    coverUrl: String,
    genres: [String],
    platforms: [String],
    publishedDate: Date,
    status: { type: String, enum: ['draft', 'published', 'archived'], default: 'draft' },
    metadata: { type: metadata, default: () => ({}) },
  },
  { ...options, collection: 'books' },
);
book.index({ userId: 1, status: 1 });

const { ObjectId } = mongoose.Schema.Types;
const reference = { type: ObjectId, required: true, index: true };

// Parts of documents have an _id of Mongoose's own beside the schema's id, as they have unless an
// app says otherwise.
const task = new mongoose.Schema(
  {
    id: { type: String, required: true },
    title: { type: String, required: true },
    description: String,
    completed: { type: Boolean, default: false },
    dueDate: Date,
    completedAt: Date,
    category: String,
  },
  { strict: 'throw' },
);

const checklist = new mongoose.Schema(
  {
    bookId: { ...reference, ref: 'Book' },
    userId: { ...reference, ref: 'User' },
    templateId: String,
    name: { type: String, required: true },
    tasks: [task],
    progress: { type: Number, min: 0, max: 100, default: 0 },
  },
  { ...options, collection: 'checklists' },
);

const follow = new mongoose.Schema(
  { followerId: { ...reference, index: false }, authorId: { ...reference, index: false } },
  { ...options, timestamps: { createdAt: true, updatedAt: false }, collection: 'follows' },
);
follow.index({ followerId: 1, authorId: 1 }, { unique: true });

const attachment = new mongoose.Schema(
  // A field named type needs to be said so.
  { type: { type: String, required: true }, url: { type: String, required: true } },
  { strict: 'throw' },
);

const comment = new mongoose.Schema(
  {
    id: { type: String, required: true },
    authorId: { type: ObjectId, required: true },
    content: String,
    createdAt: Date,
  },
  { strict: 'throw' },
);

const post = new mongoose.Schema(
  {
    authorId: { ...reference, ref: 'User' },
    content: String,
    attachments: [attachment],
    likes: [ObjectId],
    comments: [comment],
    visibility: { type: String, enum: ['public', 'followers'], default: 'public' },
  },
  { ...options, collection: 'community_posts' },
);
post.index({ createdAt: -1 });

const boost = new mongoose.Schema(
  {
    bookId: { ...reference, index: false },
    userId: { ...reference, ref: 'User' },
    duration: { type: Number, required: true },
    position: Number,
    credits_spent: Number,
    active: { type: Boolean, default: true },
    startedAt: Date,
    expiresAt: Date,
  },
  { ...options, timestamps: false, collection: 'marketplace_boosts' },
);
boost.index({ active: 1, expiresAt: 1 });

const competitor = new mongoose.Schema(
  {
    userId: { ...reference, ref: 'User' },
    asin: { type: String, required: true, index: true },
    title: String,
    author: String,
    currentPrice: Number,
    priceHistory: [new mongoose.Schema({ price: Number, date: Date }, { strict: 'throw' })],
    genre: String,
    lastChecked: Date,
  },
  { ...options, timestamps: { createdAt: true, updatedAt: false }, collection: 'competitors' },
);

module.exports = {
  mongoose,
  User: mongoose.model('User', user),
  Book: mongoose.model('Book', book),
  Checklist: mongoose.model('Checklist', checklist),
  Follow: mongoose.model('Follow', follow),
  Post: mongoose.model('Post', post),
  Boost: mongoose.model('Boost', boost),
  Competitor: mongoose.model('Competitor', competitor),
};
