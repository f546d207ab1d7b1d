// Every operation of the OpenAPI document, with a form that sends it.

import { token } from "./api.js";

function make(name, attributes, ...children) {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(...children);
  return made;
}

/** An example of a schema: what to begin with. */
function example(schema, document) {
  if (schema?.$ref) {
    const name = schema.$ref.split("/").pop();
    return example(document.components.schemas[name], document);
  }
  const type = [schema?.type].flat()[0];
  if (type === "object") {
    const named = Object.entries(schema.properties ?? {});
    const needed = named.filter(([name]) => schema.required?.includes(name));
    return Object.fromEntries(needed.map(([name, of]) => [name, example(of, document)]));
  }
  return { string: "", integer: 1, number: 1, boolean: false, array: [] }[type] ?? null;
}

async function send(method, path, fields, kind, output) {
  const query = new URLSearchParams();
  const headers = {};
  let address = path;
  let body;
  for (const { name, place, input } of fields) {
    if (input.value === "") continue;
    if (place === "path") address = address.replace(`{${name}}`, encodeURIComponent(input.value));
    if (place === "query") query.set(name, input.value);
    if (place === "header") headers[name] = input.value;
    if (place === "body") [body, headers["content-type"]] = [input.value, kind];
  }
  if (token.get()) headers.authorization = `Bearer ${token.get()}`;
  const asked = [...query].length ? `${address}?${query}` : address;
  const response = await fetch(asked, { method: method.toUpperCase(), headers, body });
  const text = await response.text();
  let answer = text;
  try {
    answer = JSON.parse(text);
    if (answer.token) token.set(answer.token);
    answer = JSON.stringify(answer, null, 2);
  } catch {
    // It is no JSON: shown as it is.
  }
  output.textContent = `${response.status} ${response.statusText}\n${answer}`;
}

function operation(path, method, details, document) {
  const fields = (details.parameters ?? []).map((parameter) => {
    const input = make("input", { placeholder: parameter.description ?? "", required: parameter.required ?? false });
    return { name: parameter.name, place: parameter.in, input };
  });
  const [kind, body] = Object.entries(details.requestBody?.content ?? {})[0] ?? [];
  if (kind) {
    const text = kind === "application/json" ? JSON.stringify(example(body.schema, document), null, 2) : "";
    fields.push({ name: kind, place: "body", input: make("textarea", { value: text }) });
  }
  const output = make("pre", {});
  const form = make("form", {},
    ...fields.map(({ name, place, input }) => make("label", {}, `${name} (${place})`, input)),
    make("button", {}, "Send"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(method, path, fields, kind, output).catch((error) => { output.textContent = error.message; });
  });
  return make("details", {},
    make("summary", {}, make("span", { className: "method" }, method), path, " ", make("small", {}, details.summary ?? "")),
    make("p", { className: "soft" }, details.description ?? ""), form, output);
}

const document_ = await (await fetch("/openapi.json")).json();
const groups = new Map();
for (const [path, methods] of Object.entries(document_.paths)) {
  for (const [method, details] of Object.entries(methods)) {
    const tag = details.tags?.[0] ?? "other";
    const group = groups.get(tag) ?? make("section", { className: "card wide" }, make("h2", {}, tag));
    group.append(operation(path, method, details, document_));
    groups.set(tag, group);
  }
}
document.getElementById("operations").append(...groups.values());
