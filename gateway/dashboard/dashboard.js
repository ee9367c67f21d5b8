// Asks the admin API, again and again, and keeps what it said last with its age.
// The token stays in this tab's sessionStorage, and goes nowhere but into the Authorization field.

import {
  showConfig, showRequests, showRoutes, showSessions, showStatus, showUpstreams,
} from './views.js';

const OFTEN = 2000, SELDOM = 20000;  // milliseconds between two looks
const SLOW = 1500;  // … after which an answer is late
const PATIENCE = 5000;  // … and after which it is given up
const KEY = 'gateway admin token';

const byId = id => document.getElementById(id);

class Refused extends Error {
  constructor(status, problem) {
    super(problem?.detail ?? `it answers with status ${status}`);
    this.status = status;
    this.lines = problem?.lines ?? [];
  }
}

class Unreached extends Error {}

let token = sessionStorage.getItem(KEY);
let turn = 0;  // of the one who is signed in: what was asked for another is of no interest

async function ask(method, path, {patience = PATIENCE, query = {}} = {}) {
  const search = new URLSearchParams(query).toString();
  const answer = await fetch(`api${path}${search && `?${search}`}`, {
    method,
    headers: {Authorization: `Bearer ${token}`},
    cache: 'no-store',
    signal: AbortSignal.timeout(patience),
  }).catch(error => {
    throw error.name === 'TimeoutError' ? error : new Unreached();
  });
  if (answer.ok) return answer.json();
  throw new Refused(answer.status, await answer.json().catch(() => null));
}

function why(error) {
  if (error instanceof Refused) return error.message;
  if (error.name === 'TimeoutError') return 'no answer in time';
  return error instanceof Unreached ? 'it can’t be reached' : 'what it says can’t be read';
}

// What is looked at, when it was last answered, and since when that is awaited or failing.

const LOOKS = [
  {path: '/status', every: OFTEN, show: showStatus},
  {path: '/requests', every: OFTEN, show: showRequests},
  {path: '/upstreams', every: OFTEN, show: showUpstreams},
  {path: '/routes', every: SELDOM, show: showRoutes},
  {path: '/config', every: SELDOM, show: said => showConfig(said.config)},
].map(look => ({...look, answered: null, asked: null, fault: null}));

async function follow(look, mine, begun = () => {}) {
  while (turn === mine) {
    look.asked = performance.now();
    try {
      const said = await ask('GET', look.path);
      if (turn !== mine) return;
      look.show(said);
      look.answered = performance.now();
      look.fault = null;
      begun();
      begun = () => {};
    } catch (error) {
      if (turn !== mine) return;
      if (error instanceof Refused && [401, 404].includes(error.status)) {
        signOut(error.message);
        return;
      }
      look.fault = why(error);
    }
    look.asked = null;
    tellFreshness();
    await new Promise(resolve => setTimeout(resolve, look.fault ? OFTEN : look.every));
    while (document.hidden && turn === mine) {
      await new Promise(resolve => setTimeout(resolve, 250));
    }
  }
}

function tellFreshness() {
  if (token === null) return;
  const now = performance.now();
  const failing = LOOKS.find(look => look.fault !== null);
  const late = LOOKS.find(look => look.asked !== null && now - look.asked > SLOW);
  const times = LOOKS.filter(look => look.every === OFTEN).map(look => look.answered);
  const oldest = times.includes(null) ? null : Math.min(...times);
  const age = oldest === null ? null : Math.round((now - oldest) / 1000);
  const data = age === null ? 'There is no data yet.' : `What you see is ${age} s old.`;
  const trouble = failing ? `The API fails: ${failing.fault}.`
    : late ? `The API is slow: waiting for ${Math.round((now - late.asked) / 1000)} s.` : '';
  const place = byId('freshness');
  const told = trouble ? `${trouble} ${data}` : age === null ? 'Loading …' : 'Live.';
  if (place.textContent !== told) place.textContent = told;
  place.classList.toggle('stale', trouble !== '');
}

// Signing in and out

function signIn() {
  const mine = ++turn;
  for (const look of LOOKS) Object.assign(look, {answered: null, asked: null, fault: null});
  byId('sign-in').hidden = true;
  byId('sign-in-error').textContent = '';
  byId('content').hidden = byId('forget').hidden = false;
  // One alone at first: each with a wrong token is a try, and there are not many.
  const [first, ...others] = LOOKS;
  follow(first, mine, () => others.forEach(look => follow(look, mine)));
  tellFreshness();
}

function signOut(reason) {
  turn++;
  token = null;
  sessionStorage.removeItem(KEY);
  byId('content').hidden = byId('forget').hidden = true;
  byId('sign-in').hidden = false;
  byId('sessions-found').hidden = true;
  for (const id of ['sessions-told', 'reload-told', 'config']) byId(id).textContent = '';
  for (const told of document.querySelectorAll('#content tbody, #state')) told.replaceChildren();
  byId('sign-in-error').textContent = reason;
  byId('freshness').textContent = 'Not signed in.';
  byId('freshness').classList.remove('stale');
  byId('token').focus();
}

byId('sign-in').addEventListener('submit', event => {
  event.preventDefault();
  token = byId('token').value;
  byId('token').value = '';
  if (/^[!-~]+$/.test(token)) {
    sessionStorage.setItem(KEY, token);
    signIn();
    byId('main').focus();
  } else {
    signOut('this is not the token');
  }
});
byId('forget').addEventListener('click', () => signOut(''));

// Sessions

let shown = null;  // whose sessions are listed

async function busy(button, work) {
  button.disabled = true;
  try {
    await work();
  } finally {
    button.disabled = false;
  }
}

async function listSessions(told = '') {
  const place = byId('sessions-told');
  try {
    const found = await ask('GET', '/sessions', {query: shown, patience: 20000});
    showSessions(found, endOne);
    const number = found.sessions.length;
    const all = found.is_complete ? ''
      : ' There may be more than is shown here; to end all ends these too.';
    place.textContent = `${told}${number} session${number === 1 ? '' : 's'} of ${found.user}.${all}`;
  } catch (error) {
    place.textContent = `${told}The sessions can’t be shown: ${why(error)}.`;
  }
}

function confirmed(question) {
  const dialog = byId('confirm');
  byId('question').textContent = question;
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise(resolve => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), {once: true});
  });
}

for (const id of ['yes', 'no']) byId(id).addEventListener('click', () => byId('confirm').close(id));

async function end(path, question, done) {
  const {issuer, user} = shown;
  if (!await confirmed(question)) return;
  const query = path === '/sessions' ? {issuer, user} : {user};
  try {
    await ask('DELETE', path, {query, patience: 20000});
    await listSessions(done);
  } catch (error) {
    byId('sessions-told').textContent = `Nothing was ended: ${why(error)}.`;
  }
  byId('user').focus();
}

const endOne = (session, button) => busy(button, () => end(
  `/sessions/${encodeURIComponent(shown.issuer)}/${encodeURIComponent(session.id)}`,
  `End the session ${session.id} of ${shown.user}?`,
  'The session was ended. ',
));

byId('end-all').addEventListener('click', event => busy(event.currentTarget, () => end(
  '/sessions', `End all sessions of ${shown.user}?`, 'All sessions were ended. ')));
byId('find').addEventListener('submit', event => {
  event.preventDefault();
  shown = {issuer: byId('issuer').value, user: byId('user').value};
  byId('sessions-found').hidden = true;
  byId('sessions-told').textContent = 'Looking …';
  busy(event.submitter, listSessions);
});

// Reload

async function reload(dry_run) {
  const place = byId('reload-told');
  place.textContent = 'Asking …';
  try {
    place.textContent = (await ask('POST', '/reload', {query: {dry_run}, patience: 60000}))
      .lines.join('\n');
  } catch (error) {
    place.textContent = [`Not reloaded: ${why(error)}.`, ...(error.lines ?? [])].join('\n');
  }
}

byId('try-reload').addEventListener('click', event => busy(event.currentTarget, () => reload(true)));
byId('reload').addEventListener('click', async event => {
  const button = event.currentTarget;
  if (await confirmed('Take the configuration file anew?')) await busy(button, () => reload(false));
});

setInterval(tellFreshness, 500);
if (token !== null) signIn();
else byId('token').focus();
