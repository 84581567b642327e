// SPDX-License-Identifier: Apache-2.0
'use strict';
'require ui';
'require view';
'require algwatch.common as common';

const el = common.el;
const ask = common.declare('status');
const probe = common.declare('probe');
const apply = common.declare('apply', [ 'only', 'whole', 'force' ]);
const verify = common.declare('verify');
const rollback = common.declare('rollback');
const stop = common.declare('stop');

const VERBS = {
	probe: _('Probe of the router'),
	apply: _('SIP ALG off'),
	verify: _('Look whether it helped'),
	rollback: _('Put everything back')
};

/* By verb and exit status of algwatch: how it ended. */
const GOOD = 'algwatch-good', DOUBT = 'algwatch-doubt', BAD = 'algwatch-bad';
const UNDONE = [ _('it failed, and everything is as before'), DOUBT ];
const NOT_BACK = [ _('it failed, and not everything could be put back'), BAD ];
const ENDS = {
	probe: {
		0: [ _('SIP passes untouched'), GOOD ],
		1: [ _('SIP is rewritten'), DOUBT ],
		3: [ _('cannot tell'), DOUBT ]
	},
	apply: {
		0: [ _('in force'), GOOD ],
		1: UNDONE,
		2: [ _('nothing was changed'), DOUBT ],
		3: [ _('in force, and not every phone was heard yet'), DOUBT ],
		4: NOT_BACK
	},
	verify: {
		0: [ _('it helped'), GOOD ],
		1: UNDONE,
		3: [ _('not known yet'), DOUBT ],
		4: NOT_BACK
	},
	rollback: {
		0: [ _('everything is as before'), GOOD ],
		4: [ _('not everything could be put back'), BAD ]
	}
};

const REFUSED = {
	busy: _('Another one runs still: wait until it is done.'),
	'not-installed': _('The program algwatch is not installed.'),
	'no-room': _('There is no room in /var/run for it.'),
	'no-address': _('This is no IP address of a phone.')
};

/* Addresses of phones, the first of each line "phone and provider". */
function phones(state) {
	const lines = state.advice.map(one => one.subject).concat(state.registrations.map(one => one.line));
	const found = lines.map(text => (/^([0-9A-Fa-f:.]+) and /.exec(text) || [])[1]);

	return Array.from(new Set(found.filter(one => one)));
}

function given(state, action) {
	return state.advice.filter(one => one.action == action);
}

/* Before the whole router is changed: what speaks against it. */
function warnings(state) {
	const off = given(state, 'disable-sip-alg'), on = given(state, 'keep-sip-alg');
	const told = [];

	if (on.length)
		told.push(_('algwatch saw phones that need the SIP ALG: %s. They would stop working.').format(
			on.map(one => one.subject).join(', ')));

	if (!off.some(one => one.state == 'recommended'))
		told.push(_('Nothing that was seen here proves yet that turning it off helps.'));

	return told;
}

function sentences(title, texts) {
	return texts.length
		? [ el('strong', {}, title), el('ul', {}, texts.map(text => el('li', {}, text))) ]
		: '';
}

function advice(one) {
	return el('div', { 'class': 'cbi-section' },
		el('h3', {}, one.title, ' ', common.badge(common.STATES, one.state)),
		el('p', {}, _('About %s; %d%% sure.').format(one.subject || _('this router'),
			Math.round(100 * one.confidence))),
		sentences(_('For it:'), one.for),
		sentences(_('Against it:'), one.against),
		one.commands.length
			? common.item([ one.action, one.subject ],
				el('summary', {}, _('The lines to type, for those who prefer a terminal')),
				el('pre', { 'class': 'algwatch-text' }, one.commands.join('\n')))
			: '');
}

/* Any JSON value as nested lists. */
function tree(value) {
	if (Array.isArray(value))
		return value.length ? el('ul', {}, value.map(one => el('li', {}, tree(one)))) : '–';

	if (value != null && typeof(value) == 'object')
		return el('ul', {}, Object.keys(value).map(name =>
			el('li', {}, el('strong', {}, name.replace(/_/g, ' ') + ': '), tree(value[name]))));

	return value === true ? _('yes') : value === false ? _('no') : String(value == null ? '–' : value);
}

function texts(value) {
	return Array.isArray(value) ? value.map(String) : [];
}

/* The header fields that a probe saw changed: [ message, field, before, after ]. */
function rewrites(result) {
	const rows = [], known = new Set();

	for (const sent of Array.isArray(result.messages) ? result.messages : [])
		for (const field of Array.isArray(sent.fields) ? sent.fields : []) {
			const key = field.name + ' ' + field.lan + ' ' + field.wan;

			if (field.verdict != 'same' && field.lan !== field.wan && !known.has(key) && known.add(key))
				rows.push([ sent.message, field.name, field.lan, field.wan ]);
		}

	return rows;
}

function rewritten(rows) {
	const titles = [ _('Message'), _('Field'), _('In the LAN'), _('Behind the router') ];

	return !rows.length ? '' : el('table', { 'class': 'table algwatch-rewrites' },
		el('tr', { 'class': 'tr table-titles' }, titles.map(title => el('th', { 'class': 'th' }, title))),
		rows.map(function(row) {
			const cells = [ row[0], row[1], ...common.marked(row[2] || '', row[3] || '') ];

			return el('tr', { 'class': 'tr' },
				cells.map((cell, n) => el('td', { 'class': 'td', 'data-title': titles[n] }, cell)));
		}));
}

function ended(one) {
	const end = (ENDS[one.verb] || {})[one.status] ||
		[ one.status == 2 ? _('nothing was done') : _('it failed'), DOUBT ];
	const result = one.result || {};
	const said = (result.conclusion ? [ String(result.conclusion) ] : []).concat(
		texts(result.lines), texts(result.reasons), texts(result.notes));

	return [
		el('h3', {}, _('The last job: %s').format(one.title), ' ',
			el('span', { 'class': 'algwatch-badge ' + end[1] }, end[0])),
		said.map(text => el('p', {}, text)),
		rewritten(rewrites(result)),
		one.error.trim() ? el('pre', { 'class': 'algwatch-text' }, one.error.trim()) : '',
		one.result ? common.item([ 'job', one.started ], el('summary', {}, _('All that it said')),
			el('div', { 'class': 'algwatch-body' }, tree(one.result))) : ''
	];
}

return view.extend({
	load: function() {
		return ask();
	},

	/* Starts a job; the page is filled anew at once. */
	begin: function(asked) {
		ui.hideModal();

		return asked.then(reply => {
			if (reply.error)
				common.failed(REFUSED[reply.error] || reply.error);

			return ask();
		}).then(reply => this.show(reply)).catch(common.failed);
	},

	/* Asks before anything is done. texts: what it means. */
	confirm: function(title, texts, word, act) {
		ui.showModal(title, [
			el('div', {}, texts.map(text => el('p', {}, text))),
			el('div', { 'class': 'right' },
				el('button', { 'class': 'btn', 'click': ui.hideModal }, _('Cancel')), ' ',
				el('button', {
					'class': 'btn cbi-button-negative important',
					'click': ui.createHandlerFn(this, () => this.begin(act()))
				}, word))
		]);
	},

	handleProbe: function() {
		return this.begin(probe());
	},

	handleTrial: function() {
		const only = this.select.value;

		this.confirm(_('Turn the SIP ALG off for one phone?'), [
			_('The phone at %s: its connections pass the router without the SIP ALG. All other phones stay as they are.').format(only),
			_('algwatch looks first what would break, and refuses while the phone is in a call. If the phone falls silent afterwards, everything is put back by itself.')
		], _('Try it'), () => apply(only, false, false));
	},

	handleApply: function() {
		this.confirm(_('Turn the SIP ALG off for the whole router?'), warnings(this.state).concat([
			_('All phones here are affected. algwatch looks first what would break, and refuses if a phone would stop ringing, or while a call is up.'),
			_('It saves the firewall configuration, changes it, reloads the firewall, and watches the phones. If one of them falls silent, everything is put back by itself.')
		]), _('Turn it off'), () => apply('', true, false));
	},

	/* A change that algwatch has refused, because it would break a phone. */
	handleForce: function(job) {
		this.confirm(_('Turn the SIP ALG off all the same?'), [ job.error.trim() ], _('Turn it off all the same'),
			() => apply(job.only, !job.only, true));
	},

	handleStop: function() {
		return this.begin(stop());
	},

	handleVerify: function() {
		return this.begin(verify());
	},

	handleRollback: function() {
		this.confirm(_('Put everything back?'), [
			_('algwatch takes its latest change of the firewall back, and the SIP ALG works again as before.'),
			_('Edits of the firewall that others made since then are kept.')
		], _('Put back'), () => rollback());
	},

	job: function(one) {
		const readonly = L.hasViewPermission() === false ? '' : null;

		if (one.state == 'none')
			return '';

		one.title = (VERBS[one.verb] || one.verb) + (one.only ? ', ' + one.only : '');

		if (one.state == 'running')
			return el('div', { 'class': 'alert-message notice' },
				el('p', { 'class': 'spinning' }, _('%s: runs since %s').format(one.title, common.when(one.started))),
				one.verb == 'apply' ? el('p', {}, _('It watches until every phone has registered again, which may take an hour. You can leave this page.')) : '',
				one.verb == 'apply' || one.verb == 'verify' ? el('button', {
					'class': 'btn cbi-button-negative', 'disabled': readonly,
					'click': ui.createHandlerFn(this, 'handleStop')
				}, one.verb == 'apply' ? _('Stop and put back') : _('Stop')) : '');

		if (one.state == 'lost')
			return el('div', { 'class': 'alert-message warning' },
				_('%s ended without a word: the router was restarted, or ran out of memory. What it had changed is put back by itself.').format(one.title));

		return el('div', { 'class': 'cbi-section' }, ended(one),
			one.verb == 'apply' && one.status == 2 && /--force/.test(one.error) ? el('button', {
				'class': 'btn cbi-button-negative', 'disabled': readonly,
				'click': ui.createHandlerFn(this, 'handleForce', one)
			}, _('Turn off all the same…')) : '');
	},

	buttons: function(state, running) {
		const frozen = (running || L.hasViewPermission() === false) ? '' : null;
		const known = phones(state);
		const button = (name, style, handler) => el('button', {
			'class': 'btn cbi-button ' + style,
			'disabled': frozen,
			'click': ui.createHandlerFn(this, handler)
		}, name);

		const before = this.select ? this.select.value : null;

		this.select = el('select', { 'class': 'cbi-input-select', 'disabled': frozen, 'aria-label': _('Phone') },
			known.map(one => el('option', { 'value': one, 'selected': one == before ? '' : null }, one)));

		return el('div', { 'class': 'cbi-section' },
			el('h3', {}, _('Do it')),
			L.hasViewPermission() === false
				? el('p', {}, el('em', {}, _('Your account may look and not change anything.'))) : '',
			el('p', {}, _('Ask the router first: a probe sends SIP messages through it that reach nobody, and compares what comes out. It takes a few seconds and changes nothing.')),
			el('div', { 'class': 'algwatch-buttons' }, button(_('Probe'), 'cbi-button-action', 'handleProbe')),
			el('p', {}, _('Then turn the SIP ALG off, for one phone first.')),
			el('div', { 'class': 'algwatch-buttons' },
				known.length ? [ this.select, button(_('Try on this phone'), 'cbi-button-action important', 'handleTrial') ]
					: el('em', {}, _('No phone was seen yet.')),
				button(_('Turn off for all phones…'), 'cbi-button-negative', 'handleApply')),
			el('p', {}, _('Later, see whether it helped, or put everything back.')),
			el('div', { 'class': 'algwatch-buttons' },
				button(_('Verify'), 'cbi-button-action', 'handleVerify'),
				button(_('Roll back…'), 'cbi-button-negative', 'handleRollback')));
	},

	show: function(reply) {
		this.state = reply.state || { advice: [], registrations: [] };

		const running = reply.job.state == 'running';

		common.replace(this.node, common.trouble(reply), this.job(reply.job),
			this.state.advice.length ? this.state.advice.map(advice)
				: el('p', {}, el('em', {}, _('There is no advice: nothing that was seen calls for one.'))),
			this.buttons(this.state, running));
	},

	render: function(reply) {
		this.node = el('div', {});

		common.follow(ask, next => this.show(next), reply);

		return common.page(_('Advice'),
			_('Remedies for what was found, with what speaks for each and against it. Nothing is changed without asking you.'),
			this.node);
	},

	handleSaveApply: null,
	handleSave: null,
	handleReset: null
});
