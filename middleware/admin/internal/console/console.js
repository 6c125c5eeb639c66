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
	const shown = list.slice(0, 200), body = $(id).tBodies[0], made = shown.map(item => {
		const row = make("tr");
		cells(item, row).forEach((cell, i) => {
			const td = make(i === 0 ? "th" : "td");
			if (i === 0) td.scope = "row";
			td.append(cell instanceof Node ? cell : document.createTextNode(cell));
			row.append(td);
		});
		return row;
	});
	if (list.length > shown.length) {
		const row = make("tr"), more = make("th", `and ${count(list.length - shown.length)} more`);
		more.scope = "row";
		row.append(more);
		made.push(row);
	}
	$(id).hidden = made.length === 0;
	const focused = document.activeElement, head = row => row.cells[0].textContent;
	if (!body.contains(focused) || body.rows.length !== made.length || made.some((row, i) => head(row) !== head(body.rows[i]))) {
		body.replaceChildren(...made);
		return;
	}
	made.forEach((row, i) => [...row.cells].forEach((cell, j) => { // all but the button that is in use
		const old = body.rows[i].cells[j];
		if (!old.contains(focused)) old.replaceWith(cell);
	}));
};

// ---- the chart ----

// kinds are the parts of a bar, the lowest first.
const calls = [
	["allowed", "served", r => sum(r.checks, "allowed", "exempt", "skipped")],
	["denied", "denied", r => sum(r.checks, "denied")],
	["undecided", "not decided", r => sum(r.checks, "undecided_allowed", "undecided_denied")],
	["rejected", "rejected for their key", r => sum(r.checks, "no_key", "ambiguous_key", "blocked")],
];
const ofLimit = name => {
	const of = r => r.limits.find(l => l.limit === name) || {admitted: 0, denied: 0, would_deny: 0};
	return [["allowed", "had room", r => of(r).admitted], ["denied", "denied", r => of(r).denied], ["would", "would deny", r => of(r).would_deny]];
};
const sum = (checks, ...outcomes) => outcomes.reduce((n, outcome) => n + (checks[outcome] || 0), 0);
const history = []; // of the last seconds: {at, rates}
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
	const last = history.at(-1), bars = history.map(h => kinds.map(([, , value]) => value(h.rates)));
	const highest = Math.max(1, ...bars.map(bar => bar.reduce((a, b) => a + b, 0)));
	const step = Math.pow(10, Math.floor(Math.log10(highest)));
	const top = Math.ceil(highest / step) * step, width = 1200 / seconds;
	$("grid").replaceChildren(...[.25, .5, .75].map(y => draw("line", {x1: 0, x2: 1200, y1: 240 * y, y2: 240 * y})));
	$("bars").replaceChildren(...kinds.map(([name], kind) => {
		let d = "";
		bars.forEach((bar, i) => {
			if (bar[kind] === 0) return;
			const below = bar.slice(0, kind).reduce((a, b) => a + b, 0);
			const x = 1200 - ((last.at - history[i].at) / 1000 + 1) * width, y = 240 * (1 - (below + bar[kind]) / top), height = Math.max(240 * bar[kind] / top, 2);
			d += `M${x.toFixed(1)} ${y.toFixed(1)}h${(width * .85).toFixed(1)}v${height.toFixed(1)}h-${(width * .85).toFixed(1)}z`;
		});
		return draw("path", {d, class: name, "data-kind": name});
	}));
	put($("top"), last ? count(top) : "");
	put($("chart-text"), last ? "In the last second: " + kinds.map(([, text], i) => count(bars.at(-1)[i]) + " " + text).join(", ") + "." : "No data yet.");
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
const sourceText = source => Object.hasOwn(sources, source) ? sources[source] : source;
const statuses = {ok: "Every part decides.", degraded: "Calls are decided, but not by every part.", failed: "No part of the store decides."};
let shownHash = "";

const showRates = frame => {
	const rates = frame.rates;
	if (!rates) return;
	history.push({at: frame.at, rates});
	while (frame.at - history[0].at >= seconds * 1000 || history[0].at > frame.at) history.shift(); // the clock may have been set back
	options(rates.limits);
	chart();
	const held = new Map((frame.held || []).map(h => [h.limit, h.tokens]));
	rows("limits", rates.limits, (l, row) => {
		const denied = make("span", count(l.denied), l.denied > 0 ? "bad" : "");
		return [l.limit, count(l.admitted), denied, count(l.would_deny), count(held.get(l.limit) || 0)];
	});
	const all = Object.values(rates.sources).reduce((a, b) => a + b, 0);
	$("sources").replaceChildren(...Object.entries(rates.sources).filter(([, n]) => n > 0).map(([source, n]) => {
		const item = make("li");
		item.append(meter(n, all, source), `${Math.round(100 * n / all)} % ${sourceText(source)}`);
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

let tableShown;
const showTable = async news => {
	$("block").hidden = !news;
	if (!news) return;
	const newest = news.version + " " + (news.changes[0] || {}).at; // another program begins with version 1, too
	if (newest === tableShown) return;
	tableShown = newest;
	$("changes-heading").hidden = false;
	if ($("changes").contains(document.activeElement)) $("changes-heading").focus();
	$("changes").replaceChildren(...news.changes.map((c, i) => {
		const item = make("li", `${day(c.at)}, version ${c.version}${c.who ? ", " + c.who : ""}`);
		const lines = c.what.length > 0 ? c.what : [c.version === 1 ? "the table with which the program has begun" : "no difference but in keys"];
		const list = make("ul");
		list.append(...lines.map(line => make("li", line)));
		item.append(list);
		if (news.fleet && i + 1 < news.changes.length) {
			const back = make("button", "Roll back to before this change");
			back.type = "button";
			back.setAttribute("aria-label", `Roll back to before this change, version ${c.version}`);
			back.addEventListener("click", () => rollBack(c.version));
			item.append(back);
		}
		return item;
	}));
	const response = await fetch(at("table/summary")).catch(() => undefined);
	if (!response || !response.ok) {
		tableShown = undefined; // again with the next frame
		return;
	}
	const t = await response.json(), policy = p => typeof p === "string" ? p : p.map(l => typeof l === "string" ? l : JSON.stringify(l)).join(", ");
	put($("table-message"), `Every key that the table does not list: ${policy(t.default)}. ${count(t.keys)} keys have limits of their own.${t.blocked ? ` ${count(t.blocked)} are blocked.` : ""} ${news.fleet ? "All nodes of the fleet share it." : "A table that was put here is in force on this node until the program ends."}`);
	rows("plans", [
		...Object.entries(t.plans).map(([name, p]) => [name, policy(p.policy), count(p.members)]),
		...Object.entries(t.organisations || {}).map(([name, o]) => [name + " (organisation)", o.plan === undefined ? policy(o.policy) : "plan " + o.plan, count(o.keys)]),
	], cells => cells);
};

// rollBack puts the version before a change in force again, on all nodes, if the operator confirms it.
// What is shown may be old, so it asks for the changes again.
const rollBack = async version => {
	put($("changes-message"), "");
	const [trail, why] = await send("table/changes");
	if (!trail) return put($("changes-message"), why);
	const undone = trail.changes.findIndex(c => c.version === version) + 1, before = trail.changes[undone];
	if (undone === 0 || !before) return put($("changes-message"), "The version before that change is no longer kept.");
	if (!confirm(`Roll back to version ${before.version}, of ${day(before.at)}, on all nodes?\n\nThis undoes ${undone === 1 ? "the last change" : `the last ${undone} changes`}, but lifts no block.`)) return;
	const [done, failure] = await send("table/rollback", {version: before.version});
	put($("changes-message"), done ? `Rolled back to version ${before.version} at ${now()}.` : failure);
};

const show = frame => {
	arrived = performance.now();
	seenAt = frame.at;
	$("no-metrics").hidden = frame.counted;
	$("who").hidden = $("denied-section").hidden = !frame.counted;
	$("shadow-mode").hidden = !frame.shadow;
	put($("node"), `${frame.node}, since ${day(frame.since)}`);
	const denied = frame.rates ? frame.rates.checks.denied || 0 : 0, health = frame.health ? frame.health.status : "ok";
	const parts = ["Live"];
	if (health === "degraded") parts.push("a part of the store is down");
	if (health === "failed") parts.push("the store is down");
	if (denied > 0) parts.push("denying calls");
	state(parts.length > 1 ? "denying" : "live", parts.join(", "));
	document.body.classList.remove("stale");
	showRates(frame);
	showHealth(frame.health);
	showReports(frame);
	showTable(frame.table);
};

// ---- the stream ----

let paused = false, stream, retry, arrived = performance.now(), seenAt = 0, refused = "";
const state = (name, text) => {
	$("status").dataset.state = name;
	put($("status"), text);
};
const disconnect = () => {
	clearTimeout(retry);
	if (stream) stream.close();
};
const connect = () => {
	disconnect();
	stream = new EventSource(at("live"));
	stream.onmessage = e => {
		refused = "";
		if (!paused) show(JSON.parse(e.data));
	};
	stream.onerror = async () => {
		if (stream.readyState !== EventSource.CLOSED) return; // the browser connects again: streams end now and then
		const response = await fetch(at("live"), {method: "HEAD"}).catch(() => undefined);
		refused = !response || response.ok ? "" : response.status === 401 || response.status === 403 ? "Not authorized any more: load the page again" : `The server answers with status ${response.status}`;
		clearTimeout(retry);
		retry = setTimeout(connect, 3000);
	};
};
// Without a frame for three seconds, what is shown is old.
setInterval(() => {
	const old = Math.floor((performance.now() - arrived) / 1000);
	if (paused || document.hidden || old < 3) return;
	document.body.classList.add("stale");
	state("lost", (refused || "No data from the server") + (seenAt ? `; this is as of ${clock(new Date(seenAt).toISOString())}` : ""));
}, 1000);
$("pause").addEventListener("click", () => {
	paused = !paused;
	put($("pause"), paused ? "Resume" : "Pause");
	if (paused) {
		disconnect();
		state("paused", "Paused");
	} else {
		resume();
	}
	follow();
});
const resume = () => {
	arrived = performance.now();
	state("connecting", "Connecting");
	connect();
};
// A page that is not seen keeps no stream: a browser has six connections to a server without HTTP/2.
document.addEventListener("visibilitychange", () => {
	if (paused) return;
	if (document.hidden) disconnect();
	else resume();
});

// ---- requests ----

// send sends a request, with a body or without. It returns the response, or undefined and why there is none.
const send = async (path, body) => {
	const post = body && {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)};
	try {
		const response = await fetch(at(path), {...post, signal: AbortSignal.timeout(path === "table/rollback" ? 15000 : 5000)});
		if (response.ok) return [response.status === 204 ? {} : await response.json()];
		const problem = await response.json().catch(() => ({}));
		return [undefined, response.status === 401 || response.status === 403 ? "You are not authorized any more: load the page again." :
			problem.detail ? problem.detail + (problem.class ? ` (${problem.class})` : "") : `The server answers with status ${response.status}.`];
	} catch {
		return [undefined, "The server does not answer."];
	}
};

// ---- one key ----

let subject, following, asking = 0; // the key is here and nowhere else
let failed = false; // the message is an error
const message = (text, error = false) => {
	put($("key-message"), text);
	failed = error;
};
const now = () => clock(new Date().toISOString());

// ask sends a request about the key. If it fails, the message says why, unless another key has been
// entered meanwhile.
const ask = async (path, body) => {
	const asked = subject, [found, why] = await send(path, body);
	if (!found && asked === subject) message(why, true);
	return found;
};

const showKey = s => {
	shownHash = s.key;
	$("found").hidden = $("forget").hidden = false;
	$("found").classList.remove("stale");
	put($("hash"), s.key);
	put($("plan"), [s.exempt ? "exempt from limits" : s.plan === undefined ? "the default, or limits of its own" : s.plan, s.organisation === undefined ? "" : "organisation " + s.organisation].filter(Boolean).join(", "));
	const blocked = s.block ? (s.block.own ? "denied: it is blocked" : "denied: blocked by its plan, its organisation, the default or a lock-out") + (s.block.until ? " until " + day(s.block.until) : "") + (s.block.reason ? ", " + s.block.reason : "") : "";
	const verdict = blocked || (s.exempt ? "admitted, without a limit" : s.allowed ? "admitted" + (s.would_deny ? ", though a shadow limit would deny it" : "") : "denied, for " + span(s.retry_after_ms));
	put($("verdict"), verdict + (s.exempt || s.block ? "" : `; decided by ${sourceText(s.source)}`) + (s.source === "share" ? ", at which its buckets are full" : ""));
	$("verdict").className = s.allowed ? "good" : "bad";
	$("reset-shared").hidden = s.organisation === undefined;
	$("unblock").hidden = !s.block || !s.block.own;
	rows("buckets", [...s.limits, ...(s.parts || [])], l => {
		const name = make("span", l.name + " "), left = make("span"), reset = make("button", "Reset");
		name.append(make("code", l.limit), l.shadow ? " (shadow)" : "");
		if (l.block) left.append(make("span", "denied: locked out until " + day(l.block.until), "bad"));
		else if (l.remaining === undefined) left.textContent = "not asked, as an enforced limit denies";
		else left.append(meter(l.remaining, l.burst, `${l.name}: tokens left`), make("span", `${count(l.remaining)} of ${count(l.burst)}`, l.violated ? "bad" : ""));
		reset.type = "button";
		reset.setAttribute("aria-label", `Reset the bucket of ${l.name}`);
		reset.addEventListener("click", () => refill("key/reset", {...subject, limit: l.name}, `The bucket of ${l.name} was filled`));
		const full = l.reset_after_ms === undefined ? "" : l.limit.includes(" at a time") ? "as calls end" : span(l.reset_after_ms);
		return [name, left, count(l.held), full, reset];
	});
};

// look shows the key, and reports whether it is still the one that was asked for. Old answers do
// not replace new ones.
const look = async () => {
	const asked = subject, turn = ++asking, found = await ask("key/state", asked);
	if (asked !== subject) return false;
	if (!found) {
		$("found").classList.add("stale");
		return false;
	}
	if (turn !== asking) return true;
	showKey(found);
	if (failed) message("");
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
	const asked = subject;
	if (!asked || !await ask(path, body) || asked !== subject) return;
	message(`${done} at ${now()}.`);
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
	const asked = subject = {[$("kind").value]: $("kind").value === "address" ? text.trim() : text};
	message("");
	const found = await look();
	if (asked !== subject) return;
	if (found) message("Shown below, twice a second. A key that no client has looks the same: compare the hash.");
	else $("forget").hidden = false; // it is asked for again, until then
	follow();
});
$("forget").addEventListener("click", () => {
	forget();
	message("Forgotten.");
	$("subject").focus();
});
$("reset").addEventListener("click", () => refill("key/reset", subject, "All of its buckets were filled"));
$("block").addEventListener("submit", async e => {
	e.preventDefault();
	const length = $("block-for").value, reason = $("block-reason").value.trim(), block = {};
	if (length !== "") block.until = new Date(Date.now() + 1000 * length).toISOString().slice(0, 19) + "Z";
	if (reason !== "") block.reason = reason;
	await refill("key/block", {...subject, ...block}, "It was blocked");
});
$("unblock").addEventListener("click", () => refill("key/unblock", subject, "Its block was lifted"));
$("reset-shared").addEventListener("click", () => refill("key/reset-shared", subject, "What its organisation shares was filled"));

legend();
chart();
connect();
