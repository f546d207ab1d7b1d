// Calls of the API, with the token of this tab.

const KEY = "token";

export const token = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => sessionStorage.setItem(KEY, value),
  clear: () => sessionStorage.removeItem(KEY),
};

function headers(more) {
  const shown = token.get();
  return shown ? { authorization: `Bearer ${shown}`, ...more } : { ...more };
}

/** Calls the API. A refusal is an Error with the detail of the problem. */
export async function call(method, path, body, more = {}) {
  const isText = typeof body === "string";
  const kind = body === undefined ? {} : { "content-type": isText ? "text/csv" : "application/json" };
  const response = await fetch(`/api${path}`, {
    method,
    headers: headers({ ...kind, ...more }),
    body: body === undefined || isText ? body : JSON.stringify(body),
  });
  if (response.status === 204) return undefined;
  const answer = await response.json();
  if (!response.ok) throw Object.assign(new Error(answer.detail), { status: response.status });
  return answer;
}

/**
 * Reads server-sent events. `EventSource` sends no header, and a token has no place in an address.
 */
export async function* events(path, signal) {
  const response = await fetch(`/api${path}`, { headers: headers(), signal });
  if (!response.ok) throw new Error(`${response.status}`);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const field = (name) => block.split("\n").filter((line) => line.startsWith(`${name}:`))
        .map((line) => line.slice(name.length + 1).trim()).join("\n");
      if (field("data")) yield { event: field("event"), data: JSON.parse(field("data")) };
    }
  }
}
