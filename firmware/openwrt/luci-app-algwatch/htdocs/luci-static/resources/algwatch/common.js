// SPDX-License-Identifier: Apache-2.0
'use strict';
'require baseclass';
'require poll';
'require rpc';
'require ui';
'require view';

/*
 * Shared by the pages of algwatch.
 *
 * E() takes a string for HTML and the items of an array for text. Much of what is shown here was
 * written by strangers on the Internet, so el() below always hands over an array: nothing on these
 * pages is HTML.
 */

function el(tag, attributes, ...children) {
	return E(tag, attributes, children.flat(Infinity));
}

function declare(method, params) {
	return rpc.declare({
		object: 'luci.algwatch',
		method: method,
		params: params || [],
		expect: { '': {} },
		reject: true
	});
}

const HARMS = {
	observed: [ _('hurt'), 'algwatch-bad' ],
	certain: [ _('will hurt'), 'algwatch-bad' ],
	latent: [ _('may hurt'), 'algwatch-doubt' ],
	none: [ _('harmless'), 'algwatch-plain' ]
};

const OUTCOMES = {
	completed: [ _('completed'), 'algwatch-good' ],
	ongoing: [ _('goes on'), 'algwatch-good' ],
	cancelled: [ _('cancelled'), 'algwatch-plain' ],
	rejected: [ _('rejected'), 'algwatch-doubt' ],
	unknown: [ _('end not seen'), 'algwatch-doubt' ],
	dropped: [ _('dropped'), 'algwatch-bad' ],
	unanswered: [ _('unanswered'), 'algwatch-bad' ],
	/* of registrations */
	accepted: [ _('accepted'), 'algwatch-good' ],
	refused: [ _('refused'), 'algwatch-bad' ],
	challenged: [ _('no right password'), 'algwatch-bad' ]
};

const PLACES = {
	phone: _('The phone'),
	router: _('This router'),
	provider: _('The provider'),
	network: _('The network beyond this router'),
	unknown: _('Not known')
};

const STATES = {
	suspected: [ _('as a trial'), 'algwatch-doubt' ],
	recommended: [ _('recommended'), 'algwatch-good' ],
	applied: [ _('applied, not proved yet'), 'algwatch-doubt' ],
	verified: [ _('done, and it helped'), 'algwatch-good' ],
	'rolled-back': [ _('put back'), 'algwatch-plain' ]
};

/* label: one of the tables above; a word that is not in it is shown as it is. */
function badge(table, word) {
	const known = Object.prototype.hasOwnProperty.call(table, word) ? table[word] : [ word, 'algwatch-plain' ];

	return el('span', { 'class': 'algwatch-badge ' + known[1] }, known[0]);
}

function when(seconds) {
	return new Date(1000 * seconds).toLocaleString();
}

function lasted(seconds) {
	if (seconds < 120)
		return _('%d s').format(Math.max(0, Math.round(seconds)));

	if (seconds < 7200)
		return _('%d min').format(Math.round(seconds / 60));

	return _('%d h').format(Math.round(seconds / 3600));
}

/* The part of two lines that differs, grown to whole words: [ start, end of a, end of b ]. */
function changed(a, b) {
	const word = /[A-Za-z0-9.:_-]/;
	const least = Math.min(a.length, b.length);
	let start = 0, end = 0;

	while (start < least && a[start] == b[start])
		start++;

	while (end < least - start && a[a.length - 1 - end] == b[b.length - 1 - end])
		end++;

	while (start > 0 && word.test(a[start - 1]))
		start--;

	while (end > 0 && word.test(a[a.length - end]))
		end--;

	return [ start, a.length - end, b.length - end ];
}

/* Two texts, each as nodes, with the part marked that differs. */
function marked(a, b) {
	const part = changed(a, b);

	return [ [ a, part[1] ], [ b, part[2] ] ].map(one => [
		one[0].slice(0, part[0]), el('mark', {}, one[0].slice(part[0], one[1])), one[0].slice(one[1])
	]);
}

/* Pairs of lines of two messages, in order; null where one has no such line. */
function aligned(a, b) {
	/* length[i][j]: equal lines of a from i and b from j on (longest common subsequence). */
	const length = [];

	for (let i = a.length; i >= 0; i--) {
		length[i] = [];

		for (let j = b.length; j >= 0; j--)
			length[i][j] = (i == a.length || j == b.length) ? 0
				: (a[i] == b[j]) ? 1 + length[i + 1][j + 1]
				: Math.max(length[i + 1][j], length[i][j + 1]);
	}

	const rows = [];
	let gone = [], come = [], i = 0, j = 0;

	const flush = function() {
		for (let n = 0; n < Math.max(gone.length, come.length); n++)
			rows.push([ n < gone.length ? gone[n] : null, n < come.length ? come[n] : null ]);

		gone = [];
		come = [];
	};

	while (i < a.length || j < b.length) {
		if (i < a.length && j < b.length && a[i] == b[j]) {
			flush();
			rows.push([ a[i++], b[j++] ]);
		}
		else if (j == b.length || (i < a.length && length[i + 1][j] >= length[i][j + 1])) {
			gone.push(a[i++]);
		}
		else {
			come.push(b[j++]);
		}
	}

	flush();

	return rows;
}

const CSEQ = /^CSeq *:/i;

/* The kind of a message and its CSeq: equal for two copies of one message. */
function kind(message) {
	const first = (message[0] || '').split(' ');
	const cseq = message.filter(text => CSEQ.test(text))[0] || '';

	return (first[0] == 'SIP/2.0' ? first.slice(0, 2).join(' ') : first[0]) + '\n' +
		cseq.replace(/^[^:]*: */, '');
}

/* The first two looks at the wire that are both copies of one message, as it entered first; null
   without. */
function copies(evidence) {
	for (let i = 0; i < evidence.length; i++)
		for (let j = i + 1; j < evidence.length; j++) {
			const a = evidence[i], b = evidence[j];

			if (a.side != b.side && a.message.length && b.message.length &&
			    kind(a.message) == kind(b.message))
				return a.at <= b.at ? [ a, b ] : [ b, a ];
		}

	return null;
}

function side(word) {
	return word == 'lan' ? _('LAN side') : word == 'wan' ? _('WAN side') : _('side not known');
}

/* One line of a copy. text: null where the copy has no such line. parts: nodes of a changed one. */
function line(text, parts) {
	if (text == null)
		return el('div', { 'class': 'algwatch-line algwatch-absent' }, _('(no such line)'));

	return el('div', { 'class': 'algwatch-line' + (parts ? ' algwatch-changed' : '') }, parts || text);
}

/* Both copies of a message side by side, below each other where there is no room. */
function compared(pair) {
	const cells = [
		el('div', { 'class': 'algwatch-side' }, _('%s: as it came').format(side(pair[0].side))),
		el('div', { 'class': 'algwatch-side' }, _('%s: as it went on').format(side(pair[1].side)))
	];

	for (const row of aligned(pair[0].message, pair[1].message)) {
		const same = row[0] === row[1];
		const parts = same ? [] : marked(row[0] || '', row[1] || '');
		const left = line(row[0], parts[0]);
		const right = line(row[1], parts[1]);

		left.setAttribute('data-side', side(pair[0].side));
		right.setAttribute('data-side', side(pair[1].side));

		if (same)
			right.classList.add('algwatch-same');

		cells.push(left, right);
	}

	return el('div', { 'class': 'algwatch-copies' }, cells);
}

function alone(look) {
	return el('div', {},
		el('p', { 'class': 'algwatch-side' }, side(look.side) + ': ' + look.observed),
		look.message.length
			? el('div', { 'class': 'algwatch-one' },
				look.message.map(text => el('div', { 'class': 'algwatch-line' }, text)))
			: '');
}

/* The evidence of a finding: two copies, or the single looks. */
function proof(evidence) {
	const pair = copies(evidence);

	if (pair)
		return compared(pair);

	/* The same message may prove two things. */
	const told = new Set();

	return el('div', {}, evidence.filter(function(look) {
		const key = JSON.stringify([ look.side, look.message ]);

		return !told.has(key) && told.add(key);
	}).map(alone));
}

/* The worst first; of as bad ones those that tell why, then those with both copies. */
function ranked(findings) {
	const rank = one => [ Object.keys(HARMS).indexOf(one.harm), one.symptom ? 1 : 0,
		copies(one.evidence) ? 0 : 1 ].join('');

	return findings.slice().sort((a, b) => rank(a) < rank(b) ? -1 : rank(a) > rank(b) ? 1 : 0);
}

const explain = declare('explain', [ 'rule' ]);

/* Pages of rules that are shown now, by rule: they stay when a page is filled anew. */
const explained = {};

/* A button that gets the page of a rule and shows it below. */
function explanation(rule) {
	const text = el('pre', { 'class': 'algwatch-text' }, explained[rule] || '');
	const button = el('button', {
		'class': 'btn cbi-button',
		'click': ui.createHandlerFn(null, function() {
			if (!text.hidden) {
				text.hidden = true;
				delete explained[rule];
				return null;
			}

			return explain(rule).then(function(reply) {
				explained[rule] = reply.text || _('There is no page about %s.').format(rule);
				text.textContent = explained[rule];
				text.hidden = false;
			}).catch(failed);
		})
	}, _('Explain'));

	text.hidden = !(rule in explained);

	return el('div', {}, button, text);
}

/* A part that opens and closes. key: by which it is known again when the page is filled anew. */
function item(key, ...children) {
	return el('details', { 'class': 'algwatch-item', 'data-key': JSON.stringify(key) }, children);
}

/* Fills a node anew; what was open before stays open, and what was closed stays closed. */
function replace(node, ...children) {
	const before = {};

	node.querySelectorAll('details[data-key]').forEach(one => before[one.getAttribute('data-key')] = one.open);
	node.replaceChildren(el('div', {}, children));
	node.querySelectorAll('details[data-key]').forEach(function(one) {
		const key = one.getAttribute('data-key');

		if (Object.prototype.hasOwnProperty.call(before, key))
			one.open = before[key];
	});
}

function finding(one, opened) {
	const details = item([ one.rule, one.call_id, one.at, one.summary ],
		el('summary', {}, badge(HARMS, one.harm), ' ', el('strong', {}, one.rule), ' ', one.summary),
		el('div', { 'class': 'algwatch-body' },
			el('p', {}, _('Where: %s').format(PLACES[one.where] || one.where), el('br', {}),
				_('When: %s').format(when(one.at)), el('br', {}),
				one.line ? _('Phone and provider: %s').format(one.line) : ''),
			one.next ? el('p', {}, _('Next step: %s').format(one.next)) : '',
			proof(one.evidence),
			explanation(one.rule)));

	details.open = opened;

	return details;
}

/* A sentence where there is no daemon, or its file is old; nothing where all is well. */
function trouble(reply) {
	if (!reply.there)
		return el('div', { 'class': 'alert-message warning' },
			_('algwatch does not run: turn it on under Settings, or look at the system log for the reason.'));

	if (!reply.fresh)
		return el('div', { 'class': 'alert-message warning' },
			_('algwatch was stopped or is stuck: this is what it saw before. Look at the system log.'));

	return '';
}

function failed(problem) {
	ui.addNotification(null, el('p', {}, problem.message || String(problem)), 'error');
}

function page(title, about, ...children) {
	return el('div', { 'class': 'algwatch' },
		el('link', { 'rel': 'stylesheet', 'href': L.resource('algwatch/style.css') }),
		el('h2', {}, title), el('div', { 'class': 'cbi-map-descr' }, about), children);
}

/* Calls `ask` at LuCI's poll interval and hands its reply to `show`; a reply that says the same again
   changes nothing, so that opened parts stay open. */
function follow(ask, show, first) {
	const told = reply => JSON.stringify(Object.assign({}, reply, { age: 0 }));
	let before = told(first);

	show(first);
	poll.add(function() {
		return ask().then(function(reply) {
			const now = told(reply);

			if (now != before) {
				before = now;
				show(reply);
			}
		});
	});
}

/* The class of a page that only shows. show: puts what `ask` gave into a node. */
function watching(ask, title, about, show) {
	return view.extend({
		load: () => ask(),

		render: function(reply) {
			const node = el('div', {});

			follow(ask, next => show(node, next), reply);

			return page(title, about, node);
		},

		handleSaveApply: null,
		handleSave: null,
		handleReset: null
	});
}

return baseclass.extend({
	HARMS, OUTCOMES, PLACES, STATES,
	aligned, badge, changed, compared, copies, declare, el, failed, finding, follow, item, lasted, marked, page,
	ranked, replace, side, trouble, watching, when
});
