// From what the admin API answers to elements of the page. All text goes in as text, never as HTML.

const byId = id => document.getElementById(id);

function element(name, content, className) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...[content].flat());
  return made;
}

const cell = (content, className) => element('td', content ?? '', className);
const number = value => cell(value, 'number');
const mono = text => element('span', text, 'mono');
const count = value => value.toLocaleString('en');
const all = values => (values === null ? 'all' : values.join(', '));

function rate(value) {
  if (value === null) return '…';
  return value === 0 ? '0' : value < 10 ? value.toFixed(2) : value.toFixed(0);
}

function rows(id, made, columns, nothing) {
  const empty = () => {
    const only = cell(nothing, 'hint');
    only.colSpan = columns;
    return element('tr', only);
  };
  byId(id).replaceChildren(...(made.length ? made : [empty()]));
}

const row = cells => element('tr', cells);

export function moment(text) {
  if (text === null) return 'never';
  const made = element('time', new Date(text).toLocaleString());
  made.dateTime = text;
  return made;
}

export function showStatus(status) {
  byId('version').textContent = status.version;
  const tiles = [
    ['Ready', status.is_ready ? 'yes' : status.why, status.is_ready ? 'good' : 'bad'],
    [
      'Workers', `${status.answering} of ${status.workers}`,
      status.answering < status.workers ? 'bad' : '',
    ],
    ['Store', status.store_is_up ? 'up' : 'away', status.store_is_up ? 'good' : 'bad'],
    ['Requests under way', count(status.inflight_requests), ''],
    ['Open WebSockets', count(status.open_websockets), ''],
  ];
  byId('state').replaceChildren(
    ...tiles.map(([name, told, kind]) =>
      element('div', [element('dt', name), element('dd', told, kind)])),
  );
}

export function showRequests({routes, refreshes, revocations}) {
  rows('requests-rows', routes.map(one => row([
    cell(one.route === '' ? element('em', 'no route') : mono(one.route)),
    number(rate(one.per_second)),
    number(one.denied_per_second > 0
      ? element('span', rate(one.denied_per_second), 'doubt') : rate(one.denied_per_second)),
    number(count(one.total)),
    number(count(one.denied)),
    cell(Object.entries(one.statuses).map(([kind, total]) => `${kind} ${count(total)}`).join(', ')),
    cell(one.reasons.map(each => `${each.reason} ${count(each.total)}`).join(', ')),
  ])), 7, 'No request yet.');
  const outcomes = list => list.map(one => row([
    cell(one.issuer), cell(one.word), number(rate(one.per_second)), number(count(one.total)),
  ]));
  rows('refreshes-rows', outcomes(refreshes), 4, 'None yet.');
  rows('revocations-rows', outcomes(revocations), 4, 'None yet.');
}

function state(server, answering) {
  const faults = [];
  if (server.is_ejected) faults.push('accepts no connection');
  if (server.fails_checks) faults.push('fails its health check');
  if (server.circuit === 'open') faults.push('circuit open');
  if (server.circuit === 'half_open') faults.push('circuit half open');
  if (server.is_up && !faults.length) return element('span', 'up', 'good');
  const share = !server.is_up && server.up_for ? ` (up for ${server.up_for} of ${answering})` : '';
  const told = (server.is_up ? 'up: ' : 'down: ') + faults.join(', ') + share;
  return element('span', told, server.is_up ? 'doubt' : 'bad');
}

export function showUpstreams({upstreams, answering}) {
  const lines = upstreams.flatMap(one => {
    const limits = [
      `${one.max_connections} connections`, `${one.max_pending_requests} waiting`,
      ...(one.concurrency_limit === null ? [] : [`${one.concurrency_limit} at once`]),
    ].join(', ');
    return one.servers.map((server, index) => row([
      cell(index === 0 ? one.name : ''),
      cell(mono(server.server)),
      cell(state(server, answering)),
      number(count(server.busy)), number(count(server.idle)), number(count(server.connecting)),
      number(index === 0 ? count(one.pending_requests) : ''),
      cell(index === 0 ? limits : ''),
    ]));
  });
  rows('upstreams-rows', lines, 8, 'No worker answers.');
}

export function showRoutes({routes, endpoints}) {
  rows('routes-rows', routes.map(one => row([
    cell(one.name),
    cell(all(one.hosts)),
    cell(all(one.methods)),
    cell(mono(one.path)),
    cell(one.auth === 'none' ? 'none' : `${one.auth}: ${one.issuers.join(', ')}`),
    cell(one.upstream),
    cell([
      one.rate_limit, one.cors && `CORS for ${one.cors.join(', ')}`, one.websocket && 'WebSockets',
      one.priority === 'high' && 'goes first',
    ].filter(Boolean).join('; ')),
  ])), 7, 'None.');
  rows('endpoints-rows', endpoints.map(one => row([
    cell(one.issuer), cell(one.endpoint), cell(mono(one.path)), cell(all(one.hosts)),
  ])), 4, 'None.');
}

export function showIssuers(config) {
  const names = Object.keys(config.issuers);
  const select = byId('issuer');
  if (names.join('\n') === [...select.options].map(one => one.value).join('\n')) return;
  const chosen = select.value;
  select.replaceChildren(...names.map(name => element('option', name)));
  if (names.includes(chosen)) select.value = chosen;
}

export function showConfig(config) {
  const text = JSON.stringify(config, null, 2);
  if (byId('config').textContent !== text) byId('config').textContent = text;
  showIssuers(config);
}

export function showSessions(found, onEnd) {
  rows('sessions-rows', found.sessions.map(one => {
    const button = element('button', 'End', 'grave');
    button.type = 'button';
    button.setAttribute('aria-label', `End the session ${one.id}`);
    button.addEventListener('click', () => onEnd(one, button));
    return row([
      cell(mono(one.id)), cell(moment(one.began)), cell(moment(one.refreshed)),
      cell(moment(one.kept_until)), cell(button),
    ]);
  }), 5, 'This user has no session.');
  byId('sessions-found').hidden = false;
  byId('end-all').disabled = found.sessions.length === 0;
}
