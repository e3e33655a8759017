"use strict";
// Shows what openapi.json describes, and sends requests to try it. No library: what is shown is made of text nodes.

/** An element with attributes and children. Text stays text. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Paragraphs, `code` and *emphasis* of a description. */
function prose(text) {
  return (text ?? "").split("\n\n").map((paragraph) => {
    const pieces = paragraph.split(/(`[^`]+`|\*[^*]+\*)/).map((piece) => {
      if (piece.startsWith("`")) return make("code", {}, piece.slice(1, -1));
      if (/^\*.+\*$/.test(piece)) return make("em", {}, piece.slice(1, -1));
      return piece;
    });
    return make("p", {}, ...pieces);
  });
}

const inline = (text) => prose(text).flatMap((paragraph) => [...paragraph.childNodes]);

class Page {
  constructor(api) {
    this.api = api;
  }

  resolve(schema) {
    const name = schema?.$ref?.split("/").pop();
    return name ? this.api.components.schemas[name] : schema;
  }

  show() {
    const { title, version, description } = this.api.info;
    document.getElementById("title").replaceChildren(`${title} API `, make("small", {}, version));
    document.getElementById("about").replaceChildren(...prose(description));
    const groups = new Map();
    for (const [path, item] of Object.entries(this.api.paths)) {
      for (const [method, operation] of Object.entries(item)) {
        const group = operation.tags?.[0] ?? "others";
        groups.set(group, [...(groups.get(group) ?? []), this.operation(path, method, operation)]);
      }
    }
    const sections = [...groups].flatMap(([name, operations]) => [
      make("h2", {}, name[0].toUpperCase() + name.slice(1)),
      ...operations,
    ]);
    const main = document.getElementById("operations");
    main.replaceChildren(...sections);
    main.querySelector("details").open = true;
  }

  operation(path, method, operation) {
    const summary = make("summary", {},
      make("b", { class: method }, method.toUpperCase()),
      make("code", {}, path),
      make("span", {}, operation.summary ?? ""));
    const body = operation.requestBody;
    const schema = body && this.resolve(body.content["application/json"].schema);
    return make("details", { id: operation.operationId }, summary, make("div", {},
      ...prose(operation.description),
      ...(body ? [make("h3", {}, "Body"), ...prose(body.description), ...prose(schema.description), this.fields(this.event(operation))] : []),
      make("h3", {}, "Try it"), this.form(path, method, operation),
      make("h3", {}, "Answers"), this.answers(operation)));
  }

  /** The schema of what is posted, or of one of them. */
  event(operation) {
    const schema = this.resolve(operation.requestBody.content["application/json"].schema);
    return this.resolve(schema.items) ?? schema;
  }

  fields(event) {
    const rows = Object.entries(event.properties ?? {}).map(([name, field]) => {
      const type = [field.type].flat().filter((type) => type !== "null").join(", ");
      const required = event.required?.includes(name) ? "" : ", optional";
      return make("tr", {}, make("td", {}, make("code", {}, name)),
        make("td", {}, `${field.format ?? type}${required}`), make("td", {}, ...inline(field.description)));
    });
    return make("table", {}, make("tbody", {}, ...rows));
  }

  answers(operation) {
    const rows = Object.entries(operation.responses).map(([status, answer]) => {
      const content = Object.keys(answer.content ?? {})[0] ?? "";
      return make("tr", {}, make("td", { class: kind(status) }, status), make("td", {}, content),
        make("td", {}, ...inline(answer.description)));
    });
    return make("table", {}, make("tbody", {}, ...rows));
  }

  form(path, method, operation) {
    const id = operation.operationId;
    const example = operation.requestBody?.content["application/json"].example;
    const area = example && make("textarea", { id: `${id}-body`, spellcheck: "false" });
    if (area) area.value = recent(example, this.event(operation));
    const headers = (operation.parameters ?? []).filter((parameter) => parameter.in === "header").map(({ name, description }) => ({
      name,
      description,
      input: make("input", { id: `${id}-${name}`, autocomplete: "off", placeholder: "none" }),
    }));
    const result = make("div", { class: "answer", role: "status" });
    const request = () => {
      const set = headers.filter(({ input }) => input.value).map(({ name, input }) => [name, input.value]);
      const key = document.getElementById("key").value;
      return {
        method: method.toUpperCase(),
        headers: [...(area ? [["Content-Type", "application/json"]] : []), ...(key ? [["X-API-Key", key]] : []), ...set],
        body: area?.value,
      };
    };
    const send = make("button", {}, "Send");
    const copy = make("button", { type: "button", onclick: async () => {
      await navigator.clipboard.writeText(curl(path, request()));
      copy.textContent = "Copied";
    } }, "Copy as curl");
    const submit = async (event) => {
      event.preventDefault();
      send.disabled = true;
      result.replaceChildren(make("span", {}, "waiting…"));
      result.replaceChildren(...await answer(path, request()));
      send.disabled = false;
    };
    return make("form", { onsubmit: submit },
      ...(area ? [make("label", { for: area.id }, "Body"), area] : []),
      ...headers.flatMap(({ name, description, input }) => [
        make("label", { for: input.id, title: description ?? "" }, `${name} (optional)`), input,
      ]),
      make("p", {}, send, navigator.clipboard ? copy : null),
      result);
  }
}

/** The example as text, an event a line, as if it happened now; fields in the order of their schema. */
function recent(example, { properties }) {
  const now = { timestamp: Math.floor(Date.now() / 1000) };
  const line = (event) => JSON.stringify({ ...event, ...now }, Object.keys(properties));
  return Array.isArray(example) ? `[\n  ${example.map(line).join(",\n  ")}\n]` : line(example);
}

/** Where `path` is, also behind a proxy that serves this page under a prefix. */
const address = (path) => new URL(path.slice(1), document.baseURI).href;

function curl(path, { method, headers, body }) {
  const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const lines = headers.map(([name, value]) => `-H ${quote(`${name}: ${value}`)}`);
  return [`curl -i -X ${method} ${quote(address(path))}`, ...lines, ...(body === undefined ? [] : [`--data-binary ${quote(body)}`])]
    .join(" \\\n  ");
}

const kind = (status) => (status < 400 ? "good" : status < 500 ? "bad" : "wait");

/** Sends it, and shows what came back. */
async function answer(path, request) {
  const begun = performance.now();
  try {
    const response = await fetch(address(path), { ...request, cache: "no-store" });
    const text = await response.text();
    const took = Math.round(performance.now() - begun);
    const told = ["Retry-After", "X-Request-Id"].filter((name) => response.headers.has(name))
      .map((name) => `${name}: ${response.headers.get(name)}`);
    return [
      make("strong", { class: kind(response.status) }, `${response.status} ${response.statusText}`),
      make("span", {}, [`${took} ms`, ...told].join(" · ")),
      make("pre", { tabindex: "0" }, pretty(text)),
    ];
  } catch (error) {
    return [make("strong", { class: "bad" }, "No answer"), make("span", {}, `${error.message}: is the service running?`)];
  }
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

async function health() {
  const ready = document.getElementById("ready");
  try {
    const up = (await fetch(address("/actuator/health/readiness"), { cache: "no-store" })).ok;
    ready.className = up ? "good" : "wait";
    ready.textContent = up ? "● ready" : "● not ready";
  } catch {
    ready.className = "bad";
    ready.textContent = "● no answer";
  }
}

async function start() {
  health();
  setInterval(health, 5000);
  try {
    const response = await fetch("openapi.json");
    if (!response.ok) throw new Error(`openapi.json was answered ${response.status}`);
    new Page(await response.json()).show();
  } catch (error) {
    document.getElementById("operations").replaceChildren(make("p", { class: "bad" }, `Cannot show the API: ${error.message}`));
  }
}

start();
