// SPDX-License-Identifier: Apache-2.0
// A stand-in for the parts of LuCI's ui.js that views use.
'use strict';
'require baseclass';
'require dom';
'require rpc';

const modal = document.body.appendChild(E('div', { 'id': 'modal_overlay' },
	E('div', { 'class': 'modal', 'role': 'dialog', 'aria-modal': 'true' })));

const apply = rpc.declare({ object: 'uci', method: 'apply', params: [ 'timeout', 'rollback' ], reject: true });
const confirm = rpc.declare({ object: 'uci', method: 'confirm', reject: true });

return baseclass.extend({
	/* The title is HTML, as in LuCI. */
	showModal: function(title, children, ...classes) {
		const dialog = modal.firstElementChild;

		dialog.setAttribute('class', 'modal');
		dialog.classList.add(...classes);
		dom.content(dialog, E('h4', {}, title));
		dom.append(dialog, children);
		document.body.classList.add('modal-overlay-active');

		return dialog;
	},

	hideModal: function() {
		document.body.classList.remove('modal-overlay-active');
	},

	addNotification: function(title, children, ...classes) {
		const box = E('div', { 'class': 'alert-message' }, [ E('div', {}) ]);

		if (title != null)
			dom.append(box.firstElementChild, E('h4', {}, title));

		dom.append(box.firstElementChild, children);
		box.classList.add(...classes);

		const place = document.getElementById('maincontent');

		return place.insertBefore(box, place.firstElementChild);
	},

	createHandlerFn: function(self, fn, ...args) {
		if (typeof(fn) == 'string')
			fn = self[fn];

		return typeof(fn) != 'function' ? null : function(event) {
			const target = event.currentTarget;

			target.classList.add('spinning');
			target.disabled = true;

			Promise.resolve(fn.call(self, ...args, event)).finally(() => {
				target.classList.remove('spinning');
				target.disabled = false;
			});
		};
	},

	changes: {
		apply: () => apply(10, true).then(() => confirm())
	},

	instantiateView: function(path) {
		return L.require('view.' + path.replace(/\//g, '.')).catch(problem => L.error(problem));
	}
});
