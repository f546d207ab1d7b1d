'use strict';
// The schema's users and books as a Mongoose app writes them. Strict: an unknown field or a value
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

module.exports = {
  mongoose,
  User: mongoose.model('User', user),
  Book: mongoose.model('Book', book),
};
