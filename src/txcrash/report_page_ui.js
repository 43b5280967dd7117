// The state that was chosen, moving in the picture, and the rest of the page of a report.

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
