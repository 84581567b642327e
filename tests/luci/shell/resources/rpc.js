// SPDX-License-Identifier: Apache-2.0
// A stand-in for LuCI's rpc.js: calls of one moment go out as one batch.
'use strict';
'require baseclass';

let number = 1, waiting = [];

function send() {
	const batch = waiting;

	waiting = [];

	const single = batch.length == 1;

	fetch(L.url('admin/ubus'), {
		method: 'POST',
		headers: { 'Content-Type': 'application/json' },
		body: JSON.stringify(single ? batch[0].frame : batch.map(one => one.frame))
	}).then(reply => reply.json()).then(answers => {
		const all = single ? [ answers ] : answers;

		batch.forEach(one => one.take(all.find(answer => answer.id == one.frame.id)));
	}).catch(problem => batch.forEach(one => one.reject(problem)));
}

return baseclass.extend({
	declare: function(options) {
		return (...args) => new Promise(function(resolve, reject) {
			const given = {}, where = `${options.object}/${options.method}`;

			(options.params || []).forEach((name, n) => given[name] = args[n]);

			const take = function(answer) {
				if (answer.error)
					return reject(new Error(
						`RPC call to ${where} failed with error ${answer.error.code}: ${answer.error.message}`));

				const result = answer.result;

				if (options.reject && result[0] !== 0)
					return reject(new Error(`RPC call to ${where} failed with ubus code ${result[0]}`));

				let value = result.length > 1 ? result[1] : result[0];
				const kind = Object.prototype.toString;

				for (const key in options.expect || {}) {
					if (value != null && key != '')
						value = value[key];

					if (value == null || kind.call(value) != kind.call(options.expect[key]))
						value = options.expect[key];
				}

				return resolve(value);
			};

			const frame = {
				jsonrpc: '2.0', id: number++, method: 'call',
				params: [ L.env.sessionid, options.object, options.method, given ]
			};

			if (!waiting.length)
				window.setTimeout(send, 0);

			waiting.push({ frame, take, reject });
		});
	}
});
