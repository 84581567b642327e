// SPDX-License-Identifier: Apache-2.0
'use strict';
'require algwatch.common as common';

const el = common.el;
const ask = common.declare('calls');

const ACKS = {
	seen: _('The answer was acknowledged.'),
	missing: _('The acknowledgement of the answer (ACK) is missing.'),
	unknown: ''
};

function call(one, findings) {
	const about = common.ranked(findings.filter(f => f.call_id && f.call_id == one.call_id));
	const status = one.status ? ' ' + one.status : '';
	const dead = one.outcome == 'dropped' || one.outcome == 'unanswered';
	const again = one.invite_retransmissions + one.final_retransmissions;

	return common.item([ one.call_id, one.start ],
		el('summary', {},
			common.badge(common.OUTCOMES, one.outcome), status, ' ', common.when(one.start), ' – ',
			el('strong', {}, one.from || _('somebody')), ' → ', el('strong', {}, one.to || _('somebody'))),
		el('div', { 'class': 'algwatch-body' },
			el('p', {},
				_('Duration: %s').format(common.lasted(one.end - one.start)), el('br', {}),
				one.line ? [ _('Phone and provider: %s').format(one.line), el('br', {}) ] : '',
				one.outcome == 'completed' || dead ? ACKS[one.ack] || '' : '',
				again ? ' ' + _('Messages of it had to be repeated %d times.').format(again) : ''),
			about.length
				? about.map((f, n) => common.finding(f, n == 0))
				: el('p', {}, _('Nothing was found in this call.'))));
}

function show(node, reply) {
	common.replace(node, common.trouble(reply), reply.calls.length
		? reply.calls.map(one => call(one, reply.findings))
		: el('p', {}, el('em', {}, _('No call has ended in the last day.'))));
}

return common.watching(ask, _('Calls'),
	_('Calls of the last day. Open one to see its messages on both sides of this router; what the router changed is marked.'),
	show);
