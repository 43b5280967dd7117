'use strict';
// The picture of a report. The data is the JSON report; see txcrash(1). What moves it and the rest
// of the page: report_page_ui.js, which follows in the same script.
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
