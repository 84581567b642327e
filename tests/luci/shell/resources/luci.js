// SPDX-License-Identifier: Apache-2.0
// A stand-in for LuCI's luci.js: classes, 'require' lines, E(), poll and view. It keeps to the
// behaviour of LuCI's own (25.12), traps included: a string that is no array is taken for HTML.
'use strict';

(function() {
	const DOM = {
		elem: node => node instanceof Node,

		append(node, children) {
			if (Array.isArray(children))
				for (const one of children)
					if (this.elem(one))
						node.appendChild(one);
					else if (one !== null && one !== undefined)
						node.appendChild(document.createTextNode(`${one}`));
					else
						continue;
			else if (typeof(children) == 'function')
				this.append(node, children(node));
			else if (this.elem(children))
				node.appendChild(children);
			else if (children !== null && children !== undefined)
				node.innerHTML = `${children}`;

			return node;
		},

		content(node, children) {
			while (node.firstChild)
				node.removeChild(node.firstChild);

			return this.append(node, children);
		},

		create(tag, attributes, children) {
			if (!(attributes instanceof Object) || Array.isArray(attributes)) {
				children = attributes;
				attributes = null;
			}

			let node;

			if (Array.isArray(tag)) {
				node = document.createDocumentFragment();
				tag.forEach(one => node.appendChild(this.create(one)));
			}
			else if (this.elem(tag)) {
				node = tag;
			}
			else if (tag.charCodeAt(0) == 60) {
				node = new DOMParser().parseFromString(tag, 'text/html').body.firstChild;
			}
			else {
				node = document.createElement(tag);
			}

			for (const name in attributes || {}) {
				const value = attributes[name];

				if (value === null || value === undefined)
					continue;

				if (typeof(value) == 'function')
					node.addEventListener(name, value);
				else
					node.setAttribute(name, typeof(value) == 'object' ? JSON.stringify(value) : value);
			}

			this.append(node, children);

			return node;
		}
	};

	window.E = (...args) => DOM.create(...args);

	class Base {
		constructor(...args) {
			if (typeof(this.__init__) == 'function')
				this.__init__(...args);
		}

		static extend(properties) {
			const made = class extends this {};

			for (const name in properties)
				made.prototype[name] = properties[name];

			return made;
		}
	}

	const Poll = {
		queue: [],
		add(fn, interval) {
			this.queue.push({ fn, interval: interval || L.env.pollinterval, at: Date.now() });
			this.timer = this.timer || window.setInterval(() => this.step(), 250);
		},
		step() {
			for (const one of this.queue)
				if (Date.now() - one.at >= 1000 * one.interval) {
					one.at = Date.now();
					Promise.resolve(one.fn()).catch(problem => console.warn(problem));
				}
		}
	};

	const View = Base.extend({
		__init__() {
			const place = document.getElementById('view');

			Promise.resolve(this.load())
				.then(data => this.render(data))
				.then(nodes => {
					DOM.content(place, nodes);
					this.addFooter(place);
				})
				.catch(problem => L.error(problem));
		},
		load() {},
		render() {},
		maps() {
			return Array.from(document.querySelectorAll('.cbi-map')).map(node => node.map);
		},
		handleSave() {
			return Promise.all(this.maps().map(map => map.save()));
		},
		handleSaveApply() {
			return this.handleSave().then(() => L.loaded.ui.changes.apply());
		},
		handleReset() {
			return Promise.all(this.maps().map(map => map.reset()));
		},
		addFooter(place) {
			const readonly = L.hasViewPermission() === false ? '' : null;
			const buttons = [ [ 'handleSaveApply', 'apply important', _('Save & Apply') ],
				[ 'handleSave', 'save', _('Save') ], [ 'handleReset', 'reset', _('Reset') ] ]
				.filter(one => this[one[0]])
				.map(one => E('button', {
					'class': 'btn cbi-button cbi-button-' + one[1],
					'disabled': readonly,
					'click': L.loaded.ui.createHandlerFn(this, one[0])
				}, [ one[2] ]));

			if (buttons.length)
				place.appendChild(E('div', { 'class': 'cbi-page-actions' }, buttons));
		}
	});

	const builtin = { baseclass: Base, dom: DOM, poll: Poll, view: View };
	const REQUIRE = /^require[ \t]+(\S+)(?:[ \t]+as[ \t]+([a-zA-Z_]\S*))?$/;

	window.LuCI = class {
		constructor(env) {
			this.env = env;
			this.loaded = Object.assign({}, builtin);
			this.requested = {};
			document.addEventListener('DOMContentLoaded', () =>
				this.require('ui').then(() => document.dispatchEvent(new CustomEvent('luci-loaded'))));
		}

		url(...parts) {
			return [ this.env.scriptname, ...parts ].join('/').replace(/\/+/g, '/');
		}

		resource(...parts) {
			return [ this.env.resource, ...parts ].join('/');
		}

		hasViewPermission() {
			return this.env.nodespec.satisfied ? !this.env.nodespec.readonly : null;
		}

		bind(fn, self, ...args) {
			return Function.prototype.bind.call(fn, self, ...args);
		}

		error(problem) {
			DOM.content(document.getElementById('view'),
				E('div', { 'class': 'alert-message error' }, [ problem.message || String(problem) ]));
			console.error(problem);
		}

		/* Loads NAME.js with what its 'require' lines name, and makes its class. */
		require(name) {
			if (name in this.loaded)
				return Promise.resolve(this.loaded[name]);

			return this.requested[name] ??= fetch(this.resource(name.replace(/\./g, '/') + '.js'))
				.then(reply => {
					if (!reply.ok)
						throw new Error(`HTTP error ${reply.status} while loading class file ${name}`);

					return reply.text();
				})
				.then(source => {
					const needed = [], names = [];

					for (const match of source.matchAll(/^[ \t]*'([^'\n]+)';?[ \t]*$/gm)) {
						if (match[1] == 'use strict')
							continue;

						const found = REQUIRE.exec(match[1]);

						if (!found)
							break;

						needed.push(this.require(found[1]));
						names.push(found[2] || found[1].replace(/[^a-zA-Z0-9_]/g, '_'));
					}

					return Promise.all(needed).then(classes => {
						const made = new Function('window', 'document', 'L', ...names,
							`${source}\n\n//# sourceURL=${name}\n`)(window, document, this, ...classes);

						if (typeof(made) != 'function' || !(made.prototype instanceof Base))
							throw new TypeError(`"${name}" factory yields invalid constructor`);

						return this.loaded[name] = new made();
					});
				});
		}
	};
})();
