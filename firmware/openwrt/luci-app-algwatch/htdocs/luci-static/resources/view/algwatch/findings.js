// SPDX-License-Identifier: Apache-2.0
'use strict';
'require view';
'require algwatch.common as common';

const el = common.el;
const ask = common.declare('calls');

function show(node, reply) {
	const rows = common.ranked(reply.findings);

	common.replace(node, common.trouble(reply), rows.length
		? rows.map(one => common.finding(one, false))
		: el('p', {}, el('em', {}, _('Nothing was found in the last day.'))));
}

return view.extend({
	load: function() {
		return ask();
	},

	render: function(reply) {
		const node = el('div', {});

		common.follow(ask, next => show(node, next), reply);

		return common.page(_('Findings'),
			_('Everything seen on the wire that did harm, may do harm, or is good to know, each with its proof. The worst stands first.'),
			node);
	},

	handleSaveApply: null,
	handleSave: null,
	handleReset: null
});
