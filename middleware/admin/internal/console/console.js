"use strict";
// The console shows the frames of ./live, and asks for one key with ./key/state. Text goes into
// the page by textContent alone. The key that an operator looks at is in no element.

const $ = id => document.getElementById(id);
const at = path => location.origin + location.pathname.replace(/\/?$/, "/") + path; // without the credentials that a URL may have
const seconds = 120; // that the chart shows

// ---- numbers and words ----

const count = x => x === undefined ? "" : x.toLocaleString("en", {maximumFractionDigits: x < 100 ? 1 : 0});
const clock = t => t.slice(11, 19) + " UTC";
const day = t => t.slice(0, 10) + " " + clock(t);
const span = ms => {
	if (ms <= 0) return "now";
	if (ms < 10000) return (ms / 1000).toFixed(1) + " s";
	const s = Math.ceil(ms / 1000), m = Math.floor(s / 60), h = Math.floor(m / 60), d = Math.floor(h / 24);
	if (d > 0) return d + " d " + h % 24 + " h";
	if (h > 0) return h + " h " + m % 60 + " min";
	return m > 0 ? m + " min " + s % 60 + " s" : s + " s";
};

// ---- elements ----

const make = (tag, text, name) => {
	const e = document.createElement(tag);
	if (text !== undefined) e.textContent = text;
	if (name) e.className = name;
	return e;
};
const draw = (tag, attributes) => {
	const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
	for (const name in attributes) e.setAttribute(name, attributes[name]);
	return e;
};
const put = (element, text) => {
	if (element.textContent !== text) element.textContent = text;
};
// meter returns one that shows value of max.
const meter = (value, max, label) => {
	const e = make("meter");
	e.max = Math.max(max, 1e-9);
	e.value = value;
	e.setAttribute("aria-label", label);
	return e;
};
// rows replaces the rows of a table. The first cell of each is its heading.
const rows = (id, list, cells) => {
	const body = $(id).tBodies[0], made = list.map(item => {
		const row = make("tr");
		cells(item, row).forEach((cell, i) => {
			const td = make(i === 0 ? "th" : "td");
			if (i === 0) td.scope = "row";
			td.append(cell instanceof Node ? cell : document.createTextNode(cell));
			row.append(td);
		});
		return row;
	});
	$(id).hidden = made.length === 0;
	const focused = document.activeElement;
	if (!body.contains(focused) || body.rows.length !== made.length) {
		body.replaceChildren(...made);
		return;
	}
	made.forEach((row, i) => [...row.cells].forEach((cell, j) => { // all but the button that is in use
		const shown = body.rows[i].cells[j];
		if (!shown.contains(focused)) shown.replaceWith(cell);
	}));
};

// ---- the chart ----

// kinds are the parts of a bar, the lowest first.
const calls = [
	["allowed", "served", r => sum(r.checks, "allowed", "exempt", "skipped")],
	["denied", "denied", r => sum(r.checks, "denied")],
	["undecided", "not decided", r => sum(r.checks, "undecided_allowed", "undecided_denied")],
	["rejected", "without a usable key, or blocked", r => sum(r.checks, "no_key", "ambiguous_key", "blocked")],
];
const ofLimit = name => {
	const of = r => r.limits.find(l => l.limit === name) || {admitted: 0, denied: 0, would_deny: 0};
	return [["allowed", "admitted", r => of(r).admitted], ["denied", "denied", r => of(r).denied], ["would", "would deny", r => of(r).would_deny]];
};
const sum = (checks, ...outcomes) => outcomes.reduce((n, outcome) => n + (checks[outcome] || 0), 0);
const history = [];
let kinds = calls;

const legend = () => {
	$("legend").replaceChildren(...kinds.map(([name, text]) => {
		const item = make("span"), box = draw("svg", {viewBox: "0 0 8 8", "aria-hidden": "true"});
		box.append(draw("rect", {width: 8, height: 8, class: name}));
		item.append(box, text);
		return item;
	}));
};

const chart = () => {
	const bars = history.map(r => kinds.map(([, , value]) => value(r)));
	const highest = Math.max(1, ...bars.map(bar => bar.reduce((a, b) => a + b, 0)));
	const step = Math.pow(10, Math.floor(Math.log10(highest)));
	const top = Math.ceil(highest / step) * step, width = 1200 / seconds;
	$("grid").replaceChildren(...[.25, .5, .75].map(y => draw("line", {x1: 0, x2: 1200, y1: 240 * y, y2: 240 * y})));
	$("bars").replaceChildren(...kinds.map(([name], kind) => {
		let d = "";
		bars.forEach((bar, i) => {
			if (bar[kind] === 0) return;
			const below = bar.slice(0, kind).reduce((a, b) => a + b, 0);
			const x = 1200 - (bars.length - i) * width, y = 240 * (1 - (below + bar[kind]) / top), height = Math.max(240 * bar[kind] / top, 2);
			d += `M${x.toFixed(1)} ${y.toFixed(1)}h${(width * .85).toFixed(1)}v${height.toFixed(1)}h-${(width * .85).toFixed(1)}z`;
		});
		return draw("path", {d, class: name, "data-kind": name});
	}));
	const now = bars.at(-1);
	put($("top"), now ? count(top) : "");
	put($("chart-text"), now ? kinds.map(([, text], i) => count(now[i]) + " " + text).join(", ") + ` a second, over the last ${seconds} s` : "No data yet.");
};

$("limit").addEventListener("change", () => {
	kinds = $("limit").value === "" ? calls : ofLimit($("limit").value);
	legend();
	chart();
});

// options keeps the list of limits.
const options = limits => {
	const known = new Set([...$("limit").options].map(o => o.value));
	for (const l of limits) if (!known.has(l.limit)) {
		const option = make("option", l.limit);
		option.value = l.limit;
		$("limit").append(option);
	}
};

// ---- a frame ----

const sources = {
	store: "the store", knowledge: "this node, by what it knows of the store", share: "this node alone, by its share of the limits", lease: "this node, with tokens that it has taken in advance",
};
const statuses = {ok: "Every part decides.", degraded: "Calls are decided, but not by every part.", failed: "No part of the store decides."};
let lastFrame, shownHash = "";

const showRates = frame => {
	const rates = frame.rates;
	if (!rates) return;
	history.push(rates);
	if (history.length > seconds) history.shift();
	options(rates.limits);
	chart();
	const held = {};
	for (const h of frame.held || []) held[h.limit] = h.tokens;
	rows("limits", rates.limits, (l, row) => {
		const denied = make("span", count(l.denied), l.denied > 0 ? "bad" : "");
		return [l.limit, count(l.admitted), denied, count(l.would_deny), count(held[l.limit] || 0)];
	});
	const all = Object.values(rates.sources).reduce((a, b) => a + b, 0);
	$("sources").replaceChildren(...Object.entries(rates.sources).filter(([, n]) => n > 0).map(([source, n]) => {
		const item = make("li");
		item.append(meter(n, all, source), `${Math.round(100 * n / all)} % ${sources[source] || source}`);
		return item;
	}));
	if (all === 0) $("sources").replaceChildren(make("li", "No decision in the last second."));
};

const showHealth = h => {
	if (!h) return;
	put($("health-status"), (statuses[h.status] || h.status) + (h.decides ? ` Decides now: ${h.decides}.` : ""));
	$("health-status").className = h.status === "ok" ? "good" : "bad";
	$("parts").replaceChildren(...h.parts.map(p => {
		const item = make("li");
		item.append(`${p.name}: `, make("span", p.ok ? "works" : "down", p.ok ? "good" : "bad"),
			(p.class ? ` (${p.class})` : "") + (p.since ? `, since ${day(p.since)}` : "") + (!p.ok && p.proved ? `, decided last at ${clock(p.proved)}` : ""));
		return item;
	}));
	$("warnings").replaceChildren(...(h.warnings || []).map(w => make("li", w)));
};

const keyHash = (hash, row) => {
	if (hash === shownHash) row.className = "same";
	return make("code", hash);
};

const showReports = frame => {
	if (frame.denied) {
		put($("denied-total"), `${count(frame.denied.denied)} calls denied since ${day(frame.denied.since)}.`);
		rows("denied", frame.denied.keys, (k, row) => [keyHash(k.key, row), k.limit, (k.overcount > 0 ? "about " : "") + count(k.denied), clock(k.last)]);
	}
	const w = frame.what_if;
	put($("whatif-total"), w.decisions === 0 ? "No shadow limit has watched a call yet." :
		`Of ${count(w.decisions)} calls that shadow limits watched since ${day(w.since)}, they would have denied ${count(w.would_deny)} (${(100 * w.would_deny / w.decisions).toFixed(2)} %).`);
	rows("whatif", w.keys, (k, row) => [keyHash(k.key, row), k.limit, (k.overcount > 0 ? "about " : "") + count(k.refused), k.never ? "never admitted" : span(k.max_retry_after_ms), clock(k.last)]);
};

let tableVersion;
const showTable = async news => {
	if (!news || news.version === tableVersion) return;
	tableVersion = news.version;
	$("changes-heading").hidden = false;
	$("changes").replaceChildren(...news.changes.map(c => {
		const item = make("li", `${day(c.at)}, version ${c.version}`);
		const lines = c.what.length > 0 ? c.what : [c.version === 1 ? "the first table" : "no difference but in keys"];
		const list = make("ul");
		list.append(...lines.map(line => make("li", line)));
		item.append(list);
		return item;
	}));
	const response = await fetch(at("table/summary")).catch(() => undefined);
	if (!response || !response.ok) {
		tableVersion = undefined; // again with the next frame
		return;
	}
	const t = await response.json(), policy = p => typeof p === "string" ? p : p.map(l => typeof l === "string" ? l : JSON.stringify(l)).join(", ");
	put($("table-message"), `Every key that the table does not list: ${policy(t.default)}. ${count(t.keys)} keys have limits of their own.`);
	rows("plans", [
		...Object.entries(t.plans).map(([name, p]) => [name, policy(p.policy), count(p.members)]),
		...Object.entries(t.organisations || {}).map(([name, o]) => [name + " (organisation)", o.plan ? "plan " + o.plan : policy(o.policy), count(o.keys)]),
	], cells => cells);
};

const show = frame => {
	lastFrame = frame;
	$("no-metrics").hidden = frame.counted;
	$("shadow-mode").hidden = !frame.shadow;
	const denied = frame.rates ? frame.rates.checks.denied || 0 : 0;
	state(denied > 0 ? "denying" : "live", denied > 0 ? "Live, denying calls" : "Live");
	showRates(frame);
	showHealth(frame.health);
	showReports(frame);
	showTable(frame.table);
};

// ---- the stream ----

let paused = false, stream, retry;
const state = (name, text) => {
	$("status").dataset.state = name;
	put($("status"), text);
};
const connect = () => {
	clearTimeout(retry);
	if (stream) stream.close();
	stream = new EventSource(at("live"));
	stream.onmessage = e => {
		if (!paused) show(JSON.parse(e.data));
	};
	stream.onerror = () => {
		if (!paused) state("lost", "The server does not answer, trying again");
		if (stream.readyState === EventSource.CLOSED) { // the response was an error
			clearTimeout(retry);
			retry = setTimeout(connect, 3000);
		}
	};
};
$("pause").addEventListener("click", () => {
	paused = !paused;
	$("pause").setAttribute("aria-pressed", String(paused));
	if (paused) {
		clearTimeout(retry);
		stream.close();
		state("paused", "Paused");
	} else {
		state("connecting", "Connecting");
		connect();
	}
	follow();
});

// ---- one key ----

let subject, following; // the key is here and nowhere else
const message = text => put($("key-message"), text);

const ask = async (path, body) => {
	try {
		const response = await fetch(at(path), {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)});
		if (response.ok) return response.status === 204 ? {} : await response.json();
		const problem = await response.json().catch(() => ({}));
		message(response.status === 401 || response.status === 403 ? "You are not authorized any more: load the page again." :
			problem.detail ? problem.detail + (problem.class ? ` (${problem.class})` : "") : `The server answered with status ${response.status}.`);
	} catch {
		message("The server does not answer.");
	}
};

const showKey = s => {
	shownHash = s.key;
	$("found").hidden = $("forget").hidden = false;
	put($("hash"), s.key);
	put($("plan"), [s.exempt ? "exempt from limits" : s.plan || "the default, or limits of its own", s.organisation ? "organisation " + s.organisation : ""].filter(Boolean).join(", "));
	const verdict = s.exempt ? "admitted, without a limit" : s.allowed ? "admitted" + (s.would_deny ? ", though a shadow limit would deny it" : "") : "denied, for " + span(s.retry_after_ms);
	put($("verdict"), verdict + (s.exempt ? "" : `; decided by ${sources[s.source] || s.source}`));
	$("verdict").className = s.allowed ? "good" : "bad";
	$("reset-shared").hidden = !s.organisation;
	const all = [...s.limits, ...(s.parts || [])];
	rows("buckets", all, l => {
		const name = make("span", l.name + " "), left = make("span"), reset = make("button", "Reset");
		name.append(make("code", l.limit), l.shadow ? " (shadow)" : "");
		if (l.remaining === undefined) left.textContent = "not known";
		else left.append(meter(l.remaining, l.burst, `${l.name}: tokens left`), make("span", `${count(l.remaining)} of ${count(l.burst)}`, l.violated ? "bad" : ""));
		reset.type = "button";
		reset.setAttribute("aria-label", `Reset the bucket of ${l.name}`);
		reset.addEventListener("click", () => refill("key/reset", {...subject, limit: l.name}, `The bucket of ${l.name} is full.`));
		return [name, left, count(l.held), l.reset_after_ms === undefined ? "" : span(l.reset_after_ms), reset];
	});
	return all.length;
};

const look = async () => {
	const asked = subject, found = await ask("key/state", asked);
	if (!found || asked !== subject) return false;
	showKey(found);
	return true;
};

// follow asks again while the page is seen.
const follow = () => {
	clearTimeout(following);
	if (!subject || paused) return;
	following = setTimeout(async () => {
		if (!document.hidden) await look();
		follow();
	}, 500);
};

const refill = async (path, body, done) => {
	if (!subject || !await ask(path, body)) return;
	message(done);
	await look();
};

const forget = () => {
	subject = undefined;
	shownHash = "";
	clearTimeout(following);
	$("found").hidden = $("forget").hidden = true;
	for (const id of ["hash", "plan", "verdict"]) put($(id), "");
	rows("buckets", [], () => []);
};

$("kind").addEventListener("change", () => $("subject").classList.toggle("secret", $("kind").value === "key"));
$("look").addEventListener("submit", async e => {
	e.preventDefault();
	const text = $("subject").value;
	$("subject").value = "";
	forget();
	subject = {[$("kind").value]: $("kind").value === "address" ? text.trim() : text};
	message("");
	if (await look()) message("Found. It is asked for twice a second.");
	else subject = undefined;
	follow();
});
$("forget").addEventListener("click", () => {
	forget();
	message("Forgotten.");
	$("subject").focus();
});
$("reset").addEventListener("click", () => refill("key/reset", subject, "All of its buckets are full."));
$("reset-shared").addEventListener("click", () => refill("key/reset-shared", subject, "What its organisation shares is full."));

legend();
chart();
connect();
