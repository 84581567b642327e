// SPDX-License-Identifier: Apache-2.0
// A stand-in for the parts of LuCI's form.js that the settings use: one named section in tabs, with
// flags, values, choices and lists, checked and written to UCI.
'use strict';
'require baseclass';
'require rpc';
'require ui';

const get = rpc.declare({ object: 'uci', method: 'get', params: [ 'config' ], expect: { values: {} }, reject: true });
const set = rpc.declare({ object: 'uci', method: 'set', params: [ 'config', 'section', 'values' ], reject: true });
const remove = rpc.declare({ object: 'uci', method: 'delete', params: [ 'config', 'section', 'options' ], reject: true });

const DATATYPES = {
	port: value => /^[0-9]+$/.test(value) && +value <= 65535,
	min: (value, least) => /^-?[0-9]+$/.test(value) && +value >= +least,
	range: (value, least, most) => /^-?[0-9]+$/.test(value) && +value >= +least && +value <= +most,
	file: value => value.startsWith('/'),
	maxlength: (value, most) => value.length <= +most
};

const Value = baseclass.extend({
	__init__: function(name, title, description) {
		Object.assign(this, { name, title, description, rmempty: true });
	},
	input: function(value) {
		return E('input', { 'type': this.password ? 'password' : 'text', 'class': 'cbi-input-text',
			'placeholder': this.placeholder, 'value': value ?? this.default ?? '' });
	},
	value: function() {
		return this.node.value;
	},
	texts: function(value) {
		return [ value ];
	},
	check: function(section) {
		const match = /^(\w+)(?:\((.*)\))?$/.exec(this.datatype || '');

		for (const text of this.texts(this.value())) {
			if (text && match && !DATATYPES[match[1]](text, ...(match[2] || '').split(',')))
				return _('Invalid value');

			const said = this.validate ? this.validate(section, text) : true;

			if (said !== true)
				return said;
		}

		return true;
	},
	render: function(value) {
		this.before = value;
		this.node = this.input(value);
		this.error = E('div', { 'class': 'cbi-value-error' });

		return E('div', { 'class': 'cbi-value', 'data-name': this.name }, [
			E('label', { 'class': 'cbi-value-title' }, [ this.title ]),
			E('div', { 'class': 'cbi-value-field' }, [ this.node, this.error,
				E('div', { 'class': 'cbi-value-description' }, [ this.description ]) ])
		]);
	}
});

const Flag = Value.extend({
	input: function(value) {
		const node = E('input', { 'type': 'checkbox' });

		node.checked = (value ?? this.default) == '1';

		return node;
	},
	value: function() {
		return this.node.checked ? '1' : '0';
	}
});

const ListValue = Value.extend({
	// LuCI's own: called with words it offers one more choice, without any it is asked.
	value: function(key, title) {
		if (key === undefined)
			return this.node.value;

		this.choices = [ ...(this.choices || []), [ key, title ] ];
	},
	input: function(value) {
		const node = E('select', {}, this.choices.map(([ key, title ]) => E('option', { 'value': key }, [ title ])));

		node.value = value ?? this.default;

		return node;
	}
});

const DynamicList = Value.extend({
	input: function(value) {
		return E('input', { 'type': 'text', 'class': 'cbi-input-text', 'value': [].concat(value ?? []).join(' ') });
	},
	value: function() {
		return this.node.value.split(' ').filter(one => one);
	},
	texts: value => value
});

const NamedSection = baseclass.extend({
	__init__: function(name, type) {
		Object.assign(this, { name, type, tabs: {}, options: [] });
	},
	tab: function(name, title) {
		this.tabs[name] = { title, options: [] };
	},
	taboption: function(tab, kind, ...args) {
		const made = new kind(...args);

		this.tabs[tab].options.push(made);
		this.options.push(made);

		return made;
	}
});

const Map = baseclass.extend({
	__init__: function(config, title, description) {
		Object.assign(this, { config, title, description, sections: [] });
	},
	section: function(kind, name, type) {
		const made = new kind(name, type);

		this.sections.push(made);

		return made;
	},
	fill: function(values) {
		const tabs = this.sections.flatMap(section => Object.values(section.tabs).map(tab => ({
			title: tab.title,
			node: E('div', { 'class': 'cbi-section' },
				tab.options.map(one => one.render((values[section.name] || {})[one.name])))
		})));
		const show = chosen => tabs.forEach(tab => tab.node.style.display = tab == chosen ? '' : 'none');

		this.node.replaceChildren(
			E('h2', {}, [ this.title ]), E('div', { 'class': 'cbi-map-descr' }, [ this.description ]),
			E('ul', { 'class': 'cbi-tabmenu' }, tabs.map(tab => E('li', {}, [
				E('a', { 'href': '#', 'click': () => show(tab) }, [ tab.title ]) ]))),
			...tabs.map(tab => tab.node));
		show(tabs[0]);
	},
	render: function() {
		this.node = E('div', { 'class': 'cbi-map' });
		this.node.map = this;

		return this.reset();
	},
	reset: function() {
		return get(this.config).then(values => {
			this.fill(values);

			return this.node;
		});
	},
	save: function() {
		const calls = [];

		for (const section of this.sections) {
			const values = {}, gone = [];
			let bad = false;

			for (const one of section.options) {
				const said = one.check(section.name), value = one.value();

				one.error.textContent = said === true ? '' : said;
				bad = bad || said !== true;

				if (one.rmempty && !value.length)
					gone.push(...(one.before == null ? [] : [ one.name ]));
				else if (JSON.stringify(value) != JSON.stringify(one.before))
					values[one.name] = value;
			}

			if (bad) {
				const problem = new Error(_('Some fields are invalid, cannot save values!'));

				ui.showModal(_('Save error'), [ E('p', {}, [ problem.message ]),
					E('div', { 'class': 'right' }, [
						E('button', { 'class': 'cbi-button', 'click': ui.hideModal }, [ _('Dismiss') ]) ]) ]);

				return Promise.reject(problem);
			}

			if (Object.keys(values).length)
				calls.push(set(this.config, section.name, values));

			if (gone.length)
				calls.push(remove(this.config, section.name, gone));
		}

		return Promise.all(calls);
	}
});

return baseclass.extend({ DynamicList, Flag, ListValue, Map, NamedSection, Value });
