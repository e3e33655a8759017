// Shows the snapshots that the server sends, one a second. Text from outside is set as text, never as markup.
const $ = (id) => document.getElementById(id);
const set = (node, text) => { if (node.textContent !== text) node.textContent = text; };
const mark = (node, name, value) => { if (node.getAttribute(name) !== value) node.setAttribute(name, value); };

// --- numbers and times

const count = (n) => n == null ? '–' : Math.round(n).toLocaleString('en');
const rate = (n) => n == null ? '–' : n > 0 && n < 9.95 ? n.toFixed(1) : count(n);
const share = (n) => n == null ? '–' : (n * 100).toFixed(n > 0 && n < 0.1 ? 2 : 0) + ' %';
const ms = (n) => n == null ? '–' : n < 10 ? n.toFixed(1) + ' ms' : n < 1000 ? count(n) + ' ms' : (n / 1000).toFixed(1) + ' s';
const span = (s) => s < 120 ? `${Math.round(s)} s` : s < 7200 ? `${Math.floor(s / 60)} min` : s < 172800 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} days`;
const bytes = (n) => {
  if (n == null) return '–';
  const units = ['B', 'KB', 'MB', 'GB'];
  let unit = 0;
  while (n >= 1000 && unit < 3) { n /= 1000; unit += 1; }
  return `${n < 10 && unit ? n.toFixed(1) : Math.round(n)} ${units[unit]}`;
};
const minute = (window) => window.slice(11, 16);
const plural = (n, what) => `${count(n)} ${what}${n === 1 ? '' : 's'}`;

// --- lists that keep their nodes: nothing jumps, and a reader does not lose its place

const make = (name, parent, className) => {
  const node = document.createElement(name);
  if (className) node.className = className;
  parent.append(node);
  return node;
};
const list = (parent, items, build, fill) => {
  while (parent.children.length > items.length) parent.lastElementChild.remove();
  while (parent.children.length < items.length) parent.append(build());
  items.forEach((item, at) => fill(parent.children[at], item));
};
const parts = (name, ...children) => () => {
  const node = document.createElement(name);
  children.forEach((child) => make(child, node));
  return node;
};
const facts = (id, pairs) => list($(id), pairs, parts('div', 'dt', 'dd'), (node, pair) => pair.forEach((text, at) => set(node.children[at], text)));

// --- the parts of the page

const MARKS = { working: '✓', degraded: '!', lost: '✗', unreachable: '?', looking: '…' };
const RESULTS = { ok: '✓', on_its_way: '…', not_provable: '?', violated: '✗' };
let told = '';

function verdict({ level, words, reasons }) {
  const at = words.indexOf(':') + 1 || words.indexOf(' ');
  mark($('verdict'), 'data-level', level);
  set($('mark'), MARKS[level]);
  set($('level'), words.slice(0, at));
  set($('words'), words.slice(at));
  set(document.querySelector('title'), `${MARKS[level]} Pageview pipeline`);
  // Read aloud is what changes, not what counts on.
  const news = level + reasons.join().replace(/\d[\d,]*/g, '');
  if (news !== told) set($('news'), words);
  told = news;
}

const STATES = {
  up: ['good', '✓ up'], down: ['bad', '! not ready'], stopping: ['wait', '… stopping'],
  gone: ['bad', '✗ no answer'], left: ['wait', '– stopped'],
};

function flow(it) {
  const service = ({ name, asked, replicas }, words) => {
    const there = replicas.filter(({ state }) => state === 'up').length;
    const known = replicas.filter(({ state }) => state !== 'left').length;
    const kind = there && there === known ? 'good' : there ? 'wait' : 'bad';
    const state = !known ? '✗ none answers' : there === known ? `✓ ${there} up` : `! ${there} of ${known} up`;
    return [name, kind, state, known ? words : `at ${asked}`];
  };
  const system = (name, { up, seconds }, words) =>
    [name, up == null ? '' : up ? 'good' : 'bad', up == null ? '… asked' : up ? '✓ answers' : `✗ no answer for ${span(seconds)}`, words];
  const [ingest, aggregator, sink] = it.services;
  const waiting = it.counting.waiting;
  list($('flow'), [
    service(ingest, `${rate(it.intake.events)} events/s`),
    system('Kafka', it.kafka, it.storing.waiting == null ? 'how much waits is not known' : `${plural(it.storing.waiting, 'event')} not in S3 yet`),
    service(aggregator, waiting == null ? '' : waiting ? `${plural(waiting, 'event')} to read` : 'all events are read'),
    service(sink, `${plural(it.storing.objects_a_minute, 'object')} a minute`),
    system('S3', it.s3, `${bytes(it.storing.bytes)}/s`),
  ], parts('li', 'b', 'span', 'span'), (node, [name, kind, state, words]) => {
    mark(node, 'class', kind);
    node.children[1].className = 'state';
    [name, state, words].forEach((text, at) => set(node.children[at], text));
  });
}

function curve(points) {
  const most = Math.max(1, ...points.map((point) => point || 0));
  const xy = points.map((point, at) => point == null ? null : [at * 300 / (points.length - 1), 61 - point / most * 56]);
  const known = xy.filter(Boolean).map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`);
  const line = known.length ? 'M' + known.join('L') : '';
  const [area, stroke] = $('curve').children;
  mark(stroke, 'd', line);
  mark(area, 'd', known.length ? `${line}L${known.at(-1).split(',')[0]},64L${known[0].split(',')[0]},64Z` : '');
  set($('peak'), known.length ? `highest ${rate(most)}/s` : '');
  mark($('curve'), 'aria-label', `Events a second, the last five minutes; the highest is ${rate(most)}`);
}

function numbers({ intake, counting, storing }) {
  set($('in'), rate(intake.events));
  curve(intake.curve);
  facts('f-in', [
    ['requests', `${rate(intake.requests)}/s`],
    ['half are answered in', ms(intake.p50_ms)],
    ['99 of 100 in', ms(intake.p99_ms)],
    ['refused (4xx)', share(intake.refused)],
    ['failed (5xx)', share(intake.failed)],
  ]);
  set($('counted'), rate(counting.counted));
  const next = counting.next;
  const closes = !next ? 'none is open' : next.closes_in == null ? `${minute(next.start)} by event time` : `${minute(next.start)} in ${span(next.closes_in)}`;
  facts('f-count', [
    ['read now', `${rate(counting.read)}/s`],
    ['rows', `${rate(counting.rows)}/s`],
    ['late events', `${rate(counting.late)}/s`],
    ['repeats, dead letters (5 min)', `${count(counting.repeats)}, ${count(counting.dead_letters)}`],
    ['open windows (counts in them)', `${count(counting.open_windows)} (${count(counting.open_counts)})`],
    ['stream time is behind', counting.behind == null ? '–' : counting.behind < 10 ? `${counting.behind.toFixed(1)} s` : span(counting.behind)],
    ['next window closes', closes],
  ]);
  set($('stored'), rate(storing.events));
  facts('f-s3', [
    ['objects', `${count(storing.objects_a_minute)}/min`],
    ['bytes, as encoded', `${bytes(storing.bytes)}/s`],
    ['oldest unwritten, of a flush', `${span(storing.oldest)} of ${storing.flush_interval} s`],
    ...storing.writers.map(({ name, waiting }) => [`wait for ${name.replace('_', ' ')}`, count(waiting)]),
  ]);
}

function top(it) {
  set($('minutes'), it
    ? `${minute(it.first)} to ${minute(it.last)} UTC, counted in time and late: ${plural(it.pageviews, 'pageview')} of ${plural(it.postcodes, 'postcode')}`
    : 'none were counted in the last ten minutes');
  const rows = it ? it.rows : [];
  list($('top'), rows, parts('li', 'span', 'i', 'span'), (node, { postcode, pageviews }) => {
    set(node.children[0], postcode);
    node.children[1].style.width = `${pageviews / rows[0].pageviews * 100}%`;
    set(node.children[2], count(pageviews));
  });
}

function audit({ every, running, trouble, last }) {
  const words = !last ? (trouble ? 'the audit could not look' : every ? 'not audited yet' : 'the audit is off (--audit-every)')
    : last.result === 'ok' ? 'Nothing is lost: every event is in S3 once, and counted once'
    : last.result === 'violated' ? 'The promise is violated'
    : last.result === 'not_provable' ? 'Nothing is missing, and not all can be proved'
    : `Nothing is missing; ${last.on_their_way ? plural(last.on_their_way, 'event') : 'something'} ${last.on_their_way === 1 || !last.on_their_way ? 'is on its way' : 'are on their way'}`;
  mark($('audit'), 'data-result', last ? last.result : 'none');
  set($('a-mark'), last ? RESULTS[last.result] : '…');
  set($('a-words'), words);
  const when = last ? `audited ${span(last.seconds)} ago in ${ms(last.took_ms)}: ${plural(last.events, 'event')} in raw/` : '';
  const now = running != null ? 'looking now' : trouble ? `could not look: ${trouble}` : '';
  set($('a-when'), [when, now].filter(Boolean).join(' · ') || ' ');
  list($('checks'), last ? last.checks : [], () => {
    const node = document.createElement('li');
    const details = make('details', node);
    const summary = make('summary', details);
    ['b', 'span', 'small'].forEach((part) => make(part, summary));
    make('ul', details);
    return node;
  }, (node, { name, result, compared, findings }) => {
    const [details] = node.children;
    // What must be read is open at once; it may be closed again.
    if (node.className !== result) details.open = result === 'violated' || result === 'not_provable';
    mark(node, 'class', result);
    const small = result === 'on_its_way' ? 'waits for what is on its way' : result === 'ok' ? compared : findings[0];
    [RESULTS[result], name, small].forEach((text, at) => set(details.firstChild.children[at], text));
    const found = [compared, ...findings.slice(0, 10)].filter(Boolean);
    if (findings.length > 10) found.push(`and ${findings.length - 10} more, which pageviews audit lists`);
    list(details.lastChild, found, parts('li'), set);
  });
}

function replicas(services) {
  const all = services.flatMap((service) => service.replicas);
  const build = () => {
    const node = document.createElement('tr');
    ['', '', 'CPU', 'Memory', 'To take in', 'Restarts', 'Address'].forEach((label) => {
      const cell = make('td', node);
      if (label) cell.dataset.label = label;
    });
    make('span', node.children[1], 'state');
    make('small', node.children[1]);
    return node;
  };
  list($('replicas'), all, build, (node, it) => {
    const [kind, state] = STATES[it.state];
    const [name, said, ...rest] = node.children;
    set(name, it.name);
    mark(said, 'class', kind);
    set(said.children[0], it.state === 'up' ? state : `${state} for ${span(it.seconds)}`);
    set(said.children[1], it.troubles.map(({ component, words }) => `${component}: ${words}`).join('; '));
    const away = it.state === 'gone' || it.state === 'left';
    [away || it.cores == null ? '–' : `${Math.round(it.cores * 100)} %`, away ? '–' : bytes(it.memory_bytes),
      away || it.lag == null ? '–' : count(it.lag), String(it.restarts), it.address].forEach((text, at) => set(rest[at], text));
  });
}

function objects(folders) {
  list($('objects'), folders, () => {
    const node = document.createElement('div');
    make('h3', node);
    make('ul', node);
    return node;
  }, (node, { name, objects: all }) => {
    set(node.children[0], `${name}/`);
    list(node.children[1], all.slice(0, 3), parts('li', 'span', 'span', 'small'), (row, { key, records, seconds }) => {
      set(row.children[0], plural(records, 'record'));
      set(row.children[1], `newest ${span(seconds)} old`);
      set(row.children[2], key.slice(name.length + 1));
    });
    if (!all.length) list(node.children[1], [0], parts('li', 'span', 'span', 'small'), (row) => ['none seen', '', ''].forEach((text, at) => set(row.children[at], text)));
  });
}

// --- the stream

let last = 0;

function show(it) {
  verdict(it.verdict);
  flow(it);
  numbers(it);
  top(it.top);
  audit(it.audit);
  replicas(it.services);
  objects(it.objects);
}

function link(state, words) {
  mark($('link'), 'data-state', state);
  set($('link'), words);
  document.body.classList.toggle('stale', state === 'lost');
}

function listen() {
  const events = new EventSource('events');
  events.onmessage = ({ data }) => {
    const it = JSON.parse(data);
    last = Date.now();
    link('live', `live, ${it.at.slice(11, 19)} UTC`);
    show(it);
  };
  events.onerror = () => {
    link('lost', 'connection lost, trying again');
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
  };
}

// A server that is frozen closes nothing.
setInterval(() => { if (last && Date.now() - last > 5000) link('lost', 'connection lost, trying again'); }, 1000);
listen();
