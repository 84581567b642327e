// SPDX-License-Identifier: Apache-2.0
'use strict';
'require algwatch.common as common';

const el = common.el;
const ask = common.declare('status');

const VERDICTS = {
	hurts: _('Something hurts'),
	fine: _('Nothing hurts'),
	'cannot-tell': _('Cannot tell yet')
};

const DOUBTFUL = _('Nothing was seen to hurt; what may do harm is worth another look');

function verdict(state) {
	const told = state.verdict;

	return el('div', { 'class': 'algwatch-verdict algwatch-' + told.state },
		el('h3', {}, told.doubtful ? DOUBTFUL : VERDICTS[told.state] || told.state),
		told.why.map(text => el('p', {}, text)),
		told.next ? el('p', {}, el('strong', {}, _('Next: ')), told.next, ' ',
			state.advice.length ? el('a', { 'href': L.url('admin/services/algwatch/advice') }, _('See the advice')) : '') : '',
		told.alg ? el('p', {}, el('strong', {}, _('The SIP ALG: ')), told.alg) : '');
}

function table(titles, rows, nothing) {
	const head = el('tr', { 'class': 'tr table-titles' },
		titles.map(title => el('th', { 'class': 'th' }, title)));
	const body = rows.map(row => el('tr', { 'class': 'tr' },
		row.map((cell, n) => el('td', { 'class': 'td', 'data-title': titles[n] }, cell))));

	if (!rows.length)
		body.push(el('tr', { 'class': 'tr placeholder' },
			el('td', { 'class': 'td' }, el('em', {}, nothing))));

	return el('table', { 'class': 'table' }, head, body);
}

function tap(name, one) {
	return [
		name, common.side(one.side),
		one.away ? _('not there: waiting for it') : _('watched'),
		one.drops ? _('%d packets').format(one.drops) : _('none')
	];
}

function account(one) {
	const status = (one.status && one.outcome != 'accepted') ? ' ' + one.status : '';

	return [
		one.aor, one.line || '–',
		[ common.badge(common.OUTCOMES, one.outcome), status ],
		common.when(one.end)
	];
}

function number(counts, table) {
	const words = Object.keys(table).filter(word => counts[word]).map(word =>
		[ common.badge(table, word), ' ' + counts[word] + '  ' ]);

	return words.length ? words : _('none');
}

function router(reply) {
	const state = reply.state, counts = state.counts;

	return table([ '', '' ], [
		[ _('SIP helper in the kernel'),
		  state.helper == null ? _('not looked yet') : state.helper ? _('present') : _('not there') ],
		[ _('Flow offload'), state.offload || _('off') ],
		[ _('SIP messages'), _('%d, of which %d were seen on both sides and %d were changed').format(
			counts.capture.sip_messages, counts.crossings.paired, counts.crossings.rewritten) ],
		[ _('Calls'), number(reply.calls, common.OUTCOMES) ],
		[ _('Findings'), number(reply.findings, common.HARMS) ],
		[ _('Watching since'), common.when(state.started) ],
		[ _('Names of people'), state.privacy ? _('shown as pseudonyms') : _('shown') ]
	], '');
}

function show(node, reply) {
	const state = reply.state;

	common.replace(node, common.trouble(reply), !state ? '' : [
		verdict(state),
		el('div', { 'class': 'cbi-section' }, el('h3', {}, _('Interfaces')),
			table([ _('Interface'), _('Side'), _('State'), _('Lost for want of room') ],
				Object.keys(state.health.taps).map(name => tap(name, state.health.taps[name])),
				_('No interface is watched.'))),
		el('div', { 'class': 'cbi-section' }, el('h3', {}, _('Phones')),
			table([ _('Account'), _('Phone and provider'), _('Registration'), _('Last') ],
				state.registrations.map(account), _('No phone has registered in the last day.'))),
		el('div', { 'class': 'cbi-section' }, el('h3', {}, _('The last day')), router(reply))
	]);
}

return common.watching(ask, _('SIP ALG'),
	_('Whether this router changes the SIP messages of your phones, and whether that hurts.'),
	show);
