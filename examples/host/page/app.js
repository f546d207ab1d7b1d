// The page: what is signed in, and its books, sales, feed and settings.

import { call, events, token } from "./api.js";
import { draw } from "./chart.js";

const by = (id) => document.getElementById(id);

/** An element with text or children; text is never read as HTML. */
function make(name, ...children) {
  const made = document.createElement(name);
  made.append(...children);
  return made;
}

function complain(error) {
  by("problem").textContent = error?.message ?? "";
  by("problem").hidden = !error;
}

/** Runs something that may be refused, and says why. */
async function trying(run) {
  try {
    complain();
    await run();
  } catch (error) {
    if (error.status === 401) leave();
    complain(error);
  }
}

/** What a form does when it is sent. */
function onSubmit(id, run) {
  by(id).addEventListener("submit", (event) => {
    event.preventDefault();
    const form = event.target;
    trying(() => run(new FormData(form), form));
  });
}

async function showMe() {
  const { name, credits } = await call("GET", "/me");
  by("who").textContent = `${name}, ${credits} credits`;
}

async function showBooks() {
  const { items, total } = await call("GET", "/books?limit=100");
  by("book-count").textContent = total;
  by("books").replaceChildren(...items.map((book) =>
    make("li", book.title, " ", make("small", [book.asin, book.status].filter(Boolean).join(", ")))));
  const options = items.map((book) => Object.assign(make("option", book.title), { value: book.id }));
  by("boost").elements.book.replaceChildren(...options);
}

async function showSales() {
  const { days, totals } = await call("GET", "/dashboard");
  by("totals").textContent = `${totals.revenue} USD, ${totals.units} copies, ${totals.pageReads} pages read`;
  const range = `first=${days.first}&last=${days.last}`;
  const platforms = await call("GET", `/sales/totals?by=platform&${range}`);
  const names = [...new Set(platforms.map(({ group }) => group.platform))];
  const series = await Promise.all(names.map(async (platform) => {
    const sums = await call("GET", `/sales/totals?by=day&platform=${encodeURIComponent(platform)}&${range}`);
    const byDay = new Map();
    for (const { group, revenue } of sums) {
      byDay.set(group.from, (byDay.get(group.from) ?? 0) + Number(revenue));
    }
    return { platform, byDay };
  }));
  draw(by("chart"), days.first, days.last, series);
}

async function showFeed() {
  const { items } = await call("GET", "/posts?everyone=true&limit=20");
  by("feed").replaceChildren(...items.map(({ post, author, likeCount, liked }) => {
    const like = make("button", `${liked ? "♥" : "♡"} ${likeCount}`);
    like.className = "quiet";
    like.setAttribute("aria-label", liked ? "Unlike" : "Like");
    like.addEventListener("click", () => trying(async () => {
      await call(liked ? "DELETE" : "PUT", `/posts/${post.id}/like`);
      await showFeed();
    }));
    return make("li", make("strong", author.name), " ", post.content, " ", like);
  }));
}

async function showLeaderboard() {
  const places = await call("GET", "/leaderboard");
  by("leaderboard").replaceChildren(...places.map(({ boost, book, author }) => {
    const item = make("li", book?.title ?? "a book", " ", make("small", `by ${author.name}`));
    item.value = boost.position;
    return item;
  }));
}

function showPreferences({ theme, notifications }) {
  const form = by("preferences").elements;
  form.theme.value = theme ?? "";
  form.notifications.checked = notifications ?? false;
  document.documentElement.dataset.theme = theme ?? "";
}

let following;

/** Follows the settings of the account, whoever changes them, and again when the connection breaks. */
async function follow() {
  following?.abort();
  const mine = following = new AbortController();
  while (!mine.signal.aborted) {
    try {
      for await (const { event, data } of events("/preferences/live", mine.signal)) {
        by("live").textContent = "live";
        if (event === "preferences") showPreferences(data);
      }
    } catch {
      // It is tried again below.
    }
    by("live").textContent = "";
    await new Promise((done) => setTimeout(done, 2000));
  }
}

async function enter() {
  await showMe();
  by("welcome").hidden = true;
  by("app").hidden = by("sign-out").hidden = false;
  follow();
  await Promise.all([showBooks(), showSales(), showFeed(), showLeaderboard()]);
}

function leave() {
  following?.abort();
  token.clear();
  by("who").textContent = "";
  by("welcome").hidden = false;
  by("app").hidden = by("sign-out").hidden = true;
}

onSubmit("sign-in", async (form) => {
  const given = form.get("token").trim();
  const { token: made } = given
    ? { token: given }
    : await call("POST", "/session", { email: form.get("email"), password: form.get("password") });
  token.set(made);
  await enter();
});

by("sign-out").addEventListener("click", () => trying(async () => {
  await call("DELETE", "/session");
  leave();
}));

onSubmit("new-book", async (form, element) => {
  const asin = form.get("asin").trim();
  await call("POST", "/books", { title: form.get("title"), status: "published", ...(asin && { asin }) });
  element.reset();
  await showBooks();
});

onSubmit("report", async (form) => {
  const platform = encodeURIComponent(form.get("platform"));
  const report = await form.get("file").text();
  const done = await call("POST", `/sales/reports?platform=${platform}`, report);
  const { inserted, updated, unchanged, rejected, gaps } = done;
  by("imported").value = [`${inserted} new, ${updated} changed, ${unchanged} as before`, ...rejected, ...gaps].join("; ");
  await showSales();
});

onSubmit("boost", async (form) => {
  const boost = { bookId: form.get("book"), duration: Number(form.get("days")), creditsSpent: Number(form.get("credits")) };
  // Sent again after a lost answer, it would still be bought once.
  await call("POST", "/boosts", boost, { "idempotency-key": crypto.randomUUID() });
  await Promise.all([showMe(), showLeaderboard()]);
});

onSubmit("new-post", async (form, element) => {
  await call("POST", "/posts", { content: form.get("content"), visibility: "public" });
  element.reset();
  await showFeed();
});

by("preferences").addEventListener("change", (event) => {
  const form = event.currentTarget.elements;
  trying(() => call("PATCH", "/preferences", {
    theme: form.theme.value || null,
    notifications: form.notifications.checked,
  }));
});

if (token.get()) trying(enter);
