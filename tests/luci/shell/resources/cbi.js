// SPDX-License-Identifier: Apache-2.0
// A stand-in for LuCI's cbi.js: translation, and %s, %d and %% of its String.prototype.format.
'use strict';

function _(text) {
	return (window.TR || {})[text] || text;
}

String.prototype.format = function(...args) {
	let n = 0;

	return this.replace(/%([sd%])/g, function(all, kind) {
		if (kind == '%')
			return '%';

		const value = args[n++];

		return kind == 'd' ? String(Math.trunc(Number(value) || 0)) : String(value ?? '');
	});
};
