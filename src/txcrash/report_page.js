'use strict';
// The picture of a report. The data is the JSON report; see txcrash(1).
const report = JSON.parse(document.getElementById('data').textContent);
const byId = (id) => document.getElementById(id);
const text = (value) => {
  if (value === null || value === undefined) return '';
  if (typeof value === 'string') return shown(value);
  const bytes = Uint8Array.from(atob(value.bytes), (c) => c.charCodeAt(0));
  return shown(new TextDecoder().decode(bytes));
};
// Bytes that steer a terminal or turn the direction of writing are shown by number.
const shown = (value) => value.replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
  (c) => '\\x' + c.charCodeAt(0).toString(16).padStart(2, '0'));
const plain = (value) => typeof value === 'string' ? value : text(value); // for the clipboard
const count = (n) => n.toLocaleString('en');
const plural = (n, word) => count(n) + ' ' + word + (n === 1 ? '' : 's');

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === 'onclick') made.addEventListener('click', value);
    else if (key === 'style') made.style.cssText = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

// --- the data, in the order of time ---

const kinds = ['write', 'flush', 'ack', 'call', 'fault'];
const kindWords = { write: 'writes', flush: 'flushes', ack: 'acknowledged', call: 'calls',
  fault: 'faults' };
const verdicts = ['violation', 'unjudged', 'fine']; // from the bottom of a column
const events = report.events;
const states = report.states.map((state, index) => ({ ...state, index }))
  .sort((a, b) => a.event - b.event || verdicts.indexOf(a.verdict) - verdicts.indexOf(b.verdict) ||
    a.index - b.index);
const bad = states.flatMap((state, place) => state.verdict === 'violation' ? [place] : []);
const lanes = kinds.filter((kind) => events.some((event) => event.kind === kind));
const length = Math.max(events.length, 1); // a crash at `length` comes after everything
let chosen = -1; // index into states
let view = { from: -0.5, to: length + 0.5 };
const colour = (name) => getComputedStyle(document.documentElement)
  .getPropertyValue('--' + name).trim();

function eventWords(event) {
  const size = event.size ? '  ' + plural(event.size, 'byte') : '';
  const offset = event.size && event.offset ? ' at ' + count(event.offset) : '';
  return (text(event.text) || event.kind) + size + offset;
}

// --- drawing ---

const picture = byId('picture'), overview = byId('overview');
const margin = 108, laneHeight = 22, axisHeight = 24, cellMost = 8, statesMost = 168;
let statesHeight = statesMost, rowHeight = cellMost; // as the highest stack needs
const height = () => lanes.length * laneHeight + statesHeight + axisHeight + 14;

function context(canvas, tall) {
  const ratio = window.devicePixelRatio || 1;
  const wide = canvas.clientWidth || 900;
  canvas.width = Math.round(wide * ratio);
  canvas.height = Math.round(tall * ratio);
  canvas.style.height = tall + 'px';
  const to = canvas.getContext('2d');
  to.setTransform(ratio, 0, 0, ratio, 0, 0);
  to.clearRect(0, 0, wide, tall);
  to.font = '12px system-ui, sans-serif';
  to.textBaseline = 'middle';
  return { to, wide };
}

const scale = (wide) => (wide - margin - 14) / (view.to - view.from);
const toX = (event, wide) => margin + (event - view.from) * scale(wide);
const toEvent = (x, wide) => view.from + (x - margin) / scale(wide);

// First place in an array sorted by event that is not before `event`.
function lowerBound(array, event) {
  let low = 0, high = array.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (array[middle].event < event) low = middle + 1; else high = middle;
  }
  return low;
}

// An event stands between the crashes before and after it: at its number and a half.
function drawLanes(to, wide) {
  const perEvent = scale(wide);
  const first = Math.max(0, Math.floor(view.from - 1));
  const last = Math.min(events.length, Math.ceil(view.to));
  lanes.forEach((kind, lane) => {
    const top = lane * laneHeight + 5, tall = laneHeight - 9;
    to.fillStyle = colour('dim');
    to.textAlign = 'right';
    to.fillText(kindWords[kind], margin - 12, top + tall / 2);
    const columns = new Map();
    for (let i = first; i < last; i++) {
      if (events[i].kind !== kind) continue;
      const x = Math.floor(toX(i + 0.5, wide));
      columns.set(x, (columns.get(x) || 0) + 1);
    }
    const most = Math.max(1, ...columns.values());
    to.fillStyle = colour(kind);
    const tick = Math.max(1, Math.min(6, perEvent * 0.6));
    for (const [x, n] of columns) {
      if (x < margin - 1 || x > wide - 13) continue;
      to.globalAlpha = 0.35 + 0.65 * n / most;
      to.fillRect(x - tick / 2, top, tick, tall);
    }
    to.globalAlpha = 1;
  });
}

// Columns of states: what is near is stacked; when the stacks grow too high they become bars.
let cells = []; // what a click finds: { x, y, w, h, state }
// One column an event while that is 4 pixels or more, else one of 8 pixels for several.
const cellSize = (wide) => scale(wide) >= 4 ? Math.min(cellMost, scale(wide)) : cellMost;
function columnsOf(wide) {
  const single = scale(wide) >= 4;
  const step = single ? scale(wide) : cellMost;
  const columns = new Map();
  const end = lowerBound(states, Math.ceil(view.to) + 1);
  for (let i = lowerBound(states, Math.floor(view.from)); i < end; i++) {
    const middle = toX(states[i].event, wide);
    const x = single ? middle - step / 2
      : margin + Math.floor((middle - margin) / step) * step - step / 2;
    if (!columns.has(x)) columns.set(x, []);
    columns.get(x).push(i);
  }
  return { columns, step };
}

// The picture is as high as the stacks of the whole run ask for.
function fitHeight(wide) {
  const { columns, step } = columnsOf(wide);
  const cell = cellSize(wide);
  const across = Math.max(1, Math.floor(step / cell));
  let most = 1;
  for (const members of columns.values()) most = Math.max(most, Math.ceil(members.length / across));
  rowHeight = Math.max(cellMost, Math.min(2 * cellMost, 96 / most));
  statesHeight = Math.max(56, Math.min(statesMost, 18 + (most + 1) * rowHeight));
}

function drawMark(to, state, x, y, wide, tall) {
  to.fillStyle = to.strokeStyle = colour(state.verdict);
  if (state.verdict === 'violation' && wide < 6) { // no room for a cross: higher than others
    to.fillRect(x, y - 5, wide, tall + 5);
  } else if (state.verdict === 'violation') { // a cross: not by colour alone
    to.lineWidth = 2.2;
    to.beginPath();
    to.moveTo(x + 1, y + 1); to.lineTo(x + wide - 1, y + tall - 1);
    to.moveTo(x + wide - 1, y + 1); to.lineTo(x + 1, y + tall - 1);
    to.stroke();
  } else if (state.verdict === 'fine') {
    to.fillRect(x + 0.5, y + 0.5, wide - 1, tall - 1);
  } else {
    to.lineWidth = 1;
    to.strokeRect(x + 1, y + 1, wide - 2, tall - 2);
  }
}

function drawCells(to, base, rows, columns, step, cell) {
  for (const [x, members] of columns) {
    const across = Math.max(1, Math.min(Math.ceil(members.length / rows), Math.floor(step / cell)));
    const left = x + (step - across * cell) / 2;
    members.forEach((i, place) => {
      const cx = left + (place % across) * cell;
      const cy = base - (Math.floor(place / across) + 1) * rowHeight;
      drawMark(to, states[i], cx, cy, cell - 1, rowHeight - 1);
      cells.push({ x: cx, y: cy, w: cell, h: rowHeight, state: i });
    });
  }
}

function drawBars(to, base, tall, columns, step) {
  let most = 1;
  for (const members of columns.values()) most = Math.max(most, members.length);
  for (const [x, members] of columns) {
    let y = base;
    for (const verdict of verdicts) {
      const n = members.filter((i) => states[i].verdict === verdict).length;
      if (n === 0) continue;
      const size = Math.max(verdict === 'violation' ? 4 : 1, tall * n / most);
      to.fillStyle = colour(verdict);
      to.globalAlpha = verdict === 'unjudged' ? 0.6 : 1;
      to.fillRect(x + 0.5, y - size, Math.max(1, Math.min(step, 40) - 1), size);
      to.globalAlpha = 1;
      const state = members.find((i) => states[i].verdict === verdict);
      cells.push({ x, y: y - size, w: Math.min(step, 40), h: size, state });
      y -= size;
    }
  }
}

function drawStates(to, wide) {
  const base = lanes.length * laneHeight + statesHeight + 4;
  const tall = statesHeight - 18;
  const cell = cellSize(wide);
  const rows = Math.floor(tall / rowHeight);
  const { columns, step } = columnsOf(wide);
  const fits = [...columns.values()]
    .every((members) => Math.ceil(members.length / Math.max(1, Math.floor(step / cell))) <= rows);
  cells = [];
  to.fillStyle = colour('dim');
  to.textAlign = 'right';
  to.fillText('crashes', margin - 12, base - 8);
  to.save();
  to.beginPath();
  to.rect(margin - cellMost, 0, wide - margin, height());
  to.clip();
  if (fits) drawCells(to, base, rows, columns, step, cell);
  else drawBars(to, base, tall, columns, step);
  to.restore();
  return base;
}

function drawAxis(to, wide, base) {
  to.strokeStyle = colour('line');
  to.lineWidth = 1;
  to.beginPath();
  to.moveTo(margin - 4, base + 2.5); to.lineTo(wide - 12, base + 2.5);
  const span = view.to - view.from;
  const rough = span / Math.max(2, (wide - margin) / 110);
  const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1)));
  const step = [1, 2, 5, 10].map((f) => f * power).find((s) => s >= rough) || 10 * power;
  to.fillStyle = colour('dim');
  to.textAlign = 'center';
  for (let at = Math.max(0, Math.ceil(view.from / step) * step); at <= view.to && at <= length;
    at += step) {
    const x = Math.round(toX(at, wide)) + 0.5;
    to.moveTo(x, base + 2); to.lineTo(x, base + 7);
    to.fillText(count(at), x, base + 15);
  }
  to.stroke();
  to.textAlign = 'right';
  to.fillText('event', margin - 12, base + 15);
}

function drawChosen(to, wide, base) {
  if (chosen < 0) return;
  const x = toX(states[chosen].event, wide);
  if (x < margin - 5 || x > wide) return;
  to.strokeStyle = colour('accent');
  to.lineWidth = 1;
  to.setLineDash([3, 3]);
  to.beginPath();
  to.moveTo(x, 2); to.lineTo(x, base + 3);
  to.stroke();
  to.setLineDash([]);
  const at = cells.find((one) => one.state === chosen);
  if (at) {
    to.lineWidth = 2;
    to.strokeRect(at.x - 1.5, at.y - 1.5, Math.min(at.w, 40) + 2, at.h + 2);
  }
}

function drawOverview() {
  const { to, wide } = context(overview, 34);
  const whole = (event) => margin + (event + 0.5) * (wide - margin - 14) / (length + 1);
  to.fillStyle = colour('dim');
  to.textAlign = 'right';
  to.fillText('whole run', margin - 12, 17);
  for (const verdict of ['fine', 'unjudged', 'violation']) {
    to.fillStyle = colour(verdict);
    to.globalAlpha = verdict === 'violation' ? 1 : 0.4;
    const xs = new Set(states.filter((s) => s.verdict === verdict)
      .map((s) => Math.round(whole(s.event))));
    const high = verdict === 'violation' ? 22 : 10;
    for (const x of xs) to.fillRect(x - 1, 17 - high / 2, 2, high);
  }
  to.globalAlpha = 1;
  to.strokeStyle = colour('accent');
  to.strokeRect(whole(view.from) + 0.5, 3.5, whole(view.to) - whole(view.from) - 1, 27);
}

let pending = false;
function draw() {
  if (pending) return;
  pending = true;
  requestAnimationFrame(() => {
    pending = false;
    const { to, wide } = context(picture, height());
    drawLanes(to, wide);
    const base = drawStates(to, wide);
    drawAxis(to, wide, base);
    drawChosen(to, wide, base);
    drawOverview();
  });
}

// --- one state ---

function contextList(state) {
  const list = element('ol', { class: 'context', 'aria-label': 'events around the crash' });
  const first = Math.max(0, state.event - 6);
  const last = Math.min(events.length, state.event + 4);
  const cut = () => element('li', { class: 'cut' }, element('b', {}, '✗'), 'the crash');
  for (let i = first; i < last; i++) {
    if (i === state.event) list.append(cut());
    const item = element('li', { class: i < state.event ? 'before' : 'after' },
      element('b', {}, String(i)), element('i', { style: 'background: var(--' + events[i].kind + ')' }),
      eventWords(events[i]));
    item.title = eventWords(events[i]);
    list.append(item);
  }
  if (state.event >= last) list.append(cut());
  return list;
}

async function copy(value, button) {
  try {
    await navigator.clipboard.writeText(value);
  } catch (refused) {
    const area = element('textarea', {}, value);
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  const words = button.textContent;
  button.textContent = 'Copied';
  setTimeout(() => { button.textContent = words; }, 1500);
}

const verdictWords = { fine: 'fine', violation: 'violation', unjudged: 'not judged' };
function describe() {
  const box = byId('state');
  box.replaceChildren();
  box.className = chosen < 0 ? '' : states[chosen].verdict;
  if (chosen < 0) {
    box.append(element('p', {}, 'Choose one in the picture.'));
    return;
  }
  const state = states[chosen];
  const where = state.event >= events.length ? 'after the last event' : 'before event ' + count(state.event);
  const left = element('div', {}, element('h3', {}, verdictWords[state.verdict] + ' · ' + where));
  if (state.choice) left.append(element('p', {}, text(state.choice)));
  if (state.message) left.append(element('p', { class: 'message' }, text(state.message)));
  if (state.reproduce) {
    const button = element('button', { type: 'button', id: 'copy' }, 'Copy the command');
    button.addEventListener('click', () => copy(plain(state.reproduce), button));
    left.append(element('p', {}, 'Make this state again: ', button),
      element('pre', { id: 'reproduce' }, text(state.reproduce)));
  }
  if (state.image) left.append(element('p', {}, 'Kept in ', element('code', {}, text(state.image))));
  box.append(left, contextList(state));
}

function show(event) {
  const span = view.to - view.from;
  if (event >= view.from + span * 0.02 && event <= view.to - span * 0.02) return;
  moveView(event - span / 2, span);
}

function choose(index, follow) {
  chosen = index;
  if (index >= 0 && follow) show(states[index].event);
  if (index >= 0) history.replaceState(null, '', '#state=' + states[index].index);
  describe();
  for (const row of document.querySelectorAll('#bad tr')) {
    row.classList.toggle('chosen', index >= 0 && row.dataset.state === String(index));
  }
  draw();
}

function step(by) {
  if (states.length === 0) return;
  choose(chosen < 0 ? (by > 0 ? 0 : states.length - 1)
    : Math.max(0, Math.min(states.length - 1, chosen + by)), true);
}

function stepBad(by) {
  if (bad.length === 0) return;
  const next = by > 0 ? bad.find((place) => place > chosen)
    : bad.filter((place) => place < chosen).pop();
  choose(next === undefined ? (by > 0 ? bad[0] : bad[bad.length - 1]) : next, true);
}

// --- moving ---

function moveView(from, span) {
  const most = length + 1;
  span = Math.max(Math.min(4, most), Math.min(most, span));
  from = Math.max(-0.5, Math.min(length + 0.5 - span, from));
  view = { from, to: from + span };
  draw();
}

function zoom(factor, around) {
  const span = view.to - view.from;
  const middle = around === undefined
    ? (chosen >= 0 ? states[chosen].event : (view.from + view.to) / 2) : around;
  const inside = Math.max(view.from, Math.min(view.to, middle));
  moveView(inside - (inside - view.from) * factor, span * factor);
}

function at(mouse) {
  const box = picture.getBoundingClientRect();
  return { x: mouse.clientX - box.left, y: mouse.clientY - box.top, wide: box.width };
}

function near(place) {
  let best = -1, least = 14;
  for (const one of cells) {
    const dx = Math.max(one.x - place.x, 0, place.x - one.x - one.w);
    const dy = Math.max(one.y - place.y, 0, place.y - one.y - one.h);
    const far = Math.hypot(dx, dy);
    if (far < least) { least = far; best = one.state; }
  }
  return best;
}

let drag = null;
picture.addEventListener('pointerdown', (mouse) => {
  drag = { x: mouse.clientX, from: view.from, moved: false };
  picture.setPointerCapture(mouse.pointerId);
});
picture.addEventListener('pointermove', (mouse) => {
  const place = at(mouse);
  if (drag) {
    const by = mouse.clientX - drag.x;
    drag.moved = drag.moved || Math.abs(by) > 4;
    if (drag.moved) moveView(drag.from - by / scale(place.wide), view.to - view.from);
    return;
  }
  const index = near(place);
  const event = Math.floor(toEvent(place.x, place.wide));
  byId('pointer').textContent = index >= 0
    ? verdictWords[states[index].verdict] + ' before event ' + states[index].event + '  ' + text(states[index].message || states[index].choice)
    : event >= 0 && event < events.length ? event + '  ' + eventWords(events[event]) : '\u00a0';
});
picture.addEventListener('pointerup', (mouse) => {
  if (drag && !drag.moved) {
    const index = near(at(mouse));
    if (index >= 0) choose(index, false);
  }
  drag = null;
});
picture.addEventListener('wheel', (mouse) => {
  mouse.preventDefault();
  const place = at(mouse);
  zoom(mouse.deltaY > 0 ? 1.25 : 0.8, toEvent(place.x, place.wide));
}, { passive: false });
overview.addEventListener('click', (mouse) => {
  const box = overview.getBoundingClientRect();
  const event = (mouse.clientX - box.left - margin) * (length + 1) / (box.width - margin - 14) - 0.5;
  const span = view.to - view.from;
  moveView(event - span / 2, span);
});
const keys = {
  ArrowRight: () => step(1), ArrowLeft: () => step(-1), Home: () => choose(0, true),
  End: () => choose(states.length - 1, true), n: () => stepBad(1), p: () => stepBad(-1),
  '+': () => zoom(0.5), '=': () => zoom(0.5), '-': () => zoom(2), 0: () => moveView(-0.5, length + 1),
};
picture.addEventListener('keydown', (key) => {
  if (keys[key.key] && !key.ctrlKey && !key.metaKey && !key.altKey && states.length > 0) {
    key.preventDefault();
    keys[key.key]();
  }
});

// --- the rest of the page ---

function fillLegend() {
  const list = byId('legend');
  const item = (svg, words) => {
    const one = element('li', {});
    one.innerHTML = svg; // our own constants
    one.append(words);
    list.append(one);
  };
  const mark = (inside) => '<svg width="13" height="13" viewBox="0 0 13 13" aria-hidden="true">' + inside + '</svg>';
  const n = report.verdicts;
  item(mark('<rect x="1" y="1" width="11" height="11" fill="var(--fine)"/>'), 'fine (' + count(n.fine) + ')');
  item(mark('<path d="M2 2 11 11 M11 2 2 11" stroke="var(--violation)" stroke-width="3"/>'),
    'violation (' + count(n.violation) + ')');
  if (n.unjudged) {
    item(mark('<rect x="2" y="2" width="9" height="9" fill="none" stroke="var(--unjudged)"/>'),
      'not judged: the file system itself did not survive (' + count(n.unjudged) + ')');
  }
  for (const kind of lanes) {
    item(mark('<rect x="4" y="0" width="5" height="13" fill="var(--' + kind + ')"/>'), kindWords[kind]
      + ' (' + count(events.filter((event) => event.kind === kind).length) + ')');
  }
}

const badShown = 200;
function fillBad() {
  byId('bad-section').hidden = bad.length === 0;
  byId('previous-bad').disabled = byId('next-bad').disabled = bad.length === 0;
  if (bad.length === 0) return;
  const body = element('tbody', {});
  for (const index of bad.slice(0, badShown)) {
    const state = states[index];
    const button = element('button', { type: 'button', onclick: () => choose(index, true) },
      count(state.event));
    const row = element('tr', {}, element('td', { class: 'number' }, button),
      element('td', {}, state.event < events.length ? eventWords(events[state.event]) : 'the end'),
      element('td', {}, text(state.choice)), element('td', {}, text(state.message)));
    row.dataset.state = String(index);
    body.append(row);
  }
  const head = element('thead', {}, element('tr', {}, ...['Before event', 'which is', 'Crash', 'The check said']
    .map((words) => element('th', { scope: 'col' }, words))));
  byId('bad').append(element('table', {}, head, body));
  if (bad.length > badShown) {
    byId('bad').append(element('p', {}, 'and ' + count(bad.length - badShown) + ' more, in the picture'));
  }
}

function fillRun() {
  for (const total of report.totals) {
    byId('totals').tBodies[0].append(element('tr', {}, element('td', { class: 'number' },
      count(total.count)), element('th', { scope: 'row' }, text(total.name))));
  }
  for (const note of report.notes) {
    byId('notes').tBodies[0].append(element('tr', {}, element('th', { scope: 'row' },
      text(note.name)), element('td', {}, text(note.value))));
  }
}

function start() {
  const subject = text(report.subject);
  document.title = 'txcrash ' + report.mode + ': ' + subject;
  byId('title').replaceChildren('txcrash ' + report.mode + ' ', element('small', {}, subject));
  const n = report.verdicts;
  const judged = n.fine + n.violation;
  byId('verdict').textContent = n.violation ? count(n.violation) + ' of ' + plural(judged, 'state')
    + ' convicted' : judged ? plural(judged, 'state') + ', nothing convicted' : 'nothing was tested';
  byId('verdict').className = n.violation || !judged ? 'bad' : 'good';
  picture.setAttribute('aria-label', plural(events.length, 'event') + ', '
    + plural(states.length, 'crash state') + ', ' + plural(n.violation, 'violation'));
  byId('previous-bad').addEventListener('click', () => stepBad(-1));
  byId('next-bad').addEventListener('click', () => stepBad(1));
  byId('zoom-in').addEventListener('click', () => zoom(0.5));
  byId('zoom-out').addEventListener('click', () => zoom(2));
  byId('zoom-all').addEventListener('click', () => moveView(-0.5, length + 1));
  fillLegend();
  fillBad();
  fillRun();
  const wanted = /^#state=(\d+)$/.exec(location.hash);
  const index = wanted ? states.findIndex((state) => state.index === Number(wanted[1])) : -1;
  fitHeight(picture.clientWidth || 900);
  choose(index >= 0 ? index : bad.length ? bad[0] : -1, true);
  window.addEventListener('resize', draw);
  window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
}
start();
