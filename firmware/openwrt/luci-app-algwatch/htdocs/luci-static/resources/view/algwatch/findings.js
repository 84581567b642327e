// SPDX-License-Identifier: Apache-2.0
'use strict';
'require algwatch.common as common';

const el = common.el;
const ask = common.declare('calls');

function show(node, reply) {
	const rows = common.ranked(reply.findings);

	common.replace(node, common.trouble(reply), rows.length
		? rows.map(one => common.finding(one, false))
		: el('p', {}, el('em', {}, _('Nothing was found in the last day.'))));
}

return common.watching(ask, _('Findings'),
	_('Everything seen on the wire that did harm, may do harm, or is good to know, each with its proof. The worst stands first.'),
	show);
